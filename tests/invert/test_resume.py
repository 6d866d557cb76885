"""Interrupted inversions: killed by the system, they go on and end with the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from long_run import STEPS, run

from jaxlatent import UserError
from jaxlatent.invert import Pixels, noise_correlation, resume
from jaxlatent.invert.resume import described

HERE = Path(__file__).parent


def same(a, b):
    np.testing.assert_array_equal(a.code, b.code)
    np.testing.assert_array_equal(a.loss, b.loss)
    np.testing.assert_array_equal(a.history, b.history)
    np.testing.assert_array_equal(a.images, b.images)


@pytest.fixture(scope="module")
def whole():
    return run()


def steps_kept(file):
    with np.load(file) as held:
        return len(held["losses"])


def test_a_killed_run_goes_on_bit_for_bit(whole, tmp_path):
    folder = tmp_path / "run"
    paths = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parent.parent)])
    child = subprocess.Popen(
        [sys.executable, str(HERE / "long_run.py"), str(folder)],
        env=os.environ | {"PYTHONPATH": paths},
    )
    try:
        end = time.monotonic() + 240
        while not (folder / "part-0.npz").exists():
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(0.3)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    kept = steps_kept(folder / "part-0.npz")
    assert 0 < kept <= STEPS
    assert not (folder / "part-2.npz").exists()
    told = []
    same(run(folder, lambda *progress: told.append(progress)), whole)
    assert told[0] == (kept, 2 * STEPS)
    assert told[-1] == (2 * STEPS, 2 * STEPS)


def test_a_finished_run_is_only_read(whole, tmp_path):
    same(run(tmp_path), whole)
    told = []
    same(run(tmp_path, lambda *progress: told.append(progress)), whole)
    assert told == [(STEPS, 2 * STEPS), (2 * STEPS, 2 * STEPS)]


def test_another_run_is_not_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "_SECONDS", 0.0)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop)
    with pytest.raises(UserError, match=r"holds another run \(of other recipe, chunk\)"):
        run(tmp_path, restarts=2)


def test_damaged_files_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "_SECONDS", 0.0)

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop)
    part = tmp_path / "part-0.npz"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=r"part-0.npz is damaged .* delete it"):
        run(tmp_path)
    for text in ("{", "[]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(UserError, match=r"run.json is damaged"):
            run(tmp_path)


def test_descriptions_tell_contents_apart():
    array = np.zeros(2000, np.float32)
    other = array.copy()
    other[1000] = 1
    assert described(array) == described(array.copy())
    assert described(array) != described(other)
    assert described(Pixels(1)) != described(Pixels(2))
    assert described(noise_correlation) == described(noise_correlation)
    assert described(noise_correlation) != described(steps_kept)
    assert described(jax.random.key(0)) != described(jax.random.key(1))
    assert described(jnp.zeros(3)) != described(jnp.zeros(4))
