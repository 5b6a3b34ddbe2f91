"""The view Drop: one image or several, answered while you wait, with all that led to the answer.

Which drop is shown stands in the page's address as `dropped`, the number of its job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core import figures
from core.analysis.inbox import newest_dropped
from core.jobs.configs import AnswerDropped
from core.state import catalog, models, uploads
from core.state.arrivals import AUTO
from core.state.workspace import Workspace
from pages._images import show_gallery
from pages._inbox_picture import picture_html
from pages._shared import (
    acting,
    counted,
    next_step,
    plain,
    routes_of,
    show_job_result,
    show_jobs,
    submit,
)

_KEY = "inbox"
_TYPES = ["jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp", "gif"]
_N_SHOWN = 12


def show_drop(workspace: Workspace) -> None:
    """Drop, wait, look at the answers."""
    if models.promoted(workspace) is None:
        next_step(
            "No model is promoted: dropped images would only be queued.",
            page="fine_tuning.py",
            label="Promote one",
        )
    _show_uploader(workspace)
    show_jobs(workspace, [AnswerDropped.kind])
    show_job_result(workspace, AnswerDropped.kind)
    job = newest_dropped(workspace, _shown_job())
    if job is None or job.result is None:
        return
    answers = job.result["answers"]
    for number, told in enumerate(answers[:_N_SHOWN]):
        _show_answer(workspace, job.result["model"], told, key=f"{_KEY}.answer.{number}")
    if len(answers) > _N_SHOWN:
        more = counted(len(answers) - _N_SHOWN, "more image")
        st.caption(f"{more} came with these: they stand in the view Arrivals.")


def _shown_job() -> int | None:
    number = st.query_params.get("dropped", "")
    return int(number) if number.isdecimal() else None


def _show_uploader(workspace: Workspace) -> None:
    turn = st.session_state.setdefault(f"{_KEY}.turn", 0)  # an emptied uploader is a new one
    files = st.file_uploader(
        "Images to be answered; they are taken in as a line's images are",
        type=_TYPES,
        accept_multiple_files=True,
        key=f"{_KEY}.files.{turn}",
    )
    if not st.button(
        "Answer",
        type="primary",
        icon=":material/psychology:",
        disabled=not files,
        key=f"{_KEY}.answer",
    ):
        return
    acting()  # before anything is written
    kept = tuple(
        (str(uploads.store_upload(workspace, file, suffix=".img")), file.name) for file in files
    )
    job = submit(workspace, AnswerDropped(kept), role="operator")
    st.session_state[f"{_KEY}.turn"] = turn + 1
    st.query_params["dropped"] = str(job.id)
    st.rerun()


def _show_answer(
    workspace: Workspace, model_id: str | None, told: Mapping[str, Any], *, key: str
) -> None:
    with st.container(border=True):
        if told["status"] == "refused":
            st.markdown(f":material/block: **{plain(told['name'])}** · {plain(told['reason'])}")
            return
        picture, answer = st.columns([1, 2])
        with picture:
            _show_picture(workspace, model_id, told, key=key)
        with answer:
            st.markdown(_headline(told))
            if told["probabilities"]:
                st.plotly_chart(
                    figures.class_probabilities(
                        told["classes"], told["probabilities"], catalog.list_classes(workspace)
                    ),
                    key=f"{key}.probabilities",
                )
            _show_nearest(workspace, told["nearest"], key=key)


def _headline(told: Mapping[str, Any]) -> str:
    name = plain(told["name"])
    if told["label"] is None:
        return f"#### In the queue  \n{name} · no model is at work"
    what = f"#### {plain(told['label'])} · {told['confidence']:.1%}"
    if told["status"] == "known":
        became = "was in the workspace already: its label stays"
    else:
        became = "labelled by the model" if told["route"] == AUTO else "in the queue, for people"
    strange = (
        ""
        if told["novelty"] is None
        else f" · stranger than {told['novelty']:.0%} of the reference images"
    )
    return f"{what}  \n{name} · {became}{strange}"


def _show_picture(
    workspace: Workspace, model_id: str | None, told: Mapping[str, Any], *, key: str
) -> None:
    """The image, and over it where the model looked."""
    base = routes_of(workspace)
    heat = f"{base}/heat/{model_id}/{told['image']}" if told.get("has_heat_map") else ""
    is_shown = bool(heat) and st.toggle("Heat map", value=True, key=f"{key}.heat")
    st.html(picture_html(f"{base}/image/{told['image']}", heat if is_shown else ""))


def _show_nearest(workspace: Workspace, nearest: Sequence[int], *, key: str) -> None:
    if not nearest:
        return
    st.caption("The nearest images that people have labelled")
    show_gallery(workspace, catalog.list_in_order(workspace, nearest), key=f"{key}.nearest")
