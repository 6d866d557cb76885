"""The cache of compiled programs: where it is, whom it obeys, and that it never stops a command."""

import os
import subprocess
import sys

import pytest

from jaxlatent import compile_cache

VARIABLE = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A process without any of the variables, whose caches are in an empty folder."""
    for name in ("JAXLATENT_CACHE", VARIABLE, *compile_cache._KEPT):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever is set
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_the_folder_of_caches_unless_told_otherwise(monkeypatch, tmp_path):
    compile_cache.switch_on()
    assert os.environ[VARIABLE] == str(tmp_path / "jaxlatent")
    assert (tmp_path / "jaxlatent").is_dir()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "mine"))
    compile_cache.switch_on()
    assert os.environ[VARIABLE] == str(tmp_path / "mine")


def test_off_and_a_users_own_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLATENT_CACHE", "off")
    compile_cache.switch_on()
    assert VARIABLE not in os.environ
    monkeypatch.delenv("JAXLATENT_CACHE")
    monkeypatch.setenv(VARIABLE, "theirs")
    compile_cache.switch_on()
    assert os.environ[VARIABLE] == "theirs"
    assert os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "0", "small ones, too"
    assert not any(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told_in_a_line(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXLATENT_CACHE", str(tmp_path / "file" / "below"))
    compile_cache.switch_on()
    assert VARIABLE not in os.environ
    error = capsys.readouterr().err
    assert error.startswith("jaxlatent: warning: ")
    assert error.count("\n") == 1


def test_a_command_keeps_what_it_compiles(tmp_path):
    environment = {**os.environ, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", "jaxlatent", "generate", "avatars", "--seeds", "0"]
    command += ["-o", str(tmp_path / "a.png")]
    counts = []
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        counts.append(len([*(tmp_path / "jaxlatent").glob("*-cache")]))
    assert counts[0] == counts[1] > 0


def test_the_library_alone_switches_nothing_on():
    code = "import jaxlatent, jax; jaxlatent.sweep; print(jax.config.jax_compilation_cache_dir)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "None\n"
