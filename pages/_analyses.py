"""What the views of an analysis share: its result, or the one button that makes it."""

import streamlit as st

from core.analysis.standing import Standing, newest
from core.jobs.configs import JobConfig
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._shared import submit


def find_or_offer(
    workspace: Workspace,
    embedding: Run,
    kind: str,
    config: JobConfig,
    *,
    missing: str,
    label: str,
) -> Standing | None:
    """The analysis to show; where there is none, what is missing and the button that makes it.

    Args:
        kind: of run.
        config: what makes one.
        missing: a sentence for where there is none.
        label: of the button.
    """
    found = newest(workspace, embedding, kind)
    if found is None:
        with st.container(border=True):
            st.markdown(f"##### {missing}")
            if st.button(
                label,
                type="primary",
                icon=":material/play_arrow:",
                key=f"clusters_and_anomalies.{kind}.make",
            ):
                submit(workspace, config)
                st.rerun()
    return found


def offer_again(workspace: Workspace, standing: Standing, config: JobConfig, text: str) -> None:
    """Say that an analysis no longer holds, and offer to make it anew; nothing while it does."""
    if standing.is_current:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":orange[:material/history:] {text}", width="content")
        if st.button(
            "Look again",
            icon=":material/refresh:",
            key=f"clusters_and_anomalies.{standing.run.kind}.again",
        ):
            submit(workspace, config)
            st.rerun()
