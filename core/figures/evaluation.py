"""Charts of classifiers: what they confuse, how sure they are, how they train and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.figures.clusters import contingency_map
from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten, tint
from core.palette import (
    CLASS_COLOURS,
    SPLIT_COLOURS,
    UNKNOWN_COLOUR,
    category_colour,
    category_symbol,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.learning.calibration import Reliability
    from core.learning.evaluation import ClassScore, Confusion, Estimate

_ROW_PX = 52  # of a class: two bars with room for their intervals
_LARGEST_PX = 46  # the marker of the backbone with the most parameters
_SMALLEST_PX = 8


@dataclass(frozen=True)
class ComparedBackbone:
    """One row of a comparison of backbones.

    Attributes:
        title: of the backbone.
        accuracy: on the validation images, with its interval.
        epoch_seconds: mean time of an epoch.
        n_parameters: of the whole network with its new head.
    """

    title: str
    accuracy: Estimate
    epoch_seconds: float
    n_parameters: int


def confusion_matrix(
    confusion: Confusion,
    *,
    carried: Sequence[Sequence[str]],
    chosen: tuple[int, int] | None = None,
) -> Figure:
    """A cell for each label and class given: how many images, darker the larger their share.

    What is right is blue, what is wrong vermilion; rows of labels that are no class of the model
    are grey, for nothing in them can be right.

    Args:
        confusion: labels by classes given.
        carried: what a click on each cell carries, in the shape of the counts.
        chosen: row and column of the cell that stands out.
    """
    counts = np.array(confusion.counts, dtype=np.int64).reshape(-1, len(confusion.classes))
    figure = contingency_map(
        counts,
        labels=confusion.labels,
        clusters=confusion.classes,
        carried=carried,
        share_of="label",
        chosen=chosen,
    )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [plain_text(label) for label in confusion.labels]
    classes = [plain_text(name) for name in confusion.classes]
    cells = figure.data[0]
    cells.marker.color = [
        tint(_cell_colour(row, place, len(classes)), 0.05 + 0.6 * shares[row, place])
        for row, place in np.ndindex(*counts.shape)
    ]
    cells.hovertext = [
        f"{names[row]} given {classes[place]}: {counts[row, place]:,} images, "
        f"{shares[row, place]:.1%} of {names[row]}"
        for row, place in np.ndindex(*counts.shape)
    ]
    most = max(72 // max(len(classes), 1), 14)  # letters that have room above a column
    figure.update_xaxes(
        title="class given by the model",
        ticktext=[plain_text(shorten(name, most)) for name in confusion.classes],
    )
    figure.update_yaxes(title="label")
    figure.update_layout(height=figure.layout.height + 24)  # for the title of the columns
    return figure


def reliability_diagram(measured: Mapping[str, Reliability]) -> Figure:
    """Share that is right against how sure the model is, over bars of how many images that is.

    On the dotted line a model is as often right as it is sure; below it, it is too sure.

    Args:
        measured: name ("before", say) → reliability, in the order of the legend.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.05
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": UNKNOWN_COLOUR, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    for place, (name, reliability) in enumerate(measured.items()):
        shown = [each for each in reliability.bins if each.n]
        error = reliability.expected_calibration_error
        title = plain_text(name) + ("" if error is None else f" (error {error:.3f})")
        colour = category_colour(place)
        figure.add_scatter(
            x=[each.confidence for each in shown],
            y=[each.accuracy.value for each in shown],
            name=title,
            legendgroup=name,
            mode="lines+markers",
            line={"color": tint(colour, 0.35), "width": 1.5},
            marker={"color": colour, "size": 9, "symbol": category_symbol(8 * place)},
            error_y=_intervals([each.accuracy for each in shown], colour=tint(colour, 0.6)),
            hovertext=[
                f"sure {each.confidence:.1%}, right {_written(each.accuracy)}, {each.n:,} images"
                for each in shown
            ],
            hovertemplate="%{hovertext}<extra>" + plain_text(name) + "</extra>",
            row=1,
            col=1,
        )
        figure.add_bar(
            x=[(each.low + each.high) / 2 for each in shown],
            y=[each.n for each in shown],
            # A bin of equal confidences has no width: a sliver shows that it is there.
            width=[max(each.high - each.low, 0.006) for each in shown],
            name=title,
            legendgroup=name,
            showlegend=False,
            marker={
                "color": tint(colour, 0.45 if len(measured) > 1 else 0.8),
                "line": {"color": colour, "width": 1},
            },
            hovertext=[f"{each.low:.3g} to {each.high:.3g}: {each.n:,} images" for each in shown],
            hovertemplate="%{hovertext}<extra>" + plain_text(name) + "</extra>",
            row=2,
            col=1,
        )
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title="how sure the model is", row=2, col=1)
    figure.update_yaxes(title="share that is right", range=[-0.03, 1.03], row=1, col=1)
    figure.update_yaxes(title="images", rangemode="tozero", row=2, col=1)
    return finish(figure, height=440, barmode="overlay", hovermode="closest")


