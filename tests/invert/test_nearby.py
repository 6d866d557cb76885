"""Starts from samples: the one that looks most like an image, whatever the chunks."""

import jax
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, STYLEGAN2_CONFIG, filled

from jaxlatent import UserError
from jaxlatent.invert import nearby, nearest
from jaxlatent.keys import per_sample


@pytest.mark.parametrize("space", ["w+", *(pytest.param(s, marks=pytest.mark.slow) for s in "zw")])
def test_samples_find_themselves(space, monkeypatch):
    generator = filled(STYLEGAN2_CONFIG)
    key = jax.random.key(3)
    keys = per_sample(key, 40)[np.array([33, 2, 17])]
    codes = nearby.sampled(generator, keys, None, space)
    rows = generator.broadcast(generator.map(codes[:, 0])) if space == "z" else codes
    images = generator.synthesize(generator.broadcast(codes[:, 0]) if space == "w" else rows)
    whole = nearest(generator, images, key, space, 40)
    np.testing.assert_allclose(whole, codes, atol=1e-6)
    monkeypatch.setattr(nearby, "chunk_size", lambda *_, total: 7)
    np.testing.assert_allclose(nearest(generator, images, key, space, 40), whole, atol=1e-6)


def test_what_is_refused():
    generator = filled(DCGAN_CONFIG)
    images = generator.synthesize(generator.sample_z(jax.random.key(0), 2)[:, None])
    with pytest.raises(UserError, match="space must be one of z, got 'w'"):
        nearest(generator, images, jax.random.key(0), "w")
    with pytest.raises(UserError, match="samples must be at least 1"):
        nearest(generator, images, jax.random.key(0), "z", 0)
    with pytest.raises(UserError, match="images must have the shape"):
        nearest(generator, images[:, :8], jax.random.key(0), "z")
