"""One model: how it learned, by which recipe, from what; and what can be done with it."""

from pathlib import Path

import pandas as pd
import streamlit as st

from core.analysis.model_comparisons import newest_comparison
from core.analysis.models import (
    Fact,
    as_percent,
    lineage,
    origin,
    outcome,
    recipe_facts,
    validation_accuracy,
)
from core.errors import OperatorError
from core.jobs import promotion
from core.jobs.configs import ExportModel
from core.state import job_rows, models
from core.state.models import MAX_NOTES, Model
from core.state.workspace import Workspace
from pages._promotion import ask_reason, offer_promotion, say_what_follows
from pages._shared import acting, as_size, go_to, plain, routes_of, show_error, submit
from pages._training_run import show_curves

_KEY = "fine_tuning"


def show_model(workspace: Workspace, model: Model, *, promoted: Model | None) -> None:
    """All that is known of a model."""
    is_promoted = promoted is not None and promoted.id == model.id
    badge = " :green-badge[:material/rocket_launch: promoted]" if is_promoted else ""
    st.markdown(f"### {model.id}{badge}")
    st.markdown(
        f"{as_percent(validation_accuracy(model))} of the validation images right · "
        f"{plain(', '.join(model.classes))}"
    )
    _show_lineage(workspace, model)
    if model.notes:
        st.markdown(f":material/notes: {plain(model.notes)}")
    with st.container(horizontal=True):
        if st.button("Evaluate", icon=":material/fact_check:", key=f"{_KEY}.evaluate"):
            go_to("evaluation.py", workspace, model=model.id)
        _promote(workspace, model, is_promoted=is_promoted)
        _edit_notes(workspace, model)
        _export(workspace, model)
        _delete(workspace, model, is_promoted=is_promoted)
    say_what_follows(workspace, model)
    _show_exports(workspace, model)
    history = model.result.get("history", ())
    if history:
        best = model.result.get("best_epoch")
        show_curves(history, best_epoch=best, key=f"{_KEY}.curves")
    for warning in model.result.get("warnings", ()):
        st.warning(plain(warning), icon=":material/warning:")
    columns = st.columns(3)
    with columns[0]:
        _show_facts("Outcome", outcome(model))
    with columns[1]:
        _show_facts("Recipe", recipe_facts(model))
    with columns[2]:
        _show_facts("Origin", origin(model))
    _show_promotions(workspace, model)


def _show_lineage(workspace: Workspace, model: Model) -> None:
    line = [
        f"{each.id} (deleted)" if each.deleted_at else each.id
        for each in lineage(workspace, model)[:-1]
    ]
    later = [each.id for each in models.descendants(workspace, model.id) if not each.deleted_at]
    texts = [f"Made {model.created_at[:16].replace('T', ' ')} by {plain(model.actor)}"]
    if line:
        texts.append(f"descends from {' → '.join(line)}")
    if later:
        texts.append(f"{', '.join(later)} began with it")
    st.caption(" · ".join(texts))


def _promote(workspace: Workspace, model: Model, *, is_promoted: bool) -> None:
    """Put it to work; or take it back, where it is at work."""
    if is_promoted:
        with st.popover("Roll back", icon=":material/undo:"):
            st.markdown("The model that was promoted before is put to work again.")
            reason = ask_reason(f"{_KEY}.rollback.reason")
            if st.button("Roll back", type="primary", key=f"{_KEY}.rollback"):
                person = acting("data scientist")
                promotion.roll_back(workspace, actor=person.name, reason=reason)
                st.rerun()
        return
    at_work = models.promoted(workspace)
    try:
        compared = None if at_work is None else newest_comparison(workspace, at_work, model)
    except OperatorError as error:
        show_error(error)
        return
    offer_promotion(workspace, model, at_work, compared, key=_KEY)


def _edit_notes(workspace: Workspace, model: Model) -> None:
    with st.popover("Notes", icon=":material/edit_note:"):
        notes = st.text_area(
            "Notes", model.notes, max_chars=MAX_NOTES, key=f"{_KEY}.notes.{model.id}"
        )
        if st.button("Keep", disabled=notes == model.notes, key=f"{_KEY}.notes.keep"):
            acting("data scientist")
            models.set_notes(workspace, model.id, notes or "")
            st.rerun()


def _export(workspace: Workspace, model: Model) -> None:
    if st.button(
        "Export as ONNX",
        icon=":material/output:",
        key=f"{_KEY}.export",
        help="With its preprocessing and class names, checked to agree with torch.",
    ):
        submit(workspace, ExportModel(model.id))
        st.rerun()


def _show_exports(workspace: Workspace, model: Model) -> None:
    """The newest file that was made of it, as long as it is there."""
    for job in job_rows.list_jobs(workspace, statuses=("succeeded",), limit=200):
        name = (job.result or {}).get("archive")
        if job.kind == ExportModel.kind and job.config["model"] == model.id and name:
            file = workspace.path / "exports" / Path(name).name
            if file.is_file():
                st.link_button(
                    f"Download {file.name}, {as_size(file.stat().st_size)}",
                    f"{routes_of(workspace)}/export/{file.name}",
                    icon=":material/download:",
                )
                return


def _delete(workspace: Workspace, model: Model, *, is_promoted: bool) -> None:
    with st.popover("Delete", icon=":material/delete:", disabled=is_promoted):
        st.markdown("Its weights are deleted for good; its record stays.")
        if st.button("Delete for good", icon=":material/delete_forever:", key=f"{_KEY}.delete"):
            person = acting("data scientist")
            models.delete_model(workspace, model.id, actor=person.name)
            st.rerun()


def _show_facts(title: str, facts: list[Fact]) -> None:
    if not facts:
        return
    st.markdown(f"##### {title}")
    st.table(
        pd.DataFrame([(fact.what, plain(fact.value)) for fact in facts]),
        border="horizontal",
        hide_index=True,
        hide_header=True,
    )


def _show_promotions(workspace: Workspace, model: Model) -> None:
    rows = [
        {
            "when": each.at[:16].replace("T", " "),
            "what": "promoted again by a roll-back"
            if each.rolls_back is not None
            else "promoted, overruling the comparison"
            if each.is_overruled
            else "promoted",
            "by": each.actor,
            "why": each.reason,
        }
        for each in models.list_promotions(workspace)
        if each.model_id == model.id
    ]
    if rows:
        st.markdown("##### Promotions")
        st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"{_KEY}.promotions")
