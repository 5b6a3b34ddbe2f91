"""Make a clustering: a method with its parameters, on features, their components or a map."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core import figures, queries
from core.analysis.clusterings import read_k_distances
from core.jobs.configs import ClusterImages, MeasureKDistances
from core.latent.clustering_methods import METHODS
from core.state import catalog, runs
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._parameters import parameter_input
from pages._shared import submit, told_apart

_KEY = "clusters_and_anomalies.make"
_COMPONENTS = "components"  # no run is called so
CHOSEN = "clustering"  # in the page's address: the one that is shown


def show_maker(workspace: Workspace, embedding: Run, *, expanded: bool) -> None:
    """The controls of a new clustering and the button that starts it."""
    with st.expander("Make a clustering", icon=":material/add_circle:", expanded=expanded):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            method = st.selectbox(
                "Method",
                list(METHODS),
                format_func=lambda name: METHODS[name].title,
                key=f"{_KEY}.method",
                width=200,
            )
            space, components = _choose_space(workspace, embedding)
        st.caption(METHODS[method].shows)
        if space != embedding.id:
            st.caption(
                ":orange[:material/warning: Distances on a map are the picture's, not the images': "
                "groups there may be drawn by the method that drew the map.]"
            )
        choices = _choices(workspace, method, space, components)
        if st.button("Cluster", type="primary", key=f"{_KEY}.start"):
            submit(workspace, ClusterImages(space, method=method, components=components, **choices))
            st.query_params.pop(CHOSEN, None)  # the new one will be the newest
            st.rerun()


def _choose_space(workspace: Workspace, embedding: Run) -> tuple[str, float]:
    """The run that is clustered, and the principal components of it that are kept."""
    maps = runs.list_runs(workspace, "projection", parent_id=embedding.id)
    titles = told_apart({run.id: f"The map {queries.describe_run(run)}" for run in maps})
    spaces = {embedding.id: "The features", _COMPONENTS: "Principal components of them"} | titles
    space = st.selectbox(
        "On", list(spaces), format_func=spaces.__getitem__, key=f"{_KEY}.space", width=330
    )
    if space != _COMPONENTS:
        return space, 0.0
    components = st.number_input(
        "Components",
        min_value=0.01,
        value=50.0,
        step=1.0,
        format="%g",
        help="A whole number keeps so many; below 1, as many as hold that share of the variance.",
        key=f"{_KEY}.components",
        width=150,
    )
    return embedding.id, components if components < 1 else float(round(components))


def _choices(workspace: Workspace, method: str, space: str, components: float) -> dict[str, Any]:
    """What else a clustering is asked: parameters, and for K-means the sweep and the seed."""
    if method == "kmeans":
        return _choose_k(workspace)
    if method == "dbscan":
        return {"parameters": _choose_reach(workspace, space, components)}
    parameters = {each.name: each for each in METHODS[method].parameters}
    values: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, parameter in parameters.items():
            if name == "metric" and values.get("linkage") == "ward":
                st.caption("Ward's linkage is Euclidean.")
                values[name] = "euclidean"
            else:
                values[name] = parameter_input(parameter, f"{_KEY}.{method}.{name}")
    return {"parameters": tuple(values.items())}


def _choose_k(workspace: Workspace) -> dict[str, Any]:
    n_clusters, n_init = METHODS["kmeans"].parameters
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sweep = st.toggle(
            "Choose k by a sweep",
            value=True,
            help="Every k is tried and that of the best silhouette is kept.",
            key=f"{_KEY}.sweep",
        )
        if sweep:
            largest = int(st.number_input("Largest k", 2, 100, 12, key=f"{_KEY}.largest"))
            values: dict[str, Any] = {}
        else:
            largest = ClusterImages.largest
            default = len(catalog.list_classes(workspace)) + 1
            k = parameter_input(n_clusters, f"{_KEY}.k", default=min(default, 100))
            values = {n_clusters.name: k}
        values[n_init.name] = parameter_input(n_init, f"{_KEY}.n_init")
        seed = int(st.number_input("Seed", 0, 2**31 - 1, 0, key=f"{_KEY}.seed"))
    parameters = tuple(values.items())
    return {"parameters": parameters, "sweep": sweep, "largest": largest, "seed": seed}


def _choose_reach(
    workspace: Workspace, space: str, components: float
) -> tuple[tuple[str, Any], ...]:
    """DBSCAN's parameters, its reach read from the k-distance plot."""
    eps_parameter, min_samples_parameter, metric_parameter = METHODS["dbscan"].parameters
    with st.container(horizontal=True, vertical_alignment="bottom"):
        n = parameter_input(min_samples_parameter, f"{_KEY}.dbscan.min_samples")
        metric = parameter_input(metric_parameter, f"{_KEY}.dbscan.metric")
        asked = MeasureKDistances(space, min_samples=n, metric=metric, components=components)
        found = _find_k_distances(workspace, asked)
        curve = read_k_distances(workspace, found) if found else None
        eps = st.number_input(
            eps_parameter.title,
            min_value=eps_parameter.minimum,
            max_value=eps_parameter.maximum,
            value=curve.eps if curve else None,
            placeholder="the knee",
            step=eps_parameter.step,
            format="%.4g",
            help=f"{eps_parameter.explanation} Left empty, the knee is taken.",
            key=f"{_KEY}.dbscan.eps.{found.id if found else ''}",  # a new curve, a new start
        )
        if curve is None and st.button(
            "Show the k-distance plot",
            icon=":material/show_chart:",
            disabled=n < 2,
            key=f"{_KEY}.dbscan.measure",
        ):
            submit(workspace, asked)
            st.rerun()
    if curve:
        figure = figures.k_distance_plot(curve.distances, k=curve.k, knee=curve.knee, eps=eps)
        st.plotly_chart(figure, key=f"{_KEY}.dbscan.curve", config={"displayModeBar": False})
        told = "the field is set to its knee" if curve.eps else "it has no knee: choose by eye"
        st.caption(
            f"Each image's distance to its neighbour number {curve.k}; {told}. Images right of "
            "where the dotted line, the reach, cuts the curve are no cores of a group."
        )
    values = {min_samples_parameter.name: n, metric_parameter.name: metric}
    return tuple((values if eps is None else {eps_parameter.name: eps, **values}).items())


def _find_k_distances(workspace: Workspace, asked: MeasureKDistances) -> Run | None:
    wanted = (asked.min_samples, asked.metric, asked.components)
    for run in runs.list_runs(workspace, "k_distances", parent_id=asked.run):
        config = run.config
        if (config["min_samples"], config["metric"], config.get("components", 0.0)) == wanted:
            return run
    return None
