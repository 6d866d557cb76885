"""The linear map: least squares, planted rows, stationarity of each penalty, and its units."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jaxlatent import UserError
from jaxlatent.find import linear_map_sweep

RANDOM = np.random.RandomState(0)
STRENGTHS = [0.0, 0.03, 1.0, 30.0]
TURN, _ = np.linalg.qr(RANDOM.standard_normal((8, 8)))
TRUTH = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0.6, 0.5, 0.4]]) @ TURN[:3]  # all alike
CODES = RANDOM.standard_normal((400, 8)) * np.linspace(0.6, 1.5, 8) + 0.3
TARGETS = (CODES @ TRUTH.T + 0.5 * RANDOM.standard_normal((400, 3))) * [3.0, 1.0, 0.2] + [1, 2, 3]
STANDARD = (TARGETS - TARGETS.mean(axis=0)) / TARGETS.std(axis=0)
NAMES = ["age", "glasses", "smile"]


@pytest.fixture(scope="module", params=["gram", "offdiag", "cosine"])
def maps(request):
    return linear_map_sweep(CODES, TARGETS, STRENGTHS, penalty=request.param, names=NAMES)


def ordinary(codes, targets):
    ones = np.concatenate([codes, np.ones((len(codes), 1))], axis=1)
    solved = np.linalg.lstsq(ones, targets, rcond=None)[0]
    return solved[:-1].T, solved[-1]


def whole_loss(w, bias, penalty, strength):
    """The loss as it is written down, from the samples."""
    fit = np.sum(np.mean((CODES @ w.T + bias - STANDARD) ** 2, axis=0))
    gram = w @ w.T
    if penalty == "cosine":
        lengths = np.linalg.norm(w, axis=1)
        gram = gram / np.outer(lengths, lengths)
    away = gram - (np.eye(3) if penalty == "gram" else np.diag(np.diag(gram)))
    return fit + strength * np.sum(away**2)


def test_without_a_penalty_it_is_least_squares(maps):
    w, bias = ordinary(CODES, STANDARD)
    np.testing.assert_allclose(maps.weights[0], w, rtol=0, atol=1e-12)
    np.testing.assert_allclose(maps.biases[0], bias, rtol=0, atol=1e-12)
    residual = np.mean((CODES @ w.T + bias - STANDARD) ** 2, axis=0)
    np.testing.assert_allclose(maps.r2[0], 1 - residual, rtol=0, atol=1e-12)
    assert maps.gradient[0] < 1e-12


def test_the_penalised_loss_is_as_low_as_another_solver_gets(maps):
    penalty = maps.settings["penalty"]
    w, bias = ordinary(CODES, STANDARD)
    start = np.concatenate([w, bias[:, None]], axis=1).ravel()
    for index, strength in enumerate(STRENGTHS):

        def flat(x, strength=strength):
            rows = x.reshape(3, 9)
            return whole_loss(rows[:, :8], rows[:, 8], penalty, strength)

        theirs = minimize(flat, start, method="BFGS", options={"gtol": 1e-7}).fun
        ours = whole_loss(maps.weights[index], maps.biases[index], penalty, strength)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        assert maps.gradient[index] <= 1e-7


@pytest.mark.parametrize("penalty", ["gram", "offdiag", "cosine"])
def test_codes_that_vary_unevenly_have_an_optimum_or_an_error(penalty):
    random = np.random.RandomState(3)
    mixed = np.linspace(1, 3, 40)[:, None] * random.standard_normal((40, 40))
    codes = random.standard_normal((1000, 40)) @ mixed + 50
    targets = codes[:, :3] @ random.standard_normal((3, 4)) + random.standard_normal((1000, 4))
    found = linear_map_sweep(codes, targets, [0.01, 1.0, 100.0], penalty=penalty)
    assert found.gradient.max() <= 1e-7
    with pytest.raises(UserError, match=r"no optimum .* 1e\+14 .* lower the strength"):
        linear_map_sweep(codes, targets, [1e14], penalty=penalty)


def test_orthogonality_grows_and_the_fit_falls_with_the_strength(maps):
    assert (np.diff(maps.similarity) < 0).all()
    assert (np.diff(maps.r2.sum(axis=1)) < 0).all()
    assert maps.similarity[0] / maps.similarity[-1] >= 5
    w = maps.weights[-1]
    units = w / np.linalg.norm(w, axis=1, keepdims=True)
    off = np.abs(units @ units.T)[~np.eye(3, dtype=bool)]
    np.testing.assert_allclose(maps.similarity[-1], off.mean(), rtol=1e-9)
    error = np.linalg.norm(w @ w.T - np.eye(3)) / 3
    np.testing.assert_allclose(maps.gram_error[-1], error, rtol=1e-9)


def test_the_papers_penalty_forces_unit_rows_and_so_fights_the_fit():
    """The third attribute is noise: least squares predicts nothing of it."""
    codes = RANDOM.standard_normal((400, 8))
    targets = np.stack([codes[:, 0], codes[:, 1], RANDOM.standard_normal(400)], axis=1)
    found = {
        penalty: linear_map_sweep(codes, targets, STRENGTHS, penalty=penalty)
        for penalty in ("gram", "cosine")
    }
    lengths = np.linalg.norm(found["gram"].weights[-1], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.02)
    assert found["gram"].r2[-1, 2] < -0.5
    assert found["cosine"].r2[-1, 2] > -0.05


def test_directions_come_by_score_with_their_names(maps):
    found = maps.directions(2)
    order = np.argsort(-maps.r2[2])
    assert found.names == tuple(NAMES[i] for i in order)
    np.testing.assert_allclose(found.scores, maps.r2[2][order], rtol=1e-6)
    w = maps.weights[2][order]
    lengths = np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(found.vectors[:, 0], w / lengths[:, None], atol=1e-6)
    np.testing.assert_allclose(found.parameters["row_norms"], lengths)
    assert found.parameters["strength"] == 1.0
    assert found.parameters["similarity"] == maps.similarity[2]
    np.testing.assert_allclose(found.parameters["r2"], maps.r2[2].mean())


def test_positions_are_predictions_and_an_edit_by_one_raises_them_by_one(maps):
    found, w, bias = maps.directions(1), maps.weights[1], maps.biases[1]
    order = [NAMES.index(name) for name in found.names]
    vectors = np.asarray(found.vectors[:, 0], np.float64)
    scale = np.asarray(found.scale, np.float64)
    positions = ((CODES @ vectors.T) + np.asarray(found.intercept)) / scale
    np.testing.assert_allclose(positions, (CODES @ w.T + bias)[:, order], atol=1e-5)
    moved = CODES[:1] + scale[:, None] * vectors
    risen = (moved - CODES[:1]) @ w[order].T
    np.testing.assert_allclose(np.diag(risen), 1, atol=1e-6)
    lengths = np.linalg.norm(w[order], axis=1)
    alpha = scale / lengths  # z' = z + alpha w_i, in the paper's terms
    np.testing.assert_allclose(risen, alpha[:, None] * (w @ w.T)[np.ix_(order, order)], atol=1e-6)


def test_logits_of_probabilities():
    logits = CODES @ TRUTH.T / 2 - 0.1
    probabilities = 1 / (1 + np.exp(-logits))
    found = linear_map_sweep(CODES, probabilities, [0.0], kind="logits")
    np.testing.assert_allclose(found.weights[0], TRUTH / 2, atol=1e-10)
    np.testing.assert_allclose(found.biases[0], -0.1, atol=1e-10)
    probabilities[0], probabilities[1] = 0, 1
    cut = linear_map_sweep(CODES, probabilities, [0.0], kind="logits")
    logits[0], logits[1] = -6, 6
    np.testing.assert_allclose(cut.weights[0], ordinary(CODES, logits)[0], atol=1e-10)


def test_raw_targets_and_codes_of_lower_rank():
    """Where codes do not vary, the map is that of the least norm."""
    codes = CODES.copy()
    codes[:, 5:] = codes[:, :3]
    found = linear_map_sweep(codes, TARGETS, [0.0], kind="raw")
    centred = codes - codes.mean(axis=0)
    expected = np.linalg.pinv(centred) @ (TARGETS - TARGETS.mean(axis=0))
    np.testing.assert_allclose(found.weights[0], expected.T, atol=1e-9)


CONSTANT = np.concatenate([TARGETS[:, :2], np.full((400, 1), 0.1)], axis=1)
WRONG = [
    ((CODES[:9], TARGETS, [0.0]), {}, r"got \[9, 8\] and \[400, 3\]"),
    ((CODES, TARGETS, [-1.0]), {"names": ["a"]}, "3 names are needed, got 1; strengths must be"),
    ((CODES, TARGETS, []), {}, "strengths must be"),
    ((CODES, TARGETS, [np.inf]), {}, "strengths must be finite"),
    ((CODES, TARGETS * np.nan, [0.0]), {}, "not finite"),
    ((CODES * np.nan, TARGETS, [0.0]), {}, "not finite"),
    ((CODES, TARGETS, [0.0]), {"kind": "logits"}, r"probabilities in \[0, 1\]"),
    ((CODES, CONSTANT, [0.0]), {"names": NAMES}, "do not vary: smile$"),
    ((CODES[:1], TARGETS[:1], [0.0]), {}, "at least 2 codes"),
    ((CODES[:, :0], TARGETS, [0.0]), {}, "at least 2 codes of 1 number"),
    ((np.int32(CODES), TARGETS, [0.0]), {}, "of a floating type, got int32"),
    ((0 * CODES, TARGETS, [0.0]), {}, "nothing of these can be predicted: attribute 0, attr"),
    ((CODES, TARGETS, [0.0]), {"penalty": "l2", "kind": "z"}, "penalty must be.*kind must be"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), WRONG)
@pytest.mark.usefixtures("lenient")
def test_what_cannot_be_fitted(arguments, options, message):
    with pytest.raises(UserError, match=message):
        linear_map_sweep(*arguments, **options)
