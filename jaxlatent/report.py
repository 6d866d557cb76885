"""A static page that shows contact sheets and timings; no script, nothing loaded from outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

PAGE = "index.html"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #888; }
body { font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin: 2.5rem 0 .25rem; } p { margin: .25rem 0 .75rem; }
img { max-width: 100%; height: auto; border: 1px solid var(--line); background: #fff; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
td:nth-child(2) { font-variant-numeric: tabular-nums; white-space: nowrap; }
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


def write_page(
    path: Path, sheets: Sequence[Sheet], timings: Sequence[tuple[str, str, str]], versions: str
) -> None:
    """Writes the demo's page.

    Args:
        path: the HTML file; the sheets lie beside it.
        sheets: what is shown, in order.
        timings: step, time and remark of each row of the table.
        versions: the line at the foot.
    """
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in timings
    )
    figures = "\n".join(
        f'<section><h2>{escape(s.title)}</h2><p>{escape(s.about)}</p><figure><img loading="lazy" '
        f'src="{escape(s.file)}" alt="{escape(s.title)}. {escape(s.about)}"></figure></section>'
        for s in sheets
    )
    path.write_text(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>jaxlatent demo: editing faces</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Semantic directions of a face GAN</h1>
<p>A DCGAN trained on photographs of faces, converted from its PyTorch checkpoint. SeFa reads the
directions off the weights of its first layer, without any sample or label; each sweep below moves
faces along one of them. Positions are in standard deviations of the latent prior.</p>
{figures}
<section><h2>Timings</h2>
<table><thead><tr><th>step</th><th>time</th><th>remark</th></tr></thead><tbody>
{rows}
</tbody></table></section>
<footer><p>{escape(versions)}</p></footer>
</body>
</html>
"""
    )
