"""The view Anomalies: images unlike the others, by four scores, each with a threshold to move.

The paper takes what DBSCAN or the Isolation Forest finds out of training; that view shows what both
find, and what each finds alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from core import figures
from core.analysis.anomalies import Anomalies, read_anomalies, reasons
from core.analysis.anomaly_sets import FIRST, SECOND, paper_sets
from core.analysis.anomaly_sets import TITLES as SET_TITLES
from core.jobs.configs import FindAnomalies
from core.latent.anomalies import METHODS, PARAMETERS, TITLES
from core.state import catalog, labels, runs
from core.state.catalog import ImageFilter
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._analyses import find_or_offer
from pages._images import image_actions, ranked_gallery
from pages._map_view import show_on_maps
from pages._parameters import parameter_input
from pages._shared import acting, changed, plain, submit
from pages._threshold import moved_to, threshold_handle

_KEY = "clusters_and_anomalies.anomalies"
_PAPER = "paper"

_MEANINGS = {
    "density": "How much sparser an image's surroundings are than those of its neighbours: 1 is "
    "usual, higher is stranger.",
    "dbscan": "The cosine distance (eps) from which on DBSCAN no longer calls the image noise: "
    "higher is stranger. To move the threshold is to choose eps.",
    "isolation": "How few random cuts isolate the image: about 0.5 is usual, higher is stranger.",
    "knn": "Mean cosine distance to the nearest images: 0 is a copy, higher is stranger.",
    _PAPER: "What DBSCAN calls noise and what the Isolation Forest isolates, as in the paper, "
    "which takes both out of training. Higher scores are stranger.",
}
_AXES = {
    "density": "sparseness of the surroundings",
    "dbscan": "eps from which on it is no noise",
    "isolation": "anomaly score of the forest",
    "knn": "mean distance to the nearest",
}


def show_anomalies(workspace: Workspace, embedding: Run) -> None:
    """The scores, or what makes them."""
    config = FindAnomalies(embedding.id)
    standing = find_or_offer(
        workspace,
        embedding,
        "anomalies",
        config,
        missing="Nothing has looked for anomalies yet.",
        label="Look for anomalies",
    )
    if standing:
        st.fragment(show_scores)(workspace, embedding, standing.run)


def show_scores(workspace: Workspace, embedding: Run, run: Run) -> None:
    """One way to score, the threshold, and the images above it."""
    anomalies = _read(workspace, workspace.uid, run.id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Found by",
            [*METHODS, _PAPER],
            default=METHODS[0],
            required=True,
            format_func=lambda name: TITLES.get(name, "The paper's two together"),
            key=f"{_KEY}.method",
            bind="query-params",
        )
        show_settings(workspace, embedding, anomalies)
    st.caption(_MEANINGS[method])
    if method == _PAPER:
        ids = choose_set(anomalies, run)
    else:
        ids = anomalies.ids_above(method, choose_threshold(anomalies, run, method))
    graph = runs.get_run(workspace, anomalies.graph)
    show_found(workspace, embedding, graph, ids, found_by=TITLES.get(method, "the paper's two"))
    for note in anomalies.notes:
        st.caption(plain(note))


def show_settings(workspace: Workspace, embedding: Run, anomalies: Anomalies) -> None:
    """What the scores were computed with, to compute them otherwise."""
    with st.popover("Settings", icon=":material/settings:"):
        values = {
            parameter.name: parameter_input(
                parameter, f"{_KEY}.set.{parameter.name}", default=anomalies.config[parameter.name]
            )
            for parameter in PARAMETERS
        }
        if st.button("Look again", key=f"{_KEY}.look_again"):
            submit(workspace, FindAnomalies(embedding.id, **values))
            st.rerun()


def choose_threshold(anomalies: Anomalies, run: Run, method: str) -> float:
    """A histogram and a handle below it, which counts; a click on a bar moves it there too."""
    found = anomalies.by_method[method]
    low, high = float(found.scores.min()), float(found.scores.max())
    key = f"{_KEY}.threshold.{run.id}.{method}"
    if low == high:
        st.info("Every image has the same score: none stands out by this method.")
        return high
    suggested = min(max(found.threshold, low), high)
    threshold = st.session_state.setdefault(key, suggested)

    def move() -> None:
        points = st.session_state[f"{key}.chart"].selection.points
        if points and isinstance(points[0].get("customdata"), int | float):
            st.session_state[key] = min(max(points[0]["customdata"], low), high)

    st.plotly_chart(
        figures.anomaly_scores(found.scores, threshold=threshold, title=_AXES[method]),
        key=f"{key}.chart",
        on_select=move,
        selection_mode="points",
        config={"displayModeBar": False},
    )

    def let_go() -> None:
        try:
            st.session_state[key] = moved_to(found, st.session_state[f"{key}.handle"].get("move"))
        except ValueError as error:
            st.toast(plain(str(error)), icon=":material/error:")

    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container():
            threshold_handle(
                found,
                value=threshold,
                title=f"Threshold of {TITLES[method]}",
                key=f"{key}.handle",
                on_move=let_go,
            )
        st.button(
            "As suggested",
            icon=":material/restart_alt:",
            type="tertiary",
            disabled=threshold == suggested,
            key=f"{key}.reset",
            on_click=lambda: st.session_state.pop(key, None),
            help=f"{suggested:.3g}, which the method suggests itself.",
        )
    return float(threshold)


def choose_set(anomalies: Anomalies, run: Run) -> np.ndarray:
    """Two histograms with their thresholds, and what both and each alone find: the ids chosen."""
    thresholds: dict[str, float] = {}
    for column, method in zip(st.columns(2), (FIRST, SECOND), strict=True):
        with column:
            st.markdown(f"**{TITLES[method]}**")
            thresholds[method] = choose_threshold(anomalies, run, method)
    found = paper_sets(anomalies, thresholds)
    chosen = st.segmented_control(
        "Which of them",
        list(SET_TITLES),
        default="either",
        required=True,
        format_func=lambda name: f"{SET_TITLES[name]} · {len(found[name]):,}",
        label_visibility="collapsed",
        key=f"{_KEY}.set",
    )
    st.caption(_overlap(found))
    return found[chosen]


def show_found(
    workspace: Workspace, embedding: Run, graph: Run, ids: np.ndarray, *, found_by: str
) -> None:
    """The images, the worst first, each with its reason, and what can be done with them."""
    excluded = catalog.image_ids(workspace, ImageFilter(excluded=True))
    n_excluded = int(np.isin(ids, excluded).sum())
    hide = st.toggle(
        f"Hide those excluded from training already ({n_excluded:,})",
        value=True,
        key=f"{_KEY}.hide",
    )
    shown = ids[~np.isin(ids, excluded)] if hide else ids
    if not len(shown):
        st.info(
            "No image is above the threshold."
            if not len(ids)
            else "All of them are excluded from training already.",
            icon=":material/check_circle:",
        )
        return
    actions = st.container()
    picked = ranked_gallery(
        workspace,
        shown,
        key=_KEY,
        remarks_for=lambda some: reasons(workspace, graph, some),
    )
    with actions:
        act_on_found(workspace, embedding, shown, picked.selected, found_by=found_by)


def act_on_found(
    workspace: Workspace,
    embedding: Run,
    ids: np.ndarray,
    picked: Sequence[int],
    *,
    found_by: str,
) -> None:
    """Exclude, send to triage, relabel or show on the map: all that were found, or those picked."""
    reason = f"anomaly: {found_by}"
    with st.container(horizontal=True, vertical_alignment="center"):
        whole = st.toggle(f"Act on all {len(ids):,} images", key=f"{_KEY}.whole")
        if st.button(
            f"Exclude all {len(ids):,}",
            icon=":material/block:",
            key=f"{_KEY}.exclude_all",
            help="Leave these images out of training, in one step that can be undone.",
        ):
            batch = labels.set_excluded(
                workspace, ids.tolist(), True, actor=acting().name, reason=reason
            )
            changed(workspace, batch, "Excluded from training")
            st.rerun()
        if st.button(
            "Show on the map",
            icon=":material/scatter_plot:",
            key=f"{_KEY}.map",
            help="All of them, or those picked, as a selection on the latent map.",
        ):
            show_on_maps(workspace, embedding, picked or ids)
    image_actions(
        workspace,
        ids.tolist() if whole else picked,
        key=_KEY,
        what=reason,
        queue_reason=reason,
    )


def _overlap(found: Mapping[str, np.ndarray]) -> str:
    n_either, n_both = len(found["either"]), len(found["both"])
    share = f", {n_both / n_either:.0%} of what either finds" if n_either else ""
    return (
        f"DBSCAN alone finds {len(found['first']):,}, the Isolation Forest alone "
        f"{len(found['second']):,}, both {n_both:,}{share}."
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _read(_workspace: Workspace, uid: str, run_id: str) -> Anomalies:
    return read_anomalies(_workspace, runs.get_run(_workspace, run_id))
