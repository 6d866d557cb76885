"""`python -m benchmarks.boundaries`: boundaries at their optimum beside those of libsvm."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from sklearn.svm import SVC

from benchmarks.harness import compare, environment
from jaxlatent.files import atomic_file
from jaxlatent.find.svm import Loss, linear_svm

_SIZES = (
    *((n, 64) for n in (500, 2000, 4000, 14000)),
    *((n, 512) for n in (500, 1400, 2000, 2800, 5600, 14000)),
)
_POOL = 10  # candidates for each chosen sample


def problem(n: int, d: int, attributes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns Gaussian codes, and the rows and signs of noisy linear attributes' two ends."""
    random = np.random.default_rng(0)
    codes = random.standard_normal((_POOL * n, d), dtype=np.float32)
    rows = []
    for _ in range(attributes):
        normal = random.standard_normal(d) / np.sqrt(d)
        order = np.argsort(codes @ normal + random.standard_normal(len(codes)))
        rows.append(np.concatenate([order[-(n // 2) :], order[: n // 2]]))
    signs = np.where(np.arange(n) < n // 2, 1, -1)
    return codes, np.stack(rows), np.tile(signs, (attributes, 1))


def _hinge(codes: np.ndarray, rows: np.ndarray, signs: np.ndarray, plane: np.ndarray) -> float:
    """Returns the objective of the first problem at a hyperplane [d + 1]."""
    margins = signs[0] * (codes[rows[0]].astype(np.float64) @ plane[:-1] + plane[-1])
    return float(plane[:-1] @ plane[:-1] / 2 + np.maximum(0, 1 - margins).sum())


def _case(n: int, d: int, attributes: int, loss: Loss, rounds: int) -> dict[str, Any]:
    codes, rows, signs = problem(n, d, attributes)
    fits: dict[str, Any] = {}

    def ours() -> np.ndarray:
        fits["ours"] = linear_svm(codes, rows, signs, loss)
        return np.concatenate([fits["ours"].weight, fits["ours"].intercept[:, None]], axis=1)

    def libsvm() -> np.ndarray:
        machines = [SVC(kernel="linear").fit(codes[r], s) for r, s in zip(rows, signs, strict=True)]
        fits["svc"] = np.stack([np.append(m.coef_[0], m.intercept_[0]) for m in machines])
        return fits["svc"]

    name = f"{loss}, {attributes} x {n} x {d} against SVC"
    row = compare(name, attributes, ours, libsvm, rounds)
    fit, svc = fits["ours"], fits["svc"]
    plane = np.append(fit.weight[0], fit.intercept[0])
    products = np.sum(fit.weight * svc[:, :-1], axis=1)
    lengths = np.linalg.norm(fit.weight, axis=1) * np.linalg.norm(svc[:, :-1], axis=1)
    return row | {
        "cosine": float(np.min(products / lengths)),
        "objective": _hinge(codes, rows, signs, plane),
        "objective_svc": _hinge(codes, rows, signs, svc[0]),
        "relative_gap": float(np.max(fit.gap / fit.objective)),
        "cosine_bound": 1 - float(np.max(fit.gap / np.sum(fit.weight**2, axis=1))),
        "iterations": int(np.max(fit.iterations)),
    }


def cases(quick: bool) -> Iterator[dict[str, Any]]:
    """Yields one record a case; `quick` keeps to the smallest sizes."""
    measure = partial(_case, loss="hinge", rounds=1)
    for n, d in _SIZES[: 2 if quick else None]:
        yield measure(n, d, 1)
    yield measure(200, 64, 40)
    if not quick:
        yield measure(2800, 128, 40)
        for loss in ("squared_hinge", "logistic"):
            yield _case(5600, 512, 1, loss, rounds=1)


@click.command()
@click.option("--quick", is_flag=True, help="The smallest sizes only.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def main(quick: bool, out: Path | None) -> None:
    """Measure boundaries; a ratio above 1 means that the library is faster than scikit-learn."""
    machine, rows = environment(), []
    click.echo(" ".join(f"{k}={v}" for k, v in machine.items()), err=True)
    columns = ("cosine", "objective", "objective_svc", "relative_gap", "iterations")
    click.echo(f"{'case':<42} {'ours_s':>8} {'svc_s':>8} {'ratio':>7} " + " ".join(columns))
    for row in cases(quick):
        rows.append(row)
        click.echo(
            f"{row['case']:<42} {row['ours_s']:>8.2f} {row['other_s']:>8.2f} "
            f"{row['ratio']:>7.2f} {row['cosine']:.7f} {row['objective']:.6g} "
            f"{row['objective_svc']:.6g} {row['relative_gap']:.1e} {row['iterations']}"
        )
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(
                json.dumps({"environment": machine, "results": rows}, indent=2) + "\n"
            )


if __name__ == "__main__":
    sys.exit(main())
