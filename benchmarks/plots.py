"""A picture of the ratios of a run: one bar for each case, grouped by suite."""

import os
from pathlib import Path
from typing import Any

from jaxlatent.errors import UserError
from jaxlatent.files import atomic_file

_ROW = 0.28  # inches of height that a bar takes; a suite's title takes those of two
_FASTER, _SLOWER = "#2a7f9e", "#c0603a"
_ENDINGS = (".pdf", ".png", ".svg")


def plot(records: list[dict[str, Any]], path: str | os.PathLike[str]) -> None:
    """Draws the ratios as bars on a logarithmic axis, from their smallest to their largest.

    Bars go from 1, to the right where the library is faster and to the left where it is not.

    Args:
        records: rows with "suite", "case", "ratio", "ratio_min" and "ratio_max"; those whose ratio
            is `None` have nothing to compare with and are left out.
        path: the picture to write; it must end in `.pdf`, `.png` or `.svg`.

    Raises:
        UserError: if no row has a ratio, `path` does not fit or cannot be written, or matplotlib is
            missing.
    """
    rows = [row for row in records if row["ratio"] is not None]
    if not rows:
        raise UserError("no row has a ratio to draw; run a suite that compares with a peer")
    if Path(path).suffix.lower() not in _ENDINGS:
        raise UserError(f"{os.fspath(path)!r} must end in one of {', '.join(_ENDINGS)}")
    with atomic_file(path) as temporary:
        _draw(rows, temporary)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draws a panel for each suite, one below the other."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator
    except ImportError:
        raise UserError("plots need matplotlib; pip install 'jaxlatent[benchmarks]'") from None
    suites = list(dict.fromkeys(row["suite"] for row in rows))
    groups = [[row for row in rows if row["suite"] == suite] for suite in suites]
    figure = Figure(figsize=(10, 1 + _ROW * (len(rows) + 2 * len(groups))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        len(groups),
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": [len(group) for group in groups]},
    )[:, 0]
    for axes, suite, group in zip(panels, suites, groups, strict=True):
        _bars(axes, suite, group)
    bottom = panels[-1]
    bottom.set_xscale("log")
    bottom.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bottom.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bottom.xaxis.set_minor_formatter(lambda value, _: "")
    least, most = min(row["ratio_min"] for row in rows), max(row["ratio_max"] for row in rows)
    bottom.set_xlim(min(least, 0.5) / 1.1, max(most, 2) ** 1.1 * 1.1)  # room for the numbers
    bottom.set_xlabel("times as fast as what it is compared with (whiskers: least, most)")
    figure.savefig(path, dpi=120)


def _bars(axes: Any, suite: str, rows: list[dict[str, Any]]) -> None:
    """Draws the cases of one suite, the first at the top."""
    ratios = [row["ratio"] for row in rows]
    below = [row["ratio"] - row["ratio_min"] for row in rows]
    above = [row["ratio_max"] - row["ratio"] for row in rows]
    axes.barh(
        range(len(rows)),
        [ratio - 1 for ratio in ratios],
        left=1,
        height=0.7,
        color=[_FASTER if ratio >= 1 else _SLOWER for ratio in ratios],
        xerr=[below, above],
        error_kw={"elinewidth": 1, "capsize": 2},
    )
    axes.axvline(1, color="black", linewidth=1)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(suite, loc="left", fontweight="bold")
    for place, row in enumerate(rows):
        axes.annotate(
            f"{row['ratio']:.3g}",
            (max(row["ratio_max"], 1), place),
            xytext=(5, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=8,
        )
