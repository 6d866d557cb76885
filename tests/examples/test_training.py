"""The avatars' trainer, on a network and pictures of toy size."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from examples.avatars.adversarial import Recipe, as_generator, initial_state, train_step
from examples.avatars.checkpoints import Checkpoints
from examples.avatars.discriminator import Discriminator, DiscriminatorConfig
from examples.avatars.fast_conv import conv3x3, fast_up_conv
from examples.avatars.render_fast import synthesize
from examples.avatars.train import train
from jaxlatent.errors import UserError
from jaxlatent.generators import StyleGAN2, StyleGAN2Config
from jaxlatent.generators.convolutions import conv
from jaxlatent.generators.up_convolutions import up_conv
from jaxlatent.networks import AttributeNet, AttributesConfig, Category

RECIPE = Recipe(
    StyleGAN2Config(
        channels=(4, 4),
        z_dim=4,
        w_dim=6,
        mapping_widths=(6,),
        mapping_lr_multiplier=0.1,
        use_noise=False,
    ),
    DiscriminatorConfig(pixel_widths=(4,), feature_widths=(4,), head_width=4),
    images=48,
    batch=8,
    interval=4,
)
SHORT = dataclasses.replace(RECIPE, images=7)  # less than a batch: it ends before the first step


@pytest.fixture(scope="module")
def net() -> AttributeNet:
    config = AttributesConfig((Category("hat", ("no", "yes")),), (), (4,), side=8)
    return jax.jit(lambda: AttributeNet(config, rngs=nnx.Rngs(0)))()


@pytest.fixture(scope="module")
def images() -> jax.Array:
    return jnp.asarray(np.random.RandomState(0).randint(0, 256, (32, 8, 8, 3)), jnp.uint8)


def normal(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.RandomState(1).standard_normal(shape), jnp.float32)


def test_fast_convolutions_and_their_gradients_are_the_library_s() -> None:
    x, kernel, taps = normal(2, 8, 8, 9), normal(3, 3, 9, 8), (0.1, 0.2, 0.3, 0.4)

    def gradients(f: Callable[..., jax.Array]) -> tuple[jax.Array, ...]:
        return jax.jit(jax.grad(lambda *a: jnp.square(f(*a)).sum(), (0, 1)))(x, kernel)

    for ours, theirs in (
        (conv3x3, lambda x, k: conv(x, k, (1, 1))),
        (lambda x, k: fast_up_conv(x, k, taps), lambda x, k: up_conv(x, k, taps)),
    ):
        found, expected = (jax.jit(f)(x, kernel) for f in (ours, theirs))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        for a, b in zip(gradients(ours), gradients(theirs), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * jnp.abs(b).max())


def test_training_renders_what_the_library_renders() -> None:
    generator = as_generator(SHORT, initial_state(SHORT).generator)
    w = normal(3, 6)

    @jax.jit
    def both(generator: StyleGAN2, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        return synthesize(generator, w), generator.synthesize(generator.broadcast(w), "none")

    np.testing.assert_allclose(*both(generator, w), atol=1e-4)


def test_discriminator_gives_a_logit_and_finite_slopes(net: AttributeNet) -> None:
    judge = jax.jit(lambda: Discriminator(RECIPE.discriminator, rngs=nnx.Rngs(0)))()

    @jax.jit
    def slopes(judge: Discriminator, net: AttributeNet, x: jax.Array) -> tuple[jax.Array, ...]:
        logits, pull = jax.vjp(lambda x: judge(x, net.features(x)), x)
        return logits, *pull(jnp.ones_like(logits))

    logits, slope = slopes(judge, net, jnp.zeros((8, 8, 8, 3)))
    assert logits.shape == (8,)
    assert jnp.isfinite(slope).all()
    assert jnp.abs(slope).max() > 0


def test_a_step_moves_both_networks_and_measures_r1(net: AttributeNet, images: jax.Array) -> None:
    before = initial_state(SHORT)
    state = initial_state(SHORT)
    after, metrics = train_step(state, images, net, recipe=SHORT, regularise=True)
    assert metrics["r1"] > 0
    assert all(jnp.isfinite(value) for value in metrics.values())
    for name in ("generator", "discriminator", "average"):
        old, new = (jax.tree.leaves(getattr(s, name)) for s in (before, after))
        assert any((a != b).any() for a, b in zip(old, new, strict=True)), name


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(
    net: AttributeNet, images: jax.Array, tmp_path: Path
) -> None:
    whole = train(RECIPE, images, net, tmp_path / "whole", log_every=1, grid_every=6)
    state, folder = initial_state(RECIPE), tmp_path / "parts"
    for step in range(3):  # a run killed after its third step, whose second was the last saved
        state, _ = train_step(state, images, net, recipe=RECIPE, regularise=False)
        if step == 1:
            with Checkpoints(folder / "checkpoints") as checkpoints:
                checkpoints.save(2, state)
    resumed = train(RECIPE, images, net, folder, log_every=1, grid_every=6)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), whole, resumed))
    rows = [(tmp_path / n / "metrics.csv").read_text().split() for n in ("whole", "parts")]
    without_speed = [[line.rpartition(",")[0] for line in lines] for lines in rows]
    assert without_speed[0][3:] == without_speed[1][1:]
    assert (folder / "grids" / "00000048.png").read_bytes() == (
        tmp_path / "whole" / "grids" / "00000048.png"
    ).read_bytes()


def test_another_recipe_and_misfits_are_refused(
    net: AttributeNet, images: jax.Array, tmp_path: Path
) -> None:
    train(SHORT, images, net, tmp_path)
    with pytest.raises(UserError, match="another recipe"):
        train(dataclasses.replace(SHORT, seed=1), images, net, tmp_path)
    with pytest.raises(UserError, match=r"not of side 8; .*batch"):
        train(dataclasses.replace(SHORT, batch=6), images[:, :4], net, tmp_path)
