"""Inbox: what comes from the line is answered as it comes; a dropped image is answered at once."""

import streamlit as st

from pages._inbox_arrivals import show_arrivals
from pages._inbox_drift import show_drift
from pages._inbox_drop import show_drop
from pages._shared import current_workspace, page_header

VIEWS = {
    "Arrivals": show_arrivals,
    "Drop": show_drop,
    "Drift": show_drift,
}

workspace = current_workspace()
page_header("Inbox", "Images from a camera's folder, or dropped here, are answered by the model")
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="Arrivals",
    required=True,
    label_visibility="collapsed",
    key="inbox.view",
    bind="query-params",
)
VIEWS[view](workspace)
