"""Inversion: how well codes come back, how fast, and what the loop costs.

`python -m benchmarks.inversion speed` times many images in one call against one after the other in
plain torch, `recovery` inverts what generators made, `loop` compares a Python loop over the step
with `lax.scan`. The faces need the package generateme (see `jaxlatent demo`), `speed` torch.
"""

import importlib
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

import jaxlatent
from benchmarks.harness import environment
from benchmarks.peers.inversion import FALL, RATE, one_after_the_other, torch_peer
from jaxlatent import Edit, edit, find
from jaxlatent.demo import find_checkpoint
from jaxlatent.files import atomic_file
from jaxlatent.generators import DCGAN, Generator
from jaxlatent.invert import Recipe, Schedule, checks, invert, nearest, psnr
from jaxlatent.invert.loop import How, begin, step
from jaxlatent.invert.presets import z_adam
from jaxlatent.invert.starts import start
from jaxlatent.invert.work import Work

_KEY = jax.random.key(0)
_OUT = click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")


@click.group()
def main() -> None:
    """Measure inversion on this machine."""


def _told(rows: list[dict[str, Any]], out: Path | None) -> None:
    """Prints rows as a table of Markdown, and writes them with the machine's description."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(_cell(value) for value in row.values()) + " |")
    if out is not None:
        text = json.dumps({"environment": environment(), "results": rows}, indent=2) + "\n"
        with atomic_file(out) as temporary:
            temporary.write_text(text)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _faces() -> DCGAN:
    generator = jaxlatent.load(find_checkpoint())
    if not isinstance(generator, DCGAN):
        raise TypeError(f"a DCGAN was expected, got {generator.family}")
    return generator


@main.command()
@click.option("--images", "sizes", default="1,8,64", show_default=True, help="Batches.")
@click.option("--steps", default=100, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Pairs, of which the median counts.")
@_OUT
def speed(sizes: str, steps: int, rounds: int, out: Path | None) -> None:
    """Compare seconds, without compiling, and the medians of the least losses."""
    torch: Any = importlib.import_module("torch")
    generator = _faces()
    network = torch_peer(generator)
    recipe = Recipe("z", steps, Schedule(RATE, fall=FALL))
    rows = []
    for n in map(int, sizes.split(",")):
        codes = generator.sample_z(jax.random.key(1), n)
        starts = np.asarray(generator.sample_z(jax.random.key(2), n))
        images = jaxlatent.render(generator, generator.broadcast(codes))
        ours = partial(invert, generator, images, recipe, _KEY, codes=starts)
        ours()  # compiles
        pairs = []
        for _ in range(rounds):
            begun = time.perf_counter()
            found = ours()
            between = time.perf_counter()
            losses = one_after_the_other(network, images, starts, steps)
            pairs.append((between - begun, time.perf_counter() - between))
        rows.append(
            {
                "images": n,
                "ours s": statistics.median(a for a, _ in pairs),
                "torch s": statistics.median(b for _, b in pairs),
                "ratio": statistics.median(b / a for a, b in pairs),
                "ours loss": float(np.median(found.loss)),
                "torch loss": float(np.median(losses)),
                "steps": steps,
                "torch": torch.__version__,
            }
        )
    _told(rows, out)


@main.command()
@click.argument("model")
@click.option("--seeds", default=64, show_default=True)
@click.option("--steps", default=500, show_default=True)
@click.option("--restarts", default=4, show_default=True, help="Of z.")
@_OUT
def recovery(model: str, seeds: int, steps: int, restarts: int, out: Path | None) -> None:
    """Invert images that MODEL made, into w+ if it has one, else into z; PSNR in dB.

    MODEL is faces, avatars or a file. Edited are both the true and the found codes, along SeFa's
    first direction by 2.
    """
    generator: Generator = _faces() if model == "faces" else jaxlatent.load(model)
    z = generator.sample_z(jax.random.key(1), seeds)
    codes = generator.broadcast(generator.map(z))
    images = jaxlatent.render(generator, codes)
    begun, starts = time.perf_counter(), None
    recipe = z_adam(generator, steps, restarts)
    if "w+" in generator.spaces:
        recipe = Recipe("w+", steps, Schedule(0.05, fall=0.5))
        starts = nearest(generator, images, jax.random.key(2), "w+")
    found = invert(generator, images, recipe, _KEY, codes=starts)
    seconds = time.perf_counter() - begun
    moved = Edit(find.sefa(generator.affines(), 1).bind(generator), [2.0])
    pairs = [edit(generator, jnp.asarray(c), moved) for c in (codes, found.codes)]
    edited = [jaxlatent.render(generator, c) for c in pairs]
    quality = psnr(found.images, images)
    row = {
        "model": Path(model).name,
        "space": recipe.space,
        "images": seeds,
        "steps": steps,
        "starts": recipe.restarts,
        "median dB": float(np.median(quality)),
        "10% below": float(np.percentile(quality, 10)),
        "worst dB": float(quality.min()),
        "edited, median dB": float(np.median(psnr(*edited))),
        "s": seconds,
    }
    _told([row], out)


@main.command()
@click.option("--steps", default=20, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@_OUT
def loop(steps: int, rounds: int, out: Path | None) -> None:
    """Compare a Python loop over the compiled step with `lax.scan`, on the faces."""
    generator = _faces()
    recipe = Recipe("z", steps, Schedule(RATE, fall=FALL), start="sample")
    how = How.of(recipe)

    @jax.jit
    def scanned(work: Work, state: Any) -> Any:
        return jax.lax.scan(lambda s, _: step(work, s, how), state, length=steps)

    def in_python(work: Work, state: Any) -> Any:
        losses = []
        for _ in range(steps):
            state, loss = step(work, state, how)
            losses.append(loss)
        return state, losses

    rows = []
    for n in (1, 8):
        keys = jax.random.split(_KEY, n)
        images = generator.synthesize(generator.sample_z(keys, n)[:, None])
        work = Work(
            generator, images, keys, None, None, checks.terms(recipe), None, jnp.zeros(()), "z",
            "const",
        )  # fmt: skip
        ways: dict[str, Any] = {"Python loop": in_python, "scan": scanned}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, way in ways.items():
                state = begin(recipe, start(recipe, work))
                begun = time.perf_counter()
                jax.block_until_ready(way(work, state))
                if number:  # the first one compiles
                    taken[name].append((time.perf_counter() - begun) / steps * 1e3)
        row = {f"{name}, ms a step": statistics.median(t) for name, t in taken.items()}
        rows.append({"images": n, **row})
    _told(rows, out)


if __name__ == "__main__":
    main()
