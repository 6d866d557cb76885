"""Outputs appear whole or not at all."""

from pathlib import Path

import numpy as np
import pytest

from jaxlatent import UserError
from jaxlatent.files import atomic_file, atomic_folder, read_npy


def marked(folder):
    """Stands for a kind of folder: one that holds a mark and nothing else."""
    return [p.name for p in folder.iterdir()] == ["mark"]


class Interrupted(BaseException):
    pass


def interrupt(file):
    file.write_text("half")
    raise Interrupted


def test_an_interrupted_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(Interrupted), atomic_file(path) as temporary:
        interrupt(temporary)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_an_interrupted_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "model"
    with atomic_folder(path, marked) as temporary:
        (temporary / "mark").write_text("old")
    with pytest.raises(Interrupted), atomic_folder(path, marked) as temporary:
        interrupt(temporary / "mark")
    assert (path / "mark").read_text() == "old"
    with atomic_folder(path, marked) as temporary:
        (temporary / "mark").write_text("new")
    assert (path / "mark").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("moves_back", [True, False])
def test_an_interruption_between_the_renames_loses_nothing(tmp_path, monkeypatch, moves_back):
    """Even if the old folder cannot be moved back, it is kept under its temporary name."""
    path = tmp_path / "model"
    with atomic_folder(path, marked) as temporary:
        (temporary / "mark").write_text("old")
    rename, calls = Path.rename, []

    def interrupted(self, target):
        calls.append(target)
        if len(calls) == 2 or (len(calls) == 3 and not moves_back):
            raise Interrupted
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(Interrupted), atomic_folder(path, marked) as temporary:
        (temporary / "mark").write_text("new")
    assert [p.read_text() for p in tmp_path.rglob("mark")] == ["old"]
    assert path.exists() == moves_back


@pytest.mark.parametrize("early", [True, False])
def test_what_appears_during_the_work_is_kept(tmp_path, early):
    path = tmp_path / "model"
    if early:
        with atomic_folder(path, marked) as temporary:
            (temporary / "mark").write_text("old")

    def work(folder):
        (folder / "mark").write_text("new")
        path.mkdir(exist_ok=True)
        (path / "thesis.txt").write_text("years of work")

    with pytest.raises(UserError, match="holds other things"), atomic_folder(path, marked) as new:
        work(new)
    assert (path / "thesis.txt").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "model").mkdir()
    with atomic_folder(tmp_path / "model", marked) as temporary:
        (temporary / "mark").touch()
    assert (tmp_path / "model" / "mark").is_file()


def test_links_are_kept(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "link", marked) as temporary:
            (temporary / "mark").write_text(content)
    with atomic_file(tmp_path / "link" / "mark") as temporary:
        temporary.write_text("newest")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "mark").read_text() == "newest"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]


def test_long_names_are_written(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    with atomic_file(path) as temporary:
        temporary.touch()
    assert path.is_file()


@pytest.mark.parametrize("writer", [atomic_file, lambda p: atomic_folder(p, marked)])
def test_places_that_cannot_be_written_are_found_first(tmp_path, writer):
    (tmp_path / "file").touch()
    for place in ("none/a", "file/a", "../../../../../../../proc/a"):
        with pytest.raises(UserError, match="cannot write"), writer(tmp_path / place):
            pytest.fail("the block must not run")


@pytest.mark.parametrize("writer", [atomic_file, lambda p: atomic_folder(p, marked)])
def test_odd_names_are_refused(tmp_path, writer):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match="cannot write"), writer(tmp_path / "loop"):
        pytest.fail("the block must not run")
    with pytest.raises(UserError, match="is empty"), writer(""):
        pytest.fail("the block must not run")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UserError, match="it is a folder"), atomic_file(tmp_path):
        pytest.fail("the block must not run")


def test_read_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), [0, 1, 2])
    with pytest.raises(UserError, match="no such file"):
        read_npy(tmp_path / "b.npy")
    with pytest.raises(UserError, match="is a folder"):
        read_npy(tmp_path)
    np.save(tmp_path / "labels.npy", np.array([True, False]))
    np.testing.assert_array_equal(read_npy(tmp_path / "labels.npy"), [1, 0])
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-4])
    with pytest.raises(UserError, match=r"no \.npy array"):
        read_npy(tmp_path / "b.npy")
    for odd, message in (
        (np.float32(3), "single number"),
        (np.zeros((0, 3)), "is empty"),
        (np.array([1e300]), "beyond float32"),
        (np.array([np.nan]), "not finite"),
        (np.array(["text"]), "but of"),
    ):
        np.save(tmp_path / "odd.npy", odd)
        with pytest.raises(UserError, match=message):
            read_npy(tmp_path / "odd.npy")
    headers = [b"((((", b"{[]: 1}", b"{'descr': ',,,,', 'fortran_order': False, 'shape': (1,)}"]
    headers += [b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}" % 2**70]
    for header in headers:
        length = len(header).to_bytes(2, "little")
        (tmp_path / "odd.npy").write_bytes(b"\x93NUMPY\x01\x00" + length + header)
        with pytest.raises(UserError, match=r"no \.npy array of numbers: ."):
            read_npy(tmp_path / "odd.npy")
    np.savez(tmp_path / "c.npz", a=np.ones(3))
    with pytest.raises(UserError, match=r"no \.npy array"):
        read_npy(tmp_path / "c.npz")
