"""Edits move codes exactly as far as they say, along several directions and layers at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import Directions, Edit, UserError, edit
from jaxlatent.edits import move, moves

RANDOM = np.random.RandomState(0)
N, L, D = 4, 6, 7


def orthonormal(k, size):
    return np.linalg.qr(RANDOM.standard_normal((size, k)))[0].T.astype(np.float32)


@pytest.fixture
def codes():
    return jnp.asarray(RANDOM.standard_normal((N, L, D)), jnp.float32)


@pytest.fixture
def shared():
    """Two directions that are the same for all layers, with units, centre and intercept."""
    return Directions.of(
        orthonormal(2, D)[:, None],
        space="w",
        scale=np.array([2.0, 0.5], np.float32),
        mean=RANDOM.standard_normal((1, D)).astype(np.float32),
        intercept=np.array([0.3, -0.2], np.float32),
    )


def test_relative_edits_add_up(stylegan2, codes, shared):
    moved = edit(stylegan2, codes, Edit(shared, [3.0, -1.0]))
    expected = codes + 6.0 * shared.vectors[0][None] - 0.5 * shared.vectors[1][None]
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_each_sample_may_have_its_own_amount(stylegan2, codes, shared):
    amounts = jnp.asarray(RANDOM.standard_normal((N, 2)), jnp.float32)
    moved = edit(stylegan2, codes, Edit(shared, amounts))
    for i in range(N):
        alone = edit(stylegan2, codes[i : i + 1], Edit(shared, amounts[i]))
        np.testing.assert_allclose(moved[i], alone[0], atol=1e-5)


def test_only_the_chosen_layers_move(stylegan2, codes, shared):
    moved = edit(stylegan2, codes, Edit(shared, [1.0, 1.0], layers=(1, 4)))
    still = [0, 2, 3, 5]
    np.testing.assert_array_equal(moved[:, still], codes[:, still])
    assert (np.abs(moved - codes)[:, [1, 4]].max(axis=2) > 0.1).all()


def test_directions_bring_their_layers(stylegan2, codes, shared):
    bound = shared.bind(stylegan2, [2])
    np.testing.assert_allclose(
        edit(stylegan2, codes, Edit(bound, [1.0, 0.0])),
        edit(stylegan2, codes, Edit(shared, [1.0, 0.0], layers=(2,))),
    )


def position(codes, directions):
    """The position of each layer, from its definition."""
    along = np.einsum("nld,kd->nkl", codes - directions.mean[None], directions.vectors[:, 0])
    return (along + directions.intercept[None, :, None]) / directions.scale[None, :, None]


def test_absolute_edits_reach_their_position(stylegan2, codes, shared):
    moved = edit(stylegan2, codes, Edit(shared, [1.5, -0.5], mode="absolute"))
    reached = position(np.asarray(moved), shared)
    np.testing.assert_allclose(reached[:, 0], 1.5, atol=1e-4)
    np.testing.assert_allclose(reached[:, 1], -0.5, atol=1e-4)
    again = edit(stylegan2, moved, Edit(shared, [1.5, -0.5], mode="absolute"))
    np.testing.assert_allclose(again, moved, atol=1e-4)
    rest = orthonormal(D, D)
    complement = rest - rest @ shared.vectors[:, 0].T @ shared.vectors[:, 0]
    np.testing.assert_allclose(moved @ complement.T, codes @ complement.T, atol=1e-4)


def test_absolute_edits_on_some_layers(stylegan2, codes, shared):
    moved = edit(stylegan2, codes, Edit(shared, [1.5, -0.5], layers=(0, 3), mode="absolute"))
    np.testing.assert_allclose(position(np.asarray(moved), shared)[:, 0, [0, 3]], 1.5, atol=1e-4)
    np.testing.assert_array_equal(moved[:, [1, 2, 4, 5]], codes[:, [1, 2, 4, 5]])


def test_a_direction_with_a_row_for_each_layer_has_one_position(stylegan2, codes):
    vector = orthonormal(1, L * D).reshape(1, L, D)
    directions = Directions.of(
        vector, space="w+", intercept=np.array([0.7], np.float32), scale=np.array([2.0], np.float32)
    )
    moved = edit(stylegan2, codes, Edit(directions, [4.0], mode="absolute"))
    reached = (np.einsum("nld,ld->n", moved, vector[0]) + 0.7) / 2
    np.testing.assert_allclose(reached, 4.0, atol=1e-4)
    part = edit(stylegan2, codes, Edit(directions, [4.0], layers=(1, 2), mode="absolute"))
    reached = (np.einsum("nld,ld->n", part[:, 1:3], vector[0, 1:3]) + 0.7) / 2
    np.testing.assert_allclose(reached, 4.0, atol=1e-4)


def test_interfacegan_convention(dcgan):
    """A boundary's normal moves z to a signed distance: z + (t - z.n) n."""
    z = jnp.asarray(RANDOM.standard_normal((N, 6)), jnp.float32)
    normal = orthonormal(1, 6)
    moved = edit(dcgan, z[:, None], Edit(Directions.of(normal[:, None]), [3.0], mode="absolute"))[
        :, 0
    ]
    np.testing.assert_allclose(moved, z + (3.0 - z @ normal[0])[:, None] * normal, atol=1e-5)


