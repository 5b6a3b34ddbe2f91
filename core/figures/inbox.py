"""Charts of the inbox: what a model makes of one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.figures.drawing import finish, plain_text, shorten
from core.palette import class_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_BAR_PX, _MARGIN_PX = 26, 36


def class_probabilities(
    classes: Sequence[str], probabilities: Sequence[float], order: Sequence[str]
) -> Figure:
    """A bar for each class, the most probable on top.

    Args:
        classes: of the model.
        probabilities: of each, in [0, 1].
        order: of all classes, which fixes their colours.
    """
    import plotly.graph_objects as go

    # Plotly draws the first bar at the bottom.
    rows = sorted(zip(probabilities, classes, strict=True))
    figure = go.Figure(
        go.Bar(
            x=[share for share, _ in rows],
            y=[plain_text(shorten(name, most=24)) for _, name in rows],
            orientation="h",
            marker_color=[class_colour(name, order) for _, name in rows],
            text=[f"{share:.1%}" for share, _ in rows],
            textposition="outside",
            cliponaxis=False,
            hovertext=[plain_text(name) for _, name in rows],
            hovertemplate="%{hovertext}: %{x:.2%}<extra></extra>",
        )
    )
    return finish(
        figure,
        height=_MARGIN_PX + _BAR_PX * len(rows),
        xaxis={"range": [0, 1.15], "visible": False},
        yaxis={"title": None, "type": "category"},
        showlegend=False,
    )
