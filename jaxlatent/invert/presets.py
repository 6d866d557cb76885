"""Published inversions as recipes, with their constants."""

import math
from collections.abc import Callable
from typing import Any

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.invert.charts import Whitened
from jaxlatent.invert.losses import Downscaled, Pixels, Pyramid, Term
from jaxlatent.invert.perceptual import Embedding, InDomain, Perceptual
from jaxlatent.invert.priors import geocross, noise_correlation
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.schedules import Schedule

_NOISE_WEIGHT = 1e5
_TRAINED_MAPS = 5  # of PULSE


def nvidia(generator: Generator, distance: Any, steps: int = 1000, rate: float = 0.1) -> Recipe:
    """Returns StyleGAN2's projector: one w and the noise maps, by LPIPS of at most 256 pixels.

    Karras et al. 2020, arXiv:1912.04958, appendix D, as in StyleGAN2-ADA.

    Args:
        generator: one with W; without noise maps, w alone is optimised.
        distance: of images; the published one is LPIPS with VGG16.
        steps: of Adam.
        rate: the highest learning rate.
    """
    terms: list[tuple[float, Term]] = [(1.0, Perceptual(distance))]
    maps = bool(generator.noise_sides)
    if maps:
        terms.append((_NOISE_WEIGHT, noise_correlation))
    schedule = Schedule(rate, rise=0.05, fall=0.25, noise=0.05, noise_end=0.75)
    return Recipe("w", steps, schedule, tuple(terms), noise="optimise" if maps else "const")


def pivot(generator: Generator, distance: Any, steps: int = 450) -> Recipe:
    """Returns the first half of PTI, whose pivots `jaxlatent.invert.tune` takes.

    Roich et al. 2021, arXiv:2106.05744: StyleGAN2's projector, shorter, at a rate of 0.01.
    """
    return nvidia(generator, distance, steps, 0.01)


def image2stylegan(generator: Generator, distance: Any, steps: int = 5000) -> Recipe:
    """Returns Image2StyleGAN: W+ from the mean code, by squared pixels and features.

    Abdal et al. 2019, arXiv:1904.03189.

    Args:
        generator: one with W+.
        distance: of features; the published one reads four layers of VGG16.
        steps: of Adam.
    """
    terms = ((1.0, Pixels()), (1.0, Perceptual(distance)))
    return Recipe("w+", steps, Schedule(0.01), terms)


def idinvert(encode: Any, embed: Any, steps: int = 100) -> Recipe:
    """Returns in-domain inversion: W+ that an encoder says of the image, and keeps saying.

    Zhu et al. 2020, arXiv:2004.00049. To be started with `codes=encode(images)`.

    Args:
        encode: function of images to codes in W+.
        embed: function of images to features; the published ones are VGG16's, of images in
            [0, 255], for which the weight 5e-5 is meant.
        steps: of Adam.
    """
    terms = ((1.0, Pixels()), (5e-5, Embedding(embed)), (2.0, InDomain(encode)))
    return Recipe("w+", steps, Schedule(0.01), terms)


def pulse(
    generator: Generator, side: int = 32, steps: int = 100, chart: Whitened | None = None
) -> Recipe:
    """Returns PULSE: W+ on a sphere of whitened w, whose images made small are like the targets.

    Menon et al. 2020, arXiv:2003.03808.

    Args:
        generator: one with W+.
        side: of the small images in pixels.
        steps: of Adam on the sphere.
        chart: of W; `None` to fit it to a million samples.
    """
    chart = Whitened.of(generator) if chart is None else chart
    sides = generator.noise_sides
    maps = min(_TRAINED_MAPS, len(sides)) or None
    terms = ((100.0, Downscaled(side, 2e-3)), (0.05, geocross))
    return Recipe(
        "w+",
        steps,
        Schedule(0.4, cycle=True),
        terms,
        optimiser="sphere",
        chart=chart,
        start="sample",
        noise="optimise" if sides else "const",
        maps=maps,
    )


def z_adam(generator: Generator, steps: int = 500, restarts: int = 4) -> Recipe:
    """Returns Adam on z by squared pixels, from random codes; classes too, if there are some."""
    classes = bool(generator.num_classes)
    return Recipe(
        "z", steps, Schedule(0.1, fall=0.5), start="sample", restarts=restarts, classes=classes
    )


def z_lbfgs(generator: Generator, steps: int = 100, restarts: int = 4) -> Recipe:
    """Returns L-BFGS on z by squared pixels, from random codes; classes too, if there are some."""
    classes = bool(generator.num_classes)
    return Recipe(
        "z", steps, Schedule(1.0), optimiser="lbfgs", start="sample", restarts=restarts,
        classes=classes,
    )  # fmt: skip


def glo(generator: Generator, radius: float | None = None, steps: int = 500) -> Recipe:
    """Returns GLO's step for codes: gradient descent on a Laplacian pyramid, within a ball.

    Bojanowski et al. 2018, arXiv:1707.05776: rate 10 in the unit ball. In a ball of another size
    the rate goes with the radius squared, so that the run is the same but for its unit.

    Args:
        generator: the generator, whose weights stay.
        radius: of the ball: 1 for a generator that GLO trained; `None` for the square root of
            z's size, about the length of a standard normal z.
        steps: of gradient descent.
    """
    radius = math.sqrt(generator.z_dim) if radius is None else radius
    schedule = Schedule(10.0 * radius**2)
    return Recipe("z", steps, schedule, ((1.0, Pyramid(3)),), optimiser="sgd", radius=radius)


PRESETS: dict[str, Callable[..., Recipe]] = {
    "nvidia": nvidia,
    "image2stylegan": image2stylegan,
    "idinvert": idinvert,
    "pulse": pulse,
    "pti": pivot,
    "z-adam": z_adam,
    "z-lbfgs": z_lbfgs,
    "glo": glo,
}


def preset(name: str) -> Callable[..., Recipe]:
    """Returns a preset by its name.

    Example:
        >>> preset("newton")
        Traceback (most recent call last):
        jaxlatent.errors.UserError: preset must be one of nvidia, image2stylegan, idinvert, pulse,
        pti, z-adam, z-lbfgs, glo, got 'newton'
    """
    if name not in PRESETS:
        raise UserError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
