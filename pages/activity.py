"""Activity: what the machine is doing, and who changed what."""

import pandas as pd
import streamlit as st

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.steps import title as job_title
from core.state import job_rows, labels
from core.state.change_log import Batch
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._shared import (
    acting,
    cancel_job,
    choose_view,
    current_workspace,
    describe_progress,
    page_header,
    plain,
    resume_job,
    show_error,
    undo_change,
)

_ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/play_circle:",
    "succeeded": ":green[:material/check_circle:]",
    "failed": ":red[:material/error:]",
    "cancelled": ":material/cancel:",
    "interrupted": ":orange[:material/pause_circle:]",
}
_ACTIONS = {
    "relabel": "Labelled {label}",
    "split": "Moved to {split}",
    "exclude": "Excluded from training",
    "include": "Taken into training again",
    "auto_label": "{model} labelled automatically, by plan {plan}",
    "decide": "Decided in triage: {label}",
    "enqueue": "Sent to triage",
    "withdraw": "Withdrawn from triage",
    "retype": "Type {type}: {what}",
    "undo": "Undid change {undoes}",
}


def show_jobs_live(workspace: Workspace) -> None:
    """Jobs, newest first; it runs again each second while one is active."""
    active = queue.look_after(workspace)
    polled = st.fragment(_job_list, run_every=1.0 if any(j.is_active for j in active) else None)
    polled(workspace)


def _job_list(workspace: Workspace) -> None:
    queue.look_after(workspace)
    jobs = job_rows.list_jobs(workspace, limit=30)
    if not jobs:
        st.info("Nothing has been computed yet. Jobs appear here as soon as a page starts one.")
    for job in jobs:
        _show_job(workspace, job)


def _show_job(workspace: Workspace, job: Job) -> None:
    title = f"{_ICONS[job.status]} **{job_title(job.kind)}** · job {job.id} · {job.status}"
    title += f" · {plain(job.actor)} · {job.created_at[:16].replace('T', ' ')}"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(title)
            if job.is_active:
                st.button(
                    "Cancel",
                    icon=":material/stop_circle:",
                    key=f"activity.cancel.{job.id}",
                    on_click=cancel_job,
                    args=(workspace, job.id),
                    disabled=job.cancel_requested,
                )
            elif job.status != "succeeded":
                st.button(
                    "Resume",
                    icon=":material/replay:",
                    key=f"activity.resume.{job.id}",
                    on_click=resume_job,
                    args=(workspace, job.id),
                )
        if job.is_active:
            st.progress(job.progress, text=describe_progress(job))
        if job.error:
            error = job.error
            show_error(OperatorError(error["title"], error["detail"], error["next_step"]))
        if st.toggle("Log and settings", key=f"activity.log.{job.id}"):
            st.json(dict(job.config), expanded=False)
            st.code(queue.read_log(workspace, job.id) or "No log yet.", language=None, height=320)


def show_changes(workspace: Workspace) -> None:
    """Every change of labels, splits, exclusions and the queue, with the means to undo it."""
    with_decisions = st.toggle(
        "Each decision of triage too",
        key="activity.decisions",
        help="They are many, and stand in the log on the page Triage.",
    )
    hidden = () if with_decisions else ("decide",)
    batches = labels.list_batches(workspace, limit=100, without=hidden)
    if not batches:
        st.info("Nobody has changed anything yet.")
    for batch in batches:
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(describe(batch))
                if st.button(
                    "Undo",
                    icon=":material/undo:",
                    key=f"activity.undo.{batch.id}",
                    disabled=batch.undone_by is not None or not batch.n_changes,
                ):
                    acting()
                    undo_change(workspace, batch.id)
                    st.rerun()
            if st.toggle("Images", key=f"activity.changes.{batch.id}"):
                rows = labels.list_changes(workspace, batch_id=batch.id)
                table = pd.DataFrame(
                    [{"image": c.image_id, "from": c.old, "to": c.new} for c in rows]
                )
                st.dataframe(table, hide_index=True, key=f"activity.table.{batch.id}")


def describe(batch: Batch) -> str:
    """A change in one line."""
    taken_away = batch.action == "relabel" and batch.detail["label"] is None
    template = "Label taken away" if taken_away else _ACTIONS.get(batch.action, batch.action)
    detail = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in batch.detail.items()
    }
    what = template.format_map({name: plain(value) for name, value in detail.items()})
    line = f"**{what}** · {batch.n_changes:,} images · {plain(batch.actor)}"
    line += f" · {batch.at[:16].replace('T', ' ')} · change {batch.id}"
    return f"~~{line}~~ · undone by change {batch.undone_by}" if batch.undone_by else line


workspace = current_workspace()
page_header("Activity", "What the machine is doing, and who changed what")
view = choose_view("activity", ("Jobs", "Changes"))
if view == "Jobs":
    show_jobs_live(workspace)
else:
    show_changes(workspace)
