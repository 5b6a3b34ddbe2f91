"""Changes of a type: what would follow is said first, and all of it can be undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from core.analysis.type_effects import TypeEffects, effects_of
from core.errors import OperatorError
from core.state import label_book, labels, retyping
from core.state.catalog import ImageFilter
from core.state.change_log import Batch
from core.state.label_book import Entry
from core.state.workspace import Workspace
from core.vocabulary import MAX_LABEL_LENGTH
from pages._images import paged_gallery
from pages._shared import acting, changed, counted, plain, show_error, undo_change
from pages._types_shared import KEY, go_on

_KEY = f"{KEY}.change"


def show_changes(workspace: Workspace, entry: Entry, entries: Sequence[Entry]) -> None:
    """Rename, merge, split, retire or bring back, exchange colours."""
    others = [each.name for each in entries if each.id != entry.id and not each.is_retired]
    with st.container(horizontal=True):
        if entry.is_retired:
            if st.button("Bring it back", icon=":material/restore:", key=f"{_KEY}.back"):
                _do(workspace, lambda who: retyping.bring_back(workspace, entry.name, actor=who))
            return
        st.button(
            "Find more of it",
            icon=":material/search:",
            key=f"{_KEY}.more",
            on_click=go_on,
            args=("More of a type", entry.name),
        )
        effects = effects_of(workspace, entry.name)
        with st.popover("Rename", icon=":material/edit:"):
            _tell(effects, "rename")
            name = st.text_input("New name", max_chars=MAX_LABEL_LENGTH, key=f"{_KEY}.name")
            if st.button("Rename", type="primary", disabled=not name, key=f"{_KEY}.rename"):
                _do(
                    workspace,
                    lambda who: retyping.rename(workspace, entry.name, name or "", actor=who),
                    show=name,
                )
        with st.popover("Merge", icon=":material/merge:", disabled=not others):
            _tell(effects, "merge")
            into = st.selectbox("Into", others, key=f"{_KEY}.into")
            if st.button("Merge", type="primary", disabled=not into, key=f"{_KEY}.merge"):
                _do(
                    workspace,
                    lambda who: retyping.merge(workspace, entry.name, into, actor=who),
                    show=into,
                )
        _offer_split(workspace, entry)
        with st.popover("Retire", icon=":material/archive:"):
            _tell(effects, "retire")
            if st.button("Retire", type="primary", key=f"{_KEY}.retire"):
                _do(workspace, lambda who: retyping.retire(workspace, entry.name, actor=who))
        with st.popover("Colour", icon=":material/palette:", disabled=not others):
            st.markdown(
                "Every type has a colour and a marker of its own. This one and another exchange "
                "theirs, on every page."
            )
            other = st.selectbox("With", others, key=f"{_KEY}.other")
            if st.button("Exchange", type="primary", disabled=not other, key=f"{_KEY}.exchange"):
                who = acting("data scientist").name
                label_book.exchange_colours(workspace, entry.name, other, actor=who)
                st.rerun()


def show_versions(workspace: Workspace, entry: Entry) -> None:
    """What the entry was before, and taking the last change of labels back."""
    versions = label_book.list_versions(workspace, entry.name)
    if not versions:
        return
    with st.expander(f"History: {counted(len(versions), 'version')}"):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "when": each.at[:16].replace("T", " "),
                        "who": each.actor,
                        "what": each.action.replace("_", " "),
                        "name": each.entry["name"],
                        "definition": each.entry["definition"],
                        "images in the book": sum(map(len, each.entry["images"].values())),
                        "change": each.batch_id,
                    }
                    for each in versions
                ]
            ),
            hide_index=True,
            key=f"{_KEY}.versions.{entry.id}",
        )
        newest = next((each.batch_id for each in versions if each.batch_id is not None), None)
        if newest is None:
            return
        batch = labels.find_batch(workspace, newest)
        if batch.undone_by is None and batch.undoes is None:
            st.button(
                f"Undo the last: {batch.detail['what'].replace('_', ' ')}",
                icon=":material/undo:",
                key=f"{_KEY}.undo",
                on_click=undo_change,
                args=(workspace, batch.id),
            )


def _offer_split(workspace: Workspace, entry: Entry) -> None:
    if st.button(
        "Split",
        icon=":material/call_split:",
        disabled=entry.n_images < 2,
        key=f"{_KEY}.split",
        help="Pick the images that are something else, and name that.",
    ):
        _split(workspace, entry)


@st.dialog("Split a type", width="large")
def _split(workspace: Workspace, entry: Entry) -> None:
    _tell(effects_of(workspace, entry.name), "split")
    chosen = ImageFilter(labels=(entry.name,))
    picked, _ = paged_gallery(workspace, chosen, key=f"{_KEY}.parts.{entry.id}")
    name = st.text_input(
        f"Name for the {counted(len(picked.selected), 'image')} picked",
        max_chars=MAX_LABEL_LENGTH,
        key=f"{_KEY}.part",
    )
    if st.button(
        "Split", type="primary", disabled=not (name and picked.selected), key=f"{_KEY}.do_split"
    ):
        parts = dict.fromkeys(picked.selected, name or "")
        _do(workspace, lambda who: retyping.split(workspace, entry.name, parts, actor=who))


def _tell(effects: TypeEffects, change: str) -> None:
    """What would follow, before anything is done."""
    for sentence in effects.sentences(change):
        st.markdown(f"- {plain(sentence)}")
    st.caption("It can be undone whole.")


def _do(workspace: Workspace, change: Callable[[str], Batch], *, show: str | None = None) -> None:
    try:
        batch = change(acting("data scientist").name)
    except OperatorError as error:
        show_error(error)
        return
    what = str(batch.detail["what"]).replace("_", " ")
    changed(workspace, batch, f"Type {plain(str(batch.detail['type']))}: {what}")
    if show:
        go_on("Label book", " ".join(show.split()))
    st.rerun()
