"""Directions of other projects' files -> `Directions`, read safely, with all that the files tell.

Known are boundaries of InterFaceGAN and its followers (arrays in `.npy` or `.pt`), those of HiGAN
and idinvert (dictionaries with layers), and principal components of GANSpace (`.npz`) and of
e4e and PTI (`.pt`).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from converters.errors import ConversionError
from converters.reader import read_checkpoint
from converters.rules import is_numeric
from jaxlatent.arguments import indices
from jaxlatent.directions import Directions
from jaxlatent.errors import UserError, listed

_LARGEST = float(np.finfo(np.float32).max)
_MAX_NUMBERS = 1 << 27
_LONGEST_NOTE = 1000


def import_directions(
    path: str | os.PathLike[str], space: str = "", names: Sequence[str] | None = None
) -> Directions:
    """Reads directions from a file of another project; nothing in it is executed.

    Vectors are scaled to unit length and their lengths kept as `scale`, so that an edit by some
    amount is the original's: a row for each of L layers, each of length 1, has the scale L ** 0.5.
    Principal components take the file's standard deviations instead, as the original's "sigma".

    Args:
        path: the file.
        space: the space they live in, which no such file tells.
        names: one for each direction; the file's name, numbered if there are several, otherwise.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it cannot be read; as `ConversionError` if what it holds are no
            directions of a known kind, saying what was found.
        UserError: if there is no such space, or the names do not fit.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "smile.npy")
        >>> np.save(path, np.array([[3.0, 4.0]]))
        >>> directions = import_directions(path, space="w")
        >>> directions.names, directions.vectors.round(1).tolist(), directions.scale.tolist()
        (('smile',), [[[0.6000000238418579, 0.800000011920929]]], [5.0])
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.container == "safetensors":
        raise ConversionError(f"{path}: for directions saved by this library, use Directions.load")
    try:
        kind = next((k for k, matches, _ in _KINDS if matches(checkpoint.tree)), None)
        if kind is None:
            raise ConversionError(
                "no directions of a known kind: a boundary [d], [k, d] or [k, layers, d], a "
                "dictionary with boundary and meta_data, or principal components (comp, mean, "
                "std; or lat_comp, lat_mean, lat_stdev) were expected, got "
                f"{_seen(checkpoint.tree)}"
            )
        fields = next(read for k, _, read in _KINDS if k == kind)(checkpoint.tree)
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from None
    k, stem = len(fields["vectors"]), Path(path).stem
    fields.setdefault("parameters", {})
    fields["parameters"] |= {"file": Path(path).name, "kind": kind, "sha256": checkpoint.sha256}
    numbered = [f"{stem} {i}" for i in range(k)] if k > 1 else [stem]
    return Directions.of(names=names or numbered, space=space, method="imported", **fields)


def _is_boundary(tree: Any) -> bool:
    return isinstance(tree, np.ndarray)


def _boundary(tree: Any) -> dict[str, Any]:
    vectors = _vectors("the boundary", tree)
    units, lengths = _normalised(vectors)
    return {"vectors": units, "scale": lengths}


def _is_layered(tree: Any) -> bool:
    return isinstance(tree, Mapping) and "boundary" in tree


def _layered(tree: Any) -> dict[str, Any]:
    fields = _boundary(tree["boundary"])
    meta = tree.get("meta_data")
    if not isinstance(meta, Mapping):
        raise ConversionError(f"meta_data must be a dictionary, got {_seen(meta)}")
    fields["layers"] = _layers(meta.get("manipulate_layers"))
    rows = fields["vectors"].shape[1]
    if rows > 1 and any(i >= rows for i in fields["layers"]):
        raise ConversionError(f"layers {fields['layers']} of a boundary with {rows} rows")
    plain = {k: v for k, v in meta.items() if isinstance(k, str) and isinstance(v, str | int)}
    kept = {k: v for k, v in plain.items() if len(f"{k}{v}") < _LONGEST_NOTE}
    fields["parameters"] = {"meta_data": kept}
    return fields


