"""Findings: what is wrong with a data set, the gravest first, and what to do about each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from core.images.quality_flags import QUALITY_FLAGS
from core.report.counts import LabelTable, count_labels, tabulate
from core.report.facts import Facts
from core.report.subsets import (
    CameTwice,
    FileIs,
    HasFlag,
    HasLookAlikes,
    InCell,
    InConflict,
    Part,
    Subset,
    rows_of,
)
from core.vocabulary import RESERVED_LABELS

# Below ten, a class's variation is guessed from almost nothing, and validation swings by a tenth
# with every image.
MIN_PER_CLASS = 10
MAX_IMBALANCE = 10.0
# A stratified draw comes within an image of the expected number; a quarter is no accident.
MIN_SHARE_OF_EXPECTED = 0.25
_NAMED = 4  # classes that a finding names before it counts the rest

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know.

    Attributes:
        severity: `error` spoils what is learned or measured, `warning` may, `info` only tells.
        text: what is wrong, in a sentence without its full stop.
        advice: what to do about it.
        subset: the images that it is about.
    """

    severity: Severity
    text: str
    advice: str
    subset: Subset


def find_problems(facts: Facts, *, with_excluded: bool) -> tuple[Finding, ...]:
    """All findings, the gravest first; none where nothing stands out."""

    def count(part: Part) -> int:
        return int(rows_of(facts, (part,), with_excluded=with_excluded).sum())

    rows = count_labels(facts, with_excluded=with_excluded)
    labels = tabulate(rows, classes=facts.classes)
    return (
        *_conflicts(count),
        *_straddling(count),
        *_disputed(count),
        *_lost_files(count),
        *_missing_splits(labels),
        *_empty_cells(labels),
        *_scarce_cells(labels),
        *_small_classes(labels),
        *_imbalance(labels),
        *_flags(count),
        *_without_label_or_split(labels),
        *_missing_calibration(labels),
        *_duplicates(count),
        *_look_alikes(count),
    )


def _conflicts(count: Callable[[Part], int]) -> Iterator[Finding]:
    if n := count(InConflict()):
        yield Finding(
            "error",
            f"{_images(n)} came with different labels from different files",
            "Look at each and give it the right label.",
            (InConflict(),),
        )


def _straddling(count: Callable[[Part], int]) -> Iterator[Finding]:
    if n := count(HasLookAlikes("splits")):
        yield Finding(
            "error",
            f"{_images(n)} look alike in several splits",
            "Where they show one thing, what is measured flatters the model: keep each group in "
            "one split.",
            (HasLookAlikes("splits"),),
        )


def _disputed(count: Callable[[Part], int]) -> Iterator[Finding]:
    if n := count(HasLookAlikes("labels")):
        yield Finding(
            "warning",
            f"{_images(n)} look alike under several labels",
            "Look at each group: where it shows one thing, one of the labels is wrong.",
            (HasLookAlikes("labels"),),
        )


def _lost_files(count: Callable[[Part], int]) -> Iterator[Finding]:
    if n := count(FileIs("missing")):
        yield Finding(
            "error",
            f"The file of {_images(n)} is missing",
            "Put the files back where they were and check again, or exclude the images.",
            (FileIs("missing"),),
        )
    if n := count(FileIs("changed")):
        yield Finding(
            "warning",
            f"The file of {_images(n)} was changed since it was imported",
            "What was computed belongs to the old file: import the folder again.",
            (FileIs("changed"),),
        )


def _missing_splits(labels: LabelTable) -> Iterator[Finding]:
    """Training, validation and test are needed; calibration is taken off validation in time."""
    present = [split for split in labels.splits if split is not None]
    missing = [split for split in ("train", "validation", "test") if split not in present]
    if present and missing:
        yield Finding(
            "warning",
            f"There is no {' and no '.join(missing)} split",
            "Move some images there: each split answers another question.",
            tuple(InCell("*", split) for split in present),
        )
    elif missing and labels.labels:
        yield Finding(
            "warning",
            "No image belongs to a split",
            "Import with a rule for splits, or move images into them.",
            (InCell("*", None),),
        )


def _missing_calibration(labels: LabelTable) -> Iterator[Finding]:
    if {"train", "validation"} <= set(labels.splits) and "calibration" not in labels.splits:
        yield Finding(
            "info",
            "There is no calibration split",
            "It serves the thresholds of automatic labels: split it off before training.",
            (InCell("*", "validation"),),
        )


