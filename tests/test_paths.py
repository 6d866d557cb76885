"""Paths: ends, lengths, splines of SciPy, geodesics known in closed form, arithmetic, mixing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import CubicSpline, interp1d

from jaxlatent import UserError, paths

RANDOM = np.random.RandomState(0)
TIMES = np.linspace(0, 1, 9)


def codes(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def lengths(x):
    return np.linalg.norm(np.asarray(x, np.float64), axis=-1)


def test_straight_lines():
    a, b = codes(2, 3, 4), codes(2, 3, 4)
    found = paths.lerp(a, b, TIMES)
    assert found.shape == (9, 2, 3, 4)
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[-1], b)
    np.testing.assert_allclose(
        np.diff(found, axis=0), np.tile((b - a) / 8, (8, 1, 1, 1)), atol=1e-6
    )


def test_arcs_keep_lengths_and_turn_evenly():
    a, b = codes(5, 16), codes(5, 16)
    b *= (lengths(a) / lengths(b))[:, None].astype(np.float32)
    found = np.asarray(paths.slerp(a, b, TIMES), np.float64)
    np.testing.assert_allclose(found[0], a, atol=1e-6)
    np.testing.assert_allclose(found[-1], b, atol=1e-6)
    np.testing.assert_allclose(lengths(found), np.tile(lengths(a), (9, 1)), rtol=1e-6)
    units = found / lengths(found)[..., None]
    whole = np.arccos(np.sum(units[0] * units[-1], axis=-1))
    steps = np.arccos(np.sum(units[1:] * units[:-1], axis=-1))
    np.testing.assert_allclose(steps, np.tile(whole / 8, (8, 1)), rtol=1e-4)


def test_arcs_between_different_lengths():
    a, b = codes(16), 3 * codes(16)
    expected = (1 - TIMES) * lengths(a) + TIMES * lengths(b)
    np.testing.assert_allclose(lengths(paths.slerp(a, b, TIMES)), expected, rtol=1e-6)


def test_arcs_between_identical_opposite_near_and_zero_ends():
    a = codes(16)
    np.testing.assert_allclose(paths.slerp(a, a, TIMES), np.tile(a, (9, 1)), rtol=1e-6)
    np.testing.assert_allclose(paths.slerp(a, 2 * a, [0.5])[0], 1.5 * a, rtol=1e-6)
    over = np.asarray(paths.slerp(a, -a, TIMES))
    np.testing.assert_allclose(over[[0, -1]], [a, -a], atol=1e-6)
    np.testing.assert_allclose(lengths(over), np.full(9, lengths(a)), rtol=1e-6)
    np.testing.assert_allclose(over[4] @ a, 0, atol=1e-5)
    for sign in (1, -1):
        near = sign * a + 1e-4 * codes(16)
        found = np.asarray(paths.slerp(a, near, TIMES))
        np.testing.assert_allclose(found[-1], near, atol=1e-6)
        np.testing.assert_allclose(
            lengths(np.diff(found, axis=0)), lengths(found[1] - a), rtol=0.02
        )
    zero = np.zeros(16, np.float32)
    np.testing.assert_allclose(paths.slerp(zero, a, [0.0, 0.5, 1.0]), [zero, a / 2, a], atol=1e-6)
    np.testing.assert_array_equal(paths.slerp(zero, zero, TIMES), np.zeros((9, 16)))


@pytest.mark.parametrize("end", [1.0, -1.0, 0.0])
def test_arcs_have_gradients_everywhere(end):
    a = jnp.asarray(codes(4))
    gradient = jax.jacobian(lambda b: paths.slerp(a, b, [0.5]))(end * a)
    assert np.isfinite(gradient).all()
    assert np.isfinite(jax.jacobian(lambda b: paths.slerp(0 * a, b, [0.5]))(end * a)).all()


@pytest.mark.parametrize("m", [2, 3, 7])
def test_open_curves_are_natural_splines(m):
    frames, times = codes(m, 2, 3), np.linspace(0, m - 1, 23)
    expected = CubicSpline(np.arange(m), frames, bc_type="natural")(times)
    np.testing.assert_allclose(paths.keyframes(frames, times), expected, atol=2e-6)
    beyond = np.asarray(paths.keyframes(frames, np.array([m - 1, m, m + 1, -1, 0, 1e-3])))
    np.testing.assert_allclose(beyond[2] - beyond[1], beyond[1] - beyond[0], atol=1e-5)
    np.testing.assert_allclose(beyond[4] - beyond[3], (beyond[5] - beyond[4]) / 1e-3, atol=2e-2)


@pytest.mark.parametrize("m", [2, 3, 7])
def test_closed_curves_are_periodic_splines(m):
    frames, times = codes(m, 5), np.linspace(-m, 2 * m, 31)
    closed = np.concatenate([frames, frames[:1]])
    spline = CubicSpline(np.arange(m + 1), closed, bc_type="periodic")
    found = paths.keyframes(frames, times, closed=True)
    np.testing.assert_allclose(found, spline(np.mod(times, m)), atol=5e-6)
    wraps = 6  # NVIDIA's videos approximate the closed curve by 2
    many = np.tile(frames, (2 * wraps + 1, 1))
    wrapped = interp1d(np.arange(len(many)) - m * wraps, many, kind="cubic", axis=0)
    inside = times[(times >= 0) & (times <= m)]
    theirs = paths.keyframes(frames, inside, closed=True)
    np.testing.assert_allclose(theirs, wrapped(inside), atol=1e-4)


def curve(z, power, limit):
    return jnp.where(z > limit, jnp.nan, z**power)


def along(power, end, limit=jnp.inf):
    """Returns the geodesic of one-dimensional codes from 0 to `end`."""
    return paths.geodesic(
        curve, jnp.zeros(1), jnp.full(1, end), jnp.float32(power), jnp.float32(limit), points=9
    )


def test_a_geodesic_moves_the_output_evenly():
    found = along(3, 1.0)
    np.testing.assert_allclose(found.points[:, 0] ** 3, TIMES, atol=2e-3)
    np.testing.assert_allclose(found.energy, 0.5, rtol=1e-4)
    steps = np.diff(TIMES**3)
    np.testing.assert_allclose(found.straight_energy, 0.5 * 8 * np.sum(steps**2), rtol=1e-5)


def test_a_straight_geodesic_stays():
    found = along(1, 0.7)
    np.testing.assert_allclose(found.points[:, 0], 0.7 * TIMES, atol=1e-4)
    np.testing.assert_allclose(found.energy, 0.5 * 0.7**2, rtol=1e-6)
    assert found.energy <= found.straight_energy


def test_a_search_that_fails_returns_nothing_worse_than_the_straight_line():
    found = along(3, 0.4, limit=0.3)
    assert np.isnan(found.straight_energy)
    inside = along(3, 0.4, limit=0.4)  # the line's end is at the edge of where there are outputs
    assert np.isfinite(inside.points).all()
    assert inside.energy <= inside.straight_energy


def activations(z, generator):
    return generator.features(z, 0)


def test_a_geodesic_of_a_generator_is_never_above_the_straight_line(dcgan):
    start, end = jnp.asarray(codes(2, 1, 6))
    found = paths.geodesic(activations, start, end, dcgan, points=5, steps=10)
    assert found.energy <= found.straight_energy
    np.testing.assert_array_equal(found.points[jnp.array([0, -1])], jnp.stack([start, end]))
    steps = np.diff(dcgan.features(found.points, 0), axis=0)
    np.testing.assert_allclose(found.energy, 0.5 * 4 * np.sum(steps**2), rtol=1e-4)


def test_arithmetic_is_of_means():
    smiling_woman, woman, man = codes(3, 2, 8), codes(4, 2, 8), codes(5, 2, 8)
    expected = smiling_woman.mean(0) - woman.mean(0) + man.mean(0)
    found = paths.arithmetic([smiling_woman, man], [woman])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_styles_are_rows():
    a, b = codes(2, 4, 3), codes(5, 4, 3)
    found = paths.mix_styles(a, b, range(2))
    assert found.shape == (2, 5, 4, 3)
    np.testing.assert_array_equal(found[1, 3, :2], b[3, :2])
    np.testing.assert_array_equal(found[1, 3, 2:], a[1, 2:])


WRONG = [
    (lambda: paths.lerp(np.ones(2), np.ones(3), [0.5]), "one shape"),
    (lambda: paths.slerp(np.ones(2), np.ones((1, 2)), [0.5]), "one shape"),
    (lambda: paths.lerp(np.ones(2), np.ones(2), np.ones((1, 1))), "list of numbers"),
    (lambda: paths.lerp(np.ones(2), np.ones(2), ["early"]), "list of numbers, got .'early'"),
    (lambda: paths.slerp(np.ones((2, 0)), np.ones((2, 0)), [0.5]), r"hold numbers, got \[2, 0\]"),
    (lambda: paths.keyframes(np.ones((1, 2)), [0.5]), "at least 2 keyframes"),
    (lambda: paths.keyframes(np.ones((2, 2)), np.ones((2, 2))), "list of numbers, got shape"),
    (lambda: paths.geodesic(activations, jnp.ones(1), jnp.full(1, jnp.nan)), "the end holds"),
    (lambda: paths.geodesic(activations, jnp.ones(1), jnp.ones(2)), "one shape"),
    (lambda: paths.geodesic(activations, jnp.ones(1), jnp.ones(1), points=2), "at least 3"),
    (lambda: paths.arithmetic([]), "at least one group"),
    (lambda: paths.arithmetic([np.ones((1, 2)), np.ones((1, 3))]), "one shape"),
    (lambda: paths.arithmetic([np.ones((0, 2))]), "none empty"),
    (lambda: paths.mix_styles(np.ones((1, 2, 3)), np.ones((1, 3, 3)), [0]), "alike"),
    (lambda: paths.mix_styles(np.ones((1, 2, 3)), np.ones((1, 2, 3)), [2]), "in 0 to 1"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
@pytest.mark.usefixtures("lenient")
def test_what_is_no_path(call, message):
    with pytest.raises(UserError, match=message):
        call()
