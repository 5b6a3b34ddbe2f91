"""The `folder` format: a folder a class, with a folder a split above it or not.

    scratch/001.jpg               label scratch, no split
    train/scratch/001.jpg         label scratch, split train
    train/scratch/line2/001.jpg   label scratch: deeper folders say nothing
    train/001.jpg                 no label, split train
    001.jpg                       neither

A split folder is known by its name in any case: train, val, valid, validation, calib, calibration,
test. The scan never leaves the folder: a symbolic link out of it is refused, and a link to a folder
inside it is not followed, since the files there are found where they are.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from core.images.scanning import (
    Candidate,
    Rejection,
    Scan,
    is_hidden,
    looks_like_image,
    refusal_by_name,
)
from core.images.splits import split_named
from core.vocabulary import clean_label, printable

_LINK_OUT = "a symbolic link to outside the folder"
_LINK_TO_FOLDER = "a symbolic link to another folder of this import; its files are taken there"
_BROKEN_LINK = "a symbolic link to something that is not there"
_BAD_NAME = "the name is not valid UTF-8"


@dataclass(frozen=True)
class _Place:
    """A folder still to be looked through, and what its position says of the images in it."""

    path: str
    relative: str = ""
    label: str | None = None
    split: str | None = None
    is_class: bool = False


@dataclass
class _Found:
    real_root: str
    candidates: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    pending: list[_Place] = field(default_factory=list)

    def refuse(self, relative: str, reason: str) -> None:
        self.rejected.append(Rejection(printable(relative), reason))


def scan_folder(root: Path) -> Scan:
    """List a folder's images with the labels and splits that their folders give."""
    found = _Found(real_root=os.path.realpath(root))
    found.pending.append(_Place(path=os.fspath(root)))
    while found.pending:
        _look_through(found.pending.pop(), found)
    return Scan(
        format="folder",
        root=root,
        candidates=tuple(sorted(found.candidates, key=lambda candidate: candidate.relative)),
        rejected=tuple(sorted(found.rejected, key=lambda rejection: rejection.path)),
        ignored=tuple(sorted(found.ignored)),
    )


def _look_through(place: _Place, found: _Found) -> None:
    try:
        with os.scandir(place.path) as entries:
            for entry in entries:
                _sort_in(entry, place, found)
    except OSError as error:
        found.refuse(f"{place.relative}/", f"the folder cannot be read ({error.strerror})")


def _sort_in(entry: os.DirEntry[str], place: _Place, found: _Found) -> None:
    relative = f"{place.relative}/{entry.name}" if place.relative else entry.name
    is_folder = entry.is_dir(follow_symlinks=False)
    if is_hidden(entry.name):
        found.ignored.append(printable(relative) + ("/" if is_folder else ""))
    elif printable(entry.name) != entry.name:
        found.refuse(relative, _BAD_NAME)
    elif is_folder:
        _queue_folder(entry, relative, place, found)
    elif reason := _link_refusal(entry, found.real_root) or refusal_by_name(entry.name):
        found.refuse(relative, reason)
    elif entry.is_file() and looks_like_image(entry.path):
        found.candidates.append(
            Candidate(Path(entry.path), relative, label=place.label, split=place.split)
        )
    else:
        found.ignored.append(relative)


def _queue_folder(entry: os.DirEntry[str], relative: str, place: _Place, found: _Found) -> None:
    label, split, is_class = place.label, place.split, place.is_class
    if not is_class:
        named = split_named(entry.name) if not place.relative else None
        if named:
            split = named
        else:
            is_class = True
            try:
                label = clean_label(entry.name)
            except ValueError as error:
                found.refuse(f"{relative}/", str(error))
                return
    found.pending.append(_Place(entry.path, relative, label, split, is_class))


def _link_refusal(entry: os.DirEntry[str], real_root: str) -> str | None:
    if not entry.is_symlink():
        return None
    target = os.path.realpath(entry.path)
    if os.path.commonpath([target, real_root]) != real_root:
        return _LINK_OUT
    # Unlike their namesakes elsewhere these two never raise, not for a link to itself either.
    if os.path.isdir(target):  # noqa: PTH112
        return _LINK_TO_FOLDER
    return None if os.path.isfile(target) else _BROKEN_LINK  # noqa: PTH113
