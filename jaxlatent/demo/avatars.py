"""The demo's first part: the generator that comes with the package, and what moves in it."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from jaxlatent import Directions, find
from jaxlatent.demo import unseen
from jaxlatent.demo.clock import Clock
from jaxlatent.demo.part import WIDE, Part
from jaxlatent.demo.report import Matrix, Section, Sheet
from jaxlatent.embedded import load_embedded
from jaxlatent.generators import Generator
from jaxlatent.networks import AttributeNet
from jaxlatent.sheet import grid
from jaxlatent.sweeps import render

SHOWN = (0, 1, 2)  # seeds of the avatars of the conditional edit
ATTRIBUTES = (
    "glasses", "glasses: sun", "skin: pale", "hair colour: blond", "hair colour: pink",
    "hair colour: silver", "mouth: scream",
)  # fmt: skip
CHANGED, KEPT = "hair colour: silver", ("skin: pale",)  # of the conditional edit
APART = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]  # distances between two means
_SAMPLES = 64
_TESTED = 40
_SCORED = 3000  # three parts for `score`, as large as the one of 25 edits: one program
_COUNT = len(ATTRIBUTES)  # of unnamed directions: all sheets but one are of one program
_STEP = {"boundaries": 2.0, "linear-map": 2.0, "means": 1.5}
_SHEETS = ("samples", "sefa", "ganspace", "boundaries", "linear-map", "means", "conditional")
FILES = (
    {f"avatars-{name}.png" for name in _SHEETS}
    | {f"avatars-{name}.safetensors" for name in _SHEETS[1:]}
    | {unseen.FILE}
)
_EDITED = ("glasses", "skin: pale", "hair colour: pink")  # of avatars never seen


def make(folder: Path, clock: Clock) -> Section:
    """Writes the part's files into the folder."""
    with clock.step("load the avatars' generator"):
        generator, net = load_embedded("avatars"), load_embedded("avatars-attributes")
        assert isinstance(generator, Generator)
        assert isinstance(net, AttributeNet)
        part = Part(folder, generator, net, _SCORED, _TESTED)
    items: list[Sheet | Matrix] = []
    with clock.step(f"render {_SAMPLES} avatars") as told:
        images = render(part.generator, part.codes[:_SAMPLES])
        grid(images, [str(i) for i in range(_SAMPLES)]).save(folder / "avatars-samples.png")
        items.append(
            Sheet("avatars-samples.png", f"{_SAMPLES} avatars", "Random samples; seeds below.")
        )
        told.append("includes compiling")
    with clock.step(f"read {_SCORED} samples' attributes") as told:
        part.learn()
        told.append(f"{len(part.net.names)} attributes")
    _unsupervised(part, clock, items)
    boundaries, maps, means, both = _supervised(part, clock, items)
    with clock.step("invert avatars never seen") as told:
        images = unseen.unseen()[: unseen.SHOWN]
        inverted = unseen.find(part.generator, images)
        chosen = [(means[[ATTRIBUTES.index(name)]], 1.0) for name in _EDITED]
        items.append(unseen.sheet(folder, part.generator, images, inverted, chosen))
        quality = unseen.clipped_psnr(inverted, images)
        told.append(f"PSNR {min(quality):.1f} to {max(quality):.1f} dB")
    with clock.step(f"measure every edit on {_TESTED} others"):
        sets = {"boundaries": boundaries, "linear-map": maps, "means": means}
        pairs = [(found, _STEP[name]) for name, found in sets.items()]
        bounds, rows, ways, last = part.effects(ATTRIBUTES, *pairs, (both[[1]], _STEP["means"]))
        own = ATTRIBUTES.index(CHANGED)
        items.append(_matrix("boundary", boundaries, bounds, "boundaries"))
        items.append(_matrix("row of the linear map", maps, rows, "linear-map"))
        items.append(_matrix("difference of means", means, ways, "means"))
        items.append(
            _matrix("conditional edit", both, np.concatenate([ways[[own]], last]), "means")
        )
    return Section(
        "Avatars",
        "A StyleGAN2 of 64x64 pixels that comes with the package, trained on rendered cartoon "
        "heads without ever seeing a label; another network, trained on the labels, reads what it "
        "draws. Steps are in standard deviations of w across a direction, unless said otherwise.",
        items,
    )


