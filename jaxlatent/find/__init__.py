"""Finders: pure functions from weights, codes or scores to `Directions`, one file a method."""

from jaxlatent.find.sefa import sefa

__all__ = ["sefa"]
