"""What all tests share: strict JAX settings and generators filled from NumPy."""

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jaxtyping
import numpy as np
import pytest

from benchmarks.parity import names
from benchmarks.parity.goldens import LARGER
from jaxlatent.generators import (
    BigGANConfig,
    DCGANConfig,
    Filter,
    Generator,
    InfoGANConfig,
    Resampling,
    SNGANConfig,
    StyleGAN2Config,
    StyleGAN3Config,
    StyleGAN3Layer,
)
from jaxlatent.parameters import build, parameter_shapes

jax.config.update("jax_numpy_rank_promotion", "raise")
# Compiling is most of what the tests do, and LLVM's optimisation a quarter of that.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ["JAXLATENT_CACHE"] = "off"  # commands run as processes keep nothing in the user's home

DCGAN_CONFIG = DCGANConfig(
    z_dim=6,
    channels=(5, 4, 3),
    kernels=(4, 4, 4),
    strides=(1, 2, 2),
    paddings=(0, 1, 1),
    output_paddings=(0, 0, 0),
    biases=(False, True, True),
    norms=(True, True, False),
)
STYLEGAN2_CONFIG = StyleGAN2Config(
    channels=(5, 4, 3), z_dim=6, w_dim=7, mapping_widths=(8, 7), mapping_lr_multiplier=0.1
)


_MAPPINGS = Path("/proc/self/maps")  # of this process; Linux ends one that asks for over 65530


@pytest.fixture(autouse=True, scope="module")
def _room() -> Iterator[None]:
    """Drops the compiled programs after a module if many are held: each takes some mappings."""
    yield
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()


def low_pass(taps: int, factor: int, radial: bool = False) -> Filter:
    """Returns a filter that cuts a rate multiplied by `factor`; the radial one is rough."""
    places = np.arange(taps) - (taps - 1) / 2
    if not radial:
        values = np.sinc(places / factor) * np.kaiser(taps, 4)
        return Filter.separable((values / values.sum()).tolist())
    values = np.exp(-(places**2) / factor**2)
    rows = [values / values.sum(), 0.1 * np.cos(places) * values]
    return Filter(*(tuple(map(tuple, (np.array(rows) * s).tolist())) for s in (1, -1)))


def stylegan3_config(
    sides: tuple[int, ...] = (12, 20, 16), kernel: int = 3, radial: bool = False
) -> StyleGAN3Config:
    """Returns a StyleGAN3 at a rate of 8, then 16; the last side is the image's, without margin."""
    layers = []
    for i, (before, after) in enumerate(pairwise(sides)):
        up = 2 if i else 4
        filters = low_pass(4 * up, up), low_pass(8, 2, radial and not i)
        resampling = Resampling.between(before + kernel - 1, after, up, 2, *filters)
        layers.append(StyleGAN3Layer(5 - i, kernel, resampling))
    return StyleGAN3Config(
        layers=(*layers, StyleGAN3Layer(3, 1, Resampling())),
        input_size=sides[0],
        input_channels=6,
        input_rate=8.0,
        z_dim=6,
        w_dim=7,
        mapping_widths=(8, 7),
        mapping_lr_multiplier=0.1,
    )


def filled(config: Any, seed: int = 0) -> Generator:
    """Builds a generator with random parameters; variances are positive.

    Families that scale no weights get small ones, so that their images are not saturated.
    """
    random = np.random.RandomState(seed)
    arrays = {}
    for name, shape in parameter_shapes(config).items():
        array = random.standard_normal(shape).astype(np.float32)
        if isinstance(config, BigGANConfig):
            array *= np.float32(0.2)
        elif isinstance(config, SNGANConfig | InfoGANConfig) and name.endswith("kernel"):
            array /= np.float32(np.sqrt(array[..., 0].size))
        arrays[name] = np.abs(array) + 0.5 if name.endswith("variance") else array
    return build(config, arrays)


def pytest_report_header() -> str:
    """Says which goldens are compared with."""
    larger = LARGER if LARGER.is_dir() else f"none in {LARGER}"
    return f"goldens: {len(names())} networks; larger set: {larger}"


@pytest.fixture
def lenient() -> Iterator[None]:
    """Lets wrong shapes pass the annotations' checks, to see our own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def dcgan() -> Generator:
    return filled(DCGAN_CONFIG)


@pytest.fixture(scope="session")
def stylegan2() -> Generator:
    return filled(STYLEGAN2_CONFIG)


@pytest.fixture(scope="session")
def fill() -> Callable[..., Generator]:
    return filled
