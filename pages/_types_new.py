"""The view New type: three to ten images that show it, and its name."""

from __future__ import annotations

import streamlit as st

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import FindCandidates
from core.state import catalog, retyping
from core.state.catalog import ImageFilter
from core.state.label_book import MAX_DEFINITION
from core.state.workspace import Workspace
from core.vocabulary import MAX_LABEL_LENGTH
from pages._images import filter_images, paged_gallery, show_gallery
from pages._shared import acting, changed, counted, show_error
from pages._types_shared import EXAMPLES, FEWEST, KEY, MOST, go_on, telling_embedding

_KEY = f"{KEY}.new"


def show_new(workspace: Workspace) -> None:
    """Pick the images, then name what they show."""
    ids = _examples(workspace)
    if ids:
        _show_naming(workspace, ids)
    else:
        _show_picking(workspace)


def _examples(workspace: Workspace) -> list[int]:
    chosen = tuple(st.session_state.get(EXAMPLES, ()))
    return catalog.image_ids(workspace, ImageFilter(ids=chosen)).tolist() if chosen else []


def _show_picking(workspace: Workspace) -> None:
    st.markdown(
        f"Pick **{FEWEST} to {MOST} images** that show the new type. They can also be picked on "
        "the map, in any gallery (*More*, *Begin a new type*), or among the strange images."
    )
    chosen = filter_images(workspace, key=f"{_KEY}.filter")
    picked, _ = paged_gallery(workspace, chosen, key=_KEY)
    n = len(picked.selected)
    st.button(
        f"Use {counted(n, 'image')}" if n else "Pick images",
        type="primary",
        disabled=not FEWEST <= n <= MOST,
        help=f"From {FEWEST} to {MOST}: fewer leave it open what they share.",
        key=f"{_KEY}.use",
        on_click=st.session_state.update,
        args=({EXAMPLES: picked.selected},),
    )


def _show_naming(workspace: Workspace, ids: list[int]) -> None:
    st.markdown(f"**{counted(len(ids), 'image')} show the new type.**")
    picked = show_gallery(
        workspace, catalog.list_images(workspace, ImageFilter(ids=tuple(ids))), key=f"{_KEY}.shown"
    )
    with st.container(horizontal=True):
        left = [each for each in ids if each not in picked.selected]
        st.button(
            f"Leave out {counted(len(picked.selected), 'image')}",
            disabled=not picked.selected or not left,
            icon=":material/remove_circle:",
            key=f"{_KEY}.leave_out",
            on_click=st.session_state.update,
            args=({EXAMPLES: left},),
        )
        st.button(
            "Pick others",
            icon=":material/undo:",
            key=f"{_KEY}.others",
            on_click=st.session_state.update,
            args=({EXAMPLES: ()},),
        )
    with st.form(f"{_KEY}.form"):
        name = st.text_input("Name of the type", max_chars=MAX_LABEL_LENGTH, key=f"{_KEY}.name")
        definition = st.text_area(
            "How it is told from the others",
            max_chars=MAX_DEFINITION,
            key=f"{_KEY}.definition",
            placeholder="Round, raised, with a crater in the middle; a drop has none.",
        )
        if st.form_submit_button("Add the type and find more of it", type="primary"):
            _add(workspace, ids, name or "", definition or "")


def _add(workspace: Workspace, ids: list[int], name: str, definition: str) -> None:
    person = acting()
    try:
        batch = retyping.add(workspace, name, ids, actor=person.name, definition=definition)
    except OperatorError as error:
        show_error(error)
        return
    label = str(batch.detail["type"])
    changed(workspace, batch, f"New type {label}")
    embedding = telling_embedding(workspace)
    if embedding is not None:
        queue.submit(workspace, FindCandidates(label, embedding.id), actor=person.name)
    st.session_state.pop(EXAMPLES, None)
    go_on("More of a type", label)
    st.rerun()


def begin_type(ids: list[int]) -> None:
    """Take images as those that show a new type; for use as a callback."""
    st.session_state[EXAMPLES] = tuple(ids[:MOST])
    go_on("New type")
