"""The views Queue and Grid of triage: what people decide, one image or one group at a time.

Each run of a fragment writes what has been decided, leases what comes next and answers; none of it
grows with the queue.
"""

import math
from collections.abc import Sequence
from functools import partial

import streamlit as st

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import DescribeQueue
from core.state import catalog, decisions, job_rows, models, runs, triage_queue
from core.state.label_book import keys_in_triage
from core.state.triage_queue import Progress, QueueItem
from core.state.workspace import Workspace
from pages._access import current_person
from pages._evaluated import heat_maps
from pages._images import Heat
from pages._map_view import show_on_maps
from pages._shared import acting, as_duration, counted, image_urls, next_step
from pages._triage_card import Idle, TriageProgress, triage_card
from pages._triage_items import Labels, as_shown, examples_of, map_of
from pages._triage_log import (
    keep_for_later,
    keep_leases,
    last_alive,
    last_told,
    last_written,
    seconds_a_decision,
    take_log,
)
from pages._triage_retraining import offer_training

_KEY = "triage"
BATCH = 24  # three seconds of the fastest keys
_ORDERS = {
    "uncertainty": ("Unsure first", "What the model is least sure of comes first."),
    "novelty": ("Strange first", "What lies farthest from everything labelled comes first."),
    "diversity": (
        "Diverse",
        "Each next image is unlike those before: few decisions cover all that there is.",
    ),
    "oldest": ("Oldest first", "What has waited longest comes first."),
}


def show_queue(workspace: Workspace) -> None:
    """One image large after the other."""
    if _is_ready(workspace):
        st.fragment(_show_focus)(workspace)
        offer_training(workspace)


def show_grid(workspace: Workspace) -> None:
    """One group of alike images after the other, each confirmed at once."""
    if _is_ready(workspace):
        st.fragment(_show_group)(workspace)


def _is_ready(workspace: Workspace) -> bool:
    """Whether something is or was in the queue, for a person whose name is known."""
    person = current_person()
    now = triage_queue.progress(workspace, actor=person.name if person else "")
    if not now.n_pending + now.n_decided + now.n_to_settle:
        next_step("Nothing waits for a person yet.")
        st.markdown(
            "Plan the automatic labels: what the model is unsure of comes here. On every other "
            "page, “Send to triage” puts picked images into the queue."
        )
        st.button(
            "Plan the automatic labels",
            type="primary",
            icon=":material/auto_awesome:",
            key=f"{_KEY}.to_plan",
            on_click=st.session_state.update,
            args=({f"{_KEY}.view": "Automatic"},),
        )
        return False
    if person is None:
        st.markdown(f"**{counted(now.n_pending, 'image')}** to judge.")
        if st.button("Begin", type="primary", key=f"{_KEY}.begin"):
            acting()  # keys that fall into a dialog would be lost
        return False
    _look_at_new(workspace)
    return True


def _look_at_new(workspace: Workspace) -> None:
    """Let the model at work look at what was sent here by hand; the cards fill when it has."""
    model = models.promoted(workspace) or next(iter(models.list_models(workspace)), None)
    if model is None or not triage_queue.has_undescribed(workspace):
        return
    jobs = job_rows.list_jobs(workspace, limit=50)
    newest = next((job for job in jobs if job.kind == DescribeQueue.kind), None)
    if newest is None or newest.status == "succeeded":  # one that failed is not tried again
        queue.submit(workspace, DescribeQueue(model.id), actor=acting().name)


def _show_focus(workspace: Workspace) -> None:
    actor = acting().name
    with st.container(horizontal=True, vertical_alignment="center"):
        order = st.segmented_control(
            "Order",
            list(_ORDERS),
            default="uncertainty",
            required=True,
            format_func=lambda order: _ORDERS[order][0],
            label_visibility="collapsed",
            key=f"{_KEY}.order",
            bind="query-params",
            on_change=_begin_anew,
            args=(workspace, actor),
        )
        st.caption(_ORDERS[order][1])
        again = st.container(width="content")
    items = triage_queue.lease(workspace, actor=actor, n=BATCH, order=order)
    now = triage_queue.progress(workspace, actor=actor)
    with again:
        _offer_skipped(workspace, now, actor)
    _show_card(workspace, items, now, actor, view="focus", order=order, idle=_idle(now))


