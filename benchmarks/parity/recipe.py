"""The weights of goldens too large to be stored: made of a seed and each array's name."""

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def arrays(layout: Mapping[str, Sequence[int]], recipe: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns a state dict; the goldens' README.md states the recipe."""
    return {name: _array(name, tuple(shape), recipe) for name, shape in layout.items()}


def _matching(name: str, table: Sequence[tuple[str, float]], default: float) -> float:
    return next((value for suffix, value in table if name.endswith(suffix)), default)


def _array(name: str, shape: tuple[int, ...], recipe: Mapping[str, Any]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.array(1)
    seed = (zlib.crc32(name.encode()) ^ recipe["seed"]) & 0xFFFFFFFF
    normal = np.random.RandomState(seed).standard_normal(shape)
    clipped = np.clip(normal, -2, 2)
    if name.endswith("running_mean") or name.endswith("bias"):
        array = 0.1 * normal
    elif name.endswith("running_var"):
        array = 1 + 0.25 * clipped
    elif len(shape) >= 2:
        gain = _matching(name, recipe.get("gains", ()), recipe.get("gain", math.sqrt(2)))
        array = normal * gain / math.sqrt(math.prod(shape[1:]))
    elif name.endswith(tuple(recipe.get("prelu", ()))):
        array = 0.25 + 0.05 * clipped
    else:
        array = _matching(name, recipe.get("bn_base", ()), 1.0) * (1 + 0.2 * clipped)
    return array.astype(np.float32)
