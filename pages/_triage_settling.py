"""The view To settle: images on which people disagree, or that one of them has flagged."""

from __future__ import annotations

import uuid

import streamlit as st

from core import actions
from core.errors import OperatorError
from core.state import catalog, decisions
from core.state.catalog import ImageFilter
from core.state.decisions import Decision, Unsettled
from core.state.label_book import list_offered
from core.state.workspace import Workspace
from core.triage.wording import label_name
from core.vocabulary import RESERVED_LABELS
from pages._access import require
from pages._images import show_gallery
from pages._shared import acting, next_step, plain, show_error

_KEY = "triage"
_AT_ONCE = 10


def show_settling(workspace: Workspace) -> None:
    """Each image with what was said of it, and the labels to choose from."""
    found = decisions.list_unsettled(workspace, limit=_AT_ONCE)
    if not found:
        next_step("Nothing is in dispute, and nothing is flagged.")
        return
    st.caption(
        "While people disagree, an image keeps the label from before. What you choose here stands; "
        "all that was said stays in the log."
    )
    names = [name for name in list_offered(workspace) if name not in RESERVED_LABELS]
    for each in found:
        with st.container(border=True):
            _show_item(workspace, each, [*names, *RESERVED_LABELS])


def _show_item(workspace: Workspace, each: Unsettled, labels: list[str]) -> None:
    picture, choice = st.columns([1, 2], gap="large")
    with picture:
        images = catalog.list_images(workspace, ImageFilter(ids=(each.image_id,)))
        show_gallery(workspace, images, key=f"{_KEY}.unsettled.{each.item_id}")
    with choice:
        is_conflict = each.state == "conflict"
        st.markdown(
            ":orange[:material/call_split:] **People disagree**"
            if is_conflict
            else ":orange[:material/flag:] **Flagged**"
        )
        for said in each.said:
            st.markdown(_describe(said))
        if each.label:
            st.caption(f"Its present label: {plain(each.label)}")
        given = [said.label for said in each.said if said.label]
        first = [label for label in dict.fromkeys([*given, each.suggested]) if label]
        options = [*first, *(label for label in labels if label not in first)]
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = st.selectbox(
                "Label",
                options,
                format_func=label_name,
                accept_new_options=True,
                key=f"{_KEY}.settle.label.{each.item_id}",
                width=280,
            )
            if st.button(
                "Settle",
                type="primary",
                icon=":material/gavel:",
                key=f"{_KEY}.settle.{each.item_id}",
            ):
                _settle(workspace, each, label)


def _settle(workspace: Workspace, each: Unsettled, label: str) -> None:
    acting()
    try:
        actor = require("operator").name
        decisions.settle(workspace, each.item_id, label, actor=actor, log=uuid.uuid4().hex)
    except OperatorError as error:
        show_error(error)
        return
    actions.watch_audit(workspace)
    st.toast(f"Settled: {plain(label_name(label))}", icon=":material/gavel:")
    st.rerun()


def _describe(said: Decision) -> str:
    at = said.at[:16].replace("T", " ")
    what = {"flag": "flagged it", "skip": "passed it over"}.get(
        said.kind, f"said **{plain(label_name(said.label or ''))}**"
    )
    comment = f": “{plain(said.comment)}”" if said.comment else ""
    return f"{plain(said.actor)} {what}{comment} · {at}"
