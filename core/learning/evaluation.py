"""How often is a classifier right, and how sure is that?

Measured over the images whose label is a class of the model. Images with another label (`multiple`,
a class that the model does not know) have rows of their own in the confusion matrix and count
nowhere else; images without a label are only counted.

Every share comes with its 95 % interval: of 70 images, 92 % right means 84 % to 97 %. Shares have
Wilson's interval, which describes what was measured: its coverage is 95 % on average, and it
stays within [0, 1] and has a width at 0 and at 1. A promise needs an exact bound instead.

Source:
    Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    doi:10.1080/01621459.1927.10502953; Brown, Cai & DasGupta (2001), "Interval estimation for a
    binomial proportion", doi:10.1214/ss/1009213286.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE_LEVEL = 0.95
UNKNOWN = "unknown"  # all labels that are no class of the model, as one


@dataclass(frozen=True)
class Estimate:
    """A share, and how far it can be trusted.

    Attributes:
        value: in [0, 1]; None where it is not defined.
        low: lower end of its 95 % interval, None where the value is.
        high: upper end.
        n: images that it is a share of.
        why: why it is not defined, a sentence for a person; empty where it is.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others, higher = better.

    Attributes:
        name: of the class.
        support: images of this class.
        n_predicted: images of any class of the model that were given this one.
        precision: share of `n_predicted` that are of this class.
        recall: share of `support` that were given this class.
        f1: harmonic mean of the two; `n` counts the images that are of this class or were given it.
    """

    name: str
    support: int
    n_predicted: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Confusion:
    """How many images of each label were given each class.

    Attributes:
        labels: of the rows: the classes of the model in its order, then every other label that
            occurs (`multiple`, say), sorted.
        classes: of the columns, in the model's order.
        counts: a row of `n_classes` numbers for each label.
    """

    labels: tuple[str, ...]
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Evaluation:
    """What a classifier is worth on a set of images.

    Attributes:
        accuracy: share of the images of known classes that were given theirs.
        balanced_accuracy: mean recall over the classes that have images, so that each weighs alike.
        classes: a score each, in the model's order.
        confusion: what was taken for what.
        n_images: of the whole set.
        n_known: those whose label is a class of the model.
        n_other: those with another label.
        n_unlabelled: those with none.
    """

    accuracy: Estimate
    balanced_accuracy: Estimate
    classes: tuple[ClassScore, ...]
    confusion: Confusion
    n_images: int
    n_known: int
    n_other: int
    n_unlabelled: int


def evaluate(
    labels: Sequence[str | None], class_names: Sequence[str], probabilities: np.ndarray
) -> Evaluation:
    """Compare what a classifier says with the labels.

    Args:
        labels: a label an image, None or empty where it has none.
        class_names: the classes of the model, in the order of the columns.
        probabilities: float array (n_images, n_classes); an image is given its most probable class,
            the first of those that are equally probable.

    Raises:
        ValueError: the shapes do not match, a class is named twice, or a probability is not finite.
    """
    _check(labels, class_names, probabilities)
    predicted = probabilities.argmax(axis=1) if len(labels) else np.zeros(0, dtype=np.int64)
    confusion = _count(labels, class_names, predicted)
    counts = np.array(confusion.counts, dtype=np.int64)
    known = counts[: len(class_names)]  # (n_classes, n_classes)
    scores = tuple(_score(known, place, name) for place, name in enumerate(class_names))
    n_known, n_labelled = int(known.sum()), int(counts.sum())
    return Evaluation(
        accuracy=estimate_share(
            int(known.trace()), n_known, why="No image has a label that is a class of the model."
        ),
        balanced_accuracy=mean_share([score.recall for score in scores]),
        classes=scores,
        confusion=confusion,
        n_images=len(labels),
        n_known=n_known,
        n_other=n_labelled - n_known,
        n_unlabelled=len(labels) - n_labelled,
    )


def estimate_share(n_hits: int, n: int, *, why: str) -> Estimate:
    """A share of images with Wilson's 95 % interval.

    Args:
        n_hits: images that count, at most `n`.
        n: images looked at.
        why: what to say where there are none.

    Raises:
        ValueError: `n_hits` lies outside [0, n].
    """
    from scipy.stats import binomtest

    if not 0 <= n_hits <= n:
        raise ValueError(f"n_hits must lie in [0, {n}], got {n_hits}")
    if n == 0:
        return Estimate(None, None, None, 0, why)
    interval = binomtest(n_hits, n).proportion_ci(CONFIDENCE_LEVEL, method="wilson")
    return Estimate(n_hits / n, float(interval.low), float(interval.high), n)


def encode_targets(labels: Sequence[str | None], class_names: Sequence[str]) -> np.ndarray:
    """Labels as places in `class_names`: int64 (n_images,), -1 for those that are not in it."""
    places = {name: place for place, name in enumerate(class_names)}
    return np.array([places.get(label or "", -1) for label in labels], dtype=np.int64)


def unite_unknown(
    labels: Sequence[str | None], class_names: Sequence[str]
) -> tuple[str | None, ...]:
    """Labels with all that are no class of the model as one, `UNKNOWN`; None and empty are None."""
    known = set(class_names)
    return tuple(label if label in known else UNKNOWN if label else None for label in labels)


def _check(
    labels: Sequence[str | None], class_names: Sequence[str], probabilities: np.ndarray
) -> None:
    expected = (len(labels), len(class_names))
    if not class_names or len(set(class_names)) < len(class_names):
        raise ValueError(f"class_names must be different names, got {list(class_names)}")
    if probabilities.shape != expected:
        raise ValueError(f"probabilities must have shape {expected}, got {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be finite")


def _count(
    labels: Sequence[str | None], class_names: Sequence[str], predicted: np.ndarray
) -> Confusion:
    others = sorted({label for label in labels if label} - set(class_names))
    rows = (*class_names, *others)
    places = encode_targets(labels, rows)
    labelled = places >= 0
    counts = np.zeros((len(rows), len(class_names)), dtype=np.int64)
    np.add.at(counts, (places[labelled], predicted[labelled]), 1)
    return Confusion(rows, tuple(class_names), tuple(map(tuple, counts.tolist())))


def _score(known: np.ndarray, place: int, name: str) -> ClassScore:
    """One class from the square confusion matrix."""
    hits = int(known[place, place])
    support, n_predicted = int(known[place].sum()), int(known[:, place].sum())
    return ClassScore(
        name=name,
        support=support,
        n_predicted=n_predicted,
        precision=estimate_share(hits, n_predicted, why="No image was given this class."),
        recall=estimate_share(hits, support, why="No image is of this class."),
        f1=_f1(hits, support + n_predicted - hits),
    )


def _f1(n_both: int, n_either: int) -> Estimate:
    """F1 with its interval.

    Of the images that are of the class or were given it, those that are both are a share J, which
    has Wilson's interval; F1 = 2 J / (1 + J) rises with J and carries the ends along.
    """
    share = estimate_share(
        n_both, n_either, why="No image is of this class, and none was given it."
    )
    if share.value is None or share.low is None or share.high is None:
        return share
    value, low, high = (2 * j / (1 + j) for j in (share.value, share.low, share.high))
    return Estimate(value, low, high, n_either)


def mean_share(shares: Sequence[Estimate]) -> Estimate:
    """The mean of those shares of different images that are defined, with its 95 % interval.

    The distances to the ends of the Wilson intervals add up like standard deviations, each side for
    itself (MOVER). So the interval holds the mean, stays in [0, 1], and has a width where a
    bootstrap or the delta method has none: where every class is all right.

    Source:
        Zou, Huang & Zhang (2009), "A note on confidence interval estimation for a linear function
        of binomial proportions", Computational Statistics & Data Analysis 53.
    """
    defined = [
        (share.value, share.low, share.high)
        for share in shares
        if share.value is not None and share.low is not None and share.high is not None
    ]
    n = sum(share.n for share in shares)
    if not defined:
        return Estimate(None, None, None, n, "No image has a label that is a class of the model.")
    mean = math.fsum(value for value, _, _ in defined) / len(defined)
    below = math.hypot(*(value - low for value, low, _ in defined)) / len(defined)
    above = math.hypot(*(high - value for value, _, high in defined)) / len(defined)
    return Estimate(mean, max(mean - below, 0.0), min(mean + above, 1.0), n)
