"""The named codes of an InfoGAN: each direction moves its own code and no other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import DCGAN_CONFIG, filled

from jaxlatent import UserError
from jaxlatent.find import infogan_codes
from jaxlatent.generators import InfoGANConfig

STACK = dataclasses.asdict(DCGAN_CONFIG) | {"z_dim": 10}


def infogan(num_noise=3, categorical=(3, 2), num_continuous=2):
    parts = {"num_noise": num_noise, "categorical": categorical, "num_continuous": num_continuous}
    return filled(InfoGANConfig(**STACK, **parts))


@pytest.fixture(scope="module")
def generator():
    return infogan()


def test_parts_follow_each_other_in_the_originals_order(generator):
    assert generator.code_parts == {
        "noise": slice(0, 3),
        "categorical 0": slice(3, 6),
        "categorical 1": slice(6, 8),
        "continuous 0": slice(8, 9),
        "continuous 1": slice(9, 10),
    }


def test_samples_have_one_category_of_each_code_and_even_continuous_ones(generator):
    z = np.asarray(generator.sample_z(jax.random.key(0), 3000))
    parts = {name: z[:, part] for name, part in generator.code_parts.items()}
    for name, size in (("categorical 0", 3), ("categorical 1", 2)):
        assert set(np.unique(parts[name])) == {0, 1}
        np.testing.assert_array_equal(parts[name].sum(axis=1), 1)
        np.testing.assert_allclose(parts[name].mean(axis=0), 1 / size, atol=0.05)
    for name in ("continuous 0", "continuous 1"):
        assert -1 <= parts[name].min() < -0.99
        assert 0.99 < parts[name].max() <= 1
        np.testing.assert_allclose(parts[name].std(), 3**-0.5, atol=0.03)
    np.testing.assert_allclose(parts["noise"].std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(generator.code_mean[0], z.mean(axis=0), atol=0.06)
    assert abs(np.corrcoef(z[:, 8], z[:, 9])[0, 1]) < 0.06


def test_each_direction_is_an_axis_of_the_code_that_it_names(generator):
    found = infogan_codes(generator)
    assert len(found) == 7
    assert found.space == "z"
    for direction in found:
        (name,) = direction.names
        code, _, category = name.partition(" category ")
        moved = np.flatnonzero(direction.vectors[0, 0])
        assert moved == generator.code_parts[code].start + int(category or 0)
        assert float(jnp.linalg.norm(direction.vectors)) == 1


def test_an_infogan_of_noise_alone_has_no_codes():
    with pytest.raises(UserError, match="noise only"):
        infogan_codes(infogan(10, (), 0))


@pytest.mark.parametrize(
    ("parts", "message"),
    [((4, (3, 2), 2), "are 11 numbers; the first layer takes 10"), ((-1, (9,), 2), "negative")],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(UserError, match=message):
        infogan(*parts)
