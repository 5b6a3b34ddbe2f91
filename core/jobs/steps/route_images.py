"""Route new images by a plan that was made before: does the model label them, or do people?

A plan holds all that this takes, but for the calibration images: its threshold, what is usual among
the reference images, and, through its embedding, where the known classes lie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from core.latent.novelty import NoveltyScorer


@dataclass(frozen=True)
class Routes:
    """Where some images go.

    Attributes:
        is_auto: bool (n_images,), whether the model labels the image.
        sureness: float64 (n_images,), in [0, 1], what the risk rule decides by; None by another.
        novelty: float64 (n_images,), in [0, 1], share of the reference images that are less far
            from all classes; None by another rule.
    """

    is_auto: np.ndarray
    sureness: np.ndarray | None
    novelty: np.ndarray | None


class Router:
    """Routes images by a plan; what that takes is loaded and fitted once.

    Attributes:
        plan: None sends everything to people.
    """

    def __init__(self, workspace: Workspace, model: Model, plan: Run | None) -> None:
        """Load what a plan rests on.

        Raises:
            OperatorError: the plan's arrays cannot be read.
        """
        self.plan = plan
        self._workspace, self._model = workspace, model
        self._by_risk = plan is not None and plan.config["rule"] != "cluster"
        if plan is None:
            return
        if self._by_risk:
            self._scorer = _novelty_of(workspace, model, plan)
            self._scale = SurenessScale(
                runs.load_array(workspace, plan, "reference_confidence"),
                runs.load_array(workspace, plan, "reference_familiarity"),
            )
        else:
            self._centers, self._names = _clusters_of(workspace, plan)

    def route(self, features: np.ndarray, probabilities: np.ndarray) -> Routes:
        """Route images; without a plan, and while automatic labelling is paused, all go to people.

        Args:
            features: float array (n_images, n_features), made like those of the plan's embedding.
            probabilities: float array (n_images, n_classes), after temperature.
        """
        nobody = np.zeros(len(features), bool)
        if self.plan is None:
            return Routes(nobody, None, None)
        sureness = novelty = None
        if self._by_risk:
            distances = self._scorer.score(features)
            confidence = probabilities.max(axis=1).astype(np.float64)
            sureness = self._scale.measure(Scores(confidence, distances))
            novelty = self._scale.share_less_far(distances)
            threshold = self.plan.result["threshold"]
            is_auto = nobody if threshold is None else sureness >= threshold
        else:
            is_auto = self._is_named_alike(features, probabilities)
        predicted = probabilities.argmax(axis=1)
        is_auto = is_auto & ~is_retired(self._workspace, self._model, predicted)
        pause = applications.current_pause(self._workspace)
        is_paused = pause is not None and pause.paused
        return Routes(nobody if is_paused else is_auto, sureness, novelty)

    def _is_named_alike(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Whether an image's cluster is named as the model would label it, and is not mixed."""
        if self._centers is None:
            return np.zeros(len(features), bool)
        clusters = nearest_center(features, self._centers).tolist()
        given = [self._model.classes[place] for place in probabilities.argmax(axis=1).tolist()]
        pairs = zip(clusters, given, strict=True)
        return np.array([self._names[cluster] == label for cluster, label in pairs], bool)


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


def _novelty_of(workspace: Workspace, model: Model, plan: Run) -> NoveltyScorer:
    embedding = runs.get_run(workspace, plan.parent_id or "")
    ids = runs.load_array(workspace, embedding, "image_ids")
    targets = encode_targets(catalog.column(workspace, ids, "label"), model.classes)
    roles = model_roles.image_roles(workspace, model, ids)
    return novelty_scorer(workspace, embedding, roles, targets)


def _clusters_of(workspace: Workspace, plan: Run) -> tuple[np.ndarray | None, list[str | None]]:
    """The centres of the paper's rule and what they are called; None where it was never fitted."""
    evaluation = next(
        (
            run
            for run in runs.list_runs(workspace, "evaluation")
            if run.parent_id == plan.parent_id and not run.result["clustering"]["why"]
        ),
        None,
    )
    if evaluation is None:
        return None, []
    rule = evaluation.result["clustering"]
    names = [None if place == rule["mixed"] else name for place, name in enumerate(rule["names"])]
    return runs.load_array(workspace, evaluation, "centers"), names
