"""What an inversion optimises and how, as data; published methods are such recipes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.invert.losses import Pixels, Term
from jaxlatent.invert.optimisers import Kind
from jaxlatent.invert.schedules import Schedule

SPACES = ("z", "z+", "w", "w+", "s")


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is optimised, from where, how long, and to make what small.

    Attributes:
        space: of the code that is optimised: "z", "w" or "s" (one row for all layers), "z+" or "w+"
            (a row for each layer).
        steps: of the optimiser.
        schedule: of the learning rate, and of noise added to codes.
        terms: what is minimised, each with its weight.
        optimiser: "adam"; "sphere" (Adam that keeps a code's length); "lbfgs".
        betas: of Adam.
        start: "mean", the mean code (0 in z), or "sample", a random one.
        noise: "const" keeps the generator's maps, "optimise" starts with random ones and keeps
            them at mean 0 and deviation 1, "none" adds nothing.
        enough: an image whose loss falls below this is done.
        restarts: starts of each image, of which the best is kept; needs `start="sample"`.
    """

    space: str
    steps: int
    schedule: Schedule
    terms: Sequence[tuple[float, Term]] = field(default_factory=lambda: ((1.0, Pixels()),))
    optimiser: Kind = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    start: Literal["mean", "sample"] = "mean"
    noise: Literal["const", "optimise", "none"] = "const"
    enough: float | None = None
    restarts: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, got {value}"
            for name, value in (("steps", self.steps), ("restarts", self.restarts))
            if value < 1
        ]
        if self.space not in SPACES:
            problems.append(f"space must be one of {', '.join(SPACES)}, got {self.space!r}")
        if not self.terms:
            problems.append("there must be something to minimise: terms are empty")
        if self.restarts > 1 and self.start == "mean":
            problems.append("restarts need start='sample': all from the mean would be the same")
        if problems:
            raise UserError("; ".join(problems))

    def check(self, generator: Generator) -> None:
        """Raises `UserError` unless the generator has what is optimised."""
        own = [*generator.spaces]
        if self.space not in own:
            raise UserError(f"this generator has the spaces {', '.join(own)}, not {self.space}")
        if self.noise == "optimise" and not noise_sides(generator):
            raise UserError("this generator adds no noise; there are no maps to optimise")


def noise_sides(generator: Generator) -> tuple[int, ...]:
    """Returns the sides of the maps of noise that a generator adds, in pixels; or nothing."""
    return tuple(getattr(generator, "noise_sides", ()))
