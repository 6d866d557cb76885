"""Streaming covariance: a float64 reference, any cut into batches, merging and many devices."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.find import Moments, covariance

RANDOM = np.random.RandomState(0)
SPREAD = np.logspace(1, -2, 12)  # eigenvalues over six orders of magnitude
TURN, _ = np.linalg.qr(RANDOM.standard_normal((12, 12)))
ROWS = (RANDOM.standard_normal((900, 12)) * SPREAD @ TURN.T + 50).astype(np.float32)
REFERENCE = np.cov(ROWS.astype(np.float64).T)


def close(found, reference):
    """Compares eigenvalues; that of the reference are known to 1e-16 of the largest."""
    assert found.dtype == np.float64
    ours, theirs = np.linalg.eigvalsh(found), np.linalg.eigvalsh(reference)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    np.testing.assert_allclose(found, reference, rtol=0, atol=1e-13 * theirs[-1])


@pytest.mark.parametrize("cuts", [[], [450], [1, 2, 899], [300, 600]])
def test_any_batches_give_the_reference(cuts):
    found = covariance(iter(np.split(ROWS, cuts)))
    close(found.matrix, REFERENCE)
    np.testing.assert_allclose(found.mean, ROWS.mean(axis=0, dtype=np.float64), rtol=1e-13)
    assert found.count == 900


def test_empty_batches_and_long_arrays():
    rows = jnp.asarray(RANDOM.standard_normal((20_000, 3)), jnp.float32)
    found = covariance([rows[:0], rows, rows[:0]])
    np.testing.assert_allclose(found.matrix, np.cov(np.asarray(rows, np.float64).T), rtol=1e-11)


def test_states_merge_whatever_their_shifts():
    with jax.enable_x64(True):
        shifts = [np.zeros(12), np.full(12, 60.0), ROWS[0]]
        parts = [Moments.of(p, s) for p, s in zip(np.split(ROWS, [100, 700]), shifts, strict=True)]
        one = parts[0].merge(parts[1]).merge(parts[2])
        other = parts[2].merge(parts[0].merge(parts[1]))
    for merged in (one, other):
        found = merged.covariance()
        np.testing.assert_allclose(found.matrix, REFERENCE, rtol=0, atol=1e-9)
        assert found.count == 900


def test_moments_can_be_traced_without_a_global_switch():
    found = jax.jit(Moments.of)(jnp.asarray(ROWS), jnp.asarray(ROWS[0])).covariance()
    close(found.matrix, REFERENCE)
    assert jnp.zeros(1).dtype == jnp.float32


SHARDED = """
import jax, numpy as np
from jax.sharding import PartitionSpec as P
from jaxlatent.find import Moments
rows = np.random.RandomState(0).standard_normal((64, 5)).astype(np.float32) + 7
mesh = jax.make_mesh((4,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
with jax.enable_x64(True):
    sums = jax.shard_map(lambda x: Moments.of(x, np.full(5, 7.0)).psum("i"), mesh=mesh,
                         in_specs=P("i"), out_specs=P())
    found = jax.jit(sums)(rows).covariance()
assert found.count == 64 and jax.device_count() == 4
np.testing.assert_allclose(found.matrix, np.cov(rows.astype(float).T), rtol=0, atol=1e-13)
print("equal")
"""


def test_sums_over_devices():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SHARDED]
    done = subprocess.run(
        command, env={"PYTHONPATH": ".", **flags}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "equal\n", done.stderr


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least 2 rows, got none"),
        ([ROWS[:1]], "at least 2 rows, got 1"),
        ([np.full((2, 3), np.nan, np.float32)], "not finite"),
        ([ROWS[0]], r"rows must be \[n, d\]"),
        ([np.ones((2, 3), int)], "of a floating type"),
        ([ROWS, ROWS[:, :3]], "one width, got 12 and 3"),
        ([np.zeros((2, 1 << 20), np.float32)], "GiB; ask for fewer"),
    ],
)
@pytest.mark.usefixtures("lenient")
def test_rows_that_have_no_covariance(rows, message):
    with pytest.raises(UserError, match=message):
        covariance(rows)
