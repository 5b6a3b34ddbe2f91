"""The view Export: take images and labels out as an archive, for other tools or for here."""

from pathlib import Path

import streamlit as st

from core.jobs.configs import ExportImages
from core.state import catalog, job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._import_formats import title
from pages._shared import acting, as_size, counted, routes_of, submit

_FORMATS = {
    "folder": (":material/folder:", "A folder a class below a folder a split: any tool reads it."),
    "csv": (":material/table:", "The images and one table: labels, splits and every column."),
    "parquet": (
        ":material/dataset:",
        "The images and one table with embeddings and projections too: for data tools.",
    ),
    "coco": (
        ":material/data_object:",
        "JSON, a file a split, with the boxes: for detectors.",
    ),
    "label-studio": (
        ":material/edit_note:",
        "JSON with labels and annotators: to annotate further in Label Studio.",
    ),
}


def show_export(workspace: Workspace) -> None:
    """A card a format, and the archives made so far."""
    n_images = catalog.count_images(workspace)
    st.caption(
        f"All {counted(n_images, 'image')} with their labels. What is exported imports again to "
        "the same state."
    )
    columns = st.columns(len(_FORMATS))
    for column, (name, (icon, what)) in zip(columns, _FORMATS.items(), strict=True):
        with column, st.container(border=True, height="stretch", vertical_alignment="distribute"):
            with st.container():
                st.markdown(f"##### {icon} {title(name)}")
                st.caption(what)
            if st.button("Make an archive", key=f"dataset.export.{name}", width="stretch"):
                submit(workspace, ExportImages(format=name))
                st.rerun()
    _show_archives(workspace)


def _show_archives(workspace: Workspace) -> None:
    made = [
        (job, archive)
        for job in job_rows.list_jobs(workspace, statuses=("succeeded",), limit=200)
        if job.kind == ExportImages.kind and (archive := _archive_of(workspace, job))
    ]
    if not made:
        return
    st.subheader("Archives", anchor=False)
    for job, archive in made:
        result = job.result or {}
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            missing = f" · {len(result['missing']):,} files missing" if result["missing"] else ""
            st.markdown(
                f"**{title(result['format'])}** · {counted(result['n_exported'], 'image')} · "
                f"{as_size(archive.stat().st_size)}  \n"
                f":small[{(job.finished_at or '')[:16].replace('T', ' ')}{missing}]",
                width="stretch",
            )
            st.link_button(
                "Download",
                f"{routes_of(workspace)}/export/{archive.name}",
                icon=":material/download:",
            )
            if st.button("Remove", icon=":material/delete:", key=f"dataset.remove.{job.id}"):
                acting("data scientist")
                archive.unlink(missing_ok=True)
                st.rerun()


def _archive_of(workspace: Workspace, job: Job) -> Path | None:
    """The archive that a job has made, as long as it is there."""
    name = (job.result or {}).get("archive")
    archive = workspace.path / "exports" / Path(name).name if name else None
    return archive if archive and archive.is_file() else None
