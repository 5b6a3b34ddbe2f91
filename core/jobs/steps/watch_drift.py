"""Watch for drift: do images that came in since the last look still look like the calibration ones?

The inbox asks `is_due` after each batch of arrivals, and has it looked at by a job of its own. The
reference are the calibration images of the plan at work, in the features that it decides by. An
alarm lets automatic labelling rest. Once a person has let it go on, only what came in since is
looked at; so it is with a new plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import CheckDrift
from core.jobs.context import JobContext
from core.jobs.steps.feature_chunks import Chunks
from core.jobs.steps.plan_triage import novelty_scorer
from core.learning.evaluation import encode_targets
from core.state import applications, catalog, drift, model_roles, models, runs
from core.state.catalog import ImageFilter
from core.state.drift import TakenImage
from core.state.model_roles import CALIBRATION
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.drift import (
    MIN_REFERENCE,
    MIN_WINDOW,
    STEP,
    WINDOW,
    Comparison,
    Sample,
    compare_window,
)
from core.triage.drift_wording import verdict
from core.vocabulary import QUALITY_MEASURES


@dataclass(frozen=True)
class Watched:
    """A model at work, and what its incoming images are compared with.

    Attributes:
        model: the model.
        plan: by which it labels.
        embedding: whose features the plan decides by.
        reference: the calibration images.
    """

    model: Model
    plan: Run
    embedding: Run
    reference: Sample


@dataclass(frozen=True)
class Looked:
    """One window that was looked at: the ids of its first and last image, and what was found."""

    first: int
    last: int
    found: Comparison


def run(context: JobContext, config: CheckDrift) -> Mapping[str, Any]:
    """Look at the windows that have become full, as a job of its own: the inbox does not wait.

    Raises:
        OperatorError: an array cannot be read.
    """
    found = check(context.workspace)
    return {"n_windows": len(found), "n_alarms": sum(each.is_alarm for each in found)}


def is_due(workspace: Workspace) -> bool:
    """Whether a window has become full that nobody has looked at, and that can be compared."""
    model = models.promoted(workspace)
    plan = applications.plan_at_work(workspace, model.id) if model else None
    if plan is None or len(_waiting(workspace, plan)) < WINDOW:
        return False
    calibrating = ImageFilter(splits=(CALIBRATION,))
    return catalog.count_images(workspace, calibrating) >= MIN_REFERENCE


def check(workspace: Workspace) -> list[Comparison]:
    """Compare every window that has become full; an alarm lets automatic labelling rest.

    Returns:
        What was found of the new windows, in their order; empty where none is full, no model is at
        work, or there are too few calibration images.

    Raises:
        OperatorError: an array cannot be read.
    """
    model = models.promoted(workspace)
    plan = applications.plan_at_work(workspace, model.id) if model else None
    if model is None or plan is None:
        return []
    waiting = _waiting(workspace, plan)
    if len(waiting) < WINDOW:
        return []
    watched = load_watched(workspace, model, plan)
    if len(watched.reference) < MIN_REFERENCE:
        return []
    ids = np.array([each.image_id for each in waiting], np.int64)
    sample = load_sample(workspace, watched, ids, labels=_labels_of(waiting, model))
    # Images whose features are not there take no part.
    taken = {each.image_id: each for each in waiting}
    done = []
    starts = range(0, len(sample) - WINDOW + 1, STEP)
    for start in starts:
        window = sample.take(np.arange(start, start + WINDOW))
        first, last = taken[int(window.ids[0])].id, taken[int(window.ids[-1])].id
        try:
            # Limits are for charts, and cost seconds: of many windows the newest has them all.
            found = compare_window(
                watched.reference, window, seed=first, with_limits=start == starts[-1]
            )
        except ValueError:  # most of the window's images are calibration images by now
            continue
        _settle(workspace, watched, found, first=first, last=last)
        done.append(found)
    return done


def compare_images(
    workspace: Workspace, ids: np.ndarray, *, window: int = WINDOW, seed: int = 0
) -> list[Looked]:
    """Compare any images with the calibration images, window by window; nothing is recorded.

    Where there are fewer images than a window has, all of them are one. The last window ends with
    the last image.

    Args:
        ids: int64 (n_images,), in their order.
        window: images of one window.

    Raises:
        OperatorError: no model is at work, or there are too few images with features.
        ValueError: `window` is too small.
    """
    if window < MIN_WINDOW:
        raise ValueError(f"a window must have at least {MIN_WINDOW} images, got {window}")
    model = models.promoted(workspace)
    if model is None:
        raise OperatorError("No model is at work.", next_step="Promote one on the page Evaluation.")
    plan = applications.plan_at_work(workspace, model.id)
    if plan is None:
        raise OperatorError(
            f"{model.id} has no plan to work by.",
            "The calibration images of a plan are what others are compared with.",
            "Plan a triage first.",
        )
    watched = load_watched(workspace, model, plan)
    if len(watched.reference) < MIN_REFERENCE:
        raise OperatorError(
            f"{len(watched.reference):,} calibration images are too few to compare with.",
            f"It takes {MIN_REFERENCE}.",
            "Split more off validation on the page Dataset, then plan again.",
        )
    ids = ids[~np.isin(ids, watched.reference.ids)]
    sample = load_sample(workspace, watched, ids)
    if len(sample) < MIN_WINDOW:
        raise OperatorError(
            f"{len(sample):,} of {len(ids):,} images have features by {model.id}.",
            f"It takes {MIN_WINDOW} to compare them.",
            "Plan again: that embeds what has come since.",
        )
    size = min(window, len(sample))
    step = max(1, size * STEP // WINDOW)
    starts = sorted({*range(0, len(sample) - size + 1, step), len(sample) - size})
    looked = []
    for start in starts:
        some = sample.take(np.arange(start, start + size))
        found = compare_window(watched.reference, some, step=step, seed=seed, with_limits=False)
        looked.append(Looked(int(some.ids[0]), int(some.ids[-1]), found))
    return looked


def load_watched(workspace: Workspace, model: Model, plan: Run) -> Watched:
    """The calibration images of a plan, as what comes in is compared with them.

    Raises:
        OperatorError: an array cannot be read.
    """
    embedding = runs.get_run(workspace, plan.parent_id or "")
    ids = runs.load_array(workspace, embedding, "image_ids")
    rows = model_roles.image_roles(workspace, model, ids).rows(CALIBRATION)
    empty = Sample(ids[:0], np.zeros((0, 1), np.float32))
    watched = Watched(model, plan, embedding, empty)
    return Watched(model, plan, embedding, load_sample(workspace, watched, ids[rows]))


def load_sample(
    workspace: Workspace,
    watched: Watched,
    ids: np.ndarray,
    *,
    labels: Sequence[str | None] | None = None,
) -> Sample:
    """What is known of some images, in the order of `ids`; those without features are left out.

    Args:
        ids: int64 (n_images,), no id twice.
        labels: the model's, where they are known; else those of an evaluation count.

    Raises:
        OperatorError: an array cannot be read.
    """
    given = dict(zip(ids.tolist(), labels or [None] * len(ids), strict=True))
    features: dict[int, np.ndarray] = {}
    predicted: dict[int, str] = {}
    for some, vectors in Chunks(workspace, watched.embedding.config).load():  # of the inbox
        rows = np.flatnonzero(np.isin(some, list(given)))
        features |= zip(some[rows].tolist(), vectors[rows], strict=True)
    for run in _like(workspace, watched.embedding):
        known = runs.load_array(workspace, run, "image_ids")
        rows = np.flatnonzero(np.isin(known, [i for i in given if i not in features]))
        if not len(rows):
            continue
        vectors = runs.load_array(workspace, run, "vectors", mapped=True)
        features |= zip(known[rows].tolist(), np.asarray(vectors[rows]), strict=True)
        predicted |= _predicted(workspace, watched.model, run, known, rows)
    found = np.array([i for i in ids.tolist() if i in features], np.int64)
    stacked = np.stack([features[i] for i in found.tolist()]) if len(found) else np.zeros((0, 1))
    names = [given[i] or predicted.get(i) for i in found.tolist()]
    return Sample(
        found,
        stacked,
        _camera(workspace, found),
        _novelty(workspace, watched, stacked),
        tuple(name for name in names if name) if all(names) and names else None,
    )


def _waiting(workspace: Workspace, plan: Run) -> list[TakenImage]:
    """Images from where the next window begins."""
    pause = applications.current_pause(workspace)
    resumed = applications.resumed_at(pause)
    newest = next(iter(drift.list_windows(workspace, plan=plan.id, limit=1)), None)
    first = newest.first_arrival if newest else 0
    waiting = drift.images_taken(workspace, since=max(resumed, plan.created_at), first=first)
    is_going_on = bool(waiting) and waiting[0].id == first  # nobody has resumed since
    return waiting[STEP:] if is_going_on else waiting


def _labels_of(waiting: Sequence[TakenImage], model: Model) -> list[str | None]:
    return [each.label if each.model == model.id else None for each in waiting]


def _settle(
    workspace: Workspace, watched: Watched, found: Comparison, *, first: int, last: int
) -> None:
    """Let automatic labelling rest where that is due, then record the window."""
    if found.is_alarm:
        # Before the window is recorded: a process killed in between looks at it again.
        applications.pause(
            workspace,
            verdict(found),
            actor=drift.ACTOR,
            evidence={
                "plan": watched.plan.id,
                "first_arrival": first,
                "last_arrival": last,
                "tests": {test.name: test.p_value for test in found.tests if test.is_alarm},
            },
        )
    drift.add_window(
        workspace,
        model=watched.model.id,
        plan=watched.plan.id,
        first_arrival=first,
        last_arrival=last,
        n_images=found.n_images,
        is_alarm=found.is_alarm,
        result=asdict(found),
    )


def _like(workspace: Workspace, embedding: Run) -> list[Run]:
    """Embeddings whose features were made alike: this one, then the newest first."""
    others = runs.list_runs(workspace, "embedding")
    return [
        embedding,
        *(run for run in others if run.id != embedding.id and run.config == embedding.config),
    ]


def _predicted(
    workspace: Workspace, model: Model, embedding: Run, known: np.ndarray, rows: np.ndarray
) -> dict[int, str]:
    """The model's labels by an evaluation of this embedding; empty where there is none."""
    for run in runs.list_runs(workspace, "evaluation", parent_id=embedding.id):
        if run.config["model"] == model.id:
            places = runs.load_array(workspace, run, "predicted")[rows].tolist()
            names = [model.classes[place] for place in places]
            return dict(zip(known[rows].tolist(), names, strict=True))
    return {}


def _camera(workspace: Workspace, ids: np.ndarray) -> np.ndarray | None:
    """Camera measures (n_images, 6); None where an image has none."""
    measured, columns = catalog.quality_table(workspace)
    if not np.isin(ids, measured).all():
        return None
    rows = np.searchsorted(measured, ids)
    return np.stack([columns[name][rows] for name in QUALITY_MEASURES], axis=1)


def _novelty(workspace: Workspace, watched: Watched, features: np.ndarray) -> np.ndarray | None:
    """Distances from all classes; None where it is not known what the model was trained on."""
    ids = runs.load_array(workspace, watched.embedding, "image_ids")
    targets = encode_targets(catalog.column(workspace, ids, "label"), watched.model.classes)
    roles = model_roles.image_roles(workspace, watched.model, ids)
    try:
        scorer = novelty_scorer(workspace, watched.embedding, roles, targets)
    except OperatorError:
        return None
    return scorer.score(features) if len(features) else np.zeros(0)