def _show_group(workspace: Workspace) -> None:
    actor = acting().name
    items = triage_queue.lease_alike(workspace, actor=actor)
    now = triage_queue.progress(workspace, actor=actor)
    idle = Idle(
        "No group of alike images is left.",
        "What remains is judged one by one, in the view Queue." if now.n_pending else "",
    )
    _show_card(workspace, items, now, actor, view="grid", order="", idle=idle)


def _offer_skipped(workspace: Workspace, now: Progress, actor: str) -> None:
    if now.n_skipped:
        st.button(
            f"Ask again of {now.n_skipped:,} skipped",
            icon=":material/replay:",
            key=f"{_KEY}.ask_again",
            on_click=_ask_again,
            args=(workspace, actor),
        )


def _begin_anew(workspace: Workspace, actor: str) -> None:
    """Another order begins with its own first images."""
    triage_queue.release(workspace, actor=actor)


def _ask_again(workspace: Workspace, actor: str) -> None:
    decisions.ask_again(workspace, actor=actor)


def _show_card(
    workspace: Workspace,
    items: Sequence[QueueItem],
    now: Progress,
    actor: str,
    *,
    view: str,
    order: str,
    idle: Idle,
) -> None:
    labels = Labels(catalog.list_classes(workspace), keys_in_triage(workspace))
    keep_for_later(items)
    urls, key = image_urls(workspace), f"{_KEY}.{view}"
    heat = _heat_of(workspace, items)
    projection = next(iter(runs.list_runs(workspace, "projection")), None)
    wanted = triage_card(
        as_shown(workspace, items, labels),
        view=view,
        labels=labels.keys,
        examples=examples_of(workspace, labels),
        progress=TriageProgress(now.n_decided, now.n_decided + now.n_pending, _remaining(now)),
        idle=idle,
        acked=last_written(),
        told=last_told(),
        place=f"{workspace.uid}.{actor}",
        thumbnail_url=urls["thumbnail_url"],
        preview_url=urls["preview_url"],
        image_url=urls["preview_url"].replace("/preview/", "/image/"),
        key=key,
        order=order,
        alive_at=last_alive(),
        heat_url=heat.url if heat else "",
        map=map_of(workspace, projection) if projection and view == "focus" else None,
        on_log=partial(take_log, workspace, key),
        on_alive=partial(keep_leases, workspace, key),
        on_explain=heat.explain if heat else None,
    )
    if wanted is not None and projection and any(item.image_id == wanted for item in items):
        show_on_maps(workspace, runs.get_run(workspace, projection.parent_id or ""), [wanted])


def _remaining(now: Progress) -> str:
    """How long the rest takes at this session's pace, once there is one."""
    seconds = seconds_a_decision()
    if seconds is None or not now.n_pending:
        return ""
    minutes = math.ceil(now.n_pending * seconds / 60)
    return f"about {as_duration(60 * minutes)}" if minutes > 1 else "about a minute"


def _idle(now: Progress) -> Idle:
    """What is said when nothing is left for this person, and what to do."""
    settle = "Some images wait to be settled: see the view To settle." if now.n_to_settle else ""
    if not now.n_pending:
        return Idle("All done.", settle or "Everything in the queue has been decided.")
    if now.n_skipped == now.n_pending:
        return Idle("Only what you skipped is left.", "Ask for it again with the button above.")
    if now.n_leased_by_others:
        return Idle(
            "Others are at the last images.",
            "What they leave comes here by itself, within minutes.",
        )
    return Idle(
        "Nothing is left for you.", "What remains wants a second opinion, by another person."
    )


def _heat_of(workspace: Workspace, items: Sequence[QueueItem]) -> Heat | None:
    """Heat maps by the model that suggests, while it is there."""
    named = next((item.model for item in items if item.model), None)
    if named is None:
        return None
    try:
        return heat_maps(workspace, models.get_model(workspace, named))
    except OperatorError:
        return None  # deleted since
