"""Subsets: the images behind a bar of a chart, a range of a measure, or a finding.

A subset says what its images have in common, never which rows they are, so that a link to it means
the same tomorrow. It is a union of parts, and travels as JSON: `[["cell", "dirt", "train"]]`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import ClassVar, Protocol

import numpy as np

from core.images.quality_flags import QUALITY_FLAGS, Flagged
from core.report.facts import MEASURES, Facts
from core.vocabulary import SPLITS, UNUSABLE

N_COMMON_SIZES = 8  # that have a bar of their own
_MAX_PARTS = 400
_CONDITIONS = {"missing": "whose file is missing", "changed": "whose file was changed"}

_LOOK_ALIKES = {
    "all": "that look like others",
    "splits": "that look alike in several splits",
    "labels": "that look alike under several labels",
}


class Part(Protocol):
    """Images that have one thing in common."""

    kind: ClassVar[str]

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""

    def words(self) -> str:
        """What is said of the images, to follow their number: "12 images <words>"."""


Subset = tuple[Part, ...]


@dataclass(frozen=True)
class HasFlag:
    """Images with a quality flag; those called unusable need nobody's attention any more."""

    kind: ClassVar = "flag"
    name: str

    def __post_init__(self) -> None:
        if self.name not in QUALITY_FLAGS:
            raise ValueError(f"{self.name!r} is no flag")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return facts.flagged[self.name].rows & ~facts.images.labels.equal(UNUSABLE)

    def words(self) -> str:
        """Such as "12 images judged too dark"."""
        return f"judged {QUALITY_FLAGS[self.name].words}"


@dataclass(frozen=True)
class InRange:
    """Images with a measure in [low, high), or [low, high] where that is the most it can be."""

    kind: ClassVar = "range"
    measure: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"{self.measure!r} is no measure")
        numbers = all(isinstance(end, int | float) for end in (self.low, self.high))
        if not numbers or not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"{self.low!r} to {self.high!r} is no range")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        values = facts.measures[self.measure]
        most = MEASURES[self.measure].range[1]
        if most is not None and self.high >= most:
            return values >= self.low
        return (values >= self.low) & (values < self.high)

    def words(self) -> str:
        """Such as "12 images with sharpness from 10 to 12.6"."""
        measure = MEASURES[self.measure]
        low, high = measure.format.format(self.low), measure.format.format(self.high)
        return f"with {measure.title.lower()} from {low} to {high}"


@dataclass(frozen=True)
class InCell:
    """Images of a label and a split; None is "without one", "*" is any."""

    kind: ClassVar = "cell"
    label: str | None
    split: str | None

    def __post_init__(self) -> None:
        if not isinstance(self.label, str | None):
            raise ValueError(f"{self.label!r} is no label")
        if self.split not in (*SPLITS, None, "*"):
            raise ValueError(f"{self.split!r} is no split")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        rows = np.ones(len(facts.images.ids), bool)
        if self.label != "*":
            rows &= facts.images.labels.equal(self.label)
        if self.split != "*":
            rows &= facts.images.splits.equal(self.split)
        return rows

    def words(self) -> str:
        """Such as "12 images labelled dirt in train"."""
        label = "without a label" if self.label is None else f"labelled {self.label}"
        split = "in no split" if self.split is None else f"in {self.split}"
        shown = [label] * (self.label != "*") + [split] * (self.split != "*")
        return " ".join(shown) or "in all"


@dataclass(frozen=True)
class HasSize:
    """Images of one width and height, in pixels."""

    kind: ClassVar = "size"
    width: int
    height: int

    def __post_init__(self) -> None:
        if not (isinstance(self.width, int) and isinstance(self.height, int)):
            raise ValueError(f"{self.width!r} x {self.height!r} is no size")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return (facts.images.widths == self.width) & (facts.images.heights == self.height)

    def words(self) -> str:
        """Such as "12 images of 640 × 480 pixels"."""
        return f"of {self.width:,} × {self.height:,} pixels"


@dataclass(frozen=True)
class HasOtherSize:
    """Images of none of the commonest sizes."""

    kind: ClassVar = "other_size"

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        rows = np.ones(len(facts.images.ids), bool)
        for width, height in facts.sizes[:N_COMMON_SIZES]:
            rows &= ~HasSize(width, height).rows(facts)
        return rows

    def words(self) -> str:
        """Such as "12 images of a rarer size"."""
        return "of a rarer size"


@dataclass(frozen=True)
class FileIs:
    """Images whose file is `missing` or `changed`."""

    kind: ClassVar = "file"
    condition: str

    def __post_init__(self) -> None:
        if self.condition not in _CONDITIONS:
            raise ValueError(f"{self.condition!r} is no condition of a file")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return facts.images.conditions.equal(self.condition)

    def words(self) -> str:
        """Such as "12 images whose file is missing"."""
        return _CONDITIONS[self.condition]


@dataclass(frozen=True)
class CameTwice:
    """Images that came from several files with the same content."""

    kind: ClassVar = "several_files"

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return facts.among(list(facts.duplicates))

    def words(self) -> str:
        """Such as "12 images that came from several files"."""
        return "that came from several files"


