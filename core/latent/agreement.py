"""How far do clusters and labels say the same?

Measured over the images that have a label; noise (-1) counts as one cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Measures between labels and clusters, all None where fewer than two images have a label.

    Attributes:
        adjusted_rand_index: 1 where they say the same, about 0 where they are independent, down
            to -0.5.
        n: how many images have a label and count.
        adjusted_mutual_information: 1 where they say the same, about 0 where they are independent;
            small classes weigh more than in the Rand index.
        homogeneity: 1 where every cluster holds one class, in [0, 1].
        completeness: 1 where every class lies in one cluster, in [0, 1].
        v_measure: harmonic mean of the two, in [0, 1].
    """

    adjusted_rand_index: float | None
    n: int
    adjusted_mutual_information: float | None = None
    homogeneity: float | None = None
    completeness: float | None = None
    v_measure: float | None = None


@dataclass(frozen=True)
class Contingency:
    """How many images of each label lie in each cluster.

    Attributes:
        labels: of the rows, sorted.
        clusters: of the columns, ascending; -1, noise, is the last where it occurs.
        counts: int64 (n_labels, n_clusters).
    """

    labels: tuple[str, ...]
    clusters: tuple[int, ...]
    counts: np.ndarray


def agreement(labels: Sequence[str | None], cluster_labels: np.ndarray) -> Agreement:
    """Measure how far labels and clusters agree.

    Args:
        labels: a label an image, None or empty where it has none.
        cluster_labels: int array of the same length.

    Raises:
        ValueError: the lengths differ.

    Source:
        Hubert & Arabie (1985), "Comparing partitions", doi:10.1007/BF01908075; Vinh, Epps & Bailey
        (2010), "Information theoretic measures for clusterings comparison"; Rosenberg & Hirschberg
        (2007), "V-measure".
    """
    from sklearn.metrics import (
        adjusted_mutual_info_score,
        adjusted_rand_score,
        homogeneity_completeness_v_measure,
    )

    known, clusters = _labelled(labels, cluster_labels)
    if len(known) < 2:
        return Agreement(None, len(known))
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(known, clusters)
    return Agreement(
        adjusted_rand_index=float(adjusted_rand_score(known, clusters)),
        n=len(known),
        adjusted_mutual_information=float(adjusted_mutual_info_score(known, clusters)),
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        v_measure=float(v_measure),
    )


def contingency(labels: Sequence[str | None], cluster_labels: np.ndarray) -> Contingency:
    """Count the images of each label in each cluster.

    Args:
        labels: a label an image, None or empty where it has none.
        cluster_labels: int array of the same length.

    Raises:
        ValueError: the lengths differ.
    """
    known, clusters = _labelled(labels, cluster_labels)
    words = sorted(set(known))
    columns = sorted(set(clusters.tolist()), key=lambda cluster: (cluster < 0, cluster))
    row = {word: place for place, word in enumerate(words)}
    column = {cluster: place for place, cluster in enumerate(columns)}
    counts = np.zeros((len(words), len(columns)), dtype=np.int64)
    for label, cluster in zip(known, clusters.tolist(), strict=True):
        counts[row[label], column[cluster]] += 1
    return Contingency(tuple(words), tuple(columns), counts)


def _labelled(
    labels: Sequence[str | None], cluster_labels: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Labels and clusters of the images that have a label."""
    if len(labels) != len(cluster_labels):
        raise ValueError(f"{len(labels)} labels, but {len(cluster_labels)} cluster labels")
    known = [(label, row) for row, label in enumerate(labels) if label]
    rows = np.array([row for _, row in known], dtype=np.int64)
    return [label for label, _ in known], np.asarray(cluster_labels)[rows]
