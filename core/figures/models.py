"""Charts of two models side by side: by class, and what they take for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten, tint
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.learning.evaluation import Confusion, Estimate
    from core.learning.model_comparison import ClassComparison

_ROW_PX = 46  # of a class: two bars with room for their intervals
_CELL_PX = 34
_SOFT = 0.55  # of the strongest colour of a cell, so that its number stays readable


def recall_by_class(rows: Sequence[ClassComparison], *, old: str, new: str) -> Figure:
    """Two bars a class, with 95 % intervals: the share of its images that each model is right on.

    Args:
        rows: the classes in the order of the bars; those without an image are left out.
        old: name of the old model.
        new: of the new one.
    """
    import plotly.graph_objects as go

    shown = [row for row in rows if row.n]
    names = [f"{plain_text(shorten(row.name, 26))}<br>{row.n:,} images" for row in shown]
    figure = go.Figure()
    for title, field, colour in (
        (old, "old_recall", UNKNOWN_COLOUR),
        (new, "new_recall", CLASS_COLOURS[0]),
    ):
        shares: list[Estimate] = [getattr(row, field) for row in shown]
        values = [share.value or 0.0 for share in shares]
        figure.add_bar(
            y=names,
            x=values,
            name=plain_text(title),
            orientation="h",
            marker_color=tint(colour, 0.75),
            error_x={
                "type": "data",
                "array": [(s.high or 0.0) - v for s, v in zip(shares, values, strict=True)],
                "arrayminus": [v - (s.low or 0.0) for s, v in zip(shares, values, strict=True)],
                "color": UNKNOWN_COLOUR,
                "thickness": 1.2,
            },
            hovertext=[
                f"{plain_text(row.name)}: {value:.1%} right of {row.n:,}; the new model gains "
                f"{row.n_gained:,} and loses {row.n_lost:,}"
                for row, value in zip(shown, values, strict=True)
            ],
            hovertemplate="%{hovertext}<extra>" + plain_text(title) + "</extra>",
        )
    figure.update_yaxes(autorange="reversed", title=None)
    figure.update_xaxes(title="share that is right", range=[0, 1.02], tickformat=".0%")
    return finish(figure, height=110 + _ROW_PX * len(shown), barmode="group")


def confusion_change(old: Confusion, new: Confusion) -> Figure:
    """How many more images of each label the new model gives each class: new less old.

    Blue is an improvement (more on the diagonal, fewer off it), vermilion the contrary.

    Args:
        old: of the old model.
        new: of the new one, with the same rows and columns.

    Raises:
        ValueError: the rows or columns differ.
    """
    import plotly.graph_objects as go

    if (old.labels, old.classes) != (new.labels, new.classes):
        raise ValueError("both confusions must have the same labels and classes")
    change = np.array(new.counts, np.int64) - np.array(old.counts, np.int64)
    is_right = np.array([[label == name for name in new.classes] for label in new.labels], bool)
    gain = np.where(is_right, change, -change)
    most = max(int(np.abs(change).max(initial=0)), 1)
    names = [plain_text(shorten(name)) for name in new.classes]
    figure = go.Figure(
        go.Heatmap(
            z=gain,
            x=list(range(len(names))),
            y=list(range(len(new.labels))),
            zmin=-most / _SOFT,
            zmax=most / _SOFT,
            colorscale=[(0, WARNING_COLOUR), (0.5, tint(UNKNOWN_COLOUR, 0.1)), (1, "#0072b2")],
            showscale=False,
            xgap=2,
            ygap=2,
            text=[[f"{n:+d}" if n else "" for n in row] for row in change.tolist()],
            texttemplate="%{text}",
            hovertext=[
                [
                    f"{plain_text(label)} given {plain_text(name)}: "
                    f"{old.counts[row][place]:,} before, {new.counts[row][place]:,} now"
                    for place, name in enumerate(new.classes)
                ]
                for row, label in enumerate(new.labels)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    ticks = {"tickmode": "array", "showgrid": False, "zeroline": False}
    figure.update_xaxes(
        title="class given", tickvals=list(range(len(names))), ticktext=names, **ticks
    )
    figure.update_yaxes(
        title="label",
        autorange="reversed",
        tickvals=list(range(len(names))),
        ticktext=[plain_text(shorten(label)) for label in new.labels],
        **ticks,
    )
    return finish(figure, height=150 + _CELL_PX * len(new.labels))
