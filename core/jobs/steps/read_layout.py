"""See how the classes lie in the latent space, and how far the other splits are from training."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ReadLayout
from core.jobs.context import JobContext
from core.jobs.steps.build_graph import built_graph
from core.jobs.steps.find_label_errors import group_numbers
from core.jobs.steps.recording import Found, Report, part, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding, load_differing
from core.state import runs
from core.state.knowledge import Knowledge, load_knowledge
from core.state.runs import Run

if TYPE_CHECKING:
    from core.latent.label_layout import ClassSpread, Purity, SplitShift

VERSION = 1  # part of every run's id: raise it when the same input gives another layout


def run(context: JobContext, config: ReadLayout) -> Mapping[str, Any]:
    """Read the layout of one embedding's images.

    Raises:
        OperatorError: there is no such embedding, its images are all alike, or neither their labels
            nor their splits tell anything.
    """
    embedding = get_embedding(context.workspace, config.embedding)
    done = layout_read(context, embedding, seed=config.seed, report=context.report)
    return {"run": done.id, **done.result}


def layout_read(context: JobContext, embedding: Run, *, seed: int, report: Report) -> Run:
    """The run that keeps the layout of labels and splits as they are, computed where not there.

    Raises:
        OperatorError: the images are all alike, or neither labels nor splits tell anything.
    """
    ids = runs.load_array(context.workspace, embedding, "image_ids")
    known = load_knowledge(context.workspace, ids)
    config = {**known.digests, "seed": seed}
    return record(
        context,
        kind="layout",
        id=analysis_id("layout", config, run=embedding.id, version=VERSION),
        parent=embedding,
        config=config,
        compute=lambda: _read(context, embedding, ids, known, seed, report),
    )


def _read(
    context: JobContext,
    embedding: Run,
    ids: np.ndarray,
    known: Knowledge,
    seed: int,
    report: Report,
) -> Found:
    from core.latent.label_layout import class_spreads, neighborhood_purity

    vectors = load_differing(context.workspace, embedding)
    _, graph = built_graph(context, embedding, vectors, report=part(report, 0.0, 0.4))
    report(0.4, "Reading where the classes lie")
    spreads = class_spreads(vectors, known.labels)
    purity = neighborhood_purity(graph, known.labels)
    notes: list[str] = []
    report(0.6, "Telling the classes apart")
    separability = _separability(vectors, known, seed, notes)
    report(0.8, "Measuring the way to training")
    shifts = _shifts(vectors, known, seed, notes)
    if not spreads and len(shifts) < 2:
        raise OperatorError(
            "There is no layout to read: no image has a label.",
            " ".join(notes),
            "Label some images.",
        )
    result = {
        "n_neighbors": purity.n_neighbors,
        "classes": [_class(each, purity, ids) for each in spreads],
        "shifts": [asdict(shift) for shift in shifts],
        "notes": notes,
    }
    n_features = vectors.shape[1]
    arrays = {
        "purity": purity.per_image,
        "centroids": np.array([each.centroid for each in spreads], np.float32).reshape(
            -1, n_features
        ),
        "separability": separability,
    }
    return Found(ids, arrays, result)


def _class(spread: "ClassSpread", purity: "Purity", ids: np.ndarray) -> dict[str, Any]:
    return {
        "label": spread.label,
        "n_images": spread.n_images,
        "spread": spread.spread,
        "low": spread.low,
        "high": spread.high,
        "central_image": int(ids[spread.central_row]),
        "purity": purity.per_class.get(spread.label),
        "by_chance": purity.by_chance.get(spread.label),
    }


def _separability(vectors: np.ndarray, known: Knowledge, seed: int, notes: list[str]) -> np.ndarray:
    """float64 (n_classes, n_classes); (0, 0), with a note, where nothing can be told apart."""
    from core.latent.label_layout import separability_matrix

    try:
        return separability_matrix(vectors, known.labels, seed=seed).auc
    except OperatorError as error:
        notes.append(f"{error.title} {error.detail}")
        return np.empty((0, 0))


def _shifts(
    vectors: np.ndarray, known: Knowledge, seed: int, notes: list[str]
) -> list["SplitShift"]:
    """How far the splits lie; none, with a note, where that cannot be told."""
    from core.latent.label_layout import split_shifts

    rows = np.array([row for row, split in enumerate(known.splits) if split], np.int64)
    if len(rows) < len(known.splits):
        n_without = len(known.splits) - len(rows)
        notes.append(f"{n_without:,} images are excluded or have no split.")
    try:
        return split_shifts(
            vectors[rows],
            [str(known.splits[row]) for row in rows],
            groups=group_numbers(known)[rows],
            seed=seed,
        )
    except OperatorError as error:
        notes.append(" ".join(filter(None, [error.title, error.detail])))
        return []
