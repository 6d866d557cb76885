"""What the galleries share: a page with a picture and the costs of one method, and the command."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxlatent
from jaxlatent import Directions
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.sheet import contact_sheet

FACES = (16, 12)  # seeds of those shown
Region = tuple[tuple[int, int], tuple[int, int]]


@dataclass
class Page:
    """Rows of pictures and costs, made with one generator."""

    generator: Generator
    labels: list[str] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    columns: Sequence[str] = ()
    costs: list[dict[str, Any]] = field(default_factory=list)

    def codes(self, seeds: Sequence[int]) -> Any:
        """Returns the codes of chosen faces."""
        return self._coded(self.generator.sample_z(seed_keys(seeds), len(seeds)))

    def z(self, n: int) -> Any:
        """Draws samples, none of which is shown or chosen."""
        return self.generator.sample_z(jax.random.key(1), n)

    def many(self, n: int) -> Any:
        """Draws codes, none of which is shown or chosen."""
        return self._coded(self.z(n))

    def _coded(self, z: Any) -> Any:
        return self.generator.broadcast(self.generator.map(z))

    def time(self, name: str, work: str, call: Callable[[], Any], warm: bool = True) -> Any:
        """Returns the result of a call, whose cost is noted."""
        if warm:
            jax.block_until_ready(call())
        wall, cpu = time.perf_counter(), time.process_time()
        result = jax.block_until_ready(call())
        seconds = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        seconds = {k: float(f"{v:.2g}") for k, v in seconds.items()}
        self.costs.append({"finder": name, "work": work, **seconds, "second call": warm})
        print(self.costs[-1], flush=True)
        return result

    def show(
        self, found: Directions, far: float, box: Region | None = None, seeds: Sequence[int] = FACES
    ) -> None:
        """Adds a row for each direction and face; with a box, also where many faces change."""
        distances = far * np.array([-1, -0.5, 0, 0.5, 1])
        self.columns = [f"{d:+.3g}" if d else "0" for d in distances] + ["change"] * bool(box)
        for one in found.bind(self.generator):
            strengths = distances / float(one.scale[0])
            for seed in seeds:
                images = jaxlatent.sweep(self.generator, self.codes([seed]), one, strengths)[0, 0]
                if box:
                    images = np.concatenate([images, self.change(one, strengths[-1], box)])
                self.images.append(images)
                self.labels.append(f"{one.names[0]}, {seed}")

    def change(self, one: Directions, strength: float, box: Region) -> np.ndarray:
        """Returns the mean change over 100 faces, white where it is largest, with the box."""
        images = jaxlatent.sweep(self.generator, self.many(100), one, [0.0, strength])[:, 0]
        image = np.abs(images[:, 1] - images[:, 0]).mean(axis=(0, 3))
        (top, bottom), (left, right) = box
        inside = image[top:bottom, left:right].mean()
        outside = (image.sum() - inside * (bottom - top) * (right - left)) / (
            image.size - (bottom - top) * (right - left)
        )
        print(
            f"{one.names[0]}: changes its region {inside / outside:.2f} times as much as the rest"
        )
        image = np.repeat((2 * image / image.max() - 1)[..., None], 3, axis=2)
        frame = np.zeros(image.shape[:2], bool)
        frame[top - 1 : bottom + 1, left - 1 : right + 1] = True
        frame[top:bottom, left:right] = False
        image[frame] = [1, 0, -1]
        return image[None]

    def save(self, file: Path) -> None:
        """Writes the picture."""
        sheet = contact_sheet(np.stack(self.images), self.labels, self.columns)
        sheet = sheet.resize((3 * sheet.width // 4, 3 * sheet.height // 4))
        sheet.save(file, quality=80 if len(self.images) <= 4 else 65, optimize=True)


def fill(
    about: str,
    methods: Sequence[Callable[[Page], None]],
    load: Callable[[], Generator],
    prefix: str,
) -> None:
    """Runs a gallery as a command: a picture for each method, and the costs of all as JSON."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("out", type=Path)
    names = [method.__name__ for method in methods]
    parser.add_argument("--only", nargs="+", default=names, choices=names)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    generator = load()
    for method in methods:
        if method.__name__ not in chosen.only:
            continue
        page, name = Page(generator), f"{prefix}{method.__name__}"
        method(page)
        page.save(chosen.out / f"{name}.jpg")
        file = chosen.out / "costs.json"
        costs = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(costs | {name: page.costs}, indent=1) + "\n")