@dataclass(frozen=True)
class InConflict:
    """Images to which their sources gave different labels, and no person has given one yet."""

    kind: ClassVar = "conflict"

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return facts.among(list(facts.conflicts)) & ~facts.images.is_decided

    def words(self) -> str:
        """Such as "12 images with different labels from different files"."""
        return "with different labels from different files"


@dataclass(frozen=True)
class LooksLike:
    """One image and its near-duplicates."""

    kind: ClassVar = "alike"
    image_id: int

    def __post_init__(self) -> None:
        if not isinstance(self.image_id, int):
            raise TypeError("an image is named by its number")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        groups = facts.images.look_alikes
        [number] = groups[facts.images.ids == self.image_id].tolist() or [0]
        return (groups == number) & (groups > 0)

    def words(self) -> str:
        """Such as "3 images that look alike"."""
        return "that look alike"


@dataclass(frozen=True)
class HasLookAlikes:
    """Images that have near-duplicates: all, in several splits, or under several labels."""

    kind: ClassVar = "look_alikes"
    which: str = "all"

    def __post_init__(self) -> None:
        if self.which not in _LOOK_ALIKES:
            raise ValueError(f"{self.which!r} says nothing of near-duplicates")

    def rows(self, facts: Facts) -> np.ndarray:
        """bool (n_images,)."""
        return {
            "all": facts.images.look_alikes > 0,
            "splits": facts.is_straddling,
            "labels": facts.is_disputed,
        }[self.which]

    def words(self) -> str:
        """Such as "12 images that look alike in several splits"."""
        return _LOOK_ALIKES[self.which]


_KINDS: dict[str, type[Part]] = {
    part.kind: part
    for part in (
        HasFlag,
        InRange,
        InCell,
        HasSize,
        HasOtherSize,
        FileIs,
        CameTwice,
        InConflict,
        LooksLike,
        HasLookAlikes,
    )
}


def rows_of(facts: Facts, subset: Subset, *, with_excluded: bool) -> np.ndarray:
    """bool (n_images,): the union of the parts, without excluded images unless asked for."""
    rows = np.zeros(len(facts.images.ids), bool)
    for part in subset:
        rows |= part.rows(facts)
    return rows if with_excluded else rows & ~facts.images.is_excluded


def ids_of(facts: Facts, subset: Subset, *, with_excluded: bool) -> np.ndarray:
    """int64 ids (n_chosen,), ascending; otherwise like `rows_of`."""
    return facts.images.ids[rows_of(facts, subset, with_excluded=with_excluded)]


def covers(subset: Subset, part: Part) -> bool:
    """Whether the subset names all images of a bar."""
    return any(_covers(chosen, part) for chosen in subset)


def describe(subset: Subset) -> str:
    """The subset in words, to follow the number of its images."""
    if len(subset) > 4:
        return f"of {len(subset)} bars of the chart"
    return ", or ".join(part.words() for part in subset)


def explain(facts: Facts, subset: Subset) -> tuple[str, ...]:
    """How it was judged and what to do, or what was measured; nothing where there is nothing."""
    lines = []
    for part in subset:
        if isinstance(part, HasFlag):
            lines.append(_explain_flag(facts.flagged[part.name]))
        elif isinstance(part, InRange):
            lines.append(MEASURES[part.measure].explanation)
    return tuple(lines)


def encode(subset: Subset) -> str:
    """The subset as JSON, for a link."""
    parts = [[part.kind, *astuple(part)] for part in subset]  # type: ignore[call-overload]
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Subset:
    """The subset that a link names; "" is none.

    Raises:
        ValueError: the text is not one that `encode` writes.
    """
    if not text:
        return ()
    try:
        return tuple(_KINDS[kind](*values) for kind, *values in json.loads(text)[:_MAX_PARTS])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{text[:80]!r} names no images of a report") from error


def join(subsets: Sequence[Subset]) -> Subset:
    """One subset of all: ranges of one measure become the range from the first to the last."""
    parts = [part for subset in subsets for part in subset]
    ranges = [part for part in parts if isinstance(part, InRange)]
    if ranges and len(ranges) == len(parts) and len({part.measure for part in ranges}) == 1:
        low, high = min(part.low for part in ranges), max(part.high for part in ranges)
        return (InRange(ranges[0].measure, low, high),)
    return tuple(dict.fromkeys(parts))


def _covers(chosen: Part, part: Part) -> bool:
    if isinstance(chosen, InCell) and isinstance(part, InCell):
        return chosen.label in (part.label, "*") and chosen.split in (part.split, "*")
    if isinstance(chosen, InRange) and isinstance(part, InRange):
        same = chosen.measure == part.measure
        return same and chosen.low <= part.low and part.high <= chosen.high
    return chosen == part


def _explain_flag(found: Flagged) -> str:
    if found.flag.measure is None:
        return found.flag.advice
    measure = MEASURES[found.flag.measure]
    ends = (("below", found.below), ("above", found.above))
    limits = [f"{word} {measure.format.format(end)}" for word, end in ends if end is not None]
    rule = f"Judged by {measure.title.lower()}: {' or '.join(limits)}. " if limits else ""
    return rule + found.flag.advice
