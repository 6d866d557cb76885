"""StyleSpace: a StyleGAN whose code is the style of every channel (Wu et al., arXiv:2011.12799)."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxlatent.errors import UserError
from jaxlatent.generators.base import Generator, Labels, Noise, State
from jaxlatent.generators.kinds import StyleBasedGenerator
from jaxlatent.keys import AnyKey


class StyleSpace(Generator):
    """A StyleGAN 1, 2 or 3 seen from its style space S, of one code with a number per channel.

    All that speaks to a generator (edits, sweeps, finders) therefore works in S. A code is what
    the affine maps of all layers make of W+, one after the other; `to_styles` computes it.

    Attributes:
        base: the generator that renders.

    Example:
        >>> from flax import nnx
        >>> from jaxlatent.generators import StyleGAN2, StyleGAN2Config
        >>> config = StyleGAN2Config((4,), z_dim=8, w_dim=8, mapping_widths=(8,))
        >>> view = StyleSpace(StyleGAN2(config, rngs=nnx.Rngs(0)))
        >>> styles = view.broadcast(view.map(view.sample_z(jax.random.key(0), 2)))
        >>> styles.shape, view.channels[0], view.synthesize(styles).shape
        ((2, 1, 8), '0.conv1.0', (2, 4, 4, 3))
    """

    family: ClassVar[str] = "stylespace"

    def __init__(self, base: StyleBasedGenerator) -> None:
        if not isinstance(base, StyleBasedGenerator):
            raise UserError(f"only a StyleGAN has styles, not a {type(base).__name__}")
        self.base = base
        self.config = base.config
        self.origin = base.origin

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels: block or layer, part of the block, number."""
        shapes = jax.tree_util.tree_leaves_with_path(self._shapes())
        return tuple(
            f"{jax.tree_util.keystr(path, simple=True, separator='.')}.{i}"
            for path, shape in shapes
            for i in range(shape.shape[1])
        )

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Numbers of all channels but those that only make colours of the last feature maps."""
        rgb = self.base.rgb_styles
        return tuple(i for i, x in enumerate(self.channels) if x.rpartition(".")[0] not in rgb)

    def _shapes(self) -> Any:
        one = jnp.zeros((1, self.base.num_layers, self.base.code_dim))
        return jax.eval_shape(lambda base, codes: base.styles(codes), self.base, one)

    def to_styles(self, codes: Float[Array, "n L d"]) -> Float[Array, "n 1 s"]:
        """Returns the styles of codes in W+."""
        leaves = jax.tree.leaves(self.base.styles(codes))
        return jnp.concatenate(leaves, axis=1)[:, None]

    @property
    def num_layers(self) -> int:
        """Always 1: all channels are one code."""
        return 1

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 if the generator is not conditional."""
        return self.base.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.base.image_shape

    @property
    def spaces(self) -> dict[str, tuple[int, int]]:
        """Z and S."""
        width = sum(shape.shape[1] for shape in jax.tree.leaves(self._shapes()))
        return {"z": (1, self.z_dim), "s": (1, width)}

    @property
    def code_mean(self) -> Float[Array, "l s"]:
        """The styles of the mean code; as affine maps keep means, also the styles' mean."""
        shape = (1, self.base.num_layers, self.base.code_dim)
        return self.to_styles(jnp.broadcast_to(self.base.code_mean[None], shape))[0]

    def map(self, z: Float[Array, "n z"], label: Labels | None = None) -> Float[Array, "n s"]:
        """Maps z (and a class) to styles."""
        return self.to_styles(self.base.broadcast(self.base.map(z, label)))[:, 0]

    def draw(self, key: Key[Array, ""]) -> Float[Array, " z"]:
        """Draws one latent vector from the distribution of z."""
        return self.base.draw(key)

    @property
    def num_blocks(self) -> int:
        """Those of the generator that renders."""
        return self.base.num_blocks

    @property
    def noise_sides(self) -> tuple[int, ...]:
        """Those of the generator that renders."""
        return self.base.noise_sides

    def prepare(
        self,
        codes: Float[Array, "n L s"],
        noise: Noise = "const",
        key: AnyKey | None = None,
        label: Labels | None = None,
    ) -> Any:
        """Returns what the blocks read, with the styles given.

        Args:
            codes: styles [n, 1, channels].
            noise: as in `Generator.synthesize`.
            key: as in `Generator.synthesize`.
            label: as in `Generator.synthesize`.
        """
        self.check_codes(codes)
        any_codes = jnp.zeros(
            (codes.shape[0], self.base.num_layers, self.base.code_dim), codes.dtype
        )
        inputs = self.base.prepare(any_codes, noise, key, label)  # of which the styles are not used
        leaves, tree = jax.tree.flatten(inputs.styles)
        ends = np.cumsum([leaf.shape[1] for leaf in leaves])[:-1]
        parts = jnp.split(codes[:, 0], ends, axis=1)
        return inputs._replace(styles=jax.tree.unflatten(tree, parts))

    def start(self, inputs: Any) -> State:
        """Returns the state before the first block."""
        return self.base.start(inputs)

    def block(self, index: int, state: State, inputs: Any) -> State:
        """Applies one block."""
        return self.base.block(index, state, inputs)

    @property
    def num_steps(self) -> int:
        """Those of the generator that renders."""
        return self.base.num_steps

    def step(self, index: int, state: State, inputs: Any) -> State:
        """Applies one step."""
        return self.base.step(index, state, inputs)

    def finish(self, state: State, inputs: Any) -> Float[Array, "n h w c"]:
        """Makes the image of the last state."""
        return self.base.finish(state, inputs)

    def affines(self, layers: Sequence[int] | None = None) -> tuple[Float[Array, "_ s"], ...]:
        """Refuses: styles are used as they are, by no matrix.

        Raises:
            UserError: always.
        """
        raise UserError("styles are read by no matrix; ask the generator itself for its affines")