def _unsupervised(part: Part, clock: Clock, items: list[Sheet | Matrix]) -> None:
    """Shows what is found without the predictor, and named by it."""
    with clock.step("SeFa, and names by the predictor"):
        found = part.named(find.sefa(part.generator.affines(), _COUNT))
        about = "Closed form, from the weights alone; named after what they go with in samples."
        items.append(part.sheet("sefa", found, "Directions of SeFa", about))
    with clock.step("GANSpace, and names by the predictor"):
        found = part.named(find.ganspace(part.w, _COUNT))
        about = "Principal components of w; named after what they go with in samples."
        items.append(part.sheet("ganspace", found, "Directions of GANSpace", about))


def _supervised(part: Part, clock: Clock, items: list[Sheet | Matrix]) -> tuple[Directions, ...]:
    """Shows and returns what is found by the predictor's scores."""
    with clock.step("boundaries (InterFaceGAN)") as told:
        scores = part.of(ATTRIBUTES)
        found = find.boundary(part.wide, scores, jax.random.key(3), ATTRIBUTES, ratio=0.1)
        boundaries = part.lifted(found)
        about = (
            "Normals of the planes between what the predictor sees and what it does not see, among "
            f"the {WIDE} widest axes of W. (Among all, normals lie where W is narrow: steps along "
            "them hardly show.)"
        )
        items.append(part.sheet("boundaries", boundaries, "Boundaries", about))
        accuracy = found.parameters["validation_accuracy"].values()
        told.append(f"validation accuracy {min(accuracy):.1%} to {max(accuracy):.1%}")
    with clock.step("orthogonal linear map"):
        maps = part.lifted(find.linear_map(part.wide, scores, 10.0, names=ATTRIBUTES))
        maps = maps[[maps.index(name) for name in ATTRIBUTES]]  # as the boundaries are
        about = (
            "All attributes at once, among the same axes, with directions nearly at right angles "
            "to each other: almost as many as the axes, so that some turn away from their names."
        )
        items.append(part.sheet("linear-map", maps, "Orthogonal linear map", about))
    with clock.step("differences of means"):
        means = find.difference_of_means(part.w, scores, ATTRIBUTES, threshold=0.0)
        means = means.bind(part.generator, space="w")
        about = (
            "From the mean of the samples without an attribute to the mean of those with it, which "
            "is a step of 1. No plane is fitted, so that what goes with an attribute moves with it."
        )
        items.append(part.sheet("means", means, "Differences of means", about, steps=APART))
    with clock.step("conditional edit"):
        own, others = ATTRIBUTES.index(CHANGED), [ATTRIBUTES.index(name) for name in KEPT]
        plain = means[[own]]
        along = find.condition(means[own], means[others]).vectors
        both = replace(
            means[[own, own]],
            vectors=np.concatenate([plain.vectors, along]),
            names=(CHANGED, f"{CHANGED}; {' and '.join(KEPT)} kept"),
        )
        about = f"{CHANGED}, and what of it is at right angles to {' and '.join(KEPT)}."
        items.append(part.sheet("conditional", both, "A conditional edit", about, SHOWN, APART))
    return boundaries, maps, means, both


def _matrix(
    kind: str, directions: Directions, effects: Float[np.ndarray, "k a"], steps: str
) -> Matrix:
    return Matrix(
        directions.names,
        ATTRIBUTES,
        effects.tolist(),
        1.0,
        f"What each {kind} does",
        f"Mean change of every attribute's probability when {_TESTED} avatars, from which nothing "
        f"was learned, take a step of {_STEP[steps]:g} along the row's direction.",
    )
