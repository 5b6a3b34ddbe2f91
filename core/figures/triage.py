"""Charts of the triage: what a promise costs, whether it is kept, how far people agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.figures.clusters import contingency_map
from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten, tint
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.learning.evaluation import Estimate
    from core.triage.agreement import Kappa, PairAgreement, SuggestionCount
    from core.triage.audit import AuditMeasure, AuditPoint
    from core.triage.routing import CurvePoint

_MOST_POINTS = 400  # of a line over time, however many outcomes there were
_FEW_POINTS = 30  # that are marked each
_RULE_COLOUR = CLASS_COLOURS[1]
_OUTLINE = {"width": 2, "color": "#333333"}


@dataclass(frozen=True)
class RulePoint:
    """Where another rule of routing stands, which promises nothing.

    Attributes:
        title: of the rule, as the legend has it.
        auto_share: share of the images that it labels, in [0, 1].
        error: share of its labels that are wrong, as far as it was measured; None where it was not.
    """

    title: str
    auto_share: float
    error: Estimate | None


def risk_coverage(
    curve: Sequence[CurvePoint],
    chosen: CurvePoint | None,
    rule_point: RulePoint | None,
    *,
    n_images: int,
) -> Figure:
    """How many images are left for people at each error that could be promised; less is better.

    Each point carries its `max_error`, so that a click can choose it. The other rule stands where
    its error was measured, with the interval; where it was not, it is a line at its share.

    Args:
        curve: the strictest promise first.
        chosen: the promise that is marked, None for none.
        rule_point: of the other rule, None for none.
        n_images: that are routed, to tell shares as counts too.
    """
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Scatter(
            x=[point.max_error for point in curve],
            y=[1 - point.auto_share for point in curve],
            name="by what is promised",
            mode="lines+markers",
            line={"color": CLASS_COLOURS[0], "width": 2.5},
            marker_size=8,
            customdata=[point.max_error for point in curve],
            hovertext=[_left(point, n_images) for point in curve],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    largest = max((point.max_error for point in curve), default=0.1)
    if chosen is not None:
        largest = max(largest, chosen.max_error)
        figure.add_vline(x=chosen.max_error, line_dash="dot", line_color=WARNING_COLOUR)
        figure.add_scatter(
            x=[chosen.max_error],
            y=[1 - chosen.auto_share],
            name=f"chosen: {_percent(chosen.max_error)}",
            mode="markers",
            marker={"color": WARNING_COLOUR, "size": 14, "symbol": "star", "line": _OUTLINE},
            customdata=[chosen.max_error],
            hovertext=[_left(chosen, n_images)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    if rule_point is not None:
        largest = max(largest, _add_rule(figure, rule_point, n_images, largest))
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    figure.update_xaxes(
        title="share of wrong automatic labels", range=[0, 1.06 * largest], tickformat=".2~p"
    )
    figure.update_yaxes(
        title=f"left for people, of {n_images:,} images",
        range=[-0.02, 1.05],
        tickvals=shares,
        ticktext=[f"{share:.0%} · {round(share * n_images):,}" for share in shares],
    )
    return finish(figure, height=340, hovermode="closest")


def audit_over_time(measure: AuditMeasure, promised: float) -> Figure:
    """The measured error as outcomes come in, its interval and limit, and what was promised.

    Where the limit is above the promise, the promise is broken. The axis is cut where only the
    first few outcomes reach.

    Args:
        measure: of the automatic labels that people looked at again.
        promised: share of wrong automatic labels, in (0, 1).
    """
    import plotly.graph_objects as go

    rows = np.unique(np.linspace(0, measure.n_checked - 1, _MOST_POINTS).round().astype(int))
    points = [measure.over_time[row] for row in rows] if measure.over_time else []
    times = [point.at for point in points]
    confidence = _percent(1 - measure.delta)
    figure = go.Figure(
        go.Scatter(
            x=[*_held(times)[1:], *reversed(_held(times)[1:])],
            y=[
                *_held([point.high for point in points])[:-1],
                *reversed(_held([point.low for point in points])[:-1]),
            ],
            name=f"{confidence} interval",
            fill="toself",
            fillcolor=tint(CLASS_COLOURS[0], 0.18),
            line_width=0,
            mode="lines",
            hoverinfo="skip",
        )
    )
    figure.add_scatter(
        x=times,
        y=[point.share for point in points],
        name="measured error",
        mode="lines" if len(points) > _FEW_POINTS else "lines+markers",
        line={"color": CLASS_COLOURS[0], "width": 2.5, "shape": "hv"},
        error_y=_first_interval(points),
        hovertext=[
            f"{point.n_wrong:,} of {point.n:,} wrong: {point.share:.1%} "
            f"({point.low:.1%} to {point.high:.1%})"
            for point in points
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    figure.add_scatter(
        x=times,
        y=[point.anytime_low for point in points],
        name=f"lower limit that holds at all times ({confidence})",
        mode="lines" if len(points) > 1 else "markers",
        line={"color": WARNING_COLOUR, "width": 2, "shape": "hv"},
        hovertext=[f"lower limit {point.anytime_low:.2%}" for point in points],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    figure.add_hline(
        y=promised,
        line_dash="dot",
        line_color=_RULE_COLOUR,
        annotation={"text": f"promised: {_percent(promised)}", "xanchor": "right"},
    )
    top = _top(measure, promised)
    figure.update_xaxes(title=None, type="date")
    if len(set(times)) == 1:  # plotly would count the milliseconds about it
        figure.update_xaxes(tickvals=times[:1], tickformat="%b %-d %Y, %H:%M")
    figure.update_yaxes(
        title="share of wrong automatic labels",
        range=[-0.02 * top, top],  # a line at 0 is seen in full
        tickformat=".2~p",
    )
    return finish(figure, height=320, hovermode="x unified" if len(points) > 1 else "closest")


def agreement_matrix(pairs: Sequence[PairAgreement]) -> Figure:
    """A cell for each two people: Cohen's kappa; the less they agree, the stronger its colour.

    Args:
        pairs: those who have judged images in common.
    """
    import plotly.graph_objects as go

    people = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    names = [plain_text(shorten(name, 22)) for name in people]
    places = list(range(len(people)))
    of_pair = {(pair.first, pair.second): pair for pair in pairs}
    found = [
        [of_pair.get((min(row, column), max(row, column))) for column in people] for row in people
    ]
    figure = go.Figure(
        go.Heatmap(
            x=places,
            y=places,
            z=[[None if pair is None else pair.kappa.value for pair in row] for row in found],
            zmin=0.0,
            zmax=1.0,
            colorscale=[[0.0, tint(WARNING_COLOUR, 0.75)], [1.0, tint(WARNING_COLOUR, 0.02)]],
            showscale=False,
            xgap=2,
            ygap=2,
            hovertext=[["" if pair is None else _of_pair(pair) for pair in row] for row in found],
            hovertemplate="%{hovertext}<extra></extra>",
            hoverongaps=False,
        )
    )
    cells = [
        (row, column, pair)
        for row, of_row in enumerate(found)
        for column, pair in enumerate(of_row)
        if pair is not None
    ]
    figure.add_scatter(
        x=[column for _, column, _ in cells],
        y=[row for row, _, _ in cells],
        text=[
            "–" if pair.kappa.value is None else f"{pair.kappa.value:.2f}" for _, _, pair in cells
        ],
        mode="text",
        hovertext=[_of_pair(pair) for _, _, pair in cells],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
    )
    numbers = [str(place + 1) for place in places]  # names of columns would stand askew
    bare = {"tickvals": places, "title": None, "showgrid": False, "zeroline": False}
    end = len(people) - 0.5
    figure.update_xaxes(**bare, ticktext=numbers, range=[-0.5, end], side="top")
    figure.update_yaxes(
        **bare,
        ticktext=[f"{name}  {number}" for name, number in zip(names, numbers, strict=True)],
        range=[end, -0.5],
    )
    return finish(figure, height=60 + 36 * len(people), showlegend=False)


def suggestion_changes(counts: Sequence[SuggestionCount]) -> Figure:
    """A cell for each suggestion and decision: how many, darker the larger the suggestion's share.

    What was confirmed is blue, what was changed vermilion.

    Args:
        counts: what became of each suggestion, confirmed ones too.
    """
    rows = sorted({each.suggested for each in counts})
    # Suggested labels first, so that what was confirmed stands on the diagonal.
    columns = [*rows, *sorted({each.decided for each in counts} - set(rows))]
    table = np.zeros((len(rows), len(columns)), np.int64)
    for each in counts:
        table[rows.index(each.suggested), columns.index(each.decided)] += each.n
    figure = contingency_map(
        table,
        labels=rows,
        clusters=columns,
        carried=[[""] * len(columns)] * len(rows),
        share_of="label",
    )
    totals = table.sum(axis=1).tolist()  # at least 1: a row is there for its suggestions
    shares = table / table.sum(axis=1, keepdims=True)
    cells = figure.data[0]
    cells.marker.color = [
        tint(CLASS_COLOURS[0] if row == place else WARNING_COLOUR, 0.05 + 0.6 * shares[row, place])
        for row, place in np.ndindex(*table.shape)
    ]
    cells.hovertext = [
        f"suggested {plain_text(rows[row])}, decided {plain_text(columns[place])}: "
        f"{table[row, place]:,} of {totals[row]:,} ({shares[row, place]:.1%})"
        for row, place in np.ndindex(*table.shape)
    ]
    figure.update_xaxes(title="decided by people")
    figure.update_yaxes(title="suggested by the model")
    figure.update_layout(height=figure.layout.height + 24)  # for the title of the columns
    return figure


def _add_rule(figure: Figure, rule: RulePoint, n_images: int, largest: float) -> float:
    """Draw the other rule; the largest error that it needs room for."""
    left = 1 - rule.auto_share
    title = plain_text(rule.title)
    told = f"{title}: {left:.1%} left for people, {round(left * n_images):,} images<br>"
    if rule.error is None or rule.error.value is None:
        figure.add_scatter(
            x=[0, largest],
            y=[left, left],
            name=f"{title} (error not measured)",
            mode="lines",
            line={"color": _RULE_COLOUR, "dash": "dash", "width": 2},
            hovertext=[f"{told}error not measured"] * 2,
            hovertemplate="%{hovertext}<extra></extra>",
        )
        return largest
    value = rule.error.value
    low = value if rule.error.low is None else rule.error.low
    high = value if rule.error.high is None else rule.error.high
    figure.add_scatter(
        x=[value],
        y=[left],
        name=f"{title} (measured error)",
        mode="markers",
        marker={"color": _RULE_COLOUR, "size": 13, "symbol": "diamond", "line": _OUTLINE},
        error_x=_interval(value, low, high),
        hovertext=[f"{told}{value:.1%} wrong ({low:.1%} to {high:.1%}, n = {rule.error.n:,})"],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return high


def _held(values: Sequence[Any]) -> list[Any]:
    """Each value twice: what is drawn against it stays as it is until the next."""
    return [value for value in values for _ in range(2)]


def _first_interval(points: Sequence[AuditPoint]) -> dict[str, Any] | None:
    """Error bars of a single outcome, whose band has no width."""
    if len(points) != 1:
        return None
    (point,) = points
    return _interval(point.share, point.low, point.high)


def _interval(value: float, low: float, high: float) -> dict[str, Any]:
    """The error bar of one point."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value],
        "arrayminus": [value - low],
        "thickness": 1.5,
        "width": 4,
        "color": UNKNOWN_COLOUR,
    }


