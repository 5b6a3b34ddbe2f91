"""The `csv` format: a table with the columns `path`, `label`, `split` and any others.

`path` is relative to the table's folder and must stay inside it; the other two may be missing or
empty. Every further column becomes an attribute of its images: numbers where every value is one,
texts otherwise (dates and times, too). A column whose numbers start with zeros holds names, as in
"0042", and stays text. A file may stand in several rows, a box each, that agree on its label and
split; attributes in which they differ are not the image's and are dropped. Comma, semicolon and tab
separate; where a semicolon does, a decimal comma is understood. UTF-8, UTF-16 with a mark, and
otherwise Latin-1 are read.
"""

import csv
import io
import math
import os
import posixpath
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import OperatorError
from core.images.scanning import NO_ATTRIBUTES, Candidate, Rejection, Scan, refusal_by_name
from core.images.splits import split_named
from core.vocabulary import SPLITS, clean_label, printable

MAX_TABLE_BYTES = 100_000_000

_DELIMITERS = (",", ";", "\t")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")


@dataclass(frozen=True)
class _Row:
    """One row of the table: the line it starts on, and its cells by column, stripped."""

    line: int
    cells: Mapping[str, str]


class _RowRefused(Exception):
    """Why one row of the table is not taken."""


def has_path_column(table: Path) -> bool:
    """Whether a file is a table that this format reads."""
    try:
        with table.open("rb") as file:
            header = _decode_text(file.read(65_536)).splitlines()[:1]
    except OSError:
        return False
    return bool(header) and _delimiter(header[0]) is not None


def scan_csv(table: Path) -> Scan:
    """List the images that a table names.

    Raises:
        OperatorError: the table cannot be read, is too large, or has no column `path`.
    """
    root = table.parent
    columns, rows, rejected = _read_table(table)
    attributes = _attributes(columns, rows)
    places = _Places(root)
    candidates: dict[str, Candidate] = {}
    first_line: dict[str, int] = {}
    for row, values in zip(rows, attributes, strict=True):
        try:
            candidate = _candidate(row, values, places)
            earlier = candidates.get(candidate.relative)
            if earlier is not None:
                candidate = _merged(earlier, candidate, first_line[candidate.relative])
        except (_RowRefused, ValueError) as refused:
            rejected.append(Rejection(printable(row.cells["path"]), f"row {row.line}: {refused}"))
        else:
            candidates[candidate.relative] = candidate
            first_line.setdefault(candidate.relative, row.line)
    return Scan(
        format="csv",
        root=root,
        candidates=tuple(candidates.values()),
        rejected=tuple(rejected),
        ignored=(),
    )


def _merged(earlier: Candidate, later: Candidate, line: int) -> Candidate:
    """One candidate of two rows on one file: the attributes in which they agree."""
    if (earlier.label, earlier.split) != (later.label, later.split):
        raise _RowRefused(f"row {line} gives the same file another label or split")
    agreed = {
        column: value
        for column, value in earlier.attributes.items()
        if later.attributes.get(column) == value
    }
    return replace(earlier, attributes=agreed)


def _candidate(row: _Row, attributes: Mapping[str, str | float], places: "_Places") -> Candidate:
    relative = _relative_path(row.cells["path"])
    if reason := refusal_by_name(relative):
        raise _RowRefused(reason)
    split_cell = row.cells.get("split", "")
    split = split_named(split_cell)
    if split_cell and split is None:
        raise _RowRefused(f"{split_cell[:40]!r} is no split: use {', '.join(SPLITS)}")
    label = clean_label(row.cells.get("label", ""))
    return Candidate(places.file(relative), relative, label, split, attributes)


def _relative_path(cell: str) -> str:
    if not cell:
        raise _RowRefused("the path is empty")
    if not cell.isprintable() and any(unicodedata.category(c) in {"Cc", "Cs"} for c in cell):
        if "\n" in cell:
            raise _RowRefused("the path runs over several lines: a quote is not closed")
        raise _RowRefused("the path has control characters")
    if _ABSOLUTE.match(cell):
        raise _RowRefused("the path is absolute; it must be relative to the table's folder")
    relative = posixpath.normpath(cell.replace("\\", "/"))
    if relative == ".." or relative.startswith("../"):
        raise _RowRefused("the path leads out of the table's folder")
    return relative


