"""Which images lie nearest to one image in the latent space?"""

import numpy as np

_ROWS_AT_ONCE = 16_384  # of a map on disk: at most 130 MB of 2,048 features


def nearest(vectors: np.ndarray, row: int, *, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows nearest to one row by cosine distance, exactly, nearest first, without itself.

    Args:
        vectors: float array (n_images, n_features); it may be mapped from a file.
        row: the row whose neighbours are sought.
        n_neighbors: how many; fewer where there are not so many other rows.

    Returns:
        (rows, distances): int64 and float32 (n_found,); distances in [0, 2], 1 to or from a row of
        zeros.

    Raises:
        ValueError: `row` is not a row, or `n_neighbors` is below 1.
    """
    if not 0 <= row < len(vectors):
        raise ValueError(f"row must lie in [0, {len(vectors) - 1}], got {row}")
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    query = _unit_rows(np.asarray(vectors[row : row + 1], np.float32))[0]
    distances = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        some = np.asarray(vectors[start : start + _ROWS_AT_ONCE], np.float32)
        distances[start : start + len(some)] = 1.0 - _unit_rows(some) @ query
    distances[row] = np.inf
    n_found = min(n_neighbors, len(vectors) - 1)
    if not n_found:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    rows = np.argpartition(distances, n_found - 1)[:n_found]
    rows = rows[np.lexsort((rows, distances[rows]))]
    return rows, distances[rows].clip(0.0, 2.0)


def _unit_rows(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
