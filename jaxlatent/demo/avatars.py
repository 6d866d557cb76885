"""The demo's first part: the generator that comes with the package, and what moves in it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlatent import Directions, Edit, edit, find
from jaxlatent.demo import unseen
from jaxlatent.demo.clock import Clock
from jaxlatent.demo.report import Matrix, Section, Sheet
from jaxlatent.embedded import load_embedded
from jaxlatent.generators import Generator
from jaxlatent.keys import seed_keys
from jaxlatent.networks import AttributeNet
from jaxlatent.scorers import score
from jaxlatent.sheet import grid, sweep_sheet
from jaxlatent.sweeps import render, sweep

SHOWN = (0, 1, 2)  # seeds of the avatars of the conditional edit
ATTRIBUTES = (
    "glasses", "beard", "skin: dark", "hair: big", "hair colour: blond", "mouth: smile",
    "clothes: hoodie", "clothes colour: red",
)  # fmt: skip
KEPT = ("beard", "skin: dark", "hair: big")  # what the conditional edit of glasses leaves
STEPS = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]  # standard deviations of w across a direction
_SAMPLES = 64
_TESTED = 120
_SCORED = 85 * _TESTED  # ten parts for `score`, as large as the two of 17 edits: one program
_COUNT = len(ATTRIBUTES)  # of unnamed directions: all sheets but one are of one program
_STEP = 4.0
_SHEETS = ("samples", "sefa", "ganspace", "boundaries", "linear-map", "conditional")
FILES = (
    {f"avatars-{name}.png" for name in _SHEETS}
    | {f"avatars-{name}.safetensors" for name in _SHEETS[1:]}
    | {unseen.FILE}
)
_EDITED = (("glasses", _STEP), ("skin: dark", _STEP), ("hair colour: blond", _STEP))


class _Part:
    """The generator, what reads its images, and samples: of seeds, the last ones to test with."""

    def __init__(self, folder: Path) -> None:
        generator, net = load_embedded("avatars"), load_embedded("avatars-attributes")
        assert isinstance(generator, Generator)
        assert isinstance(net, AttributeNet)
        self.generator, self.net, self.folder = generator, net, folder
        z = generator.sample_z(seed_keys(range(_SCORED)), _SCORED)
        self.codes = generator.broadcast(generator.map(z))
        self.w = np.asarray(self.codes[:-_TESTED, 0])
        self.scores = self.tested = np.zeros((0, 0), np.float32)

    def learn(self) -> None:
        """Reads the samples' attributes."""
        found = score(self.generator, self.codes, self.net)
        self.scores, self.tested = found[:-_TESTED], found[-_TESTED:]

    def of(self, names: Sequence[str]) -> Float[np.ndarray, "n a"]:
        """Returns the scores of some attributes."""
        return self.scores[:, [self.net.names.index(name) for name in names]]

    def ready(self, found: Directions) -> Directions:
        """Returns directions in w whose unit is one standard deviation of w across each."""
        across = (self.w @ np.asarray(found.vectors)[:, 0].T).std(axis=0)
        return replace(found.bind(self.generator, space="w"), scale=across)

    def named(self, found: Directions) -> Directions:
        """Returns directions named after the attributes that their positions go with."""
        naming = find.name_by_scores(self.ready(found), self.w, self.scores, self.net.names)
        return naming.directions

    def sheet(
        self, name: str, directions: Directions, title: str, about: str, seeds: Sequence[int] = (0,)
    ) -> Sheet:
        """Writes directions, and some avatars along each."""
        directions.save(self.folder / f"avatars-{name}.safetensors")
        images = sweep(self.generator, self.codes[np.array(seeds)], directions, STEPS)
        labels = [f"avatar {seed}" for seed in seeds]
        sheet = sweep_sheet(images, labels, directions.names, STEPS)
        sheet.save(self.folder / f"avatars-{name}.png")
        return Sheet(f"avatars-{name}.png", title, about)

    def effects(self, *sets: Directions) -> Iterator[Float[np.ndarray, "k a"]]:
        """Yields how much a step along each direction raises each attribute's probability."""
        columns = [self.net.names.index(name) for name in ATTRIBUTES]
        codes = self.codes[-_TESTED:]
        moved = [edit(self.generator, codes, Edit(one, [_STEP])) for found in sets for one in found]
        edited = score(self.generator, jnp.concatenate(moved), self.net)
        before, after = (jax.nn.sigmoid(found[:, columns]) for found in (self.tested, edited))
        change = np.asarray(after.reshape(len(moved), _TESTED, -1) - before[None]).mean(axis=1)
        start = 0
        for found in sets:
            yield change[start : start + len(found)]
            start += len(found)


