"""Overview: where this workspace stands, the one next step, and the workspaces themselves."""

import streamlit as st

from core import figures
from core.errors import OperatorError
from core.jobs.configs import GenerateImages
from core.settings import PROJECT_ROOT, load_settings
from core.state import catalog, models, runs
from core.state.story import has_templates
from core.state.workspace import (
    Workspace,
    create_workspace,
    delete_workspace,
    disk_use,
    folder_name,
    list_workspaces,
    rename_workspace,
)
from pages._shared import (
    acting,
    counted,
    enter_workspace,
    find_current_workspace,
    forget_view,
    next_step,
    page_header,
    plain,
    show_error,
    show_job_result,
    show_jobs,
    submit,
)


def show_progress(workspace: Workspace) -> None:
    """The steps of the workflow, and the first one that is not done."""
    summary = catalog.summarise(workspace)
    embeddings = runs.list_runs(workspace, "embedding")
    n_embedded = max((run.n_images for run in embeddings), default=0)
    steps = [
        ("Images in", summary.n_images > 0, "dataset.py", "Import images"),
        (
            "Features computed",
            0 < summary.n_images <= n_embedded + summary.n_unreachable,
            "latent_space.py",
            "Embed the images",
        ),
        (
            "Map drawn",
            bool(runs.list_runs(workspace, "projection")),
            "latent_space.py",
            "Draw a map",
        ),
        (
            "Clusters found",
            bool(runs.list_runs(workspace, "clustering")),
            "clusters_and_anomalies.py",
            "Cluster the images",
        ),
    ]
    if summary.n_labelled:
        is_trained = bool(models.list_models(workspace))
        steps.append(("Classifier trained", is_trained, "fine_tuning.py", "Fine-tune a classifier"))
        if is_trained and summary.n_labelled < summary.n_images:
            is_planned = bool(runs.list_runs(workspace, "triage_plan"))
            steps.append(("Triage planned", is_planned, "triage.py", "Plan the automatic labels"))
    with st.container(horizontal=True):
        st.metric("Images", f"{summary.n_images:,}", border=True)
        st.metric("Classes", len(catalog.list_classes(workspace)), border=True)
        st.metric("Labelled", f"{summary.n_labelled:,}", border=True)
        st.metric("Excluded from training", f"{summary.n_excluded:,}", border=True)
        st.metric("In triage", f"{summary.n_queued:,}", border=True)
    with st.container(horizontal=True, gap="medium"):
        for title, done, _, _ in steps:
            icon = ":green[:material/check_circle:]" if done else ":material/circle:"
            st.markdown(f"{icon} {title}", width="content")
    missing = next((step for step in steps if not step[1]), None)
    if missing is None and summary.n_queued:
        waiting = f"{counted(summary.n_queued, 'image')} in triage for people to judge."
        next_step(waiting, page="triage.py", label="Open the queue")
    elif missing is None:
        next_step("Everything is computed.", page="latent_space.py", label="Open the map")
    else:
        next_step(f"Next: {missing[3].lower()}.", page=missing[2], label=missing[3])
    if not summary.n_images:
        st.markdown("No images at hand? Generate the paper's data set of synthetic paint defects.")
        if st.button(
            "Generate 344 images", icon=":material/auto_awesome:", key="overview.generate"
        ):
            submit(workspace, GenerateImages())
            st.rerun()


def show_story() -> None:
    """The way into the story, where the demo has been made."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            "**New here? Walk through the story:** why defects are hard to tell, what a minute of "
            "fine-tuning changes, and how people and the model share the work. Ten minutes, on a "
            "copy of your own."
        )
        st.page_link(
            PROJECT_ROOT / "pages" / "story.py",
            label="Begin",
            icon=":material/auto_stories:",
            width="content",
        )


def show_workspaces(current: Workspace | None) -> None:
    """Every workspace with the means to enter it, and a form for a new one."""
    st.subheader("Workspaces", anchor=False)
    for workspace in list_workspaces():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            is_current = current is not None and workspace.uid == current.uid
            st.markdown(f"**{plain(workspace.name)}**  \n:small[{plain(str(workspace.path))}]")
            if st.button(
                "Is open" if is_current else "Enter",
                disabled=is_current,
                key=f"overview.enter.{workspace.uid}",
            ):
                forget_view()
                enter_workspace(workspace.uid)
                st.rerun()
            with st.popover("Manage", icon=":material/settings:"):
                manage(workspace)
    with st.form("overview.create", border=True):
        name = st.text_input(
            "New workspace",
            placeholder="Its name",
            max_chars=80,
            # Empty again once there is one more; kept while the person is asked who they are.
            key=f"overview.new.{len(list_workspaces())}",
        )
        if st.form_submit_button("Create", icon=":material/add:"):
            create(name or "")


def create(name: str) -> None:
    """Make a workspace in the home folder and enter it."""
    acting("data scientist")
    try:
        workspace = create_workspace(load_settings().home / folder_name(name), name=name)
    except OperatorError as error:
        show_error(error)
        return
    forget_view()
    enter_workspace(workspace.uid)
    st.rerun()


def manage(workspace: Workspace) -> None:
    """Rename, look at the disk, delete."""
    uid = workspace.uid
    name = st.text_input("Name", value=workspace.name, max_chars=80, key=f"overview.name.{uid}")
    if st.button("Rename", disabled=name == workspace.name, key=f"overview.rename.{uid}"):
        acting("data scientist")
        rename_workspace(workspace, name or "")
        st.rerun()
    st.divider()
    typed = st.text_input(
        "Delete it with all its labels and models: type its name", key=f"overview.typed.{uid}"
    )
    if st.button(
        "Delete for good",
        icon=":material/delete_forever:",
        disabled=typed != workspace.name,
        key=f"overview.delete.{uid}",
    ):
        acting("admin")
        delete_workspace(workspace)
        forget_view()
        st.session_state.pop("workspace_uid", None)
        st.rerun()


current = find_current_workspace()
page_header(
    plain(current.name) if current else "Lacquer", "Surface defects, by eye and by latent space"
)
if has_templates(load_settings()):
    show_story()
if current is None:
    st.info(
        "Make a workspace to begin: a place for one set of images and all that is done with it."
    )
else:
    show_jobs(current)
    show_job_result(current, "generate")
    show_progress(current)
show_workspaces(current)
if current is not None:
    with st.expander("Disk use", icon=":material/hard_drive:"):
        st.plotly_chart(figures.disk_use(disk_use(current)), key="overview.disk")
