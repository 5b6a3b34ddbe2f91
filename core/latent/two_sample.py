"""Do two sets of images differ in the full latent space? A map is a picture; features can tell.

Two tests, both exact by permutation: the images of both sets are dealt out anew many times, and the
p-value is the share of deals that look at least as different.

- Maximum mean discrepancy with a Gaussian kernel notices any difference of distribution.
- A cross-validated linear classifier says how well an unseen image's set can be told: its AUC.

What a p-value cannot tell: regions picked by eye on a map were picked *because* they lie apart, and
the map was drawn from these very features. One even cloud cut in two gives halves with a tiny p. So
a third figure asks whether the regions are more than that: along the direction that separates them,
which share of the variation lies between them? Clouds of the same covariance without any gap
(Gaussian), cut in two along the same direction, show what a mere cut would give.

Source:
    Gretton et al. (2012), "A kernel two-sample test", JMLR 13:723-773; Lopez-Paz & Oquab (2017),
    "Revisiting classifier two-sample tests", arXiv:1610.06545; Liu et al. (2008),
    "Statistical significance of clustering for high-dimension, low-sample size data",
    doi:10.1198/016214508000000454; Phipson & Smyth (2010),
    "Permutation p-values should never be zero", doi:10.2202/1544-6115.1585.
"""

from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.reduction import reduce_vectors, unit_rows
from core.latent.vectors import check_vectors, draw_subset

MAX_PER_SET = 500
MIN_PER_SET = 3
FEW = 10
ALPHA = 0.05
N_PERMUTATIONS = 999
N_CLOUDS = 99

_N_COMPONENTS = 64
_N_FOLDS = 5


