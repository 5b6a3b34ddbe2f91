"""Charts of a clustering: its sizes, its labels, how sure it is, how its settings are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten, tint
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR, category_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FEW = 12  # clusters that fit beside another chart
_MOST_NUMBERS = 24  # columns whose cells have room for a number
_CURVE_POINTS = 400  # of a k-distance plot, however many images were measured


class Spread(Protocol):
    """What several runs gave: their mean, the smallest and the largest value, and all of them."""

    @property
    def mean(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def values(self) -> Sequence[float]: ...


def cluster_sizes(
    clusters: Sequence[tuple[str, int, str]],
    *,
    n_images: int,
    noise: tuple[int, str] | None = None,
) -> Figure:
    """Bars of images a cluster, in the colours that the map gives them; a bar opens its images.

    Args:
        clusters: (title, images, what a click carries) each, in their order.
        n_images: of the clustering, shown or not: what the shares are of.
        noise: images that belong to none, and what a click carries; None where there are none.
    """
    import plotly.graph_objects as go

    titles = [plain_text(shorten(title, 22)) for title, _, _ in clusters]
    sizes = [size for _, size, _ in clusters]
    carried = [text for _, _, text in clusters]
    colours = [category_colour(place) for place in range(len(clusters))]
    if noise:
        titles, sizes, carried = [*titles, "noise"], [*sizes, noise[0]], [*carried, noise[1]]
        colours.append(UNKNOWN_COLOUR)
    figure = go.Figure(
        go.Bar(
            y=titles,
            x=sizes,
            orientation="h",
            marker_color=colours,
            text=[f"{size:,} · {size / n_images:.0%}" for size in sizes],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,} images<extra></extra>",
            customdata=carried,
        )
    )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    figure.update_xaxes(title="images", range=[0, 1.6 * max(sizes, default=1)])
    row_px = 30 if len(titles) <= FEW else 18
    return finish(figure, height=84 + row_px * len(titles), showlegend=False)


def contingency_map(
    counts: np.ndarray,
    *,
    labels: Sequence[str | None],
    clusters: Sequence[str],
    carried: Sequence[Sequence[str]],
    share_of: str = "cluster",
    chosen: tuple[int, int] | None = None,
) -> Figure:
    """A cell for each label and cluster: how many images, darker the larger their share.

    With many clusters the numbers are told on hover alone.

    Args:
        counts: int array (n_labels, n_clusters).
        labels: of the rows; None is "unlabelled".
        clusters: titles of the columns.
        carried: what a click on each cell carries, in the shape of `counts`.
        share_of: `cluster` or `label`: the whole that a cell is a share of.
        chosen: row and column of the cell that stands out.

    Raises:
        ValueError: `share_of` is neither.
    """
    import plotly.graph_objects as go

    if share_of not in ("cluster", "label"):
        raise ValueError(f"share_of must be cluster or label, got {share_of!r}")
    names = [plain_text(label or "unlabelled") for label in labels]
    columns = [plain_text(title) for title in clusters]
    n_rows, n_columns = counts.shape
    shares = counts / np.maximum(counts.sum(axis=int(share_of == "label"), keepdims=True), 1)
    strengths = shares / shares.max(initial=1e-9)
    rows, places = np.divmod(np.arange(counts.size), max(n_columns, 1))
    hover = [
        f"{names[row]} in {columns[place]}: {counts[row, place]:,} images, "
        f"{shares[row, place]:.1%} of the {share_of}"
        for row, place in zip(rows, places, strict=True)
    ]
    is_chosen = [(row, place) == chosen for row, place in zip(rows, places, strict=True)]
    figure = go.Figure(
        go.Bar(
            y=[names[row] for row in rows],
            x=[0.96] * counts.size,
            base=(places - 0.48).tolist(),
            width=0.92,
            orientation="h",
            marker={
                "color": [tint(CLASS_COLOURS[0], 0.05 + 0.6 * each) for each in strengths.ravel()],
                "line": {
                    "color": [WARNING_COLOUR if it else "rgba(0,0,0,0)" for it in is_chosen],
                    "width": 3,
                },
            },
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
            customdata=[carried[row][place] for row, place in zip(rows, places, strict=True)],
            unselected_marker_opacity=1,
        )
    )
    if n_columns <= _MOST_NUMBERS:
        figure.add_scatter(
            y=[names[row] for row in rows],
            x=places.tolist(),
            text=[f"{count:,}" if count else "" for count in counts.ravel()],
            mode="text",
            hoverinfo="skip",
        )
    figure.update_yaxes(autorange="reversed", title=None, type="category", showgrid=False)
    figure.update_xaxes(
        title=None,
        side="top",
        tickvals=list(range(n_columns)),
        ticktext=[plain_text(shorten(title)) for title in clusters],
        range=[-0.5, max(n_columns, 1) - 0.5],
        showgrid=False,
        zeroline=False,
    )
    return finish(figure, height=90 + 32 * n_rows, barmode="overlay", showlegend=False)


def sweep_of_k(rows: Sequence[Mapping[str, Any]], *, chosen: int) -> tuple[Figure, Figure]:
    """Silhouette and elbow plot of a k-means sweep, the chosen k marked.

    Args:
        rows: `k`, `silhouette` (None where undefined) and `inertia` each.
        chosen: the k of the clustering.
    """
    ks = [row["k"] for row in rows]
    silhouettes = _line(ks, [row["silhouette"] for row in rows], "silhouette", chosen)
    return silhouettes, _line(ks, [row["inertia"] for row in rows], "inertia", chosen)


def band_over_k(bands: Sequence[tuple[int, Spread]], *, title: str, chosen: int) -> Figure:
    """A measure for each k as its mean over resamples, within a band from smallest to largest.

    Args:
        bands: (k, what its runs gave), ascending.
        title: of the measure.
        chosen: the k that is marked.
    """
    import plotly.graph_objects as go

    ks = [k for k, _ in bands]
    lows, highs = [spread.low for _, spread in bands], [spread.high for _, spread in bands]
    figure = go.Figure(
        go.Scatter(
            x=[*ks, *reversed(ks)],
            y=[*highs, *reversed(lows)],
            fill="toself",
            fillcolor=tint(CLASS_COLOURS[0], 0.22),
            line_width=0,
            mode="lines",
            hoverinfo="skip",
        )
    )
    figure.add_scatter(
        x=ks,
        y=[spread.mean for _, spread in bands],
        mode="lines+markers",
        line_color=CLASS_COLOURS[0],
        customdata=list(zip(lows, highs, strict=True)),
        hovertemplate="k = %{x}: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})"
        "<extra></extra>",
    )
    figure.add_vline(x=chosen, line_dash="dot", line_color=CLASS_COLOURS[1])
    figure.update_xaxes(title="k", dtick=1 if len(ks) <= 16 else None)
    figure.update_yaxes(title=title)
    return finish(figure, height=240, showlegend=False)


def spreads(rows: Sequence[tuple[str, Spread]]) -> Figure:
    """Adjusted Rand indices between runs: a line from the smallest to the largest, every value,
    and the mean.

    Args:
        rows: (what was varied, what the runs gave).
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, (title, spread) in enumerate(rows):
        colour = CLASS_COLOURS[place]
        figure.add_scatter(
            y=[title, title],
            x=[spread.low, spread.high],
            mode="lines",
            line={"color": tint(colour, 0.35), "width": 12},
            hoverinfo="skip",
        )
        figure.add_scatter(
            y=[title] * len(spread.values),
            x=list(spread.values),
            mode="markers",
            marker={"color": colour, "size": 7, "opacity": 0.7},
            hovertemplate="two runs: %{x:.3f}<extra></extra>",
        )
        figure.add_scatter(
            y=[title],
            x=[spread.mean],
            mode="markers",
            marker={
                "symbol": "line-ns",
                "size": 20,
                "line": {"color": WARNING_COLOUR, "width": 3},
            },
            hovertemplate="mean %{x:.3f}<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    lowest = min((spread.low for _, spread in rows), default=0.0)
    figure.update_xaxes(title="ARI between two runs", range=[min(0.0, lowest) - 0.03, 1.03])
    return finish(figure, height=80 + 50 * len(rows), showlegend=False)


def k_distance_plot(
    distances: Sequence[float] | np.ndarray, *, k: int, knee: int | None, eps: float | None
) -> Figure:
    """How far the k-th nearest image is, images in ascending order, and where it starts to soar.

    Args:
        distances: ascending.
        k: which neighbour.
        knee: the place of the bend, None where there is none.
        eps: the reach that is looked at; a line is drawn there.
    """
    import plotly.graph_objects as go

    values = np.asarray(distances)
    kept = np.unique(np.linspace(0, len(values) - 1, _CURVE_POINTS).round().astype(int))
    figure = go.Figure(
        go.Scatter(
            x=(kept + 1).tolist(),
            y=values[kept].tolist(),
            mode="lines",
            line={"color": CLASS_COLOURS[0], "width": 3},
            hovertemplate="%{x:,} images have theirs within %{y:.4g}<extra></extra>",
        )
    )
    if knee is not None:
        figure.add_scatter(
            x=[knee + 1],
            y=[float(values[knee])],
            mode="markers+text",
            marker={"color": WARNING_COLOUR, "size": 11, "symbol": "diamond"},
            text=[f"knee: {values[knee]:.3g} "],
            textposition="top left",
            hovertemplate="knee: %{y:.4g}<extra></extra>",
        )
    if eps is not None:
        figure.add_hline(y=eps, line_dash="dot", line_color=CLASS_COLOURS[1])
    figure.update_xaxes(title="images, the most crowded first")
    figure.update_yaxes(title=f"distance to neighbour {k}", rangemode="tozero")
    return finish(figure, height=260, showlegend=False)


def _line(xs: Sequence[int], ys: Sequence[float | None], title: str, chosen: int) -> Figure:
    import plotly.graph_objects as go

    figure = go.Figure(go.Scatter(x=xs, y=ys, mode="lines+markers", line_color=CLASS_COLOURS[0]))
    figure.add_vline(x=chosen, line_dash="dot", line_color=CLASS_COLOURS[1])
    figure.update_xaxes(title="k", dtick=1 if len(xs) <= 16 else None)
    figure.update_yaxes(title=title)
    return finish(figure, height=240, showlegend=False)
