"""Which images belong together?

Works on latent vectors, on principal components of them, and on the plane of a projection alike.
A clustering method is one entry of `METHODS` and one config class; what it finds is the same
`ClusteringResult` for all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.agreement import Agreement, agreement
from core.latent.bend import find_bend
from core.latent.clustering_methods import (
    METHODS,
    AgglomerativeConfig,
    ClusteringConfig,
    ClusteringMethod,
    DBSCANConfig,
    HDBSCANConfig,
    KMeansConfig,
)
from core.latent.density import fit_dbscan, fit_hdbscan
from core.latent.hierarchy import fit_agglomerative
from core.latent.metrics import MetricOptions
from core.latent.neighbor_graph import NeighborGraph
from core.latent.reachability import dbscan_by_graph, hdbscan_by_graph
from core.latent.vectors import check_vectors, draw_subset

__all__ = [
    "METHODS",
    "Agreement",
    "ClusteringMethod",
    "ClusteringResult",
    "KMeansConfig",
    "Sweep",
    "SweepRow",
    "agreement",
    "assign_clusters",
    "cluster_kmeans",
    "cluster_vectors",
    "sweep_kmeans",
]

# The silhouette needs the distances between all pairs; 2,000 images estimate it within about 0.01.
SILHOUETTE_LIMIT = 2_000


@dataclass(frozen=True)
class ClusteringResult:
    """Groups of images, row i of the vectors in row i.

    Attributes:
        labels: int32 (n_images,), 0 for the largest cluster and so on by size; -1 for noise.
        sizes: images in each cluster, noise not counted.
        n_noise: images that belong to no cluster.
        centers: float32 (n_clusters, n_features), the mean of each cluster.
        distances: float32 (n_images,), Euclidean distance to the own cluster's centre whatever the
            method's metric, higher = less typical of its cluster; NaN for noise.
        inertia: sum of the squared distances, noise not counted, lower = tighter.
        silhouette: mean Euclidean silhouette in [-1, 1], noise left out, higher = better separated;
            None where it is not defined: fewer than two clusters, or a cluster for every image.
        silhouette_n: how many images it was measured on.
        notes: what a person who reads the groups must know.
    """

    labels: np.ndarray
    sizes: tuple[int, ...]
    n_noise: int
    centers: np.ndarray
    distances: np.ndarray
    inertia: float
    silhouette: float | None
    silhouette_n: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SweepRow:
    """K-means at one k; `silhouette` is None where it is not defined."""

    k: int
    inertia: float
    silhouette: float | None


@dataclass(frozen=True)
class Sweep:
    """K-means over several k.

    Attributes:
        rows: in ascending k.
        best_silhouette_k: the k of the highest silhouette, None where none is defined.
        elbow_k: the k where the curve of inertia bends most, None where it does not bend.
        silhouette_n: how many images the silhouettes were measured on.
    """

    rows: tuple[SweepRow, ...]
    best_silhouette_k: int | None
    elbow_k: int | None
    silhouette_n: int


def assign_clusters(
    vectors: np.ndarray, config: ClusteringConfig, options: MetricOptions | None = None
) -> np.ndarray:
    """The cluster of each image and nothing else: int64 (n_images,) in no order, -1 for noise.

    Args:
        vectors: float array (n_images, n_features).
        config: the method, by its class, and its parameters.
        options: what the method's metric leaves open.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: the images are too few or too many, or the vectors are not finite.
    """
    match config:
        case KMeansConfig():
            return _fit_kmeans(check_vectors(vectors), config)[0]
        case DBSCANConfig():
            return fit_dbscan(vectors, config, options)
        case HDBSCANConfig():
            return fit_hdbscan(vectors, config, options)
        case AgglomerativeConfig():
            return fit_agglomerative(vectors, config, options)


def cluster_vectors(
    vectors: np.ndarray,
    config: ClusteringConfig,
    options: MetricOptions | None = None,
    *,
    graph: NeighborGraph | None = None,
    seed: int = 0,
) -> ClusteringResult:
    """Group vectors by one of `METHODS`, and measure the groups.

    Args:
        vectors: float array (n_images, n_features): latent vectors or points on a plane.
        config: the method, by its class, and its parameters.
        options: what the method's metric leaves open.
        graph: the images' neighbours by the method's metric, for DBSCAN and HDBSCAN to read in
            place of all distances.
        seed: of the images that the silhouette of a large set is measured on; K-means has its own.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: the images are too few or too many, or the vectors are not finite.
    """
    if isinstance(config, KMeansConfig):
        return cluster_kmeans(vectors, config)
    vectors = check_vectors(vectors)
    notes: tuple[str, ...] = ()
    if graph is not None and isinstance(config, DBSCANConfig | HDBSCANConfig):
        found, notes = _by_graph(vectors, graph, config)
    else:
        found = assign_clusters(vectors, config, options)
    sizes = np.bincount(found[found >= 0], minlength=1 if (found >= 0).any() else 0)
    labels = _by_size(found, sizes)
    centers = np.zeros((len(sizes), vectors.shape[1]), dtype=np.float32)
    for cluster in range(len(sizes)):
        centers[cluster] = vectors[labels == cluster].mean(axis=0, dtype=np.float64)
    n_noise = int((labels < 0).sum())
    if n_noise == len(labels):
        notes += ("All images are noise: no spot is dense enough by these settings.",)
    elif len(sizes) == 1:
        notes += ("All images that are not noise form one cluster.",)
    return _measured(vectors, labels, centers, seed=seed, notes=notes)


def cluster_kmeans(vectors: np.ndarray, config: KMeansConfig) -> ClusteringResult:
    """Group vectors around `n_clusters` centres.

    Args:
        vectors: float array (n_images, n_features): latent vectors or points on a plane.
        config: k, restarts and seed.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: there are fewer images than clusters, or the vectors are not finite.
    """
    vectors = check_vectors(vectors)
    found, found_centers = _fit_kmeans(vectors, config)
    sizes = np.bincount(found, minlength=config.n_clusters)
    order = np.argsort(-sizes, kind="stable")
    n_empty = int((sizes == 0).sum())
    notes = (
        (f"{n_empty} clusters are empty: there are fewer distinct images than clusters.",)
        if n_empty
        else ()
    )
    labels = _by_size(found, sizes)
    return _measured(vectors, labels, found_centers[order], seed=config.seed, notes=notes)


def sweep_kmeans(
    vectors: np.ndarray,
    ks: Sequence[int],
    *,
    n_init: int = 10,
    seed: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> Sweep:
    """K-means for every k, for a silhouette plot, an elbow plot and two suggestions of k.

    A k above the number of images is left out.

    Raises:
        ValueError: `ks` is empty or holds a k below 1, or `vectors` is not two-dimensional.
        OperatorError: there are fewer images than the smallest k, or vectors are not finite.
    """
    if not ks:
        raise ValueError("ks must hold at least one k")
    vectors = check_vectors(vectors)
    possible = sorted(k for k in set(ks) if k <= max(len(vectors), min(ks)))
    rows = []
    silhouette_n = 0
    for done, k in enumerate(possible):
        if on_progress is not None:
            on_progress(done / len(possible), f"K-means with {k} clusters")
        result = cluster_kmeans(vectors, KMeansConfig(n_clusters=k, n_init=n_init, seed=seed))
        rows.append(SweepRow(k, result.inertia, result.silhouette))
        silhouette_n = max(silhouette_n, result.silhouette_n)
    scored = [(row.silhouette, -row.k) for row in rows if row.silhouette is not None]
    falls = rows[0].inertia > rows[-1].inertia
    elbow = find_bend([row.k for row in rows], [row.inertia for row in rows]) if falls else None
    return Sweep(
        rows=tuple(rows),
        best_silhouette_k=-max(scored)[1] if scored else None,
        elbow_k=None if elbow is None else rows[elbow].k,
        silhouette_n=silhouette_n,
    )


def _by_graph(
    vectors: np.ndarray, graph: NeighborGraph, config: DBSCANConfig | HDBSCANConfig
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels in no order, and how the neighbours were found."""
    if isinstance(config, DBSCANConfig):
        labels, is_exact = dbscan_by_graph(vectors, graph, config)
    else:
        labels, is_exact = hdbscan_by_graph(vectors, graph, config)
    if is_exact:
        return labels, (graph.note,)
    return labels, (graph.note, "A group may be split in two where a neighbour was missed.")