@dataclass(frozen=True)
class TwoSampleTest:
    """Whether and how far two sets differ.

    Attributes:
        n_first, n_second: images of each set.
        n_first_used, n_second_used: how many were compared: at most `MAX_PER_SET`, drawn at random.
        mmd_squared: unbiased estimate of the squared maximum mean discrepancy, in about [0, 2],
            higher = more different; a little below 0 where there is no difference.
        mmd_p: p-value of it.
        auc: chance that the classifier ranks an unseen image of the second set above one of the
            first, in [0, 1]; 0.5 = cannot tell, 1 = always can.
        auc_p: p-value of it.
        separation: share of the variation along the separating direction that lies between the
            sets, for unseen images, in [0, 1], higher = further apart.
        cloud_separation: median of the same for clouds without a gap, cut in two; about 0.6.
        cloud_p: p-value of `separation` against such clouds.
        caveats: sentences that belong beside the figures.
    """

    n_first: int
    n_second: int
    n_first_used: int
    n_second_used: int
    mmd_squared: float
    mmd_p: float
    auc: float
    auc_p: float
    separation: float
    cloud_separation: float
    cloud_p: float
    caveats: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence for a person."""
        # Of two tests the better one counts, at half the level.
        if min(self.mmd_p, self.auc_p) > ALPHA / 2:
            return "No difference between the two sets could be shown in the full latent space."
        told = f"an unseen image's set is told with an AUC of {self.auc:.2f}"
        if self.cloud_p <= ALPHA:
            return (
                f"The two sets differ in the full latent space ({told}), and lie further apart "
                "than the parts of one cloud that was cut in two."
            )
        return (
            f"The two sets differ in the full latent space ({told}), but no more than the parts of "
            "one cloud that was cut in two."
        )


def compare_sets(
    vectors: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    seed: int = 0,
) -> TwoSampleTest:
    """Test whether two sets of images differ in the full latent space.

    Copies and shots of one thing are counted as images of their own; many of them make p too small.

    Args:
        vectors: float array (n_images, n_features).
        first: int array of rows; a row counts once however often it is named.
        second: int array of other rows.
        seed: of the subsets, the permutations, the folds and the clouds.

    Raises:
        ValueError: a row is out of range.
        OperatorError: a set has fewer than three images, they share images, or vectors are not
            finite.
    """
    vectors = check_vectors(vectors)
    first, second = np.unique(first).astype(np.int64), np.unique(second).astype(np.int64)
    _check_sets(len(vectors), first, second)
    used_first = first[draw_subset(len(first), MAX_PER_SET, seed=seed)]
    used_second = second[draw_subset(len(second), MAX_PER_SET, seed=seed + 1)]
    rows = np.concatenate([used_first, used_second])
    points = vectors[rows]
    reduced = reduce_vectors(points, n_components=_N_COMPONENTS)

    rng = np.random.default_rng(seed)
    in_second = np.arange(len(rows)) >= len(used_first)
    dealt = rng.permuted(np.tile(in_second, (N_PERMUTATIONS, 1)), axis=1)
    splits = np.concatenate([in_second[None], dealt])  # row 0 is as picked
    discrepancy = mmd_squared(gaussian_kernel(points), splits)
    predictions = held_out_predictor(reduced, seed=seed) @ splits.T.astype(np.float64)
    auc = aucs(predictions, splits)
    separation = _separation(predictions[:, 0], in_second)
    clouds = _cloud_separations(reduced, in_second, rng)
    return TwoSampleTest(
        n_first=len(first),
        n_second=len(second),
        n_first_used=len(used_first),
        n_second_used=len(used_second),
        mmd_squared=float(discrepancy[0]),
        mmd_p=_p_value(discrepancy[0], discrepancy[1:]),
        auc=float(auc[0]),
        auc_p=_p_value(auc[0], auc[1:]),
        separation=separation,
        cloud_separation=float(np.median(clouds)),
        cloud_p=_p_value(separation, clouds),
        caveats=_caveats(len(first), len(second), len(used_first), len(used_second)),
    )


def held_out_predictor(points: np.ndarray, *, seed: int) -> np.ndarray:
    """Cross-validated ridge regression as one matrix: `matrix @ y` predicts each y from others.

    The model of a fold is linear in the targets it is fitted to, so one matrix serves any number of
    targets over the same points and folds. With targets 0 and 1 it is a regularised linear
    discriminant. Predictions are deviations from the mean target of the others: that mean itself is
    lower for whoever is held out with many ones, and would tell the sets the wrong way round.

    Args:
        points: float array (n_points, n_components), n_points at least 2.
        seed: of the folds.

    Returns:
        float64 (n_points, n_points); row i weighs only points outside i's fold.
    """
    n = len(points)
    points = points.astype(np.float64)
    fold_of = np.random.default_rng(seed).permutation(n) % min(_N_FOLDS, n)
    # The penalty grows slower than the evidence, so that many images outweigh it.
    penalty = max(float(points.var(axis=0).mean()), 1e-12)
    matrix = np.zeros((n, n))
    for fold in range(fold_of.max() + 1):
        held_out, kept = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        mean = points[kept].mean(axis=0)
        fitted, asked = points[kept] - mean, points[held_out] - mean
        gram = fitted.T @ fitted + penalty * np.sqrt(len(kept)) * np.eye(points.shape[1])
        matrix[np.ix_(held_out, kept)] = asked @ np.linalg.solve(gram, fitted.T)
    return matrix


def gaussian_kernel(points: np.ndarray) -> np.ndarray:
    """How alike every two points are, by their angle; as wide as their median distance.

    Args:
        points: float array (n_points, n_features).

    Returns:
        float64 (n_points, n_points), in [0, 1]; 0 of a point with itself, for `mmd_squared`.
    """
    # Rows of length 1, so that the kernel sees angles, as cosine distance does.
    units = unit_rows(points.astype(np.float64))
    squared = 2 * (1 - units @ units.T).clip(0)
    typical = np.median(squared[np.triu_indices(len(units), 1)])
    kernel = np.exp(-squared / (typical if typical > 1e-12 else 1.0))
    np.fill_diagonal(kernel, 0.0)  # the unbiased estimate leaves out each point with itself
    return kernel


def mmd_squared(kernel: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Unbiased squared maximum mean discrepancy of each split of some points.

    Args:
        kernel: float64 (n_points, n_points), of `gaussian_kernel`.
        splits: bool array (n_splits, n_points), who belongs to the second set; each set has at
            least two points.

    Returns:
        float64 (n_splits,), in about [0, 2], higher = more different.
    """
    second = splits.astype(np.float64)
    n = splits.sum(axis=1)
    m = splits.shape[1] - n
    towards_second = second @ kernel
    within_second = (towards_second * second).sum(axis=1)
    across = towards_second.sum(axis=1) - within_second
    within_first = kernel.sum() - within_second - 2 * across
    return within_first / (m * (m - 1)) + within_second / (n * (n - 1)) - 2 * across / (m * n)


