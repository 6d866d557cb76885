"""Synthesis, and its gradient by the codes, against the originals' formulation in torch."""

import importlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import models, peak, roofline
from benchmarks.harness import Work, compare, compiled, with_torch
from benchmarks.peers import original
from benchmarks.peers.device import fast, work
from benchmarks.suites import Case, Size
from jaxlatent import UserError, prepare
from jaxlatent.generators import Generator, StyleGAN2

_TOLERANCE = {"exact": 1e-3, "fast": 0.05}  # of the largest pixel; slopes add up more of it


def peers(generator: Generator, checkout: Any = None) -> dict[str, Any]:
    """Returns the networks that a generator is compared with, a user's checkout's among them."""
    module = importlib.import_module(f"benchmarks.peers.{_MODULES[generator.family]}")
    if isinstance(generator, StyleGAN2):
        ours = {name: module.torch_peer(generator, name == "fused") for name in ("fused", "shared")}
        return ours | (original.torch_peers(generator, checkout) if checkout else {})
    network = module.torch_peer(generator)
    if generator.family == "dcgan":
        torch: Any = importlib.import_module("torch")
        shape = torch.nn.Unflatten(1, (generator.z_dim, 1, 1))
        return {"torch": torch.nn.Sequential(torch.nn.Flatten(), shape, network)}
    return {"torch": network}


_MODULES = {
    "stylegan2": "stylegan2",
    "dcgan": "inversion",
    "pggan": "pggan",
    "biggan": "biggan",
    "stylegan3": "stylegan3",
}


def _images(generator: Generator, codes: Any, label: Any) -> Any:
    return generator.synthesize(codes, label=label)


def _slope(generator: Generator, codes: Any, label: Any) -> Any:
    return jax.grad(lambda c: jnp.sum(jnp.square(_images(generator, c, label))))(codes)


def _measure(
    name: str, config: Any, n: int, gradient: bool, precision: str, size: Size
) -> dict[str, Any]:
    generator = models.random(config)
    codes, label = models.codes_of(generator, n)
    read = label if generator.family == "biggan" else None
    jax.block_until_ready(prepare(generator, precision))
    start = time.perf_counter()
    ready = jax.block_until_ready(prepare(generator, precision))
    preparing = time.perf_counter() - start
    function = _slope if gradient else _images
    program, stages = compiled(function, ready, codes, read)
    plain = None
    if precision == "exact":
        plain = partial(compiled(function, generator, codes, read)[0], generator, codes, read)

    def others() -> dict[str, Work]:
        networks = peers(generator, size.original)
        chosen = fast(networks) if precision == "fast" and not gradient else networks
        return {
            name: work(
                network, codes, read, device=size.device, gradient=gradient, precision=precision
            )
            for name, network in chosen.items()
        }

    ours = partial(program, ready, codes, read)
    tolerance = _TOLERANCE[precision]
    row = compare(name, n, ours, with_torch(others), size.rounds, tolerance, plain=plain)
    row["prepare_s"] = preparing
    if gradient:
        row["error_of"] = "of the slopes, a share of the largest one"
    if "items_per_s" in row and not gradient:
        row["peak_share"] = share(config, n, precision, row["items_per_s"])
    memory = program.memory_analysis()
    return row | stages | {"temporary_mib": memory.temp_size_in_bytes / 2**20}


def share(config: Any, n: int, precision: str, images: float) -> float | None:
    """Returns the share of what the device could do that so many images a second are."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return 2 * roofline.macs(config) * images / (1e9 * peak.gflops())
    dtype = "bfloat16" if precision == "fast" else "float32"
    try:
        return images / roofline.limit(config, device.device_kind, dtype, n)
    except UserError:  # of a device whose peak is not known
        return None


def cases(size: Size) -> Iterator[Case]:
    """Yields forward passes, then gradients."""
    small = ("StyleGAN2 64 px", models.stylegan2(64))
    middle = ("StyleGAN2 256 px", models.stylegan2(256))
    rows: list[tuple[tuple[str, Any], int, bool]]
    if size.quick:
        tiny = ("StyleGAN2 32 px, narrow", models.stylegan2(32, 1024, 32))
        rows = [(tiny, 2, False), (tiny, 2, True), (("DCGAN 64 px", models.DCGAN_64), 2, False)]
    elif size.device == "gpu":
        large = ("StyleGAN2 1024 px", models.stylegan2(1024, 32768))
        wide = ("StyleGAN2 256 px, base 32k", models.stylegan2(256, 32768))
        rows = [(middle, 8, False), (large, 8, False), (wide, 64, False), (middle, 8, True)]
        rows += [(small, n, False) for n in (1, 64)] + [(middle, 1, False), (large, 1, False)]
    else:
        rows = [(small, 1, False), (small, 16, False), (middle, 1, False), (middle, 4, False)]
        rows += [(middle, 1, True), (small, 4, True)]
        rows += [(("DCGAN 64 px", models.DCGAN_64), 16, False)]
        rows += [(("PGGAN 256 px", models.pggan(256)), n, False) for n in (1, 4)]
        deep = ("BigGAN-deep 128 px, width 64", models.biggan_deep_128(64))
        rows += [(deep, n, False) for n in (1, 4)]
        alias_free = ("StyleGAN3-T 64 px, base 4096", models.stylegan3_t(64, 4096, 128))
        rows += [(alias_free, n, False) for n in (1, 4)]
    for precision in ("fast", "exact") if size.device == "gpu" else ("exact",):
        for (model, config), n, gradient in rows:
            name = f"{model}, batch {n}{', gradient' * gradient}, {precision}"
            yield Case("synth", name, partial(_measure, name, config, n, gradient, precision, size))
