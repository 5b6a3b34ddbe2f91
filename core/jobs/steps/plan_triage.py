"""Plan a triage: which images a model may label itself, by which rule, and at what risk.

Everything follows from one embedding by the model's weights and its evaluation. Unless asked
otherwise the features are averaged over the flips of each image, which costs four times the work
once, and lets more images be labelled within the same promise (decision 0015). Where a person has
taken a label away no model gives one: people are asked again. The plan is a run: `triage apply` and
pages read from it who labels what.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import PlanTriage
from core.jobs.context import JobContext
from core.jobs.steps.evaluate_model import embedding_by_model, evaluated
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import Found, part, record
from core.jobs.steps.run_ids import analysis_id
from core.learning.evaluation import encode_targets, estimate_share
from core.state import catalog, model_roles, models, runs
from core.state.knowledge import cleared_by_people, load_knowledge
from core.state.model_roles import CALIBRATION, TEST, TRAIN, VALIDATION, ImageRoles
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.routing import RiskPlan, Scores, plan_by_risk

if TYPE_CHECKING:
    from core.latent.novelty import NoveltyScorer

VERSION = 4  # part of every run's id: raise it when the same input gives another plan


def run(context: JobContext, config: PlanTriage) -> Mapping[str, Any]:
    """Plan by one rule, on the labels as they are.

    Raises:
        OperatorError: there is no such model, there are no images to route, or the splits do not
            bear the rule.
    """
    workspace = context.workspace
    model = models.get_model(workspace, config.model)
    embedding = embedding_by_model(
        PartOfJob(context, 0.0, 0.6),
        model,
        device=config.device,
        average_flips=config.average_flips,
    )
    evaluation = evaluated(
        context, model, embedding, seed=config.seed, report=part(context.report, 0.6, 0.8)
    )
    ids = runs.load_array(workspace, embedding, "image_ids")
    known = load_knowledge(workspace, ids)
    roles = model_roles.image_roles(workspace, model, ids)
    cleared = cleared_by_people(workspace, ids)
    asked = {
        "model": model.id,
        "rule": config.rule,
        "max_error": config.max_error,
        "delta": config.delta,
        "of": config.of,
        "labels": known.digests["labels"],
        "cleared": ids[cleared].tolist(),
        "roles": roles.digest,
        "seed": config.seed,
        "average_flips": config.average_flips,
    }
    done = record(
        context,
        kind="triage_plan",
        id=analysis_id("triage_plan", asked, run=embedding.id, version=VERSION),
        parent=embedding,
        config=asked,
        compute=lambda: _plan(
            context, config, model, embedding, evaluation, known.labels, roles, cleared
        ),
    )
    return {"run": done.id, "evaluation": evaluation.id, **done.result}


def _plan(
    context: JobContext,
    config: PlanTriage,
    model: Model,
    embedding: Run,
    evaluation: Run,
    labels: tuple[str | None, ...],
    roles: ImageRoles,
    cleared: np.ndarray,
) -> Found:
    workspace = context.workspace
    ids = runs.load_array(workspace, embedding, "image_ids")
    routed = _to_route(config, labels, roles)
    for_people = cleared[routed]
    probabilities = runs.load_array(workspace, evaluation, "probabilities")
    predicted = probabilities.argmax(axis=1)[routed]
    context.report(0.8, f"Routing {len(routed):,} images")
    arrays = {
        "probabilities": probabilities[routed].astype(np.float32),
        "confidence": probabilities[routed].max(axis=1).astype(np.float32),
    }
    if config.rule == "cluster":
        predicted, is_named, told = _by_cluster(context, model, evaluation, routed)
        is_auto = is_named & ~for_people
        auto_share = float(is_auto.mean())
    else:
        plan, novelty = _by_risk(
            context, config, model, embedding, probabilities, labels, roles, routed, for_people
        )
        is_auto, auto_share = plan.is_auto, plan.auto_share
        arrays["sureness"] = plan.sureness.astype(np.float32)
        arrays["novelty"] = novelty[routed].astype(np.float32)
        arrays["reference_confidence"] = plan.scale.confidences
        arrays["reference_familiarity"] = plan.scale.familiarities
        told = {
            **_told(plan),
            "curve": [asdict(point) for point in plan.curve],
            "calibration_digest": calibration_digest(workspace, model, ids),
        }
    result = {
        "model": model.id,
        "rule": config.rule,
        "of": config.of,
        "n_auto": int(is_auto.sum()),
        "n_queue": int(len(routed) - is_auto.sum()),
        "auto_share": auto_share,
        "max_error": config.max_error,
        "delta": config.delta,
        **told,
        **_outcome(config, model, labels, predicted, routed, is_auto),
    }
    arrays |= {"is_auto": is_auto, "predicted": predicted.astype(np.int16)}
    return Found(ids[routed], arrays, result)


def calibration_digest(workspace: Workspace, model: Model, image_ids: np.ndarray) -> str:
    """16 hex digits that change when the calibration images of a model, or their labels, do.

    Args:
        image_ids: int64 (n_images,), of the model's embedding.
    """
    calibration = image_ids[model_roles.image_roles(workspace, model, image_ids).rows(CALIBRATION)]
    labels = catalog.column(workspace, calibration, "label")
    asked = json.dumps([calibration.tolist(), labels])
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def _to_route(config: PlanTriage, labels: tuple[str | None, ...], roles: ImageRoles) -> np.ndarray:
    """Rows of the images to route.

    Raises:
        OperatorError: there are none; the promise of the risk rule can be read off without any, for
            what comes in.
    """
    if config.of == "test":
        rows = roles.rows(TEST)
        next_step = "Move some images to the split test on the page Dataset."
    else:
        seen = set(roles.rows(TRAIN).tolist())
        rows = np.array(
            [row for row, label in enumerate(labels) if label is None and row not in seen], np.int64
        )
        next_step = "Import images without labels, or plan for the test images with --of test."
    if not len(rows) and (config.of == "test" or config.rule == "cluster"):
        raise OperatorError("There are no images to route.", next_step=next_step)
    return rows


def _by_cluster(
    context: JobContext, model: Model, evaluation: Run, routed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The paper's rule: an image takes the class of its cluster; the mixed cluster goes to people.

    Returns:
        Places of the classes, -1 for a cluster without one; who is labelled automatically; and what
        there is to tell of it.
    """
    rule = evaluation.result["clustering"]
    if rule["why"]:
        raise OperatorError("The paper's rule cannot be fitted.", rule["why"])
    clusters = runs.load_array(context.workspace, evaluation, "clusters")[routed]
    names = rule["names"]
    classes = np.array([-1 if name is None else model.classes.index(name) for name in names])
    by_people = [
        place for place, name in enumerate(names) if name is None or place == rule["mixed"]
    ]
    told = {
        "threshold": None,
        "error_bound": None,  # the paper's rule promises nothing
        "feasible": True,
        "n_needed": None,
        "mixed_cluster": rule["mixed"],
    }
    return classes[clusters], ~np.isin(clusters, by_people), told


