"""Checkpoints of pixel2style2pixel and encoder4editing: an encoder and its StyleGAN2 decoder."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converters import stylegan2_rosinality
from converters.arrays import MAX_LAYERS, Arrays, bounded, extent, find_arrays, fits, state_dicts
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import Option
from converters.resnet_torchvision import batch_norm, counters
from converters.rules import Rule, conv, transpose
from jaxlatent.networks import EncoderConfig
from jaxlatent.networks.encoder import LEVELS, POOLED, level_of

_CONTAINERS = ("state_dict",)
_MARKS = ("input_layer.0.weight", "body.0.res_layer.1.weight", "body.23.res_layer.5.fc2.weight")
_TYPES = {  # what opts.encoder_type says
    "GradualStyleEncoder": "psp",
    "Encoder4Editing": "e4e",
    "BackboneEncoderUsingLastLayerIntoW": "w",
    "SingleStyleCodeEncoder": "w",
    "BackboneEncoderUsingLastLayerIntoWPlus": "w+",
}
_HEADS = {  # an array of each kind; the first that is there tells
    "styles.0.linear.weight": ("psp", "e4e"),
    "output_layer_2.3.weight": ("w+",),
    "linear.weight": ("w",),
}


def _find(tree: Any) -> tuple[Arrays, str]:
    """Returns the arrays and the prefix of the encoder's."""
    for arrays in state_dicts(tree, _CONTAINERS):
        if all(mark in arrays for mark in _MARKS) and any(head in arrays for head in _HEADS):
            return arrays, ""
    return find_arrays(tree, _CONTAINERS, [f"encoder.{mark}" for mark in _MARKS]), "encoder."


def _opts(tree: Any) -> Mapping[Any, Any]:
    """Returns the arguments of the training, if the file has them."""
    opts = tree.get("opts") if isinstance(tree, dict) else None
    return opts if isinstance(opts, dict) else {}


def _kind(encoder: Arrays, told: Any, option: str | None) -> str:
    possible = next((kinds for head, kinds in _HEADS.items() if head in encoder), ())
    if not possible:
        raise ConversionError(f"the encoder has none of {', '.join(_HEADS)}")
    if option is None and isinstance(told, str) and told not in _TYPES:
        raise ConversionError(
            f"opts.encoder_type is {told[:100]!r}; known are {', '.join(_TYPES)}; if it is one of "
            "them, give the option encoder_type"
        )
    kind = option or (_TYPES[told] if isinstance(told, str) else None)
    if kind is None and len(possible) > 1:
        raise ConversionError(
            "the file does not tell whether its encoder is pSp's or e4e's, which have the same "
            "names: give the option encoder_type=GradualStyleEncoder or "
            "encoder_type=Encoder4Editing"
        )
    kind = kind or possible[0]
    if kind not in possible:
        raise ConversionError(f"this is no encoder of the kind {kind}, but {' or '.join(possible)}")
    return kind


def _config(encoder: Arrays, kind: str) -> EncoderConfig:
    """Returns the config of the encoder alone; the decoder tells how many codes "w" stands for."""
    if kind in ("psp", "e4e"):
        codes = 0
        while f"styles.{codes}.linear.weight" in encoder:
            codes += 1
        bounded(codes, MAX_LAYERS, "styles")
        width = extent(encoder, "styles.0.linear.weight", 0)
    else:
        width = extent(encoder, "linear.weight", 1 if kind == "w+" else 0)
        codes = extent(encoder, "linear.weight", 0) // max(width, 1)
    ends = ("body.2", "body.6", "body.20", "body.23")
    return EncoderConfig(
        kind=kind,
        num_codes=codes,
        code_dim=width,
        widths=tuple(extent(encoder, f"{end}.res_layer.3.weight", 0) for end in ends),
        in_channels=extent(encoder, "input_layer.0.weight", 1),
    )


def _backbone_rules(config: EncoderConfig) -> list[Rule]:
    stem = "backbone/stem"
    rules = [Rule("input_layer.0.weight", f"{stem}/conv/kernel", conv)]
    rules += batch_norm("input_layer.1", f"{stem}/norm")
    rules.append(Rule("input_layer.2.weight", f"{stem}/activation/slope"))
    index = 0
    for stage, depth in enumerate(config.depths):
        changed = stage > 0 and config.widths[stage] != config.widths[stage - 1]
        for block in range(depth):
            source, target = f"body.{index}", f"backbone/blocks/{index}"
            index += 1
            rules += batch_norm(f"{source}.res_layer.0", f"{target}/norm0")
            rules += batch_norm(f"{source}.res_layer.4", f"{target}/norm1")
            rules.append(Rule(f"{source}.res_layer.2.weight", f"{target}/activation/slope"))
            kernels = {
                "res_layer.1": "conv0",
                "res_layer.3": "conv1",
                "res_layer.5.fc1": "squeeze",
                "res_layer.5.fc2": "excite",
            }
            if changed and block == 0:
                kernels["shortcut_layer.0"] = "shortcut/conv"
                rules += batch_norm(f"{source}.shortcut_layer.1", f"{target}/shortcut/norm")
            for part, ours in kernels.items():
                rules.append(Rule(f"{source}.{part}.weight", f"{target}/{ours}/kernel", conv))
    return rules


