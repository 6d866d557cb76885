"""What the demo's first part works on: samples of a generator, their attributes, and its sheets."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent import Directions, Edit, edit, find
from jaxlatent.demo.report import Sheet
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.networks import AttributeNet
from jaxlatent.scorers import score
from jaxlatent.sheet import sweep_sheet
from jaxlatent.sweeps import sweep

STEPS = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]  # standard deviations of w across a direction
WIDE = 8  # axes of w, which hold three quarters of its variance


class Part:
    """The generator, what reads its images, and samples: of seeds, the last ones to test with."""

    def __init__(
        self, folder: Path, generator: Generator, net: AttributeNet, samples: int, tested: int
    ) -> None:
        """Draws samples.

        Args:
            folder: where sheets and directions are written.
            generator: one with W.
            net: what reads its images.
            samples: how many there are.
            tested: how many of them, the last, nothing is learned from.
        """
        self.folder, self.generator, self.net, self._tested = folder, generator, net, tested
        z = generator.sample_z(seed_keys(range(samples)), samples)
        self.codes = generator.broadcast(generator.map(z))
        self.w = np.asarray(self.codes[:-tested, 0])
        self._axes = np.asarray(find.ganspace(self.w, WIDE).vectors)[:, 0]
        self.wide = (self.w - self.w.mean(axis=0)) @ self._axes.T
        self.scores = self.tested = np.zeros((0, 0), np.float32)

    def learn(self) -> None:
        """Reads the samples' attributes."""
        found = score(self.generator, self.codes, self.net)
        self.scores, self.tested = found[: -self._tested], found[-self._tested :]

    def of(self, names: Sequence[str]) -> Float[np.ndarray, "n a"]:
        """Returns the scores of some attributes."""
        return self.scores[:, [self.net.names.index(name) for name in names]]

    def ready(self, found: Directions) -> Directions:
        """Returns directions in w whose unit is one standard deviation of w across each."""
        across = (self.w @ np.asarray(found.vectors)[:, 0].T).std(axis=0)
        return replace(found.bind(self.generator, space="w"), scale=across)

    def lifted(self, found: Directions) -> Directions:
        """Returns directions learned from `wide`, positions along w's widest axes, as ones in w."""
        vectors, mean = (np.asarray(part) @ self._axes for part in (found.vectors, found.mean))
        return self.ready(replace(found, vectors=vectors, mean=self.w.mean(axis=0) + mean))

    def named(self, found: Directions) -> Directions:
        """Returns directions named after the attributes that their positions go with."""
        naming = find.name_by_scores(self.ready(found), self.w, self.scores, self.net.names)
        return naming.directions

    def sheet(
        self,
        name: str,
        directions: Directions,
        title: str,
        about: str,
        seeds: Sequence[int] = (2,),
        steps: Sequence[float] = STEPS,
    ) -> Sheet:
        """Writes directions, and some avatars along each."""
        directions.save(self.folder / f"avatars-{name}.safetensors")
        images = sweep(self.generator, self.codes[np.array(seeds)], directions, steps)
        labels = [f"avatar {seed}" for seed in seeds]
        sheet = sweep_sheet(images, labels, directions.names, steps)
        sheet.save(self.folder / f"avatars-{name}.png")
        return Sheet(f"avatars-{name}.png", title, about)

    def effects(
        self, names: Sequence[str], *sets: tuple[Directions, float]
    ) -> Iterator[Float[np.ndarray, "k a"]]:
        """Yields how much a step along each direction raises the attributes' probabilities."""
        columns = [self.net.names.index(name) for name in names]
        codes = self.codes[-self._tested :]
        moved = [
            edit(self.generator, codes, Edit(one, [step])) for found, step in sets for one in found
        ]
        edited = score(self.generator, jnp.concatenate(moved), self.net)
        before, after = (jax.nn.sigmoid(found[:, columns]) for found in (self.tested, edited))
        change = np.asarray(after.reshape(len(moved), self._tested, -1) - before[None]).mean(axis=1)
        start = 0
        for found, _ in sets:
            yield change[start : start + len(found)]
            start += len(found)
