"""Fine-tuning: train a classifier on the labelled images, watch it learn, keep the best at work."""

import streamlit as st

from core.jobs.configs import (
    CompareBackbones,
    CompareModels,
    ExportModel,
    ForecastTraining,
    ImportModel,
    PlanTriage,
)
from core.state import catalog, models
from core.state.workspace import Workspace
from pages._model_comparison import show_comparison
from pages._models import show_models
from pages._network_comparison import show_networks
from pages._retraining import show_retraining
from pages._shared import (
    choose_view,
    current_workspace,
    next_step,
    page_header,
    show_job_result,
    show_jobs,
)
from pages._training_form import show_training_form
from pages._training_run import show_trainings

JOBS = (
    ForecastTraining,
    CompareBackbones,
    CompareModels,
    PlanTriage,  # a promotion asks for one
    ExportModel,
    ImportModel,
)


def show_training(workspace: Workspace) -> None:
    """What is trained now, and the form for another."""
    show_trainings(workspace)
    show_training_form(workspace)


VIEWS = {
    "Train": show_training,
    "Models": show_models,
    "Compare": show_comparison,
    "Networks": show_networks,
}
AGAIN = {"Retrain": show_retraining}

workspace = current_workspace()
page_header(
    "Fine-tuning",
    "Supervised training: a classifier learns the labels, and every version of it is kept",
)
if not catalog.count_images(workspace):
    next_step("There are no images yet.", page="dataset.py", label="Import images")
    st.stop()
views = {**AGAIN, **VIEWS} if models.promoted(workspace) else {**VIEWS, **AGAIN}
view = choose_view("fine_tuning", views, default="Train")
with st.container():  # a place of its own, so that nothing below moves when a job begins
    show_jobs(workspace, [job.kind for job in JOBS])
    for job in JOBS:
        show_job_result(workspace, job.kind)
views[view](workspace)
