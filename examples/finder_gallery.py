"""A picture and the cost of each finder, on the face DCGAN: `finder_gallery.py OUT [--only NAME..]`.

Every picture shows faces moved along unit directions; a column's number is how far z moves. Costs
are CPU seconds of one call, the second one where a first has compiled all that it needs.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxlatent
from converters import convert
from jaxlatent import Directions, demo, find, paths
from jaxlatent.find import Training
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.scorers import brightness, score, warmth, within
from jaxlatent.sheet import contact_sheet

FACES = (16, 12)  # seeds of those shown
SMILING, SERIOUS = (28, 40, 54, 57, 73, 67, 6, 86, 88, 92), (3, 15, 26, 59, 80, 76, 48, 46, 43, 77)
BLOND, DARK = (54, 57, 67, 73, 71, 74, 65, 29), (26, 15, 59, 85, 83, 61, 84, 20)
FACE, MOUTH, HAIR = (28, 48, 22, 42), (43, 52, 24, 40), (2, 14, 18, 46)
SAMPLES, TRAINING = 12_000, Training(300, 8, 3e-3)
KEY = jax.random.key(7)


def smile(images: Any) -> Any:
    """Scores how much brighter the mouth is than the face around it: teeth, if it is a smile."""
    return within(brightness, MOUTH)(images) - within(brightness, FACE)(images)


def looks(images: Any) -> Any:
    """Scores bright hair and warm colours, [n, 2]."""
    return jnp.stack([within(brightness, HAIR)(images), warmth(images)], axis=1)


SCORERS = {"bright hair": within(brightness, HAIR), "warm": warmth, "smile": smile}


@dataclass
class Gallery:
    """A generator, and the page that one method fills."""

    generator: Generator
    labels: list[str] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    columns: Sequence[str] = ()
    costs: list[dict[str, Any]] = field(default_factory=list)

    def codes(self, seeds: Sequence[int]) -> Any:
        return self.generator.broadcast(self.generator.sample_z(seed_keys(seeds), len(seeds)))

    def z(self, n: int) -> Any:
        """Draws samples, none of which is shown or chosen."""
        return self.generator.sample_z(jax.random.key(1), n)

    def many(self, n: int) -> Any:
        return self.generator.broadcast(self.z(n))

    def scores(self, n: int) -> Any:
        return score(self.generator, self.many(n), SCORERS)

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
        self, found: Directions, far: float, box: Any = None, seeds: Sequence[int] = FACES
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

    def change(self, one: Directions, strength: float, box: Any) -> np.ndarray:
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


def sefa(g: Gallery) -> None:
    found = g.time("sefa", "8192 x 100 matrix", lambda: find.sefa(g.generator.affines(), 2))
    g.show(found, 4)


def ganspace(g: Gallery) -> None:
    work, z = f"{SAMPLES} codes, 80 components", g.z(SAMPLES)
    g.time("ganspace", work, lambda: find.ganspace(z, 80))
    found = g.time(
        "ganspace_activations",
        "4000 samples, 8192 activations",
        lambda: find.ganspace_activations(g.generator, KEY, 4000, 2),
        warm=False,
    )
    g.show(found, 6)


def components(g: Gallery) -> None:
    random, z = np.random.default_rng(0), g.z(1000)  # z is normal: it has no independent sources
    sources = random.laplace(size=(4000, 512)) * np.logspace(0, -2, 512)
    codes = sources @ np.linalg.qr(random.standard_normal((512, 512)))[0]
    g.time("ica", "4000 made-up codes of 512, 5 sources", lambda: find.ica(codes, 5, KEY))
    few = g.time("sparse_pca", "1000 codes, 3 components", lambda: find.sparse_pca(z, 3, KEY))
    chance = g.time("random_directions", "2", lambda: find.random_directions(KEY, 2, 100))
    print("coordinates that are not 0:", np.count_nonzero(few.vectors, axis=2).ravel())
    for found in (few[[0]], chance):
        g.show(found, 6)


def voynov(g: Gallery) -> None:
    training, codes = Training(500, 16, 1e-3), g.many(SAMPLES)
    found = g.time(
        "voynov",
        "10 directions, 500 steps of 16",
        lambda: find.voynov(g.generator, codes, 10, key=KEY, training=training),
        warm=False,
    )
    print("index accuracy", found.parameters["index_accuracy"])
    g.show(found[[0, 1]], 6)


def local(g: Gallery) -> None:
    for seed in FACES:
        code = g.codes([seed])
        call = lambda code=code: find.local_directions(g.generator, code, 2)  # noqa: E731
        g.show(g.time("local_directions", "one face", call), 3, seeds=[seed])


def regions(g: Gallery) -> None:
    codes = g.many(16)
    for name, (top, bottom, left, right) in (("mouth", MOUTH), ("hair", HAIR)):
        box = ((top, bottom), (left, right))
        ours = g.time("resefa", "16 faces", lambda b=box: find.resefa(g.generator, codes, b, 1))
        null = g.time(
            "lowrankgan",
            "16 faces",
            lambda b=box: find.lowrankgan(g.generator, codes, b, 1, sparsity=0.1, tolerance=0.1),
        )
        for method, found in (("resefa", ours), ("lowrankgan", null)):
            g.show(replace(found, names=(f"{method} {name}",)), 6, box, FACES[:1])


def boundary(g: Gallery) -> None:
    z, scores, names = g.z(SAMPLES), g.scores(SAMPLES), list(SCORERS)
    found = g.time(
        "boundary",
        f"3 attributes, {2 * SAMPLES // 10} of {SAMPLES} codes",
        lambda: find.boundary(z, scores, KEY, names, ratio=0.1),
    )
    others = found[[1]]
    g.time("condition", "1 on 1", lambda: find.condition(found[[0]], others))
    g.time("linear_map", f"{SAMPLES} codes, strength 10", lambda: find.linear_map(z, scores, 10.0))
    g.show(found[[0, 2]], 4)


def means(g: Gallery) -> None:
    z, scores = g.z(SAMPLES), g.scores(SAMPLES)
    high = scores > np.median(scores, axis=0)
    all_means = g.time(
        "difference_of_means",
        f"3 attributes, {SAMPLES} codes",
        lambda: find.difference_of_means(z, high, list(SCORERS)),
    )
    a, b = g.codes(SMILING), g.codes(SERIOUS)
    few = g.time("few_shot", "10 and 10 faces", lambda: find.few_shot(a, b, name="smiling"))
    a, b = g.codes(BLOND), g.codes(DARK)
    blond = g.time(
        "vector_arithmetic", "8 and 8 faces", lambda: find.vector_arithmetic(a, b, "blond")
    )
    for found in (all_means[[1]], few, blond):
        g.show(found, 5)


def gradients(g: Gallery) -> None:
    codes = g.many(SAMPLES)
    found = g.time(
        "scorer_gradients",
        "2 scores, 256 faces",
        lambda: find.scorer_gradients(
            g.generator, codes[:256], looks, names=["bright hair", "warm"]
        ),
    )
    work = f"{TRAINING.steps} steps of {TRAINING.batch}"
    raised = g.time(
        "ganalyze",
        work,
        lambda: find.ganalyze(g.generator, codes, smile, key=KEY, training=TRAINING, name="smile"),
        warm=False,
    )
    g.show(found[[found.index("bright hair")]], 4)
    g.show(raised, 4)


def steerability(g: Gallery) -> None:
    codes, names = g.many(SAMPLES), ["brightness", "zoom", "shift right", "rotate"]
    work = f"{TRAINING.steps} steps of {TRAINING.batch}"
    for name in names:
        walk = g.time(
            "steerability",
            f"{name}, {work}",
            lambda n=name: find.steerability(g.generator, codes, [n], key=KEY, training=TRAINING),
            warm=False,
        )
        print(name, "share", walk.scores, "scale", walk.scale)
        g.show(walk, 5, seeds=FACES[:1])


def paths_between(g: Gallery) -> None:
    (a, b), times = g.codes(FACES), np.linspace(0, 1, 7)
    geodesic = g.time(
        "geodesic",
        "7 points, 60 iterations",
        lambda: paths.geodesic(
            lambda codes, generator: generator.synthesize(codes),
            a,
            b,
            g.generator,
            points=7,
            steps=60,
        ),
        warm=False,
    )
    print("energy", geodesic.energy / geodesic.straight_energy)
    found = {"lerp": paths.lerp(a, b, times), "slerp": paths.slerp(a, b, times)}
    for name, codes in (found | {"geodesic": geodesic.points}).items():
        g.images.append(jaxlatent.render(g.generator, jnp.asarray(codes)))
        g.labels.append(name)
    g.columns = [f"{t:.2g}" for t in times]


METHODS = (sefa, ganspace, components, voynov, local, regions, boundary, means, gradients)
METHODS = (*METHODS, steerability, paths_between)


def main(out: Path, only: Sequence[str]) -> None:
    """Writes a picture for each method, and the costs of all as JSON."""
    out.mkdir(parents=True, exist_ok=True)
    generator = convert(demo.find_checkpoint()).model
    for method in METHODS:
        name = method.__name__
        if only and name not in only:
            continue
        gallery = Gallery(generator)
        method(gallery)
        sheet = contact_sheet(np.stack(gallery.images), gallery.labels, gallery.columns)
        sheet = sheet.resize((3 * sheet.width // 4, 3 * sheet.height // 4))
        sheet.save(out / f"{name}.jpg", quality=80, optimize=True)
        file = out / "costs.json"
        costs = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(costs | {name: gallery.costs}, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=(), choices=[m.__name__ for m in METHODS])
    arguments = parser.parse_args()
    main(arguments.out, arguments.only)
