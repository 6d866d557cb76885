"""Memory is kept where glibc allocates it, unless the user decides."""

import subprocess
import sys

import pytest

from jaxlatent import allocator

PROGRAM = """
import resource
import numpy as np
from jaxlatent import keep_memory
kept = {ask}
for _ in range(4):
    np.ones(1 << 26, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    np.ones(1 << 26, np.uint8)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(ask, **environment):
    program = [sys.executable, "-c", PROGRAM.format(ask=ask)]
    told = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    kept, count = told.stdout.split()
    return kept == "True", int(count)


@pytest.mark.skipif(allocator.platform.libc_ver()[0] != "glibc", reason="glibc's alone")
def test_large_arrays_are_given_out_again_without_page_faults():
    assert faults("keep_memory()") == (True, pytest.approx(0, abs=20))
    assert faults("False")[1] > 100, "of 2 MiB at most, else there were nothing to keep"


def test_the_users_own_settings_stay():
    assert not faults("keep_memory()", MALLOC_ARENA_MAX="2")[0]


def test_elsewhere_nothing_happens(monkeypatch):
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_memory()
