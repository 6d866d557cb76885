"""Where the goldens are, and how to load one with its generator."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from converters import convert

OWN = Path(__file__).parents[1] / "goldens"
LARGER = Path(os.environ.get("JAXLATENT_GOLDENS", Path(__file__).parents[3] / "shared" / "goldens"))
FAMILIES = ("ada_", "sg3repo_stylegan2_", "rosinality_", "dcgan_")
OPTIONS = {"dcgan_mnist28": {"image_size": "28"}, "dcgan_cifar32_gray": {"image_size": "32"}}


def names(*prefixes: str) -> list[str]:
    """Returns the goldens of these families: our own, then those of the larger set."""
    folders = [*OWN.iterdir(), *(LARGER.iterdir() if LARGER.is_dir() else ())]
    return sorted({f.name for f in folders if f.is_dir() and f.name.startswith(prefixes)})


@cache
def load(name: str) -> tuple[Any, dict[str, np.ndarray], dict[str, Any]]:
    """Returns generator, arrays and meta of a golden."""
    folder = OWN / name if (OWN / name).is_dir() else LARGER / name
    arrays = dict(np.load(folder / "golden.npz"))
    meta = json.loads((folder / "meta.json").read_text())
    (file,) = (f for f in folder.iterdir() if f.suffix in (".pkl", ".pt", ".pth"))
    generator = convert(file, options=OPTIONS.get(name)).generator
    if "latent_avg" in arrays:  # training checkpoints have no mean of w; the golden brings it
        generator.mapping.w_avg[...] = jnp.asarray(arrays["latent_avg"])
    return generator, arrays, meta


def nchw(images: Any) -> np.ndarray:
    return np.asarray(images).transpose(0, 3, 1, 2)
