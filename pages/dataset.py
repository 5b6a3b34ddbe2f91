"""Dataset: look through the images, relabel them, import more, judge them, take them out."""

import streamlit as st

from core.state import catalog
from core.state.workspace import Workspace
from pages._dataset_report import show_report
from pages._export import show_export
from pages._images import filter_images, image_actions, paged_gallery
from pages._import_wizard import show_import
from pages._shared import choose_view, current_workspace, page_header, show_job_result, show_jobs


def show_images(workspace: Workspace) -> None:
    """The gallery with its filter, and what can be done with the images picked."""
    chosen = filter_images(workspace, key="dataset")
    actions = st.container()
    picked, n_images = paged_gallery(workspace, chosen, key="dataset")
    with actions:
        whole = st.toggle(
            f"Act on all {n_images:,} images that match", key="dataset.whole", disabled=not n_images
        )
        ids = catalog.image_ids(workspace, chosen).tolist() if whole else picked.selected
        image_actions(
            workspace,
            ids,
            key="dataset",
            what="picked in the gallery",
            queue_reason="picked by a person in the gallery",
        )


VIEWS = {
    "Images": show_images,
    "Import": show_import,
    "Report": show_report,
    "Export": show_export,
}
KINDS = ("import", "generate", "export", "check_files", "find_near_duplicates")


def show_import_next() -> None:
    """Open the view Import; for use as a callback."""
    st.session_state["dataset.view"] = "Import"


workspace = current_workspace()
page_header("Dataset", "Preparation: images in, their labels and splits in order")
is_empty = not catalog.count_images(workspace)
view = choose_view(
    "dataset", VIEWS, default="Import" if is_empty or "look" in st.query_params else "Images"
)
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, ("look_through", *KINDS))
    for kind in KINDS:
        show_job_result(workspace, kind)
if is_empty and view != "Import":
    st.info("There are no images yet.")
    st.button(
        "Import or generate some",
        type="primary",
        icon=":material/add_photo_alternate:",
        on_click=show_import_next,
        key="dataset.first",
    )
else:
    VIEWS[view](workspace)
