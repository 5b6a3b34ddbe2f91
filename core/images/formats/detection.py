"""Detection sets: which annotation is whose, and what does it make of its image?

The formats `voc`, `yolo` and `coco` differ in how they write boxes down. What they share is here:
every image of the folder becomes one candidate with its boxes and the one label that follows from
them (`label_of_boxes`); what is wrong in an annotation costs a box or a label, never the image.

Boxes are taken as drawn on the upright image, as the tools of today show it. Where an annotation
states a size that is not the image's, its boxes lie somewhere else (the image was turned or resized
since): the label is kept, the boxes are not.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.annotations import Box
from core.images.boxes import clip_box, label_of_boxes
from core.images.formats.scanning import Candidate, Rejection, Scan
from core.images.formats.tree import File, Tree
from core.images.reading import ImageRejected, image_size
from core.images.splits import split_named
from core.vocabulary import clean_label, printable

# One image's annotation with a thousand boxes takes a tenth of it.
MAX_ANNOTATION_BYTES = 4_000_000

# A line for each of a million images.
MAX_LIST_BYTES = 100_000_000

_MAX_REASONS_A_FILE = 100

# Folders that say what kind of file they hold; the rest of a path says which image it is about.
_KIND_FOLDERS = frozenset(
    {"image", "images", "img", "imgs", "jpegimages", "label", "labels", "labelstxt"}
    | {"annotation", "annotations", "xml", "xmls", "txt"}
)
_TRAILING_DIGITS = re.compile(r"\d+$")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a file says of one image.

    Attributes:
        source: the file's path below the root.
        boxes: as drawn, not yet clipped.
        size: width and height that they were measured on, in pixels; None where it is not said.
        is_relative: the boxes are in shares of the image's width and height instead of pixels.
    """

    source: str
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None
    is_relative: bool = False


class Refusals:
    """Collects why parts of annotation files are left out: at most a hundred reasons a file."""

    def __init__(self) -> None:
        self._reasons: dict[str, list[str]] = defaultdict(list)
        self._n_more: dict[str, int] = defaultdict(int)

    def add(self, source: str, reason: str) -> None:
        if len(self._reasons[source]) < _MAX_REASONS_A_FILE:
            self._reasons[source].append(reason)
        else:
            self._n_more[source] += 1

    def listed(self) -> list[Rejection]:
        return [
            Rejection(source, reason)
            for source, reasons in self._reasons.items()
            for reason in [
                *reasons,
                *([f"and {self._n_more[source]:,} more"] if source in self._n_more else []),
            ]
        ]


def make_scan(
    format: str,
    root: Path,
    tree: Tree,
    *,
    annotations: Mapping[str, Annotation],
    splits: Mapping[str, str | None],
    refusals: Refusals,
    read: Collection[str],
) -> Scan:
    """Every image of a tree as a candidate, with what its annotation makes of it.

    The same box drawn twice counts once.

    Args:
        annotations: by the image's relative path; an image without one has no label.
        splits: by the image's relative path; where they say nothing, its folders do.
        refusals: what the format turned down so far; the boxes turned down here are added.
        read: relative paths of the sidecars that this format reads; the others are ignored.
    """
    candidates = tuple(
        _candidate(
            image,
            annotations.get(image.relative),
            splits.get(image.relative, split_of_folders(image.relative)),
            refusals,
        )
        for image in tree.images
    )
    unread = [file.relative for file in tree.sidecars if file.relative not in read]
    rejected = [*tree.rejected, *refusals.listed()]
    return Scan(
        format=format,
        root=root,
        candidates=candidates,
        rejected=tuple(sorted(rejected, key=lambda rejection: rejection.path)),
        ignored=tuple(sorted([*tree.ignored, *unread])),
    )


def pair_by_name(
    images: Iterable[File], annotations: Iterable[File], refusals: Refusals
) -> tuple[dict[str, File], list[File]]:
    """Which annotation file belongs to which image, by their names without suffix.

    Folders that only say what they hold (`images`, `labels`, `Annotations`, …) are left out of
    account; the others must be the same, or one file's must continue the other's:

        train/images/7.jpg     train/labels/7.txt
        images/train/7.jpg     labels/train/7.txt
        images/scratch/7.jpg   annotations/7.xml

    Returns:
        Annotation files by their image's relative path, and those that have no image. What cannot
        be decided is refused.
    """
    by_stem: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
    for image in images:
        folders, stem = _place(image.relative)
        by_stem[stem].append((folders, image.relative))

    paired: dict[str, File] = {}
    alone: list[File] = []
    for annotation in annotations:
        folders, stem = _place(annotation.relative)
        namesakes = by_stem.get(stem, [])
        same = [name for place, name in namesakes if place == folders]
        near = [name for place, name in namesakes if _continues(place, folders)]
        if not near:
            alone.append(annotation)
        elif not same and len(near) > 1:
            reason = f"it could belong to {near[0]} or to {near[1]}"
            refusals.add(annotation.relative, reason)
        for name in same or near[: len(near) == 1]:
            earlier = paired.setdefault(name, annotation)
            if earlier is not annotation:
                reason = f"{name} is annotated in {earlier.relative} already"
                refusals.add(annotation.relative, reason)
    return paired, alone


