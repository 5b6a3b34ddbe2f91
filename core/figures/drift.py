"""Charts of drift: how unlike the calibration images are the images that come in, over time?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.figures.drawing import WARNING_COLOUR, finish, plain_text, shorten
from core.palette import CLASS_COLOURS, category_colour, class_colour

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from core.triage.drift import Comparison, Share

_MOST_LABELS = 8  # told apart by colour


def drift_over_time(places: Sequence[int], found: Sequence[Comparison], name: str) -> Figure:
    """A test's value, window by window, and the line above which it is an alarm.

    Args:
        places: number of each window's last arrival, ascending.
        found: of the windows.
        name: of the test; see `core.triage.drift.TESTS`.
    """
    import plotly.graph_objects as go

    tests = [each.test(name) for each in found]
    figure = go.Figure(
        go.Scatter(
            x=list(places),
            y=[None if test is None else test.value for test in tests],
            name="measured",
            mode="lines+markers",
            line={"color": CLASS_COLOURS[0], "width": 2.5},
            marker={
                "size": [11 if test and test.is_alarm else 6 for test in tests],
                "color": [
                    WARNING_COLOUR if test and test.is_alarm else CLASS_COLOURS[0] for test in tests
                ],
            },
            hovertext=[
                "" if test is None else f"{test.value:.3g}, p = {test.p_value:.2g}"
                for test in tests
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    limits = [None if test is None else test.limit for test in tests]
    above = "alarm above %{y:.3g}<extra></extra>"
    _add_limit(figure, places, limits, name="alarm above", hovertemplate=above)
    return _over_arrivals(figure)


def camera_over_time(
    places: Sequence[int], found: Sequence[Comparison], titles: dict[str, str]
) -> Figure:
    """Each camera measure's difference from the calibration images, in units of chance.

    Args:
        places: number of each window's last arrival, ascending.
        found: of the windows.
        titles: by the name of the measure, in the order of the legend.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for number, (name, title) in enumerate(titles.items()):
        shifts = [next((s for s in each.camera if s.name == name), None) for each in found]
        figure.add_scatter(
            x=list(places),
            y=[None if shift is None else shift.z for shift in shifts],
            name=title,
            mode="lines+markers",
            line={"color": category_colour(number), "width": 2},
            hovertext=[
                ""
                if shift is None
                else f"{title}: {shift.window:.3g}, usually {shift.reference:.3g}"
                for shift in shifts
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    limits = [test.limit if (test := each.test("camera")) else None for each in found]
    for sign in (1, -1):
        signed = [None if limit is None else sign * limit for limit in limits]
        more = {"showlegend": sign > 0, "hoverinfo": "skip"}
        _add_limit(figure, places, signed, name="alarm beyond", **more)
    return _over_arrivals(figure)


def shares_over_time(
    places: Sequence[int],
    shares: Sequence[Sequence[Share]],
    order: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Shares of each window, and as dotted lines what is usual among the calibration images.

    Args:
        places: number of each window's last arrival, ascending.
        shares: of each window; the most frequent eight names are drawn.
        order: of the classes, which fixes their colours.
        title: what a share without a name is called.
    """
    import plotly.graph_objects as go

    usual = {share.name: share.reference for of_window in shares for share in of_window}
    highest = {
        name: max(
            [share.window for w in shares for share in w if share.name == name] + [usual[name]]
        )
        for name in usual
    }
    figure = go.Figure()
    for name in sorted(usual, key=lambda each: -highest[each])[:_MOST_LABELS]:
        colour = class_colour(name, order) if name else CLASS_COLOURS[0]
        of_name = [next((s for s in each if s.name == name), None) for each in shares]
        shown = plain_text(name or title)
        figure.add_scatter(
            x=list(places),
            y=[None if share is None else share.window for share in of_name],
            name=plain_text(shorten(name, 18)) or shown,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            error_y=None
            if name
            else {
                "type": "data",
                "symmetric": False,
                "array": [s.high - s.window if s else 0 for s in of_name],
                "arrayminus": [s.window - s.low if s else 0 for s in of_name],
                "thickness": 1,
            },
            hovertext=[
                ""
                if share is None
                else f"{shown}: {share.window:.1%} ({share.low:.1%} to {share.high:.1%}), "
                f"usually {share.reference:.1%}"
                for share in of_name
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        figure.add_hline(y=usual[name], line_dash="dot", line_color=colour, line_width=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    n_more = max(0, min(len(usual), _MOST_LABELS) - 2)  # a line of the legend holds about two
    return _over_arrivals(figure, height=280 + 12 * n_more)


def _add_limit(
    figure: Figure,
    places: Sequence[int],
    limits: Sequence[float | None],
    *,
    name: str,
    **more: Any,
) -> None:
    """A dotted line beyond which there is an alarm."""
    figure.add_scatter(
        x=list(places),
        y=list(limits),
        name=name,
        connectgaps=True,  # of many windows that came at once only the newest has its limits
        mode="lines" if len(places) > 1 else "markers",
        line={"color": WARNING_COLOUR, "width": 2, "dash": "dot"},
        marker={"symbol": "line-ew-open", "size": 14, "color": WARNING_COLOUR},
        **more,
    )


def _over_arrivals(figure: Figure, *, height: int = 280) -> Figure:
    figure.update_xaxes(title="number of the window's last arrival", tickformat=",d")
    return finish(figure, height=height, hovermode="closest")
