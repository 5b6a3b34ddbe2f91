"""Table columns: how is an exported image one row, in CSV and in Parquet alike?

The columns that people work with come first: `path`, `label`, `split`, then an attribute each. The
bookkeeping follows, a column `lacquer:<key>` each; lists and objects are JSON.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.images.formats.bookkeeping import KEYS, ExportedImage, bookkeeping

PREFIX = "lacquer:"
OWN_COLUMNS = ("path", "label", "split")
BOOKKEEPING_COLUMNS = tuple(f"{PREFIX}{key}" for key in KEYS)

_EXACT_WHOLE = 2.0**53  # beyond, not every whole number is a float


def attribute_columns(names: Iterable[str]) -> list[str]:
    """The attributes that can be columns: those whose names a reader leaves as they are."""
    return [
        name
        for name in names
        if column_names([*OWN_COLUMNS, name])[-1] == name and not name.startswith(PREFIX)
    ]


def row_of(image: ExportedImage) -> dict[str, Any]:
    """One image's values by column, lists and objects as JSON; what is empty is left out."""
    said = {
        f"{PREFIX}{key}": json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if isinstance(value, list | dict)
        else value
        for key, value in bookkeeping(image).items()
    }
    found = image.found
    own = {"path": found.relative, "label": found.label, "split": found.split}
    return {**found.attributes, **own, **said}


def bookkeeping_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row's columns of bookkeeping say, by key."""
    return {
        key: row[column]
        for key, column in zip(KEYS, BOOKKEEPING_COLUMNS, strict=True)
        if row.get(column) not in (None, "")
    }


def is_bookkeeping(column: str) -> bool:
    """Whether a column is none of the user's own; those of later versions count as well."""
    return column.startswith(PREFIX)


def column_names(cells: Sequence[str]) -> list[str]:
    """Names to show and to filter by: cleaned, never empty, each once; "Path" is `path`."""
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        collapsed = " ".join(unicodedata.normalize("NFC", cell).split())
        name = "".join(c for c in collapsed if unicodedata.category(c) not in {"Cc", "Cs"})[:60]
        if name.casefold() in OWN_COLUMNS:
            name = name.casefold()
        name = name or f"column {position}"
        unique, n = name, 1
        while unique in names:
            n += 1
            unique = f"{name} ({n})"
        names.append(unique)
    return names


def cell_text(value: Any) -> str:
    """A value as a table shows it: whole numbers without a point, nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_WHOLE:
        return str(int(value))
    return repr(value)
