"""Which images join first, and into which groups does the tree of joins fall when it is cut?"""

from __future__ import annotations

import numpy as np

from core.errors import OperatorError
from core.latent.clustering_methods import AgglomerativeConfig
from core.latent.distances import make_comparable
from core.latent.metrics import MetricOptions
from core.latent.vectors import check_vectors

# The tree is built from the distances of all pairs, in float64 and twice: 800 MB for 10,000.
AGGLOMERATIVE_LIMIT = 10_000


def fit_agglomerative(
    vectors: np.ndarray, config: AgglomerativeConfig, options: MetricOptions | None = None
) -> np.ndarray:
    """Groups of the tree, cut at `n_clusters` or, where it is above 0, at `max_distance`.

    Returns:
        int64 (n_images,), from 0. Equal images stay together, so there may be fewer groups than
        asked for.

    Raises:
        ValueError: `vectors` is not two-dimensional.
        OperatorError: there are fewer images than clusters, too many images, or vectors are not
            finite.

    Source:
        Müllner (2011), "Modern hierarchical, agglomerative clustering algorithms",
        arXiv:1109.2378.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    vectors = check_vectors(vectors)
    n = len(vectors)
    by_distance = config.max_distance > 0
    if not by_distance and config.n_clusters > n:
        raise OperatorError(
            f"{n:,} images cannot form {config.n_clusters:,} clusters.",
            next_step=f"Choose at most {n:,} clusters.",
        )
    if n > AGGLOMERATIVE_LIMIT:
        raise OperatorError(
            f"{n:,} images are too many for agglomerative clustering, which keeps all distances.",
            f"The limit is {AGGLOMERATIVE_LIMIT:,}.",
            "Use K-means.",
        )
    if n == 1:
        return np.zeros(1, dtype=np.int64)
    pairs = np.empty(n * (n - 1) // 2, dtype=np.float64)
    filled = 0
    for rows, distances in make_comparable(vectors, config.metric, options).blocks():
        for row, of_row in zip(range(rows.start, rows.stop), distances, strict=True):
            pairs[filled : filled + n - row - 1] = of_row[row + 1 :]
            filled += n - row - 1
    tree = linkage(pairs, method=config.linkage)
    if by_distance:
        return fcluster(tree, config.max_distance, criterion="distance").astype(np.int64) - 1
    return fcluster(tree, config.n_clusters, criterion="maxclust").astype(np.int64) - 1