def _by_risk(
    context: JobContext,
    config: PlanTriage,
    model: Model,
    embedding: Run,
    probabilities: np.ndarray,
    labels: tuple[str | None, ...],
    roles: ImageRoles,
    routed: np.ndarray,
    for_people: np.ndarray,
) -> tuple[RiskPlan, np.ndarray]:
    targets = encode_targets(labels, model.classes)
    is_labelled = np.array([label is not None for label in labels], bool)
    reference = _rows_with(roles, VALIDATION, targets >= 0)
    calibration = _rows_with(roles, CALIBRATION, is_labelled)
    if not len(reference):
        raise OperatorError(
            "No validation image has a label that the model knows.",
            next_step="Label some, or move labelled images to the split validation.",
        )
    if not len(calibration):
        raise OperatorError(
            "There are no calibration images, which the promise is read off.",
            next_step="Split some off validation in the report of the page Dataset, or run "
            "`python -m core split-calibration`.",
        )
    vectors = runs.load_array(context.workspace, embedding, "vectors", mapped=True)
    novelty = novelty_scorer(context.workspace, embedding, roles, targets).score(vectors)
    scores = Scores(probabilities.max(axis=1).astype(np.float64), novelty)
    plan = plan_by_risk(
        _chosen(scores, reference),
        _chosen(scores, calibration),
        probabilities.argmax(axis=1)[calibration] != targets[calibration],
        _chosen(scores, routed),
        max_error=config.max_error,
        delta=config.delta,
        for_people=for_people,
    )
    return plan, novelty


def novelty_scorer(
    workspace: Workspace, embedding: Run, roles: ImageRoles, targets: np.ndarray
) -> NoveltyScorer:
    """What tells how far an image lies from the classes as the training images show them.

    Args:
        embedding: by the model's weights.
        roles: of its images for the model.
        targets: int64 (n_images,), places of their classes, -1 for no class of the model.

    Raises:
        OperatorError: it is not known what the model was trained on.
    """
    from core.latent.novelty import fit_novelty_scorer

    vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
    trained = _rows_with(roles, TRAIN, targets >= 0)
    if len(trained) < 2:
        raise OperatorError(
            "It is not known which images this model was trained on.",
            "How strange an image is is told by its distance from them.",
            "Train a model here, or plan by the paper's rule.",
        )
    # Classes whose training images have been relabelled since leave a gap: number them anew.
    _, numbered = np.unique(targets[trained], return_inverse=True)
    return fit_novelty_scorer(np.asarray(vectors[trained]), numbered)


def _rows_with(roles: ImageRoles, role: str, is_meant: np.ndarray) -> np.ndarray:
    rows = roles.rows(role)
    return rows[is_meant[rows]]


def _chosen(scores: Scores, rows: np.ndarray) -> Scores:
    return Scores(scores.confidence[rows], scores.novelty[rows])


def _told(plan: RiskPlan) -> dict[str, Any]:
    promise = plan.promise
    return {
        "threshold": promise.threshold,
        "error_bound": promise.error_bound,
        "feasible": promise.is_feasible,
        "n_needed": promise.n_needed,
        "n_calibration": promise.n_calibration,
        "n_accepted": promise.n_accepted,
        "n_wrong": promise.n_wrong,
    }


def _outcome(
    config: PlanTriage,
    model: Model,
    labels: tuple[str | None, ...],
    predicted: np.ndarray,
    routed: np.ndarray,
    is_auto: np.ndarray,
) -> dict[str, Any]:
    """What the automatic labels would have got wrong, where the labels are known."""
    if config.of != "test":
        return {}
    given = [
        (labels[row], model.classes[place])
        for row, place in zip(routed[is_auto].tolist(), predicted[is_auto].tolist(), strict=True)
        if labels[row] is not None
    ]
    n_wrong = sum(label != name for label, name in given)
    wrong = estimate_share(n_wrong, len(given), why="Nothing was labelled automatically.")
    return {"auto_error": asdict(wrong)}
