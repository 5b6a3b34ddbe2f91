"""The view Strange images: groups that are like none of the types, offered as new ones."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core.jobs.configs import GroupStrange
from core.latent.novel_groups import ALONE, USUAL
from core.state import catalog, labels, runs
from core.state.catalog import ImageFilter
from core.state.label_book import list_offered
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._images import show_gallery
from pages._map_view import show_on_maps
from pages._shared import acting, changed, counted, submit
from pages._types_new import begin_type
from pages._types_shared import FEWEST, KEY, telling_embedding

_KEY = f"{KEY}.strange"
_SHOWN_GROUPS, _SHOWN_IMAGES = 12, 12


def show_strange(workspace: Workspace) -> None:
    """The groups that were found last, the largest first."""
    embedding = telling_embedding(workspace)
    if embedding is None:
        return
    found = next(
        (run for run in runs.list_runs(workspace, "novel_groups") if run.parent_id == embedding.id),
        None,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            "Look again" if found else "Find strange images",
            type="secondary" if found else "primary",
            icon=":material/travel_explore:",
            key=f"{_KEY}.find",
        ):
            submit(workspace, GroupStrange(embedding.id), role="operator")
            st.rerun()
        st.caption(
            "Images that nobody has labelled, farther from every type than 19 of 20 labelled ones "
            "are, and grouped by how alike they are."
        )
    if found is not None:
        _show_groups(workspace, embedding, found)


def _show_groups(workspace: Workspace, embedding: Run, found: Run) -> None:
    ids = runs.load_array(workspace, found, "image_ids")
    groups = runs.load_array(workspace, found, "groups")
    novelty = runs.load_array(workspace, found, "novelty")
    waiting = set(_without_a_word(workspace, ids[groups != USUAL]))
    n_strange = found.result["n_strange"]
    st.markdown(
        f"**{n_strange:,} of {found.result['n_looked_at']:,}** images are strange; "
        f"{counted(len(found.result['sizes']), 'group')} of alike ones."
    )
    n_shown = 0
    for number in range(len(found.result["sizes"])):
        rows = np.flatnonzero(groups == number)
        rows = rows[np.argsort(novelty[rows], kind="stable")]  # its most usual images first
        members = [each for each in ids[rows].tolist() if each in waiting]
        if len(members) >= FEWEST and n_shown < _SHOWN_GROUPS:
            _show_group(workspace, embedding, number, members)
            n_shown += 1
    if not n_shown:
        st.info("No group waits for a name.", icon=":material/check_circle:")
    alone = [each for each in ids[groups == ALONE].tolist() if each in waiting]
    if alone:
        with st.expander(f"{counted(len(alone), 'strange image')} like no other"):
            show_gallery(
                workspace, catalog.list_in_order(workspace, alone[:48]), key=f"{_KEY}.alone"
            )


def _show_group(workspace: Workspace, embedding: Run, number: int, members: list[int]) -> None:
    key = f"{_KEY}.{number}"
    with st.container(border=True):
        st.markdown(
            f"##### {counted(len(members), 'image')} like none of the types, and like one another"
        )
        show_gallery(workspace, catalog.list_in_order(workspace, members[:_SHOWN_IMAGES]), key=key)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(
                "Make it a type",
                type="primary",
                icon=":material/new_label:",
                key=f"{key}.make",
                help="The ten most usual images of the group show it.",
                on_click=begin_type,
                args=(members,),
            )
            if st.button("On the map", icon=":material/scatter_plot:", key=f"{key}.map"):
                show_on_maps(workspace, embedding, members)
            if st.button("Send to triage", icon=":material/inbox:", key=f"{key}.triage"):
                reason = "like none of the types"
                batch = labels.set_queued(
                    workspace, members, True, actor=acting().name, reason=reason
                )
                changed(workspace, batch, "Sent to triage")
                st.rerun()
            name = st.selectbox(
                "They are",
                list_offered(workspace),
                index=None,
                placeholder="one of the types",
                label_visibility="collapsed",
                key=f"{key}.name",
                width=220,
            )
            if st.button("Label all", disabled=name is None, key=f"{key}.label"):
                reason = "a group of strange images"
                batch = labels.relabel(workspace, members, name, actor=acting().name, reason=reason)
                changed(workspace, batch, f"Labelled {name}")
                st.rerun()


def _without_a_word(workspace: Workspace, ids: np.ndarray) -> list[int]:
    """Those that no person has labelled since."""
    found = catalog.list_images(workspace, ImageFilter(ids=tuple(ids.tolist())))
    return [image.id for image in found if image.waits_for_a_person]
