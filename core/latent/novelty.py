"""Is an image of one of the known classes at all? How far it lies from all of them says so.

Algorithm: every feature vector is scaled to length 1, for its length tells little of its class and
varies more among strange images than a cloud allows for; then principal components of the training
features; within them the classes share one covariance, shrunk for there are few images, and the
score is the Mahalanobis distance to the nearest class mean. Softmax alone cannot tell: it must
spread its certainty over the known classes whatever it is shown.

Source:
    Lee, Lee, Lee & Shin (2018), "A simple unified framework for detecting out-of-distribution
    samples and adversarial attacks", arXiv:1807.03888; Mueller & Hein (2025), "Mahalanobis++:
    improving OOD detection via feature normalization", arXiv:2505.18032; Ledoit & Wolf (2004), "A
    well-conditioned estimator for large-dimensional covariance matrices",
    doi:10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

N_COMPONENTS = 256  # with 100, fewer images could be labelled in trials on two data sets
_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class NoveltyScorer:
    """Known classes as clouds of one shape, in features of length 1.

    Attributes:
        mean: float64 (n_features,), of the training features scaled to length 1.
        components: float64 (n_components, n_features), their principal directions.
        class_means: float64 (n_classes, n_components).
        whitening: float64 (n_components, n_components); in the coordinates that it leads to the
            Mahalanobis distance is the ordinary one.
    """

    mean: np.ndarray
    components: np.ndarray
    class_means: np.ndarray
    whitening: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Mahalanobis distances to every class mean: float64 (n_images, n_classes)."""
        means = self.class_means @ self.whitening
        found = np.empty((len(features), len(means)))
        for start in range(0, len(features), _ROWS_AT_ONCE):
            some = _of_length_one(features[start : start + _ROWS_AT_ONCE]) - self.mean
            places = some @ self.components.T @ self.whitening
            squares = (places**2).sum(1)[:, None] - 2 * places @ means.T + (means**2).sum(1)
            found[start : start + len(some)] = np.sqrt(squares.clip(min=0.0))
        return found

    def score(self, features: np.ndarray) -> np.ndarray:
        """Distance to the nearest class mean: float64 (n_images,), higher = more novel."""
        return self.distances(features).min(axis=1)


def fit_novelty_scorer(
    features: np.ndarray, targets: np.ndarray, *, n_components: int = N_COMPONENTS
) -> NoveltyScorer:
    """Learn where the known classes lie.

    Args:
        features: float array (n_images, n_features), finite, of training images.
        targets: int array (n_images,), the class of each, from 0 without a gap.
        n_components: at most so many principal components.

    Raises:
        ValueError: the arrays differ in length, there are fewer than two images, a class has none,
            or a feature is not finite.
    """
    from sklearn.covariance import LedoitWolf

    if len(features) != len(targets) or len(features) < 2:
        raise ValueError(
            f"features and targets must have one length of at least 2, got {len(features)} and "
            f"{len(targets)}"
        )
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    counts = np.bincount(targets)
    if (counts == 0).any():
        raise ValueError(f"class {int(counts.argmin())} has no image")
    values = _of_length_one(features)
    mean = values.mean(axis=0)
    components = principal_directions(values - mean, n_components)
    places = (values - mean) @ components.T
    class_means = np.stack([places[targets == each].mean(axis=0) for each in range(len(counts))])
    residuals = places - class_means[targets]
    precision = LedoitWolf(assume_centered=True).fit(residuals).precision_
    return NoveltyScorer(mean, components, class_means, square_root(precision))


def _of_length_one(features: np.ndarray) -> np.ndarray:
    """Each row divided by its Euclidean length, float64; a row of zeros stays as it is."""
    values = features.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, lengths, out=values, where=lengths > 0)


def share_as_high(of_known: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of the known images that score at least as high as each of some others.

    Args:
        of_known: float array (n_known,), not empty.
        scores: float array (n_images,).

    Returns:
        float64 (n_images,).
    """
    return 1 - np.searchsorted(np.sort(of_known), scores, side="left") / len(of_known)


def principal_directions(centred: np.ndarray, n_components: int) -> np.ndarray:
    """The first principal directions in rows; one of zeros where all images are alike."""
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    n_real = int((lengths > lengths[0] * 1e-10).sum()) if lengths[0] > 0 else 0
    if not n_real:
        return np.zeros((1, centred.shape[1]))
    return directions[: min(n_components, n_real)]


def square_root(precision: np.ndarray) -> np.ndarray:
    """A matrix whose product with its own transpose is this one; it need not be definite."""
    values, vectors = np.linalg.eigh(precision)
    return vectors * np.sqrt(values.clip(min=0.0))
