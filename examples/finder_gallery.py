"""Each finder's picture and cost, on the face DCGAN: `finder_gallery.py OUT [--only NAME ...]`.

Every picture shows faces moved along unit directions; a column's number is how far z moves. Costs
are CPU seconds of one call, the second one where a first has compiled all that it needs.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gallery import FACES, Page, fill

import jaxlatent
from converters import convert
from jaxlatent import demo, find, paths
from jaxlatent.find import Training
from jaxlatent.scorers import brightness, score, warmth, within

SMILING, SERIOUS = (28, 40, 54, 57, 73, 67, 6, 86, 88, 92), (3, 15, 26, 59, 80, 76, 48, 46, 43, 77)
BLOND, DARK = (54, 57, 67, 73, 71, 74, 65, 29), (26, 15, 59, 85, 83, 61, 84, 20)
FACE, MOUTH, HAIR = (28, 48, 22, 42), (43, 52, 24, 40), (2, 14, 18, 46)
SAMPLES, TRAINING = 12_000, Training(300, 8, 3e-3)
KEY = jax.random.key(7)


def bright_mouth(images: Any) -> Any:
    """Scores how much brighter the mouth is than the face: teeth are, a beard is not."""
    return within(brightness, MOUTH)(images) - within(brightness, FACE)(images)


def looks(images: Any) -> Any:
    """Scores bright hair and warm colours, [n, 2]."""
    return jnp.stack([within(brightness, HAIR)(images), warmth(images)], axis=1)


SCORERS = {"bright hair": within(brightness, HAIR), "warm": warmth, "bright mouth": bright_mouth}


def scores_of(page: Page) -> Any:
    """Scores the samples."""
    return score(page.generator, page.many(SAMPLES), SCORERS)


def sefa(page: Page) -> None:
    """From the weights."""
    found = page.time("sefa", "8192 x 100 matrix", lambda: find.sefa(page.generator.affines(), 2))
    page.show(found, 4)


def ganspace(page: Page) -> None:
    """Of z, which is chance, and of activations."""
    work, z = f"{SAMPLES} codes, 80 components", page.z(SAMPLES)
    page.time("ganspace", work, lambda: find.ganspace(z, 80))
    found = page.time(
        "ganspace_activations",
        "4000 samples, 8192 activations",
        lambda: find.ganspace_activations(page.generator, KEY, 4000, 2),
        warm=False,
    )
    page.show(found, 6)


def components(page: Page) -> None:
    """Sparse components and random directions; independent ones need other codes."""
    random, z = np.random.default_rng(0), page.z(1000)  # z is normal: it has no independent sources
    sources = random.laplace(size=(4000, 512)) * np.logspace(0, -2, 512)
    codes = sources @ np.linalg.qr(random.standard_normal((512, 512)))[0]
    page.time("ica", "4000 made-up codes of 512, 5 sources", lambda: find.ica(codes, 5, KEY))
    few = page.time("sparse_pca", "1000 codes, 3 components", lambda: find.sparse_pca(z, 3, KEY))
    chance = page.time("random_directions", "1", lambda: find.random_directions(KEY, 1, 100))
    print("coordinates that are not 0:", np.count_nonzero(few.vectors, axis=2).ravel())
    for found in (few[[0]], chance):
        page.show(found, 6)


def voynov(page: Page) -> None:
    """The two that are told apart best."""
    training, codes = Training(500, 16, 1e-3), page.many(SAMPLES)
    found = page.time(
        "voynov",
        "10 directions, 500 steps of 16",
        lambda: find.voynov(page.generator, codes, 10, key=KEY, training=training),
        warm=False,
    )
    print("index accuracy", found.parameters["index_accuracy"])
    page.show(found[[0, 1]], 6)


def local(page: Page) -> None:
    """Each face's own two."""
    for seed in FACES:
        code = page.codes([seed])
        call = lambda code=code: find.local_directions(page.generator, code, 2)  # noqa: E731
        page.show(page.time("local_directions", "one face", call), 3, seeds=[seed])


