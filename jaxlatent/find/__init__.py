"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.components import ica, random_directions, sparse_pca
from jaxlatent.find.covariance import Covariance, Moments, covariance
from jaxlatent.find.ganspace import ganspace, ganspace_activations
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.sampling import sample
from jaxlatent.find.sefa import sefa

__all__ = [
    "Covariance",
    "Moments",
    "covariance",
    "ganspace",
    "ganspace_activations",
    "ica",
    "infogan_codes",
    "random_directions",
    "sample",
    "sefa",
    "sparse_pca",
]
