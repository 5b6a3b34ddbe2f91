"""The `coco` format: one JSON file of boxes for a whole split.

    train/_annotations.coco.json         train/7.jpg
    annotations/instances_train.json     train/7.jpg, or images/train/7.jpg
    annotations.json                     images/7.jpg

A file's split is told by its name, else by its folders. An image is looked for beside the file,
in `images` there, then by the end of its path in the whole folder, but never in another split's.
Boxes are left and upper edge, width and height in pixels from 0; where there is none, a polygon's
bounding box is taken. A region marked as a crowd is a box like any other: its class is there.

COCO has boxes and no labels of whole images. An export from here carries them, and all else that an
image was, in its entry's `lacquer`; boxes that were changed since count before it.

    Lin et al. (2014), "Microsoft COCO: Common Objects in Context",
    doi:10.1007/978-3-319-10602-1_48
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.annotations import Box
from core.errors import OperatorError
from core.images.formats.bookkeeping import same_boxes, with_bookkeeping
from core.images.formats.class_list import MAX_CLASSES
from core.images.formats.detection import (
    Annotation,
    ListedSplits,
    Refusals,
    class_label,
    make_scan,
    split_of_folders,
)
from core.images.formats.json_items import iter_json_items
from core.images.formats.scanning import Candidate, Rejection, Scan
from core.images.formats.tree import File, Tree, list_tree, peek_sidecars
from core.images.splits import split_named
from core.vocabulary import clean_label, printable

BOOKKEEPING = "lacquer"  # of an image's entry
CLASSES = "lacquer:classes"  # of a file: the classes in their order

_N_FILES_TO_TELL = 20
_BYTES_TO_TELL = 65_536
_KEYS = re.compile(rb'"(images|annotations|categories|file_name|image_id|category_id)"\s*:')
_CLASS_KEYS = frozenset({b"categories", b"category_id"})

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_WORD = re.compile(r"[a-z]+")

_Place = tuple[float, float, float, float]


def is_coco(root: Path) -> bool:
    """Whether a folder holds annotations of COCO."""
    if not root.is_dir():
        return False
    return any(
        _is_coco_file(path) for path in peek_sidecars(root, ".json", at_most=_N_FILES_TO_TELL)
    )


def scan_coco(root: Path) -> Scan:
    """List a folder's images with the boxes that COCO's files give them.

    Raises:
        OperatorError: such a file is damaged; what it says cannot be trusted in part.
    """
    tree = list_tree(root)
    refusals = Refusals()
    splits = ListedSplits(refusals)
    images = _Images(tree)
    annotations: dict[str, Annotation] = {}
    exported = _Exported()
    files = [
        file
        for file in tree.sidecars
        if file.relative.lower().endswith(".json") and _is_coco_file(file.path)
    ]
    for file in files:
        split = _split_of_file(file.relative)
        for image, annotation in _read_file(file, images, split, refusals, exported).items():
            if image in annotations:
                boxes = annotations[image].boxes + annotation.boxes
                annotations[image] = replace(annotations[image], boxes=boxes)
            else:
                annotations[image] = annotation
            if split:
                splits.put(image, split, source=file.relative)
    found = make_scan(
        "coco",
        root,
        tree,
        annotations=annotations,
        splits=splits.by_image,
        refusals=refusals,
        read={file.relative for file in files},
    )
    return _as_exported(found, exported) if exported.images else found


def _is_coco_file(path: Path) -> bool:
    """Whether a JSON file speaks of classes on images, by its first and last 64 KB."""
    try:
        with path.open("rb") as file:
            text = file.read(_BYTES_TO_TELL)
            size = file.seek(0, 2)
            file.seek(max(size - _BYTES_TO_TELL, 0))
            tail = file.read()
    except OSError:
        return False
    keys = set(_KEYS.findall(text)) | set(_KEYS.findall(tail))
    is_object = text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return is_object and len(keys) >= 3 and not keys.isdisjoint(_CLASS_KEYS)


def _split_of_file(relative: str) -> str | None:
    stem = posixpath.splitext(posixpath.basename(relative))[0]
    words = _WORD.findall(stem.lower())
    named = next((split for word in words if (split := split_named(word))), None)
    return named or split_of_folders(relative)


@dataclass
class _Exported:
    """What an export from here adds: each image's bookkeeping by relative path, and the classes."""

    images: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: dict[str, None] = field(default_factory=dict)


def _as_exported(found: Scan, exported: _Exported) -> Scan:
    candidates: list[Candidate] = []
    rejected = list(found.rejected)
    for candidate in found.candidates:
        said = exported.images.get(candidate.relative)
        restored, left_out = (candidate, []) if said is None else _restored(candidate, said)
        candidates.append(restored)
        rejected += [Rejection(candidate.relative, why) for why in left_out]
    return replace(
        found,
        candidates=tuple(candidates),
        rejected=tuple(rejected),
        classes=tuple(exported.classes)[:MAX_CLASSES],
    )


def _restored(shown: Candidate, said: Mapping[str, Any]) -> tuple[Candidate, list[str]]:
    """An image as it was exported; boxes that were changed since give it the label they imply."""
    try:
        label = clean_label(str(said.get("label") or ""))
    except ValueError as error:
        return shown, [str(error)]
    restored, left_out = with_bookkeeping(replace(shown, label=label, boxes=()), said)
    boxes = same_boxes(shown.boxes, restored.boxes)
    if boxes != restored.boxes:
        restored, left_out = with_bookkeeping(shown, said)
    return replace(restored, boxes=boxes), left_out


