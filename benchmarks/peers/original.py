"""NVIDIA's own StyleGAN2, from a checkout that the user has: nothing of it is in this project."""

import importlib
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np

from converters.stylegan2_nvidia import rules_of
from jaxlatent.errors import listed
from jaxlatent.generators import StyleGAN2
from jaxlatent.parameters import parameters

ADA, SG3 = "training.networks", "training.networks_stylegan2"


def load(folder: Path) -> ModuleType:
    """Imports the module of a checkout of stylegan2-ada-pytorch or stylegan3 that has `Generator`.

    Raises:
        click.UsageError: if the folder has none, or it cannot be imported.
    """
    files = {name: folder.joinpath(*name.split(".")).with_suffix(".py") for name in (SG3, ADA)}
    names = [name for name, file in files.items() if file.is_file()]
    if not names:
        raise click.UsageError(
            f"{folder} has neither training/networks.py nor training/networks_stylegan2.py; "
            "name a checkout of NVlabs/stylegan2-ada-pytorch or NVlabs/stylegan3"
        )
    sys.path.insert(0, str(folder.resolve()))
    try:
        module = importlib.import_module(names[0])
    except Exception as error:  # of code that is not ours
        raise click.UsageError(f"{names[0]} of {folder} cannot be imported: {error}") from error
    if not hasattr(module, "Generator"):
        raise click.UsageError(f"{names[0]} of {folder} has no Generator")
    return module


def state_of(
    generator: StyleGAN2, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray[Any, Any]]:
    """Returns a generator's weights under the original's names: their conversion reversed.

    Each rule of the conversion moves numbers to other places; it is applied to the places.

    Args:
        generator: of the library.
        shapes: of the original's arrays; those of the filters are not in the result.

    Raises:
        click.UsageError: if names or shapes are not those of this generator.
    """
    rules, ours = rules_of(generator.config), parameters(generator)
    needed = {name for name in shapes if not name.endswith("resample_filter")}
    unlike = needed ^ {rule.source for rule in rules}
    found = {}
    for rule in rules:
        if rule.source in unlike:
            continue
        shape = shapes[rule.source]
        places = rule.transform(np.arange(math.prod(shape)).reshape(shape))
        if places.shape != ours[rule.target].shape:
            unlike.add(rule.source)
            continue
        found[rule.source] = np.zeros(shape, np.float32)
        found[rule.source].put(places, np.asarray(ours[rule.target]))
    if unlike:
        raise click.UsageError(
            f"the checkout's generator has other arrays: {listed(sorted(unlike))}"
        )
    return found


def torch_peers(generator: StyleGAN2, module: ModuleType) -> dict[str, Any]:
    """Returns the original from codes [n, L, d] to images [n, c, h, w], both ways to modulate."""
    torch: Any = importlib.import_module("torch")
    config = generator.config
    synthesis = {
        "channel_base": config.channels[-1] * config.resolution,
        "channel_max": max(config.channels),
        "num_fp16_res": 0,
        "conv_clamp": config.conv_clamp,
    }
    network = module.Generator(
        config.z_dim,
        config.c_dim,
        config.w_dim,
        config.resolution,
        config.img_channels,
        mapping_kwargs={"num_layers": len(config.mapping_widths)},
        **({"synthesis_kwargs": synthesis} if module.__name__ == ADA else synthesis),
    )
    shapes = {name: tuple(array.shape) for name, array in network.state_dict().items()}
    arrays = state_of(generator, shapes)
    network.load_state_dict({k: torch.from_numpy(a) for k, a in arrays.items()}, strict=False)

    class Synthesis(torch.nn.Module):
        def __init__(self, fused: bool) -> None:
            super().__init__()
            self.synthesis, self.fused = network.synthesis, fused

        def forward(self, codes: Any) -> Any:
            settings = {"noise_mode": "const", "force_fp32": True, "fused_modconv": self.fused}
            return self.synthesis(codes, **settings)

    kinds = {"original fused": True, "original shared": False}
    return {name: Synthesis(fused).eval().requires_grad_(False) for name, fused in kinds.items()}
