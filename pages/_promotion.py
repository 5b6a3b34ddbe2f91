"""Putting a model to work: after a comparison with the one at work, or by overruling it."""

from __future__ import annotations

import streamlit as st

from core.analysis.model_comparisons import WORSE, PairedModels
from core.errors import OperatorError
from core.jobs import promotion
from core.jobs.configs import CompareModels
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
