"""Every golden, array by array: our networks against what the original code computed."""

import pytest

from benchmarks import parity
from benchmarks.parity.goldens import LARGER

GOLDENS = [name for name in parity.names() if name.startswith(tuple(parity.FAMILIES))]


def test_the_goldens_are_here():
    found = {f for n in GOLDENS for prefix, f in parity.FAMILIES.items() if n.startswith(prefix)}
    assert found == set(parity.FAMILIES.values())
    if LARGER.is_dir():
        assert all(any(n.startswith(prefix) for n in GOLDENS) for prefix in parity.FAMILIES)


def cases():
    slow = {"biggan_hf_256"}  # three quarters of a minute
    return [pytest.param(n, marks=pytest.mark.slow) if n in slow else n for n in GOLDENS]


@pytest.mark.parametrize("name", cases())
def test_every_array_agrees(name):
    checks = parity.checks(name)
    assert checks
    wrong = [c for c in checks if not c.error <= c.tolerance]
    assert not wrong, wrong
