"""Finders of spaces: exact components against incremental ones, and chance against boundaries.

`python -m benchmarks.spaces` prints CPU seconds, which a busy machine changes less than the wall's.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlatent.find import covariance, ganspace, linear_map_sweep

BOUNDARIES = Path(__file__).parents[2] / "shared/oracles/genforce+interfacegan/boundaries"


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the CPU seconds of a second call, and its result."""
    work()
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def components(n: int, d: int, k: int) -> None:
    """Compares exact components with scikit-learn's incremental ones, which the original takes."""
    from sklearn.decomposition import IncrementalPCA

    random = np.random.RandomState(0)
    codes = random.standard_normal((n, d)).astype(np.float32)
    codes = codes @ (random.standard_normal((d, d)) * np.logspace(0, -1.5, d)).astype(np.float32)
    ours, found = cpu(lambda: ganspace(codes, k))
    model = IncrementalPCA(k, batch_size=max(100, 2 * k))
    start = time.process_time()
    for first in range(0, n, 2000):
        model.partial_fit(codes[first : first + 2000])
    theirs = time.process_time() - start
    values, vectors = np.linalg.eigh(np.cov(codes.astype(np.float64).T))
    values, vectors = values[::-1][:k], vectors[:, ::-1].T[:k]
    print(f"components of {n} x {d}, k = {k}: {ours:.2f} s, incremental {theirs:.2f} s")
    rows = np.asarray(found.vectors[:, 0], np.float64)
    for name, scores, basis in (
        ("exact", np.asarray(found.scores), rows),
        ("incremental", model.explained_variance_, model.components_),
    ):
        error = np.abs(scores / values - 1).max()
        angle = np.linalg.svd(basis @ vectors.T)[1].min()
        print(f"  {name}: largest error of a variance {error:.1e}, worst cosine {angle:.6f}")


def chance(n: int) -> None:
    """Prints how far the components of spherical codes are from InterFaceGAN's boundaries."""
    if not BOUNDARIES.is_dir():
        print(f"no boundaries in {BOUNDARIES}")
        return
    names = ("pose", "gender", "age", "eyeglasses", "smile")
    files = [BOUNDARIES / f"pggan_celebahq_{name}_boundary.npy" for name in names]
    rows = np.concatenate([np.load(file) for file in files])
    keys = jax.random.split(jax.random.key(0), n // 10_000)
    draw = jax.jit(lambda key: jax.random.normal(key, (10_000, 512)))
    found = ganspace((draw(key) for key in keys), 512)
    away = 1 - np.abs(np.asarray(found.vectors[:, 0], np.float64) @ rows.T)
    for first in (512, 40):
        best = away[:first].min(axis=0)
        print(
            f"  best distance over {first}: {dict(zip(names, best.round(2).tolist(), strict=True))}"
        )


def maps(n: int, d: int, attributes: int) -> None:
    """Prints what orthogonality costs, and how long a sweep over its strength takes."""
    random = np.random.RandomState(0)
    truth = 0.5 * random.standard_normal((attributes, d)) + random.standard_normal((1, d))
    codes = random.standard_normal((n, d))
    targets = codes @ truth.T + np.sqrt(d) * random.standard_normal((n, attributes))
    strengths = [0.0, 0.01, 0.1, 1.0, 10.0]
    for penalty in ("gram", "offdiag", "cosine"):

        def fit(penalty: Any = penalty) -> Any:
            return linear_map_sweep(codes, targets, strengths, penalty=penalty)

        seconds, found = cpu(fit)
        print(
            f"{penalty}, {n} x {d} -> {attributes}, {len(strengths)} strengths: {seconds:.2f} s, "
            f"similarity {found.similarity.round(3).tolist()}, "
            f"R2 {found.r2.mean(axis=1).round(3).tolist()}, gradient {found.gradient.max():.0e}"
        )


def main(quick: bool) -> None:
    """Prints all figures."""
    rows = np.random.RandomState(0).standard_normal((20_000, 512)).astype(np.float32)
    print(f"covariance of 20000 x 512: {cpu(lambda: covariance(rows))[0]:.2f} s")
    components(20_000 if quick else 100_000, 512, 80)
    maps(5_000, 128, 14)
    print("components of spherical codes against InterFaceGAN's boundaries:")
    chance(50_000 if quick else 500_000)


if __name__ == "__main__":
    main("--quick" in sys.argv)
