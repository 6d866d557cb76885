"""What all tests share: strict JAX settings and generators filled from NumPy."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jaxtyping
import numpy as np
import pytest

from benchmarks.parity import names
from benchmarks.parity.goldens import LARGER
from jaxlatent.generators import DCGANConfig, Generator, StyleGAN2Config
from jaxlatent.parameters import build, parameter_shapes

jax.config.update("jax_numpy_rank_promotion", "raise")

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


def filled(config: Any, seed: int = 0) -> Generator:
    """Builds a generator with random parameters: variances positive, kernels of unit gain."""
    random = np.random.RandomState(seed)
    arrays = {}
    for name, shape in parameter_shapes(config).items():
        array = random.standard_normal(shape).astype(np.float32)
        if name.endswith("kernel"):
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
