"""One step of adversarial training: both networks learn from the same fakes.

Non-saturating loss (Goodfellow et al. 2014) with lazy R1 (Mescheder et al., arXiv:1801.04406;
StyleGAN2, arXiv:1912.04958). No label is seen here: the generator gets noise, the discriminator
pixels and the features of a frozen network.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, UInt8

from examples.avatars.data import draw, to_float
from examples.avatars.devices import replicate, spread
from examples.avatars.discriminator import Discriminator, DiscriminatorConfig
from examples.avatars.render_fast import synthesize
from jaxlatent.errors import UserError
from jaxlatent.generators import StyleGAN2, StyleGAN2Config
from jaxlatent.networks import AttributeNet


@dataclass(frozen=True)
class Recipe:
    """What defines a training run, besides its data.

    Attributes:
        generator: the generator trained.
        discriminator: its adversary.
        images: real images until the end, to which the learning rate falls in the last quarter.
        batch: images in a step.
        rate: learning rate of both networks.
        last_rate: the learning rate at the end, relative to `rate`.
        gamma: weight of R1.
        interval: steps from one R1 to the next.
        half_life: images after which a weight's influence on the average is halved.
        seed: of everything random.
    """

    generator: StyleGAN2Config
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    images: int = 1_000_000
    batch: int = 16
    rate: float = 2e-3
    last_rate: float = 0.1
    gamma: float = 1.0
    interval: int = 16
    half_life: float = 5000.0
    seed: int = 0


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "generator", "average", "discriminator", "moments"],
    meta_fields=[],
)
@dataclass(frozen=True)
class State:
    """All that a later step depends on.

    Attributes:
        step: steps done.
        generator: its parameters.
        average: their moving average, which is what is shipped.
        discriminator: its parameters.
        moments: Adam's, of the generator and of the discriminator.
    """

    step: Array
    generator: Any
    average: Any
    discriminator: Any
    moments: Any


_ADAM = optax.scale_by_adam(b1=0.0, b2=0.99, eps=1e-8)


@partial(jax.jit, static_argnames="recipe")
def initial_state(recipe: Recipe) -> State:
    """Returns the state before the first step."""
    generator = nnx.state(StyleGAN2(recipe.generator, rngs=nnx.Rngs(recipe.seed)), nnx.Param)
    judge = Discriminator(recipe.discriminator, rngs=nnx.Rngs(recipe.seed + 1))
    discriminator = nnx.state(judge, nnx.Param)
    moments = (_ADAM.init(generator), _ADAM.init(discriminator))
    average = jax.tree.map(jnp.copy, generator)
    return State(jnp.zeros((), jnp.int32), generator, average, discriminator, moments)


def as_generator(recipe: Recipe, parameters: Any) -> StyleGAN2:
    """Returns the library's generator with these parameters; its mean w is zero."""
    generator = nnx.eval_shape(lambda: StyleGAN2(recipe.generator, rngs=nnx.Rngs(0)))
    graph, _, buffers = nnx.split(generator, nnx.Param, ...)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), buffers)
    return nnx.merge(graph, parameters, zeros)


def learning_rate(recipe: Recipe, step: Array) -> Array:
    """Returns the rate of a step: constant, then falling linearly over the last quarter."""
    left = 1 - step * (recipe.batch / recipe.images)
    return recipe.rate * jnp.clip(4 * left, recipe.last_rate, 1.0)


def _decay(recipe: Recipe, step: Array) -> Array:
    """Returns the average's decay; it remembers less while the training is young."""
    half_life = jnp.minimum(recipe.half_life, 0.05 * recipe.batch * (step + 1) + 50)
    return 0.5 ** (recipe.batch / half_life)


