"""Measure a model: what it gets right, how sure it is, and how its latent space lies.

Everything follows from one embedding by the tuned weights: the head's matrix makes the features
logits, and the paper's clustering works on the features themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import EmbedImages, EvaluateModel
from core.jobs.context import JobContext
from core.jobs.steps import embed_images
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import Found, Report, part, record
from core.jobs.steps.run_ids import analysis_id
from core.state import model_roles, models, runs
from core.state.knowledge import Knowledge, load_knowledge
from core.state.model_roles import TEST, TRAIN, VALIDATION, ImageRoles
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import SPLITS

if TYPE_CHECKING:
    from core.learning.mixed_cluster import ClusterRule

VERSION = 1  # part of every run's id: raise it when the same input gives other values
# Calibration serves thresholds alone: nothing is read off it here.
MEASURED_ROLES = (VALIDATION, TEST, TRAIN)
NO_ROLE, NO_CLUSTER = -1, -1
_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class _Outputs:
    """What a model says of its embedding's images, in the order of its rows.

    Attributes:
        features: float32 (n_images, n_features), may be mapped from disk.
        logits: float64 (n_images, n_classes).
    """

    features: np.ndarray
    logits: np.ndarray


def run(context: JobContext, config: EvaluateModel) -> Mapping[str, Any]:
    """Evaluate one model on the labels as they are; the same question asked again costs nothing.

    Raises:
        OperatorError: there is no such model, no image can be read, or the weights do not fit.
    """
    model = models.get_model(context.workspace, config.model)
    embedding = embedding_by_model(PartOfJob(context, 0.0, 0.7), model, device=config.device)
    done = evaluated(
        context, model, embedding, seed=config.seed, report=part(context.report, 0.7, 1.0)
    )
    return {"run": done.id, "embedding": embedding.id, **done.result}


def embedding_by_model(
    context: JobContext, model: Model, *, device: str, average_flips: bool = False
) -> Run:
    """The features of all images by a model's weights; only those that are missing are computed.

    Args:
        device: `auto`, or a name that torch knows.
        average_flips: as `EmbedImages`.

    Raises:
        OperatorError: no image can be read, or the weights do not fit.
    """
    asked = EmbedImages(
        backbone=model.backbone, device=device, model=model.id, average_flips=average_flips
    )
    return embed_images.embed(context, asked, context.report)[0]


def evaluated(
    context: JobContext, model: Model, embedding: Run, *, seed: int, report: Report
) -> Run:
    """The run that keeps a model's evaluation on the labels and roles as they are.

    Raises:
        OperatorError: the weights or an array cannot be read.
    """
    workspace = context.workspace
    ids = runs.load_array(workspace, embedding, "image_ids")
    known = load_knowledge(workspace, ids)
    roles = model_roles.image_roles(workspace, model, ids)
    config = {
        "model": model.id,
        "labels": known.digests["labels"],
        "roles": roles.digest,
        "seed": seed,
        # Named only where it is so, for the ids of runs from before it could be.
        **({"average_flips": True} if embedding.config.get("average_flips") else {}),
    }
    return record(
        context,
        kind="evaluation",
        id=analysis_id("evaluation", config, run=embedding.id, version=VERSION),
        parent=embedding,
        config=config,
        compute=lambda: _evaluate(
            _outputs(workspace, model, embedding), model, ids, known, roles, seed, report
        ),
    )


def _outputs(workspace: Workspace, model: Model, embedding: Run) -> _Outputs:
    from core.latent.backbones import get_backbone
    from core.learning.networks import load_head

    head = load_head(models.weights_path(workspace, model.id), get_backbone(model.backbone))
    features = runs.load_array(workspace, embedding, "vectors", mapped=True)
    return _Outputs(features, _in_blocks(head.logits, features))


def _in_blocks(function: Callable[[np.ndarray], np.ndarray], features: np.ndarray) -> np.ndarray:
    """A function of rows on all of them, without all of them in memory at once."""
    starts = range(0, len(features), _ROWS_AT_ONCE)
    return np.concatenate([function(features[start : start + _ROWS_AT_ONCE]) for start in starts])


def _evaluate(
    outputs: _Outputs,
    model: Model,
    ids: np.ndarray,
    known: Knowledge,
    roles: ImageRoles,
    seed: int,
    report: Report,
) -> Found:
    from core.learning.calibration import fit_temperature, softmax
    from core.learning.evaluation import encode_targets

    report(0.0, "Fitting the temperature")
    chosen = roles.rows(VALIDATION)
    targets = encode_targets(known.labels, model.classes)
    temperature = fit_temperature(outputs.logits[chosen], targets[chosen])
    probabilities = softmax(outputs.logits, temperature=temperature.value)
    by_role = {}
    for place, role in enumerate(MEASURED_ROLES):
        report(0.1 + 0.2 * place, f"Measuring {role}")
        rows = roles.rows(role)
        by_role[role] = _measure(
            outputs.logits[rows],
            probabilities[rows],
            [known.labels[row] for row in rows.tolist()],
            targets[rows],
            model.classes,
            temperature=temperature.value,
            seed=seed,
        )
    report(0.7, "Clustering the validation images")
    clustering, rule = _cluster(outputs.features, known, roles, model.classes, seed)
    report(0.9, "Measuring how far apart the classes are")
    separation = _separation(outputs.features[chosen], known, chosen, model.classes, seed)
    codes = {role: code for code, role in enumerate(SPLITS)}
    arrays = {
        "logits": outputs.logits.astype(np.float32),
        "probabilities": probabilities.astype(np.float32),
        "predicted": outputs.logits.argmax(axis=1).astype(np.int16),
        "clusters": _in_blocks(rule.assign, outputs.features)
        if rule
        else np.full(len(ids), NO_CLUSTER, np.int32),
        "centers": rule.centers if rule else np.zeros((0, outputs.features.shape[1]), np.float32),
        "roles": np.array([codes.get(role or "", NO_ROLE) for role in roles.roles], np.int8),
    }
    result = {
        "model": model.id,
        "classes": list(model.classes),
        **_headline(by_role[VALIDATION], clustering["by_role"].get(VALIDATION)),
        "temperature": asdict(temperature),
        "by_role": by_role,
        "clustering": clustering,
        "separation": separation,
        "notes": list(roles.notes),
    }
    return Found(ids, arrays, result)


def _headline(measured: Mapping[str, Any], clustered: Mapping[str, Any] | None) -> dict[str, Any]:
    """The few values that a model is known by, of its validation images."""
    evaluation, calibration = measured["evaluation"], measured["calibration"]
    return {
        "accuracy": evaluation["accuracy"]["value"],
        "balanced_accuracy": evaluation["balanced_accuracy"]["value"],
        "n": evaluation["accuracy"]["n"],
        "confusion": evaluation["confusion"],
        "ari": clustered["adjusted_rand_index"] if clustered else None,
        "ari_n": clustered["n_labelled"] if clustered else 0,
        "mixed_cluster_share": clustered["mixed_share"]["value"] if clustered else None,
        "calibration_error": calibration["after"]["expected_calibration_error"],
        "calibration_error_before": calibration["before"]["expected_calibration_error"],
    }


def _measure(
    logits: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[str | None],
    targets: np.ndarray,
    classes: Sequence[str],
    *,
    temperature: float,
    seed: int,
) -> dict[str, Any]:
    """What the model gets right on the images of one role, and how sure it is of it."""
    from core.learning.calibration import measure_calibration
    from core.learning.evaluation import evaluate

    return {
        "evaluation": asdict(evaluate(labels, classes, probabilities)),
        "calibration": asdict(
            measure_calibration(logits, targets, temperature=temperature, seed=seed)
        ),
    }


def _cluster(
    features: np.ndarray,
    known: Knowledge,
    roles: ImageRoles,
    classes: Sequence[str],
    seed: int,
) -> tuple[dict[str, Any], ClusterRule | None]:
    """The paper's rule on the validation images, and what it does to each role."""
    from core.learning.mixed_cluster import apply_cluster_rule, fit_cluster_rule

    def of(role: str) -> tuple[np.ndarray, list[str | None]]:
        rows = roles.rows(role)
        return features[rows], [known.labels[row] for row in rows.tolist()]

    try:
        rule = fit_cluster_rule(*of(VALIDATION), classes, seed=seed)
    except OperatorError as error:
        why = " ".join(filter(None, (error.title, error.detail, error.next_step)))
        return {"why": why, "names": [], "mixed": None, "p_value": None, "by_role": {}}, None
    by_role = {}
    for role in (VALIDATION, TEST):
        vectors, labels = of(role)
        if len(vectors):
            by_role[role] = asdict(apply_cluster_rule(rule, vectors, labels).measure)
    found = {
        "why": "",
        "names": list(rule.names),
        "mixed": rule.mixed,
        "p_value": rule.p_value,
        "by_role": by_role,
    }
    return found, rule


def _separation(
    features: np.ndarray,
    known: Knowledge,
    rows: np.ndarray,
    classes: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """How far the tuned space holds the labels of the validation images apart."""
    from core.learning.evaluation import unite_unknown
    from core.learning.movement import measure_separation

    labels = unite_unknown([known.labels[row] for row in rows.tolist()], classes)
    return asdict(measure_separation(features, labels, seed=seed))
