"""The view Automatic: what the model may label itself, at which promise; and taking it back."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import actions, figures
from core.analysis.evaluations import newest_evaluation, read_evaluation
from core.analysis.models import describe_model
from core.analysis.plans import TriagePlan, newest_plan
from core.errors import OperatorError
from core.figures.triage import RulePoint
from core.jobs.configs import TRIAGE_RULES, ApplyTriage, PlanTriage
from core.state import applications, job_rows, models, runs
from core.state.applications import Application
from core.state.models import Model
from core.state.workspace import Workspace
from pages._access import require
from pages._promotion import labels_of_another, say_what_is_left
from pages._shared import (
    acting,
    counted,
    next_step,
    noted_metric,
    plain,
    show_error,
    show_job_result,
    show_jobs,
    submit,
    told_apart,
)
from pages._triage_audit import show_pause

_KEY = "triage"
_RULES = {"risk": "Risk rule", "cluster": "The paper's rule"}
_DELTAS = (0.05, 0.01)
_JOBS = (PlanTriage, ApplyTriage)


def show_automatic(workspace: Workspace) -> None:
    """Plan, look at the price of each promise, apply, revert."""
    known = models.list_models(workspace)
    if not known:
        next_step(
            "There is no model yet that could label anything.",
            page="fine_tuning.py",
            label="Fine-tune one",
        )
        return
    show_pause(workspace)
    with st.container():  # a place of its own, so that nothing below moves when a job begins
        show_jobs(workspace, [job.kind for job in _JOBS])
        for job in _JOBS:
            show_job_result(workspace, job.kind)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = _choose_model(workspace, known)
        rule = _choose_rule()
        delta = _choose_delta() if rule == "risk" else _DELTAS[0]
        plan = newest_plan(workspace, model, rule)
        _offer_plan(workspace, model, rule, delta, plan)
    in_force = labels_of_another(workspace, model)
    if in_force is not None:
        say_what_is_left(workspace, model, in_force, plan, where="below")
    if plan is None:
        _explain(rule)
    elif rule == "risk":
        show_risk(workspace, model, plan)
    else:
        _show_cluster(workspace, plan)
    _show_applications(workspace)


def _choose_model(workspace: Workspace, known: list[Model]) -> Model:
    promoted = models.promoted(workspace)
    ids = [model.id for model in known]
    titles = told_apart({model.id: describe_model(model) for model in known})
    chosen = st.selectbox(
        "Model",
        ids,
        index=ids.index(promoted.id) if promoted else 0,
        format_func=titles.__getitem__,
        key=f"{_KEY}.model.{ids[0]}",
        width=360,
    )
    return next(model for model in known if model.id == chosen)


def _choose_rule() -> str:
    rule: str = st.segmented_control(
        "Rule",
        TRIAGE_RULES,
        default="risk",
        required=True,
        format_func=_RULES.__getitem__,
        key=f"{_KEY}.rule",
    )
    return rule


def _choose_delta() -> float:
    delta: float = st.segmented_control(
        "Chance that the promise fails",
        _DELTAS,
        default=_DELTAS[0],
        required=True,
        format_func=lambda share: f"{share:.0%}",
        key=f"{_KEY}.delta",
    )
    return delta


def _offer_plan(
    workspace: Workspace, model: Model, rule: str, delta: float, plan: TriagePlan | None
) -> None:
    is_new = plan is None or not plan.is_current or plan.run.config["delta"] != delta
    if st.button(
        "Plan" if plan is None else "Plan again",
        icon=":material/alt_route:",
        type="primary" if is_new else "secondary",
        disabled=not is_new or _is_under_way(workspace),
        key=f"{_KEY}.plan",
        help="Asks the model about every image without a label. Nothing is changed by it.",
    ):
        submit(workspace, PlanTriage(model.id, rule=rule, delta=delta))
        st.rerun()


def _is_under_way(workspace: Workspace) -> bool:
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    return any(job.kind in {each.kind for each in _JOBS} for job in active)


def _explain(rule: str) -> None:
    with st.container(border=True):
        if rule == "risk":
            st.markdown(
                "##### You say how many automatic labels may be wrong\n"
                "Then the model labels as many images as it can without breaking that promise, and "
                "the rest goes to people. How sure it must be is read off the **calibration "
                "images**: labelled, of the same kind, and never used for training. Press **Plan**."
            )
        else:
            st.markdown(
                "##### The rule of the paper\n"
                "K-means with one cluster more than there are classes: every image takes the name "
                "of its cluster, and the mixed cluster goes to people. It promises no error. Press "
                "**Plan**."
            )


def show_risk(
    workspace: Workspace,
    model: Model,
    plan: TriagePlan,
    *,
    apply: Callable[[ApplyTriage], object] | None = None,
    first: float | None = None,
    audit_percent: int = 2,
) -> None:
    """The price of each promise, the slider that makes one, and the button that applies it.

    Args:
        apply: what that button does; None submits the job of a data scientist.
        first: the promise that is chosen at first; the plan's own where None.
        audit_percent: of the automatic labels that people check, at first.
    """
    _say_state(plan)
    promises = plan.promises
    key = f"{_KEY}.max_error.{plan.run.id}"
    left, right = st.columns([3, 2], gap="large")
    with right:
        chosen: float = st.select_slider(
            "Tolerated share of wrong automatic labels",
            promises,
            value=plan.max_error if first is None else first,
            format_func=lambda share: f"{share * 100:.3g}%",
            key=key,
        )
        point = plan.at(chosen)
        n_auto = round(point.auto_share * plan.n_told)
        _show_routes(n_auto, plan.n_told)
        if not plan.n_images:
            st.caption(
                "No image waits for a label. These are the calibration images: what comes in is "
                "like them."
            )
        _say_promise(plan, chosen, n_auto)
        if n_auto or plan.n_images:
            _offer_apply(workspace, plan, chosen, n_auto, apply=apply, audit_percent=audit_percent)
    with left:
        st.plotly_chart(
            figures.risk_coverage(
                plan.curve,
                point,
                _rule_point(workspace, model),
                n_images=plan.n_told,
            ),
            key=f"{_KEY}.curve",
            config={"displayModeBar": False},
        )
        st.caption(
            "Every point is a promise: how many images would be left for people if no more than "
            "that share of the automatic labels may be wrong. The paper's rule stands where its "
            "error was measured, on images whose labels are known."
        )


def _say_state(plan: TriagePlan) -> None:
    if plan.applied:
        st.success(
            f"Applied: {counted(plan.applied.n_labelled, 'image')} labelled, "
            f"{plan.applied.n_queued:,} in the queue. Plan again for what has come since.",
            icon=":material/check_circle:",
        )
    elif not plan.is_current:
        st.caption(
            ":orange[:material/history: Labels or splits have changed since this plan was made.]"
        )


def _say_promise(plan: TriagePlan, chosen: float, n_auto: int) -> None:
    told, delta = plan.run.result, plan.run.config["delta"]
    if n_auto:
        st.markdown(
            f"**Promised:** at most {chosen * 100:.3g}% of the automatic labels are wrong, but "
            f"for a chance of {delta:.0%}. An image of no known class that is labelled counts as "
            "wrong."
        )
        if chosen == plan.max_error:
            st.markdown(
                f"Read off {told['n_calibration']:,} calibration images: {told['n_accepted']:,} "
                f"would have been labelled, {told['n_wrong']:,} of them wrongly; that bounds the "
                f"error by {told['error_bound']:.1%}."
            )
        st.caption(
            "The promise supposes images like the calibration images. When lamps, cameras or parts "
            "change it lapses: the audit measures the true error while people work, and pauses the "
            "automatic labels when it is above the promise."
        )
        return
    needed = told["n_needed"] if chosen == plan.max_error else None
    more = (
        f" About {needed - told['n_calibration']:,} more labelled calibration images like these "
        "would be enough."
        if needed
        else ""
    )
    st.warning(
        f"{chosen * 100:.3g}% cannot be promised from {told['n_calibration']:,} calibration "
        f"images, so nothing would be labelled.{more}",
        icon=":material/block:",
    )


def _offer_apply(
    workspace: Workspace,
    plan: TriagePlan,
    chosen: float,
    n_auto: int,
    *,
    apply: Callable[[ApplyTriage], object] | None = None,
    audit_percent: int = 2,
) -> None:
    with st.expander("What people check"):
        audit = _share(
            "Of the automatic labels", audit_percent, "audit", "To measure their true error."
        )
        second = _share("Two opinions on, of what is left", 5, "second", "To measure agreement.")
        gold = _share("Known images mixed in", 2, "gold", "To measure each person's accuracy.")
        st.caption("Checked and known images look like all others, and so many others are blind.")
    stands = plan.applied is not None and chosen == plan.max_error
    if plan.n_waiting and not stands:
        st.caption(
            f"Already in the queue, and left to people there: {plan.n_waiting:,} of the "
            f"{counted(plan.n_images, 'image')}."
        )
    if not n_auto:
        title = f"Send all {plan.n_images:,} to people"
        help = "Labels nothing: every image of this plan waits in the queue for a person."
    else:
        title = f"Apply at {chosen * 100:.3g}%" if plan.run.config["rule"] == "risk" else "Apply"
        help = "Labels in one step, and can be taken back in one. No label of a person is touched."
    if st.button(
        title,
        type="primary",
        icon=":material/auto_awesome:" if n_auto else ":material/group:",
        disabled=stands or _is_under_way(workspace),
        key=f"{_KEY}.apply",
        help=help,
    ):
        config = ApplyTriage(
            plan.run.id,
            max_error=chosen,
            audit_share=audit,
            second_share=second,
            gold_share=gold,
        )
        if apply is None:
            submit(workspace, config)
        else:
            apply(config)
        st.rerun()


def _share(title: str, default: int, name: str, help: str) -> float:
    percent: int = st.slider(
        title, 0, 20, default, format="%d%%", help=help, key=f"{_KEY}.share.{name}"
    )
    return percent / 100


def _show_routes(n_auto: int, n_images: int) -> None:
    with st.container(horizontal=True):
        noted_metric("Labelled by the model", f"{n_auto:,}", f"{n_auto / n_images:.1%}")
        n_left = n_images - n_auto
        noted_metric("Left for people", f"{n_left:,}", f"{n_left / n_images:.1%}")


def _show_cluster(workspace: Workspace, plan: TriagePlan) -> None:
    _say_state(plan)
    n_auto = plan.run.result["n_auto"]
    _show_routes(n_auto, plan.n_images)
    st.warning(
        "The paper's rule promises no error: the view Audit is all that tells it.",
        icon=":material/info:",
    )
    _offer_apply(workspace, plan, plan.max_error, n_auto)


def _rule_point(workspace: Workspace, model: Model) -> RulePoint | None:
    """Where the paper's rule stands, by the newest evaluation of the model."""
    standing = newest_evaluation(workspace, model)
    if standing is None:
        return None
    return _read_rule_point(workspace, workspace.uid, standing.run.id)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read_rule_point(_workspace: Workspace, uid: str, run: str) -> RulePoint | None:
    by_role = read_evaluation(_workspace, runs.get_run(_workspace, run)).rule.by_role
    measure = by_role.get("test") or by_role.get("validation")
    if measure is None or measure.operator_share.value is None:
        return None
    return RulePoint("The paper's rule", 1 - measure.operator_share.value, measure.auto_error)


