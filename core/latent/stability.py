"""Would other seeds or other images have given the same clusters?

One lucky run proves nothing. The same clustering is repeated with other seeds and on random shares
of the images, and every two runs are compared by their adjusted Rand index (1 the same, about 0
unrelated) over the images that both hold. Noise counts as one cluster.

Source:
    Ben-Hur, Elisseeff & Guyon (2002), "A stability based method for discovering structure in
    clustered data"; Hennig (2007), "Cluster-wise assessment of cluster stability",
    doi:10.1016/j.csda.2006.11.025.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from core.latent.clustering import assign_clusters
from core.latent.clustering_methods import (
    ClusteringConfig,
    DBSCANConfig,
    HDBSCANConfig,
    KMeansConfig,
)
from core.latent.distances import distance_matrix
from core.latent.metrics import MetricOptions
from core.latent.separability import silhouette_samples
from core.latent.vectors import check_vectors, draw_subset

STABILITY_LIMIT = 2_000  # images: ten runs of K-means on them take about half a minute
SHARE = 0.8  # of the images in a resample

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Spread:
    """What several runs gave.

    Attributes:
        mean: over all values.
        low: the smallest.
        high: the largest.
        values: each of them.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Stability:
    """How far runs of one clustering agree, as adjusted Rand indices between every two.

    Attributes:
        seeds: over other random starts; None for a method that takes no seed.
        resamples: over random shares of the images; None for fewer than five images.
        n_clusters: clusters that the resamples gave, smallest and largest number.
        n_images: images that the runs were drawn from.
        notes: what a person who reads the values must know.
    """

    seeds: Spread | None
    resamples: Spread | None
    n_clusters: tuple[int, int] | None
    n_images: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BandRow:
    """K-means at one k, over resamples.

    Attributes:
        k: how many clusters.
        silhouette: Euclidean, of each run; None where no run has one.
        stability: adjusted Rand index between every two runs.
    """

    k: int
    silhouette: Spread | None
    stability: Spread


