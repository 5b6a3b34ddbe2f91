"""Which images does the model label itself, and which go to people? The risk rule.

Two questions decide: is the image of one of the known classes at all (novelty), and which one
(confidence). Both make one number: the confidence, times how dense the nearest class is where the
image lies, by a normal density that is 1 in the middle and measures distance by what is usual among
validation images of known classes. Either alone can send an image to people.

A continuous number keeps apart what ranks among a few validation images cannot: the images in the
tail, among which the threshold of a feasible promise lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.triage.promise import Promise, make_promise

# Fixed before any image is seen; evenly spaced in the logarithm of the doubt, -log(sureness). What
# is less sure than the last is never labelled: with a confidence of 1, what lies three times as far
# from its class as is usual. Looser ones would spend what a promise tolerates on images that are
# plainly of no known class; in trials they labelled no more, nor did twice as many thresholds.
THRESHOLDS = np.exp(-np.geomspace(0.05, 4.5, 80))
CURVE_ERRORS = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True)
class Scores:
    """What a model says of some images; entry i of each array is image i.

    Attributes:
        confidence: float (n_images,), probability of the predicted class after temperature.
        novelty: float (n_images,), distance from all known classes, higher = more novel.
    """

    confidence: np.ndarray
    novelty: np.ndarray

    def __post_init__(self) -> None:
        if self.confidence.shape != self.novelty.shape or self.confidence.ndim != 1:
            raise ValueError(
                "confidence and novelty must have one length, got "
                f"{self.confidence.shape} and {self.novelty.shape}"
            )
        for name, values in (("confidence", self.confidence), ("novelty", self.novelty)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name} must be finite")

    def __len__(self) -> int:
        return len(self.confidence)


@dataclass(frozen=True)
class SurenessScale:
    """Turns two scores into one, by what is usual among reference images.

    It is made again from the arrays `reference_confidence` and `reference_familiarity` of a plan.

    Attributes:
        confidences: of the reference images, ascending.
        familiarities: of the reference images, ascending: their novelty, negated.
    """

    confidences: np.ndarray
    familiarities: np.ndarray

    def measure(self, scores: Scores) -> np.ndarray:
        """Sureness in [0, 1], higher = surer: float64 (n_images,)."""
        usual = max(-float(np.median(self.familiarities)), np.finfo(float).tiny)
        with np.errstate(over="ignore"):  # beyond all numbers from its class: a density of 0
            density = np.exp(-0.5 * (scores.novelty / usual) ** 2)
        return scores.confidence * density

    def share_less_far(self, novelty: np.ndarray) -> np.ndarray:
        """Share of the reference images that are less far from all classes: float64 (n_images,).

        Args:
            novelty: float (n_images,), as in `Scores`.
        """
        farther = np.searchsorted(self.familiarities, -novelty.astype(np.float64), side="right")
        return 1.0 - farther / len(self.familiarities)


@dataclass(frozen=True)
class CurvePoint:
    """What a promise would cost: the share of the images that it lets the model label.

    Attributes:
        max_error: the tolerated share of wrong automatic labels.
        auto_share: of the images to be routed, in [0, 1]; where there are none, of the calibration
            images, which what comes in is like.
    """

    max_error: float
    auto_share: float


@dataclass(frozen=True)
class RiskPlan:
    """Who labels which image.

    Attributes:
        promise: what is promised, and from how many images that is known.
        is_auto: bool (n_images,), whether the model labels the image.
        sureness: float64 (n_images,), in [0, 1].
        scale: what measures the sureness of any other image of this model.
        auto_share: of the images that the model labels, as in `CurvePoint`.
        curve: error promised against images labelled, the strictest promise first.
    """

    promise: Promise
    is_auto: np.ndarray
    sureness: np.ndarray
    scale: SurenessScale
    auto_share: float
    curve: tuple[CurvePoint, ...]


def fit_scale(reference: Scores) -> SurenessScale:
    """The scale by images that people have labelled with known classes.

    They must not be the calibration images, nor images that the model was trained on.

    Raises:
        ValueError: there is no reference image.
    """
    if not len(reference):
        raise ValueError("reference must hold at least one image")
    return SurenessScale(np.sort(reference.confidence), np.sort(-reference.novelty))


def plan_by_risk(
    reference: Scores,
    calibration: Scores,
    is_wrong: np.ndarray,
    images: Scores,
    *,
    max_error: float,
    delta: float,
    for_people: np.ndarray | None = None,
    curve_errors: Sequence[float] = CURVE_ERRORS,
) -> RiskPlan:
    """Let the model label as many images as the promise allows.

    Args:
        reference: validation images of known classes, for the scale.
        calibration: images that nothing was trained or chosen on.
        is_wrong: bool (n_calibration,), whether the model's label would be wrong there; an image
            of no known class is always wrong.
        images: to be routed.
        max_error: tolerated share of wrong automatic labels, in (0, 1).
        delta: chance that the promise fails, in (0, 1).
        for_people: bool (n_images,), images that go to people whatever the model says of them.
        curve_errors: promises whose cost is told beside.

    Raises:
        ValueError: a length does not fit, or a share lies outside (0, 1).
    """
    scale = fit_scale(reference)
    of_calibration, of_images = scale.measure(calibration), scale.measure(images)

    def promise_for(error: float) -> Promise:
        return make_promise(of_calibration, is_wrong, THRESHOLDS, max_error=error, delta=delta)

    def accepted(promise: Promise) -> np.ndarray:
        is_auto = _accepted(of_images, promise)
        return is_auto if for_people is None else is_auto & ~for_people

    def share(promise: Promise) -> float:
        told = accepted(promise) if len(images) else _accepted(of_calibration, promise)
        return float(told.mean()) if len(told) else 0.0

    promise = promise_for(max_error)
    return RiskPlan(
        promise=promise,
        is_auto=accepted(promise),
        sureness=of_images,
        scale=scale,
        auto_share=share(promise),
        curve=tuple(CurvePoint(error, share(promise_for(error))) for error in sorted(curve_errors)),
    )


def _accepted(sureness: np.ndarray, promise: Promise) -> np.ndarray:
    if promise.threshold is None:
        return np.zeros(len(sureness), bool)
    return sureness >= promise.threshold
