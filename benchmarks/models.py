"""Generators that benchmarks measure: of published sizes, with random weights."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import firwin

from jaxlatent.generators import (
    BigGANConfig,
    DCGANConfig,
    Generator,
    PGGANConfig,
    Resampling,
    StyleGAN2Config,
    StyleGAN3Config,
    StyleGAN3Layer,
)
from jaxlatent.generators.alias_free import Filter
from jaxlatent.parameters import build, parameter_shapes

SIDES = (32, 64, 128, 256, 512, 1024)  # pixels, of those that grow by blocks
DCGAN_64 = DCGANConfig(
    z_dim=100,
    channels=(512, 256, 128, 64, 3),
    kernels=(4,) * 5,
    strides=(1, 2, 2, 2, 2),
    paddings=(0, 1, 1, 1, 1),
    output_paddings=(0,) * 5,
    biases=(False,) * 5,
    norms=(True, True, True, True, False),
)


def _channels(resolution: int, base: int, most: int) -> tuple[int, ...]:
    return tuple(min(base // (4 << i), most) for i in range(resolution.bit_length() - 2))


def stylegan2(resolution: int, base: int = 0, most: int = 512) -> StyleGAN2Config:
    """Returns the config of a StyleGAN2, with the original's channels unless others are asked."""
    base = base or (32768 if resolution >= 512 else 16384)
    return StyleGAN2Config(_channels(resolution, base, most))


def pggan(resolution: int, base: int = 8192, most: int = 512) -> PGGANConfig:
    """Returns the config of a PGGAN; the defaults are the original's."""
    return PGGANConfig(_channels(resolution, base, most))


def biggan_deep_128(width: int) -> BigGANConfig:
    """Returns the config of BigGAN-deep at 128 pixels, of which the published one has width 128."""
    factors = (16, 16, 16, 16, 8, 8, 4, 4, 2, 2, 1)
    return BigGANConfig(
        z_dim=128,
        num_classes=1000,
        channels=tuple(factor * width for factor in factors),
        upsamples=(False, True) * 5,
        attention=(8,),
        deep=True,
        norm_epsilon=1e-4,
    )


def stylegan3_t(resolution: int, base: int, most: int) -> StyleGAN3Config:
    """Returns the config of a StyleGAN3-T, whose rates and cut-offs grow by the paper's rule."""
    count, critical, margin = 14, 2, 10
    grown = np.minimum(np.arange(count + 1) / (count - critical), 1)
    cutoff = 2 * (resolution / 4) ** grown
    stop = 2**2.1 * (resolution / 2 * 2**0.3 / 2**2.1) ** grown
    rate = 2 ** np.ceil(np.log2(np.minimum(2 * stop, resolution)))
    half = np.maximum(stop, rate / 2) - cutoff
    side = rate + 2 * margin
    side[-2:] = resolution
    channels = np.rint(np.minimum(base / 2 / cutoff, most)).astype(int)
    layers = []
    for i in range(count):
        before = max(i - 1, 0)
        wide = 2 * max(rate[before], rate[i])
        up, down = int(wide / rate[before]), int(wide / rate[i])
        filters = [
            Filter.separable(firwin(6 * n, cutoff[k], width=2 * half[k], fs=wide).tolist())
            for n, k in ((up, before), (down, i))
        ]
        resampling = Resampling.between(int(side[before]) + 2, int(side[i]), up, down, *filters)
        layers.append(StyleGAN3Layer(int(channels[i]), 3, resampling))
    return StyleGAN3Config(
        layers=(*layers, StyleGAN3Layer(3, 1, Resampling())),
        input_size=int(side[0]),
        input_channels=int(channels[0]),
        input_rate=float(rate[0]),
        input_bandwidth=float(cutoff[0]),
    )


def random(config: Any) -> Generator:
    """Returns a generator of normal weights; statistics are positive, noise is weak."""
    draw = np.random.RandomState(0)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in parameter_shapes(config).items():
        array: np.ndarray = draw.standard_normal(shape).astype(np.float32)
        if name.endswith("variance"):
            array = np.abs(array) + 0.5
        elif name.endswith("noise_strength"):
            array = 0.1 * array
        elif name.startswith("mapping/layers") and name.endswith("weight"):
            array = array / np.float32(config.mapping_lr_multiplier)
        elif isinstance(config, BigGANConfig | DCGANConfig) and len(shape) > 1:
            array = array / np.sqrt(np.prod(shape[:-1])).astype(np.float32)
        arrays[name] = array
    return cast(Generator, build(config, arrays))


def codes_of(generator: Generator, n: int) -> tuple[Any, Any]:
    """Returns codes of random samples, a little apart in each layer; and classes in turn."""
    z = generator.sample_z(jax.random.key(0), n)
    classes = generator.num_classes
    label = jnp.arange(n) % classes if classes else None
    codes = generator.broadcast(generator.map(z, label))
    return codes + 0.1 * jax.random.normal(jax.random.key(1), codes.shape), label
