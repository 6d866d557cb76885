"""The page of results: what was measured where, a table for each suite, losses included."""

from collections.abc import Sequence
from typing import Any

from benchmarks.suites import SUITES

_ABOUT = """# Performance

Written by `python -m benchmarks table benchmarks/results/[cg]pu-*.json` from the files there, its
picture by `plot` from the same; nothing on this page is typed in. A ratio is the other's time by
ours, the median of pairs that alternate in one process; its range is from the least to the largest.
Above 1 the library is faster. Generators are of published kinds, with random weights. They are
prepared (`jaxlatent.prepare`): in sweeps and inversions as a part of the work, in the rows of
synthesis before the clock starts. There "preparing" is what it takes once its programs are
compiled, and "as loaded" the ratio, of median times, without it. The other is the original's
algorithm restated in torch (or what the original calls: numpy, scikit-learn), with the same weights
and codes; with `--peer-path` NVIDIA's own StyleGAN2, too, called "original". Of several others the
fastest counts; all are named with their ratios. Errors are the largest difference between the two
results as a share of the largest number, unless said otherwise; rows beyond their tolerance are not
timed. On one core the clock is the process's, else the wall's. glibc is told to keep freed memory,
on both sides, but where it says "default allocator". "Memory" is what the program needs besides its
arguments and results, "source" names the code measured. "Of peak" is, on CPUs, the operations of
the layers' direct form a second as a share of those of a large product of matrices (above 1 is
possible: the library computes fewer, as by Winograd), and on GPUs the images a second as a share of
what `benchmarks/roofline.py` allows.
Rows that are slower, or short of what was hoped, are explained under
[what was tried](optimisations.md#where-it-is-slower-or-short-of-what-was-hoped).

![How many times as fast each case is](images/performance.png)
"""
_VERSIONS = ("jaxlatent", "jax", "torch", "scikit-learn", "numpy", "python")
NAMED = {"device", "machine", "cores", "allocator", "source", *_VERSIONS}
_COLUMNS = (
    "case", "ours, s", "items/s", "of peak", "ratio", "range", "pairs", "all ratios", "as loaded",
    "error", "preparing, s", "compiling, s", "memory, MiB",
)  # fmt: skip
_UNMEASURED = """## GPU

Not measured: none was at hand. `benchmarks/gpu.sh OUT.json` measures one with what is installed on
its machine, downloads nothing and takes less than ten minutes; what it did not reach it measures
when it is called again; `--dry-run` tries it on the CPU. What devices allow is images a second in
bfloat16 by their arithmetic and memory, as `benchmarks/roofline.py` computes it.
"""
_HOPES = {"1024 px, base 32k": "30% of H100", "256 px, base 32k": "45% of H100"}


def page(records: Sequence[dict[str, Any]]) -> str:
    """Returns the page in Markdown."""
    parts = [_ABOUT]
    for same in by_machine(records):
        peaks = [p for p in _all(same, "peak_gflops") if p is not None]
        rows = [row for record in same for row in record["results"]]
        parts.append(
            f"{_machine(same[0]['environment'])}; load {_range([row.get('load') for row in rows])}"
            f"{f'; peak {_range(peaks)} GFLOP/s' if peaks else ''}.\n"
        )
        parts += [f"Measured {_by(same)}.\n"]
        parts += [_suite(suite, found) for suite, found in by_suite(same).items()]
    if not any("(gpu)" in record["environment"]["device"] for record in records):
        parts.append(_UNMEASURED + "\n" + _limits())
    return "\n".join(parts)


