"""Counts: what the charts of the report show, each bar with the subset that it stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.images.quality import QualityMeasure
from core.report.facts import MEASURES, Facts
from core.report.subsets import (
    N_COMMON_SIZES,
    HasOtherSize,
    HasSize,
    InCell,
    InRange,
)
from core.vocabulary import RESERVED_LABELS, SPLITS

N_BINS = 40  # at most
_FEWEST_BINS = 10

LabelCount = tuple[str | None, str | None, int]  # label, split, n_images


@dataclass(frozen=True)
class Histogram:
    """How often a measure takes which values.

    Attributes:
        edges: float (n_bins + 1,), ascending.
        counts: int (n_bins,), values in [edges[i], edges[i + 1]).
        flagged: int (n_bins,), those of them with a flag that is judged by this measure.
        limits: values at which a flag begins.
    """

    measure: QualityMeasure
    edges: np.ndarray
    counts: np.ndarray
    flagged: np.ndarray
    limits: tuple[float, ...]

    def bin(self, place: int) -> InRange:
        """The images of one bar."""
        low, high = float(self.edges[place]), float(self.edges[place + 1])
        return InRange(self.measure.name, low, high)


@dataclass(frozen=True)
class LabelTable:
    """How many images have which label in which split.

    Attributes:
        labels: those that are there, classes in their order, then reserved ones, then None.
        splits: those that are there, in their order, then None.
        counts: int (n_labels, n_splits).
    """

    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    counts: np.ndarray

    def cell(self, row: int, column: int) -> InCell:
        """The images of one label and split."""
        return InCell(self.labels[row], self.splits[column])


def count_labels(facts: Facts, *, with_excluded: bool) -> tuple[LabelCount, ...]:
    """(label, split, n_images) of every label and split that go together."""
    shown = shown_rows(facts, with_excluded=with_excluded)
    labels, splits = facts.images.labels, facts.images.splits
    counts = np.zeros((len(labels.names) + 1, len(splits.names) + 1), np.int64)
    np.add.at(counts, (labels.codes[shown], splits.codes[shown]), 1)  # code -1 is the last place
    label_names, split_names = (*labels.names, None), (*splits.names, None)
    return tuple(
        (label_names[row], split_names[column], int(counts[row, column]))
        for row, column in zip(*np.nonzero(counts), strict=True)
    )


def tabulate(rows: Sequence[LabelCount], *, classes: Sequence[str]) -> LabelTable:
    """The same counts as a table, with the cells that have none.

    Args:
        rows: (label, split, n_images).
        classes: in the order of the table's rows.
    """
    labels = _in_order({label for label, _, _ in rows}, [*classes, *RESERVED_LABELS])
    splits = _in_order({split for _, split, _ in rows}, SPLITS)
    counts = np.zeros((len(labels), len(splits)), np.int64)
    for label, split, n_images in rows:
        counts[labels.index(label), splits.index(split)] += n_images
    return LabelTable(labels, splits, counts)


def count_values(facts: Facts, measure: str, *, with_excluded: bool) -> Histogram:
    """The histogram of a measure in at most `N_BINS` bars with round edges.

    Raises:
        KeyError: there is no such measure.
    """
    chosen, values = MEASURES[measure], facts.measures[measure]
    shown = shown_rows(facts, with_excluded=with_excluded) & np.isfinite(values)
    judging = [found for found in facts.flagged.values() if found.flag.measure == measure]
    edges = _edges(values[shown], chosen)

    def count(rows: np.ndarray) -> np.ndarray:
        places = np.searchsorted(edges, values[rows], side="right") - 1
        return np.bincount(np.minimum(places, len(edges) - 2), minlength=len(edges) - 1)

    flagged = np.zeros(len(values), bool)
    for found in judging:
        flagged |= found.rows
    limits = {end for found in judging for end in (found.below, found.above) if end is not None}
    return Histogram(chosen, edges, count(shown), count(shown & flagged), tuple(sorted(limits)))


def count_sizes(
    facts: Facts, *, with_excluded: bool
) -> tuple[tuple[HasSize | HasOtherSize, int], ...]:
    """Images by the commonest sizes, and of all the rarer ones together, where there are any."""
    shown = shown_rows(facts, with_excluded=with_excluded)
    parts: list[HasSize | HasOtherSize] = [
        HasSize(width, height) for width, height in facts.sizes[:N_COMMON_SIZES]
    ]
    parts.append(HasOtherSize())
    bars = [(part, int((part.rows(facts) & shown).sum())) for part in parts]
    return tuple((part, n_images) for part, n_images in bars if n_images)


def shown_rows(facts: Facts, *, with_excluded: bool) -> np.ndarray:
    """bool (n_images,): all images, or those that are not excluded."""
    return ~facts.images.is_excluded | with_excluded


def scale(values: np.ndarray, measure: QualityMeasure) -> np.ndarray:
    """Where values stand on the axis: log10(1 + value) for measures over orders of magnitude.

    With the 1, images without any sharpness keep their place on the axis.
    """
    return np.log10(1.0 + values) if measure.log_scale else np.asarray(values, float)


def _edges(values: np.ndarray, measure: QualityMeasure) -> np.ndarray:
    """Multiples of a round step on the axis, from below the lowest value to above the highest."""
    places = scale(values, measure)
    low, high = (float(places.min()), float(places.max())) if len(places) else (0.0, 1.0)
    span = (high - low) / (N_BINS - 2) or max(high, 1.0) / N_BINS
    step = _round_up(max(span, measure.resolution))
    # A little more, for 0.94 / 0.02 is less than 47.
    first, last = (int(np.floor(end / step + 1e-6)) for end in (low, high))
    last += 1
    if last - first < _FEWEST_BINS:  # a lone bar says nothing of where it stands
        first = max(0, first - (_FEWEST_BINS - (last - first)) // 2)
        last = first + _FEWEST_BINS
    most = measure.range[1]
    if most is not None and last * step > most:
        last = round(most / step)  # the last bar holds the highest value too
        first = min(first, last - 1)
    edges = np.round(np.arange(first, last + 1) * step, 9)
    if measure.log_scale:
        edges = 10.0**edges - 1.0
        rounded = np.array([float(f"{edge:.3g}") for edge in edges])
        edges = rounded if (np.diff(rounded) > 0).all() else edges
    if len(values):  # whatever the powers were rounded to, the ends hold all values
        edges[0] = min(edges[0], values.min())
        if most is None:
            edges[-1] = max(edges[-1], np.nextafter(values.max(), np.inf))
    return edges


def _round_up(step: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(factor for factor in (1, 2, 5, 10) if factor * power >= step) * power)


def _in_order(present: set[str | None], order: Sequence[str]) -> tuple[str | None, ...]:
    """Those that are there: in the given order, then others by name, then None."""
    others = sorted(name for name in present if name is not None and name not in order)
    return tuple(name for name in [*order, *others, None] if name in present)
