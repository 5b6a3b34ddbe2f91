"""Fine-tune one classifier and put it into the registry."""

from collections.abc import Mapping
from typing import Any

from core.jobs.configs import FineTune
from core.jobs.context import JobContext
from core.jobs.steps.training import kept_for_resuming, train_model
from core.state import models


def run(context: JobContext, config: FineTune) -> Mapping[str, Any]:
    """Train by the recipe; what a kill cut off after the model was added is not done again.

    Raises:
        OperatorError: something speaks against the training.
        Cancelled: a person asked it to stop; the best model so far has been added.
    """
    finished = [
        model
        for model in models.models_of_job(context.workspace, context.job.id)
        if model.result["stopped"] != "cancelled"
    ]
    with kept_for_resuming(context):
        model = (
            finished[-1]
            if finished
            else train_model(
                context,
                config,
                context.report,
                folder=context.folder / "training",
                notes=config.notes,
            )
        )
    return {"model": model.id, **model.result}
