"""Dataset: look through the images, relabel them, import more, judge them, take them out."""

import streamlit as st

from core.errors import OperatorError
from core.state import catalog
from core.state.workspace import Workspace
from pages._dataset_report import show_report
from pages._export import show_export
from pages._images import filter_images, image_actions, paged_gallery
from pages._import_wizard import show_import
from pages._shared import (
    current_workspace,
    page_header,
    show_error,
    show_job_result,
    show_jobs,
)


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

workspace = current_workspace()
page_header("Dataset", "Preparation: images in, their labels and splits in order")
is_empty = not catalog.count_images(workspace)
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="Import" if is_empty or "look" in st.query_params else "Images",
    required=True,
    label_visibility="collapsed",
    key="dataset.view",
    bind="query-params",
)
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, ("look_through", "import", "generate", "export", "check_files"))
    for kind in ("import", "generate", "export", "check_files"):
        show_job_result(workspace, kind)
if is_empty and view != "Import":
    show_error(
        OperatorError("There are no images yet.", next_step="Import some, or generate them.")
    )
else:
    VIEWS[view](workspace)
