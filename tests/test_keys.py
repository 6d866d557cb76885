"""Keys belong to samples."""

import jax
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.keys import per_sample, seed_keys


def test_keys_do_not_depend_on_the_number_of_samples():
    key = jax.random.key(3)
    assert (per_sample(key, 5)[:2] == per_sample(key, 2)).all()
    assert (per_sample(jax.random.PRNGKey(3), 5) == per_sample(key, 5)).all()


def test_seeds_are_the_samples_of_key_zero():
    assert (seed_keys([4, 0, 7]) == per_sample(jax.random.key(0), 8)[np.array([4, 0, 7])]).all()
    assert seed_keys([2**32 - 1]).shape == (1,)


def test_wrong_numbers_of_keys():
    with pytest.raises(UserError, match="one for each of the 3 samples"):
        per_sample(jax.random.split(jax.random.key(0), 2), 3)
