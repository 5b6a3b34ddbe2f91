"""A page of HTML that stands alone: its text, tables, pictures and charts are all in one file.

Nothing is fetched: plotly's script is inside once, pictures are data URIs, and the page forbids
itself every address. All text is escaped here, where it becomes markup.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; font-src data:"
)

_STYLE = """
:root { color-scheme: light dark; --text: #1f2430; --quiet: #5d6675; --line: #d9dee6;
  --ground: #fff; --panel: #f4f6f9; --warn: #9a4a00; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ef; --quiet: #9aa3b2; --line: #333a46; --ground: #10131a; --panel: #1a1f29;
    --warn: #ffb066; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 32px 24px 64px; max-width: 1120px; background: var(--ground);
  color: var(--text); font: 15px/24px system-ui, sans-serif; }
h1 { margin: 0 0 4px; font-size: 28px; line-height: 36px; }
h2 { margin: 48px 0 8px; padding-top: 16px; border-top: 1px solid var(--line); font-size: 20px; }
h3 { margin: 24px 0 4px; font-size: 15px; }
p { margin: 4px 0 8px; max-width: 80ch; }
.quiet, figcaption { color: var(--quiet); }
.warn { color: var(--warn); }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--quiet); font-weight: 500; }
.scroll { overflow-x: auto; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)); gap: 16px; }
.images figure { margin: 0; font-size: 12px; line-height: 16px; overflow-wrap: anywhere; }
.images img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain;
  background: var(--panel); border-radius: 4px; margin-bottom: 4px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr));
  gap: 0 24px; }
@media print { h2 { break-after: avoid; } .images figure { break-inside: avoid; } }
"""

# Charts take the page's colours, and take them again when the screen's theme changes.
_DRAW = """
const dark = matchMedia("(prefers-color-scheme: dark)");
function draw() {
  const style = getComputedStyle(document.documentElement);
  const line = style.getPropertyValue("--line"), text = style.getPropertyValue("--text");
  const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
  const template = { layout: { xaxis: axis, yaxis: axis, font: { color: text, size: 12 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" } };
  for (const box of document.querySelectorAll(".chart")) {
    const { data, layout } = JSON.parse(box.nextElementSibling.textContent);
    Plotly.react(box, data, { ...layout, template, autosize: true },
      { responsive: true, displayModeBar: false });
  }
}
draw();
dark.addEventListener("change", draw);
"""


@dataclass(frozen=True)
class Picture:
    """One image of a grid, as JPEG, with the lines below it; None for one whose file is lost."""

    jpeg: bytes | None
    lines: tuple[str, ...]


def page(title: str, body: Iterable[str]) -> str:
    """The whole file.

    Args:
        title: of the page.
        body: its parts, as the functions here make them.
    """
    from plotly.offline import get_plotlyjs

    return "".join(
        [
            "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>",
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            "<meta name='viewport' content='width=device-width, initial-scale=1'>",
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n",
            *body,
            f"\n<script>{get_plotlyjs()}</script>\n<script>{_DRAW}</script></body></html>\n",
        ]
    )


def heading(text: str, *, level: int = 2) -> str:
    """A heading; 1 is the page's own."""
    return f"<h{level}>{html.escape(text)}</h{level}>\n"


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph; `kind` is `quiet`, `warn` or nothing."""
    return f'<p class="{kind}">{html.escape(text)}</p>\n' if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; None is a dash, floats have three decimals, whole numbers their commas."""
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_written(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<div class='scroll'><table><tr>{top}</tr>{body}</table></div>\n"


def pictures(shown: Iterable[Picture]) -> str:
    """A grid of images."""
    return "<div class='images'>" + "".join(map(_picture, shown)) + "</div>\n"


def chart(figure: Figure) -> str:
    """A chart, drawn when the page opens."""
    described = json.loads(figure.to_json())
    described["layout"].pop("template", None)  # the page's own stands in for it
    # Within a script element only "</" and "<!--" would be read as markup.
    text = json.dumps(described, separators=(",", ":")).replace("<", "\\u003c")
    height = int(figure.layout.height or 300)
    return (
        f"<div class='chart' style='height:{height}px'></div>"
        f"<script type='application/json'>{text}</script>\n"
    )


def side_by_side(*parts: str) -> str:
    """Parts in columns where there is room."""
    return "<div class='pair'>" + "".join(f"<div>{part}</div>" for part in parts) + "</div>\n"


def _picture(picture: Picture) -> str:
    lines = "".join(f"<div>{html.escape(line)}</div>" for line in picture.lines)
    source = base64.b64encode(picture.jpeg or b"").decode()
    image = f"<img alt='' src='data:image/jpeg;base64,{source}'>" if picture.jpeg else ""
    return f"<figure>{image}<figcaption>{lines}</figcaption></figure>"


def _written(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
