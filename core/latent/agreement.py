"""How far do clusters and labels say the same?

Measured over the images that have a label; noise (-1) counts as one cluster. All of it follows from
the table of how many images of each label lie in each cluster, so that a page can ask.
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
    counts = contingency(labels, cluster_labels).counts
    n = int(counts.sum())
    if n < 2:
        return Agreement(None, n)
    of_labels, of_clusters = counts.sum(axis=1), counts.sum(axis=0)
    shared = _entropy(of_labels) + _entropy(of_clusters) - _entropy(counts.ravel())
    homogeneity = _ratio(shared, _entropy(of_labels))
    completeness = _ratio(shared, _entropy(of_clusters))
    by_chance = _expected_information(of_labels, of_clusters)
    at_most = (_entropy(of_labels) + _entropy(of_clusters)) / 2
    return Agreement(
        adjusted_rand_index=_adjusted_rand_index(counts),
        n=n,
        adjusted_mutual_information=_ratio(shared - by_chance, at_most - by_chance),
        homogeneity=homogeneity,
        completeness=completeness,
        v_measure=2 * homogeneity * completeness / (homogeneity + completeness or 1.0),
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


def _adjusted_rand_index(counts: np.ndarray) -> float:
    """Share of the pairs of images on which both agree, less what chance would give."""
    n_pairs = _pairs(counts.sum())
    together = _pairs(counts).sum()
    of_labels, of_clusters = _pairs(counts.sum(axis=1)).sum(), _pairs(counts.sum(axis=0)).sum()
    by_chance = of_labels * of_clusters / n_pairs
    return _ratio(together - by_chance, (of_labels + of_clusters) / 2 - by_chance)


def _pairs(counts: np.ndarray) -> np.ndarray:
    return counts * (counts - 1.0) / 2


def _entropy(counts: np.ndarray) -> float:
    """In nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _expected_information(of_labels: np.ndarray, of_clusters: np.ndarray) -> float:
    """Mutual information, in nats, of labels and clusters of these sizes that are dealt at random.

    Of a label of a images and a cluster of b, the number that both hold follows the hypergeometric
    distribution.
    """
    n = int(of_labels.sum())
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    expected = 0.0
    for a in of_labels.tolist():
        for b in of_clusters.tolist():
            both = np.arange(max(1, a + b - n), min(a, b) + 1)
            log_chance = (
                log_factorial[[a, b, n - a, n - b]].sum()
                - log_factorial[n]
                - log_factorial[both]
                - log_factorial[a - both]
                - log_factorial[b - both]
                - log_factorial[n - a - b + both]
            )
            expected += float((both / n * np.log(n * both / (a * b)) * np.exp(log_chance)).sum())
    return expected


def _ratio(part: float, whole: float) -> float:
    """`part / whole`; 1 where there is nothing to tell apart, so that both say the same."""
    return float(part / whole) if abs(whole) > 1e-12 else 1.0
