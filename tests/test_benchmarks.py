"""The harness measures what it says."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import jax
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import STYLEGAN2_CONFIG, filled

from benchmarks.__main__ import main
from benchmarks.harness import compare, environment, with_torch
from benchmarks.page import page
from benchmarks.peers import stylegan2
from benchmarks.peers.inversion import one_after_the_other, torch_peer
from benchmarks.process import need_gpu
from benchmarks.records import measured
from benchmarks.suites import Case, Size, find, invert, sweep, synth
from jaxlatent.invert import Recipe, Schedule
from jaxlatent.invert import invert as run


def slow():
    time.sleep(0.02)
    return np.array([1.0, 2.5])


def test_ratio_and_error():
    row = compare("case", 2, lambda: np.array([1.0, 2.0]), {"a": slow, "b": slow}, rounds=3)
    assert row["wall_s"] < 0.01
    assert row["error"] == 0.25, "a share of the largest number"
    assert row["items_per_s"] == pytest.approx(2 / row["ours_s"])
    assert set(row["ratios"]) == {"a", "b"}
    assert row["ratio"] == min(row["ratios"].values())
    if row["clock"] == "wall":
        assert row["ratio_min"] > 1
        assert row["other_s"] == pytest.approx(0.02, rel=0.5)


def test_no_number_is_no_parity():
    row = compare(
        "case",
        1,
        lambda: np.ones(2),
        {"a": lambda: np.ones(2), "b": lambda: np.ones(2) * np.nan},
        1,
        1.0,
    )
    assert row["ratio"] is None


def test_what_differs_is_not_timed():
    calls = []

    def other():
        calls.append(0)
        return slow()

    row = compare("case", 2, lambda: np.array([1.0, 2.0]), other, rounds=3, tolerance=0.2)
    assert row["ratio"] is None
    assert len(calls) == 1
    assert "parity failed" in page([{"environment": environment(), "results": [SUITE | row]}])


SUITE = {"suite": "synth"}
ROW = SUITE | {
    "case": "one", "items": 1, "ours_s": 0.5, "items_per_s": 2.0, "ratio": 0.5, "ratio_min": 0.4,
    "ratio_max": 0.6, "ratios": {"torch": 0.5}, "error": 1e-7, "compile_s": 1.25, "rounds": 5,
    "ratio_plain": 0.4, "prepare_s": 0.125, "load": 1.3,
}  # fmt: skip


def test_the_page_keeps_what_is_slower_and_what_is_not_measured():
    text = page([{"environment": environment(), "results": [ROW]}])
    assert (
        "| one | 0.5 | 2 |  | **0.50** (slower) | 0.40 to 0.60 | 5 | torch 0.50 | 0.40 | 1.0e-07 "
        "| 0.12 | 1.2 |" in text
    )
    assert "Not measured" in text
    once = page([{"environment": environment(), "results": [ROW | {"rounds": 1}]}])
    assert "**0.50** (slower) |  | 1 |" in once, "one pair has no range"
    assert "H100" in text


def test_one_section_for_a_machine_and_suites_in_order():
    here, more = environment() | {"peak_gflops": 60.0}, ROW | {"case": "two", "load": 0.5}
    last = [*(more | {"suite": suite} for suite in ("invert", "sweep")), ROW]
    older = here | {"source": "0"}
    records = [
        {"environment": older, "results": [more | {"suite": "find"}], "commands": ["a b"]},
        {"environment": here | {"cores": 99}, "results": [more]},
        {"environment": here, "results": last},
    ]
    lines = page(records).splitlines()
    titles = [line for line in lines if line.startswith(("### ", "## "))]
    assert titles[1:5] == ["### synth", "### sweep", "### find", "### invert"]
    assert "99 cores" in titles[5]
    assert titles[6:] == ["### synth", "## GPU"]
    assert "load 0.5 to 1.3; peak 60.0 GFLOP/s." in "\n".join(lines)
    source = f"at source {here['source']} by a command that is not told."
    assert f"Measured at source 0 by `a b`; {source}" in lines


def test_the_share_of_the_peak_is_a_column():
    text = page([{"environment": environment(), "results": [ROW | {"peak_share": 0.75}]}])
    assert "| case | ours, s | items/s | of peak | ratio |" in text
    assert "| one | 0.5 | 2 | 0.75 | **0.50** (slower) |" in text


def test_a_run_goes_on_where_it_was(tmp_path):
    out, measured_cases = tmp_path / "out.json", []

    def case(name):
        row = {"case": name, "ratio": 1.0}
        return Case("synth", name, lambda: measured_cases.append(name) or row)

    first = measured([case("a"), case("b")], out, command="one")
    assert next(first)["case"] == "a"  # interrupted here
    rows = list(measured([case("a"), case("b")], out, command="two"))
    assert [row["case"] for row in rows] == ["b"]
    assert measured_cases == ["a", "b"]
    held = json.loads(out.read_text())
    assert [row["suite"] for row in held["results"]] == ["synth", "synth"]
    assert held["commands"] == ["one", "two"]
    held["environment"] |= {"load": 99.0, "peak_gflops": 1.0}  # these vary from run to run
    out.write_text(json.dumps(held))
    assert len(list(measured([case("b"), case("c")], out))) == 1
    assert len(json.loads(out.read_text())["results"]) == 3
    with pytest.raises(click.UsageError, match=r"original was None, is training\.networks;"):
        next(measured([case("d")], out, "training.networks"))
    held["environment"]["jax"] = "0.1"
    out.write_text(json.dumps(held))
    with pytest.raises(click.UsageError, match=r"jax was 0\.1"):
        next(measured([case("c")], out))


def test_two_results_are_compared(tmp_path):
    files = []
    for index, seconds in enumerate((0.5, 0.25)):
        files.append(tmp_path / f"{index}.json")
        place = environment() | {"cores": index}
        record = {"environment": place, "results": [ROW | {"ours_s": seconds}]}
        files[-1].write_text(json.dumps(record))
    told = CliRunner().invoke(main, ["compare", *map(str, files)])
    assert told.stdout.split() == ["one", "2.00"]
    assert told.stderr == "not alike: cores was 0, is 1\n"


def test_what_cannot_be_measured_is_told_and_tried_again(tmp_path):
    out, left = tmp_path / "out.json", [MemoryError("no room\nfor it")]

    def run():
        if left:
            raise left.pop()
        return {"case": "a", "ratio": 1.0}

    cases = [Case("synth", "a", run), Case("synth", "b", lambda: {"case": "b", "ratio": 1.0})]
    rows = list(measured(cases, out))
    assert rows[0]["note"] == "not measured: MemoryError: no room"
    assert rows[1]["case"] == "b", "the others are measured"
    assert "MemoryError" in page([json.loads(out.read_text()) | {"results": rows[:1]}])
    assert not list(measured(cases[1:], out)), "what failed is not forgotten by others"
    again = list(measured(cases, out))
    assert [(row["case"], row["ratio"]) for row in again] == [("a", 1.0)]
    assert [row["case"] for row in json.loads(out.read_text())["results"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("table {bad}", "holds no results"),
        ("table {empty}", "holds no results"),
        ("plot {list} --out a.png", "holds no results"),
        ("compare {bad} {bad}", "holds no results"),
        ("table {folder}", "is a directory"),
        ("plot {none} --out a.png", "no row has a ratio"),
        ("plot {good} --out a.txt", "must end in one of"),
        ("plot {good} --out missing/a.png", "there is no folder"),
        ("run --out missing/a.json", "there is no folder"),
        ("run --out {folder}", "is a directory"),
        ("run --threads 99999", "more than the"),
        ("run --threads -1", "not in the range"),
        ("run --svm-samples 1", "not in the range"),
    ],
)
def test_mistakes(line, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXLATENT_BENCHMARK", raising=False)
    good = {"environment": environment(), "results": [ROW]}
    none = good | {"results": [SUITE | {"case": "one", "ratio": None, "note": "none"}]}
    texts = {"bad": "{", "empty": "{}", "list": "[]"}
    texts |= {"good": json.dumps(good), "none": json.dumps(none)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    names = {name: tmp_path / name for name in texts} | {"folder": tmp_path}
    told = CliRunner().invoke(main, line.format(**names).split())
    assert told.exit_code == 2, told.output
    assert message in told.output


def test_no_gpu_is_told():
    with pytest.raises(click.UsageError, match="no GPU is seen by jax"):
        need_gpu(None)


@pytest.mark.parametrize("suite", [synth, sweep, find, invert])
@pytest.mark.parametrize("size", [Size(), Size(quick=True), Size(device="gpu")])
def test_cases_have_names_of_their_own(suite, size):
    names = [case.name for case in suite.cases(size)]
    assert len(set(names)) == len(names) >= 2


@pytest.mark.parametrize("fused", [True, False])
def test_the_peer_of_stylegan2_makes_the_same_images(fused):
    torch = pytest.importorskip("torch")
    generator = filled(STYLEGAN2_CONFIG)
    codes = generator.broadcast(generator.map(generator.sample_z(jax.random.key(0), 3)))
    codes = codes + jax.random.normal(jax.random.key(1), codes.shape)
    images = stylegan2.torch_peer(generator, fused)(torch.tensor(np.array(codes)))
    ours = np.asarray(generator.synthesize(codes))
    np.testing.assert_allclose(images.permute(0, 2, 3, 1), ours, atol=1e-4)


def test_the_machine_is_recorded():
    assert {"jax", "device", "cores", "load"} <= environment().keys()


def test_the_peer_of_inversion_is_the_same_algorithm(dcgan):
    torch = pytest.importorskip("torch")
    codes = dcgan.sample_z(jax.random.key(0), 2)
    z, images = np.array(codes), np.asarray(dcgan.synthesize(codes[:, None]))
    network = torch_peer(dcgan)
    rendered = network(torch.from_numpy(z[:, :, None, None])).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(rendered, images, atol=1e-4)
    starts = z + np.float32(0.5)
    losses = one_after_the_other(network, images, starts, 12)
    recipe = Recipe("z", 12, Schedule(0.1, fall=0.5))
    found = run(dcgan, images, recipe, jax.random.key(0), codes=starts)
    np.testing.assert_allclose(losses, found.loss, rtol=0.02)


@pytest.mark.usefixtures("lenient")  # as checked annotations are in the way of compiling ahead
@pytest.mark.parametrize(
    ("suite", "name"),
    [(synth, "StyleGAN2"), (synth, "DCGAN"), (sweep, "all"), (find, "PCA"), (invert, "1 image")],
)
def test_without_torch_the_library_is_timed_alone(suite, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it could not be imported
    case = next(case for case in suite.cases(Size(quick=True)) if name in case.name)
    row = case.run()
    assert (row["ratio"], row["note"]) == (None, "torch is not installed")
    assert row["ours_s"] > 0
    text = page([{"environment": environment(), "results": [{"suite": case.suite} | row]}])
    cells = next(line for line in text.splitlines() if case.name in line).split("|")
    assert float(cells[3]) == pytest.approx(row["items_per_s"], rel=0.01)
    assert cells[5].strip() == "torch is not installed"


def test_only_torch_may_be_missing():
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        with_torch(lambda: __import__("nothing_of_this_name"))


def test_a_linear_map_is_what_ridge_finds():
    case = next(case for case in find.cases(Size(quick=True)) if "Ridge" in case.name)
    assert case.run()["error"] < 1e-5


_COUNTS = """
from benchmarks.process import settle, torch_with_threads
from jaxlatent.threads import cores
settle({asked}, "cpu", False)
from pathlib import Path
import jax
jax.numpy.ones(3).block_until_ready()
tasks = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
print(cores(), sum("XLAEigen" in task for task in tasks), torch_with_threads().get_num_threads())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("asked", [0, 1])
def test_both_sides_have_as_many_threads_as_there_are_cores(asked):
    pytest.importorskip("torch")
    told = {"OMP_NUM_THREADS": "3", "NPROC": "5"}  # of the user's own, which would part them
    done = subprocess.run(
        [sys.executable, "-c", _COUNTS.format(asked=asked)],
        env={k: v for k, v in os.environ.items() if k != "JAXLATENT_BENCHMARK"} | told,
        capture_output=True,
        text=True,
        check=True,
    )
    count = str(asked or len(os.sched_getaffinity(0)))
    assert done.stdout.split() == [count] * 3


def test_the_page_is_what_the_committed_results_make():
    root = Path(__file__).parents[1]
    files = sorted((root / "benchmarks" / "results").glob("[cg]pu-*.json"))
    records = [json.loads(file.read_text()) for file in files]
    assert (root / "docs" / "performance.md").read_text() == page(records)
    rows = [row for record in records for row in record["results"]]
    assert all(row["error"] is not None for row in rows)
    assert all(row["ratio"] is not None or row["note"] for row in rows)
