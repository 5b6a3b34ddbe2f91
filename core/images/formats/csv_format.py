"""The `csv` format: a table with the columns `path`, `label`, `split` and any others.

`path` is relative to the table's folder and must stay inside it; the other two may be missing or
empty. Every further column becomes an attribute of its images: numbers where every value is one,
texts otherwise (dates and times, too). A column whose numbers start with zeros holds names, as in
"0042", and stays text. A file may stand in several rows, a box each, that agree on its label and
split; attributes in which they differ are not the image's and are dropped. Comma, semicolon and tab
separate; where a semicolon does, a decimal comma is understood. UTF-8, UTF-16 with a mark, and
otherwise Latin-1 are read.

A table that was exported from here has columns named `lacquer:…` behind the others, which bring an
image back as it was; `classes.csv` beside it has the classes in their order.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import OperatorError
from core.images.formats.bookkeeping import settled_attributes, with_bookkeeping
from core.images.formats.class_list import read_classes
from core.images.formats.csv_cells import is_number, unguarded
from core.images.formats.scanning import NO_ATTRIBUTES, Candidate, Rejection, Scan
from core.images.formats.table_columns import (
    OWN_COLUMNS,
    bookkeeping_of,
    cell_text,
    column_names,
    is_bookkeeping,
)
from core.images.formats.table_rows import ListedImages
from core.vocabulary import printable

MAX_TABLE_BYTES = 500_000_000  # exported with its bookkeeping, an image takes about 500

# The longest cell: ten thousand boxes take a quarter of it. The module's own limit is 131,072.
_MAX_CELL_CHARS = 4_000_000

_DELIMITERS = (",", ";", "\t")
_LEADING_ZERO = re.compile(r"[+-]?0\d")


@dataclass(frozen=True)
class _Row:
    """One row of the table: the line it starts on, and its cells by column, stripped."""

    line: int
    cells: Mapping[str, str]


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
    is_exported = any(map(is_bookkeeping, columns))
    attributes = _attributes(columns, rows)
    listed = ListedImages(root)
    for row, values in zip(rows, attributes, strict=True):
        cells = row.cells
        left_out: list[str] = []
        try:
            candidate = listed.find(
                cells["path"],
                label=cells.get("label", ""),
                split=cells.get("split", ""),
                attributes=values,
            )
            if is_exported:
                candidate, left_out = _restored(candidate, row)
            listed.add(candidate, row.line)
        except ValueError as refused:
            left_out = [str(refused)]
        rejected += [
            Rejection(printable(cells["path"]), f"row {row.line}: {why}") for why in left_out
        ]
    return Scan(
        format="csv",
        root=root,
        candidates=listed.candidates(),
        rejected=tuple(rejected),
        ignored=(),
        classes=read_classes(root) if is_exported else (),
    )


def _restored(shown: Candidate, row: _Row) -> tuple[Candidate, list[str]]:
    """An image as it was exported, but for what was edited in the table since."""
    restored, left_out = with_bookkeeping(shown, bookkeeping_of(row.cells))
    exact = restored.attributes
    texts = {name: row.cells[name] for name in shown.attributes if isinstance(exact.get(name), str)}
    attributes = settled_attributes(
        {**shown.attributes, **texts},
        exact,
        lambda name, value: name not in row.cells or row.cells[name] == cell_text(value).strip(),
    )
    return replace(restored, attributes=attributes or NO_ATTRIBUTES), left_out


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
    columns = column_names(header_cells or [])
    read_cells = _exported_cells if any(map(is_bookkeeping, columns)) else _cells
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
                rows.append(_Row(line, read_cells(columns, padded)))
    if delimiter == ";":
        rows = [_Row(row.line, _with_decimal_points(row.cells)) for row in rows]
    return columns, rows, rejected


def _cells(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    return {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}


def _exported_cells(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    # Bookkeeping is taken to the letter: the name of a file may begin with a space.
    texts = map(unguarded, cells)
    return {
        column: text if is_bookkeeping(column) else text.strip()
        for column, text in zip(columns, texts, strict=True)
    }


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Each record with the line it starts on; None for one that cannot be parsed."""
    csv.field_size_limit(_MAX_CELL_CHARS)
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


def _with_decimal_points(cells: Mapping[str, str]) -> dict[str, str]:
    """Cells with "3,5" as "3.5", where that makes a number; paths and labels as they are."""
    return {
        column: cell.replace(",", ".")
        if column not in OWN_COLUMNS
        and not is_bookkeeping(column)
        and is_number(cell.replace(",", "."))
        else cell
        for column, cell in cells.items()
    }


def _attributes(columns: Sequence[str], rows: Sequence[_Row]) -> list[Mapping[str, str | float]]:
    """Each row's further cells: a column is numeric where every cell with content is a number."""
    extra = [
        column for column in columns if column not in OWN_COLUMNS and not is_bookkeeping(column)
    ]
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
    return is_number(cell) and _LEADING_ZERO.match(cell) is None and math.isfinite(float(cell))
