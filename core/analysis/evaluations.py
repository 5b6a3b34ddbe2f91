"""What is a model worth, on which images is it wrong, and does that still hold?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.analysis.standing import Standing
from core.learning.calibration import Calibration, Reliability, ReliabilityBin, Temperature
from core.learning.evaluation import (
    ClassScore,
    Confusion,
    Estimate,
    Evaluation,
    encode_targets,
)
from core.learning.mixed_cluster import ClusterContent, RuleMeasure
from core.learning.movement import Separation
from core.state import catalog, runs
from core.state.knowledge import load_knowledge
from core.state.model_roles import image_roles
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import SPLITS

__all__ = [
    "ClusterContent",
    "Estimate",
    "ModelEvaluation",
    "Movement",
    "Reliability",
    "RoleMeasures",
    "RuleMeasure",
    "Separation",
    "Temperature",
    "movement_methods",
    "newest_evaluation",
    "newest_movement",
    "read_evaluation",
]


@dataclass(frozen=True)
class RoleMeasures:
    """What a model gets right on the images of one role, and how sure it is of it."""

    evaluation: Evaluation
    calibration: Calibration


@dataclass(frozen=True)
class MeasuredRule:
    """The paper's clustering of the validation images, and what it does to each role.

    Attributes:
        why: why there is none, a sentence for a person; empty where there is.
        names: the class of each cluster, None where it has none.
        mixed: the cluster that goes to the operator, None where none is mixed.
        p_value: how often chance alone would make some cluster as mixed; None without one.
        by_role: its measures on `validation` and `test`, where they have images.
    """

    why: str
    names: tuple[str | None, ...]
    mixed: int | None
    p_value: float | None
    by_role: Mapping[str, RuleMeasure]


@dataclass(frozen=True)
class ModelEvaluation:
    """A run of kind `evaluation`, whole; row i of every array is image `ids[i]`.

    Attributes:
        run: that keeps it.
        classes: of the model, in the order of the columns.
        temperature: that its logits were divided by, fitted on the validation images.
        by_role: measures by `validation`, `test` and `train`.
        rule: the clustering.
        separation: how far its features hold the labels of the validation images apart.
        notes: what a person who reads the values must know.
        ids: int64 (n_images,), ascending.
        labels: as they are now.
        probabilities: float32 (n_images, n_classes), after the temperature.
        predicted: int16 (n_images,), the place of the most probable class.
        clusters: int32 (n_images,), -1 where there is no clustering.
        roles: int8 (n_images,), a place in `SPLITS`; -1 for none.
    """

    run: Run
    classes: tuple[str, ...]
    temperature: Temperature
    by_role: Mapping[str, RoleMeasures]
    rule: MeasuredRule
    separation: Separation
    notes: tuple[str, ...]
    ids: np.ndarray
    labels: tuple[str | None, ...]
    probabilities: np.ndarray
    predicted: np.ndarray
    clusters: np.ndarray
    roles: np.ndarray

    @cached_property
    def confidences(self) -> np.ndarray:
        """float32 (n_images,): the probability of the class that is given, higher = surer."""
        return self.probabilities.max(axis=1)

    def has_role(self, role: str) -> np.ndarray:
        """bool (n_images,): the images of a role."""
        return self.roles == SPLITS.index(role)

    def cell_ids(self, role: str, label: str, predicted: str) -> np.ndarray:
        """int64 ids of a role's images with this label that were given this class.

        Raises:
            ValueError: the model knows no such class.
        """
        is_given = self.predicted == self.classes.index(predicted)
        is_labelled = np.array([each == label for each in self.labels], bool)
        return self.ids[self.has_role(role) & is_given & is_labelled]

    def cluster_ids(self, role: str, cluster: int) -> np.ndarray:
        """int64 ids of a role's images in a cluster."""
        return self.ids[self.has_role(role) & (self.clusters == cluster)]

    def mistakes(self, role: str) -> np.ndarray:
        """int64 rows of a role's images that were given a wrong class, the surest first.

        Images whose label is no class of the model are not among them: nothing could be right.
        """
        targets = encode_targets(self.labels, self.classes)
        is_wrong = self.has_role(role) & (targets >= 0) & (self.predicted != targets)
        rows = np.flatnonzero(is_wrong)
        return rows[np.argsort(-self.confidences[rows], kind="stable")]

    def unknown(self, role: str) -> np.ndarray:
        """int64 rows of a role's images with a label that is no class of the model, likewise."""
        known = set(self.classes)
        is_other = np.array([bool(each) and each not in known for each in self.labels], bool)
        rows = np.flatnonzero(self.has_role(role) & is_other)
        return rows[np.argsort(-self.confidences[rows], kind="stable")]

    def verdicts(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """A sentence an image: what the model says of it."""
        return [
            f"Given {self.classes[self.predicted[row]]}, {self.confidences[row]:.0%} sure."
            for row in rows
        ]

    def rows_of(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """int64 rows of images that are among `ids`."""
        return np.searchsorted(self.ids, ids)


@dataclass(frozen=True)
class Movement:
    """A run of kind `movement`: two maps of the same images, before and after fine-tuning.

    Attributes:
        run: that keeps it.
        before: the map before; None where it has been deleted.
        after: the map after, laid over the first; None likewise.
        median_movement: of the images, over the first map's radius; None where it has no extent.
        disparity: share of the first map's spread that the second leaves unexplained, in [0, 1].
        why: why something is not defined; empty where all is.
        separation: by set of images, `validation` and `all`: before and after.
    """

    run: Run
    before: Run | None
    after: Run | None
    median_movement: float | None
    disparity: float | None
    why: str
    separation: Mapping[str, tuple[Separation, Separation]]


def newest_evaluation(workspace: Workspace, model: Model) -> Standing | None:
    """The evaluation of a model to show: the newest that still holds, else the newest of all.

    It holds while labels, roles and images are those that it was computed from.

    Raises:
        OperatorError: an array or the model's snapshot cannot be read.
    """
    # Those of features averaged over flips belong to plans of the triage.
    found = [
        run
        for run in _runs_of(workspace, "evaluation", model)
        if not run.config.get("average_flips")
    ]
    standings = [Standing(run, holds(workspace, model, run)) for run in found]
    return next((each for each in standings if each.is_current), next(iter(standings), None))


def newest_movement(workspace: Workspace, model: Model, method: str) -> Movement | None:
    """The newest pair of maps of a model by a method, or None."""
    for run in _runs_of(workspace, "movement", model):
        if run.result["method"] == method:
            return _read_movement(workspace, run)
    return None


def movement_methods(workspace: Workspace, model: Model) -> list[str]:
    """By which methods a model's two maps have been drawn, the newest first."""
    return list(
        dict.fromkeys(run.result["method"] for run in _runs_of(workspace, "movement", model))
    )


def read_evaluation(workspace: Workspace, run: Run) -> ModelEvaluation:
    """What a run of kind `evaluation` found.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    stored: Mapping[str, Any] = run.result
    ids = runs.load_array(workspace, run, "image_ids")
    rule = stored["clustering"]
    return ModelEvaluation(
        run=run,
        classes=tuple(stored["classes"]),
        temperature=Temperature(**stored["temperature"]),
        by_role={
            role: RoleMeasures(_evaluation(each["evaluation"]), _calibration(each["calibration"]))
            for role, each in stored["by_role"].items()
        },
        rule=MeasuredRule(
            why=rule["why"],
            names=tuple(rule["names"]),
            mixed=rule["mixed"],
            p_value=rule["p_value"],
            by_role={role: _rule_measure(each) for role, each in rule["by_role"].items()},
        ),
        separation=_separation(stored["separation"]),
        notes=tuple(stored["notes"]),
        ids=ids,
        labels=tuple(catalog.column(workspace, ids, "label")),
        **{
            name: runs.load_array(workspace, run, name)
            for name in ("probabilities", "predicted", "clusters", "roles")
        },
    )


def _runs_of(workspace: Workspace, kind: str, model: Model) -> list[Run]:
    return [run for run in runs.list_runs(workspace, kind) if run.config["model"] == model.id]


def holds(workspace: Workspace, model: Model, run: Run, *, images_of: Run | None = None) -> bool:
    """Whether labels, roles and images are those that a run of a model was computed from.

    Args:
        images_of: the run that has all images it was computed from, where it has fewer itself.

    Raises:
        OperatorError: an array or the model's snapshot cannot be read.
    """
    ids = runs.load_array(workspace, images_of or run, "image_ids")
    there = catalog.image_ids(workspace, catalog.ImageFilter(condition="ok"))
    return (
        bool(np.isin(there, ids).all())
        and run.config["labels"] == load_knowledge(workspace, ids).digests["labels"]
        and run.config["roles"] == image_roles(workspace, model, ids).digest
    )


def _read_movement(workspace: Workspace, run: Run) -> Movement:
    stored = run.result
    return Movement(
        run=run,
        before=runs.find_run(workspace, stored["before"]),
        after=runs.find_run(workspace, stored["after"]),
        median_movement=stored["median_movement"],
        disparity=stored["disparity"],
        why=stored["why"],
        separation={
            name: (_separation(each["before"]), _separation(each["after"]))
            for name, each in stored["separation"].items()
        },
    )


def _estimates(stored: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The stored values, those of these names as estimates again."""
    return {**stored, **{name: Estimate(**stored[name]) for name in names}}


def _evaluation(stored: Mapping[str, Any]) -> Evaluation:
    confusion = stored["confusion"]
    return Evaluation(
        **{
            **_estimates(stored, "accuracy", "balanced_accuracy"),
            "classes": tuple(
                ClassScore(**_estimates(each, "precision", "recall", "f1"))
                for each in stored["classes"]
            ),
            "confusion": Confusion(
                tuple(confusion["labels"]),
                tuple(confusion["classes"]),
                tuple(tuple(row) for row in confusion["counts"]),
            ),
        }
    )


def _calibration(stored: Mapping[str, Any]) -> Calibration:
    return Calibration(
        stored["temperature"], _reliability(stored["before"]), _reliability(stored["after"])
    )


def _reliability(stored: Mapping[str, Any]) -> Reliability:
    return Reliability(
        **{
            **_estimates(stored, "accuracy"),
            "bins": tuple(
                ReliabilityBin(**_estimates(each, "accuracy")) for each in stored["bins"]
            ),
        }
    )


def _rule_measure(stored: Mapping[str, Any]) -> RuleMeasure:
    return RuleMeasure(
        **{
            **_estimates(stored, "mixed_share", "operator_share", "auto_error"),
            "clusters": tuple(
                ClusterContent(
                    **{
                        **_estimates(each, "purity"),
                        "labels": tuple((label, n) for label, n in each["labels"]),
                    }
                )
                for each in stored["clusters"]
            ),
            "notes": tuple(stored["notes"]),
        }
    )


def _separation(stored: Mapping[str, Any]) -> Separation:
    return Separation(**{**stored, "notes": tuple(stored["notes"])})
