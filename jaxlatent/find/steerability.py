"""Straight walks trained to imitate an image transformation: Jahanian et al., arXiv:1907.07171."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlatent.directions import Directions
from jaxlatent.find.imitation import (
    Distance,
    imitation,
    imitation_loss,
    named_transforms,
    share_explained,
    squared_difference,
)
from jaxlatent.find.samples import Samples
from jaxlatent.find.training import Training, base_key, tenths, train
from jaxlatent.find.transforms import Transform
from jaxlatent.find.walks import learned
from jaxlatent.generators import Generator, Labels
from jaxlatent.keys import AnyKey
from jaxlatent.sweeps import Progress

SIGN_ANCHOR = "the transformation's amount grows"


def steerability(
    generator: Generator,
    codes: Float[Any, "n L d"],
    transforms: Mapping[str, Transform] | Sequence[str],
    *,
    key: AnyKey,
    training: Training | None = None,
    distance: Distance = squared_difference,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    progress: Progress | None = None,
) -> Directions:
    r"""Trains a straight walk in the codes for each image transformation.

    Minimises $d(m \cdot G(w + \alpha\theta), m \cdot T(G(w), \alpha))$ over codes and amounts
    $\alpha$, with the mask m of the pixels that T knows. Each walk is trained by itself.

    Args:
        generator: the generator.
        codes: what training draws from, a row for each layer.
        transforms: transformations by name, or names out of `TRANSFORMS`.
        key: randomness; the same key gives the same walks.
        training: how long and how fast, for each walk; by default `Training()`.
        distance: differentiable function of two batches of images, already masked, to one number
            for each pair; an `LPIPS` is one.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        progress: called with the steps done and their number, for each walk.

    Returns:
        Unit `vectors`; an edit by 1 is to do what the transformation does for an amount of 1
        (`scale` is the walk's length). `scores` are the shares of the distance between images
        and transformed images that the walks remove, at most 1.

    Raises:
        UserError: if something does not fit, or the loss stops being finite.

    References:
        Jahanian, Chai and Isola, "On the 'Steerability' of Generative Adversarial Networks",
        ICLR 2020, arXiv:1907.07171.

    Example:
        >>> import jax
        >>> from flax import nnx
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(2, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, key = DCGAN(config, rngs=nnx.Rngs(0)), jax.random.key(0)
        >>> walks = steerability(
        ...     generator, jnp.ones((4, 1, 2)), ["zoom"], key=key, training=Training(2)
        ... )
        >>> walks.names
        ('zoom',)
    """
    training = training or Training()
    samples = Samples.of(generator, codes, label, layers)
    chosen = named_transforms(transforms)
    contexts = [imitation(samples, transform, distance) for transform in chosen.values()]
    key = base_key(key)
    shape = (1, samples.rows(shared), samples.codes.shape[2])
    start = jnp.zeros(shape)
    walks, shares, losses = [], [], {}
    for (name, transform), context in zip(chosen.items(), contexts, strict=True):
        walk, history = train(_linear_loss, start, context, key, training, progress, isotropic=True)
        walks.append(np.asarray(walk) / max(transform.high, -transform.low))
        shares.append(share_explained(_linear_loss, walk, context, key, training))
        losses[name] = tenths(history)
    return learned(
        samples,
        np.concatenate(walks),
        np.stack(shares),
        list(chosen),
        layers,
        method="steerability",
        sign_anchor=SIGN_ANCHOR,
        parameters={
            **vars(training),
            "amounts": {name: [t.low, t.high] for name, t in chosen.items()},
            "shared": shared,
            "losses": losses,
        },
    )


def _linear_loss(walk: Float[Array, "1 m d"], context: Any, keys: Array) -> Float[Array, ""]:
    samples, _, _, low, high = context

    def move(codes: Array, uniform: Array) -> tuple[Array, Array]:
        amounts = low + (high - low) * uniform
        parts = (amounts / jnp.maximum(high, -low))[:, None, None]
        return codes + parts * samples.place(walk), amounts

    return imitation_loss(context, keys, move)
