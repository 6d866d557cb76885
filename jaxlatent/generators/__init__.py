"""GAN generators in Flax NNX, one file a family, all with the interface of `Generator`."""

from jaxlatent.generators.base import Buffer, Generator, Labels, Noise, Origin
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.generators.parameters import (
    FAMILIES,
    build,
    fingerprint,
    parameter_shapes,
    parameters,
)
from jaxlatent.generators.stylegan2 import StyleGAN2, StyleGAN2Config

__all__ = [
    "DCGAN",
    "FAMILIES",
    "Buffer",
    "DCGANConfig",
    "Generator",
    "Labels",
    "Noise",
    "Origin",
    "StyleGAN2",
    "StyleGAN2Config",
    "build",
    "fingerprint",
    "parameter_shapes",
    "parameters",
]
