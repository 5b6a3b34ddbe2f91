"""Which images lie nearest to one image in the latent space, of all or of one label?"""

from collections.abc import Sequence

import numpy as np

from core.latent.reduction import unit_rows

_QUERIES_AT_ONCE = 1_024
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
    query = unit_rows(np.asarray(vectors[row : row + 1], np.float32))[0]
    distances = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        some = np.asarray(vectors[start : start + _ROWS_AT_ONCE], np.float32)
        distances[start : start + len(some)] = 1.0 - unit_rows(some) @ query
    distances[row] = np.inf
    n_found = min(n_neighbors, len(vectors) - 1)
    if not n_found:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    rows = np.argpartition(distances, n_found - 1)[:n_found]
    rows = rows[np.lexsort((rows, distances[rows]))]
    return rows, distances[rows].clip(0.0, 2.0)


def nearest_among(
    vectors: np.ndarray, known: np.ndarray, *, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each of some images the known ones nearest to it by cosine distance, exactly.

    Args:
        vectors: float array (n_images, n_features).
        known: float array (n_known, n_features).
        n_neighbors: how many; fewer where there are not so many.

    Returns:
        (rows, distances): int64 and float32 (n_images, n_found), nearest first; rows of `known`,
        distances in [0, 2].

    Raises:
        ValueError: `n_neighbors` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    n_found = min(n_neighbors, len(known))
    rows = np.empty((len(vectors), n_found), np.int64)
    distances = np.empty((len(vectors), n_found), np.float32)
    if not n_found:
        return rows, distances
    reference = unit_rows(np.asarray(known, np.float32)).T
    for start in range(0, len(vectors), _QUERIES_AT_ONCE):
        some = unit_rows(np.asarray(vectors[start : start + _QUERIES_AT_ONCE], np.float32))
        found = 1.0 - some @ reference  # (n_some, n_known)
        nearest_rows = np.argpartition(found, n_found - 1, axis=1)[:, :n_found]
        of_nearest = np.take_along_axis(found, nearest_rows, axis=1)
        order = np.lexsort((nearest_rows, of_nearest), axis=1)
        stop = start + len(some)
        rows[start:stop] = np.take_along_axis(nearest_rows, order, axis=1)
        distances[start:stop] = np.take_along_axis(of_nearest, order, axis=1).clip(0.0, 2.0)
    return rows, distances


def nearest_of_label(
    vectors: np.ndarray,
    rows: np.ndarray,
    wanted: Sequence[str],
    labels: Sequence[str | None],
    *,
    n_neighbors: int,
) -> tuple[np.ndarray, np.ndarray]:
    """For each of some rows the images of a wanted label nearest to it by cosine, exactly.

    For a doubtful label: the images that the suggested class would put it next to.

    Args:
        vectors: float array (n_images, n_features); it may be mapped from a file.
        rows: int array (n_rows,), the rows whose neighbours are sought.
        wanted: the label sought for each of `rows`.
        labels: a label an image, None where it has none.
        n_neighbors: how many.

    Returns:
        (found, distances): int64 and float32 (n_rows, n_neighbors), nearest first, never the row
        itself; -1 and NaN where the label has not so many images.

    Raises:
        ValueError: the lengths differ, a row is not one, or `n_neighbors` is below 1.
    """
    rows = np.asarray(rows, np.int64)
    if len(rows) != len(wanted):
        raise ValueError(f"{len(rows)} rows, but {len(wanted)} wanted labels")
    if len(labels) != len(vectors):
        raise ValueError(f"{len(labels)} labels, but {len(vectors)} vectors")
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(vectors)):
        raise ValueError(f"rows must lie in [0, {len(vectors) - 1}]")
    found = np.full((len(rows), n_neighbors), -1, np.int64)
    distances = np.full((len(rows), n_neighbors), np.nan, np.float32)
    for label in sorted(set(wanted)):
        members = np.flatnonzero([value == label for value in labels])
        asking = np.flatnonzero([value == label for value in wanted])
        if not len(members):
            continue
        queries = unit_rows(np.asarray(vectors[rows[asking]], np.float32))
        apart = np.empty((len(asking), len(members)), np.float32)
        for start in range(0, len(members), _ROWS_AT_ONCE):
            some = members[start : start + _ROWS_AT_ONCE]
            of_label = unit_rows(np.asarray(vectors[some], np.float32))
            apart[:, start : start + len(some)] = 1.0 - queries @ of_label.T
        apart[members[None, :] == rows[asking, None]] = np.inf
        order = np.argsort(apart, axis=1, kind="stable")[:, :n_neighbors]
        nearest_apart = np.take_along_axis(apart, order, axis=1)
        there = np.isfinite(nearest_apart)
        n_columns = order.shape[1]
        found[asking, :n_columns] = np.where(there, members[order], -1)
        distances[asking, :n_columns] = np.where(there, nearest_apart.clip(0.0, 2.0), np.nan)
    return found, distances
