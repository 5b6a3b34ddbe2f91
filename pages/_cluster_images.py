"""The images of one cluster, or of one label in it: look, name the cluster, label them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from core import queries
from core.analysis.clusterings import (
    ClusterGallery,
    ContingencyTable,
    cluster_examples,
    cluster_ids,
)
from core.settings import PROJECT_ROOT
from core.state import catalog, labels, runs
from core.state.catalog import ImageFilter
from core.state.cluster_names import MAX_LENGTH, name_cluster
from core.state.colourings import list_colourings
from core.state.label_book import list_offered
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS
from pages._images import image_actions, paged_gallery, show_gallery
from pages._opened_cluster import Opened, open_images
from pages._shared import acting, changed, counted, plain, told_apart

_KEY = "clusters_and_anomalies.opened"
_SORTS = {
    "centre": ("Centre", "What the cluster is about"),
    "border": ("Border", "Nearly in the next cluster"),
    "furthest": ("Furthest", "What fits least"),
}


def show_opened(
    workspace: Workspace,
    embedding: Run,
    clustering: Run,
    opened: Opened,
    table: ContingencyTable,
    *,
    name: str,
    show_chart: Callable[[], None],
) -> None:
    """What is open, in place of the clustering as a whole.

    Args:
        name: that a person gave the cluster, or "".
        show_chart: draws labels against clusters, to go on from there.
    """
    if opened.in_cell:
        ids = table.ids(opened.label, opened.cluster)
    else:
        ids = cluster_ids(workspace, clustering, opened.cluster)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Whole clustering",
            icon=":material/arrow_back:",
            key=f"{_KEY}.close",
            on_click=open_images,
            args=(None,),
        )
        st.subheader(plain(f"{counted(len(ids), 'image')} {_words(opened, name)}"), anchor=False)
        if opened.in_cell:
            st.button(
                "The whole cluster",
                icon=":material/group_work:",
                key=f"{_KEY}.whole_cluster",
                on_click=open_images,
                args=(Opened(opened.clustering, opened.cluster),),
            )
        link_to_map(workspace, embedding, clustering)
    if opened.in_cell:
        show_chart()
        show_images(workspace, ids, reason=f"found in the clusters: {_words(opened, name)}")
    else:
        with st.container(border=True):
            show_naming(workspace, opened, name)
            unlabelled = table.ids(None, opened.cluster)
            show_labelling(workspace, ids, unlabelled, opened, name)
        show_cluster(workspace, clustering, opened, ids, name)


def link_to_map(workspace: Workspace, embedding: Run, clustering: Run) -> None:
    """A link to the map of these features, coloured by the clusters."""
    embeddings = {run.id: run for run in runs.list_runs(workspace, "embedding")}
    titles = told_apart({id: queries.describe_run(run) for id, run in embeddings.items()})
    colourings = told_apart(list_colourings(workspace, embedding))
    st.page_link(
        PROJECT_ROOT / "pages" / "latent_space.py",
        label="Show on the map",
        icon=":material/scatter_plot:",
        query_params={  # a select box stands in the address by the text it shows
            "latent_space.features": titles[embedding.id],
            "latent_space.colour.left": colourings[f"cluster:{clustering.id}"],
        },
    )


def show_naming(workspace: Workspace, opened: Opened, name: str) -> None:
    """What the cluster is called, on charts, lists and here."""
    key = f"{_KEY}.name.{opened.clustering}.{opened.cluster}"
    asked = f"{_KEY}.name_asked"  # it waits there until the person has said who they are

    def ask() -> None:
        st.session_state[asked] = (opened.encode(), st.session_state[key] or "")

    st.text_input(
        "Name of the cluster",
        value=name,
        max_chars=MAX_LENGTH,
        placeholder="such as: long scratches",
        help="For people alone: no image is labelled by it.",
        on_change=ask,
        key=key,
        width=300,
    )
    of, wanted = st.session_state.get(asked, ("", ""))
    if of == opened.encode():
        acting()
        del st.session_state[asked]
        name_cluster(workspace, opened.clustering, opened.cluster, wanted)
        st.rerun()


def show_labelling(
    workspace: Workspace, ids: np.ndarray, unlabelled: np.ndarray, opened: Opened, name: str
) -> None:
    """One label for the cluster, in one change that can be undone."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox(
            "Label for the whole cluster",
            [*list_offered(workspace), *RESERVED_LABELS],
            index=None,
            placeholder="Choose or type a label",
            accept_new_options=True,
            key=f"{_KEY}.label",
            width=280,
        )
        only_unlabelled = bool(len(unlabelled)) and st.toggle(
            f"Only the {len(unlabelled):,} without a label", key=f"{_KEY}.only_unlabelled"
        )
        chosen = unlabelled if only_unlabelled else ids
        what = "image without a label" if only_unlabelled else "image of this cluster"
        if st.button(
            f"Label {counted(len(chosen), 'image')}" + (f" as {plain(label)}" if label else ""),
            type="primary",
            icon=":material/label:",
            help=f"Every {what}, in one change that can be undone.",
            disabled=not label,
            key=f"{_KEY}.label_all",
        ):
            reason = f"labelled as a cluster: {_words(opened, name)}"
            batch = labels.relabel(
                workspace, chosen.tolist(), label, actor=acting().name, reason=reason
            )
            changed(workspace, batch, f"Labelled {label}")
            st.rerun()


