"""Signs that float32 leaves open are found from a gradient; other differences are not."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np

from benchmarks.parity.compare import Gradient, Outputs, check_all
from benchmarks.parity.flips import gradients_with_flips
from benchmarks.parity.goldens import Golden
from jaxlatent.generators import layers

RANDOM = np.random.RandomState(0)
WEIGHT = RANDOM.standard_normal((5, 40)).astype(np.float32)
FACTORS = RANDOM.standard_normal((2, 40)).astype(np.float32)
AT = np.ones((2, 5), np.float32)
WEIGHT[:, [7, 21, 30]] = np.array([[1], [2], [-3], [4], [-4]]) + np.array(
    [[0], [0], [0], [1e-6], [0]]
)


def loss(codes):
    return jnp.sum(layers.ACTIVATIONS["lrelu"][0](codes @ WEIGHT) * FACTORS)


def gradient(flips):
    """Returns the gradient with the slopes of some (sample, output) exchanged."""
    slopes = np.where(AT @ WEIGHT > 0, 1, 0.2)
    for place in flips:
        slopes[place] = 1.2 - slopes[place]
    return ((slopes * FACTORS) @ WEIGHT.T).astype(np.float32)


def test_flipped_signs_are_found_in_each_sample():
    for flips in ([(1, 21)], [(0, 7), (1, 30)]):
        theirs = gradient(flips)
        steps = list(gradients_with_flips(loss, jnp.asarray(AT), theirs))
        assert steps[0][1] == 0
        assert np.abs(steps[0][0] - theirs).max() > 1e-2
        assert steps[-1][1] == len(flips)
        np.testing.assert_allclose(steps[-1][0], theirs, atol=1e-5)


def test_other_differences_stay():
    theirs = gradient([])
    theirs[0] *= 1.01
    decided = gradient([(1, int(np.abs(AT @ WEIGHT)[1].argmax()))])
    for wrong in (theirs, decided):
        steps = gradients_with_flips(loss, jnp.asarray(AT), wrong)
        assert min(np.abs(found - wrong).max() for found, _ in steps) > 1e-3


def test_a_check_says_how_many_signs_were_set():
    for flips, passes in (([(0, 7), (1, 30)], True), ([(1, 0), (1, 1)], False)):
        golden = Golden("planted", Path(), {"grad": gradient(flips)}, {})
        ours = Gradient(None, lambda _, codes: loss(codes), AT)
        (check,) = check_all(golden, Outputs({"grad": ours}, frozenset()))
        assert (check.error <= check.tolerance) == passes
        assert not passes or "2 undecided signs set" in check.note
