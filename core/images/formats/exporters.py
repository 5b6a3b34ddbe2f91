"""Exporters: how are images and what is known of them written for other tools, and for here again?

Each format is one entry of `EXPORT_FORMATS`; what it writes, the importer of the same name reads.
Images are written one by one, so that the memory taken does not grow with their number.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from core.images.formats.bookkeeping import ExportedImage
from core.images.formats.coco_export import open_coco
from core.images.formats.csv_export import open_csv
from core.images.formats.label_studio_export import open_label_studio
from core.images.formats.parquet_export import open_parquet

_MAX_NAME_BYTES = 120  # an image's number, or a path that leads to the export, needs room as well


class Writer(Protocol):
    """What an open export offers."""

    def add(self, image: ExportedImage) -> None:
        """Write down one image, whose file is in its place already."""


@dataclass(frozen=True)
class ExportFormat:
    """One way to write images out.

    Attributes:
        name: what `--format` calls it.
        title: what a person reads.
        by_class: a folder a class below a folder a split, instead of one folder for all images.
        open: begins to write into a folder, given the classes in their order and the attributes,
            `number` or `text` by name; what it gives is closed when the last image was added.
        with_runs: embeddings, maps and clusters go along.
    """

    name: str
    title: str
    by_class: bool
    open: Callable[[Path, Sequence[str], Mapping[str, str]], AbstractContextManager[Writer]]
    with_runs: bool = False


def place_of(
    format: ExportFormat, *, number: int, name: str, label: str | None, split: str | None
) -> str:
    """Where an image's file goes, below the export's root.

    Args:
        number: of the image, by which its file is told from its namesakes.
        name: what the image is called.
    """
    file = f"{number:06d}-{_safe(PurePosixPath(name).name)}"
    if not format.by_class:
        return f"images/{file}"
    return "/".join([*filter(None, [split, _safe(label) if label else None]), file])


def _safe(name: str) -> str:
    """A name that every file system takes and that leads nowhere else; its end is kept."""
    cleaned = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", name).strip(". ")
    cut = cleaned.encode()[-_MAX_NAME_BYTES:].decode(errors="ignore")
    return cut.strip(". ") or "_"


EXPORT_FORMATS: Mapping[str, ExportFormat] = {
    entry.name: entry
    for entry in (
        ExportFormat("folder", "A folder a class", by_class=True, open=open_csv),
        ExportFormat("csv", "Images and a CSV table", by_class=False, open=open_csv),
        ExportFormat(
            "parquet",
            "Images and Parquet tables",
            by_class=False,
            open=open_parquet,
            with_runs=True,
        ),
        ExportFormat("coco", "COCO (boxes)", by_class=False, open=open_coco),
        ExportFormat("label-studio", "Label Studio", by_class=False, open=open_label_studio),
    )
}
