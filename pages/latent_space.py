"""Latent space: see the images as points, pick some, act on them."""

import streamlit as st

from core import queries
from core.errors import OperatorError
from core.state import catalog, runs
from core.state.catalog import ImageFilter
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._compute import show_clusterings, show_compute
from pages._images import image_actions, paged_gallery, show_gallery
from pages._map_view import (
    clear_selection,
    selected_ids,
    show_map,
)
from pages._regions import offer_comparison
from pages._shared import (
    current_workspace,
    next_step,
    page_header,
    plain,
    show_error,
    show_job_result,
    show_jobs,
    told_apart,
)

N_NEIGHBORS = 24


def choose_embedding(workspace: Workspace) -> Run:
    """The embedding whose maps are shown; the page stops where there is none yet."""
    embeddings = {run.id: run for run in runs.list_runs(workspace, "embedding")}
    titles = told_apart({id: queries.describe_run(run) for id, run in embeddings.items()})
    if not embeddings:
        if not catalog.count_images(workspace):
            next_step("There are no images yet.", page="dataset.py", label="Import images")
            st.stop()
        show_compute(workspace, None)
        st.stop()
    drawn = {run.parent_id for run in runs.list_runs(workspace, "projection")}
    chosen = st.selectbox(
        "Features",
        list(embeddings),
        # The newest that have a map: those that a plan was made by have none.
        index=next((place for place, id in enumerate(embeddings) if id in drawn), 0),
        format_func=titles.__getitem__,
        key="latent_space.features",
        bind="query-params",
    )
    return embeddings[chosen]


def show_maps(workspace: Workspace, embedding: Run, *, two: bool) -> None:
    """One map, or two side by side whose hover and selection are one."""
    notice = embedding.result["weights"]["notice"]
    if notice:
        st.warning(plain(notice), icon=":material/info:")
    projections = runs.list_runs(workspace, "projection", parent_id=embedding.id)
    if not projections:
        st.info("No map has been drawn of these features yet: draw one below.")
    elif two:
        left, right = st.columns(2)
        with left:
            show_map(workspace, embedding, projections, place="left", height=560)
        with right:
            show_map(workspace, embedding, projections, place="right", height=560)
    else:
        show_map(workspace, embedding, projections, place="left", height=640)


def show_selection(workspace: Workspace, embedding: Run) -> None:
    """The selected images, and what can be done with them."""
    ids = selected_ids(workspace)
    if not len(ids):
        st.caption(
            "Hover over a point to see its image. Draw a box or a lasso, or click a point, to "
            "select; Shift adds, Alt removes, Esc clears."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{len(ids):,} selected", anchor=False)
        if st.button("Clear", icon=":material/close:", key="latent_space.clear"):
            clear_selection()
            st.rerun()
        offer_comparison(workspace, embedding, ids)
    actions = st.container()
    chosen = ImageFilter(ids=tuple(ids.tolist()))
    picked, _ = paged_gallery(
        workspace, chosen, key="latent_space", on_find_similar=remember_similar
    )
    with actions:
        image_actions(
            workspace,
            picked.selected or ids.tolist(),
            key="latent_space",
            what="picked on the map",
            queue_reason="picked on the map",
        )


def remember_similar(image_id: int) -> None:
    """Ask for the neighbours of one image; they appear with the next run."""
    st.session_state["latent_space.similar"] = image_id


def show_similar(workspace: Workspace, embedding: Run) -> None:
    """The images nearest to the one that was asked about."""
    image_id = st.session_state.get("latent_space.similar")
    if image_id is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        name = catalog.get_image(workspace, image_id).name
        st.subheader(f"Nearest to {plain(name)}", anchor=False)
        if st.button("Close", icon=":material/close:", key="latent_space.close_similar"):
            del st.session_state["latent_space.similar"]
            st.rerun()
    st.caption("By cosine distance of the features, exactly: 0 is alike in all, 1 is unrelated.")
    try:
        found = queries.nearest_images(workspace, embedding, image_id, n_neighbors=N_NEIGHBORS)
    except OperatorError as error:
        show_error(error)
        return
    by_id = {
        image.id: image
        for image in catalog.list_images(workspace, ImageFilter(ids=tuple(i for i, _ in found)))
    }
    picked = show_gallery(
        workspace,
        [by_id[i] for i, _ in found if i in by_id],
        key="latent_space.similar_images",
        captions=[f"{distance:.3f}" for i, distance in found if i in by_id],
        on_find_similar=remember_similar,
    )
    image_actions(
        workspace,
        picked.selected,
        key="latent_space.similar_images",
        what=f"near image {image_id}",
        queue_reason=f"picked among the neighbours of image {image_id}",
    )


workspace = current_workspace()
page_header("Latent space", "How the network sees the images: near means alike")
show_jobs(workspace, ("embed", "project", "cluster"))
for kind in ("embed", "project", "cluster"):
    show_job_result(workspace, kind)
with st.container(horizontal=True, vertical_alignment="bottom"):
    embedding = choose_embedding(workspace)
    two = st.toggle("Two maps", key="latent_space.two", bind="query-params")
show_maps(workspace, embedding, two=two)
show_selection(workspace, embedding)
show_similar(workspace, embedding)
show_compute(workspace, embedding)
show_clusterings(workspace, embedding)
