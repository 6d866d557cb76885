"""Directions that a network can tell apart: Voynov and Babenko, ICML 2020, arXiv:2002.03754."""

import operator
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxlatent.directions import Directions
from jaxlatent.errors import UserError
from jaxlatent.find.samples import Samples
from jaxlatent.find.training import Training, base_key, measure, start_values, tenths, train
from jaxlatent.find.vectors import SIGN_ANCHOR, anchor_sign, check_count
from jaxlatent.find.walks import learned
from jaxlatent.generators import Generator, Labels
from jaxlatent.generators.layers import PRECISION
from jaxlatent.keys import AnyKey
from jaxlatent.networks.layers import Conv, mean_pool
from jaxlatent.sweeps import Progress

Deformator = Literal["orthogonal", "projected"]


class Reconstructor(nnx.Module):
    """Tells from two images which direction lies between them, and how far.

    Three convolutions of stride 2, the mean over 4x4 bins, one hidden layer, two heads.

    Example:
        >>> network = nnx.eval_shape(lambda: Reconstructor(3, 10, width=4, rngs=nnx.Rngs(0)))
        >>> images = jnp.zeros((2, 16, 16, 3))
        >>> [head.shape for head in jax.eval_shape(lambda n, x: n(x, x), network, images)]
        [(2, 10), (2,)]
    """

    def __init__(self, channels: int, k: int, width: int, *, rngs: nnx.Rngs) -> None:
        widths = (2 * channels, width, 2 * width, 4 * width)
        self.convs = nnx.List(
            [
                Conv(widths[i], widths[i + 1], 3, stride=2, padding=1, bias=True, rngs=rngs)
                for i in range(3)
            ]
        )
        linear = partial(nnx.Linear, precision=PRECISION, rngs=rngs)
        self.hidden = linear(64 * width, 8 * width)
        self.index = linear(8 * width, k)
        self.shift = linear(8 * width, 1)

    @classmethod
    def random(
        cls, random: np.random.Generator, channels: int, k: int, width: int
    ) -> "Reconstructor":
        """Returns a network of random weights (He et al.) and zero biases."""
        shapes = nnx.eval_shape(lambda: cls(channels, k, width, rngs=nnx.Rngs(0)))

        def drawn(shape: jax.ShapeDtypeStruct) -> Array:
            if len(shape.shape) == 1:
                return jnp.zeros(shape.shape)
            scale = np.sqrt(2 / np.prod(shape.shape[:-1]))
            return jnp.asarray(scale * random.standard_normal(shape.shape), jnp.float32)

        return jax.tree.map(drawn, shapes)

    def __call__(
        self, before: Float[Array, "n h w c"], after: Float[Array, "n h w c"]
    ) -> tuple[Float[Array, "n k"], Float[Array, " n"]]:
        """Returns logits of the direction's number, and the shift."""
        x = jnp.concatenate([before, after], axis=-1)
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        x = mean_pool(x, 4).reshape(x.shape[0], -1)
        x = jax.nn.relu(self.hidden(x))
        return self.index(x), self.shift(x)[:, 0]


