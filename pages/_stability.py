"""Would a clustering come out again, over other seeds and images? And how was its k chosen?"""

from __future__ import annotations

import streamlit as st

from core import figures
from core.analysis.clusterings import (
    KDistanceCurve,
    MeasuredStability,
    read_k_distances,
    read_stability,
    stability_of,
)
from core.jobs.configs import MeasureStability
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._shared import plain, submit

_KEY = "clusters_and_anomalies"
_NO_TOOLS = {"displayModeBar": False}


def show_stability(workspace: Workspace, clustering: Run) -> None:
    """Whether other seeds and other images would have given the same clusters."""
    st.subheader("Would it come out again?", anchor=False)
    measured = stability_of(workspace, clustering)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        n_runs = int(
            st.number_input(
                "Runs",
                2,
                20,
                5,
                help="Over seeds, and as many over random 80% of the images.",
                key=f"{_KEY}.n_runs",
                width=140,
            )
        )
        if st.button(
            "Measure again" if measured else "Measure stability",
            icon=":material/repeat:",
            key=f"{_KEY}.stability",
        ):
            submit(workspace, MeasureStability(clustering.id, n_runs=n_runs))
            st.rerun()
    if measured is None:
        st.caption("One lucky run proves nothing: repeat it over seeds and resamples.")
    else:
        _show_stability(read_stability(measured), measured.config["n_runs"])


def show_choice(workspace: Workspace, clustering: Run) -> None:
    """What a number of clusters or a reach was chosen by."""
    if clustering.result.get("sweep"):
        measured = stability_of(workspace, clustering)
        _show_sweep(clustering, read_stability(measured) if measured else None)
    curve = runs.find_run(workspace, clustering.result.get("k_distances") or "")
    if curve:
        _show_curve(clustering, read_k_distances(workspace, curve))


def _show_stability(measured: MeasuredStability, n_runs: int) -> None:
    found = {"seeds": measured.stability.seeds, "resamples": measured.stability.resamples}
    rows = [(f"{n_runs} {what}", spread) for what, spread in found.items() if spread]
    for title, spread in rows:
        st.markdown(
            f"Over {title} the clusterings agree with **ARI {spread.mean:.2f}** "
            f"({spread.low:.2f} to {spread.high:.2f}): {_verdict(spread.mean)}."
        )
    if rows:
        st.plotly_chart(figures.spreads(rows), key=f"{_KEY}.spreads", config=_NO_TOOLS)
    n_clusters = measured.stability.n_clusters
    if n_clusters and n_clusters[0] != n_clusters[1]:
        st.caption(f"The resamples gave {n_clusters[0]:,} to {n_clusters[1]:,} clusters.")
    for note in measured.stability.notes:
        st.caption(plain(note))


def _show_sweep(clustering: Run, measured: MeasuredStability | None) -> None:
    bands = measured.bands if measured else ()
    sweep, chosen = clustering.result["sweep"], clustering.result["n_clusters"]
    st.subheader("How k was chosen", anchor=False)
    silhouettes, elbow = figures.sweep_of_k(sweep["rows"], chosen=chosen)
    charts = {"silhouettes": silhouettes, "elbow": elbow}
    if bands:
        known = [(row.k, row.silhouette) for row in bands if row.silhouette]
        charts["silhouettes"] = figures.band_over_k(known, title="silhouette", chosen=chosen)
        agreed = [(row.k, row.stability) for row in bands]
        charts["agreed"] = figures.band_over_k(agreed, title="ARI of resamples", chosen=chosen)
    for column, (name, figure) in zip(st.columns(len(charts)), charts.items(), strict=True):
        column.plotly_chart(figure, key=f"{_KEY}.{name}", config=_NO_TOOLS)
    elbow_told = (
        f"the elbow of the inertia at k = {sweep['elbow_k']}"
        if sweep["elbow_k"]
        else "the inertia has no elbow"
    )
    st.caption(
        f"The best silhouette is at k = {sweep['best_silhouette_k']}, {elbow_told}; the dotted "
        "line is this clustering's k. Neither knows what a defect is: look at the images."
    )
    if bands:
        st.caption(
            "Bands: mean, smallest and largest value over resamples. Where bands overlap, the ks "
            "cannot be told apart."
        )
    else:
        st.caption("Measure stability to see each silhouette with its band over resamples.")


def _show_curve(clustering: Run, curve: KDistanceCurve) -> None:
    eps = clustering.config["eps"]
    st.subheader("How the reach was chosen", anchor=False)
    figure = figures.k_distance_plot(curve.distances, k=curve.k, knee=curve.knee, eps=eps)
    st.plotly_chart(figure, key=f"{_KEY}.reach", config=_NO_TOOLS)
    st.caption(
        f"Each image's distance to its neighbour number {curve.k}, and the reach of {eps:.4g} that "
        "this clustering took: images right of where the line cuts the curve are no cores."
    )


def _verdict(mean: float) -> str:
    """A mean adjusted Rand index in words; the steps are a habit of the field and no more."""
    if mean >= 0.9:
        return "nearly the same every time"
    if mean >= 0.6:
        return "the same in the main, with borders that move"
    return "another grouping each time, so do not trust one run"
