"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.infogan import infogan_codes
from jaxlatent.find.sefa import sefa

__all__ = ["infogan_codes", "sefa"]