def aucs(predictions: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """How well predictions tell the second set of each split from the first.

    Args:
        predictions: float array (n_points, n_splits), one column a split.
        splits: bool array (n_splits, n_points), who belongs to the second set.

    Returns:
        float64 (n_splits,), in [0, 1]; 0.5 = cannot tell.
    """
    from scipy.stats import rankdata

    ranks = rankdata(predictions.T.round(9), axis=1)  # rounding error is no ranking
    n = splits.sum(axis=1)
    m = splits.shape[1] - n
    return ((ranks * splits).sum(axis=1) - n * (n + 1) / 2) / (n * m)


def _check_sets(n_images: int, first: np.ndarray, second: np.ndarray) -> None:
    for rows in (first, second):
        if len(rows) and not (rows[0] >= 0 and rows[-1] < n_images):
            raise ValueError(f"rows must lie in [0, {n_images - 1}]")
    if min(len(first), len(second)) < MIN_PER_SET:
        raise OperatorError(
            f"Sets of {len(first):,} and {len(second):,} images cannot be compared.",
            f"Each needs at least {MIN_PER_SET}.",
            "Select more images.",
        )
    n_shared = len(np.intersect1d(first, second))
    if n_shared:
        raise OperatorError(
            f"The two sets share {n_shared:,} images.",
            "A test can only compare sets of different images.",
            "Select regions that do not overlap.",
        )


def _separation(predictions: np.ndarray, in_second: np.ndarray) -> float:
    """Squared correlation of held-out predictions with the sets; 0 where it is not positive."""
    deviation, target = predictions - predictions.mean(), in_second - in_second.mean()
    scale = np.sqrt((deviation @ deviation) * (target @ target))
    return max(float(deviation @ target / scale), 0.0) ** 2 if scale > 1e-12 else 0.0


def _cloud_separations(
    points: np.ndarray, in_second: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """`_separation` of Gaussian clouds like the points, cut as the sets lie: (N_CLOUDS,)."""
    n, n_components = points.shape
    centred = points.astype(np.float64) - points.mean(axis=0)
    covariance = centred.T @ centred / n
    # The direction from the first set to the second by which a linear discriminant tells them.
    penalty = max(float(np.trace(covariance)) / n_components, 1e-12)
    towards_second = centred[in_second].mean(axis=0) - centred[~in_second].mean(axis=0)
    direction = np.linalg.solve(
        covariance + penalty / np.sqrt(n) * np.eye(n_components), towards_second
    )
    # Principal components are uncorrelated, so the covariance is its diagonal.
    scales = np.sqrt(np.diag(covariance))
    separations = np.empty(N_CLOUDS)
    for number in range(N_CLOUDS):
        cloud = rng.normal(size=(n, n_components)) * scales
        beyond = np.zeros(n, bool)
        beyond[np.argsort(cloud @ direction, kind="stable")[n - int(in_second.sum()) :]] = True
        predictions = held_out_predictor(cloud, seed=number) @ beyond.astype(np.float64)
        separations[number] = _separation(predictions, beyond)
    return separations


def _p_value(observed: float, permuted: np.ndarray) -> float:
    return float((1 + _at_least(permuted, observed).sum()) / (1 + len(permuted)))


def _at_least(values: np.ndarray, observed: float) -> np.ndarray:
    return values >= observed - 1e-12


def _caveats(n_first: int, n_second: int, used_first: int, used_second: int) -> tuple[str, ...]:
    caveats = [
        "Sets picked by eye on a map of these features were picked because they lie apart: a "
        "small p is easily had. Compare with one cloud that was cut in two."
    ]
    if min(n_first, n_second) < FEW:
        caveats.append(f"With fewer than {FEW} images in a set, only a large difference shows.")
    if (used_first, used_second) != (n_first, n_second):
        caveats.append(
            f"{used_first:,} of {n_first:,} and {used_second:,} of {n_second:,} images were "
            "compared, drawn at random."
        )
    return tuple(caveats)