@partial(jax.jit, static_argnames=("recipe", "regularise"), donate_argnames="state")
def train_step(
    state: State,
    images: UInt8[Array, "m h w 3"],
    net: AttributeNet,
    *,
    recipe: Recipe,
    regularise: bool,
) -> tuple[State, dict[str, Float[Array, ""]]]:
    """Does one step; which images and noise it takes depends on seed and step number only.

    Args:
        state: all that the training has learned; its memory is used again.
        images: all real images.
        net: the frozen network whose features the discriminator sees.
        recipe: what is trained, and how.
        regularise: whether this step adds R1, weighted by the steps between two.
    """
    key = jax.random.fold_in(jax.random.key(recipe.seed), state.step)
    real_key, z_key = jax.random.split(key)
    real = spread(to_float(draw(images, real_key, recipe.batch)[0]))
    z = spread(jax.random.normal(z_key, (recipe.batch, recipe.generator.z_dim)))
    judge_graph = nnx.graphdef(
        nnx.eval_shape(lambda: Discriminator(recipe.discriminator, rngs=nnx.Rngs(0)))
    )

    def render(parameters: Any) -> Array:
        generator = as_generator(recipe, parameters)
        return synthesize(generator, generator.map(z))

    def logits(parameters: Any, pictures: Array) -> Array:
        return nnx.merge(judge_graph, parameters)(pictures, net.features(pictures))

    def real_loss(parameters: Any) -> tuple[Array, tuple[Array, Array]]:
        values = logits(parameters, real)
        penalty = jnp.zeros(())
        if regularise:
            slope = jax.grad(lambda pictures: logits(parameters, pictures).sum())(real)
            penalty = jnp.square(slope).sum((1, 2, 3)).mean()
        loss = jax.nn.softplus(-values).mean() + 0.5 * recipe.gamma * recipe.interval * penalty
        return loss, (values, penalty)

    fake, pull_generator = jax.vjp(render, state.generator)
    fake_logits, pull_judge = jax.vjp(logits, state.discriminator, fake)
    judge_gradient, _ = pull_judge(jax.nn.sigmoid(fake_logits) / recipe.batch)
    _, pixel_gradient = pull_judge(-jax.nn.sigmoid(-fake_logits) / recipe.batch)
    (generator_gradient,) = pull_generator(pixel_gradient)
    gradient, (real_logits, penalty) = jax.grad(real_loss, has_aux=True)(state.discriminator)
    judge_gradient = jax.tree.map(jnp.add, judge_gradient, gradient)

    rate = learning_rate(recipe, state.step)
    generator, first = _descend(state.generator, generator_gradient, state.moments[0], rate)
    discriminator, second = _descend(state.discriminator, judge_gradient, state.moments[1], rate)
    decay = _decay(recipe, state.step)
    average = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, state.average, generator)
    metrics = {
        "real_logit": real_logits.mean(),
        "fake_logit": fake_logits.mean(),
        "generator_loss": jax.nn.softplus(-fake_logits).mean(),
        "r1": penalty,
        "rate": rate,
    }
    after = State(state.step + 1, generator, average, discriminator, (first, second))
    return replicate(after), metrics


def _descend(parameters: Any, gradient: Any, moments: Any, rate: Array) -> tuple[Any, Any]:
    direction, moments = _ADAM.update(gradient, moments)
    return jax.tree.map(lambda p, d: p - rate * d, parameters, direction), moments


def check_fit(recipe: Recipe, images: UInt8[Array, "m h w 3"], net: AttributeNet) -> None:
    """Raises `UserError` unless networks, images and features are of one size."""
    side = recipe.generator.resolution
    widths = recipe.discriminator.feature_widths
    problems = []
    if images.shape[1:] != (side, side, 3):
        problems.append(f"the images are {list(images.shape[1:])}, not of side {side}")
    if 4 << len(recipe.discriminator.pixel_widths) != side:
        problems.append(f"the discriminator's pixel branch is not for side {side}")
    if net.config.side != side or net.config.widths[: len(widths)] != widths:
        problems.append(f"the frozen features are {net.config.widths} at side {net.config.side}")
    if recipe.generator.architecture != "skip" or recipe.generator.use_noise:
        problems.append("the generator must be a skip network without noise")
    if recipe.batch % 4 or recipe.batch % jax.device_count():
        problems.append(f"the batch must divide by 4 and by the devices, got {recipe.batch}")
    if problems:
        raise UserError(f"this training cannot start: {'; '.join(problems)}")
