"""Trainings that run or wait, epoch by epoch, and how the newest one ended."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from core import figures, queries
from core.analysis.models import mode_title
from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import FineTune
from core.jobs.training_progress import TrainingProgress, load_progress
from core.state import job_rows, models
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._shared import (
    acting,
    as_duration,
    cancel_job,
    counted,
    describe_progress,
    plain,
    show_error,
)

_KEY = "fine_tuning"
_POLL_S = 1.5


def show_trainings(workspace: Workspace) -> None:
    """What is trained now, live; else how the newest training ended."""
    active = _active(queue.look_after(workspace))
    if active:
        before = frozenset(job.id for job in active)
        st.fragment(_poll, run_every=_POLL_S)(workspace, before)
        return
    newest = next((job for job in job_rows.list_jobs(workspace, limit=50) if _trains(job)), None)
    if newest:
        _show_end(workspace, newest)


def _poll(workspace: Workspace, before: frozenset[int]) -> None:
    active = _active(queue.look_after(workspace))
    if before - {job.id for job in active}:
        st.rerun()
    for job in active:
        with st.container(border=True):
            _show_training(workspace, job)


def _show_training(workspace: Workspace, job: Job) -> None:
    """One training: its figures, its curves, and the means to stop it."""
    progress = load_progress(workspace, job.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{_describe(job)}** · job {job.id} · {plain(job.actor)}")
        st.button(
            "Stop" if progress and progress.epochs else "Cancel",
            icon=":material/stop_circle:",
            key=f"{_KEY}.cancel.{job.id}",
            on_click=cancel_job,
            args=(workspace, job.id),
            disabled=job.cancel_requested,
            help="The best model so far is kept, and the training can be resumed.",
        )
    st.progress(job.progress, text=describe_progress(job))
    if progress and progress.epochs:
        _show_progress(progress, key=f"{_KEY}.live.{job.id}")


def _show_progress(progress: TrainingProgress, *, key: str) -> None:
    newest = progress.epochs[-1]
    best = next((each for each in progress.epochs if each.epoch == progress.best_epoch), newest)
    left = progress.seconds_left
    with st.container(horizontal=True):
        for title, value in (
            ("Epoch", f"{newest.epoch} of {progress.n_epochs}"),
            ("Best epoch", str(best.epoch)),
            ("Validation accuracy", _share(best.validation_accuracy)),
            ("An epoch takes", as_duration(newest.seconds)),
            ("Left", "…" if left is None else as_duration(left)),
        ):
            st.metric(title, value, border=True)
    history = [asdict(each) for each in progress.epochs]
    show_curves(history, best_epoch=progress.best_epoch, key=key)
    cached = progress.caching_seconds
    before = f"; what came before the first epoch took {as_duration(cached)}" if cached else ""
    st.caption(
        f"{counted(progress.n_train, 'image')} to train on, {progress.n_validation:,} to validate "
        f"on{before}."
    )


def show_curves(
    history: Sequence[Any], *, best_epoch: int | None, key: str, is_narrow: bool = False
) -> None:
    """Loss and accuracy an epoch: side by side, or one below the other where there is less room."""
    loss, accuracy = figures.training_curves(history, best_epoch=best_epoch)
    left, right = (st.container(), st.container()) if is_narrow else st.columns(2)
    left.plotly_chart(loss, key=f"{key}.loss")
    right.plotly_chart(accuracy, key=f"{key}.accuracy")


def _show_end(workspace: Workspace, job: Job) -> None:
    """What came of the newest training, and what can be done about it."""
    made = [model for model in models.models_of_job(workspace, job.id) if not model.deleted_at]
    if job.status == "succeeded" and not made:
        return  # its model was deleted: nothing is left to say
    if job.error:
        error = job.error
        show_error(OperatorError(error["title"], error["detail"], error["next_step"]))
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(_describe_end(job, made))
        if made:
            st.button(
                "Open the model",
                icon=":material/arrow_forward:",
                key=f"{_KEY}.open",
                on_click=open_model,
                args=(made[-1].id,),
            )
        if job.status != "succeeded" and st.button(
            "Resume", icon=":material/replay:", key=f"{_KEY}.resume.{job.id}"
        ):
            acting("data scientist")
            queue.resume(workspace, job.id)
            st.rerun()


def open_model(model_id: str) -> None:
    """Show a model in the view Models; for use as a callback."""
    st.session_state[f"{_KEY}.view"] = "Models"
    st.session_state[f"{_KEY}.model"] = model_id


def _describe_end(job: Job, made: Sequence[models.Model]) -> str:
    kept = ""
    if made:
        result = made[-1].result
        kept = (
            f"**{made[-1].id}** gets {_share(result.get('val_accuracy'))} of "
            f"{counted(result.get('n_validation', 0), 'validation image')} right, after epoch "
            f"{result.get('best_epoch')} of {result.get('epochs')}"
        )
    if job.status == "succeeded":
        return f":green[:material/check_circle:] {kept}."
    ended = f"{_describe(job)} · job {job.id} is {job.status}"
    best = f" The best so far: {kept}." if kept else ""
    return f":orange[:material/pause_circle:] {ended}.{best}"


def _describe(job: Job) -> str:
    titles = queries.backbone_titles()
    backbone = job.config["backbone"]
    return f"{titles.get(backbone, plain(backbone))}, {mode_title(job.config['mode'])}"


def _active(jobs: Sequence[Job]) -> list[Job]:
    """The trainings among these jobs, the one that runs first, then in the order of the queue."""
    found = [job for job in jobs if _trains(job) and job.is_active]
    return sorted(found, key=lambda job: (job.status != "running", job.id))


def _trains(job: Job) -> bool:
    return job.kind == FineTune.kind


def _share(value: float | None) -> str:
    return "…" if value is None else f"{value:.1%}"
