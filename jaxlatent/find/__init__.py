"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.boundary import boundary
from jaxlatent.find.condition import condition
from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.means import difference_of_means, few_shot, vector_arithmetic
from jaxlatent.find.sefa import sefa
from jaxlatent.find.svm import linear_svm

__all__ = [
    "boundary",
    "condition",
    "difference_of_means",
    "few_shot",
    "infogan_codes",
    "linear_svm",
    "sefa",
    "vector_arithmetic",
]
