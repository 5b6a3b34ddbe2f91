"""What share of wrong automatic labels can be promised, and from which images is that known?

Algorithm: every image has one number, its sureness; those above a threshold are labelled
automatically. The thresholds that may be taken are fixed before anybody looks at the calibration
labels. From the strictest on, each is tested on the calibration images that it accepts: the
hypothesis that more than the tolerated share of them is wrong must be rejected at level `delta`, by
the exact binomial test. The first threshold that fails ends the search, and the one before it is
taken. Tested in a fixed order like this, the whole search errs with probability `delta` at most,
with no further correction.

Where the search begins depends on how many images a threshold accepts, never on their labels: at
the strictest one that could bear six wrong images, so that a few bad labels do not end it, if three
fifths of the images are enough for that; else at one that could bear five, and so on down to none.
What it labels on real images, `tests/benchmarks/bench_triage.py` tells.

The promise is about images drawn like the calibration images. It lapses when the images change.

Source:
    Angelopoulos, Bates, Candès, Jordan & Lei (2021), "Learn then test: calibrating predictive
    algorithms to achieve risk control", arXiv:2110.01052 (fixed-sequence testing);
    Geifman & El-Yaniv (2017), "Selective classification for deep neural networks",
    arXiv:1705.08500; Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_TO_BEAR = (6, 5, 4, 3, 2, 1)  # wrong images that the first threshold of the search should survive
_AMONG = 0.6  # of the calibration images at most, where it is to survive any
_MOST_IMAGES = 1_000_000


@dataclass(frozen=True)
class Promise:
    """What may be labelled automatically at a tolerated error.

    Attributes:
        max_error: tolerated share of wrong automatic labels.
        delta: chance that the promise fails.
        threshold: images at least this sure are labelled; None where nothing can be promised.
        n_calibration: images that the promise is read off.
        n_accepted: those of them that the threshold accepts; 0 where there is none.
        n_wrong: those of the accepted whose label would be wrong.
        error_bound: upper limit of the share of wrong labels that holds with probability 1 - delta;
            None where nothing is accepted.
        n_needed: calibration images that would allow a promise if they were as these are; None
            where the promise holds, or where no number would do.
    """

    max_error: float
    delta: float
    threshold: float | None
    n_calibration: int
    n_accepted: int
    n_wrong: int
    error_bound: float | None
    n_needed: int | None

    @property
    def is_feasible(self) -> bool:
        """Whether anything may be labelled automatically."""
        return self.threshold is not None


def error_bound(n_wrong: int, n: int, *, delta: float) -> float:
    """Clopper-Pearson's upper limit of a share of which `n_wrong` in `n` were seen.

    Args:
        n_wrong: in [0, n].
        n: images seen; with none the limit is 1.
        delta: chance that the share is above the limit, in (0, 1).

    Raises:
        ValueError: a value is out of its range.
    """
    from scipy.special import betaincinv

    _check_share("delta", delta)
    if not 0 <= n_wrong <= n:
        raise ValueError(f"n_wrong must lie in [0, {n}], got {n_wrong}")
    return 1.0 if n_wrong == n else float(betaincinv(n_wrong + 1, n - n_wrong, 1 - delta))


def images_needed(n_wrong: int, *, max_error: float, delta: float) -> int:
    """The smallest number of images of which `n_wrong` may be wrong within the promise.

    Raises:
        ValueError: a share lies outside (0, 1), or `n_wrong` is negative.
    """
    _check_share("max_error", max_error)
    _check_share("delta", delta)
    if n_wrong < 0:
        raise ValueError(f"n_wrong must be at least 0, got {n_wrong}")
    low, high = n_wrong, _MOST_IMAGES
    while low < high:  # the limit falls as images are added
        middle = (low + high) // 2
        if error_bound(n_wrong, middle, delta=delta) <= max_error:
            high = middle
        else:
            low = middle + 1
    return low


def make_promise(
    sureness: np.ndarray,
    is_wrong: np.ndarray,
    thresholds: np.ndarray,
    *,
    max_error: float,
    delta: float,
) -> Promise:
    """The loosest threshold that keeps the promise on the calibration images.

    Args:
        sureness: float array (n_calibration,), higher = surer; of images that nothing was trained
            or chosen on.
        is_wrong: bool array (n_calibration,), whether the automatic label would be wrong; an image
            of no known class is always wrong.
        thresholds: float array, in any order, fixed without these labels.
        max_error: tolerated share of wrong automatic labels, in (0, 1).
        delta: chance that the promise fails, in (0, 1).

    Raises:
        ValueError: the arrays differ in length, a number is not finite, or a share lies outside
            (0, 1).
    """
    _check_share("max_error", max_error)
    _check_share("delta", delta)
    counts = _count(sureness, is_wrong, thresholds)
    first = _first_test(counts, len(sureness), max_error=max_error, delta=delta)
    taken: int | None = None
    if first is not None:
        for row in range(first, len(counts.thresholds)):
            bound = error_bound(counts.n_wrong[row], counts.n_accepted[row], delta=delta)
            if bound > max_error:
                break
            taken = row
    n = len(sureness)
    if taken is None:
        needed = _n_needed(counts, n, max_error=max_error, delta=delta)
        return Promise(max_error, delta, None, n, 0, 0, None, needed)
    n_accepted, n_wrong = counts.n_accepted[taken], counts.n_wrong[taken]
    return Promise(
        max_error=max_error,
        delta=delta,
        threshold=float(counts.thresholds[taken]),
        n_calibration=n,
        n_accepted=n_accepted,
        n_wrong=n_wrong,
        error_bound=error_bound(n_wrong, n_accepted, delta=delta),
        n_needed=None,
    )


@dataclass(frozen=True)
class _Counts:
    """What each threshold accepts, the strictest first."""

    thresholds: np.ndarray
    n_accepted: list[int]
    n_wrong: list[int]


def _count(sureness: np.ndarray, is_wrong: np.ndarray, thresholds: np.ndarray) -> _Counts:
    if sureness.shape != is_wrong.shape or sureness.ndim != 1:
        raise ValueError(
            f"sureness and is_wrong must have one length, got {sureness.shape}, {is_wrong.shape}"
        )
    for name, values in (("sureness", sureness), ("thresholds", thresholds)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite")
    strictest_first = np.unique(thresholds)[::-1]
    accepted = sureness[None, :] >= strictest_first[:, None]  # (n_thresholds, n_calibration)
    return _Counts(
        strictest_first,
        accepted.sum(axis=1).tolist(),
        (accepted & is_wrong.astype(bool)[None, :]).sum(axis=1).tolist(),
    )


def _first_test(
    counts: _Counts, n_calibration: int, *, max_error: float, delta: float
) -> int | None:
    enough = (images_needed(n, max_error=max_error, delta=delta) for n in _TO_BEAR)
    needed = next(
        (n for n in enough if n <= _AMONG * n_calibration),
        images_needed(0, max_error=max_error, delta=delta),
    )
    return next((row for row, n in enumerate(counts.n_accepted) if n >= needed), None)


def _n_needed(counts: _Counts, n: int, *, max_error: float, delta: float) -> int | None:
    """How many calibration images would do if there were more of the same."""
    if not n:
        return images_needed(0, max_error=max_error, delta=delta)
    best: int | None = None
    for n_accepted, n_wrong in zip(counts.n_accepted, counts.n_wrong, strict=True):
        if not n_accepted or n_wrong / n_accepted >= max_error:
            continue
        times = _times_needed(n_wrong, n_accepted, max_error=max_error, delta=delta)
        if times is not None:
            needed = math.ceil(times * n)
            best = needed if best is None else min(best, needed)
    return best


def _times_needed(n_wrong: int, n_accepted: int, *, max_error: float, delta: float) -> float | None:
    """By how much the accepted images would have to grow, their wrong ones with them."""
    low, high = 1, _MOST_IMAGES
    share = n_wrong / n_accepted
    if error_bound(math.ceil(share * high), high, delta=delta) > max_error:
        return None
    while low < high:
        middle = (low + high) // 2
        if error_bound(math.ceil(share * middle), middle, delta=delta) <= max_error:
            high = middle
        else:
            low = middle + 1
    return low / n_accepted


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1), got {value}")