def show_cluster(
    workspace: Workspace, clustering: Run, opened: Opened, ids: np.ndarray, name: str
) -> None:
    """The images that tell most of the cluster, or all of them."""
    reason = f"found in the clusters: {_words(opened, name)}"
    found = [
        each for each in cluster_examples(workspace, clustering) if each.cluster == opened.cluster
    ]
    shown = st.segmented_control(
        "Images",
        ("Examples", "All"),
        default="Examples" if found else "All",
        required=True,
        format_func=lambda each: f"All {len(ids):,}" if each == "All" else each,
        label_visibility="collapsed",
        key=f"{_KEY}.which",
    )
    if not found or shown == "All":
        show_images(workspace, ids, reason=reason)
        return
    actions = st.container()
    picked = _show_examples(workspace, found[0])
    with actions:
        image_actions(workspace, picked, key=_KEY, what=reason, queue_reason=reason)


def show_images(workspace: Workspace, ids: np.ndarray, *, reason: str) -> None:
    """A gallery of images and what can be done with those picked, or with all."""
    if not len(ids):
        st.info(
            "No image is left here: they were relabelled or removed.",
            icon=":material/check_circle:",
        )
        return
    actions = st.container()
    picked, _ = paged_gallery(workspace, ImageFilter(ids=tuple(ids.tolist())), key=_KEY)
    with actions:
        whole = st.toggle(f"Act on all {counted(len(ids), 'image')}", key=f"{_KEY}.whole")
        chosen = ids.tolist() if whole else picked.selected
        image_actions(workspace, chosen, key=_KEY, what=reason, queue_reason=reason)


def _show_examples(workspace: Workspace, found: ClusterGallery) -> Sequence[int]:
    """Three galleries side by side; what is picked in any of them."""
    picked: list[int] = []
    kinds = {name: ids for name in _SORTS if (ids := getattr(found, name))}
    for column, (name, ids) in zip(st.columns(len(kinds)), kinds.items(), strict=True):
        title, meaning = _SORTS[name]
        with column:
            st.markdown(f"##### {title}")
            st.caption(meaning)
            images = catalog.list_in_order(workspace, ids)
            picked += show_gallery(workspace, images, key=f"{_KEY}.{name}").selected
    return list(dict.fromkeys(picked))


def _words(opened: Opened, name: str) -> str:
    """What the images have in common, to follow their number."""
    cluster = "noise" if opened.cluster < 0 else f"cluster {opened.cluster}"
    cluster += f" ({name})" if name else ""
    if not opened.in_cell:
        return f"in {cluster}"
    label = "without a label" if opened.label is None else f"labelled {opened.label}"
    return f"{label} in {cluster}"
