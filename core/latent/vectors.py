"""Are these vectors fit to be computed on, and how is a large set of them thinned out?"""

import numpy as np

from core.errors import OperatorError


def check_vectors(vectors: np.ndarray) -> np.ndarray:
    """The vectors as a contiguous float32 array (n_images, n_features).

    Raises:
        ValueError: the array is not two-dimensional or has no columns.
        OperatorError: there are no rows, or a row holds a number that is not finite.
    """
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise ValueError(f"vectors must have shape (n_images, n_features), got {vectors.shape}")
    if len(vectors) == 0:
        raise OperatorError("There are no vectors.", next_step="Embed some images first.")
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise OperatorError(
            f"{broken.sum():,} of {len(vectors):,} vectors hold numbers that are not finite.",
            f"The first is in row {broken.argmax()}.",
            "Embed the images again.",
        )
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(vectors, dtype=np.float32)
    # Squared distances between larger numbers overflow float32.
    if np.abs(converted).max() > 1e15:
        raise OperatorError(
            "The vectors hold numbers too large to measure distances between.",
            f"The largest is {np.abs(vectors).max():.3g}; 1e15 is the limit.",
            "Embed the images again.",
        )
    return converted


def draw_subset(n: int, size: int, *, seed: int) -> np.ndarray:
    """Indices of a random subset, int64 ascending; all indices where `n` is not above `size`."""
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size, replace=False))
