"""Which images are like none of the known classes, and like one another? Candidates for new types.

Algorithm: an image is strange where its Mahalanobis distance to the nearest class is greater than
those of nearly all known images, each measured by classes learned without it. Strange images are
joined from the nearest pair on, by the mean distance between groups (average linkage), as long as
two groups are nearer than two images of one known class usually are; the distance is the cosine
distance of features centred on the mean of the known images, which takes out what all share.

Source:
    Lee, Lee, Lee & Shin (2018), arXiv:1807.03888, for the distance to the classes; Sokal & Michener
    (1958), "A statistical method for evaluating systematic relationships", for average linkage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.latent.novelty import fit_novelty_scorer, share_as_high
from core.latent.reduction import unit_rows
from core.latent.vectors import draw_subset

ALONE, USUAL = -1, -2  # instead of a group: a strange image like no others, one that is not strange
MIN_GROUP = 3
MAX_STRANGE = 2_000  # all pairs of them are compared
_N_FOLDS = 5
_MAX_KNOWN = 4_000
_MAX_OF_CLASS = 200


@dataclass(frozen=True)
class NovelGroups:
    """Strange images, and which of them are alike.

    Attributes:
        novelty: float64 (n_images,), distance to the nearest class, higher = stranger.
        known_share: float64 (n_images,), share of the known images that are as far from all
            classes, lower = stranger.
        groups: int64 (n_images,): 0 for the largest group, then by size; or `ALONE`, or `USUAL`.
        n_known: known images that it was learned from.
    """

    novelty: np.ndarray
    known_share: np.ndarray
    groups: np.ndarray
    n_known: int


def find_novel_groups(
    features: np.ndarray,
    known: np.ndarray,
    targets: np.ndarray,
    *,
    most_known: float = 0.05,
    seed: int = 0,
) -> NovelGroups:
    """Group the images that are like none of the classes.

    Args:
        features: float array (n_images, n_features), finite, of images without a known label.
        known: float array (n_known, n_features), finite, of labelled images.
        targets: int array (n_known,), their classes, from 0 without a gap.
        most_known: an image is strange where at most this share of the known is as far from all
            classes, in (0, 1).
        seed: of the folds and of subsets of large sets.

    Raises:
        ValueError: `most_known` is out of range, or there are fewer than ten known images.
    """
    if not 0 < most_known < 1:
        raise ValueError(f"most_known must lie in (0, 1), got {most_known}")
    if len(known) < 2 * _N_FOLDS:
        raise ValueError(f"needs at least {2 * _N_FOLDS} known images, got {len(known)}")
    kept = draw_subset(len(known), _MAX_KNOWN, seed=seed)
    known, targets = known[kept], np.unique(targets[kept], return_inverse=True)[1]
    novelty = fit_novelty_scorer(known, targets).score(features)
    share = share_as_high(_held_out_novelty(known, targets, seed=seed), novelty)
    strange = np.flatnonzero(share <= most_known)
    groups = np.full(len(features), USUAL, np.int64)
    # The strangest, where they are too many for all pairs.
    strange = np.sort(strange[np.argsort(-novelty[strange], kind="stable")[:MAX_STRANGE]])
    mean = known.mean(axis=0, dtype=np.float64)
    reach = _usual_distance(unit_rows(known - mean), targets, seed=seed)
    groups[strange] = _join(unit_rows(features[strange] - mean), reach)
    return NovelGroups(novelty, share, groups, len(known))


def _held_out_novelty(known: np.ndarray, targets: np.ndarray, *, seed: int) -> np.ndarray:
    """Distances of known images to classes learned without them: float64 (n_known,)."""
    fold_of = np.random.default_rng(seed).permutation(len(known)) % _N_FOLDS
    found = np.empty(len(known))
    for fold in range(_N_FOLDS):
        held_out, kept = fold_of == fold, fold_of != fold
        _, numbered = np.unique(targets[kept], return_inverse=True)
        found[held_out] = fit_novelty_scorer(known[kept], numbered).score(known[held_out])
    return found


def _usual_distance(units: np.ndarray, targets: np.ndarray, *, seed: int) -> float:
    """Median over classes of the median cosine distance between two images of one."""
    medians = []
    for each in np.unique(targets):
        rows = np.flatnonzero(targets == each)
        rows = rows[draw_subset(len(rows), _MAX_OF_CLASS, seed=seed)]
        if len(rows) > 1:
            distances = 1 - units[rows] @ units[rows].T
            medians.append(np.median(distances[np.triu_indices(len(rows), 1)]))
    return float(np.median(medians)) if medians else 0.0


def _join(units: np.ndarray, reach: float) -> np.ndarray:
    """Numbers of groups, the largest first; `ALONE` for those in groups below `MIN_GROUP`."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import pdist

    if len(units) < MIN_GROUP or not reach:
        return np.full(len(units), ALONE, np.int64)
    distances = pdist(units, "sqeuclidean") / 2  # of rows of length 1: their cosine distance
    joined = fcluster(linkage(distances, "average"), reach, "distance") - 1
    sizes = np.bincount(joined)
    order = np.argsort(-sizes, kind="stable")
    number = np.full(len(sizes), ALONE, np.int64)
    large = order[sizes[order] >= MIN_GROUP]
    number[large] = np.arange(len(large))
    return number[joined]
