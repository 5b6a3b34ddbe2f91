"""Importers: which images does a source offer, with which labels and splits?

A source is scanned before anything is read or taken, so that a person sees what it holds. Each
format is one entry of `FORMATS`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.annotations import Box
from core.errors import OperatorError
from core.images.formats.coco_format import is_coco, scan_coco
from core.images.formats.csv_format import has_path_column, scan_csv
from core.images.formats.folder_format import scan_folder
from core.images.formats.label_studio_format import find_label_studio_file, scan_label_studio
from core.images.formats.parquet_format import is_parquet_table, scan_parquet
from core.images.formats.roboflow_format import is_roboflow, scan_roboflow
from core.images.formats.scanning import Candidate, Rejection, Scan, is_hidden
from core.images.formats.voc_format import is_voc, scan_voc
from core.images.formats.yolo_format import is_yolo, scan_yolo
from core.vocabulary import printable

__all__ = [
    "FORMATS",
    "Box",
    "Candidate",
    "ImportFormat",
    "Rejection",
    "Scan",
    "detect_format",
    "scan",
]


@dataclass(frozen=True)
class ImportFormat:
    """One way that image sets are laid out.

    Attributes:
        name: what `--format` calls it.
        title: what a person reads.
        matches: whether a path is laid out this way.
        scan: lists what it holds.
    """

    name: str
    title: str
    matches: Callable[[Path], bool]
    scan: Callable[[Path], Scan]


def scan(path: Path, *, format: str = "auto") -> Scan:
    """List what a folder or a table offers; nothing is decoded, nothing is changed.

    Args:
        path: a folder, or a table or a JSON file beside its images.
        format: a name in `FORMATS`, or "auto" to tell it from the layout.

    Raises:
        OperatorError: there is nothing at `path`, or it is not laid out as `format` says.
        ValueError: an unknown format.
    """
    if format != "auto" and format not in FORMATS:
        raise ValueError(f"format must be auto or one of {', '.join(FORMATS)}, got {format!r}")
    _check_there(path)
    name = detect_format(path) if format == "auto" else format
    if not FORMATS[name].matches(path):
        raise OperatorError(
            f"{printable(path.name)} cannot be imported as {name}.",
            f"It is not {FORMATS[name].title}.",
            "Choose another format, or let it be detected.",
        )
    return FORMATS[name].scan(path)


def detect_format(path: Path) -> str:
    """The first format of `FORMATS` that a path is laid out as.

    Raises:
        OperatorError: there is nothing at `path`, or no format fits it.
    """
    _check_there(path)
    for entry in FORMATS.values():
        if entry.matches(path):
            return entry.name
    raise OperatorError(
        f"{printable(path.name)} is nothing that can be imported.",
        "It is no folder, no table with a column named path and no JSON file of Label Studio.",
        "Give the folder that holds the images, or the table that names them.",
    )


def _check_there(path: Path) -> None:
    if not path.exists():
        raise OperatorError(
            f"There is nothing at {printable(str(path))}.",
            next_step="Check the path; on a server it is the server's path, not your computer's.",
        )


def _table_of(path: Path, is_table: Callable[[Path], bool], *suffixes: str) -> Path | None:
    """The table that a path is, or the only one directly in the folder."""
    if not path.is_dir():
        return path if is_table(path) else None
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    near = [name for name in names if name.lower().endswith(suffixes) and not is_hidden(name)]
    tables = [path / name for name in near if is_table(path / name)]
    return tables[0] if len(tables) == 1 else None


def _csv_table(path: Path) -> Path | None:
    return _table_of(path, has_path_column, ".csv", ".tsv")


def _parquet_table(path: Path) -> Path | None:
    return _table_of(path, is_parquet_table, ".parquet")


def _scan_csv(path: Path) -> Scan:
    table = _csv_table(path)
    if table is None:
        raise ValueError(f"no table with a column named path at {path}")
    return scan_csv(table)


def _scan_parquet(path: Path) -> Scan:
    table = _parquet_table(path)
    if table is None:
        raise ValueError(f"no Parquet table with a column named path at {path}")
    return scan_parquet(table)


# In the order of detection: what is told by a particular file comes before plain folders, and what
# names its classes itself before YOLO's numbers, where a set brings both.
FORMATS: Mapping[str, ImportFormat] = {
    entry.name: entry
    for entry in (
        ImportFormat(
            name="roboflow",
            title="an export of Roboflow",
            matches=is_roboflow,
            scan=scan_roboflow,
        ),
        ImportFormat(
            name="label-studio",
            title="a JSON export of Label Studio, or a folder with one such file and its images",
            matches=lambda path: find_label_studio_file(path) is not None,
            scan=scan_label_studio,
        ),
        ImportFormat(
            name="coco",
            title="a folder with images and annotations of COCO (JSON)",
            matches=is_coco,
            scan=scan_coco,
        ),
        ImportFormat(
            name="voc",
            title="a folder with images and annotations of Pascal VOC (XML)",
            matches=is_voc,
            scan=scan_voc,
        ),
        ImportFormat(
            name="yolo",
            title="a folder with images and label files of YOLO (text)",
            matches=is_yolo,
            scan=scan_yolo,
        ),
        ImportFormat(
            name="parquet",
            title="a Parquet table with a column named path, or a folder with one such table",
            matches=lambda path: _parquet_table(path) is not None,
            scan=_scan_parquet,
        ),
        ImportFormat(
            name="csv",
            title="a CSV table with a column named path, or a folder with one such table",
            matches=lambda path: _csv_table(path) is not None,
            scan=_scan_csv,
        ),
        ImportFormat(
            name="folder",
            title="a folder",
            matches=Path.is_dir,
            scan=scan_folder,
        ),
    )
}
