"""The profile of a rendering: every kernel by its time, those of the device if there is one."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import DCGAN_CONFIG

from benchmarks.__main__ import main
from benchmarks.kernels import _taken, kernels


def plane(name, *events):
    made = [SimpleNamespace(name=n, stats=s.items(), duration_ns=t) for n, s, t in events]
    return SimpleNamespace(name=name, lines=[SimpleNamespace(events=made)])


HOST = plane(
    "/host:CPU",
    ("dot.1", {"hlo_op": "dot.1"}, 3e9),
    ("dot.1", {"hlo_op": "dot.1"}, 1e9),
    ("waiting", {}, 9e9),
)
DEVICE = plane("/device:GPU:0", ("sm90_gemm", {"hlo_op": "dot.1"}, 2e9), ("copy", {}, 1e9))


def test_times_of_an_operation_add_up_and_what_is_none_is_left_out():
    assert _taken(SimpleNamespace(planes=[HOST])) == {("dot.1", "dot.1"): 4.0}


def test_where_there_is_a_device_its_kernels_count_alone():
    assert _taken(SimpleNamespace(planes=[HOST, DEVICE])) == {("dot.1", "sm90_gemm"): 2.0}


def test_a_generator_s_kernels_with_their_results():
    found = kernels(DCGAN_CONFIG, 2, "exact")
    assert sum(kernel.share for kernel in found) == pytest.approx(1)
    assert [k.seconds for k in found] == sorted((k.seconds for k in found), reverse=True)
    assert all(kernel.seconds > 0 for kernel in found)
    assert any(kernel.shape.startswith("f32[2,") for kernel in found)


def test_the_command_names_what_it_knows():
    result = CliRunner().invoke(main, ["kernels", "stylegan2-33"])
    assert result.exit_code == 2
    assert "stylegan2-32" in result.output
