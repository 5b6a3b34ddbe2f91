"""How far must one reach to get from image to image? DBSCAN and HDBSCAN from a neighbour graph.

The mutual reachability of two images is the distance between them, but no less than what either
needs to have `min_samples` images around it. A minimum spanning tree of it holds the whole answer:
cut at `eps` it gives DBSCAN's cores, and its branches are HDBSCAN's groups.

Algorithm (Borůvka's, on a graph that lists only the nearest):
1. Every group of images (each alone, at first) takes its shortest listed edge to another group.
2. What the graph does not list lies at least as far away as the last one listed. Where that is
   nearer than the edge taken, the image is compared with all others, so that no edge is missed.
   What it finds is as near as anything outside its group will ever be.
3. The edges taken join groups, until one is left or no edge within `eps` is. The largest group need
   not look: the others do.

So the tree of an exact graph is exact, though each image lists only some tens of neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.latent.clustering_methods import DBSCANConfig, HDBSCANConfig
from core.latent.neighbor_graph import NeighborGraph, comparable_points, measure_pairs
from core.latent.vectors import check_vectors

# Of a graph that is approximate already, so many images a round are compared with all others.
SEARCH_LIMIT = 4_000
_BLOCK_NUMBERS = 16_000_000  # distances held at once: 64 MB
# To SciPy an edge of length 0 is none; this is less than float32 tells apart in a unit.
_TOUCHING = 1e-12


@dataclass(frozen=True)
class ReachabilityTree:
    """A minimum spanning tree of mutual reachability, or the forest of its edges up to a reach.

    Attributes:
        first: int64 (n_edges,), rows.
        second: int64 (n_edges,), rows.
        reach: float64 (n_edges,), how far one must reach from one to the other.
        is_exact: whether the graph was exact, and every image compared that had to be.
    """

    first: np.ndarray
    second: np.ndarray
    reach: np.ndarray
    is_exact: bool


def dbscan_by_graph(
    vectors: np.ndarray, graph: NeighborGraph, config: DBSCANConfig
) -> tuple[np.ndarray, bool]:
    """DBSCAN's groups; exactly those of all pairs, where the graph is exact.

    Args:
        vectors: float array (n_images, n_features).
        graph: their neighbours by the config's metric, at least `min_samples - 1` of them unless
            there are no more images.
        config: reach, density and metric.

    Returns:
        (labels, is_exact): int64 (n_images,), numbered by the first core of each, -1 for noise; and
        whether they are exact.

    Raises:
        ValueError: the graph is of other images or another metric, or has too few neighbours.
        OperatorError: vectors are not finite.
    """
    core = _core_distances(vectors, graph, config.metric, config.min_samples)
    is_core = core <= config.eps
    tree = spanning_tree(vectors, graph, core, max_reach=config.eps)
    group = _connected(len(core), tree.first, tree.second)
    labels = np.full(len(core), -1, dtype=np.int64)
    _, first, of_core = np.unique(group[is_core], return_index=True, return_inverse=True)
    labels[is_core] = np.argsort(np.argsort(first))[of_core]
    # An image that is no core has fewer than `min_samples` within reach: the graph lists them all.
    near = (graph.distances <= config.eps) & is_core[graph.indices] & ~is_core[:, None]
    reached = np.where(near, labels[graph.indices], len(core)).min(axis=1, initial=len(core))
    borders = ~is_core & (reached < len(core))
    labels[borders] = reached[borders]
    return labels, tree.is_exact


def hdbscan_by_graph(
    vectors: np.ndarray, graph: NeighborGraph, config: HDBSCANConfig
) -> tuple[np.ndarray, bool]:
    """HDBSCAN's groups: scikit-learn's, of the spanning tree in place of all distances.

    Args:
        vectors: float array (n_images, n_features).
        graph: their neighbours by the config's metric, at least `min_samples - 1` of them unless
            there are no more images.
        config: smallest group, density and metric.

    Returns:
        (labels, is_exact): int64 (n_images,), -1 for noise; all noise where there are fewer images
        than `min_cluster_size` or `min_samples`; and whether they are exact, but for ties.

    Raises:
        ValueError: the graph is of other images or another metric, or has too few neighbours.
        OperatorError: vectors are not finite.
    """
    from scipy.sparse import coo_array
    from sklearn.cluster import HDBSCAN

    n = len(vectors)
    core = _core_distances(vectors, graph, config.metric, config.min_samples)
    if n < max(config.min_cluster_size, config.min_samples, 2):
        return np.full(n, -1, dtype=np.int64), True
    tree = spanning_tree(vectors, graph, core)
    both_ways = (np.r_[tree.first, tree.second], np.r_[tree.second, tree.first])
    reach = np.tile(np.maximum(tree.reach, _TOUCHING), 2)
    # With one image in a dense spot, itself, scikit-learn takes these lengths as they are.
    model = HDBSCAN(
        min_cluster_size=config.min_cluster_size, min_samples=1, metric="precomputed", copy=False
    )
    model.fit(coo_array((reach, both_ways), shape=(n, n)).tocsr())
    return model.labels_.astype(np.int64), tree.is_exact


def spanning_tree(
    vectors: np.ndarray, graph: NeighborGraph, core: np.ndarray, *, max_reach: float = np.inf
) -> ReachabilityTree:
    """The spanning tree of mutual reachability, up to a reach.

    Args:
        vectors: float array (n_images, n_features).
        graph: their neighbours.
        core: float array (n_images,), how far each image must reach to be dense; at most the
            distance to the last neighbour in the graph.
        max_reach: longer edges are left out.

    Raises:
        OperatorError: vectors are not finite.
    """
    points = comparable_points(check_vectors(vectors), graph.metric)
    n = len(points)
    core = np.asarray(core, np.float64)
    listed = np.maximum(graph.distances.astype(np.float64), core[graph.indices])
    listed = np.maximum(listed, core[:, None])
    others = graph.indices.astype(np.int64)
    # Nothing unlisted lies nearer; where all others are listed, nothing is unlisted.
    n_listed = others.shape[1]
    last = graph.distances[:, -1] if 0 < n_listed < n - 1 else np.full(n, np.inf)
    bound = np.maximum(last.astype(np.float64), core)
    found = np.full(n, -1, dtype=np.int64)  # the nearest outside, of those compared with all

    group = np.arange(n)
    edges: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    is_exact, rounds = graph.is_exact, 0
    while True:
        outside = group[others] != group[:, None]
        lengths = np.where(outside, listed, np.inf)
        rows = np.arange(n)
        partner, shortest = rows, np.full(n, np.inf)
        if n_listed:
            at = lengths.argmin(axis=1)
            partner, shortest = others[rows, at], lengths[rows, at]
        kept = (found >= 0) & (group[found] != group)
        better = kept & (bound < shortest)
        partner[better], shortest[better] = found[better], bound[better]

        sizes = np.bincount(group, minlength=n)
        largest = int(sizes.argmax())
        best = np.full(n, np.inf)
        np.minimum.at(best, group, shortest)
        asking = (group != largest) & (bound < best[group]) & (bound <= max_reach) & ~kept
        to_search = np.flatnonzero(asking)
        to_search = to_search[np.argsort(bound[to_search], kind="stable")]
        if not graph.is_exact and len(to_search) > SEARCH_LIMIT:
            is_exact = False
            drawn = np.random.default_rng(rounds).permutation(len(to_search))[:SEARCH_LIMIT]
            to_search = to_search[np.sort(drawn)]
        at_once = max(1, _BLOCK_NUMBERS // n)
        for start in range(0, len(to_search), at_once):
            some = to_search[start : start + at_once]
            some = some[bound[some] < best[group[some]]]
            if not len(some):
                continue
            nearest, reach = _nearest_outside(points, graph.metric, core, group, some)
            found[some], bound[some] = nearest, np.maximum(bound[some], reach)
            nearer = reach < shortest[some]
            partner[some[nearer]], shortest[some[nearer]] = nearest[nearer], reach[nearer]
            np.minimum.at(best, group[some], reach)

        taken = np.flatnonzero((group != largest) & (shortest <= max_reach) & np.isfinite(shortest))
        taken = taken[np.lexsort((taken, shortest[taken], group[taken]))]
        _, first = np.unique(group[taken], return_index=True)
        taken = taken[first]  # of every group its shortest
        if not len(taken):
            break
        edges.append(_without_rings(group, taken, partner[taken], shortest[taken]))
        group = _connected(n, *(np.concatenate([each[side] for each in edges]) for side in (0, 1)))
        rounds += 1
    if not edges:
        nothing = np.empty(0, np.int64)
        return ReachabilityTree(nothing, nothing, np.empty(0), is_exact)
    first, second, reach = (np.concatenate(each) for each in zip(*edges, strict=True))
    return ReachabilityTree(first, second, reach, is_exact)


def _nearest_outside(
    points: np.ndarray, metric: str, core: np.ndarray, group: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of some rows the row outside its group within the shortest reach, and that reach."""
    products = points[rows] @ points.T
    if metric == "cosine":
        apart = 1.0 - products
    else:
        lengths = (points * points).sum(axis=1)
        apart = np.sqrt((lengths[rows, None] + lengths - 2 * products).clip(0.0))
    reach = np.maximum(apart, core.astype(np.float32))
    reach[group[rows][:, None] == group] = np.inf
    nearest = reach.argmin(axis=1)
    exactly = measure_pairs(points, rows, nearest, metric).astype(np.float64)
    return nearest, np.maximum(exactly, np.maximum(core[rows], core[nearest]))


