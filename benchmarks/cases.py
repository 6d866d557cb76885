"""What is measured: sweeps and renders against the originals' loop over single images."""

from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import compare
from jaxlatent import Directions, render, sweep
from jaxlatent.find import sefa
from jaxlatent.generators import DCGANConfig, Generator, StyleGAN2Config
from jaxlatent.parameters import build, parameter_shapes

_FACES = DCGANConfig(
    z_dim=100,
    channels=(512, 256, 128, 64, 3),
    kernels=(4,) * 5,
    strides=(1, 2, 2, 2, 2),
    paddings=(0, 1, 1, 1, 1),
    output_paddings=(0,) * 5,
    biases=(False,) * 5,
    norms=(True, True, True, True, False),
)


def _stylegan2(resolution: int, base: int, most: int) -> StyleGAN2Config:
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    return StyleGAN2Config(tuple(min(base // size, most) for size in sizes))


def _random(config: Any) -> Generator:
    random = np.random.RandomState(0)
    arrays: dict[str, np.ndarray] = {
        name: random.standard_normal(shape).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    for name, array in arrays.items():
        if name.endswith("variance"):
            arrays[name] = np.abs(array) + 0.5
        elif isinstance(config, DCGANConfig) and name.endswith("kernel"):
            arrays[name] = 0.02 * array  # the scale that DCGANs start from and stay near
    return cast(Generator, build(config, arrays))


@jax.jit
def _one(generator: Generator, code: Any) -> Any:
    return generator.synthesize(code)


def _one_by_one(generator: Generator, codes: Any) -> Any:
    return np.stack([np.asarray(_one(generator, codes[i : i + 1])) for i in range(len(codes))])


def _sweep_one_by_one(
    generator: Generator, codes: Any, directions: Directions, strengths: list[float]
) -> Any:
    """The originals' way: for each sample, direction and strength, edit and render one image."""
    vectors = jnp.asarray(directions.vectors)
    images = [
        np.asarray(_one(generator, codes[i : i + 1] + t * vectors[j][None]))
        for i in range(len(codes))
        for j in range(len(directions))
        for t in strengths
    ]
    return np.stack(images)


def cases(quick: bool) -> Iterator[dict[str, Any]]:
    """Yields one record a case; `quick` keeps to the smallest sizes and three rounds."""
    rounds = 3 if quick else 9
    models: dict[str, Any] = {"dcgan 64 px": _FACES}
    if quick:
        models["stylegan2 32 px"] = _stylegan2(32, 1024, 32)
    else:
        models["stylegan2 64 px"] = _stylegan2(64, 4096, 128)
        models["stylegan2 256 px"] = _stylegan2(256, 16384, 512)
    strengths = [float(t) for t in np.linspace(-3, 3, 7)]
    for name, config in models.items():
        generator = _random(config)
        n, k = (2, 2) if quick or "256" in name else (4, 8)
        z = generator.sample_z(jax.random.key(0), n * 8)
        codes = generator.broadcast(generator.map(z))
        yield compare(
            f"render, {name}, {n * 8} images against one by one",
            n * 8,
            partial(render, generator, codes),
            partial(_one_by_one, generator, codes),
            rounds,
        )
        directions = sefa(generator.affines(), k).bind(generator)
        yield compare(
            f"sweep, {name}, {n} x {k} x {len(strengths)} against one by one",
            n * k * len(strengths),
            partial(sweep, generator, codes[:n], directions, strengths),
            partial(_sweep_one_by_one, generator, codes[:n], directions, strengths),
            rounds,
        )
