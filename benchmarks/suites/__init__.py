"""The suites: each yields its cases, of which a case is measured only when it is run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SUITES = ("synth", "sweep", "find", "invert")


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        quick: whether only the smallest sizes are, in three rounds.
        device: "cpu" or "gpu"; the latter has more pixels and larger batches.
        pca_samples: of the principal components.
        svm_samples: of the boundaries.
        original: the module of a user's checkout, if there is one; see `benchmarks.peers.original`.
    """

    quick: bool = False
    device: str = "cpu"
    pca_samples: int = 100_000
    svm_samples: int = 4000
    original: Any = None

    @property
    def rounds(self) -> int:
        """How often each side is timed."""
        return 3 if self.quick else 5


@dataclass(frozen=True)
class Case:
    """What is measured, and how.

    Attributes:
        suite: its name.
        name: what tells it from the others.
        run: measures it and returns a record of `benchmarks.harness.compare`.
    """

    suite: str
    name: str
    run: Callable[[], dict[str, Any]]


Cases = Callable[[Size], Iterator[Case]]
