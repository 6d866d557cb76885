"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.ganalyze import ganalyze
from jaxlatent.find.gradients import scorer_gradients
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.jacobian import local_directions, resefa
from jaxlatent.find.lowrankgan import lowrankgan
from jaxlatent.find.sefa import sefa
from jaxlatent.find.steerability import NonlinearWalk, nonlinear_steerability, steerability
from jaxlatent.find.stylespace import (
    ChannelStatistics,
    channel_effects,
    channel_statistics,
    styleclip,
    stylespace,
    stylespace_by_effect,
)
from jaxlatent.find.training import Training
from jaxlatent.find.transforms import TRANSFORMS, Transform
from jaxlatent.find.voynov import voynov

__all__ = [
    "TRANSFORMS",
    "ChannelStatistics",
    "NonlinearWalk",
    "Training",
    "Transform",
    "channel_effects",
    "channel_statistics",
    "ganalyze",
    "infogan_codes",
    "local_directions",
    "lowrankgan",
    "nonlinear_steerability",
    "resefa",
    "scorer_gradients",
    "sefa",
    "steerability",
    "styleclip",
    "stylespace",
    "stylespace_by_effect",
    "voynov",
]
