"""Rank the labels by how likely each is wrong, and find what the classes in question show."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.images.grouping import joined_groups
from core.jobs.configs import FindLabelErrors
from core.jobs.context import JobContext
from core.jobs.steps.recording import Found, Report, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding, load_differing
from core.state import runs
from core.state.knowledge import Knowledge, load_knowledge
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives another ranking
N_NEAREST = 6
# Nobody looks further down a list of suspects; for all labels, neighbours would be quadratic.
_MOST_WITH_NEAREST = 2_000


def run(context: JobContext, config: FindLabelErrors) -> Mapping[str, Any]:
    """Judge the labels of one embedding's images.

    Raises:
        OperatorError: there is no such embedding, its images are all alike, or fewer than two
            classes have enough images.
    """
    embedding = get_embedding(context.workspace, config.embedding)
    done = found_label_errors(context, embedding, seed=config.seed, report=context.report)
    return {"run": done.id, **done.result}


def found_label_errors(context: JobContext, embedding: Run, *, seed: int, report: Report) -> Run:
    """The run that keeps the ranking of the labels as they are, computed where it is not there.

    Raises:
        OperatorError: the images are all alike, or fewer than two classes have enough of them.
    """
    ids = runs.load_array(context.workspace, embedding, "image_ids")
    known = load_knowledge(context.workspace, ids)
    digests = {name: known.digests[name] for name in ("labels", "groups")}
    config = {**digests, "seed": seed}
    return record(
        context,
        kind="label_errors",
        id=analysis_id("label_errors", config, run=embedding.id, version=VERSION),
        parent=embedding,
        config=config,
        compute=lambda: _find(context, embedding, ids, known, seed, report),
    )


def group_numbers(known: Knowledge) -> np.ndarray:
    """int64 (n_images,): shots of one thing and near-duplicates bear one number."""
    names = joined_groups(
        known.shots,
        [None if number is None else str(number) for number in known.look_alikes],
    )
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _find(
    context: JobContext,
    embedding: Run,
    ids: np.ndarray,
    known: Knowledge,
    seed: int,
    report: Report,
) -> Found:
    from core.latent.label_errors import find_label_errors
    from core.latent.neighbors import nearest_of_label

    vectors = load_differing(context.workspace, embedding)
    report(0.05, "Judging the labels")
    found = find_label_errors(vectors, known.labels, groups=group_numbers(known), seed=seed)
    report(0.8, "Looking for images of the classes in question")
    given = [str(known.labels[row]) for row in found.rows]

    def nearest_of(wanted: Sequence[str]) -> np.ndarray:
        nearest = np.full((len(found.rows), N_NEAREST), -1, np.int64)
        rows, _ = nearest_of_label(
            vectors,
            found.rows[:_MOST_WITH_NEAREST],
            wanted[:_MOST_WITH_NEAREST],
            known.labels,
            n_neighbors=N_NEAREST,
        )
        nearest[: len(rows)] = np.where(rows >= 0, ids[rows], -1)
        return nearest

    code_of = {label: code for code, label in enumerate(found.classes)}
    by_id = np.argsort(found.rows)
    arrays = {
        "given": np.array([code_of[label] for label in given], np.int16)[by_id],
        "suggested": np.array([code_of[label] for label in found.suggested], np.int16)[by_id],
        "scores": found.scores[by_id],
        "is_issue": found.is_issue[by_id],
        "nearest": nearest_of(found.suggested)[by_id],
        "nearest_given": nearest_of(given)[by_id],
    }
    result = {
        "classes": list(found.classes),
        "n_judged": len(found.rows),
        "n_issues": int(found.is_issue.sum()),
        "notes": list(found.notes),
    }
    return Found(ids[found.rows[by_id]], arrays, result)
