"""Scanning: the values and rules that every import format shares.

A scan looks at names, tables, boxes and headers, never at pixels. It sorts what it finds into
candidates (to be read), rejected (with a reason a person understands) and ignored (what is no image
and claims to be none).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.annotations import Box, Crop, Decision
from core.images.signatures import sniff_format

NO_ATTRIBUTES: Mapping[str, str | float] = MappingProxyType({})

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif"}
)

# Raw files carry a small preview in TIFF's clothes, so their content alone would mislead.
# fmt: off
_UNREAD_IMAGE_SUFFIXES = frozenset({
    ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".psd", ".svg", ".eps", ".exr", ".hdr",
    ".ppm", ".pgm", ".dcm", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
})
_SIDECAR_SUFFIXES = frozenset({
    ".xml", ".json", ".txt", ".csv", ".tsv", ".md", ".rst", ".yaml", ".yml", ".toml", ".ini",
    ".cfg", ".html", ".log", ".pdf", ".py", ".ipynb", ".npy", ".npz", ".parquet", ".xlsx", ".xls",
    ".doc", ".docx", ".db",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that should be an image; only reading it will tell.

    Attributes:
        path: where the file is.
        relative: its path below the scanned root, with forward slashes: its name in the import.
        label: the source's label, cleaned, or None.
        split: one of `SPLITS`, or None where the source says nothing.
        attributes: further values of this image, such as line or shift: texts or numbers.
        boxes: around its defects, in pixels of the upright image and inside it.
        name: what the image was called where it was exported from; `relative` where empty.
        label_origin: whose word `label` is: `imported` (the source's), `human` or `automatic`.
        decisions: what was said of it before, oldest first; `label` is what they come to.
        excluded: left out of training.
        queued: why it waits for an operator; empty where it does not.
        group: shots of one thing share a group, which no draw divides; None where it stands alone.
        crop: where it was cut out of another image, for one that was exported as a crop.
    """

    path: Path
    relative: str
    label: str | None = None
    split: str | None = None
    attributes: Mapping[str, str | float] = field(default_factory=lambda: NO_ATTRIBUTES)
    boxes: tuple[Box, ...] = ()
    name: str = ""
    label_origin: str = "imported"
    decisions: tuple[Decision, ...] = ()
    excluded: bool = False
    queued: str = ""
    group: str | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Something that was offered and is not taken: the file it stands in, and why in a sentence.

    Mostly that is an image; of a table or an annotation it may be one row or one box.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class StoredRun:
    """A finished computation as an export carries it: its facts, and where its arrays are.

    Attributes:
        file: the table with a row for each image.
        id: what it was called where it was exported.
        kind: `embedding`, `projection` or `clustering`.
        parent_id: the id, there, of the run that it was computed from.
        config: what was asked.
        result: what came out.
        actor: who asked.
        version: of the step that computed it, where its id follows from it; else None.
        cluster_names: what people call its clusters, by number; -1 is noise.
    """

    file: Path
    id: str
    kind: str
    parent_id: str | None
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    actor: str
    version: int | None
    cluster_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scan:
    """What a source holds, each part in the order of its paths (a table's: of its rows).

    Attributes:
        format: name of the import format that was read.
        root: the folder that `Candidate.relative` starts from.
        candidates: files to be read.
        rejected: what was offered and cannot be taken.
        ignored: relative paths of what is no image and claims to be none (sidecars, hidden files);
            a folder ends in a slash.
        classes: their order, which fixes their colours, where the source is an export that says it.
        runs: what was computed from these images, where the source brings it along.
    """

    format: str
    root: Path
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    ignored: tuple[str, ...]
    classes: tuple[str, ...] = ()
    runs: tuple[StoredRun, ...] = ()


def is_hidden(name: str) -> bool:
    """Whether a file or folder is put there by an operating system, not by a person."""
    return name.startswith(".") or name.casefold() in {"thumbs.db", "desktop.ini", "__macosx"}


def refusal_by_name(name: str) -> str | None:
    """Why a file of this name cannot be read, or None."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each name is slow
    if suffix in _UNREAD_IMAGE_SUFFIXES:
        return f"{suffix} images are not read: save it as JPEG, PNG or TIFF"
    return None


def looks_like_image(path: str | Path) -> bool:
    """Whether a file calls itself an image, or is one by its first bytes under another name."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a Path for each name is slow
    if suffix in IMAGE_SUFFIXES:
        return True
    if suffix in _SIDECAR_SUFFIXES:
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return sniff_format(file.read(16)) is not None
    except OSError:
        return False
