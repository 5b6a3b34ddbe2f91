"""Test whether two sets of images differ in the full latent space."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import CompareSets
from core.jobs.context import JobContext
from core.jobs.steps.recording import Found, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding, load_differing
from core.state import runs, selections

VERSION = 1  # part of every run's id: raise it when the same input gives other figures


def run(context: JobContext, config: CompareSets) -> Mapping[str, Any]:
    """Compare two kept selections.

    Raises:
        OperatorError: there is no such embedding or selection, images are not in the embedding, a
            set is too small, they share images, or all images are alike.
    """
    workspace = context.workspace
    embedding = get_embedding(workspace, config.embedding)
    settings = {
        "first": config.first,
        "second": config.second,
        "first_name": config.first_name,
        "second_name": config.second_name,
        "seed": config.seed,
    }

    def compute() -> Found:
        from core.latent.two_sample import compare_sets

        vectors = load_differing(workspace, embedding)
        ids = runs.load_array(workspace, embedding, "image_ids")
        first = selections.load_selection(workspace, config.first)
        second = selections.load_selection(workspace, config.second)
        context.report(0.1, f"Comparing {len(first):,} with {len(second):,} images")
        found = compare_sets(vectors, _rows_of(ids, first), _rows_of(ids, second), seed=config.seed)
        compared = np.union1d(first, second)
        return Found(compared, {"in_second": np.isin(compared, second)}, asdict(found))

    done = record(
        context,
        kind="comparison",
        id=analysis_id("comparison", settings, run=embedding.id, version=VERSION),
        parent=embedding,
        config=settings,
        compute=compute,
    )
    return {"run": done.id, **done.result}


def _rows_of(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """int64 (n_ids,): where the ids are among `known`, which ascend."""
    rows = np.searchsorted(known, ids).clip(max=len(known) - 1)
    n_absent = int((known[rows] != ids).sum())
    if n_absent:
        raise OperatorError(
            f"{n_absent:,} of the selected images have no features yet.",
            next_step="Embed the images again to include them.",
        )
    return rows
