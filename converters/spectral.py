"""Spectral normalisation folded into the weights, in float64, as each lineage computes it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converters.errors import ConversionError
from converters.rules import is_numeric
from jaxlatent.errors import listed

Arrays = Mapping[str, np.ndarray]


def fold_stored(arrays: Arrays) -> dict[str, np.ndarray]:
    """Folds torch's `spectral_norm`: `weight_orig / (u . W v)` with the stored vectors.

    Args:
        arrays: by name; those of a layer are `weight_orig`, `weight_u`, `weight_v`.

    Returns:
        The arrays with one `weight`, float64, in place of each three.

    Raises:
        ConversionError: naming the layers whose vectors are missing or do not fit.

    Example:
        >>> layer = {"weight_orig": np.eye(2), "weight_u": np.ones(2), "weight_v": np.ones(2)}
        >>> fold_stored({f"a.{k}": v for k, v in layer.items()})["a.weight"].tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """

    def sigma(matrix: np.ndarray, layer: Callable[[str], np.ndarray]) -> Any:
        return layer("weight_u") @ matrix @ layer("weight_v")

    return _folded(arrays, "weight_orig", ("weight_u", "weight_v"), (), sigma)


def fold_power_step(arrays: Arrays) -> dict[str, np.ndarray]:
    """Folds BigGAN-PyTorch's: one power step from `u0`, whose `|W v|` divides the weight.

    Args:
        arrays: by name; a layer with `u0` is normalised, its other vectors have no effect.

    Returns:
        The arrays with `weight`, float64, divided, and without `u0`, `sv0`, `u1`, ...

    Raises:
        ConversionError: naming the layers whose vectors do not fit.

    Example:
        >>> fold_power_step({"a.weight": 2 * np.eye(2), "a.u0": np.ones((1, 2))})["a.weight"]
        array([[1., 0.], [0., 1.]])
    """

    def sigma(matrix: np.ndarray, layer: Callable[[str], np.ndarray]) -> Any:
        v = layer("u0").reshape(-1) @ matrix
        return np.linalg.norm(matrix @ (v / np.linalg.norm(v)))

    extra = tuple(f"{kind}{i}" for kind in ("u", "sv") for i in range(10))
    return _folded(arrays, "weight", ("u0",), extra, sigma)


def _folded(
    arrays: Arrays,
    weight: str,
    vectors: tuple[str, ...],
    extra: tuple[str, ...],
    sigma: Callable[[np.ndarray, Callable[[str], np.ndarray]], Any],
) -> dict[str, np.ndarray]:
    folded, dropped, problems = dict(arrays), {weight, *vectors, *extra}, []
    for name in arrays:
        owner, dot, leaf = name.rpartition(".")
        if leaf != vectors[0] or f"{owner}{dot}{weight}" not in arrays:
            continue
        layer = {k: arrays[f"{owner}{dot}{k}"] for k in dropped if f"{owner}{dot}{k}" in arrays}
        try:
            value = _divided(layer, weight, vectors, sigma)
        except (KeyError, TypeError, ValueError):
            problems.append(owner)
            continue
        for leaf in layer:
            del folded[f"{owner}{dot}{leaf}"]
        folded[f"{owner}{dot}weight"] = value
    if problems:
        raise ConversionError(
            f"spectral norm: the vectors {', '.join(vectors)} are missing or do not fit the "
            f"weights of {listed(problems)}"
        )
    return folded


def _divided(
    layer: Arrays,
    weight: str,
    vectors: tuple[str, ...],
    sigma: Callable[[np.ndarray, Callable[[str], np.ndarray]], Any],
) -> np.ndarray:
    if not all(is_numeric(layer[name].dtype) for name in (weight, *vectors)):
        raise ValueError("not numbers")
    with np.errstate(all="ignore"):  # a norm of 0 gives infinity, which apply_rules reports
        values = layer[weight].astype(np.float64)
        divisor = sigma(values.reshape(len(values), -1), lambda k: layer[k].astype(np.float64))
        return values / divisor
