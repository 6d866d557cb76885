"""`jaxlatent warm` compiles just what the next command runs, which then compiles nothing."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

import jaxlatent
from jaxlatent.cli import main
from jaxlatent.find import sefa


@pytest.fixture
def folder(tmp_path, stylegan2, monkeypatch):
    """A model, early and late directions in an empty folder."""
    monkeypatch.chdir(tmp_path)
    jaxlatent.save(stylegan2, "model")
    found = sefa(stylegan2.affines(), 2).bind(stylegan2)
    found.save("all.safetensors")
    dataclasses.replace(found, layers=(4, 5)).save("late.safetensors")
    return tmp_path


def command(folder, *arguments):
    """Runs a command as a process of its own; returns its output and the programs then kept."""
    environment = {**os.environ, "JAXLATENT_CACHE": str(folder / "kept")}
    line = [sys.executable, "-m", "jaxlatent", *arguments]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, {path.name for path in (folder / "kept").glob("*-cache")}


@pytest.mark.parametrize(
    ("warmed", "then", "programs"),
    [
        ("model --psi 0.5", "generate model --psi 0.5", "render_images"),
        ("model all.safetensors", "sweep model all.safetensors", "sweep_images"),
        ("model late.safetensors", "sweep model late.safetensors", "sweep_states sweep_rest"),
    ],
)
def test_the_next_command_compiles_nothing(folder, warmed, then, programs):
    told, kept = command(folder, "warm", *warmed.split())
    *lines, last = told.splitlines()
    assert [line.split(":")[0] for line in lines] == programs.split()
    assert all(": trace " in line and "lower" in line and "compile" in line for line in lines)
    assert last == f"kept in {folder / 'kept'}"
    _, after = command(folder, *then.split(), "-o", "a.npy")
    assert after == kept
    assert any(name.startswith(f"jit_{programs.split()[0]}-") for name in kept)
    assert np.isfinite(np.load("a.npy")).all()


def test_a_cache_that_cannot_be_is_told_first(folder, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "all.safetensors/kept")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        command(folder, "warm", "model")
    assert failed.value.returncode == 2
    assert not failed.value.stdout
    assert failed.value.stderr.count("\n") == 1
    assert "all.safetensors/kept" in failed.value.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("warm model", "no programs are kept; set JAXLATENT_CACHE"),
        ("warm model --space w", "--space is for DIRECTIONS"),
        ("warm model --cutoff 2", "--cutoff goes with --psi"),
        ("warm model a.npy", "a.npy does not tell its space"),
    ],
)
def test_mistakes(line, message, capsys):
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err
