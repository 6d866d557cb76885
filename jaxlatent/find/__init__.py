"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.boundary import boundary
from jaxlatent.find.compare import Matches, Naming, cosines, match, name_by_scores, subspace_angles
from jaxlatent.find.components import ica, random_directions, sparse_pca
from jaxlatent.find.condition import condition
from jaxlatent.find.covariance import Covariance, Moments, covariance
from jaxlatent.find.ganspace import ganspace, ganspace_activations
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.linear_map import LinearMaps, linear_map, linear_map_sweep
from jaxlatent.find.means import difference_of_means, few_shot, vector_arithmetic
from jaxlatent.find.sampling import sample
from jaxlatent.find.sefa import sefa
from jaxlatent.find.svm import linear_svm

__all__ = [
    "Covariance",
    "LinearMaps",
    "Matches",
    "Moments",
    "Naming",
    "boundary",
    "condition",
    "cosines",
    "covariance",
    "difference_of_means",
    "few_shot",
    "ganspace",
    "ganspace_activations",
    "ica",
    "infogan_codes",
    "linear_map",
    "linear_map_sweep",
    "linear_svm",
    "match",
    "name_by_scores",
    "random_directions",
    "sample",
    "sefa",
    "sparse_pca",
    "subspace_angles",
    "vector_arithmetic",
]