def by_machine(records: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Returns the records of each machine; what its allocator does by default comes last."""
    machines: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        machines.setdefault(_machine(record["environment"]), []).append(record)

    def order(same: list[dict[str, Any]]) -> tuple[bool, int]:
        machine = same[0]["environment"]
        return machine["allocator"] == "default", machine["cores"]

    return sorted(machines.values(), key=order)


def by_suite(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of each suite that has any, in the suites' order."""
    rows = [row for record in records for row in record["results"]]
    suites = {suite: [row for row in rows if row["suite"] == suite] for suite in SUITES}
    return {suite: found for suite, found in suites.items() if found}


def place(machine: dict[str, Any]) -> str:
    """Returns the device, how many cores of the machine were used, and by whom memory was kept."""
    cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
    default = ", default allocator" * (machine["allocator"] == "default")
    return f"{machine['device']}, {cores}{default}"


def _machine(machine: dict[str, Any]) -> str:
    """Returns a section's title and what its files have in common."""
    told = ", ".join(f"{name} {machine[name] or 'missing'}" for name in _VERSIONS)
    return f"## {place(machine)}\n\n{machine['machine']}; {told}"


def _all(records: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    return [record["environment"].get(name) for record in records]


def _by(records: Sequence[dict[str, Any]]) -> str:
    """Returns the code's names, each with the commands that measured it."""
    sources: dict[str, list[str]] = {}
    for record in records:
        lines = [f"`{line}`" for line in record.get("commands", [])]
        sources.setdefault(record["environment"]["source"], []).extend(lines)
    return "; ".join(
        f"at source {source} by {', '.join(dict.fromkeys(lines)) or 'a command that is not told'}"
        for source, lines in sources.items()
    )


def _range(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(f"{end:.1f}" for end in (min(known), max(known))) if known else ["unknown"]
    return " to ".join(ends)


def _suite(suite: str, rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"### {suite}\n",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
        "",
    ]
    for row in rows:
        if row["ratio"] is not None and ("error_of" in row or "note" in row):
            said = [f"error is {row['error_of']}"] if "error_of" in row else []
            said += [f"the peer's is {row['error_peer']:.1e}"] if "error_peer" in row else []
            said += [row["note"]] if "note" in row else []
            lines.append(f"- {row['case']}: {'; '.join(said)}.")
    return "\n".join(lines if lines[-1] == "" else [*lines, ""])


def _cells(row: dict[str, Any]) -> list[str]:
    def cell(name: str, form: str) -> str:
        return "" if row.get(name) is None else f"{row[name]:{form}}"

    ratio, ends, every = row["note"] if row["ratio"] is None else "", "", ""
    if row["ratio"] is not None:
        ratio = f"**{row['ratio']:.2f}**{' (slower)' if row['ratio'] < 1 else ''}"
        many = row.get("rounds") != 1
        ends = f"{row['ratio_min']:.2f} to {row['ratio_max']:.2f}" if many else ""
        every = ", ".join(f"{name} {value:.2f}" for name, value in row["ratios"].items())
    stages = [row[s] for s in ("trace_s", "lower_s", "compile_s") if s in row]
    return [
        row["case"],
        cell("ours_s", ".3g"),
        cell("items_per_s", ".3g"),
        cell("peak_share", ".2f"),
        ratio,
        ends,
        cell("rounds", "d"),
        every,
        cell("ratio_plain", ".2f"),
        cell("error", ".1e"),
        cell("prepare_s", ".2f"),
        f"{sum(stages):.1f}" if stages else "",
        cell("temporary_mib", ".0f"),
    ]


def _limits() -> str:
    from benchmarks import models
    from benchmarks.roofline import PEAKS, limit

    cases = {
        "1024 px, base 32k": models.stylegan2(1024, 32768),
        "256 px, base 16k": models.stylegan2(256),
        "256 px, base 32k": models.stylegan2(256, 32768),
    }
    columns = ["StyleGAN2", *(f"{device} allows" for device in PEAKS), "hoped for", "measured"]
    rows = [columns, ["---"] * len(columns)]
    for name, config in cases.items():
        limits = [f"{limit(config, device, 'bfloat16', 8):.0f}" for device in PEAKS]
        rows.append([name, *limits, _HOPES.get(name, ""), "not measured"])
    peer = ["against torch on the same GPU", *[""] * len(PEAKS), "1.5 times as fast"]
    rows.append([*peer, "not measured"])
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), ""])
