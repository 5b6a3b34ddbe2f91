"""Is one classifier better than another, on the same images, or is that chance?

Both say what they make of each image; what counts is the images on which just one of them is right.
If neither were better, each of those would be won by either with the same chance: the exact test of
McNemar is a sign test on them. The images must be labelled by people, and neither model may have
learned from them or been chosen by them.

Classes that only the new model knows are told apart. The old one cannot be right there: over all
images the new one gains by them, and what it lost on the classes that both know would be hidden. So
the verdict is read off the classes that both know.

Source:
    McNemar (1947), doi:10.1007/BF02295996; Newcombe (1998), "Improved confidence intervals for the
    difference between binomial proportions based on paired data",
    doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C (method 10);
    Holm (1979), "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.learning.evaluation import Confusion, Estimate, estimate_share, mean_share

ALPHA = 0.05  # of each one-sided test
BETTER, NO_DIFFERENCE, WORSE = "better", "no difference shown", "worse beyond chance"
# What became of an image with the new model; `outcomes` holds places in this list.
OUTCOMES = ("both right", "better", "worse", "both wrong")
BOTH_RIGHT, GAINED, LOST, BOTH_WRONG = range(len(OUTCOMES))
# The fewest images that must all be lost before a loss is beyond chance: 0.5 ** 5 < ALPHA.
_FEWEST_LOST = math.ceil(math.log(ALPHA) / math.log(0.5))
_POWER = 0.8  # chance to notice what is called noticeable
_COARSE = 0.1  # a verdict that notices only larger losses than this is weak


@dataclass(frozen=True)
class Difference:
    """The accuracy of the new model less that of the old one on the same images.

    Attributes:
        value: in [-1, 1], higher = the new one is better; None where there are no images.
        low: lower end of its 95 % interval, None where the value is.
        high: upper end.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PairedMeasure:
    """Two models on one set of images.

    Attributes:
        n: images.
        old_accuracy: share that the old model is right on.
        new_accuracy: of the new one.
        old_balanced: mean recall of the old model over the classes that have images.
        new_balanced: of the new one.
        difference: of the accuracies.
        n_gained: images that only the new model is right on.
        n_lost: images that only the old one is right on.
        n_both_wrong: images that neither is right on.
        p_better: how often chance alone would let the new one gain so many of those that just one
            is right on.
        p_worse: the same of those it lost.
    """

    n: int
    old_accuracy: Estimate
    new_accuracy: Estimate
    old_balanced: Estimate
    new_balanced: Estimate
    difference: Difference
    n_gained: int
    n_lost: int
    n_both_wrong: int
    p_better: float
    p_worse: float


@dataclass(frozen=True)
class ClassComparison:
    """Two models on the images of one class.

    Attributes:
        name: of the class.
        known_by: `both`, `old` or `new`.
        n: its images.
        old_recall: share of them that the old model is right on.
        new_recall: of the new one.
        n_gained: that only the new one is right on.
        n_lost: that only the old one is right on.
        p_worse: as in `PairedMeasure`, corrected by Holm's method for there being several classes.
    """

    name: str
    known_by: str
    n: int
    old_recall: Estimate
    new_recall: Estimate
    n_gained: int
    n_lost: int
    p_worse: float

    @property
    def is_worse(self) -> bool:
        """Whether the new model is worse here beyond chance."""
        return self.known_by != "new" and self.p_worse <= ALPHA


@dataclass(frozen=True)
class ModelComparison:
    """A new model against an old one.

    Attributes:
        verdict: `BETTER`, `NO_DIFFERENCE` or `WORSE`, over the classes that both know.
        all: over all images of a class that either knows.
        both: over those of the classes that both know.
        new_only: over those of the classes that only the new one knows.
        classes: a row each: those of the old model in its order, then what the new one adds.
        old_confusion: what the old model took for what; rows and columns are the same for both.
        new_confusion: what the new one did.
        outcomes: int8 (n_images,), places in `OUTCOMES`; -1 for images of a class that neither
            knows, which count nowhere.
        noticeable_loss: the smallest true loss of accuracy over the classes that both know which
            would be found beyond chance four times out of five, if the new model gained nothing
            elsewhere; None where so few images can show none.
        notes: what a person who reads the verdict must know.
    """

    verdict: str
    all: PairedMeasure
    both: PairedMeasure
    new_only: PairedMeasure
    classes: tuple[ClassComparison, ...]
    old_confusion: Confusion
    new_confusion: Confusion
    outcomes: np.ndarray
    noticeable_loss: float | None
    notes: tuple[str, ...]


