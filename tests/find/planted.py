"""Generators whose factors are known: linear ones, and a blob that moves, dims and turns red."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from conftest import STYLEGAN2_CONFIG
from flax import nnx

from jaxlatent.generators import Generator, State


@dataclass(frozen=True)
class PlantedConfig:
    z_dim: int = 8
    num_layers: int = 1
    side: int = 12
    num_classes: int = 0


class Planted(Generator):
    """A generator that makes its image in one piece; z is w, and there is no truncation."""

    @property
    def num_layers(self):
        return self.config.num_layers

    @property
    def image_shape(self):
        return self.config.side, self.config.side, 3

    @property
    def spaces(self):
        d, layers = self.z_dim, self.num_layers
        whole = {"z": (1, d)}
        return whole if layers == 1 else whole | {"w": (1, d), "w+": (layers, d)}

    @property
    def num_classes(self):
        return self.config.num_classes

    @property
    def code_mean(self):
        return jnp.zeros((1, self.z_dim))

    num_blocks = 1

    def map(self, z, label=None):
        return z

    def prepare(self, codes, noise="const", key=None, label=None):
        self.check_codes(codes)
        return codes, label

    def start(self, inputs):
        return State(inputs[0])

    def block(self, index, state, inputs):
        return State(self.image(*inputs))

    def finish(self, state, inputs):
        return state.features

    def affines(self, layers=None):
        raise NotImplementedError


class Linear(Planted):
    """Pixels that are linear in the code's rows."""

    def __init__(self, config, seed=0):
        self.config = config
        random = np.random.RandomState(seed)
        shape = (config.num_layers, config.z_dim, config.side, config.side, 3)
        self.pixels = nnx.Param(jnp.asarray(random.standard_normal(shape), jnp.float32))

    def image(self, codes, label=None):
        return jnp.einsum("nld,ldhwc->nhwc", codes, self.pixels[...], precision="highest")


class Strips(Linear):
    """Rows of pixels that belong to one orthonormal hidden axis each; further axes do nothing."""

    strips = (slice(0, 6), slice(6, 9), slice(9, 11), slice(11, 12))

    def __init__(self, config, seed=0):
        self.config = config
        self.axes = nnx.Param(hidden_axes(config.z_dim, seed))
        pixels = jnp.zeros((1, config.z_dim, config.side, config.side, 3))
        for axis, rows in zip(self.axes[...], self.strips, strict=True):
            pixels = pixels.at[0, :, rows].set(axis[:, None, None, None])
        self.pixels = nnx.Param(pixels)

    def affines(self, layers=None):
        return (self.pixels[...].reshape(self.z_dim, -1).T,)


def hidden_axes(d, seed=0):
    basis, _ = np.linalg.qr(np.random.RandomState(seed).standard_normal((d, d)))
    return jnp.asarray(basis[:, :4].T, jnp.float32)


class Blob(Planted):
    """A smooth spot; orthonormal hidden axes set its brightness, row, column and redness.

    The code's mean over its rows counts. Further axes change nothing. With classes, a class
    permutes the roles of the first two axes.
    """

    factors = ("brightness", "row", "column", "redness")

    def __init__(self, config, seed=0):
        self.config = config
        self.axes = nnx.Param(hidden_axes(config.z_dim, seed))

    def axis(self, name):
        return np.asarray(self.axes[...])[self.factors.index(name)]

    def image(self, codes, label=None):
        values = jnp.matmul(codes.mean(axis=1), self.axes[...].T, precision="highest")
        if label is not None:
            values = jnp.where(label[:, None] == 1, values[:, jnp.array([1, 0, 2, 3])], values)
        bright, row, column, red = (v[:, None, None] for v in values.T)
        side = self.config.side
        places = (jnp.arange(side) + 0.5) / side - 0.5
        distance = jnp.square(places[None, :, None] - 0.06 * row) + jnp.square(
            places[None, None, :] - 0.06 * column
        )
        spot = jnp.exp(-distance / 0.03)
        shade = 0.3 * bright + 0.5 * spot
        return jnp.stack([shade + 0.2 * red, shade, shade], axis=-1)

    def affines(self, layers=None):
        """Of a layer that reads brightness into four units, the row into three, and so on."""
        return (jnp.repeat(self.axes[...], jnp.array([4, 3, 2, 1]), axis=0),)


class Sources(Planted):
    """A mapping network whose w moves along the columns `moves`, each by a source of its own.

    The sources are even in [-1, 1], or, squashed, mostly near one of the ends.
    """

    def __init__(self, config, moves, squashed):
        self.config = config
        self.moves = nnx.Param(jnp.asarray(moves, jnp.float32))
        self.squashed = squashed

    def draw(self, key):
        return jax.random.uniform(key, (self.z_dim,), minval=-1, maxval=1)

    def map(self, z, label=None):
        sources = jnp.tanh(3 * z) if self.squashed else z
        return jnp.matmul(sources[:, :3], self.moves[...], precision="highest")


TINY = dataclasses.replace(STYLEGAN2_CONFIG, channels=(4,))  # of two layers


def codes(generator, n, seed=0):
    z = generator.sample_z(jax.random.key(seed), n)
    return generator.broadcast(generator.map(z))


def cosine(vector, other):
    a, b = np.ravel(vector), np.ravel(other)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
