"""Inversion: from images to the codes that a generator renders them from."""

from jaxlatent.invert.inversion import Inversion, invert
from jaxlatent.invert.losses import (
    Embedding,
    InDomain,
    NearMean,
    Perceptual,
    Pixels,
    Pyramid,
    Term,
    View,
    WPrior,
    noise_correlation,
    spread,
)
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.schedules import Schedule

__all__ = [
    "Embedding",
    "InDomain",
    "Inversion",
    "NearMean",
    "Perceptual",
    "Pixels",
    "Pyramid",
    "Recipe",
    "Schedule",
    "Term",
    "View",
    "WPrior",
    "invert",
    "noise_correlation",
    "spread",
]
