"""The view Arrivals: what is watched, how it goes, and the newest images with their answers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from core.analysis.inbox import Flow, as_rows, output_of, read_flow, watchers
from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import WatchFolder
from core.settings import load_settings
from core.state import arrivals, catalog
from core.state.catalog import ImageFilter
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._access import require
from pages._images import show_gallery
from pages._shared import (
    acting,
    as_duration,
    as_size,
    counted,
    noted_metric,
    plain,
    routes_of,
    show_job_result,
    submit,
)

_KEY = "inbox"
_POLL_S = 2.0
_N_TILES, _N_ROWS = 24, 100


def show_arrivals(workspace: Workspace) -> None:
    """What changes runs again by itself while a folder is watched."""
    queue.look_after(workspace)
    is_watched = bool(watchers(workspace))
    if not is_watched:
        show_job_result(workspace, WatchFolder.kind)
        _offer_watching(workspace)
    st.fragment(_show_live, run_every=_POLL_S if is_watched else None)(workspace, is_watched)


def _show_live(workspace: Workspace, was_watched: bool) -> None:
    queue.look_after(workspace)
    active = watchers(workspace)
    if bool(active) != was_watched:
        st.rerun()
    for job in active:
        _show_watcher(workspace, job)
    _show_flow(read_flow(workspace))
    _show_newest(workspace)


def _show_watcher(workspace: Workspace, job: Job) -> None:
    folder = job.config["folder"]
    since = f"since {job.started_at[:16].replace('T', ' ')} UTC" if job.started_at else "waiting"
    state = "stopping" if job.cancel_requested else since
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":green[:material/sensors:] **{plain(folder)}** · {state} · {plain(job.actor)}  \n"
            f"{plain(job.step or 'Waiting for a worker: one folder is watched at a time')}"
        )
        _show_output(workspace, folder)
        st.button(
            "Stop",
            icon=":material/stop_circle:",
            disabled=job.cancel_requested,
            key=f"{_KEY}.stop.{job.id}",
            on_click=_stop,
            args=(workspace, job.id),
        )


def _stop(workspace: Workspace, job_id: int) -> None:
    try:
        require("data scientist")
    except OperatorError as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    queue.cancel(workspace, job_id)


def _show_output(workspace: Workspace, folder: str) -> None:
    file = output_of(workspace, folder)
    if file.is_file():
        st.link_button(
            f"Output, {as_size(file.stat().st_size)}",
            f"{routes_of(workspace)}/export/{file.name}",
            icon=":material/download:",
        )


def _offer_watching(workspace: Workspace) -> None:
    """Choose a folder below those that may be imported from, and watch it."""
    roots = load_settings().import_roots
    with st.container(border=True):
        st.markdown("##### No folder is watched")
        if not roots:
            st.markdown(
                "Run `python -m core watch DIR`. To start a watcher from here, name the allowed "
                "folders in `LACQUER_IMPORT_ROOTS` and start the app again."
            )
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            root = st.selectbox("Allowed folder", roots, format_func=str, key=f"{_KEY}.root")
            below = st.text_input("Folder below it", key=f"{_KEY}.below", placeholder="camera-1")
            if st.button("Watch", type="primary", icon=":material/sensors:", key=f"{_KEY}.watch"):
                _watch(workspace, root, (below or "").strip())
        st.caption(
            "Its images are copied in as they come, answered by the promoted model, and labelled "
            "or queued by the plan that is applied. The files themselves are left alone."
        )


def _watch(workspace: Workspace, root: Path, below: str) -> None:
    acting("data scientist")  # before anything is written
    folder = str(Path(root, below))
    submit(
        workspace,
        WatchFolder(folder, output=str(output_of(workspace, folder)), within=str(root)),
    )
    st.rerun()


def _show_flow(flow: Flow) -> None:
    today = flow.today
    columns = st.columns(4)
    with columns[0]:
        noted_metric(
            "Images today", f"{today.n_taken:,}", f"{counted(today.n_known, 'file')} known before"
        )
    with columns[1]:
        noted_metric(
            "A minute", f"{flow.per_minute:.1f}", "over five minutes", help="Images taken."
        )
    with columns[2]:
        share = f"{today.n_auto / today.n_taken:.0%}" if today.n_taken else "–"
        queued = today.n_taken - today.n_auto
        noted_metric("Labelled by the model", share, f"{queued:,} in the queue")
    with columns[3]:
        slowest = "–" if today.slowest_s is None else as_duration(today.slowest_s)
        noted_metric(
            "Seconds to the answer",
            slowest,
            f"{counted(today.n_refused, 'file')} refused",
            help="From the last byte of a file to its answer; 95 of 100 took no longer. What lay "
            "there before the watcher began counts from its start.",
        )


def _show_newest(workspace: Workspace) -> None:
    newest = arrivals.list_newest(workspace, limit=_N_ROWS)
    if not newest:
        st.info("Nothing has come in yet. What comes appears here by itself.")
        return
    taken = [each for each in newest if each.status == "taken" and each.image_id][:_N_TILES]
    ids = tuple(each.image_id for each in taken if each.image_id)
    by_id = {image.id: image for image in catalog.list_images(workspace, ImageFilter(ids=ids))}
    shown = [each for each in taken if each.image_id in by_id]
    st.subheader("Newest", anchor=False)
    show_gallery(
        workspace,
        [by_id[each.image_id] for each in shown if each.image_id],
        key=f"{_KEY}.newest",
        captions=[_caption(each) for each in shown],
        remarks=[_remark(each) for each in shown],
    )
    refused = [each for each in newest if each.status == "refused"]
    if refused:
        with st.expander(f"{counted(len(refused), 'file')} refused", icon=":material/block:"):
            st.dataframe(
                pd.DataFrame(as_rows(refused))[["at", "file", "reason"]],
                hide_index=True,
                key=f"{_KEY}.refused",
            )
    st.dataframe(
        pd.DataFrame(as_rows(newest)),
        hide_index=True,
        column_config={
            "confidence": st.column_config.NumberColumn(format="%.3f"),
            "novelty": st.column_config.NumberColumn(
                format="%.2f",
                help="Share of the reference images that lie less far from all known classes: 0 is "
                "usual, 1 is stranger than all of them.",
            ),
            "seconds": st.column_config.NumberColumn(format="%.2f"),
        },
        key=f"{_KEY}.table",
    )


def _caption(each: arrivals.Arrival) -> str:
    if each.label is None or each.confidence is None:
        return "to the queue"
    return f"{each.label} {each.confidence:.0%}"


def _remark(each: arrivals.Arrival) -> str:
    parts = ["labelled by the model" if each.route == arrivals.AUTO else "in the queue"]
    if each.label is not None and each.route != arrivals.AUTO:
        parts.append(f"suggested: {each.label}")
    if each.novelty is not None:
        parts.append(f"stranger than {each.novelty:.0%} of the reference images")
    if each.seconds is not None:
        parts.append(f"answered in {as_duration(each.seconds)}")
    return " · ".join(parts)
