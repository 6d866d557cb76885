"""BigGAN and BigGAN-deep: classes steer every block (Brock et al. 2019, arXiv:1809.11096)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.generators.attention import SelfAttention
from jaxlatent.generators.base import (
    MAX_LAYERS,
    MAX_SIDE,
    Generator,
    Labels,
    Noise,
    Size,
    State,
    check_noise,
    class_weights,
)
from jaxlatent.generators.biggan_blocks import Block, Conv, Dense, Norm, Table, statistics_rows
from jaxlatent.generators.layers import dense
from jaxlatent.keys import AnyKey

Inputs = tuple[Float[Array, "n _"], ...]


@dataclass(frozen=True)
class BigGANConfig:
    """What defines a BigGAN generator.

    Attributes:
        z_dim: size of the latent vector z.
        num_classes: number of classes.
        channels: features after the first, fully connected layer and after each block.
        upsamples: whether the block doubles the resolution, one for each block.
        embed_dim: size of the class embedding that all blocks share; 0 if each norm has a scale
            and bias for every class instead, as in SAGAN.
        attention: numbers of the blocks before which self-attention comes; the number of blocks
            for one after the last.
        deep: whether it is a BigGAN-deep, whose every layer reads a whole z.
        hierarchical: whether the layers of a BigGAN share z out; if not, only the first reads it.
        bottom_width: side of the first features in pixels.
        image_channels: channels of an image.
        norm_epsilon: added to the variances of the blocks.
        output_epsilon: added to the variances of the last norm.
        num_stats: rows of the norms' statistics, for truncations from 0 to 1; 1 if they have one.
        truncation: for which the statistics are read, in (0, 1]. It moves no latent vector:
            scale z by the same number, as `Generator.truncate` does.
        z_bound: where the normal distribution of z is cut off; `None` for nowhere.
    """

    z_dim: int
    num_classes: int
    channels: tuple[int, ...]
    upsamples: tuple[bool, ...]
    embed_dim: int = 128
    attention: tuple[int, ...] = ()
    deep: bool = False
    hierarchical: bool = True
    bottom_width: int = 4
    image_channels: int = 3
    norm_epsilon: float = 1e-5
    output_epsilon: float = 1e-5
    num_stats: int = 1
    truncation: float = 1.0
    z_bound: float | None = None

    def __post_init__(self) -> None:
        blocks = len(self.upsamples)
        if not blocks or len(self.channels) != blocks + 1:
            raise UserError(
                f"a BigGAN of {blocks} blocks needs {blocks + 1} numbers of channels and at least "
                f"one block, got {list(self.channels)}"
            )
        if blocks >= MAX_LAYERS:
            raise UserError(f"at most {MAX_LAYERS - 1} blocks, got {blocks}")
        sizes = (
            self.z_dim, self.num_classes, self.bottom_width, self.image_channels, self.num_stats,
            *self.channels,
        )  # fmt: skip
        if min(sizes) < 1 or self.embed_dim < 0:
            raise UserError("every size of a BigGAN must be at least 1")
        if self.deep:
            self._check_deep()
        if self.hierarchical and not self.embed_dim:
            raise UserError("layers that read parts of z need a class embedding; give embed_dim")
        if self.z_dim % self.num_layers and not self.deep:
            raise UserError(
                f"z_dim = {self.z_dim} must be a multiple of the {self.num_layers} layers"
            )
        self._check_attention()
        if self.resolution > MAX_SIDE:
            raise UserError(f"images may have a side of {MAX_SIDE} at most, got {self.resolution}")
        if not (0 <= self.norm_epsilon < 1 and 0 <= self.output_epsilon < 1):
            raise UserError(
                f"epsilons must be in [0, 1), got {self.norm_epsilon} and {self.output_epsilon}"
            )
        if not 0 < self.truncation <= 1:
            raise UserError(f"truncation must be in (0, 1], got {self.truncation}")
        if self.num_stats == 1 and self.truncation != 1:
            raise UserError(
                "this generator has one set of statistics, so its truncation must be 1; truncate "
                "latent vectors instead"
            )
        if self.z_bound is not None and not self.z_bound > 0:
            raise UserError(f"z_bound must be positive or None, got {self.z_bound}")

    def _check_deep(self) -> None:
        if not self.hierarchical:
            raise UserError("every layer of a BigGAN-deep reads z; hierarchical must be True")
        pairs = zip(self.channels[:-1], self.channels[1:], strict=True)
        if any(i < max(o, 4) for i, o in pairs):
            raise UserError(
                "a block of a BigGAN-deep has at least 4 channels and adds none, got "
                f"{list(self.channels)}"
            )

    def _check_attention(self) -> None:
        places = self.attention
        if list(places) != sorted(set(places)) or any(
            not 0 <= p < len(self.channels) or self.channels[p] < 8 for p in places
        ):
            raise UserError(
                f"attention must be increasing numbers in 0 to {len(self.upsamples)}, each where "
                f"there are at least 8 channels, got {list(places)}"
            )
        sides = [self.bottom_width << sum(self.upsamples[:p]) for p in places]
        if min(sides, default=2) < 2:
            raise UserError("attention needs features of at least 2x2 pixels")

    @property
    def num_layers(self) -> int:
        """Number of layers that read a code: the first and, if they read z, the blocks."""
        return len(self.channels) if self.hierarchical else 1

    @property
    def code_dim(self) -> int:
        """Size of what a layer reads of z."""
        return self.z_dim if self.deep else self.z_dim // self.num_layers

    @property
    def resolution(self) -> int:
        """Side of an image in pixels."""
        return self.bottom_width << sum(self.upsamples)

    def sequence(self) -> list[tuple[str, int]]:
        """Returns kind and number of all that comes after the first layer, in order."""
        found = []
        for index in range(len(self.channels)):
            if index in self.attention:
                found.append(("attention", self.attention.index(index)))
            if index < len(self.upsamples):
                found.append(("block", index))
        return found


class BigGAN(Generator):
    """BigGAN's generator; the class is read in synthesis, by every block.

    The code of a layer is its part of z ("z+"); in BigGAN-deep it is a z of its own. Labels are
    integers or weights over the classes, which mix their embeddings.

    Where the statistics depend on the truncation, `config.truncation` chooses them; change it by
    `jaxlatent.parameters.reconfigured(generator, truncation=0.4)`.

    Example:
        >>> config = BigGANConfig(6, 3, (8, 8, 8), (True, True), embed_dim=4, attention=(1,))
        >>> generator = BigGAN(config, rngs=nnx.Rngs(0))
        >>> codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), 2)))
        >>> codes.shape
        (2, 3, 2)
        >>> generator.synthesize(codes, label=jnp.array([0, 2])).shape
        (2, 16, 16, 3)
    """

    family: ClassVar[str] = "biggan"

    def __init__(self, config: BigGANConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        rows = statistics_rows(config.truncation, config.num_stats)
        table = Table(config.num_stats, rows, config.norm_epsilon)
        first, classes, embed = config.channels[0], config.num_classes, config.embed_dim
        shape = (classes, embed)
        self.embedding = nnx.Param(jax.random.normal(rngs.params(), shape)) if embed else None
        self.first = Dense(
            config.code_dim + (embed if config.deep else 0),
            config.bottom_width**2 * first,
            rngs=rngs,
        )
        self.blocks = nnx.List(
            [
                Block(
                    config.channels[i],
                    config.channels[i + 1],
                    (embed or classes) + (config.code_dim if config.hierarchical else 0),
                    table,
                    deep=config.deep,
                    upsample=upsample,
                    rngs=rngs,
                )
                for i, upsample in enumerate(config.upsamples)
            ]
        )
        self.attentions = nnx.List(
            [SelfAttention(config.channels[i], rngs=rngs) for i in config.attention]
        )
        self.norm = Norm(config.channels[-1], table._replace(epsilon=config.output_epsilon))
        self.to_image = Conv(3, config.channels[-1], config.image_channels, rngs=rngs)

    @property
    def num_layers(self) -> int:
        """The first layer and the blocks, or the first layer alone if only it reads z."""
        return self.config.num_layers

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.config.resolution, self.config.resolution, self.config.image_channels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.config.num_classes

    @property
    def spaces(self) -> dict[str, tuple[int, int]]:
        """Z, and Z+ (what each layer reads) where more than one layer reads z."""
        whole = {"z": (1, self.z_dim)}
        if self.num_layers == 1:
            return whole
        return whole | {"z+": (self.num_layers, self.config.code_dim)}

    @property
    def code_mean(self) -> Float[Array, "l d"]:
        """Zero, the mean of z."""
        return jnp.zeros((1, self.config.code_dim))

    def map(self, z: Float[Array, "n z"], label: Labels | None = None) -> Float[Array, "n z"]:
        """Returns `z`: there is no mapping network, and synthesis reads the class."""
        self.check_z(z)
        return z

    def broadcast(self, w: Float[Array, "n z"]) -> Float[Array, "n L d"]:
        """Gives every layer its part of z; in BigGAN-deep all of it."""
        if self.config.deep:
            return super().broadcast(w)
        self.check_z(w, "w")
        return w.reshape(-1, self.num_layers, self.config.code_dim)

    def embed(self, label: Labels | None, n: Size) -> Float[Array, "n k"]:
        """Returns the class embeddings of `n` labels, or the weights where none is shared."""
        weights = class_weights(label, n, self.num_classes)
        if self.embedding is None:
            return weights
        return dense(weights, self.embedding[...])

    @property
    def num_blocks(self) -> int:
        """The first layer, the residual blocks and each self-attention."""
        return 1 + len(self.config.sequence())

    def prepare(
        self,
        codes: Float[Array, "n L d"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Inputs:
        """Returns what the first layer and each block read; a BigGAN adds no noise."""
        self.check_codes(codes)
        check_noise(noise)
        classes = self.embed(label, codes.shape[0]).astype(codes.dtype)
        both = [jnp.concatenate([codes[:, i], classes], axis=1) for i in range(self.num_layers)]
        if not self.config.deep:
            both[0] = codes[:, 0]
        return (*both, *[classes] * (len(self.config.channels) - self.num_layers))

    def start(self, inputs: Inputs) -> State:
        """Returns what the first layer reads, as images of one pixel."""
        return State(inputs[0][:, None, None])

    def block(self, index: int, state: State, inputs: Inputs) -> State:
        """Applies the first layer, a residual block or self-attention."""
        x = state.features
        if not index:
            side, first = self.config.bottom_width, self.first(x[:, 0, 0])
            return State(first.reshape(x.shape[0], side, side, first.shape[1] // side**2))
        kind, number = self.config.sequence()[index - 1]
        if kind == "attention":
            return State(self.attentions[number](x))
        return State(self.blocks[number](x, inputs[number + 1]))

    def finish(self, state: State, inputs: Inputs) -> Float[Array, "n h w c"]:
        """Normalises once more and makes the image."""
        return jnp.tanh(self.to_image(jax.nn.relu(self.norm(state.features))))

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ d"], ...]:
        """Returns the first layer's matrix, and for each block those of all its norms together.

        A norm makes its gains and biases of the layer's part of z and of the class embedding in
        one product; here are the columns that z meets. The class has none in a code: to move
        it, give `label` as weights over the classes, which mix their embeddings.

        Args:
            layers: the layers asked for; `None` for all. In a BigGAN that shares z out, a
                coordinate means another thing in each of them: decompose one layer at a time, or
                with `sefa(..., per_layer=True)`.
        """
        width = self.config.code_dim

        def matrix(layer: int) -> Float[Array, "_ d"]:
            if not layer:
                return self.first.weight[:width].T
            return self.blocks[layer - 1].reader(width)

        return tuple(matrix(i) for i in self.select_layers(layers))

    def draw(self, key: Key[Array, ""]) -> Float[Array, " z"]:
        """Draws z from a normal distribution, cut off at `config.z_bound`."""
        bound = self.config.z_bound
        if bound is None:
            return super().draw(key)
        return jax.random.truncated_normal(key, -bound, bound, (self.z_dim,))
