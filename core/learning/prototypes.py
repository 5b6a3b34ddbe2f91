"""Which images are like these few, and unlike everything known? A new class by its prototype.

Algorithm: principal components of the labelled features; within them all classes share one
covariance, shrunk for there are few images, that of the new class too: three to ten images say
where it lies, never how it spreads. An image's score is the logarithm of how much more probable it
is from the new class than from the nearest known one, for normal densities of that covariance: half
the difference of two squared Mahalanobis distances. To look at the distance from the new class
alone finds fewer: images of a spread-out known class lie as near to a mean of five as the others of
its own.

Source:
    Snell, Swersky & Zemel (2017), "Prototypical networks for few-shot learning", arXiv:1703.05175;
    Ledoit & Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices",
    doi:10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.latent.novelty import (
    N_COMPONENTS,
    principal_directions,
    share_as_high,
    square_root,
)

_ROWS_AT_ONCE = 8_192


@dataclass(frozen=True)
class Prototype:
    """Where a new class lies among the known ones.

    Attributes:
        mean: float64 (n_features,), of all labelled features.
        directions: float64 (n_features, n_components); in the coordinates that they lead to the
            shared covariance is the unit matrix.
        center: float64 (n_components,), of the new class there.
        known_centers: float64 (n_classes, n_components).
    """

    mean: np.ndarray
    directions: np.ndarray
    center: np.ndarray
    known_centers: np.ndarray

    def score(self, features: np.ndarray) -> np.ndarray:
        """How much likelier an image is of the new class than of the nearest known one.

        Args:
            features: float array (n_images, n_features).

        Returns:
            float64 (n_images,): logarithm of the ratio of the densities, higher = more like the
            new class, above 0 where it is likelier.
        """
        found = np.empty(len(features))
        for start in range(0, len(features), _ROWS_AT_ONCE):
            some = features[start : start + _ROWS_AT_ONCE].astype(np.float64) - self.mean
            places = some @ self.directions
            to_new = ((places - self.center) ** 2).sum(axis=1)
            to_known = _squared_distances(places, self.known_centers).min(axis=1)
            found[start : start + len(some)] = (to_known - to_new) / 2
        return found


def fit_prototype(
    examples: np.ndarray,
    known: np.ndarray,
    targets: np.ndarray,
    *,
    n_components: int = N_COMPONENTS,
) -> Prototype:
    """Learn where a new class lies from a few of its images.

    Args:
        examples: float array (n_examples, n_features), finite, of the new class; at least one.
        known: float array (n_known, n_features), finite, of labelled images of other classes.
        targets: int array (n_known,), their classes, from 0 without a gap.
        n_components: at most so many principal components.

    Raises:
        ValueError: there is no example or no known image, a length does not fit, a class has no
            image, or a feature is not finite.
    """
    from sklearn.covariance import LedoitWolf

    _check(examples, known, targets)
    values = np.concatenate([known, examples]).astype(np.float64)
    mean = values.mean(axis=0)
    components = principal_directions(values - mean, n_components)
    places = (values - mean) @ components.T
    of_known, of_new = places[: len(known)], places[len(known) :]
    centers = np.stack([of_known[targets == each].mean(axis=0) for each in np.unique(targets)])
    center = of_new.mean(axis=0)
    residuals = np.concatenate([of_known - centers[targets], of_new - center])
    precision = LedoitWolf(assume_centered=True).fit(residuals).precision_
    whitening = square_root(precision)
    return Prototype(mean, components.T @ whitening, center @ whitening, centers @ whitening)


@dataclass(frozen=True)
class Candidates:
    """Images ranked by how likely they are of a new class.

    Attributes:
        order: int64 (n_images,), rows, the likeliest first.
        scores: float64 (n_images,), of `Prototype.score`, by row.
        known_share: float64 (n_images,), share of the known images that score as high, by row: how
            often an image of another class would be taken for one of this.
    """

    order: np.ndarray
    scores: np.ndarray
    known_share: np.ndarray


def rank_candidates(
    examples: np.ndarray, known: np.ndarray, targets: np.ndarray, images: np.ndarray
) -> Candidates:
    """Rank images by how likely they are of the class that the examples show.

    Args:
        examples: float array (n_examples, n_features), of the new class.
        known: float array (n_known, n_features), of other classes.
        targets: int array (n_known,), their classes, from 0 without a gap.
        images: float array (n_images, n_features), to be ranked.

    Raises:
        ValueError: as `fit_prototype`.
    """
    prototype = fit_prototype(examples, known, targets)
    scores = prototype.score(images)
    shares = share_as_high(prototype.score(known), scores)
    return Candidates(np.argsort(-scores, kind="stable"), scores, shares)


def left_out_shares(
    examples: np.ndarray, known: np.ndarray, targets: np.ndarray, *, most: int = 10
) -> list[float]:
    """Where would each example stand, had it not been one? Few examples make a class uncertain.

    Args:
        most: at most so many are left out in turn, the first ones.

    Returns:
        For each, the share of the known images that score as high, lower = better; empty with one
        example alone.
    """
    found = []
    for row in range(min(len(examples), most) if len(examples) > 1 else 0):
        prototype = fit_prototype(np.delete(examples, row, axis=0), known, targets)
        score = prototype.score(examples[row : row + 1])
        found.append(float(share_as_high(prototype.score(known), score)[0]))
    return found


def _squared_distances(places: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Of each place to each centre: float64 (n_images, n_centers)."""
    products = places @ centers.T
    return (places**2).sum(axis=1)[:, None] - 2 * products + (centers**2).sum(axis=1)


def _check(examples: np.ndarray, known: np.ndarray, targets: np.ndarray) -> None:
    if not len(examples) or not len(known):
        raise ValueError(f"got {len(examples)} examples and {len(known)} known images")
    if examples.shape[1] != known.shape[1]:
        raise ValueError(
            f"examples have {examples.shape[1]} features, known images {known.shape[1]}"
        )
    if len(known) != len(targets):
        raise ValueError(f"{len(known)} known images, but {len(targets)} targets")
    if not (np.isfinite(examples).all() and np.isfinite(known).all()):
        raise ValueError("features must be finite")
    counts = np.bincount(targets)
    if (counts == 0).any():
        raise ValueError(f"class {int(counts.argmin())} has no image")
