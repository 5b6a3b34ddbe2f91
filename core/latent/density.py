"""Where do images lie close together, and which lie alone?

DBSCAN and HDBSCAN, under any metric, and the k-distance plot that a reach for DBSCAN is read from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.bend import find_bend
from core.latent.clustering_methods import DBSCANConfig, HDBSCANConfig
from core.latent.distances import ComparableRows, make_comparable
from core.latent.metrics import MetricOptions, find_metric
from core.latent.neighbor_graph import METRICS as GRAPH_METRICS
from core.latent.neighbor_graph import NeighborGraph
from core.latent.vectors import check_vectors, draw_subset

# Neighbours are kept as one bit a pair: 50 MB for 20,000 images.
DBSCAN_LIMIT = 20_000
# HDBSCAN keeps all distances in float64, and scikit-learn a few copies: 800 MB each for 10,000.
HDBSCAN_LIMIT = 10_000
K_DISTANCE_LIMIT = 2_000
# Up to so many features a search tree beats comparing all pairs, and needs no such limit.
_TREE_FEATURES = 16
_TREE_PAIRS = 200_000_000  # neighbours that scikit-learn's DBSCAN lists, 8 bytes each


@dataclass(frozen=True)
class KDistances:
    """The k-distance plot.

    Attributes:
        distances: float32 (n_measured,), ascending: from an image to the k-th nearest other.
        k: which neighbour.
        knee: the place in `distances` where the curve turns upward, None where it does not bend.
        eps: the distance there: a start for DBSCAN's reach, None where there is no knee or it is 0.
    """

    distances: np.ndarray
    k: int
    knee: int | None
    eps: float | None


def k_distances(
    vectors: np.ndarray,
    *,
    min_samples: int = 5,
    metric: str = "cosine",
    options: MetricOptions | None = None,
    seed: int = 0,
) -> KDistances:
    """How far the k-th nearest other image is, for each image, and where that starts to soar.

    k is `min_samples - 1`, as DBSCAN counts an image among its own neighbours. Beyond 2,000 images
    it is measured for 2,000 drawn at random, among all.

    Args:
        vectors: float array (n_images, n_features).
        min_samples: DBSCAN's, at least 2.
        metric: a name or an alias.
        options: what the metric leaves open.
        seed: of the draw.

    Raises:
        ValueError: `min_samples` is below 2, there is no such metric, or `vectors` is not
            two-dimensional.
        OperatorError: there are fewer images than `min_samples`, or vectors are not finite.
    """
    if min_samples < 2:
        raise ValueError(f"min_samples must be at least 2, got {min_samples}")
    vectors = check_vectors(vectors)
    if len(vectors) < min_samples:
        raise OperatorError(
            f"{len(vectors):,} images are too few for {min_samples} in a dense spot.",
            next_step="Ask for fewer images in a dense spot, or import more.",
        )
    rows = make_comparable(vectors, metric, options)
    asked = draw_subset(len(vectors), K_DISTANCE_LIMIT, seed=seed)
    return _read_curve(_kth_nearest(rows, asked, k=min_samples - 1), k=min_samples - 1)


def k_distances_of(graph: NeighborGraph, *, min_samples: int = 5, seed: int = 0) -> KDistances:
    """The same from a neighbour graph, which holds every distance that the curve needs.

    Args:
        graph: with at least `min_samples - 1` neighbours.
        min_samples: DBSCAN's, at least 2.
        seed: of the draw.

    Raises:
        ValueError: `min_samples` is below 2, or the graph has too few neighbours.
    """
    if not 2 <= min_samples <= graph.n_neighbors + 1:
        raise ValueError(f"min_samples must lie in [2, {graph.n_neighbors + 1}], got {min_samples}")
    asked = draw_subset(len(graph), K_DISTANCE_LIMIT, seed=seed)
    return _read_curve(graph.distances[asked, min_samples - 2], k=min_samples - 1)


def asks_all_pairs(config: DBSCANConfig | HDBSCANConfig, *, n_images: int, n_features: int) -> bool:
    """Whether a clustering compares more pairs than are kept, unless it reads a neighbour graph."""
    if find_metric(config.metric).name == "euclidean" and n_features <= _TREE_FEATURES:
        return False
    return n_images > (DBSCAN_LIMIT if isinstance(config, DBSCANConfig) else HDBSCAN_LIMIT)


def fit_dbscan(
    vectors: np.ndarray, config: DBSCANConfig, options: MetricOptions | None = None
) -> np.ndarray:
    """DBSCAN's groups, exactly.

    Algorithm:
    1. Pairs within `eps`, as bits, block after block. An image with `min_samples` within reach,
       itself included, is a core.
    2. Cores within reach of each other are one cluster; clusters are numbered by their first core.
    3. Another image within reach of a core belongs to the first such cluster; the rest is noise.

    Returns:
        int64 (n_images,), -1 for noise.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: there are too many images, or vectors are not finite.

    Source:
        Ester et al. (1996), "A density-based algorithm for discovering clusters".
    """
    vectors = check_vectors(vectors)
    metric = find_metric(config.metric).name
    if len(vectors) > DBSCAN_LIMIT:
        if metric == "euclidean" and vectors.shape[1] <= _TREE_FEATURES:
            return _dbscan_by_tree(vectors, config)
        raise _too_many(len(vectors), DBSCAN_LIMIT)
    rows = make_comparable(vectors, metric, options)
    near = np.empty((len(rows), (len(rows) + 7) // 8), dtype=np.uint8)
    n_near = np.empty(len(rows), dtype=np.int64)
    for some, distances in rows.blocks():
        within = distances <= config.eps
        near[some] = np.packbits(within, axis=1)
        n_near[some] = within.sum(axis=1)
    is_core = n_near >= config.min_samples

    # A cluster is named by its first core until all cores are joined.
    cluster = np.where(is_core, np.arange(len(rows)), -1)
    for row in np.flatnonzero(is_core).tolist():
        names = cluster[_neighbours(near, row, len(rows)) & is_core]
        if names.min() < names.max():
            cluster[np.isin(cluster, names)] = names.min()
    labels = np.full(len(rows), -1, dtype=np.int64)
    _, labels[is_core] = np.unique(cluster[is_core], return_inverse=True)
    core_labels = labels.copy()
    for row in np.flatnonzero(~is_core & (n_near > 1)).tolist():
        reached = core_labels[_neighbours(near, row, len(rows)) & is_core]
        if len(reached):
            labels[row] = reached.min()
    return labels


def fit_hdbscan(
    vectors: np.ndarray, config: HDBSCANConfig, options: MetricOptions | None = None
) -> np.ndarray:
    """HDBSCAN's groups, by scikit-learn.

    Returns:
        int64 (n_images,), -1 for noise; all noise where there are fewer images than
        `min_cluster_size` or `min_samples`.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: there are too many images, or vectors are not finite.
    """
    from sklearn.cluster import HDBSCAN

    vectors = check_vectors(vectors)
    if len(vectors) < max(config.min_cluster_size, config.min_samples, 2):
        return np.full(len(vectors), -1, dtype=np.int64)
    metric = find_metric(config.metric).name
    model = HDBSCAN(
        min_cluster_size=config.min_cluster_size,
        min_samples=config.min_samples,
        metric="precomputed",
        copy=False,
    )
    if metric == "euclidean" and vectors.shape[1] <= _TREE_FEATURES:
        return model.set_params(metric="euclidean").fit(vectors).labels_
    if len(vectors) > HDBSCAN_LIMIT:
        raise _too_many(len(vectors), HDBSCAN_LIMIT)
    distances = make_comparable(vectors, metric, options).distances()
    return model.fit(distances.astype(np.float64)).labels_


def _read_curve(distances: np.ndarray, *, k: int) -> KDistances:
    found = np.sort(distances)
    knee = find_bend(np.arange(len(found)), found)
    eps = float(found[knee]) if knee is not None and found[knee] > 0 else None
    return KDistances(found, k, knee, eps)


def _kth_nearest(rows: ComparableRows, asked: np.ndarray, *, k: int) -> np.ndarray:
    """Distance from some rows to their k-th nearest other row, float32 (len(asked),)."""
    found = np.empty(len(asked), dtype=np.float32)
    for start in range(0, len(asked), 512):
        own = asked[start : start + 512]
        distances = rows.compare(rows.values[own], rows.values)
        distances[np.arange(len(own)), own] = -1.0  # before all others
        found[start : start + len(own)] = np.partition(distances, k, axis=1)[:, k]
    return found


def _neighbours(near: np.ndarray, row: int, n: int) -> np.ndarray:
    """bool (n,), from one row of bits."""
    return np.unpackbits(near[row], count=n).view(bool)


def _dbscan_by_tree(vectors: np.ndarray, config: DBSCANConfig) -> np.ndarray:
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import KDTree

    tree = KDTree(vectors)
    asked = draw_subset(len(vectors), 1_000, seed=0)
    n_near = tree.query_radius(vectors[asked], config.eps, count_only=True).mean()
    if n_near * len(vectors) > _TREE_PAIRS:
        raise OperatorError(
            f"A reach of {config.eps:g} makes {n_near:,.0f} images neighbours of each.",
            "That is too many pairs, and would be one group.",
            "Choose a smaller reach.",
        )
    model = DBSCAN(eps=config.eps, min_samples=config.min_samples, algorithm="kd_tree")
    return model.fit(vectors).labels_


def _too_many(n: int, limit: int) -> OperatorError:
    return OperatorError(
        f"{n:,} images are too many to compare all pairs of.",
        f"The limit is {limit:,}.",
        f"Use {' or '.join(GRAPH_METRICS)} distance, for which a graph of neighbours is enough, or "
        "K-means.",
    )
