"""Steps of an inversion into W+ against a projector that does one image after the other."""

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks import models
from benchmarks.harness import Work, compare, with_torch
from benchmarks.peers.device import allow_tf32, torch_device
from benchmarks.suites import Case, Size
from benchmarks.suites.synth import peers
from jaxlatent import prepare
from jaxlatent.invert import Pixels, Recipe, Schedule, invert

_RATE = 0.05
_TOLERANCE = 0.02  # of the largest loss: Adam's first steps amplify rounding


def _project(network: Any, images: Any, starts: Any, steps: int, device: str) -> Any:
    """Returns the least losses of Adam on the codes, an image at a time."""
    torch: Any = importlib.import_module("torch")
    place = torch_device(device)
    allow_tf32(False)
    network = network.to(place)
    losses = []
    for image, start in zip(images, starts, strict=True):
        target = torch.tensor(image, device=place).permute(2, 0, 1)[None]
        code = torch.tensor(start[None], device=place, requires_grad=True)
        optimiser = torch.optim.Adam([code], lr=_RATE, betas=(0.9, 0.999))
        least = np.inf
        for _ in range(steps):
            optimiser.zero_grad()
            loss = torch.square(network(code) - target).mean()
            least = min(least, loss.item())
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            losses.append(min(least, torch.square(network(code) - target).mean().item()))
    return np.array(losses)


def _measure(name: str, config: Any, n: int, steps: int, size: Size) -> dict[str, Any]:
    generator = models.random(config)
    codes = np.asarray(models.codes_of(generator, 2 * n)[0])
    starts = codes[n:]
    images = np.asarray(jax.jit(lambda g, c: g.synthesize(c))(generator, codes[:n]))
    recipe = Recipe("w+", steps, Schedule(_RATE), ((1.0, Pixels()),))

    def ours() -> Any:
        ready = prepare(generator)  # a part of the work, as nobody else does it
        return invert(ready, images, recipe, jax.random.key(0), codes=starts).loss

    def others() -> dict[str, Work]:
        return {
            kind: partial(_project, network, images, starts, steps, size.device)
            for kind, network in peers(generator).items()
        }

    row = compare(name, n * steps, ours, with_torch(others), 3, _TOLERANCE)
    return row | {"error_of": "of the least losses, a share of the largest one"}


def cases(size: Size) -> Iterator[Case]:
    """Yields inversions of one image and of several."""
    quick = size.quick
    config, pixels = (models.stylegan2(16, 256, 16), 16) if quick else (models.stylegan2(64), 64)
    for n in (1, 2) if quick else (1, 8):
        steps = 4 if quick else 20 if n == 1 else 5
        name = f"StyleGAN2 {pixels} px into W+, {n} image{'s' * (n > 1)}, {steps} steps"
        yield Case("invert", name, partial(_measure, name, config, n, steps, size))
