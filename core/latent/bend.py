"""Where does a curve bend most? For the elbow of a sweep and the knee of a k-distance plot."""

from collections.abc import Sequence

import numpy as np


def find_bend(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> int | None:
    """The place farthest below the line from the first point to the last.

    Args:
        x: ascending, at least as different as its first and last value.
        y: of the same length, as a curve that falls ever slower or rises ever faster.

    Returns:
        An index, or None where the curve has fewer than three points or does not bend that way.

    Raises:
        ValueError: the lengths differ.

    Source:
        Satopää et al. (2011), "Finding a 'kneedle' in a haystack", doi:10.1109/ICDCSW.2011.20.
    """
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if across.shape != up.shape:
        raise ValueError(f"x and y must be of one length, got {across.shape} and {up.shape}")
    if len(up) < 3 or up[0] == up[-1]:
        return None
    line = up[0] + (up[-1] - up[0]) * (across - across[0]) / (across[-1] - across[0])
    below = (line - up) / abs(up[-1] - up[0])
    return int(below.argmax()) if below.max() > 1e-6 else None
