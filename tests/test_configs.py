"""Config values are typed as annotated, and what does not fit is told all at once."""

import dataclasses
import json

import pytest
from conftest import STYLEGAN2_CONFIG

from jaxlatent import UserError
from jaxlatent.configs import record, replaced, typed


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    pairs: tuple[tuple[int, ...], ...] = ()
    limit: float | None = None


def test_nested_records():
    values = {"inner": {"size": 3}, "pairs": [[1, 2], []], "limit": 2}
    assert record(Outer, values) == Outer(Inner(3), ((1, 2), ()), 2.0)
    assert record(Outer, json.loads(json.dumps(dataclasses.asdict(Outer(Inner(1)))))) == Outer(
        Inner(1)
    )


@pytest.mark.parametrize(
    "values", [{"inner": 3}, {"inner": {"size": "3"}}, {"inner": {"size": True}}, {}, []]
)
def test_other_values_are_refused(values):
    with pytest.raises(TypeError):
        record(Outer, values)


def test_numbers_are_not_truth_values():
    assert typed(float, 1) == 1.0
    with pytest.raises(TypeError):
        typed(float, True)


def test_settings_from_text():
    changed = replaced(STYLEGAN2_CONFIG, {"conv_clamp": "256", "architecture": "resnet"})
    assert changed == dataclasses.replace(STYLEGAN2_CONFIG, conv_clamp=256.0, architecture="resnet")
    assert replaced(changed, {"conv_clamp": "none"}).conv_clamp is None
    assert replaced(STYLEGAN2_CONFIG, {"conv_clamp": "null"}).conv_clamp is None


def test_every_wrong_setting_is_told():
    with pytest.raises(UserError, match=r"no setting 'depth'.*; z_dim=many: 'many' is not of"):
        replaced(STYLEGAN2_CONFIG, {"depth": "3", "z_dim": "many"})
    with pytest.raises(UserError, match="architecture must be"):
        replaced(STYLEGAN2_CONFIG, {"architecture": "skipped"})
