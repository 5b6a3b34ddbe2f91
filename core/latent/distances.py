"""How far are images apart under a metric?

A metric makes vectors ready once (centred, of unit length, as active or not), and then compares
block after block of them, mostly by matrix products: what SciPy does pair by pair costs a multiple
of that at thousands of features.

Definitions are those that scikit-learn and SciPy gave the paper, so that values compare with its
Table 1. Where a definition is 0 / 0, two vectors that the metric cannot tell apart have distance 0:
two vectors of zeros under `cosine`, say, while one of zeros is at distance 1 from any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.errors import OperatorError
from core.latent.metrics import MetricOptions, find_metric
from core.latent.vectors import check_vectors

# Closer than float32 features can tell: a share of the squared lengths, above the error of the
# products in float64. Duplicates are then at distance 0 and not at 1e-8.
_NOTHING = 1e-12
_BLOCK_ROWS = 512

Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]
Formula = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ComparableRows:
    """Vectors made ready for one metric.

    Attributes:
        metric: its name.
        values: float array (n_images, n_features) that only `compare` understands.
        compare: distances between the rows of two such arrays, float32 (n_a, n_b).
    """

    metric: str
    values: np.ndarray
    compare: Compare

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: np.ndarray) -> ComparableRows:
        """Some of the rows, on the scale of all."""
        return ComparableRows(self.metric, self.values[rows], self.compare)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Distances from some rows to all, block after block; 0 from a row to itself.

        Yields:
            (rows, distances): a slice and float32 (at most 512, n_images).
        """
        for start in range(0, len(self), _BLOCK_ROWS):
            rows = slice(start, min(start + _BLOCK_ROWS, len(self)))
            distances = self.compare(self.values[rows], self.values)
            own = np.arange(rows.start, rows.stop)
            distances[own - start, own] = 0.0  # Russell–Rao's is not
            yield rows, distances

    def distances(self) -> np.ndarray:
        """All distances, float32 (n_images, n_images): 400 MB for 10,000 images."""
        found = np.empty((len(self), len(self)), dtype=np.float32)
        for start in range(0, len(self), _BLOCK_ROWS):
            rows, rest = slice(start, start + _BLOCK_ROWS), slice(start, None)
            block = self.compare(self.values[rows], self.values[rest])
            found[rows, rest] = block
            found[rest, rows] = block.T
        np.fill_diagonal(found, 0.0)  # Russell–Rao's is not
        return found


def make_comparable(
    vectors: np.ndarray, metric: str, options: MetricOptions | None = None
) -> ComparableRows:
    """Make vectors ready for a metric. What it takes from all images is measured on these.

    That is the spread of each feature for `seuclidean`, 0 counting a feature out, and its median
    where activity is measured against that.

    Args:
        vectors: float array (n_images, n_features). NaN, for a missing feature, is for
            `nan_euclidean` alone.
        metric: a name or an alias of `METRICS`.
        options: what the metric leaves open.

    Raises:
        ValueError: there is no such metric, or `vectors` is not two-dimensional.
        OperatorError: the vectors hold numbers that this metric cannot compare.
    """
    found, options = find_metric(metric), options or MetricOptions()
    vectors = _check(vectors, takes_nan=found.takes_nan)
    if found.boolean:
        threshold = np.median(vectors, axis=0) if options.binarise == "median" else None
        active = vectors != 0 if threshold is None else vectors > threshold
        compare: Compare = partial(_compare_active, formula=_FORMULAS[found.name])
        return ComparableRows(found.name, active.astype(np.float32), compare)
    if found.name in ("euclidean", "sqeuclidean", "seuclidean", "nan_euclidean", "minkowski"):
        return _straight(vectors, found.name)
    if found.name in ("cosine", "correlation"):
        wide = vectors.astype(np.float64)
        if found.name == "correlation":
            wide -= wide.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(wide, axis=1, keepdims=True)
        unit = wide / np.where(lengths > 0, lengths, 1.0)
        return ComparableRows(found.name, unit, _compare_angles)
    return _elementwise(vectors, found.name)


def distance_matrix(
    vectors: np.ndarray, metric: str, options: MetricOptions | None = None
) -> np.ndarray:
    """All distances between some images, float32 (n_images, n_images), 0 on the diagonal.

    Raises:
        ValueError: there is no such metric, or `vectors` is not two-dimensional.
        OperatorError: the vectors hold numbers that this metric cannot compare.
    """
    return make_comparable(vectors, metric, options).distances()


