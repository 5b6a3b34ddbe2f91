"""COCO out: `annotations/instances_<split>.json` for each split, over one folder `images`.

Every box is an annotation; categories are the classes in their order, then whatever else boxes are
labelled with. An image without boxes has no annotation, also where it has a label: a box around the
whole image would say that somebody had drawn one. Its label stands in its entry's `lacquer`.
Images without a split are in `instances_unassigned.json`.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

from core.images.formats.bookkeeping import ExportedImage, bookkeeping
from core.images.formats.coco_format import BOOKKEEPING, CLASSES

_UNASSIGNED = "unassigned"
_PARTS = ("images", "annotations")


@contextmanager
def open_coco(
    folder: Path, classes: Sequence[str], attributes: Mapping[str, str]
) -> Iterator["_CocoWriter"]:
    """Begin the annotations; see `ExportFormat.open`."""
    annotations = folder / "annotations"
    annotations.mkdir()
    with ExitStack() as files:
        writer = _CocoWriter(annotations, classes, files)
        yield writer
        writer.finish()


class _CocoWriter:
    """Writes images and annotations of each split to a file each, and joins them at the end."""

    def __init__(self, folder: Path, classes: Sequence[str], files: ExitStack) -> None:
        self._folder = folder
        self._files = files
        self._parts: dict[str, dict[str, _Items]] = {}
        self._classes = classes
        self._categories = {name: number for number, name in enumerate(classes, start=1)}
        self._n_images = self._n_boxes = 0

    def add(self, image: ExportedImage) -> None:
        found = image.found
        parts = self._parts_of(found.split or _UNASSIGNED)
        self._n_images += 1
        parts["images"].add(
            {
                "id": self._n_images,
                "file_name": PurePosixPath(found.relative).name,
                "width": image.width,
                "height": image.height,
                BOOKKEEPING: {"label": found.label, **bookkeeping(image)},
            }
        )
        for box in found.boxes:
            self._n_boxes += 1
            number = self._categories.setdefault(box.label, len(self._categories) + 1)
            parts["annotations"].add(
                {
                    "id": self._n_boxes,
                    "image_id": self._n_images,
                    "category_id": number,
                    "bbox": [box.x, box.y, box.width, box.height],
                    "area": box.width * box.height,
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )

    def finish(self) -> None:
        head = {
            "categories": [
                {"id": number, "name": name, "supercategory": ""}
                for name, number in self._categories.items()
            ],
            CLASSES: list(self._classes),
        }
        for split, parts in self._parts.items():
            with (self._folder / f"instances_{split}.json").open("w", encoding="utf-8") as whole:
                whole.write(json.dumps(head, ensure_ascii=False)[:-1])
                for name, items in parts.items():
                    whole.write(f',\n"{name}": [\n')
                    items.move_to(whole)
                    whole.write("\n]")
                whole.write("}\n")

    def _parts_of(self, split: str) -> Mapping[str, "_Items"]:
        if split not in self._parts:
            self._parts[split] = {
                name: _Items(self._folder / f".{split}.{name}", self._files) for name in _PARTS
            }
        return self._parts[split]


class _Items:
    """The items of a JSON list, kept in a file of their own until the list is written."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        self._path = path
        self._file = files.enter_context(path.open("w+", encoding="utf-8"))
        self._separator = ""

    def add(self, item: Mapping[str, Any]) -> None:
        self._file.write(self._separator + json.dumps(item, ensure_ascii=False))
        self._separator = ",\n"

    def move_to(self, whole: TextIO) -> None:
        self._file.seek(0)
        shutil.copyfileobj(self._file, whole)
        self._path.unlink()
