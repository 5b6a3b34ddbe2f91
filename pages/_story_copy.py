"""Whose copy of the story this is, and what each step needs of it before it can be told."""

from __future__ import annotations

import streamlit as st

from core.analysis.plans import TriagePlan, newest_plan
from core.errors import OperatorError
from core.jobs import queue
from core.jobs import story as plot
from core.jobs.configs import (
    ApplyTriage,
    CompareMaps,
    EvaluateModel,
    FineTune,
    JobConfig,
    PlanTriage,
)
from core.settings import load_settings
from core.state import applications, job_rows, story
from core.state.models import Model
from core.state.workspace import Workspace
from pages._access import current_person
from pages._shared import (
    enter_workspace,
    forget_view,
    plain,
    show_error,
    show_job_result,
    show_jobs,
)
from pages._training_run import show_trainings

KEY = "story"
CHARTS = f"{KEY}.charts"  # of a container whose columns lie one below the other on a narrow screen
_COPY = "story_copy"  # uid of this session's copy; outlives a change of workspace
AUDIT_SHARE = 0.2  # so that ten decisions hold some checks
_GREATEST_PROMISE = 0.2


def own_copy() -> Workspace:
    """This visitor's copy: of the address, of the session, else a new one."""
    settings = load_settings()
    for uid in (st.query_params.get("ws", ""), st.session_state.get(_COPY, "")):
        found = story.find_copy(uid, settings)
        if found is not None:
            _enter(found)
            return found
    return _begin(story.START)


def start_again() -> None:
    """Throw the copy away and begin with a new one; for use as a callback."""
    _exchange(story.START)


def carry_on(copy: Workspace) -> None:
    """Have what follows from the tuned model computed, whoever closed a tab meanwhile."""
    plot.put_to_work(copy, actor=visitor())
    config = plot.next_job(copy)
    if config is not None:
        start(copy, config)


def start(copy: Workspace, config: JobConfig) -> None:
    """Start a job in a copy, where every visitor may do everything; for use as a callback too."""
    queue.submit(copy, config, actor=visitor())


def visitor() -> str:
    """Whose name goes on what is computed."""
    person = current_person()
    return person.name if person else "a visitor"


def has_finished_model(copy: Workspace) -> bool:
    """Whether the copy began with the model that was trained when the demo was made."""
    return story.stage_of(copy) == story.TUNED


def need_model(copy: Workspace) -> Model:
    """The tuned model; the page stops where there is none yet, and offers it."""
    model = plot.tuned_model(copy)
    if model is None:
        offer_model(copy)
        st.stop()
    return model


def offer_model(copy: Workspace) -> None:
    """The training at work, or the two ways to a model."""
    if job_rows.list_jobs(copy, statuses=job_rows.ACTIVE, kinds=(FineTune.kind,), limit=1):
        show_trainings(copy)
        return
    show_job_result(copy, FineTune.kind)
    embedding = plot.generic_embedding(copy)
    with st.container(border=True):
        st.markdown("##### Fine-tune the network now, or take the finished one")
        st.markdown(
            "Live, it takes a minute or two on two cores. The finished one was trained when this "
            "demo was made: the same images, the same recipe."
        )
        with st.container(horizontal=True):
            if embedding is not None:
                st.button(
                    "Fine-tune now",
                    type="primary",
                    icon=":material/model_training:",
                    key=f"{KEY}.tune",
                    on_click=start,
                    args=(copy, plot.fine_tune(embedding.config["backbone"])),
                )
            st.button(
                "Use the finished one",
                icon=":material/fast_forward:",
                key=f"{KEY}.finished",
                on_click=_exchange,
                args=(story.TUNED,),
            )


def need_plan(copy: Workspace) -> tuple[Model, TriagePlan]:
    """The tuned model and what its promises cost; the page stops until both are there."""
    model = need_model(copy)
    plan = newest_plan(copy, model, "risk")
    if plan is None:
        kinds = (CompareMaps, EvaluateModel, PlanTriage)
        wait_for(copy, "The images of the line are being looked at.", kinds)
        st.stop()
    return model, plan


def need_application(copy: Workspace) -> None:
    """Stop the page until a plan was applied, and offer to apply it."""
    _, plan = need_plan(copy)
    if not all(each.reverted_at for each in applications.list_applications(copy)):
        return
    if job_rows.list_jobs(copy, statuses=job_rows.ACTIVE, kinds=(ApplyTriage.kind,), limit=1):
        wait_for(copy, "The plan is being applied.", (ApplyTriage,))
        st.stop()
    show_job_result(copy, ApplyTriage.kind)
    promise = usual_promise(plan)
    with st.container(border=True):
        st.markdown(
            "##### First the model labels what it may\n"
            f"At most {promise:.0%} of its labels may be wrong; the rest goes to the queue."
        )
        st.button(
            f"Apply at {promise:.0%}",
            type="primary",
            icon=":material/auto_awesome:",
            key=f"{KEY}.apply",
            on_click=start,
            args=(copy, ApplyTriage(plan.run.id, max_error=promise, audit_share=AUDIT_SHARE)),
        )
    st.stop()


def usual_promise(plan: TriagePlan) -> float:
    """The strictest promise from 5 to 20 % that lets the model label anything; 5 % where none."""
    costs = ((point.max_error, point.auto_share) for point in plan.curve)
    return plot.strictest_promise(costs, greatest=_GREATEST_PROMISE)


def wait_for(copy: Workspace, text: str, kinds: tuple[type[JobConfig], ...]) -> None:
    """What is computed just now, or why it was not."""
    active = job_rows.list_jobs(copy, statuses=job_rows.ACTIVE, limit=1)
    if active:
        st.markdown(plain(text))
    show_jobs(copy)
    for kind in kinds:
        show_job_result(copy, kind.kind)
    if not active:
        st.button(
            "Try again",
            icon=":material/replay:",
            key=f"{KEY}.again",
            on_click=_resume,
            args=(copy,),
        )


def _resume(copy: Workspace) -> None:
    stopped = job_rows.list_jobs(copy, statuses=("failed", "cancelled", "interrupted"), limit=1)
    if stopped:
        queue.resume(copy, stopped[0].id)


def _begin(stage: str) -> Workspace:
    try:
        copy = story.new_copy(load_settings(), stage=stage)
    except OperatorError as error:
        show_error(error)
        st.stop()
    _enter(copy)
    return copy


def _exchange(stage: str) -> None:
    """Another copy in the place of this one."""
    old = story.find_copy(st.session_state.get(_COPY, ""), load_settings())
    _begin(stage)
    if old is not None:
        story.discard(old)


def _enter(copy: Workspace) -> None:
    if st.session_state.get("workspace_uid") != copy.uid:
        forget_view()
    st.session_state[_COPY] = copy.uid
    enter_workspace(copy.uid)
