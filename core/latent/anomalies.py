"""Which images are unlike the others? Four scores, higher = more anomalous, without labels.

- `density`, the default: how much sparser an image's surroundings are than its neighbours'. It asks
  100 neighbours in a reduced space, so that a clump of a few dozen foreign images cannot vouch for
  itself, and weighs the absolute distance in a little. `docs/decisions/0013` has the figures.
- `dbscan` (cosine): the score is the `eps` at which the image stops being DBSCAN's noise, so noise
  is `score > eps` for every eps, and dragging the threshold is choosing eps.
- `isolation`: how few random cuts isolate the image (Isolation Forest).
- `knn`: mean distance to the nearest neighbours.

The paper removes what DBSCAN or the Isolation Forest finds, and reports what both find: `combine`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.bend import find_bend
from core.latent.methods import Parameter
from core.latent.neighbor_graph import NeighborGraph, build_neighbor_graph
from core.latent.reduction import reduce_vectors
from core.latent.vectors import check_vectors

METHODS = ("density", "dbscan", "isolation", "knn")
DEFAULT_METHOD = "density"
TITLES = {
    "density": "Sparse surroundings",
    "dbscan": "DBSCAN noise (cosine)",
    "isolation": "Isolation Forest",
    "knn": "Distance to the nearest",
}
N_COMPONENTS = 32
SURROUNDINGS_METRIC = "euclidean"  # in the reduced space
MIN_IMAGES = 3

# A clump of foreign images is seen as such while it is smaller than the neighbourhood; in a small
# set, neighbourhoods must stay smaller than its classes.
_MAX_DENSITY_NEIGHBORS = 100
_MIN_DENSITY_NEIGHBORS = 5
_DENSITY_SHARE = 16  # a neighbourhood is a sixteenth of all images, within those bounds

# How much the absolute distance weighs beside the local one. A clump that is far from everything
# may still be dense; without it, X-SDD among NEU-DET is found with 0.92 instead of 0.94.
_DISTANCE_POWER = 0.25
_N_TREES = 200
_FAR = 1.5  # times the usual distance: "far" in a reason


@dataclass(frozen=True)
class AnomalyConfig:
    """What the scores depend on.

    Attributes:
        contamination: the share of images that `density`, `isolation` and `knn` call anomalous
            until somebody drags the threshold.
        min_samples: DBSCAN's: images within eps, itself included, that make an image a core point.
        eps: DBSCAN's cosine distance; 0 takes the knee of the curve of distances.
        n_neighbors: neighbours that `knn` averages over.
        seed: of the Isolation Forest.

    Raises:
        ValueError: a value is out of range.
    """

    contamination: float = 0.05
    min_samples: int = 5
    eps: float = 0.0
    n_neighbors: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for parameter in PARAMETERS:
            parameter.check(getattr(self, parameter.name))


PARAMETERS = (
    Parameter(
        "contamination",
        "Share of anomalies",
        0.05,
        "The share of images called anomalous until the threshold is moved.",
        minimum=0.001,
        maximum=0.5,
        step=0.005,
    ),
    Parameter(
        "min_samples",
        "Core point from",
        5,
        "DBSCAN: images within eps, itself included, that make a dense place.",
        minimum=2,
        maximum=30,
    ),
    Parameter(
        "eps",
        "eps",
        0.0,
        "DBSCAN: how near by cosine distance is near; 0 takes the knee of the curve of distances.",
        minimum=0.0,
        maximum=2.0,
        step=0.01,
    ),
    Parameter(
        "n_neighbors",
        "Neighbours",
        10,
        "How many nearest images the distance is averaged over.",
        minimum=1,
        maximum=30,
    ),
    Parameter("seed", "Seed", 0, "Where the random numbers start.", minimum=0, maximum=2**31 - 1),
)


@dataclass(frozen=True)
class Histogram:
    """Counts of scores in bins of equal width.

    Attributes:
        edges: float64 (n_bins + 1,), ascending.
        counts: int64 (n_bins,).
    """

    edges: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class AnomalyScores:
    """One method's scores of all images.

    Attributes:
        method: one of `METHODS`.
        scores: float32 (n_images,), higher = more anomalous.
        threshold: the method's own suggestion: images above it are called anomalous.
    """

    method: str
    scores: np.ndarray
    threshold: float

    def rows_above(self, threshold: float | None = None) -> np.ndarray:
        """Rows of the images above a threshold (the suggested one if None), worst first."""
        above = np.flatnonzero(self.scores > (self.threshold if threshold is None else threshold))
        return above[np.argsort(-self.scores[above], kind="stable")]

    def counts_above(self, thresholds: np.ndarray) -> np.ndarray:
        """How many images are above each of some thresholds, int64 (n_thresholds,)."""
        ascending = np.sort(self.scores)
        # In the scores' own precision, as `rows_above` compares them.
        asked = np.asarray(thresholds).astype(ascending.dtype)
        return len(ascending) - np.searchsorted(ascending, asked, side="right")

    def histogram(self, *, n_bins: int = 40) -> Histogram:
        """How many images have which score."""
        counts, edges = np.histogram(self.scores.astype(np.float64), bins=n_bins)
        return Histogram(edges, counts)


@dataclass(frozen=True)
class Combination:
    """What two methods find together, as rows ascending: `either` the union, `both` the overlap."""

    either: np.ndarray
    both: np.ndarray


def find_anomalies(
    vectors: np.ndarray,
    graph: NeighborGraph,
    config: AnomalyConfig | None = None,
    *,
    surroundings: NeighborGraph | None = None,
) -> dict[str, AnomalyScores]:
    """All scores, by method, in the order of `METHODS`.

    Args:
        vectors: float array (n_images, n_features).
        graph: the cosine neighbours of the same images; with fewer neighbours than the config asks
            for, `dbscan` and `knn` make do with what there is.
        config: what the scores depend on.
        surroundings: what `find_surroundings` gave for the same images; searched for if None.

    Raises:
        ValueError: the graph is of other images or not of cosine distances.
        OperatorError: there are fewer than three images, or vectors are not finite.
    """
    config = config or AnomalyConfig()
    vectors = check_vectors(vectors)
    if len(vectors) != len(graph) or graph.metric != "cosine":
        raise ValueError(
            f"{len(vectors)} vectors need their cosine graph, got {graph.metric} of {len(graph)}"
        )
    if len(vectors) < MIN_IMAGES:
        raise OperatorError(
            f"Anomalies are looked for among at least {MIN_IMAGES} images, there are "
            f"{len(vectors)}.",
            next_step="Import more images.",
        )
    reduced = reduce_vectors(vectors, n_components=N_COMPONENTS)
    by_quantile = {
        "density": density_scores(surroundings or find_surroundings(reduced)),
        "isolation": isolation_scores(reduced, seed=config.seed),
        "knn": knn_scores(graph, n_neighbors=config.n_neighbors),
    }
    found = {
        method: AnomalyScores(method, scores, float(np.quantile(scores, 1 - config.contamination)))
        for method, scores in by_quantile.items()
    }
    noise = dbscan_scores(graph, min_samples=config.min_samples)
    eps = config.eps or knee_of(core_distances(graph, min_samples=config.min_samples))
    found["dbscan"] = AnomalyScores("dbscan", noise, eps)
    return {method: found[method] for method in METHODS}


def n_surroundings(n_images: int) -> int:
    """How many neighbours the density score asks in a set of that size."""
    wanted = n_images // _DENSITY_SHARE
    return min(max(wanted, _MIN_DENSITY_NEIGHBORS), _MAX_DENSITY_NEIGHBORS)


def find_surroundings(reduced: np.ndarray) -> NeighborGraph:
    """The Euclidean neighbours that `density_scores` asks.

    Args:
        reduced: float array (n_images, n_components): `reduce_vectors` to `N_COMPONENTS`.
    """
    return build_neighbor_graph(
        reduced, n_neighbors=n_surroundings(len(reduced)), metric=SURROUNDINGS_METRIC
    )


def density_scores(graph: NeighborGraph) -> np.ndarray:
    """How much sparser each image's surroundings are than those of its neighbours.

    The local outlier factor, times the fourth root of the distance to the neighbours over the usual
    one. 1 is usual.

    Args:
        graph: of `find_surroundings`.

    Returns:
        float32 (n_images,), above 0, higher = more anomalous.

    Source:
        Breunig et al. (2000), "LOF: identifying density-based local outliers",
        doi:10.1145/335191.335388.
    """
    if not graph.n_neighbors:
        return np.ones(len(graph), np.float32)
    distances = graph.distances.astype(np.float64)
    # The distance to a neighbour, but no less than what that neighbour needs to reach its own.
    reach = np.maximum(distances, distances[:, -1][graph.indices]).mean(axis=1)
    usual = float(np.median(reach)) or float(reach.max()) or 1.0
    reach += 1e-3 * usual  # more copies than neighbours would be infinitely dense
    local = reach * (1 / reach)[graph.indices].mean(axis=1)
    apart = distances.mean(axis=1) + 1e-3 * usual
    return (local * (apart / np.median(apart)) ** _DISTANCE_POWER).astype(np.float32)


def core_distances(graph: NeighborGraph, *, min_samples: int) -> np.ndarray:
    """Distance within which each image has `min_samples` images, itself included.

    Sorted, it is the curve whose knee suggests eps.

    Returns:
        float32 (n_images,); with fewer neighbours in the graph, the distance to the last.

    Raises:
        ValueError: `min_samples` is below 2, or the graph has no neighbours.
    """
    if min_samples < 2:
        raise ValueError(f"min_samples must be at least 2, got {min_samples}")
    _check_has_neighbors(graph)
    return graph.distances[:, min(min_samples - 1, graph.n_neighbors) - 1]


def dbscan_scores(graph: NeighborGraph, *, min_samples: int) -> np.ndarray:
    """The eps from which on an image is not noise: DBSCAN's noise is `scores > eps`, for every eps.

    An image is noise unless it is a core point itself or within eps of one. So the score is the
    least over itself and its neighbours of the larger of two distances: to that image, and that
    image's core distance. No neighbour farther than its own core distance can lower it, so the
    graph's neighbours suffice.

    Args:
        graph: with at least `min_samples - 1` neighbours, unless there are no more images.
        min_samples: images within eps, itself included, that make a core point.

    Returns:
        float32 (n_images,), in the graph's distance, higher = more anomalous.

    Raises:
        ValueError: `min_samples` is below 2, or the graph has no neighbours.

    Source:
        Ester et al. (1996), "A density-based algorithm for discovering clusters in large spatial
        databases with noise", KDD-96, pages 226-231.
    """
    core = core_distances(graph, min_samples=min_samples)
    through_neighbor = np.maximum(graph.distances, core[graph.indices]).min(axis=1)
    return np.minimum(core, through_neighbor)


def isolation_scores(reduced: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """How few random cuts it takes to isolate each image.

    Args:
        reduced: float array (n_images, n_components): on all 1,280 features the cuts mostly meet
            noise, and the AUROC of NEU-DET in X-SDD falls.
        seed: where the random numbers start.

    Returns:
        float32 (n_images,) in (0, 1], higher = more anomalous; about 0.5 is usual.

    Source:
        Liu et al. (2008), "Isolation forest", doi:10.1109/ICDM.2008.17.
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=_N_TREES, random_state=seed).fit(reduced)
    return (-forest.score_samples(reduced)).astype(np.float32)  # scikit-learn: lower is worse


