"""Parquet out: `labels.parquet` beside the images, and `classes.csv` as in CSV."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.images.formats.bookkeeping import ExportedImage
from core.images.formats.class_list import write_classes
from core.images.formats.table_columns import (
    BOOKKEEPING_COLUMNS,
    OWN_COLUMNS,
    PREFIX,
    attribute_columns,
    cell_text,
    row_of,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TABLE = "labels.parquet"
_BATCH = 4096  # rows of a row group


@contextmanager
def open_parquet(
    folder: Path, classes: Sequence[str], attributes: Mapping[str, str]
) -> Iterator["_ParquetWriter"]:
    """Begin a table; see `ExportFormat.open`. A number is a double, a text a string."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_classes(folder, classes)
    types = {name: pa.string() for name in OWN_COLUMNS}
    for name in attribute_columns(attributes):
        types[name] = pa.float64() if attributes[name] == "number" else pa.string()
    types |= {name: pa.string() for name in BOOKKEEPING_COLUMNS}
    types[f"{PREFIX}excluded"] = pa.bool_()
    schema = pa.schema(list(types.items()))
    with pq.ParquetWriter(folder / TABLE, schema) as table:
        writer = _ParquetWriter(table, schema)
        yield writer
        writer.flush()


class _ParquetWriter:
    def __init__(self, table: "pq.ParquetWriter", schema: "pa.Schema") -> None:
        self._table = table
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, image: ExportedImage) -> None:
        row = row_of(image)
        row[f"{PREFIX}excluded"] = image.found.excluded
        self._rows.append(
            {field.name: _typed(row.get(field.name), field) for field in self._schema}
        )
        if len(self._rows) == _BATCH:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        self._table.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()


def _typed(value: Any, field: "pa.Field") -> Any:
    """A value for its column; a text in a column of numbers stands in the bookkeeping alone."""
    import pyarrow as pa

    if value is None or pa.types.is_boolean(field.type):
        return value
    if pa.types.is_floating(field.type):
        return None if isinstance(value, str) else float(value)
    return cell_text(value)