def voynov(
    generator: Generator,
    codes: Float[Any, "n L d"],
    k: int,
    *,
    key: AnyKey,
    deformator: Deformator = "orthogonal",
    reach: float = 6.0,
    least: float = 0.5,
    shift_weight: float = 0.25,
    width: int = 16,
    training: Training | None = None,
    layers: Sequence[int] | None = None,
    shared: bool = True,
    label: Labels | None = None,
    progress: Progress | None = None,
) -> Directions:
    r"""Trains `k` directions together with a network that tells them apart by their effect.

    A code is shifted along one direction, drawn at random, by $\epsilon \sim U(-r, r)$, at least
    `least` in magnitude; the network sees both images and guesses direction and $\epsilon$. The
    loss is the guess's cross-entropy and `shift_weight` times the error of $\epsilon$. It asks that
    directions can be told apart, not that they lie along the generator's factors: parts of them
    may change nothing, and the result depends on the key. Look at several.

    Args:
        generator: the generator.
        codes: what training draws from, a row for each layer.
        k: number of directions, at least 2.
        key: randomness; the same key gives the same directions.
        deformator: "orthogonal" keeps the directions orthonormal (by a QR decomposition);
            "projected" only scales each to unit length.
        reach: r, in the codes' units; smaller where codes are, as in W.
        least: smallest shift.
        shift_weight: weight of the error of the shift.
        width: of the network, in channels after the first convolution.
        training: how long and how fast; by default `Training(2000, 32, 1e-3)`.
        layers: the layers that may move; `None` for all.
        shared: whether all layers move by the same vector, or each has a row of its own.
        label: classes, if the synthesis reads them.
        progress: called with the steps done and their number.

    Returns:
        Unit `vectors`; `scores` are the shares of fresh pairs of images in which the network
        names the direction rightly, and `parameters["index_accuracy"]` is their mean (the paper's
        RCA; chance is 1 / k).

    Raises:
        UserError: if something is out of range or does not fit, or the loss stops being finite.

    References:
        Voynov and Babenko, "Unsupervised Discovery of Interpretable Directions in the GAN Latent
        Space", ICML 2020, arXiv:2002.03754.

    Example:
        >>> from jaxlatent.generators import DCGAN, DCGANConfig
        >>> config = DCGANConfig(4, (3,), (4,), (1,), (0,), (0,), (False,), (False,))
        >>> generator, key = DCGAN(config, rngs=nnx.Rngs(0)), jax.random.key(0)
        >>> codes = generator.sample_z(key, 8)[:, None]
        >>> voynov(generator, codes, 2, key=key, width=2, training=Training(2)).vectors.shape
        (2, 1, 4)
    """
    if operator.index(k) < 2:
        raise UserError(f"k must be at least 2, of which one can be told from another, got {k}")
    training = training or Training(2000, 32, 1e-3)
    samples = Samples.of(generator, codes, label, layers)
    rows, d = samples.rows(shared), samples.codes.shape[2]
    check_count(k, rows * d)
    problems = []
    if deformator not in get_args(Deformator):
        problems.append(f"deformator must be orthogonal or projected, got {deformator!r}")
    if not 0 <= least < reach < float("inf"):
        problems.append(f"shifts must be in 0 <= least < reach, got {least} and {reach}")
    if not 0 <= shift_weight < float("inf"):
        problems.append(f"shift_weight must not be negative, got {shift_weight}")
    if width < 1:
        problems.append(f"width must be at least 1, got {width}")
    if problems:
        raise UserError("; ".join(problems))
    key = base_key(key)
    random = start_values(key)
    matrix = jnp.asarray(random.standard_normal((rows * d, k)), jnp.float32)
    start = (matrix, Reconstructor.random(random, generator.image_shape[2], k, width))
    orthogonal = jnp.float32(deformator == "orthogonal")
    bounds = tuple(jnp.float32(v) for v in (reach, least, shift_weight))
    context = (samples, orthogonal, bounds)
    (matrix, network), history = train(_loss, start, context, key, training, progress)
    fresh = max(512, 64 * k)
    guesses = measure(_guesses, (matrix, network), context, key, training, fresh)
    right, kinds = (np.concatenate(parts) for parts in zip(*guesses, strict=True))
    counts = np.bincount(kinds, minlength=k)
    shares = np.bincount(kinds, right, minlength=k) / np.maximum(counts, 1)
    vectors = _vectors(matrix, orthogonal).reshape(k, rows, d)
    return learned(
        samples,
        vectors,
        shares,
        [f"voynov {i}" for i in range(k)],
        layers,
        method="voynov",
        sign_anchor=SIGN_ANCHOR,
        parameters={
            **vars(training),
            "k": k,
            "deformator": deformator,
            "reach": reach,
            "least": least,
            "shift_weight": shift_weight,
            "width": width,
            "shared": shared,
            "index_accuracy": float(right.mean()),
            "losses": tenths(history),
        },
    )


@jax.jit
def _vectors(matrix: Float[Array, "D k"], orthogonal: Float[Array, ""]) -> Float[Array, "k D"]:
    return anchor_sign(_directions(matrix, orthogonal))


def _directions(matrix: Float[Array, "D k"], orthogonal: Float[Array, ""]) -> Float[Array, "k D"]:
    """Returns unit directions: the columns made orthonormal one after the other, or as they are."""
    columns, upper = jnp.linalg.qr(matrix)
    columns = columns * jnp.where(jnp.diagonal(upper) < 0, -1, 1)[None]
    scaled = matrix / jnp.linalg.norm(matrix, axis=0, keepdims=True)
    return jnp.where(orthogonal > 0, columns, scaled).T


def _guess(
    parameters: Any, context: Any, keys: Array
) -> tuple[Float[Array, "n k"], Float[Array, " n"], Int[Array, " n"]]:
    """Returns the network's logits, its errors of the shifts, and the true directions."""
    (matrix, network), (samples, orthogonal, (reach, least, _)) = parameters, context
    index, uniform = samples.draw(keys, 2)
    codes, label = samples.at(index)
    k = matrix.shape[1]
    kind = jnp.floor(uniform[:, 0] * k).astype(jnp.int32)
    even = reach * (2 * uniform[:, 1] - 1)
    away = jnp.where(even < 0, -1, 1) * jnp.maximum(jnp.abs(even), least)
    vectors = _directions(matrix, orthogonal).reshape(k, -1, codes.shape[2])
    moved = codes + away[:, None, None] * samples.place(vectors)[kind]
    logits, shift = network(samples.render(codes, label), samples.render(moved, label))
    return logits, jnp.abs(shift - away), kind


def _loss(parameters: Any, context: Any, keys: Array) -> Float[Array, ""]:
    logits, errors, kind = _guess(parameters, context, keys)
    named = jnp.take_along_axis(jax.nn.log_softmax(logits), kind[:, None], axis=1)[:, 0]
    return jnp.mean(context[2][2] * errors - named)


def _guesses(
    parameters: Any, context: Any, keys: Array
) -> tuple[Bool[Array, " n"], Int[Array, " n"]]:
    """Returns where the network names the direction rightly, and the true directions."""
    logits, _, kind = _guess(parameters, context, keys)
    return jnp.argmax(logits, axis=1) == kind, kind
