"""Tables to plotly figures: every chart of every page is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.palette import CLASS_COLOURS, SPLIT_COLOURS, UNKNOWN_COLOUR, class_colour
from core.vocabulary import RESERVED_LABELS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_SPLIT_ORDER = (*SPLIT_COLOURS, None)


def images_by_class(
    rows: Sequence[tuple[str | None, str | None, int]], *, classes: Sequence[str]
) -> Figure:
    """Bars of images a class, stacked by split.

    Args:
        rows: (label, split, n_images).
        classes: the classes in the order of the bars; unlabelled images come last.
    """
    import plotly.graph_objects as go

    present = {label for label, _, _ in rows}
    names = [name for name in [*classes, *RESERVED_LABELS, None] if name in present]
    figure = go.Figure()
    for split in _SPLIT_ORDER:
        counts = {label: n for label, chosen, n in rows if chosen == split}
        if counts:
            figure.add_bar(
                y=[_plain(name or "unlabelled") for name in names],
                x=[counts.get(name, 0) for name in names],
                name=split or "no split",
                orientation="h",
                marker_color=SPLIT_COLOURS.get(split or "", UNKNOWN_COLOUR),
                hovertemplate="%{y}: %{x:,} images<extra>%{fullData.name}</extra>",
            )
    figure.update_yaxes(autorange="reversed", title=None, type="category")  # classes may be "1"
    figure.update_xaxes(title="images")
    return _finish(
        figure, height=110 + 34 * len(names), barmode="stack", legend_traceorder="normal"
    )


def classes_by_split(
    rows: Sequence[tuple[str | None, str | None, int]], *, classes: Sequence[str]
) -> Figure:
    """Each split as one bar of 100 %, to see at a glance whether the classes are shared alike."""
    import plotly.graph_objects as go

    splits = [split for split in _SPLIT_ORDER if any(chosen == split for _, chosen, _ in rows)]
    totals = {split: sum(n for _, chosen, n in rows if chosen == split) for split in splits}
    figure = go.Figure()
    for name in [*classes, *RESERVED_LABELS, None]:
        counts = {split: n for label, split, n in rows if label == name}
        if counts:
            figure.add_bar(
                y=[f"{split or 'no split'} ({totals[split]:,})" for split in splits],
                x=[counts.get(split, 0) / totals[split] for split in splits],
                name=_plain(name or "unlabelled"),
                orientation="h",
                marker_color=class_colour(name, classes),
                hovertemplate="%{fullData.name}: %{x:.1%}<extra>%{y}</extra>",
            )
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title="share of the split", tickformat=".0%", range=[0, 1])
    return _finish(figure, height=110 + 40 * len(splits), barmode="stack")


def histogram(values: np.ndarray, *, title: str, log_scale: bool = False) -> Figure:
    """Distribution of one score; values that are not finite are left out.

    Args:
        values: float (n_images,).
        log_scale: bin the logarithm; values of 0 or less are left out then.
    """
    import plotly.graph_objects as go

    kept = values[np.isfinite(values) & ((values > 0) | (not log_scale))]
    edges = np.linspace(0, 1, 2) if not kept.size else _edges(kept, log_scale)
    counts, _ = np.histogram(kept, bins=edges)
    middles = np.sqrt(edges[:-1] * edges[1:]) if log_scale else (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=middles,
            y=counts,
            width=np.diff(edges),
            marker_color=CLASS_COLOURS[0],
            hovertemplate="%{x:.3g}: %{y:,} images<extra></extra>",
        )
    )
    figure.update_xaxes(title=title, type="log" if log_scale else "linear")
    figure.update_yaxes(title="images")
    return _finish(figure, height=240, bargap=0.0)


def sweep_of_k(rows: Sequence[Mapping[str, Any]], *, chosen: int) -> tuple[Figure, Figure]:
    """Silhouette and elbow plot of a k-means sweep, the chosen k marked.

    Args:
        rows: `k`, `silhouette` (None where undefined) and `inertia` each.
    """
    ks = [row["k"] for row in rows]
    silhouettes = _line(ks, [row["silhouette"] for row in rows], "silhouette", chosen)
    return silhouettes, _line(ks, [row["inertia"] for row in rows], "inertia", chosen)


def disk_use(parts: Mapping[str, int]) -> Figure:
    """Bars of bytes on disk a part, the largest first."""
    import plotly.graph_objects as go

    order = sorted(parts, key=lambda part: -parts[part])
    figure = go.Figure(
        go.Bar(
            y=order,
            x=[parts[part] / 1e6 for part in order],
            orientation="h",
            marker_color=CLASS_COLOURS[0],
            hovertemplate="%{y}: %{x:,.1f} MB<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title="MB")
    return _finish(figure, height=90 + 26 * len(order))


def _line(xs: Sequence[int], ys: Sequence[float | None], title: str, chosen: int) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=xs, y=ys, mode="lines+markers", line_color=CLASS_COLOURS[0]))
    figure.add_vline(x=chosen, line_dash="dot", line_color=CLASS_COLOURS[1])
    figure.update_xaxes(title="k", dtick=1)
    figure.update_yaxes(title=title)
    return _finish(figure, height=240, showlegend=False)


def _edges(values: np.ndarray, log_scale: bool) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low * 0.9 - 1e-9 * (not log_scale), high * 1.1 + 1e-9
    return np.geomspace(low, high, 41) if log_scale else np.linspace(low, high, 41)


def _plain(name: str) -> str:
    """A name as plotly shows it as it is: it reads some HTML in texts, links among it."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def _finish(figure: Figure, *, height: int, **layout: Any) -> Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "title": None},
        **layout,
    )
    return figure
