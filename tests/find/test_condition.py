"""Conditional manipulation: the original's boundaries, dependent conditions, layers, errors."""

import numpy as np
import pytest

from benchmarks import oracles
from jaxlatent import Directions, UserError
from jaxlatent.find import condition, linear_map_sweep

RANDOM = np.random.RandomState(0)


def unit(*shape):
    vectors = RANDOM.standard_normal(shape)
    return vectors / np.sqrt(np.sum(vectors**2, axis=(1, 2), keepdims=True))


def test_projection_in_closed_form():
    found = Directions.of(np.array([[[0.6, 0.0, 0.8]], [[0.6, 0.8, 0.0]]]), names=["a", "b"])
    axis = Directions.of(np.eye(3)[:1, None], names=["c"])
    new = condition(found, axis)
    np.testing.assert_allclose(new.vectors[:, 0], [[0, 0, 1], [0, 1, 0]], atol=1e-15)
    assert new.names == ("a given c", "b given c")
    assert new.parameters["left"] == pytest.approx({"a": 0.8, "b": 0.8})


def test_positions_of_the_conditions_stay():
    directions, conditions = Directions.of(unit(3, 1, 20)), Directions.of(unit(5, 1, 20))
    new = condition(directions, conditions[:2], conditions[2:])
    products = new.vectors[:, 0] @ conditions.vectors[:, 0].T
    np.testing.assert_allclose(products, 0, atol=1e-15)
    np.testing.assert_allclose(np.linalg.norm(new.vectors, axis=(1, 2)), 1, rtol=1e-15)


def test_conditions_may_depend_on_each_other():
    direction, given = Directions.of(unit(1, 1, 20)), unit(3, 1, 20)
    alone = condition(direction, Directions.of(given))
    mixed = np.concatenate([given[:1], given, given[:1] - given[1:2], -given[2:]])
    mixed = mixed + 1e-7 * RANDOM.standard_normal(mixed.shape)
    mixed /= np.linalg.norm(mixed, axis=2, keepdims=True)
    np.testing.assert_allclose(
        condition(direction, Directions.of(mixed)).vectors, alone.vectors, atol=1e-6
    )


def test_a_boundary_stays_where_it_is_for_codes_at_the_conditions():
    """The new plane cuts the old one among codes that have the conditions' positions at 0."""
    old = Directions.of(unit(1, 1, 6), intercept=np.array([0.7]), mean=np.full((1, 6), 0.3))
    given = Directions.of(unit(2, 1, 6))
    new = condition(old, given)
    code = old.mean - new.intercept[:, None] * new.vectors[0]
    assert float((code - old.mean)[0] @ old.vectors[0, 0] + old.intercept[0]) == pytest.approx(0)
    np.testing.assert_allclose((code - old.mean) @ given.vectors[:, 0].T, 0, atol=1e-12)


def test_an_attributes_unit_goes_with_what_is_left():
    """Positions are predictions still, an edit by 1 raises them by 1, and others stay."""
    codes = RANDOM.standard_normal((300, 5)) + 1
    truth = np.array([[1.0, 1, 0.2, 0, 0], [1.0, 0.4, 0, 0, 0]])
    maps = linear_map_sweep(codes, codes @ truth.T + 3, [0.0], kind="raw", names=["a", "b"])
    found = maps.directions(0)
    new = condition(found[found.index("a")], found[found.index("b")])
    assert new.parameters["left"]["a"] < 0.7
    vector, unit_of = np.asarray(new.vectors, np.float64)[0, 0], float(new.scale[0])
    np.testing.assert_allclose(truth @ (unit_of * vector), [1, 0], atol=1e-6)
    along = np.array([[-2.0], [0.0], [1.5]]) * vector
    positions = (along @ vector + float(new.intercept[0])) / unit_of
    np.testing.assert_allclose(positions, along @ truth[0] + 3, rtol=1e-5)
    assert not np.asarray(new.scores).any()
    lengths = condition(Directions.of(np.array([[[0.6, 0.8]]])), Directions.of(np.eye(2)[:1, None]))
    assert lengths.scale.tolist() == [1.0]


def test_layers_are_one_vector_and_types_are_kept():
    directions, given = (Directions.of(unit(2, 4, 5).astype(np.float32)) for _ in range(2))
    new = condition(directions, given)
    flat = new.vectors.reshape(2, -1) @ given.vectors.reshape(2, -1).T
    np.testing.assert_allclose(flat, 0, atol=1e-6)
    assert new.vectors.dtype == np.float32


def test_all_conditional_boundaries_of_the_original():
    if not oracles.FOLDER.is_dir():
        pytest.skip("the original's boundaries are not here")
    checks = list(oracles.conditional(oracles.boundaries(oracles.FOLDER)))
    assert len(checks) == 13
    assert max(check.value for check in checks) < 1e-12


def test_a_direction_within_the_span_is_an_error():
    given = unit(3, 1, 20)
    inside = given[0] - 2 * given[2]
    directions = Directions.of(
        np.stack([given[1] + 0.1, inside / np.linalg.norm(inside)]), names=["outside", "inside"]
    )
    with pytest.raises(UserError, match="nothing is left of inside: within the span of a, b, c"):
        condition(directions, Directions.of(given, names=["a", "b", "c"]))


def test_what_does_not_go_together():
    one = Directions.of(unit(1, 1, 4), space="w", fingerprint="x")
    with pytest.raises(UserError, match="no conditions"):
        condition(one)
    other = Directions.of(unit(1, 1, 5), names=["age"], space="z", fingerprint="y")
    with pytest.raises(UserError, match=r"age are of shape \[1, 5\].*space z, not w.*fingerprint"):
        condition(one, other)
    with pytest.raises(UserError, match="hold a zero vector"):
        condition(one, Directions.of(np.zeros((1, 1, 4))))