def _left(point: CurvePoint, n_images: int) -> str:
    left = 1 - point.auto_share
    return (
        f"at most {_percent(point.max_error)} wrong: {left:.1%} left for people, "
        f"{round(left * n_images):,} images"
    )


def _top(measure: AuditMeasure, promised: float) -> float:
    """Upper end of the axis: room for the present interval and for twice the promise."""
    if not measure.over_time:
        return min(3 * promised, 1.0)
    settled = measure.over_time[len(measure.over_time) // 2 :]
    return min(
        1.08 * max(2 * promised, measure.high, *(point.share for point in settled)),
        1.02,
    )


def _of_pair(pair: PairAgreement) -> str:
    first, second = plain_text(pair.first), plain_text(pair.second)
    return (
        f"{first} and {second}: {_written(pair.kappa)}<br>"
        f"the same label for {pair.n_same:,} of {pair.n:,} images"
    )


def _written(kappa: Kappa) -> str:
    if kappa.value is None:
        return f"kappa not defined<br>{plain_text(kappa.why)}"
    return f"kappa {kappa.value:.2f} ({kappa.low:.2f} to {kappa.high:.2f})"


def _percent(share: float) -> str:
    """A share in per cent with as many digits as it has: 0.005 is "0.5%"."""
    return f"{100 * share:.3g}%"