def _linear(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.weight", f"{target}/weight", transpose),
        Rule(f"{source}.bias", f"{target}/bias"),
    ]


def _biased_conv(source: str, target: str) -> list[Rule]:
    return [
        Rule(f"{source}.weight", f"{target}/kernel", conv),
        Rule(f"{source}.bias", f"{target}/bias"),
    ]


def _pixels_last_to_first(channels: int) -> Callable[[np.ndarray], np.ndarray]:
    """Turns a dense weight [out, c * h * w] into [h * w * c, in]."""

    def turned(array: np.ndarray) -> np.ndarray:
        array = array.reshape(array.shape[0], channels, POOLED * POOLED)
        return array.transpose(2, 1, 0).reshape(-1, array.shape[0])

    return turned


def _reader_rules(config: EncoderConfig) -> list[Rule]:
    if config.kind == "w":
        return _linear("linear", "reader/linear")
    if config.kind == "w+":
        turned = _pixels_last_to_first(config.widths[3])
        return [
            *batch_norm("output_layer_2.0", "reader/norm"),
            Rule("output_layer_2.3.weight", "reader/weight", turned),
            Rule("output_layer_2.3.bias", "reader/bias"),
            *_linear("linear", "reader/linear"),
        ]
    rules = [
        rule for i in (0, 1) for rule in _biased_conv(f"latlayer{i + 1}", f"reader/lateral/{i}")
    ]
    for code in range(config.num_codes):
        source, target = f"styles.{code}", f"reader/styles/{code}"
        for i in range(LEVELS[level_of(code)][1]):
            rules += _biased_conv(f"{source}.convs.{2 * i}", f"{target}/convs/{i}")
        rules += _linear(f"{source}.linear", f"{target}/linear")
    return rules


def _mean_rows(config: EncoderConfig) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a mean code of one row for each code; a "w" encoder adds the first one to all."""

    def rows(array: np.ndarray) -> np.ndarray:
        array = array[None] if array.ndim == 1 else array
        array = array[:1] if config.kind == "w" else array
        return np.broadcast_to(array, (config.num_codes, *array.shape[1:]))

    return rows


def _mean(tree: Any, width: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the mean code that the file adds to all codes, zeros if it adds none."""
    added = _opts(tree).get("start_from_latent_avg")
    mean = tree.get("latent_avg") if isinstance(tree, dict) else None
    if isinstance(mean, np.ndarray) and added is not False:
        return mean, ()
    if added is True:
        raise ConversionError(
            "opts.start_from_latent_avg says that a mean code is added, but the file has no "
            "latent_avg"
        )
    notice = "the file has no latent_avg: codes are what the encoder gives, nothing is added"
    return np.zeros((1, width), np.float32), () if added is False else (notice,)


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays, prefix = _find(tree)
    encoder = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
    kind = _kind(encoder, _opts(tree).get("encoder_type"), options.get("encoder_type"))
    config = _config(encoder, kind)
    decoder = {n.removeprefix("decoder."): a for n, a in arrays.items() if n.startswith("decoder.")}
    found, rules, finish = dict(arrays), [], None
    unneeded = set(counters(arrays))
    notices: tuple[str, ...] = ()
    if decoder:
        inner = stylegan2_rosinality.generator_recipe(decoder, tree, options)
        codes = inner.config.num_convs + 1 if kind == "w" else config.num_codes
        config = replace(config, decoder=inner.config, num_codes=codes)
        found |= {f"decoder.{name}": array for name, array in inner.arrays.items()}
        rules = [
            r._replace(source=f"decoder.{r.source}", target=f"decoder/{r.target}")
            for r in inner.rules
        ]
        unneeded |= {f"decoder.{name}" for name in inner.unneeded}
        notices, finish = inner.notices, _finish_decoder(inner.finish)
    for rule in (*_backbone_rules(config), *_reader_rules(config)):
        rules.append(rule._replace(source=f"{prefix}{rule.source}"))
    found["latent_avg"], more = _mean(tree, config.code_dim)
    rules.append(Rule("latent_avg", "latent_avg", _mean_rows(config)))
    return Recipe(config, rules, found, unneeded, (*notices, *more), finish)


def _finish_decoder(finish: Callable[[Any], None] | None) -> Callable[[Any], None] | None:
    return None if finish is None else lambda encoder: finish(encoder.decoder)


def _type(text: str) -> str:
    if text not in _TYPES:
        raise ValueError(f"expected one of {', '.join(_TYPES)}")
    return _TYPES[text]


FORMAT = Format(
    name="psp-e4e",
    title="eladrich/pixel2style2pixel and omertov/encoder4editing",
    license="MIT code; decoders converted from NVIDIA's weights keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "encoder_type": Option(_type, "class of the encoder, asked for if opts do not tell it"),
        **stylegan2_rosinality.FORMAT.options,
    },
)
