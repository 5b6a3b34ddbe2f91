"""The view People: how they agree, how fast they are, what the model had wrong; and the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import streamlit as st

from core import figures
from core.analysis.people import PeopleReading, decisions_as_csv, read_people
from core.state.workspace import Workspace
from core.triage.agreement import Kappa, SessionFigures
from pages._evaluated import show_share
from pages._shared import next_step, noted_metric
from pages._triage_retraining import offer_training

_KEY = "triage"
_PERIODS = {"Today": timedelta(hours=24), "7 days": timedelta(days=7), "All": None}
_NO_TOOLS = {"displayModeBar": False}


def show_people(workspace: Workspace) -> None:
    """Figures of all decisions of a period, and of each person's."""
    offer_training(workspace)
    with st.container(horizontal=True, vertical_alignment="center"):
        period = st.segmented_control(
            "Period",
            list(_PERIODS),
            default="All",
            required=True,
            label_visibility="collapsed",
            key=f"{_KEY}.period",
        )
        st.download_button(
            "All decisions as CSV",
            data=lambda: decisions_as_csv(workspace)[0].encode(),
            file_name=f"{workspace.path.name}-decisions.csv",
            mime="text/csv",
            icon=":material/download:",
            key=f"{_KEY}.decisions",
        )
    found = read_people(workspace, since=_since(period))
    if not found.together.n_decisions:
        next_step("Nobody has decided anything in this time.")
        return
    _show_together(found)
    _show_persons(found)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("How far they agree", anchor=False)
        _show_agreement(found)
    with right:
        st.subheader("What became of the model's suggestions", anchor=False)
        if found.together.suggestions:
            st.plotly_chart(
                figures.suggestion_changes(found.together.suggestions),
                key=f"{_KEY}.suggestions",
                config=_NO_TOOLS,
            )
        else:
            st.caption("No decision was about a suggestion.")


def _since(period: str) -> str:
    span = _PERIODS[period]
    return "" if span is None else (datetime.now(UTC) - span).isoformat()


def _show_together(found: PeopleReading) -> None:
    together = found.together
    with st.container(horizontal=True):
        st.metric("Decisions", f"{together.n_decisions:,}", border=True)
        st.metric(
            "A minute at work",
            "–" if together.per_minute is None else f"{together.per_minute:.0f}",
            border=True,
            help="Of one person, pauses of more than a minute left out.",
        )
        show_share(
            "Suggestions changed",
            together.changed,
            help="Of the labels that the model suggested, how many people changed. People see what "
            "the model is unsure of: of all images it is wrong far less often.",
        )
        show_share(
            "Known images met",
            together.gold,
            help="Of the images whose label is known, how many were given it.",
        )
        _show_kappa(found.agreement.overall)


def _show_kappa(kappa: Kappa) -> None:
    if kappa.value is None:
        st.metric("Cohen's kappa", "–", border=True, help=kappa.why)
        return
    noted_metric(
        "Cohen's kappa",
        f"{kappa.value:.2f}",
        f"{kappa.low:.2f} to {kappa.high:.2f}, n = {kappa.n:,}",
        help="Agreement of two people on the same images beyond chance: 1 is all, 0 is chance.",
    )


def _show_persons(found: PeopleReading) -> None:
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        pd.DataFrame([_row(name, each) for name, each in found.by_person.items()]),
        hide_index=True,
        column_config={
            "suggestions changed": percent,
            "known images met": percent,
            "a minute": st.column_config.NumberColumn(format="%.0f"),
            "seconds each": st.column_config.NumberColumn(format="%.1f"),
        },
        placeholder="–",  # of what nobody has met
        key=f"{_KEY}.persons",
    )


def _row(name: str, each: SessionFigures) -> dict[str, object]:
    return {
        "person": name,
        "decisions": each.n_decisions,
        "a minute": each.per_minute,
        "seconds each": each.median_seconds,
        "suggestions changed": each.changed.value,
        "known images met": each.gold.value,
        "known images": each.gold.n,
    }


def _show_agreement(found: PeopleReading) -> None:
    agreement = found.agreement
    if not agreement.pairs:
        st.caption("No image has been judged by two people yet.")
        return
    st.plotly_chart(
        figures.agreement_matrix(agreement.pairs), key=f"{_KEY}.agreement", config=_NO_TOOLS
    )
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "class": each.label,
                    "given by one": each.n_either,
                    "by both": each.n_both,
                    "kappa": each.kappa.value,
                }
                for each in agreement.by_class
            ]
        ),
        hide_index=True,
        column_config={"kappa": st.column_config.NumberColumn(format="%.2f")},
        key=f"{_KEY}.agreement.classes",
    )
