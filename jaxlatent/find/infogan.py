"""The named codes of an InfoGAN as directions: Chen et al., NeurIPS 2016, arXiv:1606.03657."""

import numpy as np

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.generators import Generator, InfoGAN

SIGN_ANCHOR = "the code grows"


def infogan_codes(generator: Generator) -> Directions:
    """Returns the unit axes of an InfoGAN's continuous codes, then of each category.

    A continuous code was trained in [-1, 1]; a category's is 1 where it is chosen, 0 elsewhere.

    Args:
        generator: an InfoGAN.

    Returns:
        Unit `vectors` [k, 1, d] in z, named "continuous 0" or "categorical 0 category 3"; no
        scores.

    Raises:
        UserError: if it is no InfoGAN, or has neither continuous nor categorical codes.

    References:
        Chen et al., "InfoGAN: Interpretable Representation Learning by Information Maximizing
        Generative Adversarial Nets", NeurIPS 2016, arXiv:1606.03657.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import InfoGANConfig
        >>> config = InfoGANConfig(8, (4, 1), (4, 4), (1, 2), (0, 1), (0, 0), (False,) * 2,
        ...                        (True, False), num_noise=5, categorical=(2,), num_continuous=1)
        >>> infogan_codes(InfoGAN(config, rngs=nnx.Rngs(0))).names
        ('continuous 0', 'categorical 0 category 0', 'categorical 0 category 1')
    """
    if not isinstance(generator, InfoGAN):
        raise UserError(
            f"named codes are an InfoGAN's; this is a generator of the family {generator.family}"
        )
    parts = generator.code_parts
    axes = {name: part.start for name, part in parts.items() if name.startswith("continuous")}
    for name, part in parts.items():
        if name.startswith("categorical"):
            axes |= {f"{name} category {i}": part.start + i for i in range(part.stop - part.start)}
    if not axes:
        raise UserError("this InfoGAN has noise only: there are no named codes")
    vectors = np.eye(generator.z_dim, dtype=np.float32)[list(axes.values())]
    found = Directions.of(
        vectors[:, None], names=tuple(axes), method="infogan", sign_anchor=SIGN_ANCHOR
    )
    return found.bind(generator, space="z")