def split_of_folders(relative: str) -> str | None:
    """The split that the first folder named like one gives, as in `images/train2017/7.jpg`."""
    folders = relative.split("/")[:-1]
    return next((split for folder in folders if (split := split_of_name(folder))), None)


def split_of_name(name: str) -> str | None:
    """The split of a name that may end in a year, as in `train2017`."""
    return split_named(_TRAILING_DIGITS.sub("", name))


class ListedSplits:
    """Splits that lists in the source give; an image listed for two belongs to neither."""

    def __init__(self, refusals: Refusals) -> None:
        self.by_image: dict[str, str | None] = {}
        self._refusals = refusals

    def put(self, image: str, split: str, *, source: str) -> None:
        earlier = self.by_image.setdefault(image, split)
        if earlier not in {split, None}:
            reason = f"{image} is listed for {earlier} and for {split}: its split is left open"
            self._refusals.add(source, reason)
            self.by_image[image] = None


def class_label(name: str) -> str:
    """A class's name as a label.

    Raises:
        ValueError: nothing is left of it, or it cannot be one; says why in words for a person.
    """
    if "\N{REPLACEMENT CHARACTER}" in name:
        raise ValueError(f"the class name {name[:40]!r} cannot be read in the file's encoding")
    label = clean_label(name)
    if label is None:
        raise ValueError("the class has no name")
    return label


def read_limited(file: File, *, at_most: int = MAX_ANNOTATION_BYTES) -> bytes:
    """The content of a file that stands beside images.

    Raises:
        ValueError: it cannot be read, or has more bytes; says why in words for a person.
    """
    try:
        with file.path.open("rb") as opened:
            data = opened.read(at_most + 1)
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror})") from error
    if len(data) > at_most:
        raise ValueError(f"the file has more than {at_most / 1e6:g} MB")
    return data


def _candidate(
    image: File, annotation: Annotation | None, split: str | None, refusals: Refusals
) -> Candidate:
    label: str | None = None
    boxes: tuple[Box, ...] = ()
    if annotation is not None and annotation.boxes:
        label, boxes = _label_and_boxes(image, annotation, refusals)
    return Candidate(image.path, image.relative, label=label, split=split, boxes=boxes)


def _label_and_boxes(
    image: File, annotation: Annotation, refusals: Refusals
) -> tuple[str | None, tuple[Box, ...]]:
    def refuse(reason: str) -> None:
        refusals.add(annotation.source, f"{printable(image.relative)}: {reason}")

    try:
        width, height = image_size(image.path)
    except ImageRejected:
        return label_of_boxes(annotation.boxes), ()  # reading it will say what is wrong
    if annotation.size and annotation.size != (width, height):
        drawn_on = f"{annotation.size[0]} x {annotation.size[1]}"
        refuse(f"boxes drawn on {drawn_on} pixels are left out, for it has {width} x {height}")
        return label_of_boxes(annotation.boxes), ()

    kept: dict[Box, None] = {}
    for box in annotation.boxes:
        try:
            drawn = _scaled(box, width, height) if annotation.is_relative else box
            kept[clip_box(drawn, (width, height))] = None
        except ValueError as refused:
            refuse(f"{box.label}: {refused}")
    return label_of_boxes(kept), tuple(kept)


def _scaled(box: Box, width: int, height: int) -> Box:
    return Box(box.label, box.x * width, box.y * height, box.width * width, box.height * height)


def _place(relative: str) -> tuple[tuple[str, ...], str]:
    """The folders that say which image a file is about, and its name without suffix."""
    *folders, name = relative.split("/")
    place = tuple(folder for folder in folders if folder.casefold() not in _KIND_FOLDERS)
    return place, posixpath.splitext(name)[0]


def _continues(one: Sequence[str], other: Sequence[str]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
