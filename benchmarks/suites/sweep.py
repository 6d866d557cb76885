"""Sweeps against the originals' loop, which edits, renders and copies one image after another."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmarks import models
from benchmarks.harness import Work, compare, with_torch
from benchmarks.peers.device import work
from benchmarks.suites import Case, Size
from benchmarks.suites.synth import peers
from jaxlatent import Directions, prepare, sweep
from jaxlatent.find import sefa

_TOLERANCE = 1e-3
_FUSED = {"torch": "fused", "original": "original fused"}  # which the original does for one image


def _loop(
    render: Any, codes: Any, directions: Directions, strengths: Sequence[float], layers: list[int]
) -> Any:
    """Returns images [n, k, s, h, w, c] of edits that are made one by one."""
    vectors = np.asarray(directions.vectors)
    moving = np.zeros((codes.shape[1], 1), np.float32)
    moving[layers] = 1
    images = [
        np.asarray(render(codes[i : i + 1] + np.float32(t) * vector * moving))
        for i in range(len(codes))
        for vector in vectors
        for t in strengths
    ]
    return np.stack(images).reshape(len(codes), len(vectors), len(strengths), *images[0].shape[1:])


def _measure(name: str, config: Any, shape: tuple[int, int, int], late: int, size: Size) -> Any:
    n, k, s = shape
    generator = models.random(config)
    codes = np.asarray(models.codes_of(generator, n)[0])
    directions = sefa(generator.affines(), k).bind(generator)
    strengths = [float(t) for t in np.linspace(-3, 3, s)]
    layers = list(range(generator.num_layers))[late:]

    def images(network: Any, code: Any) -> Any:
        return work(network, code, device=size.device)().cpu().numpy()

    def others() -> dict[str, Work]:
        networks = peers(generator, size.original)
        rest = (codes, directions, strengths, layers)
        return {
            f"{name}, one by one": partial(_loop, partial(images, networks[kind]), *rest)
            for name, kind in _FUSED.items()
            if kind in networks
        }

    def ours() -> Any:
        ready = prepare(generator)  # a part of the work, as nobody else does it
        return sweep(ready, jnp.asarray(codes), directions, strengths, layers=layers)

    return compare(name, n * k * s, ours, with_torch(others), 2, _TOLERANCE)


def cases(size: Size) -> Iterator[Case]:
    """Yields sweeps of all layers, and of late ones alone."""
    if size.quick:
        config, pixels, shape = models.stylegan2(32, 1024, 32), 32, (2, 2, 3)
    else:
        config, pixels, shape = models.stylegan2(128), 128, (4, 8, 7)
    count = config.num_convs + 1
    for late, which in ((0, "all layers"), (count - 4, "the last 4 layers")):
        name = f"StyleGAN2 {pixels} px, {' x '.join(map(str, shape))}, {which}"
        yield Case("sweep", name, partial(_measure, name, config, shape, late, size))
