"""Which image should a person look at first?

Every order gives each image a place in (0, 1), lower = sooner. Places are ranks: they say which
image comes before which, and compare across batches of unlike size. Images that an order cannot
tell apart share the place in the middle of theirs.

- By uncertainty: where the two surest classes lie closest together.
- By novelty: what lies furthest from all known classes.
- By diversity: images that stand for many others, no two of them alike. Sener and Savarese call it
  a core-set, and find it by the greedy k-centre algorithm: take the image that is furthest from all
  that are labelled or taken already, and again.

Diversity and groups of alike images compare many images by their Euclidean distance. Beyond
`EXACT_LIMIT` numbers the features are projected on 64 random directions first, which keeps
distances to about an eighth of their length.

Source:
    Sener & Savarese (2018), "Active learning for convolutional neural networks: a core-set
    approach", arXiv:1708.00489; Gonzalez (1985), "Clustering to minimize the maximum intercluster
    distance", doi:10.1016/0304-3975(85)90224-5; Scheffer, Decomain & Wrobel (2001), "Active hidden
    Markov models for information extraction", doi:10.1007/3-540-44816-0_31 (the margin); Johnson &
    Lindenstrauss (1984), doi:10.1090/conm/026/737400 (random projection).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from core.latent.vectors import check_vectors, draw_subset

EXACT_LIMIT = 4_000_000  # numbers in the features; 3,125 images of 1,280 features
N_DIRECTIONS = 64
LABELLED_LIMIT = 2_048  # labelled images that new ones are compared with, drawn at random
GROUP_LIMIT = 48  # images that a person can look over at once
_ROWS_AT_ONCE = 8_192
_ALIKE = 1e-6  # of the largest squared length: below it float32 cannot tell two images apart


def order_by_uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """Images whose two surest classes lie closest together come first.

    Args:
        probabilities: float array (n_images, n_classes), in [0, 1]; with a single class its own
            probability is the margin.

    Returns:
        float64 (n_images,), places in (0, 1), lower = sooner.

    Raises:
        ValueError: the array is not two-dimensional, has no class or holds a number outside [0, 1].
    """
    if probabilities.ndim != 2 or probabilities.shape[1] == 0:
        raise ValueError(
            f"probabilities must have shape (n_images, n_classes), got {probabilities.shape}"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    surest = np.sort(probabilities.astype(np.float64), axis=1)[:, ::-1]
    return _places(surest[:, 0] - surest[:, 1:2].sum(axis=1))


def order_by_novelty(novelty: np.ndarray) -> np.ndarray:
    """Images that lie furthest from all known classes come first.

    Args:
        novelty: float array (n_images,), higher = more novel.

    Returns:
        float64 (n_images,), places in (0, 1), lower = sooner.

    Raises:
        ValueError: the array is not one-dimensional, or a number is not finite.
    """
    if novelty.ndim != 1 or not np.isfinite(novelty).all():
        raise ValueError(f"novelty must be finite, of shape (n_images,), got {novelty.shape}")
    return _places(-novelty.astype(np.float64))


def order_by_diversity(
    features: np.ndarray,
    labelled_features: np.ndarray,
    *,
    n_centers: int = 512,
    seed: int,
) -> np.ndarray:
    """Images that differ most from all labelled ones, and from each other, come first.

    The first `n_centers` are the core-set in the order in which it was found; the rest follows by
    the distance to the nearest labelled image or centre, the furthest first. Where nothing is
    labelled, the image nearest to the mean of all begins. Of more than `LABELLED_LIMIT` labelled
    images so many are drawn at random.

    Args:
        features: float array (n_images, n_features), of the images to be ordered.
        labelled_features: float array (n_labelled, n_features), of images labelled already.
        n_centers: images of the core-set at most; fewer where all others equal one of them.
        seed: of the drawing of labelled images, and of the projection of large sets.

    Returns:
        float64 (n_images,), places in (0, 1), lower = sooner.

    Raises:
        ValueError: `n_centers` is below 1, or the shapes do not fit.
        OperatorError: a feature is not finite.
    """
    if n_centers < 1:
        raise ValueError(f"n_centers must be at least 1, got {n_centers}")
    if features.ndim != 2 or labelled_features.ndim != 2:
        raise ValueError(
            "features must have shape (n_images, n_features), got "
            f"{features.shape} and {labelled_features.shape}"
        )
    if len(labelled_features) and features.shape[1] != labelled_features.shape[1]:
        raise ValueError(
            f"labelled_features must have {features.shape[1]} features, "
            f"got {labelled_features.shape[1]}"
        )
    if not len(features):
        return np.zeros(0)
    points, labelled = _comparable(features, labelled_features, seed=seed)
    squares = np.einsum("ij,ij->i", points, points)
    if len(labelled):
        nearest = _squared_to_nearest(points, squares, labelled)
        first = int(nearest.argmax())
    else:
        nearest = np.full(len(points), np.inf, np.float32)
        first = int(squares.argmin())  # the points' mean is 0
    centers = _take_centers(points, squares, nearest, first, n_centers)
    is_rest = np.ones(len(points), bool)
    is_rest[centers] = False
    places = np.empty(len(points))
    places[centers] = (np.arange(len(centers)) + 0.5) / len(points)
    begin = len(centers) / len(points)
    places[is_rest] = begin + (1 - begin) * _places(-nearest[is_rest].astype(np.float64))
    return places


def mix_in(places: np.ndarray, n_extra: int, seed: int) -> np.ndarray:
    """Places for images that must look like any other: an audit, or a known answer.

    Every set of positions in the joint order is equally likely for the extra images, so that
    nobody can tell them by where they stand.

    Args:
        places: float array (n_images,), in [0, 1], of the images that are there already.
        n_extra: images to be mixed in.
        seed: of the draw.

    Returns:
        float64 (n_extra,), in [0, 1]; uniform where there are no others.

    Raises:
        ValueError: a place lies outside [0, 1], or `n_extra` is negative.
    """
    if n_extra < 0:
        raise ValueError(f"n_extra must be at least 0, got {n_extra}")
    if places.ndim != 1 or not ((places >= 0) & (places <= 1)).all():
        raise ValueError(f"places must lie in [0, 1], of shape (n_images,), got {places.shape}")
    rng = np.random.default_rng(seed)
    edges = np.concatenate([[0.0], np.sort(places.astype(np.float64)), [1.0]])
    positions = rng.choice(len(places) + n_extra, n_extra, replace=False)
    # The i-th extra image in the joint order has this many of the others before it.
    n_before = np.sort(positions) - np.arange(n_extra)
    low, high = edges[n_before], edges[n_before + 1]
    return rng.permutation(low + (high - low) * rng.random(n_extra))


def group_alike(
    features: np.ndarray,
    suggested: Sequence[str | None],
    *,
    size: int = 24,
    limit: int = GROUP_LIMIT,
    seed: int,
) -> np.ndarray:
    """Groups of alike images with one suggested label each, to be confirmed at a glance.

    Mini-batch K-means within each suggested label; a group of more than `limit` is cut into equal
    parts across its longest reach, so that neighbours stay together.

    Args:
        features: float array (n_images, n_features).
        suggested: a label an image; None or empty where there is none.
        size: images that a group should have on average, from 1 to `limit`.
        limit: images that a group has at most.
        seed: of K-means, and of the projection of large sets.

    Returns:
        int64 (n_images,), numbers of groups from 0 without a gap; -1 for images without a
        suggestion.

    Raises:
        ValueError: the lengths differ, or `size` lies outside [1, `limit`].
        OperatorError: a feature is not finite.

    Source:
        Sculley (2010), "Web-scale k-means clustering", doi:10.1145/1772690.1772862.
    """
    if features.ndim != 2 or len(features) != len(suggested):
        raise ValueError(
            f"features must have a row for each of the {len(suggested)} suggestions, "
            f"got shape {features.shape}"
        )
    if not 1 <= size <= limit:
        raise ValueError(f"size must lie in [1, {limit}], got {size}")
    groups = np.full(len(features), -1, np.int64)
    labels = sorted({label for label in suggested if label})
    if not labels:
        return groups
    points, _ = _comparable(features, features[:0], seed=seed)
    rows_of: dict[str, list[int]] = {label: [] for label in labels}
    for row, label in enumerate(suggested):
        if label:
            rows_of[label].append(row)
    n_groups = 0
    for label in labels:
        rows = np.array(rows_of[label])
        found = _cluster(points[rows], math.ceil(len(rows) / size), seed=seed)
        for cluster in np.unique(found):
            for part in _cut(points, rows[found == cluster], limit):
                groups[part] = n_groups
                n_groups += 1
    return groups


def _places(values: np.ndarray) -> np.ndarray:
    """Ranks, ascending, as places in (0, 1); equal values share their middle."""
    if not len(values):
        return np.zeros(0)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    return middles[inverse] / len(values)


def _comparable(
    features: np.ndarray, labelled: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float32 points about the mean of the first, of few features where they are many."""
    features = check_vectors(features)
    some = labelled[draw_subset(len(labelled), LABELLED_LIMIT, seed=seed)]
    labelled = check_vectors(some) if len(some) else np.zeros((0, features.shape[1]), np.float32)
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    n_features = features.shape[1]
    if features.size <= EXACT_LIMIT or n_features <= N_DIRECTIONS:
        return features - mean, labelled - mean
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((n_features, N_DIRECTIONS), dtype=np.float32)
    directions /= math.sqrt(N_DIRECTIONS)
    points = np.empty((len(features), N_DIRECTIONS), np.float32)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        stop = start + _ROWS_AT_ONCE
        points[start:stop] = (features[start:stop] - mean) @ directions
    return points, (labelled - mean) @ directions


