"""The story's second half: the risk, the queue, a new type of defect, and the audit."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.analysis.story import Arrival, late_arrivals
from core.jobs import story as plot
from core.jobs.configs import EmbedImages, FindCandidates, GroupStrange, ImportImages
from core.settings import PROJECT_ROOT
from core.state import decisions, job_rows, runs
from core.state.label_book import list_offered
from core.state.models import Model
from core.state.workspace import Workspace
from pages._images import show_gallery
from pages._shared import counted, show_jobs
from pages._story_copy import (
    AUDIT_SHARE,
    CHARTS,
    KEY,
    need_application,
    need_model,
    need_plan,
    start,
    usual_promise,
    wait_for,
)
from pages._triage_audit import show_audit
from pages._triage_automatic import show_risk
from pages._triage_queue import show_queue
from pages._types_candidates import show_candidates
from pages._types_new import begin_type, show_new
from pages._types_shared import EXAMPLES, FEWEST, MOST, follow
from pages._types_shared import KEY as TYPES

N_DECISIONS = 10
_N_EXAMPLES = 5
_N_CANDIDATES = 12  # two rows, so that the button below them is near
_ARRIVALS = (ImportImages, EmbedImages, GroupStrange)


def show_risk_step(copy: Workspace) -> None:
    """What each promise costs, and the slider that makes one."""
    model, plan = need_plan(copy)
    st.markdown(
        f"{plan.n_images:,} images of the line wait without a label. **You say how many automatic "
        "labels may be wrong**; the model labels what it can within that promise, and people get "
        "the rest. The paper sends its mixed cluster to people and promises nothing."
    )
    show_jobs(copy)
    with st.container(key=CHARTS):
        show_risk(
            copy,
            model,
            plan,
            apply=partial(start, copy),
            first=usual_promise(plan),
            audit_percent=round(100 * AUDIT_SHARE),
        )


def show_queue_step(copy: Workspace) -> None:
    """Ten decisions by key."""
    need_application(copy)
    st.fragment(_show_count, run_every=1.5)(copy)
    show_queue(copy)


def show_new_type(copy: Workspace) -> None:
    """What came late and is like nothing before; five images of it, and more of the kind."""
    model = need_model(copy)
    follow()
    if st.session_state.get(EXAMPLES):
        st.markdown("**Five images are enough to begin with.** What would you call this defect?")
        show_new(copy)
        return
    new_types = [name for name in list_offered(copy) if name not in model.classes]
    if new_types:
        st.session_state.setdefault(f"{TYPES}.type", new_types[-1])
        st.markdown(
            "**No training yet: the type is found by its images alone**, the likeliest first. Pick "
            "what is right and confirm it. The next training learns it for good."
        )
        show_jobs(copy, (FindCandidates.kind,))
        show_candidates(copy, per_page=_N_CANDIDATES)
        return
    if plot.has_taken_arrivals(copy):
        _show_arrivals(copy, model)
    else:
        _offer_arrivals(copy)


def show_audit_step(copy: Workspace) -> None:
    """How wrong the automatic labels really are, as the ten decisions found."""
    need_application(copy)
    st.markdown(
        "Some of the images in your queue had a label already: **hidden checks**, which looked "
        "like all others. They measure the true error of the automatic labels, at all times. "
        "Should it pass the promise beyond chance, automatic labelling pauses by itself."
    )
    with st.container(key=CHARTS):
        show_audit(copy)
    with st.container(border=True):
        st.markdown(
            f"##### That is the story: {counted(_n_decided(copy), 'decision')}, "
            f"{counted(len(list_offered(copy)), 'type')} of defects\n"
            "All of it was computed here, on a copy of your own. Look around in it:"
        )
        with st.container(horizontal=True):
            for page, title in (
                ("latent_space.py", "Latent space"),
                ("evaluation.py", "Evaluation"),
                ("triage.py", "Triage"),
                ("activity.py", "Activity"),
            ):
                st.page_link(
                    PROJECT_ROOT / "pages" / page,
                    label=title,
                    icon=":material/arrow_forward:",
                    query_params={"ws": copy.uid},
                )


def _show_count(copy: Workspace) -> None:
    n = _n_decided(copy)
    text = (
        f"**{n} of {N_DECISIONS} decisions.** Enter or a tap confirms what the model suggests, "
        "a digit gives another type; every answer is kept with your name."
        if n < N_DECISIONS
        else f":green[:material/check_circle:] **{n} decisions.** Some were checks in disguise: "
        "the last step tells what they found."
    )
    st.progress(min(1.0, n / N_DECISIONS), text=text)


def _n_decided(copy: Workspace) -> int:
    given = decisions.list_decisions(copy, kinds=("label",))
    return sum(each.undone_by is None for each in given)


def _offer_arrivals(copy: Workspace) -> None:
    st.markdown(
        "The model knows four types. One morning **the line brings something that nobody has seen "
        "before**, and a classifier would call it by one of its four names."
    )
    active = job_rows.list_jobs(copy, statuses=job_rows.ACTIVE, kinds=(ImportImages.kind,))
    if not active:
        st.button(
            "Let the line go on: 24 images",
            type="primary",
            icon=":material/conveyor_belt:",
            key=f"{KEY}.arrive",
            on_click=start,
            args=(copy, plot.take_arrivals(copy)),
        )
        return
    wait_for(copy, "The images come in.", _ARRIVALS)


def _show_arrivals(copy: Workspace, model: Model) -> None:
    embedding = plot.tuned_embedding(copy, model)
    groups = runs.list_runs(copy, "novel_groups", parent_id=embedding.id) if embedding else []
    arrivals = late_arrivals(copy, groups[0] if groups else None)
    if not groups or not arrivals:
        wait_for(copy, "The tuned network looks at what came in.", _ARRIVALS)
        return
    n_strange = sum(each.is_strange for each in arrivals)
    found = (
        f"**Of {len(arrivals)} images the model finds {n_strange} strange**, like none of its "
        "types: what is strange stands first."
        if n_strange
        else f"**The model finds none of these {len(arrivals)} strange**: it learned to see what "
        "tells its four types apart, and nothing else."
    )
    st.markdown(
        f"{found} Your eye is quicker: pick **{_N_EXAMPLES} images that show the same new thing**."
    )
    naming = st.container()  # above the images, so that it stays on the screen
    picked = show_gallery(
        copy,
        [each.image for each in arrivals],
        key=f"{KEY}.arrivals",
        remarks=[_remark(each) for each in arrivals],
    ).selected
    naming.button(
        f"Name what these {len(picked)} show" if picked else f"Pick {FEWEST} to {MOST} images",
        type="primary",
        disabled=not FEWEST <= len(picked) <= MOST,
        icon=":material/new_label:",
        key=f"{KEY}.name",
        on_click=begin_type,
        args=(list(picked),),
    )


def _remark(arrival: Arrival) -> str:
    if not arrival.is_strange:
        return ""
    return (
        "Like none of the types." if arrival.group < 0 else f"Strange, group {arrival.group + 1}."
    )
