"""What an inversion's step works on: images, the generator, and what is optimised."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float, Key

from jaxlatent.generators import Generator
from jaxlatent.invert.losses import View

Variables = dict[str, Any]  # "code" [n, m, d], "noise": a tuple of maps, "label": weights or None


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["generator", "targets", "keys", "label", "mask", "terms", "chart", "deviation"],
    meta_fields=["space", "noise"],
)
@dataclass(frozen=True, eq=False)
class Work:
    """What stays the same over a run; an argument of the compiled step.

    Attributes:
        generator: the generator.
        targets: images to be inverted.
        keys: a key for each image.
        label: classes, one for each image, of a conditional generator.
        mask: weight of each pixel.
        terms: of the recipe, as pytrees.
        chart: of W, if the recipe has one.
        deviation: of w, the unit of the noise added to codes.
        space: of the recipe.
        noise: what the generator adds if maps are not optimised.
    """

    generator: Generator
    targets: Float[Array, "n h w c"]
    keys: Key[Array, " n"]
    label: Any
    mask: Any
    terms: Sequence[tuple[Any, Any]]
    chart: Any
    deviation: Float[Array, ""]
    space: str
    noise: Any

    def codes(self, variables: Variables) -> Float[Array, "n L d"]:
        """Returns codes with a row for each layer from what is optimised."""
        code = variables["code"]
        if self.space == "z":
            return self.generator.broadcast(self.generator.map(code[:, 0], self.classes(variables)))
        if self.chart is not None:
            code = self.chart(code)
        return code if self.space == "w+" else self.generator.broadcast(code[:, 0])

    def classes(self, variables: Variables) -> Any:
        """Returns the class weights: those optimised, or those given."""
        return self.label if variables["label"] is None else variables["label"]

    def view(self, variables: Variables) -> View:
        """Renders, and returns what the terms see; outside of the mask all is as it should be."""
        codes, maps = self.codes(variables), variables["noise"]
        label = self.classes(variables)
        images = self.generator.synthesize(codes, maps or self.noise, label=label)
        if self.mask is not None:
            images = self.targets + self.mask[..., None] * (images - self.targets)
        return View(images, self.targets, variables["code"], codes, maps)
