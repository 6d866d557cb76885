"""Paths between latent codes: straight, spherical, cubic and geodesic; arithmetic and mixing."""

from jaxlatent.paths.geodesic import Geodesic, geodesic
from jaxlatent.paths.lines import lerp, slerp
from jaxlatent.paths.mixing import arithmetic, mix_styles
from jaxlatent.paths.spline import keyframes

__all__ = ["Geodesic", "arithmetic", "geodesic", "keyframes", "lerp", "mix_styles", "slerp"]
