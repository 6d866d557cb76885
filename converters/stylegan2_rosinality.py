"""StyleGAN2 checkpoints of rosinality/stylegan2-pytorch, converted or from training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from converters.arrays import (
    MAX_BLOCKS,
    MAX_LAYERS,
    Arrays,
    averaging,
    bounded,
    counted,
    extent,
    find_arrays,
    fits,
    required,
    state_dicts,
)
from converters.errors import ConversionError
from converters.formats import Format, Recipe
from converters.options import MULTIPLIER, mapping_lr_multiplier
from converters.rules import (
    Rule,
    chain,
    channels_last,
    conv,
    first,
    flat,
    flipped_conv,
    scalar,
    transpose,
)
from converters.stylegan2_nvidia import taps
from jaxlatent.generators import StyleGAN2Config

_CONTAINERS = ("g_ema", "g")
AVERAGE_SAMPLES = 16_384
_MARKS = ("style.1.weight", "input.input", "convs.0.conv.weight", "to_rgb1.conv.weight")


def _find(tree: Any) -> Arrays:
    return find_arrays(tree, _CONTAINERS, _MARKS)


def _config(arrays: Arrays, lr_multiplier: float) -> StyleGAN2Config:
    convs = counted(arrays, "convs.{}.conv.weight".format)
    if convs % 2:
        raise ConversionError(f"{convs} layers convs.N; they come in pairs")
    bounded(1 + convs // 2, MAX_BLOCKS, "resolutions")
    layers = bounded(counted(arrays, "style.{}.weight".format, 1), MAX_LAYERS, "mapping layers")
    widths = tuple(extent(arrays, f"style.{i}.weight", 0) for i in range(1, layers + 1))
    plain = ["conv1", *(f"convs.{i}" for i in range(1, convs, 2))]
    return StyleGAN2Config(
        channels=tuple(extent(arrays, f"{name}.conv.weight", 1) for name in plain),
        z_dim=extent(arrays, "style.1.weight", 1),
        w_dim=widths[-1],
        img_channels=extent(arrays, "to_rgb1.conv.weight", 1),
        mapping_widths=widths,
        mapping_lr_multiplier=lr_multiplier,
        resample_filter=taps(required(arrays, "convs.0.conv.blur.kernel")),
        image_filter=taps(required(arrays, "to_rgbs.0.upsample.kernel")),
    )


def _styled_conv(source: str, target: str, noise: int, up: bool) -> list[Rule]:
    kernel = chain(first, flipped_conv if up else conv)
    return [
        Rule(f"{source}.conv.weight", f"{target}/kernel", kernel),
        Rule(f"{source}.conv.modulation.weight", f"{target}/affine/weight", transpose),
        Rule(f"{source}.conv.modulation.bias", f"{target}/affine/bias"),
        Rule(f"{source}.noise.weight", f"{target}/noise_strength", scalar),
        Rule(f"{source}.activate.bias", f"{target}/bias"),
        Rule(f"noises.noise_{noise}", f"{target}/noise", chain(first, first)),
    ]


def _rules(config: StyleGAN2Config) -> list[Rule]:
    rules = [
        Rule("latent_avg", "mapping/w_avg", flat),
        Rule("input.input", "const", chain(first, channels_last)),
    ]
    for i in range(len(config.mapping_widths)):
        rules.append(Rule(f"style.{i + 1}.weight", f"mapping/layers/{i}/weight", transpose))
        rules.append(Rule(f"style.{i + 1}.bias", f"mapping/layers/{i}/bias"))
    for i in range(len(config.channels)):
        target = f"blocks/{i}"
        if i:
            rules += _styled_conv(f"convs.{2 * i - 2}", f"{target}/conv0", 2 * i - 1, up=True)
        plain = f"convs.{2 * i - 1}" if i else "conv1"
        rules += _styled_conv(plain, f"{target}/conv1", 2 * i, up=False)
        rgb = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        rules += [
            Rule(f"{rgb}.conv.weight", f"{target}/torgb/kernel", chain(first, conv)),
            Rule(f"{rgb}.conv.modulation.weight", f"{target}/torgb/affine/weight", transpose),
            Rule(f"{rgb}.conv.modulation.bias", f"{target}/torgb/affine/bias"),
            Rule(f"{rgb}.bias", f"{target}/torgb/bias", flat),
        ]
    return rules


def average_w(generator: Any) -> None:
    """Estimates the mean of w, which some checkpoints lack."""
    z = generator.sample_z(jax.random.key(0), AVERAGE_SAMPLES)
    mean = jax.jit(lambda g, z: jnp.mean(g.map(z), axis=0))(generator, z)
    generator.mapping.w_avg[...] = mean


def _mean_w(tree: Any) -> tuple[np.ndarray | None, bool]:
    """Returns the mean of w in a file, and whether it varies, so that there is none.

    pSp and e4e store one for each layer, most often the same.
    """
    average = tree.get("latent_avg") if isinstance(tree, dict) else None
    if not isinstance(average, np.ndarray):
        return None, False
    rows = average if average.ndim == 2 else average.reshape(1, -1)
    if len(rows) == 1 or (len(rows) and (rows == rows[:1]).all()):
        return rows[0], False
    return None, len(rows) > 1


def generator_recipe(arrays: Arrays, tree: Any, options: Mapping[str, Any]) -> Recipe:
    """Returns the recipe of a generator.

    Args:
        arrays: the generator's, by their names in it.
        tree: what the file held, which may have a mean of w.
        options: those of this format.
    """
    arrays = dict(arrays)
    multiplier, notices = mapping_lr_multiplier(options, required(arrays, "style.1.weight"))
    config = _config(arrays, multiplier)
    finish = None
    average, varies = _mean_w(tree)
    if average is not None:
        arrays["latent_avg"] = average
    else:
        arrays["latent_avg"] = np.zeros(config.w_dim, np.float32)
        finish = average_w
        lack = "mean w, but one code for each layer" if varies else "mean w"
        notices.append(
            f"the file has no {lack}; estimated from {AVERAGE_SAMPLES} samples for truncation"
        )
    notices += averaging(tree, *_CONTAINERS)
    if not any(name.startswith("noises.") for name in arrays):
        for i in range(config.num_convs):
            side = 4 << ((i + 1) // 2)
            arrays[f"noises.noise_{i}"] = np.broadcast_to(np.float32(0), (1, 1, side, side))
        notices.append("the file has no constant noise maps; noise=const adds none")
    kernels = [k for k in arrays if k.endswith((".blur.kernel", ".upsample.kernel"))]
    return Recipe(config, _rules(config), arrays, kernels, tuple(notices), finish)


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    recipe = generator_recipe(_find(tree), tree, options)
    names = [name for arrays in state_dicts(tree, _CONTAINERS) for name in arrays]
    if any(name.startswith("encoder.") for name in names):
        left = "the encoder in the file is left out; the format psp-e4e reads it"
        return replace(recipe, notices=(*recipe.notices, left))
    return recipe


FORMAT = Format(
    name="rosinality-stylegan2",
    title="rosinality/stylegan2-pytorch",
    license="MIT code; weights converted from NVIDIA's keep NVIDIA's licence",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={
        "mapping_lr_multiplier": MULTIPLIER,
    },
)
