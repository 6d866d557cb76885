"""The encoders' heads against their formulas, and what sizes they take."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_network_conformance import DECODER, ENCODER, filled

from jaxlatent import UserError
from jaxlatent.networks import EncoderConfig
from jaxlatent.parameters import build, parameters

IMAGES = jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (2, 40, 32, 3)), jnp.float32)
NARROW = EncoderConfig("w", 3, 5, (1, 1, 1, 1), (16, 16, 16, 17))


@jax.jit
def encode(encoder, images):
    last = encoder.backbone.activations(images)[-1]
    return encoder.offsets(images), encoder.encode(images), last


def test_e4e_codes_are_offsets_from_the_first():
    e4e = filled(ENCODER)
    psp = build(dataclasses.replace(ENCODER, kind="psp"), parameters(e4e))
    ours, codes, _ = encode(e4e, IMAGES)
    single, _, _ = encode(psp, IMAGES)
    np.testing.assert_allclose(ours[:, 0], single[:, 0], atol=1e-5)
    np.testing.assert_allclose(ours[:, 1:], single[:, :1] + single[:, 1:], atol=1e-5)
    np.testing.assert_allclose(codes, ours + e4e.latent_avg[...][None], atol=1e-5)


def test_a_w_encoder_gives_one_code_to_all_layers():
    encoder = filled(NARROW)
    offsets, codes, last = encode(encoder, IMAGES)
    linear = encoder.reader.linear
    mean = np.asarray(last).mean(axis=(1, 2))
    expected = mean @ np.asarray(linear.weight[...]) / np.sqrt(17) + np.asarray(linear.bias[...])
    assert offsets.shape == codes.shape == (2, 3, 5)
    for i in range(3):
        np.testing.assert_allclose(offsets[:, i], expected, rtol=1e-4, atol=1e-5)


def test_a_stacked_encoder_reads_pooled_features():
    encoder = filled(dataclasses.replace(NARROW, kind="w+"))
    offsets, _, last = encode(encoder, IMAGES)
    reader = encoder.reader
    pooled = np.asarray(reader.norm(last))  # 3x2 pixels: each of 7x7 bins holds one or two
    rows = [[0], [0], [0, 1], [1], [1, 2], [2], [2]]
    columns = [[0], [0], [0], [0, 1], [1], [1], [1]]
    bins = [pooled[:, r][:, :, c].mean(axis=(1, 2)) for r in rows for c in columns]
    hidden = np.concatenate(bins, axis=1) @ np.asarray(reader.weight[...])
    hidden += np.asarray(reader.bias[...])
    linear = reader.linear
    expected = hidden @ np.asarray(linear.weight[...]) / np.sqrt(5) + np.asarray(linear.bias[...])
    np.testing.assert_allclose(offsets, expected.reshape(2, 3, 5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sides", [(8, 32), (32, 257)])
def test_sides_out_of_range_are_refused(sides):
    with pytest.raises(UserError, match=f"must be 16 to 256 pixels, got {sides[0]}x{sides[1]}"):
        filled(ENCODER).encode(jnp.zeros((1, *sides, 3)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "ae"}, "kind must be one of psp, e4e, w, w\\+, got 'ae'"),
        ({"depths": (1, 2)}, "an encoder has 4 stages"),
        ({"depths": (1, 2, 0, 1)}, "1 to 64 blocks"),
        ({"widths": (16, 16, 16, 8)}, "at least 16 channels"),
        ({"num_codes": 0}, "num_codes must be in 1 to 64"),
        ({"decoder": DECODER}, r"codes are \[3, 5\], its decoder reads \[4, 6\]"),
    ],
)
def test_configs_are_checked(changes, message):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(NARROW, **changes)
