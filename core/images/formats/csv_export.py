"""CSV out: `labels.csv` beside the images, and `classes.csv` with the classes in their order."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.images.formats.bookkeeping import ExportedImage
from core.images.formats.class_list import write_classes
from core.images.formats.csv_cells import guarded
from core.images.formats.table_columns import (
    BOOKKEEPING_COLUMNS,
    OWN_COLUMNS,
    attribute_columns,
    cell_text,
    row_of,
)

TABLE = "labels.csv"


@contextmanager
def open_csv(
    folder: Path, classes: Sequence[str], attributes: Mapping[str, str]
) -> Iterator["_CsvWriter"]:
    """Begin a table; see `ExportFormat.open`."""
    write_classes(folder, classes)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        columns = [*OWN_COLUMNS, *attribute_columns(attributes), *BOOKKEEPING_COLUMNS]
        rows = csv.writer(file)
        rows.writerow(columns)
        yield _CsvWriter(rows, columns)


class _CsvWriter:
    def __init__(self, rows: Any, columns: Sequence[str]) -> None:
        self._rows = rows
        self._columns = columns

    def add(self, image: ExportedImage) -> None:
        row = row_of(image)
        path = _never_a_formula(image.found.relative)
        self._rows.writerow(
            [path, *(_cell(row.get(column)) for column in self._columns if column != "path")]
        )


def _never_a_formula(path: str) -> str:
    return path if guarded(path) == path else f"./{path}"


def _cell(value: Any) -> str:
    text = cell_text(value)
    return guarded(text) if isinstance(value, str) else text
