"""GAN generators in Flax NNX, one file a family, all with the interface of `Generator`."""

from jaxlatent.generators.base import Generator, Labels, Noise, State
from jaxlatent.generators.biggan import BigGAN, BigGANConfig
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.generators.stylegan2 import StyleGAN2, StyleGAN2Config

__all__ = [
    "DCGAN",
    "BigGAN",
    "BigGANConfig",
    "DCGANConfig",
    "Generator",
    "Labels",
    "Noise",
    "State",
    "StyleGAN2",
    "StyleGAN2Config",
]
