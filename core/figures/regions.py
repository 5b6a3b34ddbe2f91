"""Charts of how classes and splits lie in the latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.figures.drawing import WARNING_COLOUR, finish, plain_text, tint
from core.palette import SPLIT_COLOURS, UNKNOWN_COLOUR, class_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.analysis.layouts import ClassPlace
    from core.latent.label_layout import SplitShift

_ROW_PX = 30
_OUTLINE = {"width": 2, "color": "#333333"}  # around white: seen on a bar of any colour


def class_spreads(places: Sequence[ClassPlace], *, classes: Sequence[str]) -> Figure:
    """Bars of the mean distance to the centre of a class, with their 95 % intervals.

    Args:
        places: the classes, in the order of the bars; those of a single image are left out.
        classes: in the order of their colours.
    """
    import plotly.graph_objects as go

    shown = [place for place in places if place.spread is not None]
    spreads = [place.spread or 0.0 for place in shown]
    figure = go.Figure(
        go.Bar(
            y=[plain_text(place.label) for place in shown],
            x=spreads,
            orientation="h",
            marker_color=[class_colour(place.label, classes) for place in shown],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(p.high or 0.0) - s for p, s in zip(shown, spreads, strict=True)],
                "arrayminus": [s - (p.low or 0.0) for p, s in zip(shown, spreads, strict=True)],
                "color": UNKNOWN_COLOUR,
            },
            customdata=[[place.low, place.high, place.n_images] for place in shown],
            hovertemplate="%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}), "
            "%{customdata[2]:,} images<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    figure.update_xaxes(title="mean cosine distance to the centre", rangemode="tozero")
    return finish(figure, height=90 + _ROW_PX * len(shown), showlegend=False)


def class_purity(
    places: Sequence[ClassPlace], *, classes: Sequence[str], n_neighbors: int
) -> Figure:
    """Bars of how many neighbours have the same label, and a mark where chance would be.

    Args:
        places: the classes, in the order of the bars.
        classes: in the order of their colours.
        n_neighbors: neighbours that were looked at.
    """
    import plotly.graph_objects as go

    shown = [place for place in places if place.purity is not None]
    names = [plain_text(place.label) for place in shown]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=[place.purity for place in shown],
            orientation="h",
            marker_color=[class_colour(place.label, classes) for place in shown],
            text=[f"{place.purity:.0%}" for place in shown],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.1%} of the neighbours<extra></extra>",
        )
    )
    figure.add_scatter(
        y=names,
        x=[place.by_chance for place in shown],
        mode="markers",
        marker={"symbol": "diamond", "size": 10, "color": "white", "line": _OUTLINE},
        hovertemplate="%{y}: %{x:.1%} by chance<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    figure.update_xaxes(
        title=f"of the {n_neighbors} nearest, with the same label",
        range=[0, 1.1],
        tickvals=[0, 0.25, 0.5, 0.75, 1],
        tickformat=".0%",
    )
    return finish(figure, height=90 + _ROW_PX * len(shown), showlegend=False)


def separability_matrix(labels: Sequence[str], auc: np.ndarray) -> Figure:
    """A cell for each two classes; the harder they are to tell apart, the stronger its colour.

    Args:
        labels: of the rows and columns.
        auc: float array (n_classes, n_classes) in [0.5, 1], NaN where it was not measured.
    """
    import plotly.graph_objects as go

    names = [plain_text(label) for label in labels]
    places = list(range(len(names)))
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=places,
            z=auc,
            zmin=0.5,
            zmax=1.0,
            colorscale=[[0.0, tint(WARNING_COLOUR, 0.75)], [1.0, tint(WARNING_COLOUR, 0.02)]],
            showscale=False,
            xgap=2,
            ygap=2,
            hovertext=[
                [f"{row} and {column}: AUC {auc[i, j]:.3f}" for j, column in enumerate(names)]
                for i, row in enumerate(names)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
            hoverongaps=False,
        )
    )
    rows, columns = np.nonzero(~np.eye(len(names), dtype=bool))
    measured = auc[rows, columns][np.isfinite(auc[rows, columns])]
    n_digits = 3 if len(measured) and measured.min() > 0.99 else 2  # a table of 1.00 tells nothing
    figure.add_scatter(
        x=columns.tolist(),
        y=rows.tolist(),
        text=[
            f"{auc[i, j]:.{n_digits}f}" if np.isfinite(auc[i, j]) else "few"
            for i, j in zip(rows, columns, strict=True)
        ],
        mode="text",
        hoverinfo="skip",
        showlegend=False,
    )
    numbers = [str(place + 1) for place in places]  # names of columns would stand askew
    bare = {"tickvals": places, "title": None, "showgrid": False, "zeroline": False}
    end = len(names) - 0.5
    figure.update_xaxes(**bare, ticktext=numbers, range=[-0.5, end], side="top")
    figure.update_yaxes(
        **bare,
        ticktext=[f"{name}  {number}" for name, number in zip(names, numbers, strict=True)],
        range=[end, -0.5],
    )
    return finish(figure, height=60 + 36 * len(names), showlegend=False)


def split_distances(shifts: Sequence[SplitShift]) -> Figure:
    """A box a split: how far its images lie from their nearest training image.

    The box holds the middle half, its whiskers nine tenths; a split that is shifted is outlined in
    the colour of a warning.

    Args:
        shifts: from top to bottom.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for shift in shifts:
        low, lower, middle, upper, high = shift.quantiles
        colour = SPLIT_COLOURS.get(shift.split, UNKNOWN_COLOUR)
        figure.add_box(
            y=[shift.split],
            q1=[lower],
            median=[middle],
            q3=[upper],
            lowerfence=[low],
            upperfence=[high],
            orientation="h",
            name=shift.split,
            line_color=WARNING_COLOUR if shift.is_shifted else colour,
            fillcolor=tint(colour, 0.4),
            width=0.6,
        )
    figure.update_yaxes(autorange="reversed", title=None, type="category")
    figure.update_xaxes(title="cosine distance to the nearest training image", rangemode="tozero")
    return finish(figure, height=90 + 44 * len(shifts), showlegend=False)
