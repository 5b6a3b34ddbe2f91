"""Copies: images that came from several files, and images that look alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from core.report.facts import Facts
from core.state.image_table import Categories


@dataclass(frozen=True)
class Copies:
    """One image and the files with its content.

    Attributes:
        labels: the different labels that the files were given.
        is_open: whether they differ, and no person has said since which is right.
    """

    image_id: int
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    is_open: bool


@dataclass(frozen=True)
class LookAlikes:
    """One group of near-duplicates.

    Attributes:
        image_ids: ascending, at least two.
        labels: the different labels of the group.
        splits: the different splits of the group.
    """

    image_ids: tuple[int, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]


def list_look_alikes(facts: Facts) -> tuple[LookAlikes, ...]:
    """Every group of near-duplicates: those in several splits first, then of several labels."""
    images = facts.images
    order = np.argsort(images.look_alikes, kind="stable")
    order = order[images.look_alikes[order] > 0]
    starts = np.flatnonzero(np.diff(images.look_alikes[order])) + 1
    groups = [
        LookAlikes(
            tuple(images.ids[rows].tolist()),
            _names(images.labels, rows),
            _names(images.splits, rows),
        )
        for rows in np.split(order, starts)
        if len(rows)
    ]
    return tuple(sorted(groups, key=lambda each: (len(each.splits) < 2, len(each.labels) < 2)))


def _names(categories: Categories, rows: np.ndarray) -> tuple[str, ...]:
    codes = np.unique(categories.codes[rows])
    return tuple(categories.names[code] for code in codes if code >= 0)


def list_copies(facts: Facts) -> tuple[Copies, ...]:
    """Every image that came twice or with two labels; those nobody has settled stand first."""
    settled = set(facts.images.ids[facts.images.is_decided].tolist())
    found = []
    for image_id in sorted({*facts.duplicates, *facts.conflicts}):
        files = facts.conflicts.get(image_id, ())
        paths = facts.duplicates.get(image_id) or tuple(dict.fromkeys(path for path, _ in files))
        labels = tuple(dict.fromkeys(label for _, label in files if label))
        found.append(Copies(image_id, paths, labels, bool(files) and image_id not in settled))
    return tuple(sorted(found, key=lambda copies: not copies.is_open))


def common_folder(paths: Iterable[str]) -> str:
    """What all paths begin with, up to and with a slash; "" where they share no folder."""
    every = sorted(paths)
    if not every:
        return ""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(every[0], every[-1], strict=False))
    shared = "".join(first for first, _ in alike)
    return shared[: shared.rfind("/") + 1]
