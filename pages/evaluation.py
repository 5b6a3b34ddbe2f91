"""Evaluation: what a model gets right, how sure it is of it, and what it should leave to people."""

import streamlit as st

from core.analysis.evaluations import (
    ModelEvaluation,
    newest_evaluation,
    read_evaluation,
)
from core.analysis.models import describe_model
from core.jobs.configs import CompareMaps, EvaluateModel, ExplainImage
from core.state import catalog, job_rows, models, runs
from core.state.models import Model
from core.state.workspace import Workspace
from pages._evaluation_clusters import show_rule
from pages._evaluation_maps import show_maps
from pages._evaluation_measures import show_measures
from pages._evaluation_mistakes import show_mistakes
from pages._shared import (
    choose_view,
    current_workspace,
    next_step,
    page_header,
    plain,
    show_job_result,
    show_jobs,
    submit,
    told_apart,
)

MODEL = "model"  # in the address
VIEWS = {
    "Measures": show_measures,
    "Mixed cluster": show_rule,
    "Before and after": show_maps,
    "Mistakes": show_mistakes,
}


def choose_model(workspace: Workspace) -> Model:
    """The model that the address names; the promoted or the newest, until a person chooses."""
    known = {model.id: model for model in models.list_models(workspace)}
    if not known:
        next_step(
            "There is no model to evaluate yet.", page="fine_tuning.py", label="Fine-tune one"
        )
        st.stop()
    key = f"evaluation.model.{next(iter(known))}"  # a model made just now becomes the choice
    promoted = models.promoted(workspace)
    first = promoted.id if promoted else next(iter(known))
    named = st.query_params.get(MODEL, "")
    if st.session_state.get(key) not in known:
        st.session_state[key] = named if named in known else first
    titles = told_apart({id: describe_model(model) for id, model in known.items()})
    chosen: str = st.selectbox(
        "Model", list(known), format_func=titles.__getitem__, key=key, width=420
    )
    st.query_params[MODEL] = chosen
    return known[chosen]


def offer_evaluation(workspace: Workspace, model: Model) -> ModelEvaluation | None:
    """The model's evaluation, and the button that makes one or makes it anew."""
    standing = newest_evaluation(workspace, model)
    is_stale = standing is not None and not standing.is_current
    is_current = standing is not None and standing.is_current
    if st.button(
        "Evaluate again" if standing else "Evaluate",
        icon=":material/refresh:" if standing else ":material/fact_check:",
        type="primary" if is_stale or not standing else "secondary",
        help="Embeds all images by this model, then measures. What is there already is not "
        "computed again.",
        disabled=is_current or is_under_way(workspace, model),
        key="evaluation.evaluate",
    ):
        submit(workspace, EvaluateModel(model.id))
        st.rerun()
    if is_stale:
        st.caption(
            ":orange[:material/history: Labels, splits or images have changed since this was "
            "measured.]"
        )
    if standing is None:
        return None
    return _read(workspace, workspace.uid, standing.run.id, catalog.fingerprint(workspace))


def is_under_way(workspace: Workspace, model: Model) -> bool:
    """Whether a job that evaluates this model waits or runs."""
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    return any(job.kind == EvaluateModel.kind and job.config["model"] == model.id for job in active)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(_workspace: Workspace, uid: str, run: str, version: str) -> ModelEvaluation:
    return read_evaluation(_workspace, runs.get_run(_workspace, run))


workspace = current_workspace()
page_header(
    "Evaluation",
    "What a model gets right, how sure it is of it, and what it should leave to people",
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    model = choose_model(workspace)
    found = offer_evaluation(workspace, model)
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, (EvaluateModel.kind, CompareMaps.kind))
    for job in (EvaluateModel, CompareMaps, ExplainImage):
        show_job_result(workspace, job.kind)
notice = (model.result.get("weights") or {}).get("notice")
if notice:
    st.warning(plain(notice), icon=":material/info:")
if found is None:
    if not is_under_way(workspace, model):
        next_step(f"{plain(model.id)} has not been evaluated yet: press “Evaluate”.")
    st.stop()
view = choose_view("evaluation", VIEWS)
VIEWS[view](workspace, model, found)
