"""Label Studio out: tasks with annotations and predictions, and a labelling interface for them.

    label_studio.json   the tasks, to be imported into a project
    label_config.xml    the project's labelling interface
    images/             the files, to be served from the project's local storage

Each annotator's last word is an annotation, each model's a prediction; the boxes are in the
annotation of the standing label, marked as ground truth where annotators differ. An annotator who
is no email stands as `created_username` alone, for Label Studio refuses those that it cannot find.

    https://labelstud.io/guide/task_format
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from core.annotations import Box
from core.images.formats.bookkeeping import ExportedImage, bookkeeping
from core.images.formats.class_list import write_classes
from core.images.formats.label_studio_format import BOOKKEEPING
from core.images.formats.label_studio_words import Word, words_as_exported
from core.images.formats.table_columns import attribute_columns
from core.vocabulary import RESERVED_LABELS

TASKS = "label_studio.json"
CONFIG = "label_config.xml"


@contextmanager
def open_label_studio(
    folder: Path, classes: Sequence[str], attributes: Mapping[str, str]
) -> Iterator["_TaskWriter"]:
    """Begin the tasks; see `ExportFormat.open`."""
    write_classes(folder, classes)
    with (folder / TASKS).open("w", encoding="utf-8") as file:
        file.write("[")
        writer = _TaskWriter(file, classes)
        yield writer
        file.write("\n]\n")
    config = labelling_interface(labels=writer.labels, box_labels=writer.box_labels)
    (folder / CONFIG).write_text(config, encoding="utf-8")


class _TaskWriter:
    def __init__(self, file: TextIO, classes: Sequence[str]) -> None:
        self._file = file
        self._n_tasks = 0
        self.labels = dict.fromkeys([*classes, *RESERVED_LABELS])
        self.box_labels = dict.fromkeys([*classes, *RESERVED_LABELS])

    def add(self, image: ExportedImage) -> None:
        self._file.write(",\n" if self._n_tasks else "\n")
        self._n_tasks += 1
        self._file.write(json.dumps(task_of(image, self._n_tasks), ensure_ascii=False))
        said = (image.found.label, *(decision.label for decision in image.found.decisions))
        self.labels |= dict.fromkeys(label for label in said if label)
        self.box_labels |= dict.fromkeys(box.label for box in image.found.boxes)


def task_of(image: ExportedImage, number: int) -> dict[str, Any]:
    """One image as a task of Label Studio."""
    found = image.found
    words = list(enumerate(words_as_exported(found), start=1))
    shown = {
        name: found.attributes[name]
        for name in attribute_columns(found.attributes)
        if name not in ("image", "split")
    }
    return {
        "id": number,
        "data": {
            "image": f"/data/local-files/?d={quote(found.relative)}",
            **({"split": found.split} if found.split else {}),
            **shown,
        },
        "annotations": [_annotation(word, n, image) for n, word in words if not word.is_prediction],
        "predictions": [_prediction(word, n, image) for n, word in words if word.is_prediction],
        "meta": {BOOKKEEPING: {"label": found.label, **bookkeeping(image)}},
    }


def labelling_interface(*, labels: Iterable[str], box_labels: Iterable[str]) -> str:
    """The XML of an interface with one choice for the image and boxes on it."""
    choices = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in labels)
    boxes = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in box_labels)
    return (
        "<View>\n"
        '  <Image name="image" value="$image" zoom="true"/>\n'
        '  <Choices name="label" toName="image" choice="single" showInline="true">\n'
        f"{choices}"
        "  </Choices>\n"
        '  <RectangleLabels name="boxes" toName="image" canRotate="false">\n'
        f"{boxes}"
        "  </RectangleLabels>\n"
        "</View>\n"
    )


def _annotation(word: Word, number: int, image: ExportedImage) -> dict[str, Any]:
    annotation: dict[str, Any] = {
        "id": number,
        "was_cancelled": False,
        "ground_truth": word.is_ground_truth,
        "result": _result(word, number, image),
    }
    if word.actor:
        annotation["created_username"] = word.actor
    if "@" in word.actor:
        annotation["completed_by"] = {"email": word.actor}
    if word.at:
        annotation |= {"created_at": word.at, "updated_at": word.at}
    return annotation


def _prediction(word: Word, number: int, image: ExportedImage) -> dict[str, Any]:
    prediction: dict[str, Any] = {
        "model_version": word.actor,
        "score": word.score,
        "result": _result(word, number, image),
    }
    if word.at:
        prediction |= {"created_at": word.at, "updated_at": word.at}
    return prediction


def _result(word: Word, number: int, image: ExportedImage) -> list[dict[str, Any]]:
    result = []
    if word.label is not None:
        choice = {"choices": [word.label]}
        result.append(_item(f"{number}-label", "label", "choices", choice))
    for n, box in enumerate(word.boxes, start=1):
        region = _item(f"{number}-box-{n}", "boxes", "rectanglelabels", _percent(box, image))
        size = {"original_width": image.width, "original_height": image.height}
        result.append({**region, **size, "image_rotation": 0})
    return result


def _item(id: str, tag: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "from_name": tag, "to_name": "image", "type": kind, "value": value}


def _percent(box: Box, image: ExportedImage) -> dict[str, Any]:
    return {
        "x": 100 * box.x / image.width,
        "y": 100 * box.y / image.height,
        "width": 100 * box.width / image.width,
        "height": 100 * box.height / image.height,
        "rotation": 0,
        "rectanglelabels": [box.label],
    }
