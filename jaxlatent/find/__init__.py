"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.boundary import boundary
from jaxlatent.find.channels import ChannelStatistics, channel_effects, channel_statistics
from jaxlatent.find.compare import Matches, Naming, cosines, match, name_by_scores, subspace_angles
from jaxlatent.find.components import ica, random_directions, sparse_pca
from jaxlatent.find.condition import condition
from jaxlatent.find.covariance import Covariance, Moments, covariance
from jaxlatent.find.ganalyze import ganalyze
from jaxlatent.find.ganspace import ganspace, ganspace_activations
from jaxlatent.find.gradients import scorer_gradients
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.latents import sample
from jaxlatent.find.linear_map import LinearMaps, linear_map, linear_map_sweep
from jaxlatent.find.local import local_directions
from jaxlatent.find.lowrankgan import lowrankgan
from jaxlatent.find.means import difference_of_means, few_shot, vector_arithmetic
from jaxlatent.find.nonlinear import NonlinearWalk, nonlinear_steerability
from jaxlatent.find.resefa import resefa
from jaxlatent.find.sefa import sefa
from jaxlatent.find.steerability import steerability
from jaxlatent.find.stylespace import styleclip, stylespace, stylespace_by_effect
from jaxlatent.find.svm import linear_svm
from jaxlatent.find.training import Training
from jaxlatent.find.transforms import TRANSFORMS, Transform
from jaxlatent.find.voynov import voynov

__all__ = [
    "TRANSFORMS",
    "ChannelStatistics",
    "Covariance",
    "LinearMaps",
    "Matches",
    "Moments",
    "Naming",
    "NonlinearWalk",
    "Training",
    "Transform",
    "boundary",
    "channel_effects",
    "channel_statistics",
    "condition",
    "cosines",
    "covariance",
    "difference_of_means",
    "few_shot",
    "ganalyze",
    "ganspace",
    "ganspace_activations",
    "ica",
    "infogan_codes",
    "linear_map",
    "linear_map_sweep",
    "linear_svm",
    "local_directions",
    "lowrankgan",
    "match",
    "name_by_scores",
    "nonlinear_steerability",
    "random_directions",
    "resefa",
    "sample",
    "scorer_gradients",
    "sefa",
    "sparse_pca",
    "steerability",
    "styleclip",
    "stylespace",
    "stylespace_by_effect",
    "subspace_angles",
    "vector_arithmetic",
    "voynov",
]
