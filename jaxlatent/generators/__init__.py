"""GAN generators in Flax NNX, one file a family, all with the interface of `Generator`."""

from jaxlatent.generators.base import Generator, Labels, Noise, State
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.generators.infogan import InfoGAN, InfoGANConfig
from jaxlatent.generators.sngan import SNGAN, SNGANConfig
from jaxlatent.generators.stylegan2 import StyleGAN2, StyleGAN2Config

__all__ = [
    "DCGAN",
    "SNGAN",
    "DCGANConfig",
    "Generator",
    "InfoGAN",
    "InfoGANConfig",
    "Labels",
    "Noise",
    "SNGANConfig",
    "State",
    "StyleGAN2",
    "StyleGAN2Config",
]
