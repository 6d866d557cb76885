"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.ganalyze import ganalyze
from jaxlatent.find.gradients import scorer_gradients
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.jacobian import local_directions, resefa
from jaxlatent.find.lowrankgan import lowrankgan
from jaxlatent.find.sefa import sefa
from jaxlatent.find.training import Training

__all__ = [
    "Training",
    "ganalyze",
    "infogan_codes",
    "local_directions",
    "lowrankgan",
    "resefa",
    "scorer_gradients",
    "sefa",
]