def _empty_cells(labels: LabelTable) -> Iterator[Finding]:
    for column, split in enumerate(labels.splits):
        rows = [row for row in _classes(labels) if not labels.counts[row, column]]
        if split is None or not rows:
            continue
        names = [str(labels.labels[row]) for row in rows]
        advice = "Nothing can be learned of what is not there"
        if split != "train":
            advice = "What is measured there says nothing of them"
        yield Finding(
            "error" if split == "train" else "warning",
            f"{split.capitalize()} has no image of {_listed(names)}",
            f"{advice}: move some images to {split}.",
            tuple(InCell(name, "*") for name in names),
        )


def _scarce_cells(labels: LabelTable) -> Iterator[Finding]:
    """Classes of which a split has far fewer images than its size lets expect, though not none."""
    rows = _classes(labels)
    counts = labels.counts[rows]
    if not counts.sum():
        return
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    is_scarce = (
        (counts > 0) & (expected >= MIN_PER_CLASS) & (counts < MIN_SHARE_OF_EXPECTED * expected)
    )
    for column, split in enumerate(labels.splits):
        names = [
            (str(labels.labels[row]), int(count))
            for row, count, scarce in zip(
                rows, counts[:, column], is_scarce[:, column], strict=True
            )
            if scarce
        ]
        if split is None or not names:
            continue
        yield Finding(
            "warning",
            f"{split.capitalize()} has few images of "
            + _listed([f"{name} ({count:,})" for name, count in names]),
            "Large groups that stay together do that: move some, or draw anew with smaller ones.",
            tuple(InCell(name, split) for name, _ in names),
        )


def _small_classes(labels: LabelTable) -> Iterator[Finding]:
    """Classes with few images to learn from: in training, or at all where nothing is split yet."""
    training = [labels.splits.index("train")] if "train" in labels.splits else []
    counted = labels.counts[:, training or range(len(labels.splits))].sum(axis=1)
    small = [row for row in _classes(labels) if 0 < counted[row] < MIN_PER_CLASS]
    if small:
        named = [f"{labels.labels[row]} ({counted[row]:,})" for row in small]
        kind = "training images" if training else "images"
        yield Finding(
            "warning",
            f"Fewer than {MIN_PER_CLASS} {kind}: {_listed(named)}",
            "Too few to learn from: bring more, or join them with a class that is alike.",
            tuple(InCell(labels.labels[row], "train" if training else "*") for row in small),
        )


def _imbalance(labels: LabelTable) -> Iterator[Finding]:
    totals = {str(labels.labels[row]): int(labels.counts[row].sum()) for row in _classes(labels)}
    if len(totals) < 2:
        return
    largest, smallest = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    ratio = totals[largest] / totals[smallest]
    if ratio > MAX_IMBALANCE:
        yield Finding(
            "warning",
            f"{largest} has {ratio:,.0f} times as many images as {smallest}",
            "Judge a model by its balanced accuracy, or draw fewer of the large class.",
            (InCell(smallest, "*"),),
        )


def _flags(count: Callable[[Part], int]) -> Iterator[Finding]:
    for name, flag in QUALITY_FLAGS.items():
        if n := count(HasFlag(name)):
            verb = "is" if n == 1 else "are"
            text = f"{_images(n)} {verb} {flag.words}"
            yield Finding("warning", text, flag.advice, (HasFlag(name),))


def _without_label_or_split(labels: LabelTable) -> Iterator[Finding]:
    if None in labels.labels:
        n = int(labels.counts[labels.labels.index(None)].sum())
        yield Finding(
            "info",
            f"{_images(n)} without a label",
            "Label them here, or send them to triage.",
            (InCell(None, "*"),),
        )
    if None in labels.splits and len(labels.splits) > 1:
        n = int(labels.counts[:, labels.splits.index(None)].sum())
        yield Finding(
            "info",
            f"{_images(n)} in no split",
            "Nothing learns from them and nothing is measured on them: move them to a split.",
            (InCell("*", None),),
        )


def _duplicates(count: Callable[[Part], int]) -> Iterator[Finding]:
    if n := count(CameTwice()):
        yield Finding(
            "info",
            f"{_images(n)} came from several files",
            "Each is kept once: nothing has to be done.",
            (CameTwice(),),
        )


def _look_alikes(count: Callable[[Part], int]) -> Iterator[Finding]:
    n = count(HasLookAlikes())
    if n > count(HasLookAlikes("splits")):  # else all of them have been named
        yield Finding(
            "info",
            f"{_images(n)} look like others",
            "A draw of splits keeps them together; fewer of them would say as much.",
            (HasLookAlikes(),),
        )


def _classes(labels: LabelTable) -> list[int]:
    """Rows of the labels that a model learns."""
    names = enumerate(labels.labels)
    return [row for row, name in names if name is not None and name not in RESERVED_LABELS]


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n:,} images"


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} other classes"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
