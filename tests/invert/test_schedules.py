"""Schedules: the published curves at every step, and what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.invert import Schedule

STEPS = 1000


def along(schedule, times):
    return jax.vmap(schedule.rate_at)(times), jax.vmap(schedule.noise_at)(times)


def test_stylegan2_s_projector_at_every_step():
    schedule = Schedule(0.1, rise=0.05, fall=0.25, noise=0.05, noise_end=0.75)
    rate_at, noise_at = along(schedule, jnp.arange(STEPS) / STEPS)
    rates, noises = [], []
    for step in range(STEPS):  # Karras et al., appendix D, in double precision
        t = step / STEPS
        ramp = 0.5 - 0.5 * math.cos(min(1.0, (1.0 - t) / 0.25) * math.pi)
        rates.append(0.1 * ramp * min(1.0, t / 0.05))
        noises.append(0.05 * max(0.0, 1.0 - t / 0.75) ** 2)
    np.testing.assert_allclose(rate_at, rates, rtol=2e-6, atol=1e-8)
    np.testing.assert_allclose(noise_at, noises, rtol=2e-6, atol=1e-8)
    assert rate_at[0] == 0
    assert (noise_at[750:] == 0).all()


def test_pulse_s_cycle_at_every_step():
    rates = []
    for step in range(100):
        x = step / 100
        if step < 90:
            rates.append(0.4 * (9 * (1 - abs(x / 0.9 - 0.5) * 2) + 1) / 10)
        else:
            rates.append(0.4 * (0.1 + (x - 0.9) / 0.1 * (0.001 - 0.1)))
    found, _ = along(Schedule(0.4, cycle=True), jnp.arange(100) / 100)
    np.testing.assert_allclose(found, rates, rtol=1e-5, atol=1e-6)
    assert max(rates) == 0.4


def test_a_plain_rate_stays():
    rates, noises = along(Schedule(0.3), jnp.linspace(0, 1, 5))
    np.testing.assert_array_equal(rates, np.float32(0.3))
    np.testing.assert_array_equal(noises, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0.0}, "rate must be positive, got 0.0"),
        ({"rate": 1.0, "rise": 2.0}, r"rise must be in \[0, 1\], got 2.0"),
        ({"rate": 1.0, "fall": -1.0}, r"fall must be in \[0, 1\], got -1.0"),
        ({"rate": 1.0, "noise": -1.0}, "noise must not be negative"),
        ({"rate": 1.0, "noise": 0.1, "noise_end": 0.0}, "noise_end be in"),
        ({"rate": 1.0, "cycle": True, "fall": 0.5}, "a cycle has no rise and fall"),
        ({"rate": -1.0, "rise": 2.0}, "rise must be in .*; rate must be positive"),
    ],
)
def test_impossible_schedules(arguments, message):
    with pytest.raises(UserError, match=message):
        Schedule(**arguments)
