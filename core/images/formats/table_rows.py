"""Table rows: which file does a row of a table name, and what do several rows on one file say?

What CSV and Parquet have in common: `path` is relative to the table's folder and must stay inside
it. A file may stand in several rows, a box each, that agree on its label and split; attributes in
which they differ are not the image's and are dropped.
"""

import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.images.formats.scanning import Candidate, refusal_by_name
from core.images.splits import split_named
from core.vocabulary import SPLITS, clean_label

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")


class ListedImages:
    """The images that the rows of one table name, each once, in the order of their first rows."""

    def __init__(self, root: Path) -> None:
        self._places = _Places(root)
        self._found: dict[str, tuple[Candidate, int]] = {}

    def find(
        self, path: str, *, label: str, split: str, attributes: Mapping[str, str | float]
    ) -> Candidate:
        """The image that one row names.

        Raises:
            ValueError: it is not there, or the row cannot be meant so; says why in words for a
                person.
        """
        relative = _relative_path(path)
        if reason := refusal_by_name(relative):
            raise ValueError(reason)
        split_meant = split_named(split)
        if split and split_meant is None:
            raise ValueError(f"{split[:40]!r} is no split: use {', '.join(SPLITS)}")
        file = self._places.file(relative)
        return Candidate(file, relative, clean_label(label), split_meant, attributes)

    def add(self, candidate: Candidate, row: int) -> None:
        """Take an image on, or what a further row says of one that is there.

        Raises:
            ValueError: that row contradicts the first; says how in words for a person.
        """
        earlier, first_row = self._found.get(candidate.relative, (None, row))
        if earlier is not None:
            if (earlier.label, earlier.split) != (candidate.label, candidate.split):
                raise ValueError(f"row {first_row} gives the same file another label or split")
            agreed = {
                column: value
                for column, value in earlier.attributes.items()
                if candidate.attributes.get(column) == value
            }
            candidate = replace(earlier, attributes=agreed)
        self._found[candidate.relative] = candidate, first_row

    def candidates(self) -> tuple[Candidate, ...]:
        return tuple(candidate for candidate, _ in self._found.values())


def _relative_path(cell: str) -> str:
    if not cell:
        raise ValueError("the path is empty")
    if not cell.isprintable() and any(unicodedata.category(c) in {"Cc", "Cs"} for c in cell):
        if "\n" in cell:
            raise ValueError("the path runs over several lines: a quote is not closed")
        raise ValueError("the path has control characters")
    if _ABSOLUTE.match(cell):
        raise ValueError("the path is absolute; it must be relative to the table's folder")
    relative = posixpath.normpath(cell.replace("\\", "/"))
    if relative == ".." or relative.startswith("../"):
        raise ValueError("the path leads out of the table's folder")
    return relative


class _Places:
    """Finds files below a root, whatever links lie on the way; each folder is resolved once."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._base = root
        self._resolved: dict[str, str] = {}

    def file(self, relative: str) -> Path:
        """The regular file at a normalised relative path.

        Raises:
            ValueError: it is not there, is no file or leads out; says why in words for a person.
        """
        folder, name = posixpath.split(relative)
        try:
            if folder not in self._resolved:
                real_folder = os.path.realpath(self._base / folder)
                self._check_inside(real_folder)
                self._resolved[folder] = real_folder
            path = f"{self._resolved[folder]}/{name}"
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                self._check_inside(os.path.realpath(path))
                mode = os.stat(path).st_mode  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError("the file is not there") from None
        except OSError as error:
            raise ValueError(f"the file cannot be reached ({error.strerror})") from error
        if not stat.S_ISREG(mode):
            raise ValueError("this is a folder" if stat.S_ISDIR(mode) else "this is not a file")
        return self._base / relative

    def _check_inside(self, real_path: str) -> None:
        if os.path.commonpath([real_path, self.root]) != self.root:
            raise ValueError("a symbolic link leads out of the table's folder")
