"""Differences of means and few-shot directions: closed forms and planted truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import difference_of_means, few_shot, vector_arithmetic


def cosine(a, b):
    a, b = np.ravel(a), np.ravel(b)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_planted_attributes_come_back():
    """For a score b . x of codes N(m, I) the difference of means is along b."""
    random = np.random.RandomState(0)
    codes = random.standard_normal((20000, 12)).astype(np.float32) + 3
    truth = np.linalg.qr(random.standard_normal((12, 12)))[0][:3]
    positions = codes @ truth.T
    middle = positions.mean(axis=0)
    found = difference_of_means(codes, positions > middle, ["a", "b", "c"])
    for i in range(3):
        assert cosine(found.vectors[i], truth[i]) > 0.999
    np.testing.assert_allclose(found.scale, 2 * np.sqrt(2 / np.pi), rtol=0.03)
    vectors, intercept = np.asarray(found.vectors[:, 0]), np.asarray(found.intercept)
    measured = (codes @ vectors.T + intercept) / np.asarray(found.scale)
    for i in range(3):  # half a unit on either side
        high = positions[:, i] > middle[i]
        np.testing.assert_allclose(measured[high, i].mean(), 0.5, atol=1e-5)
        np.testing.assert_allclose(measured[~high, i].mean(), -0.5, atol=1e-5)


def test_many_attributes_and_chunks_equal_one_at_a_time(monkeypatch):
    random = np.random.RandomState(1)
    codes = jnp.asarray(random.standard_normal((90, 2, 4)), jnp.float32)
    scores = random.uniform(size=(90, 3))
    whole = difference_of_means(codes, scores)
    assert whole.vectors.shape == (3, 2, 4)
    monkeypatch.setattr("jaxlatent.find.means._CHUNK", 30)
    for i in range(3):
        one = difference_of_means(codes, scores[:, i])
        np.testing.assert_allclose(one.vectors[0], whole.vectors[i], atol=1e-6)
    high = scores[:, 0] > 0.5
    expected = codes[high].mean(0) - codes[~high].mean(0)
    np.testing.assert_allclose(whole.vectors[0] * whole.scale[0], expected, atol=1e-5)
    assert whole.parameters["positive"]["attribute 0"] == high.sum()


def test_an_edit_by_one_is_vector_arithmetic():
    random = np.random.RandomState(2)
    a, b, c = (random.standard_normal((3, 5)) for _ in range(3))
    found = vector_arithmetic(a, b, "glasses")
    moved = c + np.asarray(found.scale[0] * found.vectors[0])
    np.testing.assert_allclose(moved, c + a.mean(0) - b.mean(0), atol=1e-6)
    middle = (a.mean(0) + b.mean(0)) / 2
    np.testing.assert_allclose(middle @ found.vectors[0, 0] + found.intercept[0], 0, atol=1e-6)


@pytest.mark.parametrize("population", [False, True])
def test_few_shot_beats_means_and_discriminant_on_uneven_codes(population):
    """Mean cosine to the planted normal over draws; the variances fall as 1/i."""
    random = np.random.RandomState(3)
    d, k = 24, 12
    found = {"few shot": [], "means": [], "discriminant": []}
    for _ in range(20):
        normal = random.standard_normal(d)
        codes = random.standard_normal((1000, d)) * np.arange(1, d + 1) ** -0.5
        scores = codes @ normal
        scores = scores / scores.std() + 0.5 * random.standard_normal(1000)
        high = codes[scores > 0.5][:k]
        low = codes[scores < -0.5][:k]
        direction = few_shot(high, low, codes if population else None)
        found["few shot"].append(cosine(direction.vectors, normal))
        means = vector_arithmetic(high, low).vectors
        found["means"].append(cosine(means, normal))
        spread = codes if population else np.concatenate([high - high.mean(0), low - low.mean(0)])
        discriminant = np.linalg.pinv(np.cov(spread.T)) @ np.ravel(means)
        found["discriminant"].append(cosine(discriminant, normal))
    few, means, discriminant = (np.mean(v) for v in found.values())
    assert few > means + 0.02, found
    assert few > discriminant + 0.02, found


def test_few_shot_with_many_examples_is_the_boundarys_normal():
    """It undoes a correlation that a difference of means follows."""
    random = np.random.RandomState(4)
    codes = random.standard_normal((40000, 6)) @ random.standard_normal((6, 6))
    normal = random.standard_normal(6)
    scores = codes @ normal
    found = few_shot(codes[scores > 0], codes[scores < 0])
    assert cosine(found.vectors, normal) > 0.999
    assert cosine(difference_of_means(codes, scores, threshold=0.0).vectors, normal) < 0.95


def test_few_shot_of_few_wide_codes_solves_the_smaller_system():
    random = np.random.RandomState(5)
    high, low = random.standard_normal((3, 2, 10)), random.standard_normal((4, 2, 10))
    found = few_shot(high, low, name="smile")
    flat = [x.reshape(len(x), -1) for x in (high, low)]
    spread = np.concatenate([x - x.mean(0) for x in flat])
    difference = flat[0].mean(0) - flat[1].mean(0)
    matrix = spread.T @ spread + (1 / 3 + 1 / 4) / 4 * np.sum(spread**2) * np.eye(20)
    assert cosine(found.vectors, np.linalg.solve(matrix, difference)) == pytest.approx(1, abs=1e-6)
    assert found.vectors.shape == (1, 2, 10)
    assert found.names == ("smile",)
    one = few_shot(high[:1], low[:1])  # a single pair has no spread
    assert cosine(one.vectors, high[0] - low[0]) == pytest.approx(1, abs=1e-6)


def test_single_precision_sums_are_not_enough_for_codes_far_from_zero():
    codes = np.full((70000, 2), 1000, np.float32)
    codes[::2, 0] += 0.0625
    found = difference_of_means(codes, np.arange(70000) % 2 == 0)
    np.testing.assert_allclose(found.vectors[0, 0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(found.scale, 0.0625, rtol=1e-6)


def test_errors(lenient):
    codes = jax.random.normal(jax.random.key(0), (6, 3))
    with pytest.raises(UserError, match=r"scores must be \[6\]"):
        difference_of_means(codes, np.ones(5))
    with pytest.raises(UserError, match="2 different names are needed, got a, a"):
        difference_of_means(codes, np.eye(6)[:, :2], ["a", "a"])
    with pytest.raises(UserError, match=r"on one side of 0\.5 for smile"):
        difference_of_means(codes, np.ones(6), ["smile"])
    with pytest.raises(UserError, match="not a number"):
        difference_of_means(codes, np.full(6, np.nan))
    with pytest.raises(UserError, match=r"means are equal.*for smile"):
        difference_of_means(jnp.ones((6, 3)), np.arange(6) > 2, ["smile"])
    with pytest.raises(UserError, match="codes hold numbers that are not finite"):
        difference_of_means(codes.at[0, 0].set(jnp.inf), np.arange(6) > 2)
    with pytest.raises(UserError, match="floating type, got int"):
        vector_arithmetic(np.ones((2, 3), int), np.ones((2, 3), int))
    with pytest.raises(UserError, match=r"positive has codes \[1, 3\], negative \[1, 2\]"):
        few_shot(codes, codes[:, :2])
    with pytest.raises(UserError, match=r"population has codes \[1, 2\]"):
        few_shot(codes[:3], codes[3:], codes[:, :2])
    with pytest.raises(UserError, match=r"negative must be \[n, d\]"):
        vector_arithmetic(codes, codes[:0])
