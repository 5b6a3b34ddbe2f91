"""Which images are every image's nearest neighbours? One graph that many questions are asked of.

Algorithm:
1. Rows are scaled to length 1 for cosine distance; for Euclidean distance their mean is taken off,
   which changes no distance and keeps rounding small.
2. Up to `EXACT_LIMIT` images every pair is compared, by matrix products a block of rows at a time.
   Beyond that, neighbours are sought by nearest-neighbour descent, and a sample of images is
   compared with all others to say how many neighbours were missed: at 50,000 x 1,280 features about
   one in a hundred, in a quarter of the time.
3. The distances to the neighbours found are measured again from the differences of the rows, so
   that identical rows are exactly 0 apart.

Source:
    Dong et al. (2011), "Efficient k-nearest neighbor graph construction for generic similarity
    measures", doi:10.1145/1963405.1963487.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.latent.reduction import unit_rows
from core.latent.vectors import check_vectors, draw_subset

METRICS = ("cosine", "euclidean")
EXACT_LIMIT = 20_000
RECALL_SAMPLE = 500

_BLOCK_NUMBERS = 16_000_000  # distances, or differences, held at once: 64 MB
_SPARE = 8  # found by matrix product above those wanted, so that its rounding drops no neighbour


@dataclass(frozen=True)
class NeighborGraph:
    """The k nearest neighbours of every image, nearest first, equally near ones by their row.

    Attributes:
        indices: int32 (n_images, k): rows; never the image itself.
        distances: float32 (n_images, k), ascending. Cosine distances lie in [0, 2] and are 1 to or
            from a row of zeros.
        metric: `cosine` or `euclidean`.
        is_exact: whether every pair of images was compared.
        recall: share of the true neighbours that were found, estimated on `RECALL_SAMPLE` images
            drawn at random; 1 where the graph is exact.
    """

    indices: np.ndarray
    distances: np.ndarray
    metric: str
    is_exact: bool
    recall: float

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def n_neighbors(self) -> int:
        return self.indices.shape[1]

    @property
    def note(self) -> str:
        """One sentence for a page: how the neighbours were found."""
        if self.is_exact:
            return "Neighbours are exact: every pair of images was compared."
        return (
            f"Neighbours are approximate beyond {EXACT_LIMIT:,} images: about {self.recall:.1%} of "
            "them were found."
        )


def build_neighbor_graph(
    vectors: np.ndarray,
    *,
    n_neighbors: int = 30,
    metric: str = "cosine",
    seed: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> NeighborGraph:
    """The nearest neighbours of every image.

    Args:
        vectors: float array (n_images, n_features).
        n_neighbors: at least 1; where there are no more images than that, each has all others.
        metric: `cosine` or `euclidean`.
        seed: of the approximate search and of the sample that its recall is estimated on.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Raises:
        ValueError: `n_neighbors` is below 1, the metric is unknown, or `vectors` is not
            two-dimensional.
        OperatorError: there are no vectors, or they are not finite.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    vectors = check_vectors(vectors)
    points = comparable_points(vectors, metric)
    k = min(n_neighbors, len(points) - 1)
    if k == 0:
        nobody = np.empty((len(points), 0))
        return NeighborGraph(nobody.astype(np.int32), nobody.astype(np.float32), metric, True, 1.0)
    if len(points) <= EXACT_LIMIT:
        indices, distances = _exact(points, np.arange(len(points)), k, metric, on_progress)
        return NeighborGraph(indices, distances, metric, True, 1.0)
    indices, distances = _approximate(points, k, metric, seed, on_progress)
    sample = draw_subset(len(points), RECALL_SAMPLE, seed=seed)
    _, true_distances = _exact(points, sample, k, metric)
    # By distance, for of images equally far away any will do.
    found = distances[sample] <= true_distances[:, -1:] * (1 + 1e-6)
    return NeighborGraph(indices, distances, metric, False, float(found.mean()))


