"""Build the neighbour graph of an embedding, once for all analyses that ask it.

The density score, and clusterings by another metric or of fewer components, search neighbours of
their own; those graphs are kept and shared in the same way.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.jobs.context import JobContext
from core.jobs.steps.recording import Found, Report, record
from core.jobs.steps.run_ids import analysis_id
from core.latent.neighbor_graph import NeighborGraph, build_neighbor_graph
from core.state import runs
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives another graph
# As many as any analysis may ask for.
N_NEIGHBORS = 30
METRIC = "cosine"


def built_graph(
    context: JobContext,
    parent: Run,
    vectors: np.ndarray,
    *,
    report: Report,
    n_neighbors: int = N_NEIGHBORS,
    metric: str = METRIC,
    space: Mapping[str, Any] | None = None,
) -> tuple[Run, NeighborGraph]:
    """The run that keeps the graph, computed where it is not there yet, and the graph.

    Args:
        context: of the job.
        parent: the embedding or map that the vectors are of.
        vectors: float array (n_images, n_features).
        report: of the search.
        n_neighbors: as many as the question asks for.
        metric: `cosine` or `euclidean`.
        space: what was made of the parent's vectors, to name the run by; None for nothing.

    Raises:
        OperatorError: vectors are not finite.
    """
    workspace = context.workspace
    config = {"n_neighbors": n_neighbors, "metric": metric, "seed": 0, **(space or {})}

    def compute() -> Found:
        graph = build_neighbor_graph(
            vectors, n_neighbors=n_neighbors, metric=metric, on_progress=report
        )
        ids = runs.load_array(workspace, parent, "image_ids")
        arrays = {"indices": graph.indices, "distances": graph.distances}
        result = {"is_exact": graph.is_exact, "recall": graph.recall, "note": graph.note}
        return Found(ids, arrays, result)

    done = record(
        context,
        kind="graph",
        id=analysis_id("graph", config, run=parent.id, version=VERSION),
        parent=parent,
        config=config,
        compute=compute,
    )
    graph = NeighborGraph(
        indices=runs.load_array(workspace, done, "indices"),
        distances=runs.load_array(workspace, done, "distances"),
        metric=metric,
        is_exact=done.result["is_exact"],
        recall=done.result["recall"],
    )
    return done, graph
