"""Charts of anomaly scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.figures.drawing import WARNING_COLOUR, finish
from core.palette import CLASS_COLOURS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_N_BINS = 60


def anomaly_scores(
    scores: np.ndarray, *, threshold: float, title: str, height: int = 200
) -> Figure:
    """Bars of images by score, those above the threshold in another colour.

    Each bar carries the score where it begins, so that a click on it can move the threshold there.

    Args:
        scores: float array (n_images,), higher = more anomalous.
        threshold: of the same scores.
        title: of the axis: what the score measures.
        height: in pixels.
    """
    import plotly.graph_objects as go

    scores = scores.astype(np.float64)
    edges = np.histogram_bin_edges(scores, bins=_N_BINS)
    is_above = scores > threshold
    figure = go.Figure()
    for name, chosen, colour in (
        ("above the threshold", is_above, WARNING_COLOUR),
        ("below", ~is_above, CLASS_COLOURS[0]),
    ):
        counts = np.histogram(scores[chosen], bins=edges)[0]
        figure.add_bar(
            x=((edges[:-1] + edges[1:]) / 2).tolist(),
            y=counts.tolist(),
            width=np.diff(edges).tolist(),
            name=name,
            # A line around it shows a bar of one image beside one of hundreds.
            marker={"color": colour, "line": {"color": colour, "width": (counts > 0) * 1.5}},
            customdata=edges[:-1].tolist(),
            hovertemplate="score %{x:.3g}: %{y:,} images %{fullData.name}<extra></extra>",
            selectedpoints=None,
            unselected_marker_opacity=1,
        )
    figure.add_vline(x=threshold, line_dash="dot", line_color=WARNING_COLOUR)
    figure.update_xaxes(title=title)
    figure.update_yaxes(title="images", rangemode="tozero")
    return finish(figure, height=height, barmode="stack", bargap=0.0, showlegend=False)
