"""Putting a model to work: after a comparison with the one at work, or by overruling it; and what
is left to do before it labels.
"""

from __future__ import annotations

import streamlit as st

from core.analysis.model_comparisons import WORSE, PairedModels
from core.analysis.plans import TriagePlan, newest_plan
from core.errors import OperatorError
from core.jobs import promotion
from core.jobs.configs import CompareModels, PlanTriage
from core.settings import PROJECT_ROOT
from core.state import applications, job_rows, models
from core.state.applications import Application
from core.state.job_rows import Job
from core.state.models import FEWEST_WORDS, Model
from core.state.workspace import Workspace
from pages._access import require
from pages._shared import acting, plain, show_error, submit

_REASON_LIMIT = 200


def offer_promotion(
    workspace: Workspace,
    new: Model,
    at_work: Model | None,
    compared: PairedModels | None,
    *,
    key: str,
) -> None:
    """The one button that is right for where the comparison stands, and the way to overrule it.

    Args:
        new: the model to put to work.
        at_work: the promoted model; None where there is none yet.
        compared: the two, as far as they have been compared.
        key: that the keys of these widgets begin with.
    """
    if _is_being_compared(workspace, new):
        st.markdown(":material/balance: Both models are being measured on the same test images.")
        return
    is_measured = compared is not None and compared.is_current
    if at_work is not None and not is_measured:
        _compare_first(workspace, new, at_work, key=key)
        _overrule(workspace, new, f"{new.id} has not been compared with {at_work.id}.", key=key)
    elif compared is not None and compared.found.verdict == WORSE:
        _overrule(workspace, new, f"{new.id} is worse than {compared.old}.", key=key)
    else:
        _promote(workspace, new, key=key)


def _compare_first(workspace: Workspace, new: Model, at_work: Model, *, key: str) -> None:
    with st.popover("Promote", icon=":material/rocket_launch:"):
        st.markdown(
            f"First both models are measured on the same test images. Unless it is worse than "
            f"{at_work.id} beyond chance, {new.id} is then put to work."
        )
        reason = ask_reason(f"{key}.promote.reason")
        if st.button("Compare and promote", type="primary", key=f"{key}.compare_and_promote"):
            submit(workspace, CompareModels(at_work.id, new.id, promote=True, reason=reason))
            st.rerun()
    if st.button("Compare only", icon=":material/balance:", key=f"{key}.compare_only"):
        submit(workspace, CompareModels(at_work.id, new.id))
        st.rerun()


def _promote(workspace: Workspace, new: Model, *, key: str) -> None:
    with st.popover("Promote", icon=":material/rocket_launch:"):
        st.markdown("This model is put to work: it labels and sorts what comes in.")
        reason = ask_reason(f"{key}.promote.reason")
        if st.button("Promote", type="primary", key=f"{key}.promote"):
            _put_to_work(workspace, new, reason, overrule=False)


def _overrule(workspace: Workspace, new: Model, why_not: str, *, key: str) -> None:
    with st.popover("Overrule", icon=":material/gavel:"):
        st.markdown(
            f"{plain(why_not)} To put it to work all the same, say why; your reason is kept with "
            "the promotion."
        )
        reason = ask_reason(f"{key}.overrule.reason")
        is_said = len(reason.split()) >= FEWEST_WORDS
        if st.button(
            "Promote all the same",
            key=f"{key}.overrule",
            disabled=not is_said,
            help=None if is_said else f"Say why, in at least {FEWEST_WORDS} words.",
        ):
            _put_to_work(workspace, new, reason, overrule=True)


def say_what_follows(workspace: Workspace, model: Model) -> None:
    """Say so where the labels in force are not those of the model at work; lead to its plan."""
    in_force = labels_of_another(workspace, model)
    if in_force is None:
        return
    plan = newest_plan(workspace, model, in_force.rule)
    say_what_is_left(workspace, model, in_force, plan, where="of the page Triage")
    st.page_link(
        PROJECT_ROOT / "pages" / "triage.py",
        label="Automatic labelling",
        icon=":material/arrow_forward:",
        query_params={"triage.view": "Automatic"},
    )


def labels_of_another(workspace: Workspace, model: Model) -> Application | None:
    """The application whose labels are in force, where this model is at work and has no later one.

    One that found nothing left to label counts: by it the model labels what comes in.
    """
    promoted = models.promoted(workspace)
    in_force = promotion.standing_application(workspace)
    if promoted is None or in_force is None or model.id != promoted.id:
        return None
    own = applications.standing(workspace, model.id)
    return in_force if own is None or own.id < in_force.id else None


def say_what_is_left(
    workspace: Workspace,
    model: Model,
    in_force: Application,
    plan: TriagePlan | None,
    *,
    where: str,
) -> None:
    """What is to be done before a promoted model labels anything.

    Args:
        in_force: whose labels stand until then.
        plan: the model's newest.
        where: the plan is.
    """
    if any(job.config["model"] == model.id for job in _active(workspace, PlanTriage.kind)):
        ready = "Its thresholds are being calibrated: then apply the plan, to let it label."
    elif plan is None or not plan.is_current:
        ready = "Plan with it to calibrate its thresholds, then apply the plan."
    else:
        ready = f"Its thresholds are calibrated: apply the plan {where} to let it label."
    st.info(
        f"**{plain(model.id)} is promoted, and has labelled nothing yet.** What "
        f"{plain(in_force.model)} labelled stands until you revert it. {ready}",
        icon=":material/swap_horiz:",
    )


def _is_being_compared(workspace: Workspace, new: Model) -> bool:
    return any(job.config["new"] == new.id for job in _active(workspace, CompareModels.kind))


def _active(workspace: Workspace, kind: str) -> list[Job]:
    return job_rows.list_jobs(workspace, kinds=(kind,), statuses=job_rows.ACTIVE)


def _put_to_work(workspace: Workspace, new: Model, reason: str, *, overrule: bool) -> None:
    acting("data scientist")
    try:
        actor = require("data scientist").name
        promotion.promote(workspace, new.id, actor=actor, reason=reason, overrule=overrule)
    except OperatorError as error:
        show_error(error)
        return
    st.rerun()


def ask_reason(key: str) -> str:
    """Why a model is put to work, or taken off."""
    return st.text_input("Why", max_chars=_REASON_LIMIT, key=key) or ""
