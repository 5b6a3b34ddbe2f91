"""Charts of two models side by side: by class, and what they take for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.figures.clusters import contingency_map
from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten, tint
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.learning.evaluation import Confusion, Estimate
    from core.learning.model_comparison import ClassComparison

_ROW_PX = 46  # of a class: two bars with room for their intervals


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
    if (old.labels, old.classes) != (new.labels, new.classes):
        raise ValueError("both confusions must have the same labels and classes")
    change = np.array(new.counts, np.int64) - np.array(old.counts, np.int64)
    change = change.reshape(len(new.labels), len(new.classes))
    shares = np.abs(change) / max(int(np.abs(change).max(initial=0)), 1)
    figure = contingency_map(
        np.abs(change),
        labels=new.labels,
        clusters=new.classes,
        carried=[[""] * len(new.classes)] * len(new.labels),
    )
    cells = figure.data[0]
    cells.marker.color = [
        tint(
            _change_colour(int(change[row, place]), is_right=new.labels[row] == new.classes[place]),
            0.05 + 0.6 * float(shares[row, place]),
        )
        for row, place in np.ndindex(*change.shape)
    ]
    cells.hovertext = [
        f"{plain_text(new.labels[row])} given {plain_text(new.classes[place])}: "
        f"{old.counts[row][place]:,} before, {new.counts[row][place]:,} now"
        for row, place in np.ndindex(*change.shape)
    ]
    for numbers in figure.data[1:]:
        numbers.text = [f"{n:+,d}" if n else "" for n in change.ravel().tolist()]
    figure.update_xaxes(title="class given")
    figure.update_yaxes(ticktext=[plain_text(shorten(name)) for name in new.labels])
    figure.update_yaxes(title="label", tickmode="array", tickvals=list(range(len(new.labels))))
    figure.update_layout(height=figure.layout.height + 60)  # for the names of the columns
    return figure


def _change_colour(n_more: int, *, is_right: bool) -> str:
    """What is more on the diagonal, or less beside it, is better."""
    if n_more == 0:
        return UNKNOWN_COLOUR
    return CLASS_COLOURS[0] if (n_more > 0) == is_right else WARNING_COLOUR
