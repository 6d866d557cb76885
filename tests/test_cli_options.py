"""Finders' options are checked before the model is loaded, which may take minutes."""

from types import SimpleNamespace

import click
import numpy as np
import pytest
from conftest import filled

from jaxlatent import Directions, UserError, find
from jaxlatent.cli import finders, main
from jaxlatent.cli.finders import command
from jaxlatent.cli.finders.samples import Samples
from jaxlatent.cli.finders.scores import Scores
from jaxlatent.generators import DCGANConfig

TINY = DCGANConfig(6, (1,), (4,), (1,), (0,), (0,), (True,), (False,))
STEPS = "--attribute brightness --learning-rate"
REGION = "--region 0:4,2:7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("boundary --attribute brightness --ratio -1", "--ratio"),
        ("boundary --attribute brightness --ratio nan", "--ratio must be a finite number"),
        ("boundary", "give either --attribute or --scores"),
        ("boundary --attribute brightness -n 1", "-n"),
        ("boundary --scores one.npy", "scores 1 sample"),
        ("linear --attribute brightness --strength -1", "--strength"),
        ("linear --attribute brightness --strength inf", "--strength must be a finite number"),
        ("linear --attribute brightness --names a", "--names are those of the columns"),
        ("linear --scores two.npy -n 7", "scores 30 samples, -n asks for 7"),
        ("linear --scores two.npy --names a,b,c", "2 columns, --names has 3 names"),
        ("linear --scores two.npy --names a,a", "has a name twice"),
        ("linear --scores two.npy --names a,", "has an empty name"),
        ("linear --scores two.npy --names=", "has an empty name"),
        ("linear --scores cube.npy", "must be [n] or [n, attributes]"),
        ("means --attribute brightness --threshold nan", "--threshold must be a finite"),
        ("means --attribute brightness --label -1", "--label"),
        ("stylespace --attribute brightness -n 10 --best 20", "--best 20 of 10 samples"),
        ("stylespace --scores two.npy", "one attribute at a time"),
        ("stylespace", "give one of --positive"),
        ("ganalyze --attribute brightness --reach inf", "--reach must be a finite"),
        (f"ganalyze {STEPS} nan", "--learning-rate must be a finite"),
        ("steer --transform zoom --learning-rate nan", "--learning-rate must be a finite"),
        ("ganspace -n 1", "-n"),
        ("ganspace -k 9 -n 9", "9 directions need more than 9 samples"),
        ("ganspace -k 0", "-k"),
        ("ganspace --block -1", "--block"),
        ("ica -k 9 -n 9", "9 directions need more than 9 samples"),
        ("sparse-pca --alpha nan", "--alpha must be a finite"),
        ("voynov -k 1", "-k"),
        ("voynov --reach 1 --least 2", "shifts must be in"),
        ("sefa --layers x", "layers: 'x' is no list"),
        ("local --layers 3-1", "runs backwards"),
        (f"resefa {REGION} --ridge nan", "--ridge must be a finite"),
        (f"lowrankgan {REGION} --sparsity nan", "--sparsity must be a finite"),
        ("few-shot --positive 1,2 --negative 2", "share the seeds 2"),
        ("few-shot --positive 1 --negative 2 --name=", "--name is empty"),
    ],
)
def test_nothing_is_loaded_for_a_mistake(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "loaded", lambda _: pytest.fail("the model is loaded"))
    np.save("two.npy", np.arange(60.0).reshape(30, 2))
    np.save("one.npy", np.ones(1))
    np.save("cube.npy", np.ones((3, 3, 3)))
    method, *flags = options.split()
    assert main(["find", method, "model", *flags, "-o", "d.safetensors"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_no_number_that_a_finder_takes_may_be_none():
    numbers = [
        (found, option)
        for found in finders.find.commands.values()
        for option in found.params
        if isinstance(option.type, click.types.FloatParamType)
    ]
    assert len(numbers) >= 10
    for found, option in numbers:
        with pytest.raises((UserError, click.BadParameter), match=option.opts[0]):
            option.process_value(click.Context(found), "nan")


def test_an_attribute_that_is_given_twice_counts_once():
    given = Scores.given(("brightness", "warmth", "brightness"), None)
    assert given is not None
    assert given.names == ["brightness", "warmth"]


def test_fewer_directions_than_asked_for_are_told_as_such(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = Directions.of(np.eye(6)[:1, None], space="z", parameters={"k": 3})
    monkeypatch.setattr(command, "loaded", lambda _: filled(TINY))
    monkeypatch.setattr(find, "lowrankgan", lambda *_, **__: few)
    flags = ("-k", "3", *REGION.split(), "-o", "d.safetensors")
    assert main(["find", "lowrankgan", "model", *flags]) == 0
    out = capsys.readouterr().out
    assert out.startswith("d.safetensors: 1 of 3 directions in z\n")
    assert "no others move the region and leave the rest" in out
    assert main(["find", "lowrankgan", "model", "-k", "1", *flags[2:]]) == 0
    assert capsys.readouterr().out.startswith("d.safetensors: 1 direction in z\n")


CONDITIONAL = SimpleNamespace(
    num_classes=10, spaces={"z": (1, 8)}, image_shape=(4, 4, 3), num_layers=1, code_dim=8
)
PLAIN = SimpleNamespace(
    num_classes=0, spaces={"z": (1, 8)}, image_shape=(4, 4, 3), num_layers=1, code_dim=8
)


def test_a_conditional_generator_asks_for_the_option():
    few = Samples(10, None, None)
    few.check(CONDITIONAL, (1, 8), needed=False)
    scores = Scores(["brightness"])
    for call in (
        lambda: scores.of(CONDITIONAL, few),
        lambda: few.codes(CONDITIONAL),
        lambda: Samples(10, None, 10).latents(CONDITIONAL),
    ):
        with pytest.raises(UserError, match="give --label, 0 to 9"):
            call()
    with pytest.raises(UserError, match="give no --label"):
        Samples(10, None, 0).latents(PLAIN)


def test_more_samples_than_memory_holds_are_refused_before_any_is_drawn():
    many = Samples(10, 99_999_999_999_999, None)
    for call in (many.latents, many.codes):
        with pytest.raises(UserError, match=r"the codes of 9+ samples need .* ask for fewer"):
            call(PLAIN)