@dataclass
class _Content:
    """What one file holds, by its own numbers: images, classes and what was drawn."""

    images: dict[Any, dict] = field(default_factory=dict)
    class_names: dict[Any, str] = field(default_factory=dict)
    drawn: list[tuple[Any, Any, Any, _Place]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)


def _read_file(
    file: File, images: "_Images", split: str | None, refusals: Refusals, exported: _Exported
) -> Mapping[str, Annotation]:
    """What one file says of each image, by the image's relative path.

    Raises:
        OperatorError: the file is damaged.
    """
    content = _read_content(file, refusals)
    exported.classes |= dict.fromkeys(content.classes)
    found: dict[Any, str] = {}
    for number, entry in content.images.items():
        try:
            found[number] = images.find(entry, file, split)
            if isinstance(entry.get(BOOKKEEPING), dict):
                exported.images[found[number]] = entry[BOOKKEEPING]
        except ValueError as error:
            refusals.add(file.relative, f"{_shown(entry.get('file_name'))}: {error}")

    boxes: dict[str, list[Box]] = defaultdict(list)
    for number, image, category, place in content.drawn:
        try:
            if image not in content.images:
                raise ValueError(f"there is no image {_shown(image)}")
            if category not in content.class_names:
                raise ValueError(f"there is no category {_shown(category)}")
            if image in found:
                label = class_label(content.class_names[category])
                boxes[found[image]].append(Box(label, *place))
        except ValueError as error:
            refusals.add(file.relative, f"annotation {_shown(number)}: {error}")
    return {
        relative: Annotation(
            file.relative, tuple(boxes[relative]), size=_stated_size(content.images[number])
        )
        for number, relative in found.items()
    }


def _read_content(file: File, refusals: Refusals) -> _Content:
    content = _Content()
    try:
        for key, entry in iter_json_items(file.path):
            if key in {"images", "categories", "annotations", CLASSES}:
                try:
                    _take(key, entry, content)
                except ValueError as error:
                    refusals.add(file.relative, f"in {key}, {_shown(entry)}: {error}")
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"The annotations in {printable(file.relative)} cannot be read.",
            f"{error}.",
            "Export them again, or take the file out of the folder.",
        ) from error
    return content


def _take(key: str, entry: Any, content: _Content) -> None:
    """Put one entry of a file where it belongs.

    Raises:
        ValueError: it is not made as it should be; says why in words for a person.
    """
    if key == CLASSES:
        content.classes.append(class_label(str(entry)))
        return
    if not isinstance(entry, dict):
        raise ValueError("it is no object")
    if key == "annotations":
        image, category = _number_of(entry, "image_id"), _number_of(entry, "category_id")
        content.drawn.append((entry.get("id"), image, category, _place_of(entry)))
    elif key == "images":
        content.images[_number_of(entry, "id")] = {
            name: entry.get(name) for name in ("file_name", "width", "height", BOOKKEEPING)
        }
    else:
        content.class_names[_number_of(entry, "id")] = str(entry.get("name") or "")


def _number_of(entry: Mapping[str, Any], name: str) -> float | str:
    number = entry.get(name)
    if not isinstance(number, int | float | str):
        raise ValueError(f"there is no {name}")
    return number


def _place_of(entry: Mapping[str, Any]) -> _Place:
    """Left and upper edge, width and height in pixels, of the box or around the polygons."""
    box, polygons = entry.get("bbox"), entry.get("segmentation")
    if isinstance(box, list) and len(box) == 4:
        x, y, width, height = map(_to_float, box)
        return x, y, width, height
    if not (isinstance(polygons, list) and polygons):
        raise ValueError("there is neither a box nor a polygon")
    xs: list[float] = []
    ys: list[float] = []
    for polygon in polygons if isinstance(polygons[0], list) else [polygons]:
        if not (isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0):
            raise ValueError("a polygon does not have three corners or more")
        xs += map(_to_float, polygon[::2])
        ys += map(_to_float, polygon[1::2])
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _to_float(value: Any) -> float:
    if not isinstance(value, int | float) or abs(value) > 1e9:
        raise ValueError(f"{_shown(value)} is no number of pixels")
    return float(value)


def _stated_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = entry["width"], entry["height"]
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


class _Images:
    """Finds the images that files name, among those that were listed; nothing else is reached."""

    def __init__(self, tree: Tree) -> None:
        self._relative = {image.relative for image in tree.images}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for relative in sorted(self._relative):
            self._by_name[posixpath.basename(relative)].append(relative)

    def find(self, entry: Mapping[str, Any], file: File, split: str | None) -> str:
        """The relative path of the image that an entry names.

        Raises:
            ValueError: it is not there, or could be several; says why in words for a person.
        """
        name = entry["file_name"]
        if not (isinstance(name, str) and name):
            raise ValueError("there is no file_name")
        if _ABSOLUTE.match(name):
            raise ValueError("the path is absolute; it must be relative to the annotations")
        name = posixpath.normpath(name.replace("\\", "/"))
        if name == ".." or name.startswith("../"):
            raise ValueError("the path leads out of the folder")
        folder = posixpath.dirname(file.relative)
        for beside in (posixpath.join(folder, name), posixpath.join(folder, "images", name)):
            if beside in self._relative:
                return beside
        ends = [
            relative
            for relative in self._by_name.get(posixpath.basename(name), [])
            if f"/{relative}".endswith(f"/{name}")
            and (split is None or split_of_folders(relative) in {split, None})
        ]
        if not ends:
            raise ValueError("the file is not there")
        if len(ends) > 1:
            raise ValueError(f"it could be {ends[0]} or {ends[1]}")
        return ends[0]


def _shown(value: Any) -> str:
    """A value out of a hostile file, in a reason."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