def make(folder: Path, clock: Clock) -> Section:
    """Writes the part's files into the folder."""
    with clock.step("load the avatars' generator"):
        part = _Part(folder)
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
    with clock.step("SeFa, and names by the predictor"):
        found = part.named(find.sefa(part.generator.affines(), _COUNT))
        about = "Closed form, from the weights alone; named after what they go with in samples."
        items.append(part.sheet("sefa", found, "Directions of SeFa", about))
    with clock.step("GANSpace, and names by the predictor"):
        found = part.named(find.ganspace(part.w, _COUNT))
        about = "Principal components of w; named after what they go with in samples."
        items.append(part.sheet("ganspace", found, "Directions of GANSpace", about))
    with clock.step("boundaries (InterFaceGAN)") as told:
        scores = part.of(ATTRIBUTES)
        found = find.boundary(part.w, scores, jax.random.key(3), ATTRIBUTES, ratio=0.1)
        boundaries = part.ready(found)
        about = "Normals of the planes between what the predictor sees and what it does not see."
        items.append(part.sheet("boundaries", boundaries, "Boundaries", about))
        accuracy = found.parameters["validation_accuracy"].values()
        told.append(f"validation accuracy {min(accuracy):.1%} to {max(accuracy):.1%}")
    with clock.step("orthogonal linear map"):
        maps = part.ready(find.linear_map(part.w, scores, 10.0, names=ATTRIBUTES))
        maps = maps[[maps.index(name) for name in ATTRIBUTES]]  # as the boundaries are
        about = "All attributes at once, with directions at right angles to each other."
        items.append(part.sheet("linear-map", maps, "Orthogonal linear map", about))
    with clock.step("conditional edit"):
        plain, kept = boundaries[0], boundaries[[ATTRIBUTES.index(name) for name in KEPT]]
        names = (ATTRIBUTES[0], f"{ATTRIBUTES[0]}, others kept")
        both = replace(
            boundaries[[0, 0]],
            vectors=np.concatenate([plain.vectors, find.condition(plain, kept).vectors]),
            names=names,
        )
        both = part.ready(both)
        about = f"The boundary of {names[0]}, and what of it leaves {', '.join(KEPT)} alone."
        items.append(part.sheet("conditional", both, "A conditional edit", about, SHOWN))
    with clock.step("invert avatars never seen") as told:
        images = unseen.unseen()
        inverted = unseen.find(part.generator, images)
        chosen = [(boundaries[[ATTRIBUTES.index(name)]], step) for name, step in _EDITED]
        items.append(unseen.sheet(folder, part.generator, images, inverted, chosen))
        quality = unseen.psnr(inverted.images, images)
        told.append(f"PSNR {quality.min():.1f} to {quality.max():.1f} dB")
    with clock.step(f"measure every edit on {_TESTED} others"):
        bounds, rows, last = part.effects(boundaries, maps, both[1])
        pair = np.concatenate([bounds[:1], last])
        items.append(_matrix("boundary", boundaries, bounds))
        items.append(_matrix("row of the linear map", maps, rows))
        items.append(_matrix("conditional edit", both, pair))
    return Section(
        "Avatars",
        "A StyleGAN2 of 64x64 pixels that comes with the package, trained on rendered cartoon "
        "heads without ever seeing a label; another network, trained on the labels, reads what it "
        "draws. Steps are in standard deviations of w across each direction.",
        items,
    )


def _matrix(kind: str, directions: Directions, effects: Float[np.ndarray, "k a"]) -> Matrix:
    return Matrix(
        directions.names,
        ATTRIBUTES,
        effects.tolist(),
        1.0,
        f"What each {kind} does",
        f"Mean change of every attribute's probability when {_TESTED} avatars, from which nothing "
        f"was learned, take a step of {_STEP:g} along the row's direction.",
    )
