"""Damaged files of every container kind, and that the fuzzing itself would notice a defect."""

import random

import click.testing
import numpy as np
import pytest

from benchmarks import fuzz
from benchmarks.mutations import MUTATIONS, mutated
from converters import ConversionError
from converters import reader as module


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", fuzz.SEEDS)
def test_damage_gives_a_network_or_one_of_our_errors(kind):
    tally = fuzz.fuzz(kind, 100)
    assert tally.violations == []
    assert tally.read + tally.corrupt + tally.refused == 100
    assert tally.corrupt > 30


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_change_files_of_any_size(mutation):
    chance = random.Random(0)
    for size in (1, 2, 3, 50, 10_000):
        data = bytes(chance.randrange(256) for _ in range(size))
        changed = [mutation(data, chance) for _ in range(50)]
        assert any(c != data for c in changed) or size < 3
        assert all(abs(len(c) - size) <= 400 or mutation.__name__ == "cut" for c in changed)


def test_a_mutation_is_decided_by_its_seed():
    data = bytes(1000)
    assert [mutated(data, i) for i in range(20)] == [mutated(data, i) for i in range(20)]
    assert len({mutated(data, i) for i in range(50)}) > 40
    assert mutated(b"", 1) == b""


def defect(monkeypatch, action):
    """Makes the reader do something at every file."""
    original = module._read

    def odd(data):
        action(data)
        return original(data)

    monkeypatch.setattr(fuzz, "_read", odd)
    return fuzz.fuzz("plain pickle", 5)


def test_a_foreign_error_is_noticed(monkeypatch):
    def fail(data):
        raise OSError("odd")

    assert len(defect(monkeypatch, fail).other) == 5
    monkeypatch.undo()

    def explain(data):
        raise ConversionError("not a sound file")

    assert len(defect(monkeypatch, explain).other) == 5


def test_execution_and_opened_files_are_noticed(monkeypatch):
    assert len(defect(monkeypatch, lambda data: exec("1")).events) >= 5
    monkeypatch.undo()
    found = defect(monkeypatch, lambda data: open(__file__).close()).events  # noqa: PTH123
    assert len(found) == 5
    assert "open" in found[0]


def test_memory_is_noticed(monkeypatch):
    tally = defect(monkeypatch, lambda data: np.ones(80 << 20, np.uint8))
    assert len(tally.other) == 5
    assert "bytes for a file of" in tally.violations[0]
    assert tally.peak > tally.limit


def test_the_command_fails_if_anything_did(monkeypatch):
    run = click.testing.CliRunner().invoke
    arguments = ["--mutations", "3", "safetensors"]
    good = run(fuzz.main, arguments)
    assert good.exit_code == 0
    assert "safetensors" in good.output
    monkeypatch.setattr(fuzz, "_read", lambda data: 1 / 0)
    bad = run(fuzz.main, arguments)
    assert bad.exit_code == 1
    assert "mutation 0: ZeroDivisionError" in bad.output