def comparable_points(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Rows whose Euclidean distances tell those of the metric: see step 1 of the algorithm."""
    return unit_rows(vectors) if metric == "cosine" else vectors - vectors.mean(axis=0)


def measure_pairs(
    points: np.ndarray, rows: np.ndarray, others: np.ndarray, metric: str
) -> np.ndarray:
    """How far each of some rows is from its other, as a graph has it.

    Args:
        points: of `comparable_points`.
        rows: int array (n_pairs,).
        others: int array (n_pairs,).
        metric: `cosine` or `euclidean`.

    Returns:
        float32 (n_pairs,).
    """
    return _nearest_first(points, rows, others[:, None], 1, metric)[1][:, 0]


def _exact(
    points: np.ndarray,
    rows: np.ndarray,
    k: int,
    metric: str,
    on_progress: Callable[[float, str], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of some rows among all, by comparing them with all."""
    halves = (points * points).sum(axis=1) / 2
    n_candidates = min(k + _SPARE, len(points) - 1)
    indices = np.empty((len(rows), k), np.int32)
    distances = np.empty((len(rows), k), np.float32)
    at_once = max(1, _BLOCK_NUMBERS // len(points))
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        # x.y - |y|²/2 falls as the distance from x to y grows.
        nearness = points[some] @ points.T
        nearness -= halves
        nearness[np.arange(len(some)), some] = -np.inf
        candidates = np.argpartition(nearness, -n_candidates, axis=1)[:, -n_candidates:]
        block = slice(start, start + len(some))
        indices[block], distances[block] = _nearest_first(points, some, candidates, k, metric)
        if on_progress is not None:
            done = start + len(some)
            on_progress(done / len(rows), f"Neighbours of {done:,} of {len(rows):,} images")
    return indices, distances


def _approximate(
    points: np.ndarray,
    k: int,
    metric: str,
    seed: int,
    on_progress: Callable[[float, str], None] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of all rows, some of them missed."""
    from pynndescent import NNDescent

    if on_progress is not None:
        on_progress(0.0, "Searching for neighbours")
    # Of rows of length 1, the nearest by Euclidean distance are the nearest by cosine.
    search = NNDescent(points, metric="euclidean", n_neighbors=k + 1, random_state=seed)
    candidates: np.ndarray = search.neighbor_graph[0]
    itself: np.ndarray = candidates == np.arange(len(points))[:, None]
    itself[~itself.any(axis=1), -1] = True  # crowded out by identical rows: the last goes instead
    candidates = candidates[~itself].reshape(len(points), k)
    complete = (candidates >= 0).all(axis=1)
    indices = np.empty((len(points), k), np.int32)
    distances = np.empty((len(points), k), np.float32)
    rows = np.flatnonzero(complete)
    indices[rows], distances[rows] = _nearest_first(points, rows, candidates[rows], k, metric)
    rows = np.flatnonzero(~complete)
    indices[rows], distances[rows] = _exact(points, rows, k, metric)
    return indices, distances


def _nearest_first(
    points: np.ndarray, rows: np.ndarray, candidates: np.ndarray, k: int, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each row's candidates, measured exactly."""
    indices = np.empty((len(rows), k), np.int32)
    distances = np.empty((len(rows), k), np.float32)
    is_zero = np.count_nonzero(points, axis=1) == 0
    at_once = max(1, _BLOCK_NUMBERS // (candidates.shape[1] * points.shape[1]))
    for start in range(0, len(rows), at_once):
        block = slice(start, start + at_once)
        own, others = rows[block], candidates[block]
        differences = points[others] - points[own, None]
        squared = np.einsum("ijk,ijk->ij", differences, differences)
        if metric == "cosine":
            apart = np.where(is_zero[others] | is_zero[own, None], 1.0, squared / 2).clip(0.0, 2.0)
        else:
            apart = np.sqrt(squared)
        order = np.lexsort((others, apart), axis=1)[:, :k]
        indices[block] = np.take_along_axis(others, order, axis=1)
        distances[block] = np.take_along_axis(apart, order, axis=1)
    return indices, distances
