"""Writes a run's averaged generator: `python -m examples.avatars.export RUN OUT.safetensors`.

`jaxlatent.load` reads it. It is of half precision, with the mean w that truncation needs.
"""

import argparse
import json
from pathlib import Path

from examples.avatars.adversarial import Recipe, as_generator, initial_state
from examples.avatars.checkpoints import Checkpoints
from examples.avatars.discriminator import DiscriminatorConfig
from examples.avatars.metrics import with_mean
from jaxlatent.exports import save_safetensors
from jaxlatent.generators import StyleGAN2, StyleGAN2Config
from jaxlatent.parameters import cast


def read_recipe(run: Path) -> Recipe:
    """Reads the recipe that a run was started with."""
    fields = json.loads((run / "recipe.json").read_text())
    generator, discriminator = (
        {name: tuple(v) if isinstance(v, list) else v for name, v in fields.pop(part).items()}
        for part in ("generator", "discriminator")
    )
    return Recipe(StyleGAN2Config(**generator), DiscriminatorConfig(**discriminator), **fields)


def averaged(run: Path) -> tuple[StyleGAN2, int]:
    """Returns the generator of a run's last checkpoint, and how many images it was trained on."""
    recipe = read_recipe(run)
    with Checkpoints(run / "checkpoints") as checkpoints:
        state = checkpoints.restore(initial_state(recipe))
    return with_mean(as_generator(recipe, state.average)), int(state.step) * recipe.batch


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    generator, images = averaged(arguments.run)
    save_safetensors(cast(generator, "float16"), arguments.out)
    print(f"trained on {images} images")


if __name__ == "__main__":
    main()
