"""The class list: in which order do the classes stand, which fixes their colours?

Exports write it beside their tables as `classes.csv`, one column `class`; classes that no image has
are in it as well.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from core.images.formats.csv_cells import guarded, unguarded
from core.vocabulary import MAX_LABEL_LENGTH, clean_label

FILE = "classes.csv"
MAX_CLASSES = 2000
_MAX_CHARS = MAX_CLASSES * (MAX_LABEL_LENGTH + 4)


def write_classes(folder: Path, classes: Iterable[str]) -> None:
    """Write the list into a folder."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["class"])
        rows.writerows([guarded(name)] for name in classes)


def read_classes(folder: Path) -> tuple[str, ...]:
    """The classes of a folder's list, each once; none where there is no list to be read.

    Names that cannot be labels are passed over: no image can have them.
    """
    path = folder / FILE
    if not path.is_file() or path.is_symlink():
        return ()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = file.read(_MAX_CHARS).splitlines()
        cells = [row[0] for row in csv.reader(lines) if row]
    except (OSError, ValueError, csv.Error):
        return ()
    if cells[:1] != ["class"]:
        return ()
    labels = (_label(unguarded(cell)) for cell in cells[1:])
    return tuple(dict.fromkeys(label for label in labels if label))[:MAX_CLASSES]


def _label(text: str) -> str | None:
    try:
        return clean_label(text)
    except ValueError:
        return None
