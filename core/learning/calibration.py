"""Is a classifier as often right as it is sure?

A network that was trained long is surer than it is right. One number, the temperature, softens its
logits without changing what it says; it is fitted on validation images, never on those that
thresholds are calibrated on. The reliability diagram sets how sure it is against how often it is
right, and the expected calibration error is the mean gap between the two.

Source:
    Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks",
    arXiv:1706.04599; Bröcker & Smith (2007), "Increasing the reliability of reliability diagrams",
    doi:10.1175/WAF993.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.learning.evaluation import Estimate, estimate_share

BINNINGS = ("equal_width", "equal_mass")
N_BINS = 10
# Temperatures that are looked at. Guo et al. report 0.9 to 4.2: what lies beyond these is no matter
# of softening any more.
LOWEST, HIGHEST = 0.05, 20.0
_N_SIMULATIONS = 200


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by before the softmax.

    Attributes:
        value: above 0; above 1 = the network was too sure, below 1 = not sure enough.
        nll_before: mean negative log-likelihood at 1, in nats, lower = better; None without images.
        nll_after: the same at `value`.
        n: images that it was fitted on.
        why: why nothing better could be fitted, a sentence for a person; empty where it could.
    """

    value: float
    nll_before: float | None
    nll_after: float | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of about the same confidence.

    Attributes:
        low: confidences are above it (in the first bin: at least).
        high: and at most it.
        n: images in the bin.
        confidence: their mean, None where there are none.
        accuracy: share of them that are right.
    """

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: Estimate


@dataclass(frozen=True)
class Reliability:
    """How sure a classifier is, against how often it is right.

    Attributes:
        bins: in ascending confidence.
        binning: `equal_width` or `equal_mass`.
        expected_calibration_error: mean gap between confidence and accuracy in a bin, weighted by
            its images, in [0, 1], lower = better; None where there are no images.
        expected_by_chance: what a perfectly calibrated classifier of these confidences would show
            on so few images, on average; an error of this size says nothing.
        confidence: mean over all images, None where there are none.
        accuracy: over all images.
        n: images measured.
    """

    bins: tuple[ReliabilityBin, ...]
    binning: str
    expected_calibration_error: float | None
    expected_by_chance: float | None
    confidence: float | None
    accuracy: Estimate
    n: int


@dataclass(frozen=True)
class Calibration:
    """A classifier on one set of images, before and after its temperature.

    Attributes:
        temperature: that was applied.
        before: at temperature 1.
        after: at `temperature`; over-optimistic on the images that it was fitted on.
    """

    temperature: float
    before: Reliability
    after: Reliability


def softmax(logits: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of logits (n_images, n_classes): float64 of the same shape, rows that sum to 1.

    Raises:
        ValueError: the logits are not finite or not two-dimensional, or the temperature is not
            above 0.
    """
    return np.exp(_log_softmax(_check_logits(logits), temperature))


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> Temperature:
    """The temperature of the least negative log-likelihood.

    Algorithm: the likelihood is convex in 1 / T, so that it has one optimum in log T, which is
    searched between `LOWEST` and `HIGHEST`. It has none where every image is right: the surer the
    better, without end. Such images cannot tell how sure is too sure, and the temperature stays 1.

    Args:
        logits: float array (n_images, n_classes) of validation images.
        targets: int array (n_images,), the place of the true class; images of -1, which are of no
            class of the model, are left out.

    Raises:
        ValueError: the arrays do not match, a target is no class, or a logit is not finite.
    """
    from scipy.optimize import minimize_scalar

    logits, targets = _known(logits, targets)
    n = len(targets)
    if not n:
        return Temperature(1.0, None, None, 0, "No image is of a class of the model.")

    def nll(temperature: float) -> float:
        return float(-_log_softmax(logits, temperature)[np.arange(n), targets].mean())

    before = nll(1.0)
    of_target = logits[np.arange(n), targets]
    if np.ptp(logits, axis=1).max() == 0:
        why = "The model is as sure of one class as of any other on every image."
        return Temperature(1.0, before, before, n, why)
    if (of_target >= logits.max(axis=1)).all():
        why = f"All {n:,} images are right: they cannot tell how sure is too sure."
        return Temperature(1.0, before, before, n, why)
    found = minimize_scalar(
        lambda log_temperature: nll(math.exp(log_temperature)),
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    value = float(math.exp(found.x))
    after = nll(value)
    if after > before:  # the optimum is 1 to within the search's accuracy
        value, after = 1.0, before
    why = ""
    if value > 0.999 * HIGHEST:
        why = f"The model is right no more often than by chance: the search ended at {HIGHEST:g}."
    elif value < 1.001 * LOWEST:
        why = f"The model is far too little sure: the search ended at {LOWEST:g}."
    return Temperature(value, before, after, n, why)


def measure_reliability(
    confidences: np.ndarray,
    correct: np.ndarray,
    *,
    n_bins: int = N_BINS,
    binning: str = "equal_width",
    seed: int = 0,
) -> Reliability:
    """The reliability diagram and its expected calibration error.

    Args:
        confidences: float array (n_images,) in [0, 1], the probability of the class that was given.
        correct: bool array (n_images,), whether it was the right one.
        n_bins: at most so many; images of the same confidence share a bin.
        binning: `equal_width` as in Guo et al., whose bins may be empty, or `equal_mass`, bins of
            about as many images each, none empty.
        seed: of `expected_by_chance`.

    Raises:
        ValueError: the arrays do not match, a confidence lies outside [0, 1], `n_bins` is below 1,
            or there is no such binning.
    """
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct, bool)
    if confidences.ndim != 1 or correct.shape != confidences.shape:
        raise ValueError(
            f"confidences and correct must have one shape (n_images,), got {confidences.shape} "
            f"and {correct.shape}"
        )
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError("confidences must lie in [0, 1]")
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    edges = _edges(confidences, n_bins, binning)
    places = np.searchsorted(edges[1:-1], confidences, side="left")  # a bin holds its upper edge
    sizes = np.bincount(places, minlength=len(edges) - 1)
    sums = np.bincount(places, weights=confidences, minlength=len(sizes))
    n_right = np.bincount(places[correct], minlength=len(sizes))
    n = len(confidences)
    return Reliability(
        bins=tuple(
            ReliabilityBin(
                low=float(edges[place]),
                high=float(edges[place + 1]),
                n=int(size),
                confidence=float(sums[place] / size) if size else None,
                accuracy=estimate_share(int(n_right[place]), int(size), why="No image is in it."),
            )
            for place, size in enumerate(sizes.tolist())
        ),
        binning=binning,
        expected_calibration_error=float(np.abs(sums - n_right).sum() / n) if n else None,
        expected_by_chance=_error_by_chance(confidences, places, sums, seed=seed) if n else None,
        confidence=float(confidences.mean()) if n else None,
        accuracy=estimate_share(int(correct.sum()), n, why="There are no images."),
        n=n,
    )


