"""GAN generators in Flax NNX, one file a family, all with the interface of `Generator`."""

from jaxlatent.generators.alias_free import Filter, Resampling
from jaxlatent.generators.base import Generator, Labels, Noise, State
from jaxlatent.generators.biggan import BigGAN, BigGANConfig
from jaxlatent.generators.dcgan import DCGAN, DCGANConfig
from jaxlatent.generators.infogan import InfoGAN, InfoGANConfig
from jaxlatent.generators.pggan import PGGAN, PGGANConfig
from jaxlatent.generators.sngan import SNGAN, SNGANConfig
from jaxlatent.generators.stylegan1 import StyleGAN1, StyleGAN1Config
from jaxlatent.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from jaxlatent.generators.stylegan3 import (
    StyleGAN3,
    StyleGAN3Config,
    StyleGAN3Layer,
    input_transform,
)
from jaxlatent.generators.stylespace import StyleSpace

__all__ = [
    "DCGAN",
    "PGGAN",
    "SNGAN",
    "BigGAN",
    "BigGANConfig",
    "DCGANConfig",
    "Filter",
    "Generator",
    "InfoGAN",
    "InfoGANConfig",
    "Labels",
    "Noise",
    "PGGANConfig",
    "Resampling",
    "SNGANConfig",
    "State",
    "StyleGAN1",
    "StyleGAN1Config",
    "StyleGAN2",
    "StyleGAN2Config",
    "StyleGAN3",
    "StyleGAN3Config",
    "StyleGAN3Layer",
    "StyleSpace",
    "input_transform",
]
