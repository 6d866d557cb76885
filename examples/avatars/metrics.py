"""The table of a run's metrics, a row each few steps, and pictures of what it draws."""

import csv
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from examples.avatars.adversarial import Recipe, as_generator
from jaxlatent.files import atomic_file
from jaxlatent.generators import StyleGAN2
from jaxlatent.sheet import grid

_SAMPLES, _COLUMNS = 60, 12
_FOR_MEAN = 4096  # samples of w that are averaged


class Table:
    """A CSV file that grows by rows; resuming drops the rows after the checkpoint."""

    def __init__(self, path: str | os.PathLike[str], step: int) -> None:
        self._path = Path(path)
        self._columns: list[str] = []
        if self._path.is_file():
            with self._path.open(newline="") as file:
                header, *rows = list(csv.reader(file)) or [[]]
            kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= step]
            self._columns = header
            with atomic_file(self._path) as temporary, temporary.open("w", newline="") as file:
                csv.writer(file).writerows([header, *kept] if kept else [])
            self._columns = header if kept else []

    def append(self, row: dict[str, Any]) -> None:
        """Adds a row, the first of whose columns is the step."""
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file)
            if not self._columns:
                self._columns = list(row)
                writer.writerow(self._columns)
            writer.writerow([row[name] for name in self._columns])


def with_mean(generator: StyleGAN2) -> StyleGAN2:
    """Sets the generator's mean w, which truncation needs, to that of many samples."""
    z = generator.sample_z(jax.random.key(0), _FOR_MEAN)
    generator.mapping.w_avg[...] = generator.map(z).mean(0)
    return generator


@jax.jit
def samples(generator: StyleGAN2, psi: float) -> Float[Array, "n h w c"]:
    """Renders the samples of key 1, truncated."""
    codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(1), _SAMPLES)))
    return generator.synthesize(generator.truncate(codes, psi), "none")


def save_grid(recipe: Recipe, parameters: Any, path: str | os.PathLike[str]) -> None:
    """Writes what these parameters draw, truncated by 1 above and by 0.7 below, as a PNG."""
    generator = with_mean(as_generator(recipe, parameters))
    rows = [np.asarray(samples(generator, psi)) for psi in (1.0, 0.7)]
    rows[1] = rows[1][: 2 * _COLUMNS]
    with atomic_file(path) as temporary:
        grid(np.concatenate(rows), columns=_COLUMNS).save(temporary, format="PNG")