def compare(
    labels: Sequence[str],
    old_given: Sequence[str],
    new_given: Sequence[str],
    *,
    old_classes: Sequence[str],
    new_classes: Sequence[str],
) -> ModelComparison:
    """Compare what two models say of the same images.

    Args:
        labels: by people, one an image.
        old_given: the class that the old model gives each.
        new_given: the class that the new one gives each.
        old_classes: all that the old model knows.
        new_classes: all that the new one knows.

    Raises:
        ValueError: the lengths differ, or a model gives a class that it does not know.
    """
    if not len(labels) == len(old_given) == len(new_given):
        raise ValueError(
            "labels and both models' answers must be as many, got "
            f"{len(labels)}, {len(old_given)} and {len(new_given)}"
        )
    for given, known in ((old_given, old_classes), (new_given, new_classes)):
        if strange := set(given) - set(known):
            raise ValueError(f"a model gives {sorted(strange)}, which is none of its classes")
    names = tuple(dict.fromkeys([*old_classes, *new_classes]))
    of_label = np.array(labels, dtype=object)
    old_right = of_label == np.array(old_given, dtype=object)
    new_right = of_label == np.array(new_given, dtype=object)
    is_old, is_new = (
        np.array([label in set(classes) for label in labels], bool)
        for classes in (old_classes, new_classes)
    )

    def measured(chosen: np.ndarray) -> PairedMeasure:
        return _measure(of_label[chosen], old_right[chosen], new_right[chosen], names)

    both = measured(is_old & is_new)
    rows = _by_class(of_label, old_right, new_right, names, set(old_classes), set(new_classes))
    counted = is_old | is_new
    outcomes = np.where(
        old_right, np.where(new_right, BOTH_RIGHT, LOST), np.where(new_right, GAINED, BOTH_WRONG)
    )
    noticeable = _noticeable_loss(both.n)
    return ModelComparison(
        verdict=_verdict(both),
        all=measured(counted),
        both=both,
        new_only=measured(is_new & ~is_old),
        classes=rows,
        old_confusion=_confusion(of_label[counted], np.array(old_given, object)[counted], names),
        new_confusion=_confusion(of_label[counted], np.array(new_given, object)[counted], names),
        outcomes=np.where(counted, outcomes, -1).astype(np.int8),
        noticeable_loss=noticeable,
        notes=_notes(both, rows, noticeable, n_unknown=int((~counted).sum())),
    )


def paired_difference(n_both: int, n_gained: int, n_lost: int, n_neither: int) -> Difference:
    """The new model's share of right answers less the old one's, with its 95 % interval.

    The Wilson intervals of the two shares are joined, less what the models have in common.

    Args:
        n_both: images that both are right on.
        n_gained: that only the new one is right on.
        n_lost: that only the old one is right on.
        n_neither: that neither is right on.

    Source:
        Newcombe (1998), method 10.
    """
    n = n_both + n_gained + n_lost + n_neither
    if n == 0:
        return Difference(None, None, None)
    new_below, new_above = _reach(n_both + n_gained, n)
    old_below, old_above = _reach(n_both + n_lost, n)
    together = _correlation(n_both, n_gained, n_lost, n_neither)
    below = _joined(new_below, old_above, together)
    above = _joined(new_above, old_below, together)
    value = (n_gained - n_lost) / n
    return Difference(value, max(value - below, -1.0), min(value + above, 1.0))


def _reach(n_hits: int, n: int) -> tuple[float, float]:
    """How far Wilson's interval reaches below and above the share."""
    share = estimate_share(n_hits, n, why="")
    value, low, high = share.value or 0.0, share.low or 0.0, share.high or 0.0
    return value - low, high - value


def _joined(first: float, second: float, together: float) -> float:
    return math.sqrt(max(first**2 - 2 * together * first * second + second**2, 0.0))


def _correlation(n_both: int, n_gained: int, n_lost: int, n_neither: int) -> float:
    """Phi of the two models' right answers, with Newcombe's continuity correction."""
    margins = (
        (n_both + n_gained) * (n_lost + n_neither) * (n_both + n_lost) * (n_gained + n_neither)
    )
    if margins == 0:
        return 0.0
    product = float(n_both * n_neither - n_gained * n_lost)
    if product > 0:
        product = max(product - (n_both + n_gained + n_lost + n_neither) / 2, 0.0)
    return product / math.sqrt(margins)


