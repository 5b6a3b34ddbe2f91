"""Group images on their features, on principal components of them, or on a map."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ClusterImages
from core.jobs.context import JobContext
from core.jobs.steps.build_graph import METRIC, N_NEIGHBORS, built_graph
from core.jobs.steps.measure_k_distances import measured_k_distances
from core.jobs.steps.recording import Found, part, record
from core.jobs.steps.run_ids import clustering_id
from core.jobs.steps.spaces import Space, choose_space
from core.latent.clustering_methods import (
    ClusteringConfig,
    DBSCANConfig,
    HDBSCANConfig,
    KMeansConfig,
    make_config,
)
from core.latent.metrics import BINARISATIONS, METRICS, MetricOptions
from core.state import catalog, runs
from core.state.runs import Run

if TYPE_CHECKING:
    from core.latent.clustering import ClusteringResult
    from core.latent.neighbor_graph import NeighborGraph

VERSION = 2  # part of every run's id: raise it when the same input gives other groups


def run(context: JobContext, config: ClusterImages) -> Mapping[str, Any]:
    """Cluster one run; with `sweep`, try every k first and take the best silhouette.

    Raises:
        OperatorError: there is no such run, it has too few or too many images, or no `eps` was
            given and the k-distance plot has no knee to take it from.
        ValueError: the method or a parameter is unknown or out of range.
    """
    space = choose_space(
        context.workspace, config.run, components=config.components, seed=config.seed
    )
    parameters: dict[str, Any] = dict(config.parameters)
    asked = make_config(config.method, parameters, seed=config.seed)
    sweep: Mapping[str, Any] | None = None
    reach: Run | None = None
    if config.sweep:
        sweep = _sweep(context, space, config, parameters)
        parameters["n_clusters"] = sweep["best_silhouette_k"]
    if config.method == "dbscan":
        reach = _k_distances(context, space, asked, is_needed="eps" not in parameters)
        if "eps" not in parameters and reach is not None:
            parameters["eps"] = _eps(reach)
    asked = make_config(config.method, parameters, seed=config.seed)
    settings = {
        "method": config.method,
        **space.settings,
        **asdict(asked),
        "seed": config.seed,
    }

    def compute() -> Found:
        from core.latent.clustering import cluster_vectors

        context.report(0.9 if sweep else 0.1, f"Clustering {space.run.n_images:,} images")
        vectors, notes = space.load(context.workspace)
        options = MetricOptions()
        metric = getattr(asked, "metric", "euclidean")
        if METRICS[metric].boolean:
            notes += (f"For boolean metrics {BINARISATIONS[options.binarise]}.",)
        graph = _graph(context, space, asked, vectors)
        found = cluster_vectors(vectors, asked, options, graph=graph, seed=config.seed)
        ids = runs.load_array(context.workspace, space.run, "image_ids")
        result = {
            "n_clusters": len(found.sizes),
            "n_noise": found.n_noise,
            "sizes": list(found.sizes),
            "inertia": found.inertia,
            "silhouette": found.silhouette,
            "silhouette_n": found.silhouette_n,
            "notes": [*notes, *found.notes],
            "sweep": sweep,
            "k_distances": reach.id if reach else None,
            "examples": _examples(vectors, found, ids),
        }
        arrays = {name: getattr(found, name) for name in ("labels", "distances", "centers")}
        return Found(ids, arrays, result)

    done = record(
        context,
        kind="clustering",
        id=clustering_id(settings, run=space.run.id, swept=sweep is not None, version=VERSION),
        parent=space.run,
        config=settings,
        compute=compute,
    )
    told = {name: value for name, value in done.result.items() if name != "examples"}
    return {"run": done.id, "method": config.method, **told, **agreement_now(context, done)}


def agreement_now(context: JobContext, clustering: Run) -> Mapping[str, Any]:
    """Agreement with the labels as they are now; it changes with them, and is no part of a run."""
    from core.latent.agreement import agreement

    ids = runs.load_array(context.workspace, clustering, "image_ids")
    labels = catalog.column(context.workspace, ids, "label")
    measured = agreement(labels, runs.load_array(context.workspace, clustering, "labels"))
    return {
        "ari": measured.adjusted_rand_index,
        "ari_n": measured.n,
        "ami": measured.adjusted_mutual_information,
        "homogeneity": measured.homogeneity,
        "completeness": measured.completeness,
        "v_measure": measured.v_measure,
    }


def _graph(
    context: JobContext, space: Space, asked: ClusteringConfig, vectors: np.ndarray
) -> "NeighborGraph | None":
    """The neighbours that a clustering reads: the embedding's own, or what a large set needs."""
    from core.latent.density import asks_all_pairs
    from core.latent.neighbor_graph import METRICS as GRAPH_METRICS

    if not isinstance(asked, DBSCANConfig | HDBSCANConfig) or asked.metric not in GRAPH_METRICS:
        return None
    is_shared = space.is_whole and asked.metric == METRIC
    n_images, n_features = vectors.shape
    if not is_shared and not asks_all_pairs(asked, n_images=n_images, n_features=n_features):
        return None
    _, graph = built_graph(
        context,
        space.run,
        vectors,
        report=part(context.report, 0.1, 0.8),
        n_neighbors=max(N_NEIGHBORS, asked.min_samples - 1),
        metric=asked.metric,
        space=None if space.is_whole else {**space.settings, "space_seed": space.seed},
    )
    return graph


def _sweep(
    context: JobContext, space: Space, config: ClusterImages, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    from core.latent.clustering import sweep_kmeans

    if config.method != "kmeans" or "n_clusters" in parameters:
        raise ValueError(
            "sweep is for k-means without n_clusters, got "
            f"{config.method} with {', '.join(parameters) or 'no parameters'}"
        )
    vectors, _ = space.load(context.workspace)
    largest = min(config.largest, len(vectors) - 1)
    if largest < 2:
        raise OperatorError(
            f"{len(vectors)} image(s) are too few to choose a number of clusters.",
            next_step="Give the number of clusters, or import more images.",
        )
    found = sweep_kmeans(
        vectors,
        range(2, largest + 1),
        n_init=parameters.get("n_init", KMeansConfig.n_init),
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


def _k_distances(context: JobContext, space: Space, asked: Any, *, is_needed: bool) -> Run | None:
    """The plot that eps is read from; None where there are too few images for one."""
    min_samples = max(asked.min_samples, 2)
    if space.run.n_images < min_samples and not is_needed:
        return None
    return measured_k_distances(context, space, min_samples=min_samples, metric=asked.metric)


def _eps(k_distances: Run) -> float:
    eps: float | None = k_distances.result["eps"]
    if eps is None:
        raise OperatorError(
            "The k-distance plot has no knee to take eps from.",
            "The images lie evenly, or are all alike.",
            "Give eps.",
        )
    return eps


def _examples(
    vectors: np.ndarray, found: "ClusteringResult", ids: np.ndarray
) -> list[dict[str, Any]]:
    """Ids of the images that show each cluster."""
    from core.latent.cluster_examples import choose_examples

    return [
        {
            "cluster": each.cluster,
            "centre": ids[list(each.centre)].tolist(),
            "border": ids[list(each.border)].tolist(),
            "furthest": ids[list(each.furthest)].tolist(),
        }
        for each in choose_examples(vectors, found.labels, found.centers)
    ]
