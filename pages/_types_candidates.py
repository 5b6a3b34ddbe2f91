"""The view More of a type: images ranked by how likely they are of it, confirmed as a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.jobs.configs import FindCandidates
from core.state import catalog, job_rows, labels, models
from core.state.catalog import ImageFilter
from core.state.label_book import list_offered
from core.state.workspace import Workspace
from pages._images import show_gallery
from pages._shared import acting, changed, counted, go_to, noted_metric, plain, submit
from pages._types_shared import KEY, telling_embedding

_KEY = f"{KEY}.more"
_PAGE = 48
_NEAR = 0.1  # an example is found again where at most this share of the known stands before it


def show_candidates(workspace: Workspace, *, per_page: int = _PAGE) -> None:
    """What is likely of the chosen type, the likeliest first, so many at a time."""
    names = list_offered(workspace)
    if not names:
        st.info("There is no type yet: begin with **New type**.", icon=":material/category:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Type", names, key=f"{KEY}.type", bind="query-params", width=300)
        embedding = telling_embedding(workspace)
        if embedding is None:
            return
        found = _newest(workspace, name)
        if st.button(
            "Look again" if found else "Find more of it",
            icon=":material/search:",
            type="secondary" if found else "primary",
            key=f"{_KEY}.find",
        ):
            submit(workspace, FindCandidates(name, embedding.id), role="operator")
            st.rerun()
    if found is None:
        st.markdown(
            f"Every image that nobody has labelled is ranked by how like {plain(name)} it is, and "
            "the likeliest are confirmed as a grid. It takes seconds."
        )
        return
    _show_certainty(workspace, name, found)
    _show_grid(workspace, name, found["candidates"], per_page=per_page)


def _newest(workspace: Workspace, name: str) -> Mapping[str, Any] | None:
    found = job_rows.list_jobs(workspace, statuses=("succeeded",), kinds=(FindCandidates.kind,))
    return next((job.result for job in found if job.config["name"] == name), None)


def _show_certainty(workspace: Workspace, name: str, found: Mapping[str, Any]) -> None:
    again = [share for share in found["left_out"] if share <= _NEAR]
    with st.container(horizontal=True):
        noted_metric("Images that show it", f"{found['n_examples']:,}")
        noted_metric(
            "Found again when left out",
            f"{len(again)} of {len(found['left_out'])}" if found["left_out"] else "–",
            help="Each example was left out in turn: would it have stood before a tenth of the "
            "images of other types? With few examples this is a rough figure.",
        )
        noted_metric(
            "Likelier it than any other type",
            f"{found['n_likely']:,}",
            help=f"Of {found['n_looked_at']:,} images that nobody has labelled.",
        )
    model = models.promoted(workspace)
    if model is not None and name not in model.classes:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"{plain(model.id)} does not know {plain(name)} yet: until it is trained again, "
                "the type is found by its images alone."
            )
            if st.button("Fine-tune with it", icon=":material/model_training:", key=f"{_KEY}.tune"):
                go_to("fine_tuning.py", workspace, view="Train")


def _show_grid(
    workspace: Workspace, name: str, candidates: Sequence[Mapping[str, Any]], *, per_page: int
) -> None:
    by_id = {
        image.id: image
        for image in catalog.list_images(
            workspace, ImageFilter(ids=tuple(each["image"] for each in candidates))
        )
    }
    waiting = [
        each
        for each in candidates
        if each["image"] in by_id and by_id[each["image"]].waits_for_a_person
    ]
    if not waiting:
        st.success("Every candidate has been judged. Look again: more examples find more.")
        return
    n_pages = -(-len(waiting) // per_page)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(waiting):,}** candidates, the likeliest first", width="content")
        page = st.pagination(n_pages, key=f"{_KEY}.page") if n_pages > 1 else 1
    shown = waiting[(page - 1) * per_page : page * per_page]
    picked = show_gallery(
        workspace,
        [by_id[each["image"]] for each in shown],
        key=_KEY,
        remarks=[_remark(each) for each in shown],
    ).selected
    others = [each["image"] for each in shown if each["image"] not in picked]
    with st.container(horizontal=True):
        if st.button(
            f"These {len(picked):,} are {plain(name)}",
            type="primary",
            disabled=not picked,
            icon=":material/check:",
            key=f"{_KEY}.confirm",
        ):
            _confirm(workspace, name, picked)
        if st.button(
            f"All {len(others):,} but the picked are {plain(name)}",
            disabled=not others,
            icon=":material/done_all:",
            key=f"{_KEY}.confirm_others",
            help="Pick those that are something else, then confirm the rest of this page.",
        ):
            _confirm(workspace, name, others)


def _remark(candidate: Mapping[str, Any]) -> str:
    share = candidate["known_share"]
    if share <= 0:
        return "No image of another type looks as much like it."
    return f"{share:.1%} of the images of other types look as much like it."


def _confirm(workspace: Workspace, name: str, ids: Sequence[int]) -> None:
    reason = f"confirmed among the candidates of {name}"
    batch = labels.relabel(workspace, ids, name, actor=acting().name, reason=reason)
    changed(workspace, batch, f"{counted(len(ids), 'image')} confirmed as {name}")
    st.rerun()
