"""The view Label book: every type with its definition, its images, its key, and what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.errors import OperatorError
from core.palette import class_colour
from core.state import catalog, label_book
from core.state.catalog import ImageFilter
from core.state.label_book import FREE_KEYS, MAX_DEFINITION, ROLES, Entry
from core.state.workspace import Workspace
from pages._images import paged_gallery, show_gallery
from pages._shared import acting, counted, plain, show_error
from pages._types_changes import show_changes, show_versions
from pages._types_shared import KEY, go_on

_KEY = f"{KEY}.book"
_ROLE_TITLES = {
    "example": "Examples",
    "counter_example": "Counter-examples",
    "borderline": "Borderline",
}


def show_book(workspace: Workspace) -> None:
    """The table of types, and the entry that is opened."""
    entries = label_book.list_entries(workspace)
    if not entries:
        with st.container(border=True):
            st.markdown("##### There is no type of defect yet.")
            st.markdown("Import labelled images, or begin with a few of your own.")
            st.button(
                "Begin a new type",
                type="primary",
                key=f"{_KEY}.begin",
                on_click=go_on,
                args=("New type",),
            )
        return
    _show_table(entries, label_book.keys_in_triage(workspace))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Type",
            [entry.name for entry in entries],
            key=f"{KEY}.type",
            bind="query-params",
            width=300,
        )
        st.button(
            "New type", icon=":material/add:", key=f"{_KEY}.new", on_click=go_on, args=("New type",)
        )
    entry = next(each for each in entries if each.name == name)
    _show_entry(workspace, entry, entries)


def _show_table(entries: Sequence[Entry], keys: Mapping[str, str]) -> None:
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "type": entry.name,
                    "images": entry.n_images,
                    "key": keys.get(entry.name, ""),
                    "definition": entry.definition,
                    "shown by": sum(map(len, entry.images.values())),
                    "state": _state(entry),
                }
                for entry in entries
            ]
        ),
        hide_index=True,
        column_config={
            "images": st.column_config.NumberColumn(format="localized"),
            "key": st.column_config.TextColumn(help="What gives it in triage."),
            "definition": st.column_config.TextColumn(width="large"),
            "shown by": st.column_config.NumberColumn(
                help="Examples, counter-examples and borderline images in the book."
            ),
        },
        key=f"{_KEY}.table",
    )


def _state(entry: Entry) -> str:
    if entry.merged_into:
        return f"part of {entry.merged_into}"
    return "retired" if entry.is_retired else ""


def _show_entry(workspace: Workspace, entry: Entry, entries: Sequence[Entry]) -> None:
    colour = class_colour(entry.name, [each.name for each in entries])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(
            f'<div style="width: 1.5rem; height: 1.5rem; background: {colour}; '
            'border-radius: 0.25rem"></div>',
            width="content",
        )
        st.markdown(f"### {plain(entry.name)}", width="content")
        st.caption(" · ".join(filter(None, [counted(entry.n_images, "image"), _state(entry)])))
    show_changes(workspace, entry, entries)
    with st.form(f"{_KEY}.form.{entry.id}", border=False):
        definition = st.text_area(
            "Definition: how it is told from the others",
            entry.definition,
            max_chars=MAX_DEFINITION,
            key=f"{_KEY}.definition.{entry.id}",
        )
        own = [entry.shortcut] if entry.shortcut and entry.shortcut not in FREE_KEYS else []
        keys = ["", *FREE_KEYS, *own]  # one that has since been given a meaning stays in sight
        key = st.selectbox(
            "Its own key in triage",
            keys,
            index=keys.index(entry.shortcut or ""),
            format_func=lambda each: each or "The digit of its place",
            key=f"{_KEY}.key.{entry.id}",
            width=260,
        )
        if st.form_submit_button("Keep", type="primary"):
            _keep(workspace, entry, definition or "", key or None, dict(entry.images))
    _show_images(workspace, entry)
    show_versions(workspace, entry)


def _show_images(workspace: Workspace, entry: Entry) -> None:
    for role, title in _ROLE_TITLES.items():
        ids = entry.images.get(role, ())
        if ids:
            st.markdown(f"**{title}**")
            picked = show_gallery(
                workspace,
                catalog.list_images(workspace, ImageFilter(ids=ids)),
                key=f"{_KEY}.{role}.{entry.id}",
            ).selected
            if picked and st.button(
                f"Take {counted(len(picked), 'image')} out of the book",
                key=f"{_KEY}.{role}.out.{entry.id}",
            ):
                _show_as(workspace, entry, picked, None)
    with st.expander("Add images to the book", expanded=not any(entry.images.values())):
        whose = st.segmented_control(
            "Which images",
            ("Of this type", "Of other types"),
            default="Of this type",
            required=True,
            key=f"{_KEY}.whose",
        )
        others = tuple(each for each in catalog.list_classes(workspace) if each != entry.name) or (
            entry.name,
        )
        chosen = ImageFilter(labels=(entry.name,) if whose == "Of this type" else others)
        found, _ = paged_gallery(workspace, chosen, key=f"{_KEY}.add.{entry.id}.{whose}")
        with st.container(horizontal=True):
            for role, title in _ROLE_TITLES.items():
                if st.button(
                    f"As {title.lower()}",
                    disabled=not found.selected,
                    key=f"{_KEY}.as.{role}",
                ):
                    _show_as(workspace, entry, found.selected, role)


def _show_as(workspace: Workspace, entry: Entry, ids: Sequence[int], role: str | None) -> None:
    shown = {
        each: tuple(image for image in entry.images.get(each, ()) if image not in ids)
        for each in ROLES
    }
    if role is not None:
        shown[role] = (*shown[role], *ids)
    _keep(workspace, entry, entry.definition, entry.shortcut, shown)


def _keep(
    workspace: Workspace,
    entry: Entry,
    definition: str,
    shortcut: str | None,
    shown: dict[str, tuple[int, ...]],
) -> None:
    try:
        label_book.define(
            workspace,
            entry.name,
            definition=definition,
            shortcut=shortcut,
            shown=shown,
            actor=acting().name,
        )
    except OperatorError as error:
        show_error(error)
        return
    st.toast(f"The entry of {plain(entry.name)} is kept.", icon=":material/menu_book:")
    st.rerun()
