"""Measure how far neighbours are, and keep the curve: its knee is a reach for DBSCAN."""

from collections.abc import Mapping
from typing import Any

from core.jobs.configs import MeasureKDistances
from core.jobs.context import JobContext
from core.jobs.steps.build_graph import METRIC, N_NEIGHBORS, built_graph
from core.jobs.steps.recording import Found, part, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import Space, choose_space
from core.state import runs
from core.state.runs import Run

VERSION = 2  # part of every run's id: raise it when the same input gives another curve


def run(context: JobContext, config: MeasureKDistances) -> Mapping[str, Any]:
    """Measure the k-distances of an embedding or a projection.

    Raises:
        OperatorError: there is no such run, or it has fewer images than `min_samples`.
        ValueError: a parameter is unknown or out of range.
    """
    space = choose_space(
        context.workspace, config.run, components=config.components, seed=config.seed
    )
    done = measured_k_distances(
        context, space, min_samples=config.min_samples, metric=config.metric
    )
    return {"run": done.id, **done.result}


def measured_k_distances(
    context: JobContext, space: Space, *, min_samples: int, metric: str
) -> Run:
    """The run that keeps this curve, computed where it is not there yet.

    Raises:
        OperatorError: there are fewer images than `min_samples`, or vectors are not finite.
        ValueError: a parameter is unknown or out of range.
    """
    config = {
        **space.settings,
        "min_samples": min_samples,
        "metric": metric,
        "seed": space.seed,
    }

    def compute() -> Found:
        from core.latent.density import k_distances, k_distances_of

        context.report(0.05, "Measuring distances to neighbours")
        vectors, _ = space.load(context.workspace)
        has_graph = space.is_whole and metric == METRIC and 2 <= min_samples <= N_NEIGHBORS + 1
        if has_graph and len(vectors) >= min_samples:
            report = part(context.report, 0.05, 0.8)
            _, graph = built_graph(context, space.run, vectors, report=report)
            found = k_distances_of(graph, min_samples=min_samples, seed=space.seed)
        else:
            found = k_distances(vectors, min_samples=min_samples, metric=metric, seed=space.seed)
        ids = runs.load_array(context.workspace, space.run, "image_ids")
        result = {
            "k": found.k,
            "knee": found.knee,
            "eps": found.eps,
            "n_measured": len(found.distances),
        }
        return Found(ids, {"distances": found.distances}, result)

    return record(
        context,
        kind="k_distances",
        id=analysis_id("k_distances", config, run=space.run.id, version=VERSION),
        parent=space.run,
        config=config,
        compute=compute,
    )