def _fit_kmeans(vectors: np.ndarray, config: KMeansConfig) -> tuple[np.ndarray, np.ndarray]:
    """Labels and centres, float32 (n_clusters, n_features), in no order."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    k = config.n_clusters
    if k > len(vectors):
        raise OperatorError(
            f"{len(vectors):,} images cannot form {k:,} clusters.",
            next_step=f"Choose at most {len(vectors):,} clusters.",
        )
    with warnings.catch_warnings():
        # Fewer distinct images than clusters: said in a note instead.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = KMeans(n_clusters=k, n_init=config.n_init, random_state=config.seed).fit(vectors)
    return model.labels_.astype(np.int64), model.cluster_centers_.astype(np.float32)


def _by_size(labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The same clusters numbered by size, the largest 0, as int32; noise stays -1."""
    rank = np.empty(len(sizes), dtype=np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes), dtype=np.int32)
    renumbered = np.full(len(labels), -1, dtype=np.int32)
    renumbered[labels >= 0] = rank[labels[labels >= 0]]
    return renumbered


def _measured(
    vectors: np.ndarray,
    labels: np.ndarray,
    centers: np.ndarray,
    *,
    seed: int,
    notes: tuple[str, ...],
) -> ClusteringResult:
    """The result of clusters that are numbered by size."""
    clustered = np.flatnonzero(labels >= 0)
    distances = np.full(len(labels), np.nan, dtype=np.float32)
    distances[clustered] = np.linalg.norm(vectors[clustered] - centers[labels[clustered]], axis=1)
    value, n_measured = _silhouette(vectors[clustered], labels[clustered], seed=seed)
    if n_measured and n_measured < len(clustered):
        notes = (
            *notes,
            f"The silhouette was measured on {n_measured:,} of {len(clustered):,} images, drawn at "
            "random.",
        )
    return ClusteringResult(
        labels=labels,
        sizes=tuple(np.bincount(labels[clustered], minlength=len(centers)).tolist()),
        n_noise=len(labels) - len(clustered),
        centers=centers,
        distances=distances,
        inertia=float((distances[clustered].astype(np.float64) ** 2).sum()),
        silhouette=value,
        silhouette_n=n_measured,
        notes=notes,
    )


def _silhouette(vectors: np.ndarray, labels: np.ndarray, *, seed: int) -> tuple[float | None, int]:
    """Mean Euclidean silhouette, and how many images it was measured on."""
    from sklearn.metrics import silhouette_score

    rows = draw_subset(len(vectors), SILHOUETTE_LIMIT, seed=seed)
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return None, 0
    return float(silhouette_score(vectors[rows], labels[rows])), len(rows)
