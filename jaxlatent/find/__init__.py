"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.compare import Matches, Naming, cosines, match, name_by_scores, subspace_angles
from jaxlatent.find.components import ica, random_directions, sparse_pca
from jaxlatent.find.covariance import Covariance, Moments, covariance
from jaxlatent.find.ganspace import ganspace, ganspace_activations
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.linear_map import LinearMaps, linear_map, linear_map_sweep
from jaxlatent.find.sampling import sample
from jaxlatent.find.sefa import sefa

__all__ = [
    "Covariance",
    "LinearMaps",
    "Matches",
    "Moments",
    "Naming",
    "cosines",
    "covariance",
    "ganspace",
    "ganspace_activations",
    "ica",
    "infogan_codes",
    "linear_map",
    "linear_map_sweep",
    "match",
    "name_by_scores",
    "random_directions",
    "sample",
    "sefa",
    "sparse_pca",
    "subspace_angles",
]