def test_moves_are_a_pytree(stylegan2, codes, shared):
    steps = moves(stylegan2, shared)
    amounts = jnp.ones((N, 2))
    np.testing.assert_allclose(
        jax.jit(move)(codes, steps, amounts), move(codes, steps, amounts), atol=1e-5
    )
    gradient = jax.grad(lambda a: move(codes, steps, a).sum())(amounts)
    assert gradient.shape == (N, 2)


@pytest.mark.usefixtures("lenient")
def test_mistakes(stylegan2, codes, shared):
    with pytest.raises(UserError, match="mode must be relative or absolute"):
        edit(stylegan2, codes, Edit(shared, [1.0, 1.0], mode="sideways"))
    with pytest.raises(UserError, match="2 amounts are needed"):
        edit(stylegan2, codes, Edit(shared, [1.0]))
    with pytest.raises(UserError, match=r"codes must be \[n, 6, 7\]"):
        edit(stylegan2, codes[:, :1], Edit(shared, [1.0, 1.0]))
    with pytest.raises(UserError, match="layers must be in 0 to 5"):
        edit(stylegan2, codes, Edit(shared, [1.0, 1.0], layers=(6,)))
    in_z = Directions.of(orthonormal(1, 6)[:, None], space="z")
    with pytest.raises(UserError, match="give no layers"):
        moves(stylegan2, in_z, layers=[0])


def test_edits_compose(stylegan2, codes, shared):
    """Each with its own layers, mode and stage; truncation in between."""
    first = Edit(shared, [1.0, 0.5], layers=(0, 1), stage="before")
    second = Edit(shared[0], [2.0], layers=(3,), mode="absolute")
    third = Edit(shared[1], [-1.0])
    together = edit(stylegan2, codes, second, first, third, psi=0.6, cutoff=4)
    one = stylegan2.truncate(edit(stylegan2, codes, first), 0.6, 4)
    expected = edit(stylegan2, one, second) + (edit(stylegan2, one, third) - one)
    np.testing.assert_allclose(together, expected, atol=1e-4)
    np.testing.assert_array_equal(edit(stylegan2, codes), codes)


def test_edits_work_inside_programs(stylegan2, codes, shared):
    """With the generator and directions bound to it as arguments."""
    one = Edit(shared.bind(stylegan2), [1.0, 2.0], layers=(1,))
    program = jax.jit(lambda g, c, e: edit(g, c, e, psi=0.5))
    expected = edit(stylegan2, codes, one, psi=0.5)
    np.testing.assert_allclose(program(stylegan2, codes, one), expected, atol=1e-5)
    slope = jax.grad(lambda g, c, e: program(g, c, e).sum(), argnums=1)(stylegan2, codes, one)
    np.testing.assert_allclose(slope, jnp.full_like(codes, 0.5), atol=1e-5)


@pytest.mark.usefixtures("lenient")
def test_layers_may_be_an_array_and_never_none_of_them(stylegan2, codes, shared):
    moved = edit(stylegan2, codes, Edit(shared, [1.0, 1.0], layers=np.array([1, 4])))
    expected = edit(stylegan2, codes, Edit(shared, [1.0, 1.0], layers=(1, 4)))
    np.testing.assert_array_equal(moved, expected)
    with pytest.raises(UserError, match="layers must be in 0 to 5"):
        edit(stylegan2, codes, Edit(shared, [1.0, 1.0], layers=()))
    with pytest.raises(UserError, match="cutoff goes with psi"):
        edit(stylegan2, codes, cutoff=2)
    with pytest.raises(UserError, match="stage must be before or after"):
        edit(stylegan2, codes, Edit(shared, [1.0, 1.0], stage="during"))


@pytest.mark.usefixtures("lenient")
def test_codes_keep_their_type_and_must_be_numbers_with_fractions(stylegan2, codes, shared):
    one = Edit(shared, [0.9, 1.0])
    assert edit(stylegan2, codes.astype(jnp.bfloat16), one).dtype == jnp.bfloat16
    assert edit(stylegan2, np.asarray(codes, np.float64), one).dtype == jnp.float32
    with pytest.raises(UserError, match="codes must be of a floating type, got int32"):
        edit(stylegan2, codes.astype(jnp.int32), one)


def test_a_layer_given_twice_counts_once(stylegan2, codes):
    vector = orthonormal(1, L * D).reshape(1, L, D)
    directions = Directions.of(vector, space="w+", intercept=np.array([4.0], np.float32))
    for layers in ((1, 1), (3, 1, 3)):
        twice = Edit(directions, [1.5], layers=layers, mode="absolute")
        once = Edit(directions, [1.5], layers=tuple(set(layers)), mode="absolute")
        np.testing.assert_allclose(
            edit(stylegan2, codes, twice), edit(stylegan2, codes, once), atol=1e-6
        )


def test_edits_of_z_end_before_the_mapping(stylegan2):
    z = stylegan2.sample_z(jax.random.key(0), N)[:, None]
    one = Edit(Directions.of(orthonormal(1, 6)[:, None], space="z"), [2.0])
    np.testing.assert_allclose(
        edit(stylegan2, z, one), z + 2 * one.directions.vectors[0][None], atol=1e-6
    )
    with pytest.raises(UserError, match="truncation acts on w"):
        edit(stylegan2, z, one, psi=0.5)
