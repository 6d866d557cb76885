"""The page of results: what was measured where, a table for each suite, losses included."""

from collections.abc import Sequence
from typing import Any

_ABOUT = """# Performance

Written by `python -m benchmarks table benchmarks/results/*.json` from the files there; nothing on
this page is typed in. A ratio is the other's time by ours, the median of pairs that alternate in
one process; its range is from the least to the largest. Above 1 the library is faster. The other
is the original's algorithm restated in torch (or what the original calls: numpy, scikit-learn),
with the same weights and codes. Of several others the fastest counts; all are named with their
ratios. Errors are the largest difference between the two results as a share of the largest number,
unless said otherwise; rows beyond their tolerance are not timed. On one core the clock is the
process's, else the wall's.
"""
_UNMEASURED = """## GPU and TPU

Not measured: no such device was at hand. `benchmarks/gpu.sh OUT.json` measures one with what is
installed on its machine, downloads nothing and takes less than ten minutes; `--dry-run` tries it on
the CPU. Of one StyleGAN2's images a second, what the arithmetic and the memory allow (bfloat16,
computed by `benchmarks/roofline.py`, no measurement):
"""


def page(records: Sequence[dict[str, Any]]) -> str:
    """Returns the page in Markdown."""
    parts = [_ABOUT]
    for record in records:
        parts.append(_environment(record["environment"]))
        suites = dict.fromkeys(row["suite"] for row in record["results"])
        parts += [_suite(s, [r for r in record["results"] if r["suite"] == s]) for s in suites]
    if not any("(gpu)" in record["environment"]["device"] for record in records):
        parts.append(_UNMEASURED + "\n" + _limits())
    return "\n".join(parts)


def _environment(machine: dict[str, Any]) -> str:
    versions = ("jaxlatent", "jax", "torch", "scikit-learn", "numpy", "python")
    told = ", ".join(f"{name} {machine[name]}" for name in versions)
    cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
    return (
        f"## {machine['device']}, {cores}\n\n{machine['machine']}; {told}; "
        f"{machine['allocator']} allocator; load at the start {machine['load']:.1f}.\n"
    )


def _suite(suite: str, rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"### {suite}\n",
        "| case | ours, s | items/s | ratio | range | all ratios | error | compiling, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    notes = []
    for row in rows:
        if row["ratio"] is None:
            lines.append(f"| {row['case']} | | | {row['note']} | | | {row['error']:.1e} | |")
            continue
        lost = " (slower)" if row["ratio"] < 1 else ""
        every = ", ".join(f"{name} {ratio:.2f}" for name, ratio in row["ratios"].items())
        stages = [row[s] for s in ("trace_s", "lower_s", "compile_s") if s in row]
        lines.append(
            f"| {row['case']} | {row['ours_s']:.3g} | {row['items_per_s']:.3g} | "
            f"**{row['ratio']:.2f}**{lost} | {row['ratio_min']:.2f} to {row['ratio_max']:.2f} | "
            f"{every} | {row['error']:.1e} | {f'{sum(stages):.1f}' if stages else ''} |"
        )
        if "error_of" in row or "note" in row:
            said = [f"error is {row['error_of']}"] if "error_of" in row else []
            said += [f"the peer's is {row['error_peer']:.1e}"] if "error_peer" in row else []
            said += [row["note"]] if "note" in row else []
            notes.append(f"- {row['case']}: {'; '.join(said)}.")
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def _limits() -> str:
    from benchmarks import models
    from benchmarks.roofline import PEAKS, limit

    cases = {
        "1024 px, base 32k": models.stylegan2(1024, 32768),
        "256 px, base 16k": models.stylegan2(256),
        "256 px, base 32k": models.stylegan2(256, 32768),
    }
    lines = ["| StyleGAN2 | " + " | ".join(PEAKS) + " |", "|---" * (len(PEAKS) + 1) + "|"]
    for name, config in cases.items():
        limits = [f"{limit(config, device, 'bfloat16', 8):.0f}" for device in PEAKS]
        lines.append(f"| {name} | " + " | ".join(limits) + " |")
    return "\n".join([*lines, ""])
