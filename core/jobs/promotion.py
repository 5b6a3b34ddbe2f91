"""Promotion: may this model be put to work, and by which thresholds does it then label?

Whoever takes a model's place must have been compared with it on the same test images, and must not
be worse beyond chance, unless a person overrules that and says why. Thresholds belong to a model: a
promotion asks at once for a plan by the new one under the promise of the old, and nothing is
labelled by it until a person applies that plan.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.configs import PlanTriage
from core.state import applications, catalog, model_comparisons, models
from core.state.applications import Application
from core.state.catalog import ImageFilter
from core.state.job_rows import Job
from core.state.models import Model, Promotion
from core.state.workspace import Workspace


@dataclass(frozen=True)
class Promoted:
    """A promotion, and the job that recalibrates the thresholds.

    Attributes:
        recalibration: None where nothing was labelled automatically yet.
    """

    promotion: Promotion
    recalibration: Job | None


def promote(
    workspace: Workspace, model_id: str, *, actor: str, reason: str = "", overrule: bool = False
) -> Promoted:
    """Put a model to work, and ask for its thresholds.

    Args:
        reason: why, kept with the promotion.
        overrule: though the model is worse than the one at work, or could not be compared with it.

    Raises:
        OperatorError: there is no such model, or it is at work already; nothing has compared it
            with the one at work on the labels as they are, or it is worse beyond chance, and that
            is not overruled with a reason.
    """
    new, old = models.get_model(workspace, model_id), models.promoted(workspace)
    comparison, is_current = (
        (None, False) if old is None else model_comparisons.standing(workspace, old, new)
    )
    if old is not None and old.id != new.id and not (is_current or overrule):
        raise OperatorError(
            f"{new.id} has not been compared with {old.id} on the test images as they are.",
            "A model takes another's place by what both make of the same images.",
            "Compare them first, or overrule this and say why.",
        )
    done = models.promote(
        workspace,
        new.id,
        actor=actor,
        reason=reason,
        comparison=comparison.id if comparison else None,
        overrule=overrule,
    )
    return Promoted(done, _recalibrate(workspace, new, actor=actor))


def roll_back(workspace: Workspace, *, actor: str, reason: str = "") -> Promoted:
    """Put the model to work again that was before, and ask for its thresholds anew.

    Raises:
        OperatorError: there is none.
    """
    done = models.roll_back(workspace, actor=actor, reason=reason)
    earlier = models.get_model(workspace, done.model_id)
    return Promoted(done, _recalibrate(workspace, earlier, actor=actor))


def _recalibrate(workspace: Workspace, model: Model, *, actor: str) -> Job | None:
    """Ask for a plan by this model under the promise that stands."""
    standing = standing_application(workspace)
    if standing is None:
        return None
    unlabelled = ImageFilter(labels=(None,))
    if standing.rule == "cluster" and not catalog.count_images(workspace, unlabelled):
        return None  # that rule promises nothing of what is still to come
    config = PlanTriage(
        model.id, rule=standing.rule, max_error=standing.max_error, delta=standing.delta
    )
    return queue.submit(workspace, config, actor=actor)


def standing_application(workspace: Workspace) -> Application | None:
    """The newest application that labelled anything and was not reverted: its promise stands."""
    found = (
        each
        for each in applications.list_applications(workspace)
        if each.n_labelled and not each.reverted_at
    )
    return next(found, None)