def measure_calibration(
    logits: np.ndarray,
    targets: np.ndarray,
    *,
    temperature: float,
    n_bins: int = N_BINS,
    binning: str = "equal_width",
    seed: int = 0,
) -> Calibration:
    """Reliability before and after a temperature that was fitted on other images.

    Args:
        logits: float array (n_images, n_classes).
        targets: int array (n_images,), the place of the true class; images of -1 are left out.
        temperature: above 0.
        n_bins: as for `measure_reliability`.
        binning: likewise.
        seed: likewise.

    Raises:
        ValueError: as for `fit_temperature` and `measure_reliability`.
    """
    logits, targets = _known(logits, targets)
    correct = logits.argmax(axis=1) == targets
    before, after = (
        measure_reliability(
            softmax(logits, temperature=each).max(axis=1, initial=0.0).clip(0.0, 1.0),
            correct,
            n_bins=n_bins,
            binning=binning,
            seed=seed,
        )
        for each in (1.0, temperature)
    )
    return Calibration(temperature, before, after)


def _edges(confidences: np.ndarray, n_bins: int, binning: str) -> np.ndarray:
    """Ends of the bins, float64 (at most n_bins + 1,), ascending."""
    if binning not in BINNINGS:
        raise ValueError(f"binning must be one of {', '.join(BINNINGS)}, got {binning!r}")
    even = np.linspace(0, 1, n_bins + 1)
    if binning == "equal_width" or not len(confidences):
        return even
    # Each edge is a confidence that occurs: every bin holds at least the images of its edge.
    ranks = -(-len(confidences) * np.arange(1, n_bins + 1) // n_bins) - 1  # rounded up, less 1
    upper = np.unique(np.sort(confidences)[ranks])
    return np.array([confidences.min(), *upper])


def _error_by_chance(
    confidences: np.ndarray, places: np.ndarray, sums: np.ndarray, *, seed: int
) -> float:
    """Mean calibration error where each image is right with the probability that is said of it."""
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(_N_SIMULATIONS):
        right = rng.random(len(confidences)) < confidences
        n_right = np.bincount(places[right], minlength=len(sums))
        errors.append(np.abs(sums - n_right).sum() / len(confidences))
    return float(np.mean(errors))


def _known(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of the images whose class is known, once both are checked."""
    logits, targets = _check_logits(logits), np.asarray(targets)
    if targets.shape != (len(logits),):
        raise ValueError(f"targets must have shape ({len(logits)},), got {targets.shape}")
    if len(targets) and not -1 <= targets.min() <= targets.max() < logits.shape[1]:
        raise ValueError(
            f"targets must lie in [-1, {logits.shape[1] - 1}], got {targets.min()} to "
            f"{targets.max()}"
        )
    known = targets >= 0
    return logits[known], targets[known].astype(np.int64)


def _check_logits(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must have shape (n_images, n_classes), got {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite")
    return logits


def _log_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be above 0, got {temperature!r}")
    # The largest logit of a row becomes 0, so that nothing overflows.
    scaled = (logits - logits.max(axis=1, keepdims=True)) / temperature
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
