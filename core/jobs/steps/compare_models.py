"""Compare two models on the same test images; the page Fine-tuning promotes by what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs import promotion
from core.jobs.configs import CompareModels
from core.jobs.context import JobContext
from core.jobs.steps.evaluate_model import embedding_by_model, evaluated
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import Found, part, record
from core.jobs.steps.run_ids import analysis_id
from core.learning.model_comparison import OUTCOMES, WORSE, compare
from core.state import model_comparisons, models, runs
from core.state.model_comparisons import ComparisonImages
from core.state.models import Model
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives other values


def run(context: JobContext, config: CompareModels) -> Mapping[str, Any]:
    """Compare, and promote the new model where that is asked and nothing speaks against it.

    Raises:
        OperatorError: there is no such model, both are the same, or there is no test image that
            neither has seen.
    """
    workspace = context.workspace
    old, new = (models.get_model(workspace, each) for each in (config.old, config.new))
    if old.id == new.id:
        raise OperatorError("A model cannot be compared with itself.", next_step="Name another.")
    images = model_comparisons.images_to_compare_by(workspace, old, new)
    if not len(images.ids):
        raise OperatorError(
            "There is no test image to compare these models by.",
            "It takes labelled images of the split test that neither has learned from.",
            "Move some to the split test on the page Dataset, or promote by overruling this.",
        )
    evaluations = [
        _evaluated(context, model, device=config.device, start=start)
        for model, start in ((old, 0.0), (new, 0.45))
    ]
    asked = {
        "old": old.id,
        "new": new.id,
        "images": images.digest,
        # The logits follow from the embeddings alone; an evaluation changes with every label.
        "embeddings": [each.parent_id for each in evaluations],
    }
    parent = runs.get_run(workspace, evaluations[1].parent_id or "")
    done = record(
        context,
        kind="model_comparison",
        id=analysis_id("model_comparison", asked, run=parent.id, version=VERSION),
        parent=parent,
        config=asked,
        compute=lambda: _compare(context, images, (old, new), evaluations),
    )
    return {"run": done.id, **done.result, **_promote(context, config, done)}


def _evaluated(context: JobContext, model: Model, *, device: str, start: float) -> Run:
    embedding = embedding_by_model(PartOfJob(context, start, start + 0.3), model, device=device)
    report = part(context.report, start + 0.3, start + 0.45)
    return evaluated(context, model, embedding, seed=0, report=report)


def _compare(
    context: JobContext,
    images: ComparisonImages,
    pair: tuple[Model, Model],
    evaluations: list[Run],
) -> Found:
    context.report(0.9, f"Comparing on {len(images.ids):,} test images")
    workspace = context.workspace
    known = [runs.load_array(workspace, each, "image_ids") for each in evaluations]
    # A file that could not be read has features by neither or by one alone.
    is_there = np.isin(images.ids, known[0]) & np.isin(images.ids, known[1])
    ids = images.ids[is_there]
    labels = [images.labels[row] for row in np.flatnonzero(is_there)]
    predicted = [
        runs.load_array(workspace, each, "predicted")[np.searchsorted(rows, ids)]
        for each, rows in zip(evaluations, known, strict=True)
    ]
    old_given, new_given = (
        [model.classes[place] for place in places.tolist()]
        for model, places in zip(pair, predicted, strict=True)
    )
    found = compare(
        labels,
        old_given,
        new_given,
        old_classes=pair[0].classes,
        new_classes=pair[1].classes,
    )
    told = {name: value for name, value in asdict(found).items() if name != "outcomes"}
    result = {
        **told,
        "old": pair[0].id,
        "new": pair[1].id,
        "old_classes": list(pair[0].classes),
        "new_classes": list(pair[1].classes),
        "is_worse": found.verdict == WORSE,
        "n_by_outcome": {
            name: int((found.outcomes == place).sum()) for place, name in enumerate(OUTCOMES)
        },
        "notes": [*found.notes, *images.notes],
    }
    arrays = {
        "outcomes": found.outcomes,
        "old_predicted": predicted[0].astype(np.int16),
        "new_predicted": predicted[1].astype(np.int16),
    }
    return Found(ids, arrays, result)


def _promote(context: JobContext, config: CompareModels, done: Run) -> dict[str, Any]:
    if not config.promote or done.result["is_worse"]:
        return {"promotion": None, "recalibration": None}
    promoted = promotion.promote(
        context.workspace, config.new, actor=context.job.actor, reason=config.reason
    )
    job = promoted.recalibration
    return {"promotion": promoted.promotion.id, "recalibration": job.id if job else None}
