"""Inversion: from images to the codes that a generator renders them from."""

from jaxlatent.invert.charts import Whitened
from jaxlatent.invert.inversion import Inversion, invert
from jaxlatent.invert.losses import Downscaled, Pixels, Pyramid, Term, View
from jaxlatent.invert.perceptual import Embedding, InDomain, Perceptual
from jaxlatent.invert.priors import NearMean, WPrior, geocross, noise_correlation, spread
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.schedules import Schedule

__all__ = [
    "Downscaled",
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
    "Whitened",
    "geocross",
    "invert",
    "noise_correlation",
    "spread",
]
