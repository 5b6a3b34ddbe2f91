"""The view Audit: how wrong the automatic labels are, as people find who check some unawares."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core import figures
from core.analysis.audits import AuditReading, read_audit
from core.errors import OperatorError
from core.state import applications
from core.state.workspace import Workspace
from pages._access import require
from pages._shared import acting, counted, next_step, noted_metric, plain, show_error

_KEY = "triage"


def show_audit(workspace: Workspace) -> None:
    """The measured error, its limits, over time and by class."""
    show_pause(workspace)
    found = read_audit(workspace)
    if found is None:
        next_step("Nothing has been labelled automatically yet: plan it in the view “Automatic”.")
        return
    _show_measure(found)
    if found.measure.n_checked:
        left, right = st.columns(2, gap="large")
        with left:
            st.plotly_chart(
                figures.audit_over_time(found.measure, found.application.max_error),
                key=f"{_KEY}.audit",
                config={"displayModeBar": False},
            )
        with right:
            _show_classes(found)
    _offer_pause(workspace, found)


def show_pause(workspace: Workspace) -> None:
    """Say that automatic labelling rests and why, and let a person end it."""
    pause = applications.current_pause(workspace)
    if pause is None or not pause.paused:
        return
    st.error(
        f"**Automatic labelling is paused.**  \n{plain(pause.reason)}  \n"
        f"{plain(pause.actor)} · {pause.at[:16].replace('T', ' ')}",
        icon=":material/pause_circle:",
    )
    with st.expander("Let it go on"):
        st.markdown(
            "Look at what was wrong below, revert those labels where they harm, plan anew on fresh "
            "calibration images. Then say why it may go on; the audit begins afresh."
        )
        reason = st.text_input("Why it may go on", key=f"{_KEY}.resume.reason")
        if st.button("Go on", key=f"{_KEY}.resume", icon=":material/play_circle:"):
            acting("data scientist")
            try:
                actor = require("data scientist").name
                applications.resume(workspace, reason, actor=actor)
            except OperatorError as error:
                show_error(error)
                return
            st.rerun()


def _show_measure(found: AuditReading) -> None:
    measure, applied = found.measure, found.application
    is_risk = applied.rule == "risk"
    with st.container(horizontal=True):
        noted_metric(
            "Measured error",
            "–" if measure.share is None else f"{measure.share:.1%}",
            "nobody has checked one yet"
            if measure.share is None
            else f"{measure.low:.1%} to {measure.high:.1%}",
            help="Share of the automatic labels that were wrong, of those that people checked "
            "without knowing it.",
        )
        noted_metric(
            "Promised",
            f"{applied.max_error * 100:.3g}%" if is_risk else "nothing",
            f"but for a chance of {applied.delta:.0%}" if is_risk else "the paper's rule",
        )
        noted_metric(
            "Surely above",
            f"{measure.anytime_low:.1%}",
            "however often one looks",
            help="The true error is above this with the probability that was promised, at all "
            "times together. Once it passes the promise, automatic labelling pauses.",
        )
        noted_metric(
            "Checked",
            f"{measure.n_checked:,}",
            f"{found.n_waiting:,} wait unseen in the queue",
        )
    verdict = (
        ":red[**The promise is broken.**]"
        if found.is_broken
        else "Nothing speaks against the promise so far."
        if is_risk and measure.n_checked
        else ""
    )
    st.caption(f"{plain(applied.model)}, since {applied.at[:16].replace('T', ' ')}. {verdict}")


def _show_classes(found: AuditReading) -> None:
    rows = [
        {
            "labelled as": each.name,
            "checked": each.n_checked,
            "wrong": each.n_wrong,
            "error": each.share,
            "at most": each.high,
        }
        for each in found.measure.by_class
    ]
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={"error": percent, "at most": percent},
        key=f"{_KEY}.audit.classes",
    )


def _offer_pause(workspace: Workspace, found: AuditReading) -> None:
    if found.is_paused:
        return
    with st.expander("Pause automatic labelling"):
        reason = st.text_input("Why", key=f"{_KEY}.pause.reason")
        is_ready = bool(reason.strip())
        if st.button("Pause", key=f"{_KEY}.pause", disabled=not is_ready):
            actor = acting("operator").name  # who sees something wrong may stop it
            applications.pause(workspace, reason.strip(), actor=actor)
            st.rerun()
        st.caption(f"{counted(found.n_waiting, 'check')} in the queue stay there.")