def class_scores(scores: Sequence[ClassScore]) -> Figure:
    """Bars of precision and recall a class, with their 95 % intervals.

    Args:
        scores: the classes in the order of the bars.
    """
    import plotly.graph_objects as go

    names = [f"{plain_text(score.name)}<br>{score.support:,} images" for score in scores]
    figure = go.Figure()
    for place, title in enumerate(("precision", "recall")):
        estimates = [getattr(score, title) for score in scores]
        figure.add_bar(
            y=names,
            x=[each.value for each in estimates],
            name=title,
            orientation="h",
            marker_color=tint(CLASS_COLOURS[place], 0.75),
            error_x=_intervals(estimates, colour=UNKNOWN_COLOUR),
            hovertext=[
                f"{plain_text(score.name)}: {title} {_written(each)}<br>F1 {_written(score.f1)}"
                for score, each in zip(scores, estimates, strict=True)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    gaps = [
        (name, f"{title} not defined")
        for name, score in zip(names, scores, strict=True)
        for title, each in (("precision", score.precision), ("recall", score.recall))
        if each.value is None
    ]
    if gaps:
        figure.add_scatter(
            y=list(dict.fromkeys(name for name, _ in gaps)),
            x=[0.01] * len({name for name, _ in gaps}),
            text=[
                ", ".join(text for other, text in gaps if other == name)
                for name in dict.fromkeys(name for name, _ in gaps)
            ],
            mode="text",
            textposition="middle right",
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_yaxes(
        autorange="reversed",
        title=None,
        type="category",
        categoryorder="array",
        categoryarray=names,
    )
    figure.update_xaxes(title="share, with its 95% interval", range=[0, 1.02], tickformat=".0%")
    return finish(figure, height=110 + _ROW_PX * len(scores), barmode="group")


def training_curves(
    history: Sequence[Mapping[str, Any]], *, best_epoch: int | None = None
) -> tuple[Figure, Figure]:
    """Loss and accuracy an epoch, of the training and the validation images, the best one marked.

    Args:
        history: `epoch`, `train_loss`, `train_accuracy`, `validation_loss`, `validation_accuracy`
            and `seconds` each, ascending; a measure may be None where it was not taken.
        best_epoch: the epoch whose weights are kept, None where that is not settled.
    """
    return (
        _curves(history, "loss", best_epoch, format_=".4f"),
        _curves(history, "accuracy", best_epoch, format_=".1%"),
    )


def backbone_comparison(rows: Sequence[ComparedBackbone]) -> Figure:
    """Accuracy with its interval against the time of an epoch; a larger marker has more parameters.

    Args:
        rows: the backbones in the order of their colours; those without an accuracy are left out.
    """
    import plotly.graph_objects as go

    shown = [(place, row) for place, row in enumerate(rows) if row.accuracy.value is not None]
    most = max((row.n_parameters for _, row in shown), default=1)
    figure = go.Figure()
    for place, row in shown:
        figure.add_scatter(
            x=[row.epoch_seconds],
            y=[row.accuracy.value],
            name=plain_text(row.title),
            mode="markers+text",
            text=[f"  {plain_text(row.title)}"],
            textposition="middle right",
            cliponaxis=False,
            marker={
                "color": tint(category_colour(place), 0.75),
                "symbol": category_symbol(place),
                # The area stands for the parameters.
                "size": max(_LARGEST_PX * float(np.sqrt(row.n_parameters / most)), _SMALLEST_PX),
                "line": {"color": category_colour(place), "width": 1.5},
            },
            error_y=_intervals([row.accuracy], colour=UNKNOWN_COLOUR),
            hovertext=[
                f"<b>{plain_text(row.title)}</b><br>accuracy {_written(row.accuracy)}<br>"
                f"{row.epoch_seconds:.3g} s an epoch<br>{row.n_parameters / 1e6:.1f} M parameters"
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    lowest = min((row.accuracy.low or 0.0 for _, row in shown), default=0.0)
    slowest = max((row.epoch_seconds for _, row in shown), default=1.0)
    figure.update_xaxes(title="seconds an epoch", range=[0, 1.3 * slowest])
    figure.update_yaxes(title="accuracy", tickformat=".0%", range=[max(lowest - 0.05, -0.02), 1.03])
    return finish(figure, height=380, showlegend=False, hovermode="closest")


def _cell_colour(row: int, place: int, n_classes: int) -> str:
    if row >= n_classes:
        return UNKNOWN_COLOUR
    return CLASS_COLOURS[0] if row == place else WARNING_COLOUR


def _curves(
    history: Sequence[Mapping[str, Any]], measure: str, best_epoch: int | None, *, format_: str
) -> Figure:
    import plotly.graph_objects as go

    epochs = [row["epoch"] for row in history]
    figure = go.Figure()
    for split in ("train", "validation"):
        values = [row[f"{split}_{measure}"] for row in history]
        figure.add_scatter(
            x=epochs,
            y=values,
            name="training" if split == "train" else split,
            mode="lines+markers" if len(epochs) <= 30 else "lines",
            line_color=SPLIT_COLOURS[split],
            customdata=[row["seconds"] for row in history],
            hovertemplate=f"epoch %{{x}}: %{{y:{format_}}}, %{{customdata:.3g}} s"
            "<extra>%{fullData.name}</extra>",
        )
    best = next((row for row in history if row["epoch"] == best_epoch), None)
    if best is not None:
        figure.add_vline(x=best_epoch, line_dash="dot", line_color=UNKNOWN_COLOUR)
        figure.add_scatter(
            x=[best_epoch],
            y=[best[f"validation_{measure}"]],
            name=f"best: epoch {best_epoch}",
            mode="markers",
            marker={
                "color": SPLIT_COLOURS["validation"],
                "size": 13,
                "symbol": "star",
                "line": {"color": "#333333", "width": 1},
            },
            hoverinfo="skip",
        )
    figure.update_xaxes(title="epoch", dtick=1 if len(epochs) <= 16 else None)
    figure.update_yaxes(title=measure)
    if measure == "accuracy":
        figure.update_yaxes(tickformat=".0%")
    else:
        figure.update_yaxes(rangemode="tozero")
    return finish(figure, height=260)


def _intervals(estimates: Sequence[Estimate], *, colour: str) -> dict[str, Any]:
    """Error bars; none where a share is not defined."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [(each.high or 0.0) - (each.value or 0.0) for each in estimates],
        "arrayminus": [(each.value or 0.0) - (each.low or 0.0) for each in estimates],
        "thickness": 1.5,
        "width": 4,
        "color": colour,
    }


def _written(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"not defined: {plain_text(estimate.why)}"
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%}, n = {estimate.n:,})"