def _show_applications(workspace: Workspace) -> None:
    applied = applications.list_applications(workspace, limit=20)
    if not applied:
        return
    st.subheader("Applied", anchor=False)
    for each in applied:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_describe(each))
            if st.button(
                "Revert",
                icon=":material/undo:",
                key=f"{_KEY}.revert.{each.id}",
                disabled=each.reverted_at is not None,
                help="Takes these labels back, but for what people have decided since.",
            ):
                _revert(workspace, each)


def _revert(workspace: Workspace, each: Application) -> None:
    acting("data scientist")
    try:
        done = actions.undo(workspace, each.batch_id, actor=require("data scientist").name)
    except OperatorError as error:
        show_error(error)
        return
    st.toast(
        f"{done.n_restored:,} images are as before; {done.n_kept:,} decided by people stay",
        icon=":material/undo:",
    )
    st.rerun()


def _describe(each: Application) -> str:
    promise = (
        f"at most {each.max_error * 100:.3g}% wrong" if each.rule == "risk" else "the paper's rule"
    )
    line = (
        f"**{counted(each.n_labelled, 'image')} labelled** by {plain(each.model)}, {promise} · "
        f"{each.n_queued:,} to people, {each.n_audited:,} of them checks · "
        f"{plain(each.actor)} · {each.at[:16].replace('T', ' ')}"
    )
    if each.reverted_at:
        return f"~~{line}~~ · reverted by {plain(each.reverted_by or '')}"
    return line
