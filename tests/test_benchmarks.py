"""The harness measures what it says."""

import time

import numpy as np
import pytest

from benchmarks.harness import compare, environment


def test_ratio_and_error():
    def slow():
        time.sleep(0.02)
        return np.array([1.0, 2.5])

    row = compare("case", 2, lambda: np.array([1.0, 2.0]), slow, rounds=3)
    assert row["ratio_min"] > 1
    assert row["other_s"] == pytest.approx(0.02, rel=0.5)
    assert row["error"] == 0.5
    assert row["items_per_s"] == pytest.approx(2 / row["ours_s"])


def test_the_machine_is_recorded():
    assert {"jax", "device", "cores", "load"} <= environment().keys()