def regions(page: Page) -> None:
    """The mouth and the hair, and how far the rest stays."""
    codes = page.many(16)
    for name, (top, bottom, left, right) in (("mouth", MOUTH), ("hair", HAIR)):
        box = ((top, bottom), (left, right))
        ours = page.time(
            "resefa", "16 faces", lambda b=box: find.resefa(page.generator, codes, b, 1)
        )
        null = page.time(
            "lowrankgan",
            "16 faces",
            lambda b=box: find.lowrankgan(page.generator, codes, b, 1, tolerance=0.03),
        )
        for method, found in (("resefa", ours), ("lowrankgan", null)):
            page.show(replace(found, names=(f"{method} {name}",)), 6, box, FACES[:1])


def boundary(page: Page) -> None:
    """Between the highest and the lowest tenth."""
    z, scores, names = page.z(SAMPLES), scores_of(page), list(SCORERS)
    found = page.time(
        "boundary",
        f"3 attributes, {2 * SAMPLES // 10} of {SAMPLES} codes",
        lambda: find.boundary(z, scores, KEY, names, ratio=0.1),
    )
    others = found[[1]]
    page.time("condition", "1 on 1", lambda: find.condition(found[[0]], others))
    page.time(
        "linear_map", f"{SAMPLES} codes, strength 10", lambda: find.linear_map(z, scores, 10.0)
    )
    page.show(found[[0, 2]], 4)


def means(page: Page) -> None:
    """Of scores, and of faces that were chosen by eye."""
    z, scores = page.z(SAMPLES), scores_of(page)
    high = scores > np.median(scores, axis=0)
    all_means = page.time(
        "difference_of_means",
        f"3 attributes, {SAMPLES} codes",
        lambda: find.difference_of_means(z, high, list(SCORERS)),
    )
    a, b = page.codes(SMILING), page.codes(SERIOUS)
    few = page.time("few_shot", "10 and 10 faces", lambda: find.few_shot(a, b, name="smiling"))
    a, b = page.codes(BLOND), page.codes(DARK)
    blond = page.time(
        "vector_arithmetic", "8 and 8 faces", lambda: find.vector_arithmetic(a, b, "blond")
    )
    for found in (all_means[[1]], few, blond):
        page.show(found, 5)


def gradients(page: Page) -> None:
    """Of scores that are functions of pixels."""
    codes = page.many(SAMPLES)
    found = page.time(
        "scorer_gradients",
        "2 scores, 256 faces",
        lambda: find.scorer_gradients(
            page.generator, codes[:256], looks, names=["bright hair", "warm"]
        ),
    )
    work = f"{TRAINING.steps} steps of {TRAINING.batch}"
    raised = page.time(
        "ganalyze",
        work,
        lambda: find.ganalyze(
            page.generator, codes, bright_mouth, key=KEY, training=TRAINING, name="bright mouth"
        ),
        warm=False,
    )
    page.show(found[[found.index("bright hair")]], 4)
    page.show(raised, 4)


def steerability(page: Page) -> None:
    """Walks that imitate transformations."""
    codes, names = page.many(SAMPLES), ["brightness", "zoom", "shift right", "rotate"]
    work = f"{TRAINING.steps} steps of {TRAINING.batch}"
    for name in names:
        walk = page.time(
            "steerability",
            f"{name}, {work}",
            lambda n=name: find.steerability(
                page.generator, codes, [n], key=KEY, training=TRAINING
            ),
            warm=False,
        )
        print(name, "share", walk.scores, "scale", walk.scale)
        page.show(walk, 5, seeds=FACES[:1])


def paths_between(page: Page) -> None:
    """Three ways between two faces."""
    (a, b), times = page.codes(FACES), np.linspace(0, 1, 7)
    geodesic = page.time(
        "geodesic",
        "7 points, 60 iterations",
        lambda: paths.geodesic(
            lambda codes, generator: generator.synthesize(codes),
            a,
            b,
            page.generator,
            points=7,
            steps=60,
        ),
        warm=False,
    )
    print("energy", geodesic.energy / geodesic.straight_energy)
    found = {"lerp": paths.lerp(a, b, times), "slerp": paths.slerp(a, b, times)}
    for name, codes in (found | {"geodesic": geodesic.points}).items():
        page.images.append(jaxlatent.render(page.generator, jnp.asarray(codes)))
        page.labels.append(name)
    page.columns = [f"{t:.2g}" for t in times]


METHODS = (sefa, ganspace, components, voynov, local, regions, boundary, means, gradients)
METHODS = (*METHODS, steerability, paths_between)


if __name__ == "__main__":
    fill(__doc__, METHODS, lambda: convert(demo.find_checkpoint()).model, "")
