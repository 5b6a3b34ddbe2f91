"""Build the neighbour graph of an embedding, once for all analyses that ask it."""

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
    context: JobContext, embedding: Run, vectors: np.ndarray, *, report: Report
) -> tuple[Run, NeighborGraph]:
    """The run that keeps the graph, computed where it is not there yet, and the graph.

    Raises:
        OperatorError: vectors are not finite.
    """
    workspace = context.workspace
    config = {"n_neighbors": N_NEIGHBORS, "metric": METRIC, "seed": 0}

    def compute() -> Found:
        graph = build_neighbor_graph(
            vectors, n_neighbors=N_NEIGHBORS, metric=METRIC, on_progress=report
        )
        ids = runs.load_array(workspace, embedding, "image_ids")
        arrays = {"indices": graph.indices, "distances": graph.distances}
        result = {"is_exact": graph.is_exact, "recall": graph.recall, "note": graph.note}
        return Found(ids, arrays, result)

    done = record(
        context,
        kind="graph",
        id=analysis_id("graph", config, run=embedding.id, version=VERSION),
        parent=embedding,
        config=config,
        compute=compute,
    )
    graph = NeighborGraph(
        indices=runs.load_array(workspace, done, "indices"),
        distances=runs.load_array(workspace, done, "distances"),
        metric=METRIC,
        is_exact=done.result["is_exact"],
        recall=done.result["recall"],
    )
    return done, graph
