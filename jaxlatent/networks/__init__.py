"""Networks that generate nothing: predictors, perceptual distances, encoders."""

from jaxlatent.networks.attributes import AttributeNet, AttributesConfig, Category, Factor
from jaxlatent.networks.encoder import Encoder, EncoderConfig
from jaxlatent.networks.lpips import LPIPS, LPIPSConfig
from jaxlatent.networks.resnet import ResNet, ResNetConfig, imagenet_normalize
from jaxlatent.networks.trunks import TRUNKS, Trunk, TrunkConfig

__all__ = [
    "LPIPS",
    "TRUNKS",
    "AttributeNet",
    "AttributesConfig",
    "Category",
    "Encoder",
    "EncoderConfig",
    "Factor",
    "LPIPSConfig",
    "ResNet",
    "ResNetConfig",
    "Trunk",
    "TrunkConfig",
    "imagenet_normalize",
]
