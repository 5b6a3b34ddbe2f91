"""A map of points for where the app's own map cannot be: in a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.figures.drawing import finish, plain_text
from core.palette import UNKNOWN_COLOUR, category_symbol, class_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def small_map(places: np.ndarray, labels: Sequence[str | None], classes: Sequence[str]) -> Figure:
    """Points by their labels, without axes: distances on a map have no unit.

    Args:
        places: float array (n_images, 2).
        labels: a label an image, None where it has none.
        classes: in the order of their colours.
    """
    import plotly.graph_objects as go

    of_label: dict[str | None, list[int]] = {}
    for row, label in enumerate(labels):
        of_label.setdefault(label, []).append(row)
    order = [*classes, *(label for label in of_label if label not in classes)]
    figure = go.Figure()
    for label in order:
        if label not in of_label:
            continue
        rows = of_label[label]
        is_class = label in classes
        figure.add_scatter(
            x=places[rows, 0].tolist(),
            y=places[rows, 1].tolist(),
            mode="markers",
            name=plain_text(label or "unlabelled"),
            marker={
                "size": 5,
                "opacity": 0.75,
                "color": class_colour(label, classes) if label else UNKNOWN_COLOUR,
                "symbol": category_symbol(classes.index(label)) if is_class else "circle",
            },
            hoverinfo="name",
        )
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False, scaleanchor="x")
    return finish(figure, height=560, hovermode="closest")