def measure_stability(
    vectors: np.ndarray,
    config: ClusteringConfig,
    options: MetricOptions | None = None,
    *,
    n_runs: int = 5,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Stability:
    """Repeat a clustering over seeds and over random 80 % of the images.

    Beyond 2,000 images the runs draw from a random subset.

    Args:
        vectors: float array (n_images, n_features).
        config: the clustering.
        options: what its metric leaves open.
        n_runs: runs over seeds, and as many over resamples, at least 2.
        seed: of the draws; the runs over seeds start from the config's own.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Raises:
        ValueError: `n_runs` is below 2, or `vectors` is not two-dimensional.
        OperatorError: the images are too few for the clusters, or the vectors are not finite.
    """
    if n_runs < 2:
        raise ValueError(f"n_runs must be at least 2, got {n_runs}")
    vectors = check_vectors(vectors)
    report = on_progress or (lambda fraction, step: None)
    drawn = draw_subset(len(vectors), STABILITY_LIMIT, seed=seed)
    notes = []
    if len(drawn) < len(vectors):
        notes.append(f"Measured on {len(drawn):,} of {len(vectors):,} images, drawn at random.")
        if isinstance(config, DBSCANConfig | HDBSCANConfig):
            notes.append("These lie thinner than all do, so more of them are noise.")
        vectors = vectors[drawn]

    n_all = 2 * n_runs if isinstance(config, KMeansConfig) else n_runs
    seeded: list[np.ndarray] = []
    if isinstance(config, KMeansConfig):
        for run in range(n_runs):
            report(run / n_all, f"Seed {run + 1} of {n_runs}")
            other = replace(config, seed=(config.seed + run) % 2**32)
            seeded.append(assign_clusters(vectors, other, options))
    else:
        notes.append("This method takes no seed: it gives the same groups every time.")

    resampled: list[np.ndarray] = []
    if len(vectors) < 5:
        notes.append(f"{len(vectors)} image(s) are too few to resample.")
    else:
        for run, rows in enumerate(_resamples(len(vectors), n_runs, seed=seed)):
            report((n_all - n_runs + run) / n_all, f"Resample {run + 1} of {n_runs}")
            labels = np.full(len(vectors), _NOT_DRAWN, dtype=np.int64)
            labels[rows] = assign_clusters(vectors[rows], config, options)
            resampled.append(labels)
    n_clusters = [int((np.unique(labels) >= 0).sum()) for labels in resampled]
    if n_clusters and max(n_clusters) == 0:
        notes.append("All runs call all images noise: they agree on nothing.")
    return Stability(
        seeds=_agreements(seeded) if seeded else None,
        resamples=_agreements(resampled) if resampled else None,
        n_clusters=(min(n_clusters), max(n_clusters)) if n_clusters else None,
        n_images=len(vectors),
        notes=tuple(notes),
    )


def sweep_bands(
    vectors: np.ndarray,
    ks: Sequence[int],
    *,
    n_runs: int = 5,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> tuple[BandRow, ...]:
    """Silhouette and stability of K-means for every k, each as a band over resamples.

    Each run clusters a random 80 % of at most 2,000 images from one random start, and then gives
    all of these images to its centres, so that all runs are measured on the same images.

    Args:
        vectors: float array (n_images, n_features).
        ks: numbers of clusters; those that a resample cannot form are left out.
        n_runs: runs a k, at least 2.
        seed: of draws and starts.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Returns:
        A row a k, ascending; none where there are fewer than five images.

    Raises:
        ValueError: `n_runs` is below 2, a k is below 1, or `vectors` is not two-dimensional.
        OperatorError: the vectors are not finite.
    """
    from sklearn.metrics import pairwise_distances_argmin

    if n_runs < 2:
        raise ValueError(f"n_runs must be at least 2, got {n_runs}")
    if min(ks, default=1) < 1:
        raise ValueError(f"ks must be at least 1, got {min(ks)}")
    vectors = check_vectors(vectors)
    vectors = vectors[draw_subset(len(vectors), STABILITY_LIMIT, seed=seed)]
    if len(vectors) < 5:
        return ()
    resamples = _resamples(len(vectors), n_runs, seed=seed)
    possible = sorted({k for k in ks if k <= len(resamples[0])})
    distances = distance_matrix(vectors, "euclidean")
    bands = []
    for done, k in enumerate(possible):
        if on_progress is not None:
            on_progress(done / len(possible), f"K-means with {k} clusters")
        runs = []
        for run, rows in enumerate(resamples):
            config = KMeansConfig(n_clusters=k, n_init=1, seed=(seed + run) % 2**32)
            found = assign_clusters(vectors[rows], config)
            centers = np.stack([vectors[rows][found == c].mean(axis=0) for c in np.unique(found)])
            runs.append(pairwise_distances_argmin(vectors, centers))
        scores = [
            float(silhouette_samples(distances, labels).mean())
            for labels in runs
            if 2 <= len(np.unique(labels)) < len(labels)
        ]
        bands.append(BandRow(k, _spread(scores) if scores else None, _agreements(runs)))
    return tuple(bands)


_NOT_DRAWN = -2


def _resamples(n: int, n_runs: int, *, seed: int) -> list[np.ndarray]:
    size = max(2, int(SHARE * n))
    return [draw_subset(n, size, seed=seed + run) for run in range(n_runs)]


def _agreements(runs: Sequence[np.ndarray]) -> Spread:
    """The adjusted Rand index of every two runs, over the images that both hold."""
    from sklearn.metrics import adjusted_rand_score

    values = []
    for first, second in combinations(runs, 2):
        common = (first != _NOT_DRAWN) & (second != _NOT_DRAWN)
        values.append(float(adjusted_rand_score(first[common], second[common])))
    return _spread(values)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), min(values), max(values), tuple(values))
