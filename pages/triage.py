"""Triage: people decide what the model is unsure of, one image at a time."""

import streamlit as st

from pages._shared import current_workspace, page_header
from pages._triage_queue import show_grid, show_queue

VIEWS = {
    "Queue": show_queue,
    "Grid": show_grid,
}

workspace = current_workspace()
page_header("Triage", "What the model is unsure of, one image at a time")
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="Queue",
    required=True,
    label_visibility="collapsed",
    key="triage.view",
    bind="query-params",
)
VIEWS[view](workspace)
