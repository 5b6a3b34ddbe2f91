"""The view Drift: do the images that come in still look like the calibration images?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import figures
from core.analysis.audits import read_audit
from core.analysis.drift import DriftReading, SeenWindow, read_drift
from core.errors import OperatorError
from core.settings import PROJECT_ROOT
from core.state import applications, catalog
from core.state.workspace import Workspace
from core.triage.drift import STEP, WINDOW
from core.triage.drift_wording import next_steps, verdict
from pages._access import require
from pages._images import show_gallery
from pages._shared import acting, counted, next_step, noted_metric, plain, show_error

_KEY = "inbox.drift"
_CAMERA_TITLES = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "saturation": "Saturation",
    "dark_share": "Black pixels",
    "bright_share": "White pixels",
}
_TEST_TITLES = {
    "mmd": "Features (MMD)",
    "classifier": "Features (classifier)",
    "camera": "Camera",
    "novelty": "Novelty",
    "labels": "Labels",
}
_PLAIN_CHART = {"displayModeBar": False}


def show_drift(workspace: Workspace) -> None:
    """How the line stands, what to do, and how it came there."""
    found = read_drift(workspace)
    if not found.windows:
        _show_too_few(found)
        return
    _show_state(found)
    if found.alarm is not None:
        _show_what_to_do(workspace, found, found.alarm)
    _show_unlike(workspace, found.alarm or found.windows[-1])
    _show_charts(workspace, found.windows)
    _show_windows(found.windows)


def _show_too_few(found: DriftReading) -> None:
    if found.n_missing:
        next_step(
            f"{counted(found.n_waiting, 'image')} came in so far; {WINDOW:,} make the first window "
            "to be compared with the calibration images."
        )
        return
    next_step(
        "Nothing has been compared yet: it takes a promoted model, a plan, and calibration images.",
        page="triage.py",
        label="Plan a triage",
    )


def _show_state(found: DriftReading) -> None:
    newest = found.windows[-1]
    if found.alarm is not None:
        since = found.alarm.row.at[:16].replace("T", " ")
        rests = " Automatic labelling rests." if found.pause and found.pause.paused else ""
        st.error(
            f"**The line has drifted.**{rests}  \n{plain(verdict(found.alarm.found))}  \n{since}",
            icon=":material/warning:",
        )
    elif found.newest is None:
        st.info(
            f"Since automatic labelling was let go on, {counted(found.n_waiting, 'image')} came "
            f"in; {WINDOW:,} make a window.",
            icon=":material/hourglass_empty:",
        )
    else:
        st.success(f"**No drift is seen.** {verdict(newest.found)}", icon=":material/check_circle:")
    with st.container(horizontal=True):
        for name, title in _TEST_TITLES.items():
            test = newest.found.test(name)
            if test is not None:
                limit = "–" if test.limit is None else f"{test.limit:.3g}"
                note = f"alarm: above {limit}" if test.is_alarm else f"alarm above {limit}"
                shown = f":red[**{title}**]" if test.is_alarm else title
                noted_metric(shown, f"{test.value:.3g}", note)


def _show_what_to_do(workspace: Workspace, found: DriftReading, alarm: SeenWindow) -> None:
    with st.container(border=True):
        st.markdown("##### What to do")
        st.markdown("\n".join(f"1. {plain(step)}" for step in next_steps(alarm.found)))
        with st.container(horizontal=True):
            for page, label in (
                ("triage.py", "Audit and plan"),
                ("dataset.py", "Calibration images"),
                ("fine_tuning.py", "Train again"),
            ):
                st.page_link(
                    PROJECT_ROOT / "pages" / page, label=label, icon=":material/arrow_forward:"
                )
        if not found.is_paused_by_drift:
            return
        reason = st.text_input("Why it may go on", key=f"{_KEY}.reason")
        if st.button("Let it go on", key=f"{_KEY}.resume", icon=":material/play_circle:"):
            acting("data scientist")
            try:
                applications.resume(workspace, reason, actor=require("data scientist").name)
            except OperatorError as error:
                show_error(error)
                return
            st.rerun()


def _show_unlike(workspace: Workspace, window: SeenWindow) -> None:
    st.markdown("##### The images that differ most")
    images = catalog.list_in_order(workspace, window.found.most_unlike)
    show_gallery(workspace, images, key=f"{_KEY}.unlike")
    st.caption(
        "Those that a classifier tells best from the calibration images, the clearest first."
    )


def _show_charts(workspace: Workspace, windows: Sequence[SeenWindow]) -> None:
    places = [each.row.last_arrival for each in windows]
    found = [each.found for each in windows]
    order = catalog.list_classes(workspace)
    charts = {
        "Features: maximum mean discrepancy": figures.drift_over_time(places, found, "mmd"),
        "Features: AUC of a classifier": figures.drift_over_time(places, found, "classifier"),
        "Camera: in units of chance": figures.camera_over_time(places, found, _CAMERA_TITLES),
    }
    if any(each.novelty for each in found):
        charts["Share of novel images"] = figures.shares_over_time(
            places,
            [[each.novelty] if each.novelty else [] for each in found],
            order,
            title="farther from all classes than 95 % of the calibration images",
        )
    if any(each.labels for each in found):
        charts["Shares of the model's labels"] = figures.shares_over_time(
            places, [each.labels for each in found], order
        )
    audit = read_audit(workspace)
    if audit is not None and audit.measure.n_checked:
        charts["Error of the automatic labels, by the audit"] = figures.audit_over_time(
            audit.measure, audit.application.max_error
        )
    columns = st.columns(2, gap="large")
    for number, (title, chart) in enumerate(charts.items()):
        with columns[number % 2]:
            st.markdown(f"**{title}**")
            st.plotly_chart(chart, key=f"{_KEY}.chart.{number}", config=_PLAIN_CHART)


def _show_windows(windows: Sequence[SeenWindow]) -> None:
    rows = [
        {
            "compared": each.row.at[:16].replace("T", " "),
            "arrivals": f"{each.row.first_arrival:,} to {each.row.last_arrival:,}",
            "images": each.row.n_images,
            "alarm": ", ".join(_TEST_TITLES[t.name] for t in each.found.tests if t.is_alarm),
            **{_TEST_TITLES[test.name]: test.p_value for test in each.found.tests},
        }
        for each in reversed(windows)
    ]
    p_value = st.column_config.NumberColumn(format="%.2g", help="p-value")
    with st.expander(f"All windows: {len(rows):,}"):
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config=dict.fromkeys(_TEST_TITLES.values(), p_value),
            key=f"{_KEY}.windows",
        )
        level = windows[-1].found.level
        st.caption(
            f"Windows of {WINDOW:,} images, every {STEP:,}. The numbers are p-values; one of at "
            f"most {level:.2g} is an alarm."
        )