def _check(vectors: np.ndarray, *, takes_nan: bool) -> np.ndarray:
    missing = np.isnan(vectors)
    if not missing.any():
        return check_vectors(vectors)
    if not takes_nan:
        raise OperatorError(
            f"{missing.any(axis=1).sum():,} of {len(vectors):,} images lack features (NaN).",
            "Only nan_euclidean is defined for them.",
            "Embed the images again.",
        )
    checked = check_vectors(np.where(missing, 0.0, vectors))
    return np.where(missing, np.float32(np.nan), checked)


def _elementwise(vectors: np.ndarray, metric: str) -> ComparableRows:
    from core.latent.elementwise import compare_elementwise
    from core.latent.embedding import available_cores

    compare = partial(compare_elementwise, metric=metric, n_workers=available_cores())
    return ComparableRows(metric, vectors, compare)


def _straight(vectors: np.ndarray, metric: str) -> ComparableRows:
    """Euclidean and its kin: squared lengths less twice the product, about the mean."""
    wide = vectors.astype(np.float64)
    if metric == "nan_euclidean":
        present = ~np.isnan(wide)
        if not present.all():
            counts = np.maximum(present.sum(axis=0), 1)
            wide -= np.where(present, wide, 0.0).sum(axis=0) / counts
            return ComparableRows(metric, wide, _compare_with_gaps)
    # Far from the origin the difference of large numbers would lose what tells images apart.
    wide -= wide.mean(axis=0)
    if metric == "seuclidean":
        spread = wide.std(axis=0, ddof=1) if len(wide) > 1 else np.zeros(wide.shape[1])
        wide *= np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    squared = metric == "sqeuclidean"
    return ComparableRows(metric, wide, _compare_squared if squared else _compare_lengths)


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)
    found = lengths - 2.0 * (a @ b.T)
    found[found < _NOTHING * lengths] = 0.0
    return found


def _compare_squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _squared(a, b).astype(np.float32)


def _compare_lengths(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(_squared(a, b)).astype(np.float32)


def _compare_angles(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = 1.0 - a @ b.T
    found[found < _NOTHING] = 0.0
    found[np.ix_(~a.any(axis=1), ~b.any(axis=1))] = 0.0
    return np.minimum(found, 2.0).astype(np.float32)


def _compare_with_gaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """NaN between two images that share no feature.

    Source:
        Dixon (1979), "Pattern recognition with partly missing data",
        doi:10.1109/TSMC.1979.4310090.
    """
    in_a, in_b = (~np.isnan(a)).astype(np.float64), (~np.isnan(b)).astype(np.float64)
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    lengths = np.square(a) @ in_b.T + in_a @ np.square(b).T
    found = lengths - 2.0 * (a @ b.T)
    found[found < _NOTHING * lengths] = 0.0
    common = in_a @ in_b.T
    share = np.divide(a.shape[1], common, out=np.full_like(common, np.nan), where=common > 0)
    return np.sqrt(found * share).astype(np.float32)


def _compare_active(a: np.ndarray, b: np.ndarray, *, formula: Formula) -> np.ndarray:
    # Counts up to 2^24 are exact in float32.
    both = a @ b.T
    only_a = a.sum(axis=1)[:, None] - both
    only_b = b.sum(axis=1)[None, :] - both
    neither = a.shape[1] - both - only_a - only_b
    above, below = formula(both, only_a, only_b, neither)
    return np.divide(above, below, out=np.zeros_like(both), where=below > 0)


# Numerator and denominator, from the features active in both, in one only, and in neither.
_FORMULAS: dict[str, Formula] = {
    "dice": lambda both, a, b, neither: (a + b, 2 * both + a + b),
    "jaccard": lambda both, a, b, neither: (a + b, both + a + b),
    "rogerstanimoto": lambda both, a, b, neither: (2 * (a + b), both + neither + 2 * (a + b)),
    "russellrao": lambda both, a, b, neither: (a + b + neither, both + a + b + neither),
    "sokalsneath": lambda both, a, b, neither: (2 * (a + b), both + 2 * (a + b)),
    "yule": lambda both, a, b, neither: (2 * a * b, both * neither + a * b),
}
