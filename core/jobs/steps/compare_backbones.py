"""Train several backbones in turn under one recipe and put them side by side, as Table 2 does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.errors import OperatorError
from core.jobs.configs import CompareBackbones
from core.jobs.context import JobContext
from core.jobs.steps.evaluate_model import embedding_by_model, evaluated
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import Report, part
from core.jobs.steps.training import (
    kept_for_resuming,
    settle,
    starting_weights,
    train_model,
)
from core.latent.backbones import get_backbone
from core.state import models
from core.state.models import Model

_TRAINING = 0.8  # share of a backbone's part of the job; the rest evaluates it


def run(context: JobContext, config: CompareBackbones) -> Mapping[str, Any]:
    """A row a backbone; those that were done before a cut are not trained again.

    Raises:
        OperatorError: no backbone was named, one of them has no weights, it starts from a model,
            or something speaks against the training.
        Cancelled: a person asked it to stop; the models so far are in the registry.
    """
    names = tuple(dict.fromkeys(config.backbones))
    if not names:
        raise OperatorError(
            "No network was chosen.", next_step="Choose the networks to be compared."
        )
    if config.start_from or config.weights:
        raise OperatorError(
            "A comparison starts every network from its published weights.",
            next_step="Leave out the earlier model or the file of weights.",
        )
    for name in names:
        get_backbone(name)
    # Both complain before the first network is trained.
    settle(context.workspace, replace(config, backbone=names[0]))
    for name in names:
        starting_weights(context.workspace, replace(config, backbone=name))
    with kept_for_resuming(context):
        rows = _rows(context, config, names)
    return {"rows": rows, "epochs": config.epochs, "n_validation": rows[0]["n_validation"]}


def _rows(
    context: JobContext, config: CompareBackbones, names: Sequence[str]
) -> list[dict[str, Any]]:
    rows = []
    for place, name in enumerate(names):
        start, end = place / len(names), (place + 1) / len(names)
        middle = start + _TRAINING * (end - start)
        model = _earlier(context, name) or train_model(
            context,
            replace(config, backbone=name),
            _named(get_backbone(name).title, part(context.report, start, middle)),
            folder=context.folder / f"training-{name}",
        )
        rows.append(_row(PartOfJob(context, middle, end), model, seed=config.seed))
    return rows


def _named(title: str, report: Report) -> Report:
    """A report that says which backbone it is about."""
    return lambda fraction, step: report(fraction, f"{title}: {step}")


def _earlier(context: JobContext, backbone: str) -> Model | None:
    """The model of this backbone that the job has finished already."""
    for model in models.models_of_job(context.workspace, context.job.id):
        if model.backbone == backbone and model.result["stopped"] != "cancelled":
            return model
    return None


def _row(context: JobContext, model: Model, *, seed: int) -> dict[str, Any]:
    from core.learning.evaluation import estimate_share

    embedding = embedding_by_model(PartOfJob(context, 0.0, 0.8), model, device="auto")
    measured = evaluated(
        context, model, embedding, seed=seed, report=part(context.report, 0.8, 1.0)
    )
    n = model.result["n_validation"]
    n_right = round((model.result["val_accuracy"] or 0.0) * n)
    accuracy = estimate_share(n_right, n, why="No image validates.")
    separation = measured.result["separation"]
    return {
        "backbone": model.backbone,
        "title": get_backbone(model.backbone).title,
        "model": model.id,
        "accuracy": accuracy.value,
        "accuracy_interval": asdict(accuracy),
        "n_validation": n,
        "epoch_seconds": model.result["epoch_seconds"],
        "caching_seconds": model.result["caching_seconds"],
        "epochs": model.result["epochs"],
        "n_parameters": model.result["n_parameters"],
        "n_trained_parameters": model.result["n_trained_parameters"],
        "silhouette": separation["silhouette"],
        "ari": separation["adjusted_rand_index"],
        "evaluation": measured.id,
        "weights": model.result["weights"]["source"],
        "notice": model.result["weights"]["notice"],
    }
