"""What an inversion optimises and how, as data; published methods are such recipes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from jaxlatent.errors import UserError
from jaxlatent.generators import Generator
from jaxlatent.invert.charts import Whitened
from jaxlatent.invert.losses import Pixels, Term
from jaxlatent.invert.optimisers import Kind
from jaxlatent.invert.schedules import Schedule

SPACES = ("z", "w", "w+", "s")
_CHOICES = {"start": ("mean", "sample"), "noise": ("const", "optimise", "none")}


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is optimised, from where, how long, and to make what small.

    Attributes:
        space: of the code that is optimised: "z", "w" or "s" (one row for all layers), or "w+"
            (a row for each layer).
        steps: of the optimiser.
        schedule: of the learning rate, and of noise added to codes.
        terms: what is minimised, each with its weight.
        optimiser: "adam"; "sgd"; "sphere" (Adam that keeps a code's length); "lbfgs".
        betas: of Adam.
        radius: rows of a code that get longer are shortened to this; `None` for no bound.
        chart: if given, what is optimised is a point of this chart of W.
        start: "mean", the mean code (0 in z and in a chart), or "sample", a random one.
        noise: "const" keeps the generator's maps, "optimise" starts with random ones and keeps
            them at mean 0 and deviation 1, "none" adds nothing.
        maps: how many of the first noise maps are optimised, the others staying as they were
            drawn; `None` for all.
        classes: whether the weights of a conditional generator's classes are optimised too.
        enough: an image whose loss falls below this is done.
        restarts: starts of each image, of which the best is kept; needs `start="sample"`.
    """

    space: str
    steps: int
    schedule: Schedule
    terms: Sequence[tuple[float, Term]] = field(default_factory=lambda: ((1.0, Pixels()),))
    optimiser: Kind = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    radius: float | None = None
    chart: Whitened | None = None
    start: Literal["mean", "sample"] = "mean"
    noise: Literal["const", "optimise", "none"] = "const"
    maps: int | None = None
    classes: bool = False
    enough: float | None = None
    restarts: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, got {value}"
            for name, value in (("steps", self.steps), ("restarts", self.restarts))
            if value < 1
        ]
        chosen = {"space": SPACES, "optimiser": get_args(Kind), **_CHOICES}
        problems += [
            f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
            for name, known in chosen.items()
            if getattr(self, name) not in known
        ]
        if not self.terms:
            problems.append("there must be something to minimise: terms are empty")
        if self.restarts > 1 and self.start == "mean":
            problems.append("restarts need start='sample': all from the mean would be the same")
        if self.radius is not None and not self.radius > 0:
            problems.append(f"radius must be positive, got {self.radius}")
        if self.chart is not None and self.space not in ("w", "w+"):
            problems.append(f"a chart is of W; it goes with space w or w+, not {self.space}")
        if self.optimiser == "lbfgs" and self.schedule.noise:
            problems.append("lbfgs compares losses, which must not have noise of codes in them")
        if self.optimiser == "sphere" and self.start == "mean" and self._starts_at_zero:
            problems.append("a sphere around 0 needs start='sample': the mean is 0 there")
        if self.maps is not None and self.noise != "optimise":
            problems.append("maps are optimised with noise='optimise'")
        if problems:
            raise UserError("; ".join(problems))

    @property
    def _starts_at_zero(self) -> bool:
        return self.space == "z" or self.chart is not None

    def check(self, generator: Generator) -> None:
        """Raises `UserError` unless the generator has what is optimised."""
        problems = []
        own = [*generator.spaces]
        sides = generator.noise_sides
        if self.space not in own:
            hint = "; StyleSpace(generator) has s" if self.space == "s" and "w" in own else ""
            problems.append(
                f"the generator has the spaces {', '.join(own)}, not {self.space}{hint}"
            )
        if self.noise == "optimise" and not sides:
            problems.append("the generator adds no noise; there are no maps to optimise")
        elif self.maps is not None and not 1 <= self.maps <= len(sides):
            problems.append(f"maps must be in 1 to {len(sides)}, got {self.maps}")
        if self.classes and not generator.num_classes:
            problems.append("the generator has no classes to optimise")
        if self.chart is not None and self.chart.mean.shape != (generator.code_dim,):
            problems.append(
                f"the chart is of {self.chart.mean.shape[0]} numbers, the generator's w has "
                f"{generator.code_dim}"
            )
        if self.schedule.noise and generator.num_classes:
            problems.append("noise on codes is in deviations of w, which depend on the class here")
        if problems:
            raise UserError("; ".join(problems))
