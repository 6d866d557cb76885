"""A static page of pictures, tables and timings; no script, nothing loaded from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

PAGE = "index.html"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin: 3.5rem 0 .25rem; } h3 { margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; }
img { max-width: 100%; height: auto; border: 1px solid var(--line); background: #fff; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
.numbers td, .numbers th { text-align: right; padding: .35rem .5rem; white-space: nowrap; }
.numbers td:first-child, .numbers th:first-child { text-align: left; }
footer, figcaption { color: var(--soft); } figure { margin: 0; }
"""


@dataclass(frozen=True)
class Sheet:
    """A picture on the page.

    Attributes:
        file: its name, in the page's folder.
        title: its heading.
        about: one sentence below the heading.
    """

    file: str
    title: str
    about: str


@dataclass(frozen=True)
class Matrix:
    """A table of numbers on the page, each cell coloured by its value.

    Attributes:
        rows: names of the rows.
        columns: names of the columns.
        values: a row of numbers for each name; at `full` a cell has its full colour.
        full: see `values`.
        title: its heading.
        about: one sentence below the heading.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    full: float
    title: str
    about: str


@dataclass(frozen=True)
class Section:
    """A part of the page about one generator.

    Attributes:
        title: its heading.
        about: a paragraph below the heading.
        items: what is shown, in order.
    """

    title: str
    about: str
    items: Sequence[Sheet | Matrix]


def write_page(
    path: Path,
    sections: Sequence[Section],
    timings: Sequence[tuple[str, str, str]],
    versions: str,
) -> None:
    """Writes the demo's page.

    Args:
        path: the HTML file; the sheets lie beside it.
        sections: what is shown, in order.
        timings: step, time and remark of each row of the table.
        versions: the line at the foot.
    """
    body = "\n".join(
        f"<section><h2>{escape(s.title)}</h2><p>{escape(s.about)}</p>"
        + "\n".join(_figure(i) if isinstance(i, Sheet) else _matrix(i) for i in s.items)
        + "</section>"
        for s in sections
    )
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in timings
    )
    path.write_text(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jaxlatent demo: editing what a GAN draws</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Semantic directions of generative networks</h1>
{body}
<section><h2>Timings</h2>
<table><thead><tr><th>step</th><th>time</th><th>remark</th></tr></thead><tbody>
{rows}
</tbody></table></section>
<footer><p>{escape(versions)}</p></footer>
</body>
</html>
"""
    )


def _figure(sheet: Sheet) -> str:
    title, about = escape(sheet.title), escape(sheet.about)
    return (
        f'<h3>{title}</h3><p>{about}</p><figure><img loading="lazy" src="{escape(sheet.file)}" '
        f'alt="{title}. {about}"></figure>'
    )


def _matrix(matrix: Matrix) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *matrix.columns))
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(_cell(v, matrix.full) for v in row)}</tr>"
        for name, row in zip(matrix.rows, matrix.values, strict=True)
    )
    return (
        f"<h3>{escape(matrix.title)}</h3><p>{escape(matrix.about)}</p><div class='wide'>"
        f"<table class='numbers'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: float, full: float) -> str:
    color = "46,125,50" if value > 0 else "198,40,40"
    strength = min(abs(value) / full, 1) * 0.8
    return f'<td style="background:rgba({color},{strength:.2f})">{value:+.2f}</td>'
