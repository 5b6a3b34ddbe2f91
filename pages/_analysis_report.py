"""The view Report: everything that was found out, as one file that opens anywhere."""

import streamlit as st

from core.analysis.html_report import build_report
from core.analysis.standing import newest
from core.state import catalog, runs
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace

_KEY = "clusters_and_anomalies.report"
_KINDS = {
    "separability": "Silhouettes by metric",
    "anomalies": "Anomalies",
    "label_errors": "Label errors",
    "layout": "Classes and splits",
    "comparison": "Comparisons of two sets",
}
_MARKS = {
    "there": ":green[:material/check_circle:]",
    "stale": ":orange[:material/history:]",
    "missing": ":material/circle:",
}


def show_analysis_report(workspace: Workspace, embedding: Run) -> None:
    """What the file will hold, and the button that makes it."""
    st.markdown(
        "One file of HTML with every result of these features: it opens in any browser, without "
        "the app and without a network, and can be printed."
    )
    with st.container(border=True, gap="xsmall"):
        for title, state in contents(workspace, embedding).items():
            remark = " · labels or splits have changed since" if state == "stale" else ""
            remark = " · not computed" if state == "missing" else remark
            st.markdown(f"{_MARKS[state]} {title}{remark}")
    st.download_button(
        "Download the report",
        lambda: build_report(workspace, embedding),
        file_name=f"{workspace.path.name}-analysis.html",
        mime="text/html",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
        key=f"{_KEY}.download",
    )
    st.caption(
        "It holds thumbnails of the worst anomalies and labels: give it only to those who may see "
        "the images."
    )


def contents(workspace: Workspace, embedding: Run) -> dict[str, str]:
    """By title of a section whether it is `there`, `stale` or `missing`."""
    has_map = runs.list_runs(workspace, "projection", parent_id=embedding.id)
    found = {
        "The images": "there" if catalog.count_images(workspace) else "missing",
        "Map": "there" if has_map else "missing",
        "Clusterings": "there" if clusterings_of(workspace, embedding) else "missing",
    }
    for kind, title in _KINDS.items():
        standing = newest(workspace, embedding, kind)
        if standing is None:
            found[title] = "missing"
        else:
            found[title] = "there" if standing.is_current else "stale"
    return found
