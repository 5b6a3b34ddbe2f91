"""The `parquet` format: a table like that of `csv`, whose columns say themselves what they hold.

    labels.parquet                 path, label, split, and an attribute a column
    embeddings/<run>.parquet       what was computed, where the table was exported from here
    projections/<run>.parquet
    clusterings/<run>.parquet

Columns of texts, of times and of true and false are texts, columns of numbers numbers; NaN is no
value. Columns of lists and the like are left out. An exported table has columns named `lacquer:…`,
as in `csv`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import OperatorError
from core.images.formats.bookkeeping import settled_attributes, with_bookkeeping
from core.images.formats.class_list import read_classes
from core.images.formats.scanning import NO_ATTRIBUTES, Candidate, Rejection, Scan
from core.images.formats.stored_runs import list_stored_runs
from core.images.formats.table_columns import (
    OWN_COLUMNS,
    bookkeeping_of,
    cell_text,
    column_names,
    is_bookkeeping,
)
from core.images.formats.table_rows import ListedImages
from core.vocabulary import printable

if TYPE_CHECKING:
    import pyarrow as pa

_MAX_ROWS = 5_000_000
_BATCH = 4096


@dataclass(frozen=True)
class _Column:
    """A column that is read: its name in the file, its name here, and as what type."""

    stored: str
    name: str
    type: "pa.DataType"


def is_parquet_table(path: Path) -> bool:
    """Whether a file is a Parquet table with a column `path`."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return False
    return any(name.strip().casefold() == "path" for name in names)


def scan_parquet(table: Path) -> Scan:
    """List the images that a table names, and the runs that stand beside it.

    Raises:
        OperatorError: the table is damaged or too large.
    """
    import pyarrow as pa

    listed = ListedImages(table.parent)
    rejected: list[Rejection] = []
    try:
        columns = _columns(table, rejected)
        for number, row in enumerate(_rows(table, columns), start=1):
            left_out: list[str] = []
            try:
                candidate, left_out = _candidate(row, listed)
                listed.add(candidate, number)
            except ValueError as refused:
                left_out = [str(refused)]
            path = printable(str(row.get("path") or ""))
            rejected += [Rejection(path, f"row {number}: {why}") for why in left_out]
    except (pa.ArrowException, OSError) as error:
        raise OperatorError(
            f"The table {printable(table.name)} cannot be read.",
            f"{error}",
            "Export it again.",
        ) from error
    is_exported = any(is_bookkeeping(column.name) for column in columns)
    runs, refused_runs = list_stored_runs(table.parent) if is_exported else ((), ())
    return Scan(
        format="parquet",
        root=table.parent,
        candidates=listed.candidates(),
        rejected=(*rejected, *refused_runs),
        ignored=(),
        classes=read_classes(table.parent) if is_exported else (),
        runs=runs,
    )


def _columns(table: Path, rejected: list[Rejection]) -> list[_Column]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as opened:
        n_rows, schema = opened.metadata.num_rows, opened.schema_arrow
    if n_rows > _MAX_ROWS:
        raise OperatorError(
            f"The table {printable(table.name)} is too large.",
            f"It has {n_rows:,} rows; at most {_MAX_ROWS:,} are read.",
            "Split it into several tables and import one after the other.",
        )
    if len(set(schema.names)) < len(schema.names):
        raise OperatorError(
            f"The table {printable(table.name)} cannot be read.",
            "Two of its columns have the same name.",
            "Give each column a name of its own.",
        )
    columns = []
    for field, name in zip(schema, column_names(schema.names), strict=True):
        read_as = _read_as(field.type)
        if read_as is not None:
            columns.append(_Column(field.name, name, read_as))
        elif not field.name.startswith("__"):  # an index that pandas has put there
            reason = f"the column {name!r} is left out: {field.type} is no number and no text"
            rejected.append(Rejection(printable(table.name), reason[:300]))
    return columns


def _read_as(stored: "pa.DataType") -> "pa.DataType | None":
    """The type that a column is read as; None for one that is not read."""
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_dictionary(stored):
        stored = stored.value_type
    if kinds.is_integer(stored):
        return stored
    if kinds.is_floating(stored) or kinds.is_decimal(stored):
        return pa.float64()
    is_text = kinds.is_string(stored) or kinds.is_large_string(stored)
    is_time = kinds.is_timestamp(stored) or kinds.is_date(stored) or kinds.is_time(stored)
    if is_text or is_time or kinds.is_boolean(stored):
        return pa.large_string()
    return None


def _rows(table: Path, columns: list[_Column]) -> Iterator[dict[str, Any]]:
    """Each row's values by column; None where there is none."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as opened:
        for batch in opened.iter_batches(_BATCH, columns=[column.stored for column in columns]):
            values = {
                column.name: batch.column(column.stored).cast(column.type).to_pylist()
                for column in columns
            }
            for row in zip(*values.values(), strict=True):
                yield dict(zip(values, row, strict=True))


def _candidate(row: Mapping[str, Any], listed: ListedImages) -> tuple[Candidate, list[str]]:
    attributes = {
        name: _stripped(value)
        for name, value in row.items()
        if name not in OWN_COLUMNS and not is_bookkeeping(name) and _is_value(value)
    }
    path, label, split = (cell_text(row.get(name)).strip() for name in OWN_COLUMNS)
    shown = listed.find(path, label=label, split=split, attributes=attributes or NO_ATTRIBUTES)
    said = bookkeeping_of(row)
    if not said:
        return shown, []
    restored, left_out = with_bookkeeping(shown, said)
    settled = settled_attributes(
        attributes, restored.attributes, lambda name, value: _shows(row, name, value)
    )
    return replace(restored, attributes=settled or NO_ATTRIBUTES), left_out


def _shows(row: Mapping[str, Any], name: str, value: str | float) -> bool:
    """Whether a row shows what was written for a value, or has no column for it."""
    shown = row.get(name)
    if name not in row or isinstance(shown, str) or isinstance(value, str):
        return name not in row or shown == cell_text(value)
    return shown == float(value)


def _is_value(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is not None and value != ""


def _stripped(value: str | float) -> str | float:
    return printable(value.strip()) if isinstance(value, str) else value