def _measure(
    labels: np.ndarray, old_right: np.ndarray, new_right: np.ndarray, names: Sequence[str]
) -> PairedMeasure:
    n = len(labels)
    n_gained = int((new_right & ~old_right).sum())
    n_lost = int((old_right & ~new_right).sum())
    n_neither = int((~old_right & ~new_right).sum())
    n_both = n - n_gained - n_lost - n_neither
    why = "There are no such images."
    return PairedMeasure(
        n=n,
        old_accuracy=estimate_share(int(old_right.sum()), n, why=why),
        new_accuracy=estimate_share(int(new_right.sum()), n, why=why),
        old_balanced=_balanced(labels, old_right, names),
        new_balanced=_balanced(labels, new_right, names),
        difference=paired_difference(n_both, n_gained, n_lost, n_neither),
        n_gained=n_gained,
        n_lost=n_lost,
        n_both_wrong=n_neither,
        p_better=_sign_test(n_gained, n_lost),
        p_worse=_sign_test(n_lost, n_gained),
    )


def _balanced(labels: np.ndarray, is_right: np.ndarray, names: Sequence[str]) -> Estimate:
    shares = [
        estimate_share(
            int(is_right[labels == name].sum()),
            int((labels == name).sum()),
            why="There are no such images.",
        )
        for name in names
    ]
    return mean_share(shares)


def _sign_test(n_for: int, n_against: int) -> float:
    """How often chance alone would give at least `n_for` of all: one side of McNemar's test."""
    from scipy.stats import binom

    return float(binom.sf(n_for - 1, n_for + n_against, 0.5))


def _verdict(measure: PairedMeasure) -> str:
    if measure.p_worse <= ALPHA:
        return WORSE
    return BETTER if measure.p_better <= ALPHA else NO_DIFFERENCE


def _by_class(
    labels: np.ndarray,
    old_right: np.ndarray,
    new_right: np.ndarray,
    names: Sequence[str],
    old_classes: set[str],
    new_classes: set[str],
) -> tuple[ClassComparison, ...]:
    found = [
        _measure(labels[labels == name], old_right[labels == name], new_right[labels == name], ())
        for name in names
    ]
    is_asked = [name in old_classes and each.n > 0 for name, each in zip(names, found, strict=True)]
    p_values = iter(
        _holm([each.p_worse for each, asked in zip(found, is_asked, strict=True) if asked])
    )
    return tuple(
        ClassComparison(
            name=name,
            known_by="both"
            if {name} <= old_classes & new_classes
            else "old"
            if name in old_classes
            else "new",
            n=each.n,
            old_recall=each.old_accuracy,
            new_recall=each.new_accuracy,
            n_gained=each.n_gained,
            n_lost=each.n_lost,
            p_worse=next(p_values) if asked else 1.0,
        )
        for name, each, asked in zip(names, found, is_asked, strict=True)
    )


def _holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected so that one wrong alarm among all of them has the stated chance."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min((len(p_values) - rank) * p_values[place], 1.0))
        corrected[place] = largest
    return corrected


def _confusion(labels: np.ndarray, given: np.ndarray, names: tuple[str, ...]) -> Confusion:
    place = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for label, answer in zip(labels.tolist(), given.tolist(), strict=True):
        counts[place[label], place[answer]] += 1
    return Confusion(names, names, tuple(map(tuple, counts.tolist())))


def _noticeable_loss(n: int) -> float | None:
    """A share of which `n` images hold the fewest lost ones that are beyond chance, often enough.

    Of n images at least k are lost with the probability I(share; k, n - k + 1), the incomplete beta
    function.
    """
    from scipy.special import betaincinv

    if n < _FEWEST_LOST:
        return None
    return float(betaincinv(_FEWEST_LOST, n - _FEWEST_LOST + 1, _POWER))


def _notes(
    both: PairedMeasure,
    rows: Sequence[ClassComparison],
    noticeable: float | None,
    *,
    n_unknown: int,
) -> tuple[str, ...]:
    notes = []
    if noticeable is None:
        notes.append(
            f"{both.n:,} images of the classes that both know can show no difference at all: at "
            f"least {_FEWEST_LOST} are needed."
        )
    elif noticeable > _COARSE:
        notes.append(
            f"The verdict is weak: on {both.n:,} images only a loss of about {noticeable:.0%} or "
            "more would be noticed."
        )
    if worse := [row.name for row in rows if row.is_worse]:
        notes.append(f"Worse beyond chance on the images of {', '.join(worse)}.")
    if gone := [row.name for row in rows if row.known_by == "old"]:
        notes.append(f"The new model no longer knows {', '.join(gone)}.")
    if unseen := [row.name for row in rows if row.known_by != "old" and row.n == 0]:
        notes.append(
            f"There is no image of {', '.join(unseen)} to compare by: nothing is known of it here."
        )
    if n_unknown:
        notes.append(
            f"{n_unknown:,} images are left out, because their label is no class of either model."
        )
    return tuple(notes)
