"""The tree: which files does a folder hold, without ever leaving it?

A symbolic link out of the folder is refused, and a link to a folder inside it is not followed,
since the files there are found where they are.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from core.images.formats.scanning import Rejection, is_hidden, looks_like_image, refusal_by_name
from core.vocabulary import printable

_LINK_OUT = "a symbolic link to outside the folder"
_LINK_TO_FOLDER = "a symbolic link to another folder of this import; its files are taken there"
_BROKEN_LINK = "a symbolic link to something that is not there"
_BAD_NAME = "the name is not valid UTF-8"


@dataclass(frozen=True, slots=True)
class File:
    """A regular file: where it is, and its path below the root with forward slashes."""

    path: Path
    relative: str


@dataclass(frozen=True)
class Tree:
    """All that a folder holds, each part in the order of its paths.

    Attributes:
        images: files that call themselves images, or are such by their first bytes.
        sidecars: all other files.
        rejected: what is offered and cannot be taken.
        ignored: relative paths of what an operating system put there and of what is no file; a
            folder ends in a slash.
    """

    images: tuple[File, ...]
    sidecars: tuple[File, ...]
    rejected: tuple[Rejection, ...]
    ignored: tuple[str, ...]


@dataclass
class _Found:
    real_root: str
    images: list[File] = field(default_factory=list)
    sidecars: list[File] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    pending: list[tuple[str, str]] = field(default_factory=list)  # path, relative

    def refuse(self, relative: str, reason: str) -> None:
        self.rejected.append(Rejection(printable(relative), reason))


def list_tree(root: Path) -> Tree:
    """List the files below a folder; one that cannot be read is listed with its reason."""
    found = _Found(real_root=os.path.realpath(root))
    found.pending.append((os.fspath(root), ""))
    while found.pending:
        _look_through(*found.pending.pop(), found)
    return Tree(
        images=tuple(sorted(found.images, key=lambda file: file.relative)),
        sidecars=tuple(sorted(found.sidecars, key=lambda file: file.relative)),
        rejected=tuple(sorted(found.rejected, key=lambda rejection: rejection.path)),
        ignored=tuple(sorted(found.ignored)),
    )


def peek_sidecars(root: Path, *suffixes: str, at_most: int) -> Iterator[Path]:
    """The first regular files with one of these suffixes, links left out: to tell a format by."""
    return islice(_with_suffix(root, suffixes), at_most)


def _with_suffix(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in names:
            if name.lower().endswith(suffixes) and not is_hidden(name):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path


def _look_through(path: str, relative: str, found: _Found) -> None:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                _sort_in(entry, f"{relative}/{entry.name}" if relative else entry.name, found)
    except OSError as error:
        found.refuse(f"{relative}/", f"the folder cannot be read ({error.strerror})")


def _sort_in(entry: os.DirEntry[str], relative: str, found: _Found) -> None:
    is_folder = entry.is_dir(follow_symlinks=False)
    if is_hidden(entry.name):
        found.ignored.append(printable(relative) + ("/" if is_folder else ""))
    elif printable(entry.name) != entry.name:
        found.refuse(relative, _BAD_NAME)
    elif is_folder:
        found.pending.append((entry.path, relative))
    elif reason := _link_refusal(entry, found.real_root) or refusal_by_name(entry.name):
        found.refuse(relative, reason)
    elif not entry.is_file():
        found.ignored.append(relative)
    elif looks_like_image(entry.path):
        found.images.append(File(Path(entry.path), relative))
    else:
        found.sidecars.append(File(Path(entry.path), relative))


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
