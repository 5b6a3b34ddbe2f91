"""Clusters and anomalies: what the features tell before anything is trained."""

import streamlit as st

from core import queries
from core.analysis.standing import holds_for, knowledge_of
from core.jobs.configs import (
    AnalyseSpace,
    ClusterImages,
    CompareSets,
    FindAnomalies,
    FindLabelErrors,
    MeasureKDistances,
    MeasureSeparability,
    MeasureStability,
    ReadLayout,
)
from core.state import catalog, runs
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._analysis_report import show_analysis_report
from pages._anomalies import show_anomalies
from pages._clusters import show_clusters
from pages._distances import show_distances
from pages._label_errors import show_label_errors
from pages._regions import show_regions
from pages._shared import (
    choose_view,
    current_workspace,
    next_step,
    page_header,
    plain,
    show_job_result,
    show_jobs,
    submit,
    told_apart,
)

ANALYSES = ("separability", "anomalies", "label_errors", "layout")  # what AnalyseSpace makes
VIEWS = {
    "Clusters": show_clusters,
    "Distances": show_distances,
    "Anomalies": show_anomalies,
    "Label errors": show_label_errors,
    "Regions": show_regions,
    "Report": show_analysis_report,
}
JOBS = (
    ClusterImages,
    MeasureKDistances,
    MeasureSeparability,
    MeasureStability,
    FindAnomalies,
    FindLabelErrors,
    ReadLayout,
    CompareSets,
    AnalyseSpace,
)


def choose_embedding(workspace: Workspace) -> Run:
    """The features that are analysed; the page stops where there are none yet."""
    embeddings = {run.id: run for run in runs.list_runs(workspace, "embedding")}
    if not embeddings:
        if catalog.count_images(workspace):
            next_step(
                "The images have no features yet.", page="latent_space.py", label="Embed the images"
            )
        else:
            next_step("There are no images yet.", page="dataset.py", label="Import images")
        st.stop()
    titles = told_apart({id: queries.describe_run(run) for id, run in embeddings.items()})
    chosen = st.selectbox(
        "Features",
        list(embeddings),
        format_func=titles.__getitem__,
        key="clusters_and_anomalies.features",
        bind="query-params",
        width=520,
    )
    return embeddings[chosen]


def first_clustering(workspace: Workspace, embedding: Run) -> ClusterImages:
    """K-means as in the paper, a cluster more than there are classes; by a sweep without any."""
    n_classes = len(catalog.list_classes(workspace))
    if not n_classes:
        return ClusterImages(embedding.id, sweep=True)
    n_clusters = min(n_classes + 1, embedding.n_images, 100)
    return ClusterImages(embedding.id, parameters=(("n_clusters", n_clusters),))


def offer_analysis(workspace: Workspace, embedding: Run) -> None:
    """One button for all that the views show; and whether what they show still holds."""
    made = {kind: runs.list_runs(workspace, kind, parent_id=embedding.id) for kind in ANALYSES}
    known = knowledge_of(workspace, embedding)
    is_new = not any(made.values())
    is_stale = any(
        found and not any(holds_for(run, known) for run in found) for found in made.values()
    )
    if st.button(
        "Measure again" if is_stale else "Analyse everything",
        icon=":material/refresh:" if is_stale else ":material/auto_awesome:",
        type="primary" if is_new or is_stale else "secondary",
        key="clusters_and_anomalies.analyse",
        help="Clusters if there are none, distances, anomalies, label errors and the layout of the "
        "classes. What is there already is not computed again.",
    ):
        if not clusterings_of(workspace, embedding):  # jobs of a lane follow one another
            submit(workspace, first_clustering(workspace, embedding))
        submit(workspace, AnalyseSpace(embedding.id))
        st.rerun()
    if is_stale:
        st.caption(
            ":orange[:material/history: Labels or splits have changed since some of this was "
            "measured.]"
        )


workspace = current_workspace()
page_header(
    "Clusters and anomalies",
    "Unsupervised analysis: the distribution of the images, their groups, and what stands out",
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    embedding = choose_embedding(workspace)
    offer_analysis(workspace, embedding)
view = choose_view("clusters_and_anomalies", VIEWS)
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, [job.kind for job in JOBS])
    for job in JOBS:
        show_job_result(workspace, job.kind)
notice = embedding.result["weights"]["notice"]
if notice:
    st.warning(plain(notice), icon=":material/info:")
VIEWS[view](workspace, embedding)
