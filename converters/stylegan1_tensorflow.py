"""StyleGAN pickles of NVIDIA's TensorFlow code, NVlabs/stylegan."""

from collections.abc import Mapping
from typing import Any

from converters.arrays import MAX_BLOCKS, MAX_LAYERS, Arrays, extent, fits, number_of
from converters.formats import Format, Recipe
from converters.progressive import flipped_tensorflow_conv, growing, is_fused, level_of_detail
from converters.rules import Rule, Transform, chain, channels_last, first, same
from converters.stylegan2_nvidia import taps
from converters.tensorflow import (
    Network,
    check_settings,
    filter_setting,
    read_network,
    setting,
)
from jaxlatent.generators import StyleGAN1Config

_MARKS = (
    *("mapping/Dense0/weight", "synthesis/4x4/Const/const"),
    *("synthesis/4x4/Const/StyleMod/weight", "synthesis/ToRGB_lod0/weight"),
)
_NEEDED = {
    "fused_scale": (True, False, "auto"),
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "use_pixel_norm": (False,),
    **dict.fromkeys(("use_wscale", "normalize_latents", "use_styles", "use_noise"), (True,)),
    **dict.fromkeys(("use_instance_norm", "const_input_layer"), (True,)),
}
_READ = ("mapping_lrmul", "blur_filter")


def _find(tree: Any) -> Network:
    return read_network(tree, _MARKS)


def _side(block: int) -> str:
    return f"synthesis/{4 << block}x{4 << block}"


def _config(arrays: Arrays, settings: Mapping[str, Any], level: float) -> StyleGAN1Config:
    blocks = number_of(arrays, lambda i: f"{_side(i)}/Conv1/weight", MAX_BLOCKS, "resolutions")
    layers = number_of(arrays, lambda i: f"mapping/Dense{i}/weight", MAX_LAYERS, "mapping layers")
    label = "mapping/LabelConcat/weight"
    embed_dim = extent(arrays, label, 1) if label in arrays else 0
    widths = tuple(extent(arrays, f"mapping/Dense{i}/weight", 1) for i in range(layers))
    plain = [f"{_side(i)}/{'Conv1' if i else 'Conv'}/weight" for i in range(blocks)]
    blur = settings.get("blur_filter", (1, 2, 1))
    if blur is None or (isinstance(blur, (list, tuple)) and not blur):
        blur_taps: tuple[float, ...] = (1.0,)
    else:
        blur_taps = taps(filter_setting(settings, "blur_filter", (1, 2, 1)))
    return StyleGAN1Config(
        channels=tuple(extent(arrays, name, 3) for name in plain),
        z_dim=extent(arrays, "mapping/Dense0/weight", 0) - embed_dim,
        w_dim=widths[-1],
        c_dim=extent(arrays, label, 0) if embed_dim else 0,
        embed_dim=embed_dim,
        img_channels=extent(arrays, "synthesis/ToRGB_lod0/weight", 3),
        mapping_widths=widths,
        mapping_lr_multiplier=float(setting(settings, "mapping_lrmul", (int, float), 0.01)),
        blur_filter=blur_taps,
        all_images=blocks == 1 or "synthesis/ToRGB_lod1/weight" in arrays,
        lod=level,
        has_w_avg="dlatent_avg" in arrays,
    )


def _layer(source: str, target: str, index: int, kernel: Transform | None) -> list[Rule]:
    rules = [
        Rule(f"{source}/bias", f"{target}/bias"),
        Rule(f"{source}/Noise/weight", f"{target}/noise_strength"),
        Rule(f"{source}/StyleMod/weight", f"{target}/affine/weight"),
        Rule(f"{source}/StyleMod/bias", f"{target}/affine/bias"),
        Rule(f"synthesis/noise{index}", f"{target}/noise", chain(first, first)),
    ]
    if kernel is not None:
        rules.append(Rule(f"{source}/weight", f"{target}/kernel", kernel))
    return rules


def _rules(config: StyleGAN1Config, fused_scale: str) -> list[Rule]:
    rules = [Rule("synthesis/4x4/Const/const", "const", chain(first, channels_last))]
    for i in range(len(config.mapping_widths)):
        rules.append(Rule(f"mapping/Dense{i}/weight", f"mapping/layers/{i}/weight"))
        rules.append(Rule(f"mapping/Dense{i}/bias", f"mapping/layers/{i}/bias"))
    if config.c_dim:
        rules.append(Rule("mapping/LabelConcat/weight", "mapping/embed"))
    if config.has_w_avg:
        rules.append(Rule("dlatent_avg", "mapping/w_avg"))
    blocks = len(config.channels)
    for i in range(blocks):
        names = ("Conv0_up", "Conv1") if i else ("Const", "Conv")
        up = flipped_tensorflow_conv if is_fused(fused_scale, i) else same
        kernels = (up if i else None, same)
        for j, (name, kernel) in enumerate(zip(names, kernels, strict=True)):
            rules += _layer(f"{_side(i)}/{name}", f"blocks/{i}/layers/{j}", 2 * i + j, kernel)
        if config.all_images or i == blocks - 1:
            image = f"synthesis/ToRGB_lod{blocks - 1 - i}"
            rules.append(Rule(f"{image}/weight", f"blocks/{i}/torgb/kernel"))
            rules.append(Rule(f"{image}/bias", f"blocks/{i}/torgb/bias"))
    return rules


def _recipe(tree: Any, options: Mapping[str, Any]) -> Recipe:
    arrays, settings = _find(tree)
    notices = check_settings(settings, _NEEDED, _READ)
    level = level_of_detail(arrays, "lod")
    config = _config(arrays, settings, level)
    fused = {True: "true", False: "false"}.get(settings.get("fused_scale", "auto"), "auto")
    rules = _rules(config, fused)
    return Recipe(config, rules, arrays, ("lod", "synthesis/lod"), (*notices, *growing(level)))


FORMAT = Format(
    name="nvidia-tf-stylegan1",
    title="NVlabs/stylegan, TensorFlow pickles",
    license="CC BY-NC 4.0 for NVIDIA's own weights",
    matches=lambda tree: fits(lambda: _find(tree)),
    recipe=_recipe,
    options={},
)
