"""Which images belong together, and how well do the groups agree with the labels?

Works on latent vectors and on the plane of a projection alike. A clustering method is one entry of
`METHODS` and one config class; what it finds is the same `ClusteringResult` for all of them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.methods import Parameter
from core.latent.vectors import check_vectors, draw_subset

log = logging.getLogger(__name__)

# The silhouette needs the distances between all pairs; 2,000 images estimate it within about 0.01.
SILHOUETTE_LIMIT = 2_000


@dataclass(frozen=True)
class ClusteringMethod:
    """One way to group vectors.

    Attributes:
        name: how configs call it.
        title: how a page calls it.
        shows: one line on what its groups mean.
        parameters: what can be set, in the order of a page's widgets.
    """

    name: str
    title: str
    shows: str
    parameters: tuple[Parameter, ...]


METHODS = {
    method.name: method
    for method in (
        ClusteringMethod(
            name="kmeans",
            title="K-means",
            shows="Round groups of similar extent; every image belongs to one.",
            parameters=(
                Parameter(
                    name="n_clusters",
                    title="Clusters",
                    default=4,
                    explanation="How many groups. The paper takes one more than there are classes.",
                    minimum=1,
                    maximum=100,
                ),
                Parameter(
                    name="n_init",
                    title="Restarts",
                    default=10,
                    explanation="The best of so many random starts is kept.",
                    minimum=1,
                    maximum=100,
                ),
            ),
        ),
    )
}


@dataclass(frozen=True)
class KMeansConfig:
    """K-means with k-means++ starts.

    Raises:
        ValueError: a parameter is out of the range that `METHODS` gives.
    """

    n_clusters: int = 4
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for parameter in METHODS["kmeans"].parameters:
            parameter.check(getattr(self, parameter.name))
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must lie in [0, 4294967295], got {self.seed!r}")


@dataclass(frozen=True)
class ClusteringResult:
    """Groups of images, row i of the vectors in row i.

    Attributes:
        labels: int32 (n_images,), 0 for the largest cluster and so on by size; -1 for noise.
        sizes: images in each cluster, noise not counted.
        n_noise: images that belong to no cluster.
        centers: float32 (n_clusters, n_features).
        distances: float32 (n_images,), Euclidean distance to the own cluster's centre, higher =
            less typical of its cluster.
        inertia: sum of the squared distances, lower = tighter.
        silhouette: mean Euclidean silhouette in [-1, 1], higher = better separated; None where it
            is not defined: fewer than two clusters, or a cluster for every image.
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


@dataclass(frozen=True)
class Agreement:
    """How far clusters and labels say the same.

    Attributes:
        adjusted_rand_index: 1 where they do, about 0 where they are independent, down to -0.5;
            None where fewer than two images have a label.
        n: how many images have a label and count.
    """

    adjusted_rand_index: float | None
    n: int


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
    labels, centers, notes = _fit_kmeans(vectors, config)
    distances = np.linalg.norm(vectors - centers[labels], axis=1)
    value, n_measured = _silhouette(vectors, labels, seed=config.seed)
    if n_measured and n_measured < len(vectors):
        notes = (
            *notes,
            f"The silhouette was measured on {n_measured:,} of {len(vectors):,} images, drawn at "
            "random.",
        )
    return ClusteringResult(
        labels=labels,
        sizes=tuple(np.bincount(labels, minlength=len(centers)).tolist()),
        n_noise=0,
        centers=centers,
        distances=distances,
        inertia=float((distances.astype(np.float64) ** 2).sum()),
        silhouette=value,
        silhouette_n=n_measured,
        notes=notes,
    )


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
    return Sweep(
        rows=tuple(rows),
        best_silhouette_k=-max(scored)[1] if scored else None,
        elbow_k=_elbow([row.k for row in rows], [row.inertia for row in rows]),
        silhouette_n=silhouette_n,
    )


def agreement(labels: Sequence[str | None], cluster_labels: np.ndarray) -> Agreement:
    """Adjusted Rand index between labels and clusters, over the images that have a label.

    Noise (-1) counts as one cluster.

    Args:
        labels: a label an image, None or empty where it has none.
        cluster_labels: int array of the same length.

    Raises:
        ValueError: the lengths differ.

    Source:
        Hubert & Arabie (1985), "Comparing partitions", doi:10.1007/BF01908075.
    """
    from sklearn.metrics import adjusted_rand_score

    if len(labels) != len(cluster_labels):
        raise ValueError(f"{len(labels)} labels, but {len(cluster_labels)} cluster labels")
    labelled = [i for i, label in enumerate(labels) if label]
    if len(labelled) < 2:
        return Agreement(None, len(labelled))
    known = [labels[i] for i in labelled]
    return Agreement(
        float(adjusted_rand_score(known, np.asarray(cluster_labels)[labelled])), len(labelled)
    )


def _fit_kmeans(
    vectors: np.ndarray, config: KMeansConfig
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Labels and centres, clusters in descending size, and notes."""
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
    sizes = np.bincount(model.labels_, minlength=k)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty(k, dtype=np.int32)
    rank[order] = np.arange(k, dtype=np.int32)
    n_empty = int((sizes == 0).sum())
    notes = (
        (f"{n_empty} clusters are empty: there are fewer distinct images than clusters.",)
        if n_empty
        else ()
    )
    return rank[model.labels_], model.cluster_centers_[order].astype(np.float32), notes


def _silhouette(vectors: np.ndarray, labels: np.ndarray, *, seed: int) -> tuple[float | None, int]:
    """Mean Euclidean silhouette, and how many images it was measured on."""
    from sklearn.metrics import silhouette_score

    rows = draw_subset(len(vectors), SILHOUETTE_LIMIT, seed=seed)
    if not 2 <= len(np.unique(labels[rows])) < len(rows):
        return None, 0
    return float(silhouette_score(vectors[rows], labels[rows])), len(rows)


def _elbow(ks: Sequence[int], inertias: Sequence[float]) -> int | None:
    """The k farthest below the line from the first to the last point of the curve.

    Source:
        Satopää et al. (2011), "Finding a 'kneedle' in a haystack", doi:10.1109/ICDCSW.2011.20.
    """
    if len(ks) < 3 or not inertias[0] > inertias[-1]:
        return None
    x = (np.asarray(ks) - ks[0]) / (ks[-1] - ks[0])
    y = (np.asarray(inertias) - inertias[-1]) / (inertias[0] - inertias[-1])
    below = 1 - x - y
    return int(ks[int(below.argmax())]) if below.max() > 1e-6 else None
