"""Parameters get in and out by name, strictly."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, filled
from flax import nnx

from jaxlatent import UserError
from jaxlatent.generators import DCGAN
from jaxlatent.parameters import build, fingerprint, parameter_shapes, parameters


def test_out_and_in_again(dcgan):
    arrays = parameters(dcgan)
    assert {k: v.shape for k, v in arrays.items()} == parameter_shapes(DCGAN_CONFIG)
    again = build(DCGAN_CONFIG, {k: np.asarray(v) for k, v in arrays.items()})
    assert fingerprint(again) == fingerprint(dcgan)


def test_every_mismatch_is_in_one_error(dcgan):
    arrays = {k: np.asarray(v) for k, v in parameters(dcgan).items()}
    arrays["extra"] = np.ones(1, np.float32)
    arrays["layers/0/kernel"] = np.ones((1, 2), np.float32)
    arrays["layers/1/bias"] = arrays["layers/1/bias"].astype(np.int32)
    del arrays["layers/2/bias"]
    with pytest.raises(UserError) as caught:
        build(DCGAN_CONFIG, arrays)
    for part in (
        "layers/2/bias is missing",
        "extra is unexpected",
        "layers/0/kernel is [1, 2] instead of [4, 4, 6, 5]",
        "layers/1/bias is not of a floating type",
    ):
        assert part in str(caught.value)


def test_unknown_configs_are_refused():
    with pytest.raises(UserError, match="no family of networks has a dict"):
        build({}, {})


def test_the_fingerprint_follows_the_weights(dcgan):
    before = fingerprint(dcgan)
    arrays = {k: np.asarray(v) for k, v in parameters(dcgan).items()}
    arrays["layers/0/kernel"] = arrays["layers/0/kernel"] + 1e-6
    assert fingerprint(build(DCGAN_CONFIG, arrays)) != before
    assert fingerprint(dcgan) == before
    assert len(before) == 16


def test_the_fingerprint_is_unknown_while_a_program_is_traced(dcgan):
    seen = []
    jax.jit(lambda g: seen.append(fingerprint(g)))(dcgan)
    assert seen == [""]


def test_fingerprints_are_never_stale():
    """Arrays come and go, in many threads; leaves are replaced; NumPy leaves change in place."""
    with ThreadPoolExecutor(8) as pool:
        generators = [filled(DCGAN_CONFIG, seed) for seed in range(3)]
        prints = list(pool.map(fingerprint, generators * 16))
    assert prints == prints[:3] * 16
    assert len(set(prints)) == 3
    for seed in range(3, 30):
        assert fingerprint(filled(DCGAN_CONFIG, seed)) not in prints
    generator = filled(DCGAN_CONFIG)
    bias = np.asarray(generator.layers[1].bias[...]).copy()
    generator.layers[1].bias = nnx.Param(bias)
    assert fingerprint(generator) == prints[0]
    bias += 1
    assert fingerprint(generator) != prints[0]


def test_too_many_layers_are_refused():
    ones = dict.fromkeys(("channels", "kernels", "strides"), (1,) * 65)
    zeros = dict.fromkeys(("paddings", "output_paddings"), (0,) * 65)
    nothing = dict.fromkeys(("biases", "norms"), (False,) * 65)
    with pytest.raises(UserError, match="at most 64 layers, got 65"):
        dataclasses.replace(DCGAN_CONFIG, **ones, **zeros, **nothing)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm_epsilon": float("nan")}, r"norm_epsilon must be in \[0, 1\)"),
        ({"norm_epsilon": -5.0}, "norm_epsilon must be in"),
        ({"output_paddings": (0, 2, 0)}, "output padding must be smaller than its stride"),
        ({"strides": (1, 100_000, 2)}, "must be in 1 to 16384"),
        ({"strides": (10**23, 2, 2)}, "must be in 1 to 16384"),
        ({"paddings": (3, 3, 3)}, "must be in 1 to 16384"),
    ],
)
def test_dcgan_configs_out_of_range(change, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(DCGAN_CONFIG, **change)


def test_fresh_generators_can_be_initialised():
    generator = DCGAN(DCGAN_CONFIG, rngs=nnx.Rngs(0))
    images = generator.synthesize(jnp.ones((1, 1, 6)))
    assert images.shape == (1, 16, 16, 3)
    assert float(jnp.abs(images).max()) <= 1
