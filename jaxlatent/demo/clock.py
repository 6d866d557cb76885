"""What a demo says about each of its steps."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Says what is done and remembers how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self._say = say

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """Times the block; what it appends is the result that is told."""
        start, told = time.perf_counter(), list[str]()
        yield told
        seconds = f"{time.perf_counter() - start:.2f} s"
        self.rows.append((what, seconds, "; ".join(told)))
        self._say(f"{what:<34} {seconds:>8}  {'; '.join(told)}")