def _layers(value: Any) -> tuple[int, ...]:
    """Returns the numbers in "6-11", [6, 7] or an array; none stands for all."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, str):
        try:
            found = indices(value, "manipulate_layers", 1 << 10)
        except UserError as error:
            raise ConversionError(str(error)) from None
    else:
        found = value.tolist() if isinstance(value, np.ndarray) else value
        found = list(found) if isinstance(found, list | tuple) else [found]
    if not all(type(i) is int and 0 <= i < 1 << 10 for i in found):
        raise ConversionError(f"manipulate_layers must be numbers of layers, got {_seen(value)}")
    return tuple(sorted(set(found)))


def _is_components(tree: Any) -> bool:
    return isinstance(tree, Mapping) and ("comp" in tree or "lat_comp" in tree)


def _components(tree: Any) -> dict[str, Any]:
    prefix, deviation = ("lat_", "stdev") if "lat_comp" in tree else ("", "std")
    wanted = [f"{prefix}comp", f"{prefix}mean", f"{prefix}{deviation}"]
    missing = [name for name in wanted if not isinstance(tree.get(name), np.ndarray)]
    if missing:
        raise ConversionError(f"principal components without the arrays {', '.join(missing)}")
    vectors = _vectors(wanted[0], tree[wanted[0]])
    k, m, d = vectors.shape
    mean = _numbers(wanted[1], tree[wanted[1]])
    deviations = _numbers(wanted[2], tree[wanted[2]]).reshape(-1)
    problems = []
    if mean.size not in (d, m * d):
        problems.append(f"{wanted[1]} must have {m * d} numbers, got {list(mean.shape)}")
    if deviations.shape != (k,) or not (deviations > 0).all():
        problems.append(f"{wanted[2]} must be {k} positive numbers")
    if problems:
        raise ConversionError("; ".join(problems))
    ranks = deviations  # in z these are all 1, and the activations' rank the components
    if isinstance(tree.get("act_stdev"), np.ndarray) and tree["act_stdev"].size == k:
        ranks = _numbers("act_stdev", tree["act_stdev"]).reshape(-1)
    order = np.argsort(-ranks, kind="stable")
    units, _ = _normalised(vectors)
    fields: dict[str, Any] = {
        "vectors": units[order],
        "mean": mean.reshape(-1, d).astype(np.float32),
        "scale": deviations[order].astype(np.float32),
        "scores": (ranks[order] ** 2).astype(np.float32),
    }
    share = tree.get("var_ratio")
    if isinstance(share, np.ndarray) and share.shape == (k,):
        ratios = _numbers("var_ratio", share)[order]
        fields["parameters"] = {"variance_ratio": ratios.tolist()}
    return fields


_KINDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], dict[str, Any]]], ...] = (
    ("boundary", _is_boundary, _boundary),
    ("boundary with layers", _is_layered, _layered),
    ("principal components", _is_components, _components),
)


def _numbers(name: str, array: Any) -> Float[np.ndarray, "..."]:
    """Returns an array as float64, or raises what is wrong with it."""
    if not isinstance(array, np.ndarray) or not is_numeric(array.dtype):
        raise ConversionError(f"{name} must be an array of numbers, got {_seen(array)}")
    if not 0 < array.size <= _MAX_NUMBERS:
        raise ConversionError(f"{name} has {array.size} numbers")
    found = array.astype(np.float64)
    if not (np.abs(found) <= _LARGEST).all():
        raise ConversionError(f"{name} has numbers that are not finite or beyond float32")
    return found


def _vectors(name: str, array: Any) -> Float[np.ndarray, "k m d"]:
    found = _numbers(name, array)
    if found.ndim not in (1, 2, 3):
        raise ConversionError(
            f"{name} must be [d], [k, d] or [k, layers, d], got {list(found.shape)}"
        )
    return found if found.ndim == 3 else np.atleast_2d(found)[:, None]


def _normalised(
    vectors: Float[np.ndarray, "k m d"],
) -> tuple[Float[np.ndarray, "k m d"], Float[np.ndarray, " k"]]:
    lengths = np.linalg.norm(vectors.reshape(len(vectors), -1), axis=1)
    if not lengths.all():
        raise ConversionError("holds a zero vector, which is no direction")
    return (vectors / lengths[:, None, None]).astype(np.float32), lengths.astype(np.float32)


def _seen(tree: Any) -> str:
    """Describes what a file held, in a few words."""
    if isinstance(tree, Mapping):
        return f"a dictionary of {listed([str(key)[:80] for key in tree], 8) or 'nothing'}"
    if isinstance(tree, np.ndarray):
        return f"an array {list(tree.shape)} of {tree.dtype}"
    return f"a {type(tree).__name__}"
