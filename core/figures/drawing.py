"""What every chart shares: its margins, its texts, its tints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WARNING_COLOUR = "#d55e00"  # vermilion: what is missing, and where a flag begins


def tint(colour: str, alpha: float) -> str:
    """A "#rrggbb" that lets the page's background through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:.2f})"


def plain_text(name: str) -> str:
    """A name as plotly shows it as it is: it reads some HTML in texts, links among it."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def shorten(title: str, most: int = 14) -> str:
    """A title of at most so many letters."""
    return title if len(title) <= most else f"{title[: most - 1]}…"


def finish(figure: Figure, *, height: int, **layout: Any) -> Figure:
    """Give a figure its height in px, the margins and the legend of all charts."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "title": None},
        **layout,
    )
    return figure
