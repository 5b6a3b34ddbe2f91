"""Triage: the model labels what it is sure of, people decide the rest, checks tell the truth."""

from pages._shared import choose_view, current_workspace, page_header
from pages._triage_audit import show_audit
from pages._triage_automatic import show_automatic
from pages._triage_people import show_people
from pages._triage_queue import show_grid, show_queue
from pages._triage_settling import show_settling

VIEWS = {
    "Queue": show_queue,
    "Grid": show_grid,
    "Automatic": show_automatic,
    "Audit": show_audit,
    "To settle": show_settling,
    "People": show_people,
}

workspace = current_workspace()
page_header("Triage", "What the model is sure of it labels; what it is unsure of, you decide")
view = choose_view("triage", VIEWS)
VIEWS[view](workspace)
