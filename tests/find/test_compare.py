"""Matching and naming directions: planted permutations, angles and scores."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import Directions, UserError
from jaxlatent.find import cosines, match, name_by_scores, subspace_angles

RANDOM = np.random.RandomState(0)
BASIS, _ = np.linalg.qr(RANDOM.standard_normal((10, 10)))


def directions(rows, **fields):
    return Directions.of(np.asarray(rows)[:, None], **fields)


def test_a_shuffled_and_turned_copy_is_matched():
    order, signs = RANDOM.permutation(10), RANDOM.choice([-1.0, 1.0], 10)
    noisy = BASIS[order] * signs[:, None] + 0.1 * RANDOM.standard_normal((10, 10))
    found = match(directions(BASIS[:6]), directions(noisy))
    assert dict(zip(found.first, found.second, strict=True)) == {
        i: int(np.flatnonzero(order == i)[0]) for i in range(6)
    }
    np.testing.assert_array_equal(np.sign(found.cosines), signs[found.second])
    assert (np.diff(np.abs(found.cosines)) <= 0).all()
    assert found.names[0] == (f"direction {found.first[0]}", f"direction {found.second[0]}")


def test_pairs_are_best_together_not_one_after_the_other():
    def at(*degrees):
        angles = np.deg2rad(degrees)
        return directions(np.stack([np.cos(angles), np.sin(angles)], axis=1))

    a, b = at(18, -26), at(0, 44)
    assert np.abs(cosines(a, b)).argmax() == 0  # the most alike pair is not among the best two
    found = match(a, b)
    assert dict(zip(found.first.tolist(), found.second.tolist(), strict=True)) == {0: 1, 1: 0}


def test_a_row_for_all_layers_is_compared_with_rows_for_each():
    one = directions(BASIS[:2], space="w")
    each = Directions.of(np.repeat(BASIS[:2, None], 4, axis=1) * 3)
    np.testing.assert_allclose(cosines(one, each), np.eye(2), atol=1e-12)
    first = np.zeros((1, 4, 10))
    first[0, 0] = BASIS[0]
    np.testing.assert_allclose(cosines(one, Directions.of(first)), [[0.5], [0]], atol=1e-12)


def test_angles_between_subspaces_do_not_see_mixtures():
    plane = BASIS[:3]
    mixed = RANDOM.standard_normal((3, 3)) @ plane
    assert subspace_angles(directions(plane), directions(mixed)).max() < 1e-7
    tilt = np.array([0.0, 1e-6, 0.4])
    turned = np.cos(tilt)[:, None] * plane + np.sin(tilt)[:, None] * BASIS[3:6]
    found = subspace_angles(directions(plane), directions(turned))
    np.testing.assert_allclose(found, tilt, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layered", [False, True])
def test_components_are_named_after_what_they_change(layered):
    codes = RANDOM.standard_normal((2000, 10))
    ages = codes @ (BASIS[0] + 0.5 * BASIS[1])
    smiles = -codes @ BASIS[2] + 0.3 * RANDOM.standard_normal(2000)
    axes = directions(BASIS[:4], intercept=np.arange(4.0))
    given = codes
    if layered:
        noise = RANDOM.standard_normal((2000, 3, 10))
        given = codes[:, None] + noise - noise.mean(axis=1, keepdims=True)
    found = name_by_scores(axes, given, np.stack([ages, smiles], 1), ["age", "smile"])
    assert found.directions.names == ("age", "age 2", "smile", "direction 3")
    np.testing.assert_allclose(found.directions.vectors[2, 0], -BASIS[2], atol=1e-6)
    np.testing.assert_allclose(found.directions.intercept, [0, 1, -2, 3])
    assert found.correlations.shape == (4, 2)
    np.testing.assert_allclose(found.correlations[0, 0], 1.25**-0.5, atol=0.03)
    assert found.correlations[2, 1] > 0.9
    assert (found.directions.scores == axes.scores).all()


def test_no_two_directions_get_one_name():
    codes = RANDOM.standard_normal((500, 10))
    scores = codes @ (BASIS[1] + 0.9 * BASIS[2])
    axes = directions(BASIS[:5], names=["age", "b", "c", "age 3", "age 2 2"])
    found = name_by_scores(axes, codes, scores[:, None], ["age"])
    assert found.directions.names == ("age", "age 2", "age 4", "age 3", "age 2 2")
    other = name_by_scores(axes, codes, np.stack([scores, scores**2], 1), ["age 2", "x"], 0.4)
    assert other.directions.names == ("age", "age 2", "age 2 3", "age 3", "age 2 2")


def test_rows_for_each_layer_have_one_position():
    vectors = RANDOM.standard_normal((2, 3, 5))
    vectors /= np.linalg.norm(vectors.reshape(2, -1), axis=1)[:, None, None]
    codes = RANDOM.standard_normal((500, 3, 5))
    scores = np.einsum("nld,kld->nk", codes, vectors) * [1, -1]
    found = name_by_scores(Directions.of(vectors), codes, scores, ["a", "b"])
    assert found.directions.names == ("a", "b")
    np.testing.assert_allclose(found.directions.vectors[1], -vectors[1], atol=1e-6)


CODES = RANDOM.standard_normal((9, 10))
SCORES = RANDOM.standard_normal((9, 2))
AXES = directions(BASIS[:2])
WRONG = [
    (lambda: match(directions(BASIS, space="z"), directions(BASIS, space="w")), "in z and in w"),
    (lambda: cosines(AXES, directions(np.eye(3))), "1 x 10 and of 1 x 3 numbers"),
    (lambda: cosines(*(Directions.of(np.ones((1, m, 3))) for m in (2, 3))), "2 x 3 and of 3 x 3"),
    (
        lambda: name_by_scores(AXES, CODES[:, :4], SCORES[:5], ["a", "a"], 2.0),
        r"codes must be \[n, 10\], got \[9, 4\]; scores must be \[9, 2\], got \[5, 2\]; "
        r"attributes must be different.*threshold must be in \[0, 1\]",
    ),
    (lambda: name_by_scores(AXES, CODES, SCORES * [0, 1], ["a", "b"]), "do not vary.*: a$"),
    (lambda: name_by_scores(AXES, 0 * CODES, SCORES, ["a", "b"]), "codes do not vary along all"),
    (
        lambda: name_by_scores(Directions.of(jnp.ones((1, 2, 3))), CODES, SCORES, ["a", "b"]),
        r"codes must be \[n, 2, 3\]",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_what_does_not_go_together(call, message):
    with pytest.raises(UserError, match=message):
        call()