def knn_scores(graph: NeighborGraph, *, n_neighbors: int) -> np.ndarray:
    """Mean distance to the nearest neighbours.

    Returns:
        float32 (n_images,), in the graph's distance, higher = more anomalous.

    Raises:
        ValueError: `n_neighbors` is below 1, or the graph has no neighbours.

    Source:
        Angiulli & Pizzuti (2002), "Fast outlier detection in high dimensional spaces",
        doi:10.1007/3-540-45681-3_2.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    _check_has_neighbors(graph)
    return graph.distances[:, :n_neighbors].mean(axis=1)


def knee_of(distances: np.ndarray) -> float:
    """Where the ascending curve of distances turns upwards: farthest below its chord.

    Args:
        distances: float array (n,), in any order.

    Returns:
        One of the distances; the largest where the curve is a straight line or flat.

    Raises:
        ValueError: there are no distances.
    """
    if not len(distances):
        raise ValueError("distances must hold at least one")
    curve = np.sort(distances)
    bend = find_bend(np.arange(len(curve)), curve)
    return float(curve[-1 if bend is None else bend])


def combine(first: np.ndarray, second: np.ndarray) -> Combination:
    """Union and overlap of what two methods found, as rows."""
    return Combination(either=np.union1d(first, second), both=np.intersect1d(first, second))


def anomaly_reasons(
    graph: NeighborGraph, rows: Sequence[int] | np.ndarray, labels: Sequence[str | None]
) -> list[str]:
    """A sentence an image: what sets it apart from the others.

    Args:
        graph: the neighbours of all images.
        rows: the images asked about.
        labels: a label an image, None where it has none; they explain, they score nothing.

    Raises:
        ValueError: there is not one label an image, or the graph has no neighbours.
    """
    if len(labels) != len(graph):
        raise ValueError(f"{len(labels)} labels, but {len(graph)} images")
    _check_has_neighbors(graph)
    nearest = graph.distances[:, 0]
    around = graph.distances.mean(axis=1)
    usual_nearest, usual_around = float(np.median(nearest)), float(np.median(around))
    # What an image is compared with when it is merely lonelier than those around it.
    among_neighbors = around[graph.indices].mean(axis=1)
    k = graph.n_neighbors
    reasons = []
    for row in rows:
        if nearest[row] > _FAR * usual_nearest:
            reason = (
                f"Far from everything: its nearest neighbour is {nearest[row]:.2g} away, where "
                f"{usual_nearest:.2g} is usual"
            )
        elif around[row] > _FAR * usual_around:
            reason = (
                f"One of few: its {k} nearest are {around[row]:.2g} away on average, where "
                f"{usual_around:.2g} is usual"
            )
        elif around[row] > among_neighbors[row]:
            reason = (
                f"On the edge: its {k} nearest are {around[row]:.2g} away on average, theirs "
                f"{among_neighbors[row]:.2g}"
            )
        else:
            reason = (
                f"An unusual mixture of features, though its {k} nearest are no farther away than "
                "theirs"
            )
        label = next((labels[other] for other in graph.indices[row] if labels[other]), None)
        reasons.append(f"{reason}; nearest labelled: {label}." if label else f"{reason}.")
    return reasons


def _check_has_neighbors(graph: NeighborGraph) -> None:
    if not graph.n_neighbors:
        raise ValueError("the graph has no neighbours: there is only one image")
