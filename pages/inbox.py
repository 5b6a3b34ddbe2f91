"""Inbox: what comes from the line is answered as it comes; a dropped image is answered at once."""

from pages._inbox_arrivals import show_arrivals
from pages._inbox_drift import show_drift
from pages._inbox_drop import show_drop
from pages._shared import choose_view, current_workspace, page_header

VIEWS = {
    "Arrivals": show_arrivals,
    "Drop": show_drop,
    "Drift": show_drift,
}

workspace = current_workspace()
page_header("Inbox", "Images from a camera's folder, or dropped here, are answered by the model")
view = choose_view("inbox", VIEWS)
VIEWS[view](workspace)
