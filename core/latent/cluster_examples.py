"""Which images show what a cluster is: its centre, its border with the next, its furthest?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class ClusterExamples:
    """Rows that show one cluster, the most telling first.

    Attributes:
        cluster: its number.
        centre: nearest to its centre; the first stands for it.
        border: nearest to another cluster's centre, compared with its own; empty where there is
            only one cluster.
        furthest: furthest from its centre.
    """

    cluster: int
    centre: tuple[int, ...]
    border: tuple[int, ...]
    furthest: tuple[int, ...]


def choose_examples(
    vectors: np.ndarray, labels: np.ndarray, centers: np.ndarray, *, n_examples: int = 12
) -> tuple[ClusterExamples, ...]:
    """The images to show of each cluster, by Euclidean distance to the centres.

    Args:
        vectors: float array (n_images, n_features) that were clustered.
        labels: int array (n_images,), -1 for noise.
        centers: float array (n_clusters, n_features).
        n_examples: at most so many of each sort.

    Returns:
        One entry a cluster that has images, in the order of the clusters.

    Raises:
        ValueError: the arrays do not match, or `n_examples` is below 1.
    """
    if len(labels) != len(vectors) or centers.ndim != 2 or centers.shape[1] != vectors.shape[1]:
        raise ValueError(
            f"vectors {vectors.shape}, labels {labels.shape} and centers {centers.shape} differ"
        )
    if n_examples < 1:
        raise ValueError(f"n_examples must be at least 1, got {n_examples}")
    own, margin = _distances_to_centers(vectors, labels, centers)
    chosen = []
    for cluster in range(len(centers)):
        members = np.flatnonzero(labels == cluster)
        if len(members):
            inward = members[np.argsort(own[members], kind="stable")]
            bordering = members[np.argsort(margin[members], kind="stable")]
            chosen.append(
                ClusterExamples(
                    cluster,
                    centre=tuple(inward[:n_examples].tolist()),
                    border=tuple(bordering[:n_examples].tolist()) if len(centers) > 1 else (),
                    furthest=tuple(inward[::-1][:n_examples].tolist()),
                )
            )
    return tuple(chosen)


def _distances_to_centers(
    vectors: np.ndarray, labels: np.ndarray, centers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the own centre, and how much further the nearest other is; 0 for noise."""
    from scipy.spatial.distance import cdist

    own, margin = np.zeros(len(labels)), np.zeros(len(labels))
    for start in range(0, len(labels), _ROWS_AT_ONCE):
        rows = start + np.flatnonzero(labels[start : start + _ROWS_AT_ONCE] >= 0)
        if len(rows):
            distances = cdist(vectors[rows], centers)
            places = np.arange(len(rows))
            own[rows] = distances[places, labels[rows]]
            distances[places, labels[rows]] = np.inf
            margin[rows] = distances.min(axis=1) - own[rows]
    return own, margin
