"""Boundaries: planted truth, the split, accuracies, many attributes, and every error."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import boundary, linear_svm
from jaxlatent.keys import per_sample

KEY = jax.random.key(7)
N, D = 3000, 8
RANDOM = np.random.RandomState(0)
TRUTH = np.linalg.qr(RANDOM.standard_normal((D, D)))[0][:3].astype(np.float32)
CODES = jnp.asarray(RANDOM.standard_normal((N, D)) + 2, jnp.float32)
SCORES = np.asarray(CODES) @ TRUTH.T + 0.3 * RANDOM.standard_normal((N, 3)).astype(np.float32)
NAMES = ["pose", "smile", "age"]


def cosines(found, truth):
    return np.sum(np.asarray(found.vectors).reshape(len(found), -1) * truth, axis=1)


SOLVERS = [
    {"solver": "exact"},
    {"solver": "sklearn"},
    {"loss": "logistic"},
]


@pytest.mark.parametrize("options", SOLVERS, ids=str)
def test_planted_boundaries_come_back(options):
    """The planes pass by the mean code, at right angles to the planted directions."""
    found = boundary(CODES, SCORES, KEY, NAMES, ratio=0.1, **options)
    assert found.names == tuple(NAMES)
    assert (cosines(found, TRUTH) > 0.96).all()
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=2), 1, rtol=1e-5)
    mean = np.asarray(CODES).mean(axis=0)
    np.testing.assert_allclose(cosines(found, mean) + np.asarray(found.intercept), 0, atol=0.2)
    assert set(found.parameters["chosen"].values()) == {300}
    assert min(found.parameters["validation_accuracy"].values()) > 0.98
    assert found.parameters["solver"] == options.get("solver", "newton")


def test_the_exact_solver_and_libsvm_agree():
    both = [boundary(CODES, SCORES, KEY, ratio=0.1, solver=s) for s in ("exact", "sklearn")]
    assert (cosines(both[0], np.asarray(both[1].vectors[:, 0])) > 0.99999).all()
    np.testing.assert_allclose(both[0].intercept, both[1].intercept, atol=1e-2)
    ours, theirs = (list(b.parameters["margin"].values()) for b in both)
    np.testing.assert_allclose(ours, theirs, rtol=1e-2)


def test_accuracies_can_be_had_from_the_positions_alone():
    """What is held out is what is chosen and not among the 70% that a plain fit is made of."""
    found = boundary(CODES, SCORES, KEY, NAMES, ratio=0.1, loss="logistic")
    position = np.asarray(CODES @ found.vectors[0, 0]) + float(found.intercept[0])
    scores = SCORES[:, 0]
    high = scores > (scores.max() + scores.min()) / 2
    order = np.argsort(-scores)
    top, rest, bottom = order[:300], order[300:-300], order[-300:]
    lots = np.asarray(jax.vmap(jax.random.uniform)(per_sample(KEY, N)))
    split = [side[np.argsort(lots[side])] for side in (top, bottom)]
    train, held_out = ([s[part] for s in split] for part in (slice(210), slice(210, None)))
    correct = np.concatenate([position[held_out[0]] > 0, position[held_out[1]] <= 0])
    accuracies = {
        "validation_accuracy": correct.mean(),
        "remaining_accuracy": ((position > 0) == high)[rest].mean(),
        "whole_accuracy": ((position > 0) == high).mean(),
    }
    for name, accuracy in accuracies.items():
        assert found.parameters[name]["pose"] == pytest.approx(accuracy, abs=1e-3)
    rows, signs = np.concatenate(train), np.repeat([1, -1], 210)
    fit = linear_svm(CODES, np.stack([rows] * 3), np.stack([signs] * 3), "logistic")
    np.testing.assert_allclose(
        found.vectors[0, 0], fit.weight[0] / np.linalg.norm(fit.weight[0]), atol=1e-5
    )
    assert found.parameters["margin"]["pose"] == pytest.approx(1 / np.linalg.norm(fit.weight[0]))


def test_an_attribute_does_not_depend_on_the_others():
    together = boundary(CODES, SCORES, KEY, NAMES, ratio=0.1, loss="logistic")
    others = np.stack([SCORES[:, 1], CODES[:, 0], CODES[:, 1]], axis=1)
    again = boundary(CODES, others, KEY, ["smile", "x", "y"], ratio=0.1, loss="logistic")
    np.testing.assert_allclose(together.vectors[1], again.vectors[0], atol=1e-4)
    for what in ("validation_accuracy", "whole_accuracy"):
        one, two = together.parameters[what]["smile"], again.parameters[what]["smile"]
        assert one == pytest.approx(two, abs=1e-3)


def test_the_split_follows_samples_not_their_places():
    """Samples that are not chosen change nothing; a sample's key goes with it; seeds do."""
    middle = np.argsort(SCORES[:, 0])[N // 2 - 10 : N // 2 + 10]
    without = np.setdiff1d(np.arange(N), middle)
    keys = per_sample(KEY, N)
    options = {"ratio": 60.0, "solver": "sklearn"}
    whole = boundary(CODES, SCORES[:, 0], KEY, **options)
    fewer = boundary(CODES[without], SCORES[without, 0], keys[without], **options)
    np.testing.assert_array_equal(whole.vectors, fewer.vectors)
    other = boundary(CODES, SCORES[:, 0], jax.random.key(8), **options)
    assert not np.allclose(whole.vectors, other.vectors, atol=1e-4)


def test_scores_that_do_not_vary_are_named_as_such():
    with pytest.raises(UserError, match="pose: all 3000 scores are 2; they must vary"):
        boundary(CODES, np.full(N, 2.0), KEY, ["pose"])


@pytest.mark.parametrize("invalid", [-1.0, float("nan")])
def test_invalid_scores_are_ignored(invalid):
    """Also where attributes then differ in the number of samples."""
    kept = np.arange(N) % 3 > 0
    scores = SCORES.copy()
    scores[~kept, 0] = invalid
    found = boundary(CODES, scores, KEY, NAMES, ratio=0.1, invalid=invalid, solver="exact")
    assert found.parameters["chosen"] == {"pose": 200, "smile": 300, "age": 300}
    libsvm = {"ratio": 0.1, "solver": "sklearn"}
    left = boundary(CODES[kept], SCORES[kept, 0], per_sample(KEY, N)[kept], **libsvm)
    whole = boundary(CODES, SCORES[:, 2], KEY, **libsvm)
    np.testing.assert_allclose(found.vectors[0], left.vectors[0], atol=2e-3)
    np.testing.assert_allclose(found.vectors[2], whole.vectors[0], atol=2e-3)


def test_all_layers_are_one_vector():
    layered = CODES.reshape(N, 2, D // 2)
    found = boundary(layered, SCORES, KEY, ratio=0.1, solver="sklearn")
    flat = boundary(CODES, SCORES, KEY, ratio=0.1, solver="sklearn")
    assert found.vectors.shape == (3, 2, D // 2)
    np.testing.assert_array_equal(found.vectors.reshape(3, 1, D), flat.vectors)


def test_no_more_than_half_is_chosen():
    found = boundary(CODES, SCORES[:, 0], KEY, ratio=1.0, solver="sklearn")
    assert found.parameters["chosen"] == {"attribute 0": N // 2}
    assert found.parameters["remaining_accuracy"] == {"attribute 0": None}


def test_the_solver_is_chosen_by_size(monkeypatch):
    assert boundary(CODES, SCORES, KEY, ratio=0.1).parameters["solver"] == "exact"
    monkeypatch.setattr(sys.modules["jaxlatent.find.boundary"], "_SAMPLES", 420)
    assert boundary(CODES, SCORES, KEY, ratio=0.1).parameters["solver"] == "sklearn"


def test_errors(lenient):
    with pytest.raises(UserError, match=r"scores must be \[3000\]"):
        boundary(CODES, SCORES[1:], KEY)
    with pytest.raises(UserError, match="3 different names"):
        boundary(CODES, SCORES, KEY, ["pose"])
    with pytest.raises(UserError, match="ratio must be in"):
        boundary(CODES, SCORES, KEY, ratio=0.0)
    with pytest.raises(UserError, match="solver must be one of auto, exact, sklearn"):
        boundary(CODES, SCORES, KEY, solver="newton")
    with pytest.raises(UserError, match="hinge loss, not logistic"):
        boundary(CODES, SCORES, KEY, solver="sklearn", loss="logistic")
    with pytest.raises(UserError, match="loss must be one of"):
        boundary(CODES, SCORES, KEY, loss="absolute")
    with pytest.raises(UserError, match="c must be above 0"):
        boundary(CODES, SCORES, KEY, c=-1.0, solver="sklearn")
    with pytest.raises(UserError, match="one key, or one for each"):
        boundary(CODES, SCORES, jax.random.split(KEY, 5))
    bad = SCORES.copy()
    bad[3, 0] = np.nan
    bad[:, 1] = 1
    bad[5:, 2] = -1
    with pytest.raises(
        UserError,
        match=r"pose: scores are not finite.*smile: all .* must vary.*age: 2 samples are needed",
    ):
        boundary(CODES, bad, KEY, NAMES, invalid=-1.0)
    few = np.zeros(N)
    few[:3] = 1
    with pytest.raises(UserError, match="overlap; lower ratio"):
        boundary(CODES, few, KEY, ratio=0.3)
    with pytest.raises(UserError, match="no direction tells the ends apart of smile"):
        boundary(jnp.ones((N, D)), SCORES[:, 1], KEY, ["smile"], ratio=0.1)