def _squared_to_nearest(points: np.ndarray, squares: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distance of each point to the nearest of the others: float32 (n_points,)."""
    other_squares = np.einsum("ij,ij->i", others, others)
    nearest = np.empty(len(points), np.float32)
    for start in range(0, len(points), _ROWS_AT_ONCE):
        stop = start + _ROWS_AT_ONCE
        products = points[start:stop] @ others.T  # (n_rows, n_others)
        nearest[start:stop] = (other_squares - 2 * products).min(axis=1) + squares[start:stop]
    return _without_noise(nearest, squares)


def _take_centers(
    points: np.ndarray, squares: np.ndarray, nearest: np.ndarray, first: int, n_centers: int
) -> np.ndarray:
    """Rows of the centres in the order in which they are taken; `nearest` is kept up to date."""
    centers: list[int] = []
    taken = first
    while len(centers) < n_centers and nearest[taken] > 0:
        centers.append(taken)
        away = squares + squares[taken] - 2 * (points @ points[taken])
        np.minimum(nearest, _without_noise(away, squares), out=nearest)
        nearest[taken] = 0.0
        taken = int(nearest.argmax())
    return np.array(centers, np.int64)


def _without_noise(squared: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Squared distances with 0 where they are no more than what rounding leaves of equal points."""
    return np.where(squared > _ALIKE * squares.max(initial=0.0), squared, np.float32(0.0))


def _cluster(points: np.ndarray, n_clusters: int, *, seed: int) -> np.ndarray:
    """The cluster of each point: int array (n_points,)."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if n_clusters == 1:
        return np.zeros(len(points), np.int64)
    model = MiniBatchKMeans(
        n_clusters=n_clusters, batch_size=1_024, max_iter=20, n_init=1, random_state=seed
    )
    with warnings.catch_warnings():
        # Fewer distinct images than clusters: some stay empty, which is no harm.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit_predict(points)


def _cut(points: np.ndarray, rows: np.ndarray, limit: int) -> list[np.ndarray]:
    """The rows in as few equal parts of at most `limit` as can be, along their longest reach."""
    if len(rows) <= limit:
        return [rows]
    about_middle = points[rows] - points[rows].mean(axis=0)
    furthest = about_middle[np.einsum("ij,ij->i", about_middle, about_middle).argmax()]
    along = rows[np.argsort(about_middle @ furthest, kind="stable")]
    return np.array_split(along, math.ceil(len(rows) / limit))
