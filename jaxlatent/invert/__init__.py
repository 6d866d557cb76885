"""Inversion: from images to the codes that a generator renders them from."""

from jaxlatent.invert.charts import Whitened
from jaxlatent.invert.consistency import RoundTrip, round_trip
from jaxlatent.invert.editing import EditedImages, edit_image
from jaxlatent.invert.encoders import ConvEncoder, Trained, train_encoder
from jaxlatent.invert.inversion import Inversion, invert
from jaxlatent.invert.losses import Downscaled, Pixels, Pyramid, Term, View
from jaxlatent.invert.nearby import nearest
from jaxlatent.invert.perceptual import Embedding, InDomain, Perceptual
from jaxlatent.invert.pivotal import Tuned, tune
from jaxlatent.invert.presets import PRESETS, preset
from jaxlatent.invert.priors import NearMean, WPrior, geocross, noise_correlation, spread
from jaxlatent.invert.recipe import Recipe
from jaxlatent.invert.refinement import refine
from jaxlatent.invert.schedules import Schedule
from jaxlatent.invert.ssim import Dissimilarity, ms_ssim, psnr, ssim
from jaxlatent.invert.weights import trained_lpips

__all__ = [
    "PRESETS",
    "ConvEncoder",
    "Dissimilarity",
    "Downscaled",
    "EditedImages",
    "Embedding",
    "InDomain",
    "Inversion",
    "NearMean",
    "Perceptual",
    "Pixels",
    "Pyramid",
    "Recipe",
    "RoundTrip",
    "Schedule",
    "Term",
    "Trained",
    "Tuned",
    "View",
    "WPrior",
    "Whitened",
    "edit_image",
    "geocross",
    "invert",
    "ms_ssim",
    "nearest",
    "noise_correlation",
    "preset",
    "psnr",
    "refine",
    "round_trip",
    "spread",
    "ssim",
    "train_encoder",
    "trained_lpips",
    "tune",
]
