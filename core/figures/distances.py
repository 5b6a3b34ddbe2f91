"""Charts of the silhouette under every metric: the paper's Table 1, for one's own images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from core.figures.drawing import finish, plain_text, tint
from core.latent.metrics import METRICS
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR, category_colour, category_symbol

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.latent.separability import Separability, Silhouette

# The silhouettes of the paper's own 240 images under ResNet-50's features, clustered by K-means.
# Source: Almhaithawi et al. (2025), Table 1, doi:10.3390/jimaging11020033.
PAPER_TABLE_1: Mapping[str, float] = {
    "euclidean": 0.12,
    "cosine": 0.18,
    "cityblock": 0.11,
    "braycurtis": 0.11,
    "canberra": 0.066,
    "chebyshev": 0.095,
    "correlation": 0.18,
    "dice": -0.057,
    "hamming": 0.0064,
    "jaccard": -0.056,
    "minkowski": 0.12,
    "rogerstanimoto": -0.052,
    "russellrao": -0.084,
    "seuclidean": 0.074,
    "sokalsneath": -0.052,
    "sqeuclidean": 0.205,
    "yule": 0.053,
    "nan_euclidean": 0.12,
}
_PAPER_TITLE = "the paper's data"
_ROW_PX = 27


def silhouettes_by_metric(
    measured: Mapping[str, Separability], *, with_paper: bool = False
) -> Figure:
    """The silhouette under each metric, highest first, the best marked.

    One labelling is drawn as bars, several as dots side by side, in the order of the first.

    Args:
        measured: by title of the labelling.
        with_paper: show the paper's values, of other images, beside.
    """
    import plotly.graph_objects as go

    first = next(iter(measured.values()))
    order = [score.metric for score in first.ranked]
    figure = go.Figure()
    if len(measured) == 1:
        _add_bars(figure, first, beside=PAPER_TABLE_1 if with_paper else {})
    else:
        for place, (title, each) in enumerate(measured.items()):
            _add_dots(figure, title, each, order, place)
    if with_paper:
        figure.add_scatter(
            y=[METRICS[metric].title for metric in order],
            x=[PAPER_TABLE_1[metric] for metric in order],
            name=_PAPER_TITLE,
            mode="markers",
            marker={
                "symbol": "line-ns",
                "size": 16,
                "line": {"color": UNKNOWN_COLOUR, "width": 3},
            },
            hovertemplate="%{y}: %{x:.3g}<extra>" + _PAPER_TITLE + "</extra>",
        )
    figure.update_yaxes(
        autorange=False,
        range=[len(order) - 0.5, -0.5],
        title=None,
        type="category",
        categoryorder="array",
        categoryarray=[METRICS[metric].title for metric in order],
    )
    figure.update_xaxes(title="silhouette", zeroline=True, zerolinewidth=2)
    return finish(
        figure,
        height=110 + _ROW_PX * len(order),
        showlegend=len(measured) > 1 or with_paper,
        hovermode="closest",
    )


def _add_bars(figure: Figure, measured: Separability, *, beside: Mapping[str, float]) -> None:
    """Bars, each with its value right of the bar and of the mark beside it."""
    scores = measured.ranked
    titles = [METRICS[score.metric].title for score in scores]
    best = [score.metric == measured.best for score in scores]
    drawn = measured.n_draws > 1
    figure.add_bar(
        y=titles,
        x=[score.value for score in scores],
        orientation="h",
        marker_color=[CLASS_COLOURS[0] if it else tint(CLASS_COLOURS[0], 0.45) for it in best],
        error_x=_intervals(scores) if drawn else None,
        hovertext=[_hover(score) for score in scores],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
    )
    figure.add_scatter(
        y=titles,
        x=[max(score.high or 0.0, beside.get(score.metric, 0.0), 0.0) for score in scores],
        text=[_written(score, it) for score, it in zip(scores, best, strict=True)],
        mode="text",
        textposition="middle right",
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _add_dots(
    figure: Figure, title: str, measured: Separability, order: Sequence[str], place: int
) -> None:
    scores = [measured[metric] for metric in order]
    best = METRICS[measured.best].title if measured.best else "none defined"
    figure.add_scatter(
        y=[METRICS[metric].title for metric in order],
        x=[score.value for score in scores],
        name=f"{plain_text(title)} (best: {best})",
        mode="markers",
        marker={
            "color": category_colour(place),
            "opacity": 1,  # plotly fades markers of unlike sizes
            "symbol": category_symbol(8 * place),  # every eighth category has another marker
            "size": [15 if score.metric == measured.best else 9 for score in scores],
        },
        error_x=_intervals(scores) if measured.n_draws > 1 else None,
        hovertext=[_hover(score) for score in scores],
        hovertemplate="%{hovertext}<extra>" + plain_text(title) + "</extra>",
    )


def _intervals(scores: Sequence[Silhouette]) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [(s.high or 0.0) - (s.value or 0.0) for s in scores],
        "arrayminus": [(s.value or 0.0) - (s.low or 0.0) for s in scores],
        "thickness": 1.5,
        "width": 4,
        "color": UNKNOWN_COLOUR,
    }


def _written(score: Silhouette, is_best: bool) -> str:
    if score.value is None:
        return "  not defined"
    value = f"{score.value:.3f}".replace("-0.000", "0.000")
    return f"  <b>{value} · best</b>" if is_best else f"  {value}"


def _hover(score: Silhouette) -> str:
    metric = METRICS[score.metric]
    if score.value is None:
        return f"<b>{metric.title}</b>: not defined<br>{plain_text(score.why)}"
    interval = f" ({score.low:.3f} to {score.high:.3f})" if score.low != score.high else ""
    tells = "<br>".join(wrap(metric.tells, 60))  # plotly breaks no line by itself
    return f"<b>{metric.title}</b>: {score.value:.3f}{interval}<br>{tells}"
