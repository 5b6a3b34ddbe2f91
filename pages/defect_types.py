"""Defect types: the label book, a new type from a few images, and what is like none of them."""

import streamlit as st

from core.jobs.configs import FindCandidates, GroupStrange
from core.state import catalog
from pages._shared import (
    choose_view,
    current_workspace,
    next_step,
    page_header,
    show_job_result,
    show_jobs,
)
from pages._types_book import show_book
from pages._types_candidates import show_candidates
from pages._types_new import show_new
from pages._types_shared import follow
from pages._types_strange import show_strange

VIEWS = {
    "Label book": show_book,
    "New type": show_new,
    "More of a type": show_candidates,
    "Strange images": show_strange,
}

workspace = current_workspace()
page_header("Defect types", "What there is to tell apart, how it is told, and what is new")
if not catalog.count_images(workspace):
    next_step("There are no images yet.", page="dataset.py", label="Import images")
    st.stop()
follow()
view = choose_view("defect_types", VIEWS)
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, [GroupStrange.kind, FindCandidates.kind])
    for kind in (GroupStrange.kind, FindCandidates.kind):
        show_job_result(workspace, kind)
VIEWS[view](workspace)
