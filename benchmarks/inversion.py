"""Inversion of a face DCGAN: many images in one call against one after the other in plain torch.

`python -m benchmarks.inversion speed` compares times at equal final losses,
`python -m benchmarks.inversion recovery` says how well generated faces come back. Both need the
package generateme (see `jaxlatent demo`), the first one torch too.
"""

import importlib
import json
import math
import time
from typing import Any

import click
import jax
import numpy as np

import jaxlatent
from benchmarks.harness import environment
from jaxlatent.demo import find_checkpoint
from jaxlatent.generators import DCGAN, Generator
from jaxlatent.invert import Recipe, Schedule, invert
from jaxlatent.invert.presets import z_adam

_RATE, _FALL = 0.1, 0.5
_KEY = jax.random.key(0)


def _faces(generator: Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images of the generator's own, and other codes to start from."""
    z = generator.sample_z(jax.random.key(1), n)
    starts = np.asarray(generator.sample_z(jax.random.key(2), n))
    return jaxlatent.render(generator, generator.broadcast(z)), starts


def torch_peer(generator: DCGAN) -> Any:
    """Returns the same network in torch, with everything but relu and tanh left out."""
    torch: Any = importlib.import_module("torch")
    config = generator.config
    if (config.activation, config.output_activation) != ("relu", "tanh"):
        raise ValueError(f"the peer has relu and tanh, not {config}")
    modules = []
    for i, layer in enumerate(generator.layers):
        kernel = np.array(layer.kernel[...])[::-1, ::-1].transpose(2, 3, 0, 1)
        bias, norm = layer.bias, layer.norm
        geometry = layer.stride, layer.padding, layer.output_padding
        convolution = torch.nn.ConvTranspose2d(
            kernel.shape[0], kernel.shape[1], kernel.shape[2], *geometry, bias=bias is not None
        )
        convolution.weight.data = torch.from_numpy(kernel.copy())
        if bias is not None:
            convolution.bias.data = torch.from_numpy(np.array(bias[...]))
        modules.append(convolution)
        if norm is not None:
            batch_norm = torch.nn.BatchNorm2d(kernel.shape[1], eps=config.norm_epsilon)
            batch_norm.weight.data = torch.from_numpy(np.array(norm.scale[...]))
            batch_norm.bias.data = torch.from_numpy(np.array(norm.bias[...]))
            batch_norm.running_mean = torch.from_numpy(np.array(norm.mean[...]))
            batch_norm.running_var = torch.from_numpy(np.array(norm.variance[...]))
            modules.append(batch_norm)
        last = i + 1 == len(generator.layers)
        modules.append(torch.nn.Tanh() if last else torch.nn.ReLU())
    return torch.nn.Sequential(*modules).eval().requires_grad_(False)


def one_after_the_other(
    network: Any, images: np.ndarray, starts: np.ndarray, steps: int
) -> np.ndarray:
    """Runs the same algorithm in torch, an image at a time, and returns the least losses."""
    torch: Any = importlib.import_module("torch")
    losses = []
    for image, start in zip(images, starts, strict=True):
        target = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
        z = torch.tensor(start[None, :, None, None], requires_grad=True)
        optimiser = torch.optim.Adam([z], lr=_RATE, betas=(0.9, 0.999))
        least = math.inf
        for step in range(steps):
            left = min(1.0, (1.0 - step / steps) / _FALL)
            for group in optimiser.param_groups:
                group["lr"] = _RATE * (0.5 - 0.5 * math.cos(left * math.pi))
            optimiser.zero_grad()
            loss = torch.square(network(z) - target).mean()
            least = min(least, loss.item())
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            losses.append(min(least, torch.square(network(z) - target).mean().item()))
    return np.array(losses)


@click.group()
def main() -> None:
    """Measure inversion on this machine."""


def _generator() -> DCGAN:
    generator = jaxlatent.load(find_checkpoint())
    if not isinstance(generator, DCGAN):
        raise TypeError(f"a DCGAN was expected, got {generator.family}")
    return generator


@main.command()
@click.option("--images", "sizes", default="1,8,64", show_default=True, help="Batches.")
@click.option("--steps", default=100, show_default=True)
def speed(sizes: str, steps: int) -> None:
    """Print wall and CPU seconds, without compiling, and the median of the least losses."""
    generator = _generator()
    network = torch_peer(generator)
    recipe = Recipe("z", steps, Schedule(_RATE, fall=_FALL))
    print(json.dumps(environment()))
    print("images  ours s (CPU s)  torch s (CPU s)  ratio  median loss: ours, torch")
    for n in map(int, sizes.split(",")):
        images, starts = _faces(generator, n)
        invert(generator, images, recipe, _KEY, codes=starts)  # compiles
        wall, cpu = time.perf_counter(), time.process_time()
        found = invert(generator, images, recipe, _KEY, codes=starts)
        ours = time.perf_counter() - wall, time.process_time() - cpu
        wall, cpu = time.perf_counter(), time.process_time()
        losses = one_after_the_other(network, images, starts, steps)
        theirs = time.perf_counter() - wall, time.process_time() - cpu
        print(
            f"{n:>6}  {ours[0]:.2f} ({ours[1]:.2f})  {theirs[0]:.2f} ({theirs[1]:.2f})  "
            f"{theirs[0] / ours[0]:.2f}  {np.median(found.loss):.2e}, {np.median(losses):.2e}"
        )


@main.command()
@click.option("--seeds", default=64, show_default=True)
@click.option("--steps", default=500, show_default=True)
@click.option("--restarts", default=4, show_default=True)
def recovery(seeds: int, steps: int, restarts: int) -> None:
    """Print the PSNR of faces that the generator made, found from random starts."""
    generator = _generator()
    images, _ = _faces(generator, seeds)
    start = time.perf_counter()
    found = invert(generator, images, z_adam(generator, steps, restarts), _KEY)
    psnr = 10 * np.log10(4 / np.square(found.images - images).mean((1, 2, 3)))
    low, middle, high = np.percentile(psnr, [10, 50, 90])
    print(
        f"{seeds} faces, {steps} steps, {restarts} starts each, "
        f"{time.perf_counter() - start:.0f} s: PSNR median {middle:.1f} dB, "
        f"10% below {low:.1f}, 10% above {high:.1f}, worst {psnr.min():.1f}"
    )


if __name__ == "__main__":
    main()
