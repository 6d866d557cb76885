"""Linear classifiers: closed forms, optimality, scikit-learn's, and data that break solvers."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from jaxlatent import UserError
from jaxlatent.find import linear_svm

LOSSES = ("hinge", "squared_hinge", "logistic")
N, R, D = 600, 60, 8  # few shapes, as each is compiled anew


def blobs(n, d=D, noise=1.0, share=0.5, seed=0):
    random = np.random.RandomState(seed)
    x = random.standard_normal((n, d))
    score = x[:, 0] + noise * random.standard_normal(n)
    return x, np.where(score > np.quantile(score, 1 - share), 1, -1)


def difficult():
    """Returns problems by name: codes and signs."""
    x, y = blobs(6, seed=4)
    return {
        "plain": blobs(R),
        "separable": blobs(R, noise=0.0, seed=1),
        "unbalanced": blobs(R, share=0.05, seed=2),
        "duplicated": (np.repeat(x, 10, axis=0), np.repeat(y, 10)),
        "two samples": (np.eye(D)[:2], np.array([1, -1])),
        "fewer samples than dimensions": blobs(5, seed=5),
        "far from 0": (blobs(R, seed=6)[0] + 50, blobs(R, seed=6)[1]),
        "constant features": (np.hstack([blobs(R, 3, seed=7)[0], np.ones((R, 5))]), blobs(R, 3)[1]),
        "few values": (np.round(blobs(R, seed=8)[0]), blobs(R, seed=8)[1]),
    }


def stacked(problems):
    """Returns all codes, and rows and signs, each padded to one shape."""
    problems = [*problems, *[blobs(R)] * (9 - len(problems))]
    codes = np.zeros((N, D))
    rows, signs = np.zeros((2, len(problems), R), int)
    start = 0
    for i, (x, y) in enumerate(problems):
        codes[start : start + len(x)] = x
        rows[i, : len(x)] = np.arange(start, start + len(x))
        signs[i, : len(x)] = y
        start += len(x)
    return codes, rows, signs


def objective(x, y, w, b, loss, c=1.0):
    m = y * (x @ w + b)
    losses = {
        "hinge": np.maximum(0, 1 - m),
        "squared_hinge": np.maximum(0, 1 - m) ** 2,
        "logistic": np.logaddexp(0, -m),
    }
    return w @ w / 2 + c * losses[loss].sum()


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_difficult_data_reach_the_optimum(loss):
    """The bound holds against a better solution, no step improves, and libsvm agrees."""
    random = np.random.RandomState(0)
    problems = difficult()
    fit = linear_svm(*stacked(list(problems.values())), loss, names=list(problems))
    for i, (name, (x, y)) in enumerate(problems.items()):
        w, b = fit.weight[i], fit.intercept[i]
        value = objective(x, y, w, b, loss)
        np.testing.assert_allclose(value, fit.objective[i], rtol=1e-9, err_msg=name)
        assert fit.gap[i] <= 1e-6 * value, name
        around = [
            objective(x, y, w + size * step[:-1], b + size * step[-1], loss)
            for size in (1e-1, 1e-2, 1e-3)
            for step in random.standard_normal((50, D + 1))
        ]
        assert min(around) >= value - fit.gap[i], name
        if loss == "hinge":
            centre = x.mean(axis=0)  # libsvm stops early far from 0
            best = SVC(kernel="linear", tol=1e-6).fit(x - centre, y)
            theirs = objective(x - centre, y, best.coef_[0], best.intercept_[0], loss)
            assert value <= theirs + fit.gap[i], name
            distance = np.linalg.norm(best.coef_[0] - w)
            assert distance <= 1e-4 * np.linalg.norm(w) + np.sqrt(2 * fit.gap[i]), name
        if loss == "logistic":
            model = LogisticRegression(C=1.0, tol=1e-12, max_iter=10000, solver="newton-cg")
            np.testing.assert_allclose(model.fit(x, y).coef_[0], w, atol=1e-4, err_msg=name)


def test_hinge_of_four_samples_in_closed_form():
    """Margins pass through the inner samples; with little c, the weight is their capped sum."""
    codes = np.zeros((4, D))
    codes[:, 0] = -3, -1, 2, 5
    four = stacked([(codes, np.array([-1, -1, 1, 1]))])
    fit, small = linear_svm(*four), linear_svm(*four, c=0.01)
    axis = np.eye(D)[0]
    np.testing.assert_allclose(fit.weight[0], axis * 2 / 3, atol=1e-4)
    np.testing.assert_allclose(fit.intercept[0], -1 / 3, atol=1e-4)
    np.testing.assert_allclose(small.weight[0], axis * 0.01 * (5 + 2 + 1 + 3), atol=1e-4)


def test_fewer_samples_than_dimensions():
    x, y = blobs(10, 30)
    fit = linear_svm(x, np.arange(10)[None], y[None])
    best = SVC(kernel="linear", tol=1e-8).fit(x, y)
    np.testing.assert_allclose(fit.weight[0], best.coef_[0], atol=1e-5)
    np.testing.assert_allclose(fit.intercept, best.intercept_, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_little_and_much_weight(loss):
    x, y = difficult()["separable"]
    for c in (1e-4, 1e6):
        fit = linear_svm(*stacked([(x, y)] * 9), loss, c)
        assert (fit.gap <= 1e-6 * fit.objective).all()
        np.testing.assert_allclose(fit.weight[0], fit.weight[-1], rtol=1e-5)
    if loss != "logistic":  # no sample is then within the margin
        assert (y * (x @ fit.weight[0] + fit.intercept[0])).min() > 1 - 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_a_problem_does_not_depend_on_the_others(loss, monkeypatch):
    """Nor on how many are solved side by side."""
    problems = list(difficult().values())
    codes, rows, signs = stacked(problems)
    together = linear_svm(codes, rows, signs, loss)
    monkeypatch.setattr("jaxlatent.find.svm._BYTES", 1)
    if loss == "hinge":  # whose problems are solved one by one anyway
        apart = [linear_svm(codes, rows[i : i + 1], signs[i : i + 1]) for i in range(len(rows))]
        weight = np.concatenate([fit.weight for fit in apart])
    else:
        weight = linear_svm(codes, rows, signs, loss).weight
    lengths = np.linalg.norm(together.weight, axis=1)
    distances = np.linalg.norm(together.weight - weight, axis=1)
    assert (distances <= 1e-4 * lengths).all()


def harsh():
    """Returns problems on which springs became too stiff, or margins were rounded: and c."""
    random = np.random.RandomState(3)
    far = random.standard_normal((10, 60))
    far[::2] *= 100
    wide = np.exp(2 * random.standard_normal((400, 60)))
    one = np.ones(98, int)
    one[1:] = -1
    few = -np.ones(400, int)
    few[np.argsort(wide[:, 0])[-8:]] = 1
    return {
        "one of many copies": (np.repeat(random.standard_normal((14, 1)), 7, axis=0), one, 0.1),
        "outliers": (far, np.repeat([1, -1], 5), 1e5),
        "skewed": (wide, few, 1e6),
        "no difference": (np.ones((6, 2)), np.tile([1, -1], 3), 1.0),
        "tiny": (1e-12 * far, np.repeat([1, -1], [7, 3]), 1.0),
    }


@pytest.mark.parametrize("name", harsh())
def test_harsh_data_reach_the_optimum(name):
    """Where libsvm ends is not below the bound."""
    x, y, c = harsh()[name]
    fit = linear_svm(x, np.arange(len(x))[None], y[None], c=c)
    assert fit.gap[0] <= 1e-6 * fit.objective[0]
    value = objective(x, y, fit.weight[0], fit.intercept[0], "hinge", c)
    np.testing.assert_allclose(value, fit.objective[0], rtol=1e-6)
    theirs = SVC(kernel="linear", C=c, max_iter=100_000).fit(x, y)
    reached = objective(x, y, theirs.coef_[0], theirs.intercept_[0], "hinge", c)
    assert value <= reached + fit.gap[0] + 1e-9 * value


def test_what_does_not_converge_is_an_error():
    """Squares of such dual variables overflow."""
    with pytest.raises(UserError, match=r"no optimum was found for problem 0 \(gap .*nearer to 1"):
        linear_svm(*stacked([blobs(R)]), c=1e300)


def test_arguments_that_do_not_go_together(lenient):
    x, y = blobs(20)
    rows, signs = np.arange(20)[None], y[None]
    with pytest.raises(UserError, match="loss must be one of hinge, squared_hinge, logistic"):
        linear_svm(x, rows, signs, "absolute")
    with pytest.raises(UserError, match="c must be above 0, got 0"):
        linear_svm(x, rows, signs, c=0.0)
    with pytest.raises(UserError, match="both classes must have samples, not so in smile"):
        linear_svm(x, rows, np.abs(signs), names=["smile"])
    with pytest.raises(UserError, match="rows must be some of 0 to 19"):
        linear_svm(x, rows + 1, signs)
    with pytest.raises(UserError, match="a name for each problem"):
        linear_svm(x, rows, signs, names=["a", "b"])
    with pytest.raises(UserError, match="codes hold numbers that are not finite"):
        linear_svm(x * 1e200, rows, signs)
    with pytest.raises(UserError, match="codes hold numbers that are not finite"):
        linear_svm(jnp.asarray(x).at[3, 2].set(jnp.nan), rows, signs)
    with pytest.raises(UserError, match="codes must be of a floating type, got int64"):
        linear_svm([[0, 1]] * 20, rows, signs)


@pytest.mark.parametrize("a", [0.66, 0.68, 0.69, 0.7, 0.72])
def test_margins_that_are_almost_reached(a):
    """Where a longer weight would leave no loss, it may not be worth its length."""
    fit = linear_svm(np.array([[-a], [a]]), np.array([[0, 1]]), np.array([[-1, 1]]))
    np.testing.assert_allclose(fit.weight, min(2 * a, 1 / a), rtol=1e-4)


def test_nothing_to_find_is_found_quickly():
    """Of classes that no plane parts better than none, the weight is 0."""
    x = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    y = np.where(np.arange(2000) < 2, 1, -1)
    fit = linear_svm(x, np.arange(2000)[None], y[None])
    assert np.linalg.norm(fit.weight) < 1e-6
    assert fit.iterations < 300


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_of_all_layers_are_one_vector(loss):
    x, y = blobs(R, seed=9)
    rows, signs = np.arange(R)[None], y[None]
    found = linear_svm(x.reshape(R, 2, D // 2), rows, signs, loss)
    np.testing.assert_array_equal(found.weight, linear_svm(x, rows, signs, loss).weight)