class _Places:
    """Finds files below a root, whatever links lie on the way; each folder is resolved once."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.realpath(root)
        self._base = root
        self._resolved: dict[str, str] = {}

    def file(self, relative: str) -> Path:
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
            raise _RowRefused("the file is not there") from None
        except OSError as error:
            raise _RowRefused(f"the file cannot be reached ({error.strerror})") from error
        if not stat.S_ISREG(mode):
            raise _RowRefused("this is a folder" if stat.S_ISDIR(mode) else "this is not a file")
        return self._base / relative

    def _check_inside(self, real_path: str) -> None:
        if os.path.commonpath([real_path, self.root]) != self.root:
            raise _RowRefused("a symbolic link leads out of the table's folder")


def _read_table(table: Path) -> tuple[list[str], list[_Row], list[Rejection]]:
    """The columns as they are shown, the rows, and the rows that are no rows."""
    try:
        n_bytes = table.stat().st_size
        if n_bytes > MAX_TABLE_BYTES:
            raise OperatorError(
                f"The table {printable(table.name)} is too large.",
                f"It has {n_bytes / 1e6:,.0f} MB; at most {MAX_TABLE_BYTES / 1e6:,.0f} are read.",
                "Split it into several tables and import one after the other.",
            )
        text = _decode_text(table.read_bytes())
    except OSError as error:
        raise OperatorError(
            f"The table {printable(table.name)} cannot be read.",
            f"{error.strerror}.",
            "Check that the file is there and may be read.",
        ) from error
    header = text.partition("\n")[0]
    delimiter = _delimiter(header)
    if delimiter is None:
        raise OperatorError(
            f"The table {printable(table.name)} has no column named path.",
            f"Its first line is: {printable(header.strip())[:200] or '(empty)'}",
            "Name the column that holds the image files `path` (and others `label`, `split`).",
        )

    records = _records(text, delimiter)
    _, header_cells = next(records)
    columns = _column_names(header_cells or [])
    rows: list[_Row] = []
    rejected: list[Rejection] = []
    for line, cells in records:
        if cells is None:
            rejected.append(Rejection("", f"row {line}: the row cannot be read as a table row"))
        elif any(cell.strip() for cell in cells):
            if len(cells) > len(columns):
                excess = f"{len(cells)} cells under {len(columns)} columns"
                rejected.append(Rejection(printable(cells[0]), f"row {line}: {excess}"))
            else:
                padded = cells + [""] * (len(columns) - len(cells))
                named = zip(columns, padded, strict=True)
                rows.append(_Row(line, {column: cell.strip() for column, cell in named}))
    if delimiter == ";":
        rows = [_Row(row.line, _with_decimal_points(row.cells)) for row in rows]
    return columns, rows, rejected


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Each record with the line it starts on; None for one that cannot be parsed."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, None


def _decode_text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _delimiter(header: str) -> str | None:
    """The delimiter under which the header has a column `path`."""
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        if any(cell.strip().casefold() == "path" for cell in cells):
            return delimiter
    return None


def _column_names(cells: Sequence[str]) -> list[str]:
    """Names to show and to filter by: cleaned, never empty, each once; "Path" is `path`."""
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        collapsed = " ".join(unicodedata.normalize("NFC", cell).split())
        name = "".join(c for c in collapsed if unicodedata.category(c) not in {"Cc", "Cs"})[:60]
        if name.casefold() in {"path", "label", "split"}:
            name = name.casefold()
        name = name or f"column {position}"
        unique, n = name, 1
        while unique in names:
            n += 1
            unique = f"{name} ({n})"
        names.append(unique)
    return names


def _with_decimal_points(cells: Mapping[str, str]) -> dict[str, str]:
    """Cells with "3,5" as "3.5", where that makes a number; paths and labels as they are."""
    return {
        column: cell.replace(",", ".")
        if column not in {"path", "label", "split"} and _NUMBER.fullmatch(cell.replace(",", "."))
        else cell
        for column, cell in cells.items()
    }


def _attributes(columns: Sequence[str], rows: Sequence[_Row]) -> list[Mapping[str, str | float]]:
    """Each row's further cells: a column is numeric where every cell with content is a number."""
    extra = [column for column in columns if column not in {"path", "label", "split"}]
    numeric = {
        column
        for column in extra
        if all(_is_number(row.cells[column]) for row in rows if row.cells[column])
    }
    return [
        {
            column: float(cell) if column in numeric else printable(cell)
            for column in extra
            if (cell := row.cells[column])
        }
        or NO_ATTRIBUTES
        for row in rows
    ]


def _is_number(cell: str) -> bool:
    return (
        _NUMBER.fullmatch(cell) is not None
        and _LEADING_ZERO.match(cell) is None
        and math.isfinite(float(cell))
    )
