"""Route new images by a plan that was made before: does the model label them, or do people?

A plan holds all that this takes, but for the calibration images: its threshold, what is usual among
the reference images, and, through its embedding, where the known classes lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.jobs.steps.plan_triage import novelty_scorer
from core.learning.evaluation import encode_targets
from core.learning.mixed_cluster import nearest_center
from core.state import applications, catalog, model_roles, runs
from core.state.label_book import retired_names
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.routing import Scores, SurenessScale

AUTO, OPERATOR = "auto", "operator"


@dataclass(frozen=True)
class Routes:
    """Where some images go.

    Attributes:
        is_auto: bool (n_images,), whether the model labels the image.
        sureness: float64 (n_images,), in [0, 1], what the risk rule decides by; None by another.
    """

    is_auto: np.ndarray
    sureness: np.ndarray | None


def plan_at_work(workspace: Workspace, model: Model) -> Run | None:
    """The plan that a model works by: the one applied last, else the newest that promises any."""
    for applied in applications.list_applications(workspace):
        if applied.model == model.id and not applied.reverted_at:
            return runs.find_run(workspace, applied.plan)
    for run in runs.list_runs(workspace, "triage_plan"):
        asked = run.config
        if (asked["model"], asked["rule"]) == (model.id, "risk") and run.result["feasible"]:
            return run
    return None


def route(
    workspace: Workspace,
    model: Model,
    plan: Run | None,
    features: np.ndarray,
    probabilities: np.ndarray,
) -> Routes:
    """Route images; without a plan, and while automatic labelling is paused, all go to people.

    Args:
        features: float array (n_images, n_features), made like those of the plan's embedding.
        probabilities: float array (n_images, n_classes), after temperature.

    Raises:
        OperatorError: the plan's arrays cannot be read.
    """
    nobody = np.zeros(len(features), bool)
    if plan is None:
        return Routes(nobody, None)
    pause = applications.current_pause(workspace)
    is_paused = pause is not None and pause.paused
    if plan.config["rule"] == "cluster":
        is_auto, sureness = _by_cluster(workspace, model, plan, features, probabilities), None
    else:
        sureness = _sureness(workspace, model, plan, features, probabilities)
        threshold = plan.result["threshold"]
        is_auto = nobody if threshold is None else sureness >= threshold
    is_auto = is_auto & ~is_retired(workspace, model, probabilities.argmax(axis=1))
    return Routes(nobody if is_paused else is_auto, sureness)


def is_retired(workspace: Workspace, model: Model, predicted: np.ndarray) -> np.ndarray:
    """Whether a model takes each image for a type that is retired or has been merged since.

    Args:
        predicted: int (n_images,), places among the model's classes, -1 for none.

    Returns:
        bool (n_images,).
    """
    retired = retired_names(workspace)
    flags = np.array([*(name in retired for name in model.classes), False])
    return flags[predicted]


def _sureness(
    workspace: Workspace,
    model: Model,
    plan: Run,
    features: np.ndarray,
    probabilities: np.ndarray,
) -> np.ndarray:
    embedding = runs.get_run(workspace, plan.parent_id or "")
    ids = runs.load_array(workspace, embedding, "image_ids")
    targets = encode_targets(catalog.column(workspace, ids, "label"), model.classes)
    roles = model_roles.image_roles(workspace, model, ids)
    novelty = novelty_scorer(workspace, embedding, roles, targets).score(features)
    scale = SurenessScale(
        runs.load_array(workspace, plan, "reference_confidence"),
        runs.load_array(workspace, plan, "reference_familiarity"),
    )
    return scale.measure(Scores(probabilities.max(axis=1).astype(np.float64), novelty))


def _by_cluster(
    workspace: Workspace,
    model: Model,
    plan: Run,
    features: np.ndarray,
    probabilities: np.ndarray,
) -> np.ndarray:
    """Whether an image's cluster is named as the model would label the image, and is not mixed."""
    evaluation = next(
        (
            run
            for run in runs.list_runs(workspace, "evaluation")
            if run.parent_id == plan.parent_id and not run.result["clustering"]["why"]
        ),
        None,
    )
    if evaluation is None:
        return np.zeros(len(features), bool)
    rule = evaluation.result["clustering"]
    clusters = nearest_center(features, runs.load_array(workspace, evaluation, "centers"))
    names = [None if place == rule["mixed"] else name for place, name in enumerate(rule["names"])]
    given = [model.classes[place] for place in probabilities.argmax(axis=1).tolist()]
    return np.array([names[c] == label for c, label in zip(clusters.tolist(), given, strict=True)])
