"""Group images by k-means, on the features or on a map, and keep the groups as a run."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ClusterImages
from core.jobs.context import JobContext
from core.jobs.steps.run_ids import clustering_id
from core.state import catalog, runs
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives other groups
_SPACES = {"embedding": ("latent", "vectors"), "projection": ("projection", "coordinates")}


def run(context: JobContext, config: ClusterImages) -> Mapping[str, Any]:
    """Cluster one run; with `n_clusters` 0, sweep k first and take the best silhouette.

    Raises:
        OperatorError: there is no such run, or it has too few images.
        ValueError: the method is unknown or a parameter is out of range.
    """
    from core.latent.clustering import METHODS, KMeansConfig, cluster_kmeans

    if config.method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {config.method!r}")
    workspace = context.workspace
    parent = runs.get_run(workspace, config.run)
    if parent.kind not in _SPACES:
        raise OperatorError(f"{parent.id} cannot be clustered.", next_step="Choose an embedding.")
    space, array = _SPACES[parent.kind]
    vectors = np.asarray(runs.load_array(workspace, parent, array))
    sweep: Mapping[str, Any] | None = None
    n_clusters = config.n_clusters
    if n_clusters == 0:
        sweep = _sweep(context, vectors, config)
        n_clusters = sweep["best_silhouette_k"]
    asked = KMeansConfig(n_clusters=n_clusters, seed=config.seed)
    settings = {"method": config.method, "space": space, **asdict(asked)}
    run_id = clustering_id(settings, run=parent.id, swept=sweep is not None, version=VERSION)
    done = runs.find_run(workspace, run_id)
    if done is None:
        context.report(0.9, f"K-means with {n_clusters} clusters")
        result = cluster_kmeans(vectors, asked)
        with runs.new_artefact(workspace, "clustering", run_id) as folder:
            for name in ("labels", "distances", "centers"):
                np.save(folder / f"{name}.npy", getattr(result, name), allow_pickle=False)
            ids = runs.load_array(workspace, parent, "image_ids")
            np.save(folder / "image_ids.npy", ids, allow_pickle=False)
        done = runs.add_run(
            workspace,
            id=run_id,
            kind="clustering",
            parent_id=parent.id,
            config=settings,
            result={
                "n_clusters": n_clusters,
                "n_noise": result.n_noise,
                "sizes": list(result.sizes),
                "inertia": result.inertia,
                "silhouette": result.silhouette,
                "silhouette_n": result.silhouette_n,
                "notes": list(result.notes),
                "sweep": sweep,
            },
            n_images=len(result.labels),
            actor=context.job.actor,
            job_id=context.job.id,
        )
    return {"run": done.id, "method": config.method, **done.result, **agreement_now(context, done)}


def agreement_now(context: JobContext, clustering: Run) -> Mapping[str, Any]:
    """ARI against the labels as they are now: it changes with them, so it is no part of the run."""
    from core.latent.clustering import agreement

    ids = runs.load_array(context.workspace, clustering, "image_ids")
    labels = catalog.column(context.workspace, ids, "label")
    clusters = runs.load_array(context.workspace, clustering, "labels")
    measured = agreement(labels, clusters)
    return {"ari": measured.adjusted_rand_index, "ari_n": measured.n}


def _sweep(context: JobContext, vectors: np.ndarray, config: ClusterImages) -> Mapping[str, Any]:
    from core.latent.clustering import sweep_kmeans

    largest = min(config.largest, len(vectors) - 1)
    if largest < 2:
        raise OperatorError(
            f"{len(vectors)} image(s) are too few to choose a number of clusters.",
            next_step="Give the number of clusters, or import more images.",
        )
    found = sweep_kmeans(
        vectors,
        range(2, largest + 1),
        seed=config.seed,
        on_progress=lambda fraction, step: context.report(0.9 * fraction, step),
    )
    if found.best_silhouette_k is None:
        raise OperatorError(
            "No number of clusters can be told from these images.",
            "Their features are all alike.",
            "Give the number of clusters.",
        )
    return asdict(found)
