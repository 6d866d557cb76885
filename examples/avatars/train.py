"""Trains the avatars' StyleGAN2: `python -m examples.avatars.train RUN --data D --features F`.

Called again with the same arguments, it goes on from the last checkpoint, bit by bit as if it had
never stopped. Ctrl-C or SIGTERM writes a checkpoint first.
"""

import argparse
import dataclasses
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8

from examples.avatars.adversarial import Recipe, State, check_fit, initial_state, train_step
from examples.avatars.checkpoints import Checkpoints, read_net
from examples.avatars.data import load, split
from examples.avatars.devices import replicate
from examples.avatars.metrics import Table, save_grid
from jaxlatent.errors import UserError
from jaxlatent.generators import StyleGAN2Config
from jaxlatent.networks import AttributeNet

MODEL = StyleGAN2Config(
    channels=(128, 112, 80, 48, 24),
    z_dim=64,
    w_dim=128,
    mapping_widths=(128,) * 4,
    mapping_lr_multiplier=0.1,
    use_noise=False,
)
"""The model shipped: 64 pixels, 0.8 million parameters."""

_MAY_CHANGE = ("images", "rate", "last_rate")  # when a run is resumed


def train(
    recipe: Recipe,
    images: UInt8[Array, "m h w 3"],
    net: AttributeNet,
    folder: Path,
    *,
    checkpoint_every: int = 100,
    grid_every: int = 625,
    log_every: int = 32,
) -> State:
    """Trains until the recipe's number of images, from the last checkpoint if there is one.

    Args:
        recipe: what is trained, and how.
        images: all real images.
        net: the frozen network whose features the discriminator sees.
        folder: gets `recipe.json`, `metrics.csv`, `grids/` and `checkpoints/`.
        checkpoint_every: steps from one checkpoint to the next.
        grid_every: steps from one picture of samples to the next.
        log_every: steps from one row of metrics to the next; R1 is 0 in steps without it.

    Raises:
        UserError: if the networks do not fit the images, or the folder is of another recipe.
    """
    check_fit(recipe, images, net)
    _check_recipe(recipe, folder)
    (folder / "grids").mkdir(exist_ok=True)
    with Checkpoints(folder / "checkpoints") as checkpoints, _until_told() as told:
        state = initial_state(recipe)
        if checkpoints.latest is not None:
            state = checkpoints.restore(state)
        state, images, net = replicate((state, images, net))
        step, total = int(state.step), recipe.images // recipe.batch
        table = Table(folder / "metrics.csv", step)
        clock, since = time.monotonic(), step
        while step < total and not told:
            lazy = (step + 1) % recipe.interval == 0
            state, metrics = train_step(state, images, net, recipe=recipe, regularise=lazy)
            step += 1
            if step % log_every == 0:
                values = jax.device_get(metrics)
                speed = (step - since) * recipe.batch / (time.monotonic() - clock)
                clock, since = time.monotonic(), step
                _log(table, step, recipe, {n: float(v) for n, v in values.items()}, speed)
            if step % checkpoint_every == 0:
                checkpoints.save(step, state)
            if step % grid_every == 0:
                name = f"{step * recipe.batch:08d}.png"
                save_grid(recipe, state.average, folder / "grids" / name)
        checkpoints.save(step, state)
    return state


def _log(table: Table, step: int, recipe: Recipe, values: dict[str, float], speed: float) -> None:
    row = {"step": step, "images": step * recipe.batch}
    row |= {name: f"{value:.6g}" for name, value in values.items()}
    table.append(row | {"images_per_second": f"{speed:.1f}"})


def _check_recipe(recipe: Recipe, folder: Path) -> None:
    """Writes the recipe beside the run, or compares it with the one there."""
    fields = json.loads(json.dumps(dataclasses.asdict(recipe)))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "recipe.json"
    if file.is_file():
        before = json.loads(file.read_text())
        changed = [n for n in fields if n not in _MAY_CHANGE and fields[n] != before.get(n)]
        if changed:
            raise UserError(f"{folder} is of another recipe ({', '.join(changed)}); choose another")
    file.write_text(json.dumps(fields, indent=1) + "\n")


@contextmanager
def _until_told() -> Iterator[list[int]]:
    """Yields a list that fills when the process is asked to stop."""
    told: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(s, lambda number, _: told.append(number)) for s in signals]
    try:
        yield told
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def main() -> None:
    """Reads the arguments and trains the model shipped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of checkpoints, metrics and grids")
    parser.add_argument("--data", type=Path, required=True, help="folder that render.mjs wrote")
    parser.add_argument("--features", type=Path, required=True, help="by train_predictor")
    parser.add_argument("--images", type=int, default=Recipe.images, help="until when")
    parser.add_argument("--rate", type=float, default=Recipe.rate, help="learning rate")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    arguments = parser.parse_args()
    recipe = Recipe(MODEL, images=arguments.images, rate=arguments.rate, seed=arguments.seed)
    jax.config.update("jax_compilation_cache_dir", str(arguments.run / "compiled"))
    images = jnp.asarray(split(load(arguments.data))[0].images)
    train(recipe, images, read_net(arguments.features), arguments.run)


if __name__ == "__main__":
    main()
