"""Semantic directions as data: vectors with names, scores, units, sign and provenance."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.errors import UserError, listed
from jaxlatent.files import atomic_file, read_npy
from jaxlatent.generators import Generator
from jaxlatent.parameters import fingerprint

Stage = Literal["before", "after"]
ArrayLike = Array | np.ndarray

_ARRAYS = ("vectors", "scores", "mean", "scale", "intercept")
_FORMAT = "jaxlatent-directions-1"


def _json(value: Any) -> str:
    """Writes JSON; NumPy's numbers become Python's."""
    return json.dumps(value, sort_keys=True, default=lambda number: number.item())


class FingerprintWarning(UserWarning):
    """Directions are used with another generator than the one they were found in."""


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True, eq=False, repr=False)
class Directions:
    """`k` directions in one latent space, in the order of their scores.

    A position along direction `i` is measured as `((code - mean) . vector_i + intercept_i) /
    scale_i`: an edit by 1 moves a code by `scale_i * vector_i`.

    Attributes:
        vectors: [k, m, d] with m = 1 (the same for every layer) or m = L (a row for each layer).
        scores: [k] or [k, m], what the method ranks by; largest first.
        mean: [m, d] or [1, d], where positions are measured from.
        scale: [k], length of one unit.
        intercept: [k], of the boundary that a direction is the normal of; 0 for others.
        names: one for each direction.
        space: "z", "z+" (z for each layer), "w", "w+" or "s" (the channels' styles, see
            `jaxlatent.generators.StyleSpace`); empty until bound to a generator.
        stage: whether moves act "before" or "after" truncation, unless an `Edit` says otherwise.
        layers: the layers that the directions were found for; empty for all.
        sign_anchor: how the sign was fixed.
        method: the finder's name.
        parameters: its settings, as JSON values.
        fingerprint: of the generator's weights; empty if unknown.
    """

    vectors: Float[ArrayLike, "k m d"]
    scores: Float[ArrayLike, " k"] | Float[ArrayLike, "k m"]
    mean: Float[ArrayLike, "m2 d"]
    scale: Float[ArrayLike, " k"]
    intercept: Float[ArrayLike, " k"]
    names: tuple[str, ...]
    space: str = ""
    stage: Stage = "after"
    layers: tuple[int, ...] = ()
    sign_anchor: str = ""
    method: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def __post_init__(self) -> None:
        problems = []
        if self.vectors.ndim != 3:
            problems.append(f"vectors must be [k, layers or 1, d], got {list(self.vectors.shape)}")
        else:
            k, m, d = self.vectors.shape
            if not k:
                problems.append("there are none")
            expected = {
                "scores": ((k,), (k, m)),
                "mean": ((1, d), (m, d)),
                "scale": ((k,),),
                "intercept": ((k,),),
            }
            for name, shapes in expected.items():
                shape = getattr(self, name).shape
                if shape not in shapes:
                    problems.append(f"{name} must be {list(shapes[0])}, got {list(shape)}")
            if len(self.names) != k:
                problems.append(f"{k} names are needed, got {len(self.names)}")
            if self.space == "w" and m > 1:
                problems.append(f"a direction in w has one row, got {m}; {m} rows are in w+")
        problems += self._odd_numbers()
        if not all(isinstance(name, str) for name in self.names):
            problems.append(f"names must be text, got {self.names}")
        if not isinstance(self.parameters, Mapping) or not isinstance(self.fingerprint, str):
            problems.append("parameters must be a mapping and the fingerprint text")
        if not all(isinstance(i, (int, np.integer)) for i in self.layers):
            problems.append(f"layers must be numbers, got {self.layers}")
        if self.space not in ("", "z", "z+", "w", "w+", "s"):
            problems.append(f"space must be z, z+, w, w+ or s, got {self.space!r}")
        if self.stage not in ("before", "after"):
            problems.append(f"stage must be before or after, got {self.stage!r}")
        if problems:
            raise UserError(f"not a set of directions: {'; '.join(problems)}")

    def _odd_numbers(self) -> list[str]:
        """Returns what is wrong with the values, where they are known (not traced)."""
        known = [n for n in _ARRAYS if not isinstance(getattr(self, n), jax.core.Tracer)]
        odd = [n for n in known if not np.isfinite(np.asarray(getattr(self, n), np.float32)).all()]
        problems = [f"{name} holds numbers that are not finite" for name in odd]
        if "scale" in known and not np.all(self.scale):
            problems.append("a scale is 0")
        return problems

    @classmethod
    def of(
        cls,
        vectors: Float[ArrayLike, "k m d"],
        scores: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        **fields: Any,
    ) -> "Directions":
        """Returns directions with what is not given filled in: zero mean, unit scale, numbers.

        Example:
            >>> Directions.of(np.eye(4)[:2, None], names=["smile", "age"]).names
            ('smile', 'age')
        """
        if vectors.ndim != 3:
            raise UserError(f"vectors must be [k, layers or 1, d], got {list(vectors.shape)}")
        k, _, d = vectors.shape
        defaults = {
            "mean": jnp.zeros((1, d)),
            "scale": jnp.ones(k),
            "intercept": jnp.zeros(k),
        }
        return cls(
            vectors=vectors,
            scores=jnp.zeros(k) if scores is None else scores,
            names=tuple(names or (f"{fields.get('method') or 'direction'} {i}" for i in range(k))),
            **(defaults | fields),
        )

    def __repr__(self) -> str:
        k, m, d = self.vectors.shape
        where = f"{self.space or 'unbound'}, [{m}, {d}] each"
        return (
            f"Directions({k} by {self.method or 'hand'} in {where}: {listed(list(self.names), 5)})"
        )

    def __len__(self) -> int:
        return self.vectors.shape[0]

    def __iter__(self) -> Iterator["Directions"]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, indices: int | Sequence[int] | np.ndarray | slice) -> "Directions":
        """Returns the directions at `indices`, in that order; for one number, that one alone."""
        if isinstance(indices, slice):
            chosen = list(range(len(self)))[indices]
        else:
            chosen = [int(i) for i in np.atleast_1d(np.asarray(indices))]
        wrong = [i for i in chosen if not 0 <= i < len(self)]
        if wrong or not len(chosen):
            raise UserError(f"directions are numbered 0 to {len(self) - 1}, got {list(chosen)}")
        picked = {
            name: getattr(self, name)[np.asarray(chosen)]
            for name in ("vectors", "scores", "scale", "intercept")
        }
        return replace(self, names=tuple(self.names[i] for i in chosen), **picked)

    def index(self, name: str) -> int:
        """Returns the number of the direction called `name`."""
        if name not in self.names:
            raise UserError(f"no direction {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def bind(
        self,
        generator: Generator,
        layers: Sequence[int] | None = None,
        space: str | None = None,
    ) -> "Directions":
        """Returns the directions marked as found in `generator`.

        Args:
            generator: the generator whose weights or codes the finder was given.
            layers: the layers that it was given; `None` for all. Directions with a row for each
                of them get zero rows for the others.
            space: where they live; `None` for the space of the generator's codes.

        Raises:
            UserError: if the directions' width or layers are not those of the generator.
        """
        kept = () if layers is None else generator.select_layers(layers)
        vectors, scores = self.vectors, self.scores
        k, m, d = vectors.shape
        if 1 < m == len(kept):
            rows = jnp.zeros((k, generator.num_layers, d), vectors.dtype)
            vectors = rows.at[:, jnp.array(kept)].set(vectors)
            if scores.ndim == 2:
                scores = jnp.zeros((k, generator.num_layers)).at[:, jnp.array(kept)].set(scores)
        if space is None:
            names = list(generator.spaces)
            space = names[-1] if m > 1 else names[min(1, len(names) - 1)]
        bound = replace(
            self,
            vectors=vectors,
            scores=scores,
            space=space,
            layers=kept,
            fingerprint=fingerprint(generator),
        )
        bound.check(generator)
        return bound

    def check(self, generator: Generator) -> None:
        """Makes sure that the directions can be used with `generator`.

        Raises:
            UserError: if the space, the width or the number of layers differs.

        Warns:
            FingerprintWarning: if they were found in other weights.
        """
        _, m, d = self.vectors.shape
        spaces = generator.spaces
        if self.space and self.space not in spaces:
            raise UserError(
                f"these directions are in space {self.space}; the generator has {', '.join(spaces)}"
            )
        width = spaces[self.space][1] if self.space else generator.code_dim
        if d != width:
            raise UserError(
                f"these directions have width {d}; the generator's space "
                f"{self.space or list(spaces)[-1]} has width {width}"
            )
        layers = 1 if self.space == "z" else generator.num_layers
        if m not in (1, layers):
            raise UserError(f"these directions have {m} layers; the generator has {layers}")
        if any(not 0 <= i < layers for i in self.layers):
            raise UserError(f"these directions are for layers {self.layers}; there are {layers}")
        if self.fingerprint and fingerprint(generator) not in ("", self.fingerprint):
            warnings.warn(
                f"these directions were found in a generator {self.fingerprint}, not in this one",
                FingerprintWarning,
                stacklevel=3,
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one safetensors file; all but the arrays is JSON in its metadata.

        Raises:
            UserError: if the file cannot be written.
        """
        from safetensors.numpy import save

        arrays = {n: np.ascontiguousarray(jax.device_get(getattr(self, n))) for n in _ARRAYS}
        fields = {n: getattr(self, n) for n in self.__dataclass_fields__ if n not in _ARRAYS}
        fields["parameters"] = dict(self.parameters)
        with atomic_file(path) as temporary:
            metadata = {"format": _FORMAT, "directions": _json(fields)}
            temporary.write_bytes(save(arrays, metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str], space: str = "") -> "Directions":
        """Reads directions from a file by `save`, or a bare `.npy` boundary (see `from_npy`).

        Raises:
            FileNotFoundError: if there is no such file.
            UserError: if it holds no directions.
        """
        if Path(path).is_dir():
            raise UserError(f"{path} is a folder; a file of directions was expected")
        if not Path(path).is_file():
            raise FileNotFoundError(f"no such file: {path}")
        if Path(path).suffix == ".npy":
            return cls.from_npy(path, space)
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise UserError(f"{path} is a safetensors file without directions")
                arrays = {name: file.get_tensor(name) for name in _ARRAYS}
            fields = json.loads(metadata["directions"])
            fields["names"], fields["layers"] = tuple(fields["names"]), tuple(fields["layers"])
            return cls(**arrays, **fields)
        except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{path} holds no directions: {error}") from None

    @classmethod
    def from_npy(
        cls,
        path: str | os.PathLike[str],
        space: str = "",
        names: Sequence[str] | None = None,
    ) -> "Directions":
        """Imports bare boundary vectors such as InterFaceGAN's `.npy` files.

        Args:
            path: an array [d], [k, d] or [k, layers, d]. Vectors are scaled to unit length and
                their lengths kept as `scale`, so that an edit by some amount is the original's.
            space: the space they live in, which such a file does not tell.
            names: one for each direction; the file's name otherwise.

        Raises:
            UserError: if the file is no such array, or holds a zero vector.
        """
        array = read_npy(path)
        if array.ndim not in (1, 2, 3):
            raise UserError(f"{path}: an array [d], [k, d] or [k, layers, d] was expected")
        vectors = array if array.ndim == 3 else np.atleast_2d(array)[:, None]
        norms = np.linalg.norm(vectors.reshape(len(vectors), -1).astype(np.float64), axis=1)
        if not norms.all():
            raise UserError(f"{path}: holds a zero vector, which is no direction")
        stem = Path(path).stem
        numbered = [f"{stem} {i}" for i in range(len(norms))]
        return cls.of(
            (vectors / norms[:, None, None]).astype(np.float32),
            scale=norms.astype(np.float32),
            names=names or (numbered if len(norms) > 1 else [stem]),
            space=space,
            method="imported",
            parameters={"file": Path(path).name},
        )

    def tree_flatten_with_keys(self) -> tuple[Any, Any]:
        """Splits arrays from descriptions, for JAX."""
        children = [(jax.tree_util.GetAttrKey(n), getattr(self, n)) for n in _ARRAYS]
        rest = [n for n in self.__dataclass_fields__ if n not in (*_ARRAYS, "parameters")]
        fields = tuple((n, getattr(self, n)) for n in rest)
        return children, (fields, _json(dict(self.parameters)))

    @classmethod
    def tree_unflatten(cls, rest: Any, children: Sequence[Any]) -> "Directions":
        """Joins them again without checks: the arrays may be tracers or placeholders."""
        fields, parameters = rest
        directions = object.__new__(cls)
        values = dict(zip(_ARRAYS, children, strict=True)) | dict(fields)
        values["parameters"] = json.loads(parameters)
        for name, value in values.items():
            object.__setattr__(directions, name, value)
        return directions