def _without_rings(
    group: np.ndarray, first: np.ndarray, second: np.ndarray, reach: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those edges that join groups which shorter ones among them have not joined already."""
    parent = {int(each): int(each) for each in np.r_[group[first], group[second]]}

    def root(each: int) -> int:
        while parent[each] != each:
            parent[each] = each = parent[parent[each]]
        return each

    kept = []
    for edge in np.argsort(reach, kind="stable").tolist():
        one, other = root(int(group[first[edge]])), root(int(group[second[edge]]))
        if one != other:
            parent[one] = other
            kept.append(edge)
    return first[kept], second[kept], reach[kept]


def _connected(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The number of the connected part that each row is in, from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    joined = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    return connected_components(joined, directed=False)[1].astype(np.int64)


def _core_distances(
    vectors: np.ndarray, graph: NeighborGraph, metric: str, min_samples: int
) -> np.ndarray:
    """How far each image must reach to have `min_samples` images, itself included."""
    n = len(vectors)
    if len(graph) != n or graph.metric != metric:
        raise ValueError(
            f"{n} vectors need their {metric} graph, got {graph.metric} of {len(graph)}"
        )
    if min_samples == 1:
        return np.zeros(n)
    if min_samples > n:
        return np.full(n, np.inf)
    if graph.n_neighbors < min_samples - 1:
        raise ValueError(
            f"min_samples {min_samples} needs {min_samples - 1} neighbours, got {graph.n_neighbors}"
        )
    return graph.distances[:, min_samples - 2].astype(np.float64)
