"""Label Studio's words: what does one annotation or prediction say of its image?

Label Studio measures in percent of the image, from its upper left corner. Of a region that is no
upright rectangle (turned, a polygon, an ellipse) the bounding rectangle is taken; of a brush only
its class, and so of regions that were drawn while the image was turned.

    https://labelstud.io/guide/task_format
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.annotations import Box
from core.images.boxes import clip_box, label_of_boxes
from core.images.formats.bookkeeping import utc_time
from core.images.formats.detection import class_label
from core.images.formats.scanning import Candidate

NOBODY = "Label Studio"  # who annotated where nothing says who

_MAX_NAME_LENGTH = 200
_CLASS_KEY = re.compile(r"choice|label|class", re.IGNORECASE)
_TYPES_OF_REGIONS = re.compile(r"(\w+)?labels")

_Report = Callable[[str], None]
_Size = tuple[int, int]


@dataclass(frozen=True)
class Word:
    """What one annotator or model said of one image.

    Attributes:
        label: of the whole image; None where only boxes were drawn, and says nothing.
        boxes: in pixels, inside the image.
        actor: who: an email, a name or `Label Studio user 5`; of a prediction its model's version.
        at: when, ISO 8601 in UTC; empty where it is not said.
        is_prediction: said by a model.
        is_ground_truth: marked as the answer that counts.
        score: of a prediction, in [0, 1], higher = surer.
        number: that it was exported from here under; None for what was said elsewhere.
    """

    label: str | None
    boxes: tuple[Box, ...]
    actor: str
    at: str = ""
    is_prediction: bool = False
    is_ground_truth: bool = False
    score: float | None = None
    number: int | None = None


def words_of_task(task: Mapping[str, Any], size: _Size, report: _Report) -> list[Word]:
    """The words of a task of the format JSON.

    Annotations that were skipped, or say nothing, are left out.

    Args:
        size: width and height of the image in pixels.
        report: told why a part of them is left out.
    """
    words = []
    for entry in _objects(task.get("annotations", task.get("completions"))):
        if entry.get("was_cancelled") or entry.get("skipped"):
            continue
        label, boxes = _label_and_boxes(_objects(entry.get("result")), size, report)
        word = Word(
            label=label,
            boxes=boxes,
            actor=_annotator(entry.get("completed_by"), entry.get("created_username")),
            at=_time(entry, report),
            is_ground_truth=entry.get("ground_truth") is True,
            number=_number(entry.get("import_id") if "import_id" in entry else entry.get("id")),
        )
        words.append(word)
    for entry in _objects(task.get("predictions")):
        result = list(_objects(entry.get("result")))
        label, boxes = _label_and_boxes(result, size, report)
        score = next((_score(each["score"]) for each in [entry, *result] if "score" in each), None)
        actor = model_name(entry.get("model_version"))
        words.append(Word(label, boxes, actor, _time(entry, report), True, score=score))
    return [word for word in words if word.label is not None or word.boxes]


def word_of_record(record: Mapping[str, Any], size: _Size, report: _Report) -> list[Word]:
    """The word of a record of the format JSON-MIN, or none.

    The format does not tell a class from a remark: a single text is taken as the class, of several
    those whose tags are named like one (`choice`, `label`, `class`).
    """
    output = outputs_of_record(record)
    texts = [name for name, value in output.items() if isinstance(value, str)]
    if len(texts) > 1:
        output = {
            name: value
            for name, value in output.items()
            if name not in texts or _CLASS_KEY.search(name)
        }
    label, boxes = _label_and_boxes(_as_results(output.values()), size, report)
    actor = _annotator(record.get("annotator"), None)
    word = Word(label, boxes, actor, _time(record, report))
    return [word] if label is not None or boxes else []


def outputs_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """What was annotated, by tag: in JSON-MIN it stands between the task's id and the annotator."""
    names = list(record)
    first = names.index("id") + 1 if "id" in names else 0
    last = names.index("annotator") if "annotator" in names else len(names)
    return {name: record[name] for name in names[first:last]}


def model_name(version: Any) -> str:
    """What a model is called that gave a prediction."""
    return _name(version) or NOBODY


def words_as_exported(found: Candidate) -> list[Word]:
    """What an export says of an image: each one's last word, the standing label's with the boxes.

    A person who took a label away took back all that was said before.
    """
    last: dict[tuple[str, bool], Word] = {}
    for decision in found.decisions:
        is_prediction = decision.origin == "automatic"
        if decision.label is None and not is_prediction:
            last.clear()
        if decision.label is None or decision.origin == "imported":
            continue
        key = (decision.actor, is_prediction)
        last.pop(key, None)
        said = (decision.label, (), decision.actor, decision.at, is_prediction)
        last[key] = Word(*said, score=decision.score)
    people = [word for word in last.values() if not word.is_prediction]
    predictions = [word for word in last.values() if word.is_prediction]
    others, standing = people, None
    if found.label is not None and found.label_origin == "human" and people:
        *others, standing = people
    elif found.label is not None and found.label_origin != "automatic":
        standing = Word(found.label, (), "")
    if standing is not None or found.boxes:
        label, actor, at = (
            (standing.label, standing.actor, standing.at) if standing else (None, "", "")
        )
        others.append(Word(label, found.boxes, actor, at, is_ground_truth=bool(others and label)))
    return [*others, *predictions]


def _label_and_boxes(
    result: Iterable[Mapping[str, Any]], size: _Size, report: _Report
) -> tuple[str | None, tuple[Box, ...]]:
    """The label by the choices, else by the regions' classes; several give `multiple`."""
    choices: list[str] = []
    regions: list[str] = []
    boxes: dict[Box, None] = {}
    for item in result:
        kind, value = item.get("type"), item.get("value")
        if not (isinstance(kind, str) and isinstance(value, dict)):
            continue
        if kind == "choices":
            choices += _labels(value.get("choices"), report)
        elif _TYPES_OF_REGIONS.fullmatch(kind):
            for label in _labels(value.get(kind), report):
                regions.append(label)
                try:
                    boxes[clip_box(_box(label, item, value, size), size)] = None
                except ValueError as error:
                    report(f"a region {label!r} is left out: {error}")
    named = [Box(label, 0, 0, 0, 0) for label in choices or regions]
    return label_of_boxes(named), tuple(boxes)


def _as_results(outputs: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """What JSON-MIN made of results, as results again."""
    for output in outputs:
        for value in output if isinstance(output, list) else [output]:
            if isinstance(value, str):
                yield {"type": "choices", "value": {"choices": [value]}}
            elif isinstance(value, dict):
                kinds = [kind for kind in value if kind == "choices" or kind.endswith("labels")]
                yield {"type": kinds[0] if kinds else None, "value": value}


def _labels(names: Any, report: _Report) -> list[str]:
    labels = []
    for name in names if isinstance(names, list) else []:
        try:
            labels.append(class_label(str(name)))
        except ValueError as error:
            report(str(error))
    return labels


def _box(label: str, item: Mapping[str, Any], value: Mapping[str, Any], size: _Size) -> Box:
    """The upright rectangle around a region, in pixels.

    Raises:
        ValueError: it has none, or the image had been turned; says why in words for a person.
    """
    if item.get("image_rotation"):
        raise ValueError("it was drawn on the turned image")
    corners = [(x * size[0] / 100, y * size[1] / 100) for x, y in _corners(value)]
    if {"width", "height"} <= value.keys() and _finite(value.get("rotation", 0)):
        corners = _turned(corners, _finite(value["rotation"]))
    left, upper = (min(side) for side in zip(*corners, strict=True))
    right, lower = (max(side) for side in zip(*corners, strict=True))
    return Box(label, left, upper, right - left, lower - upper)


def _corners(value: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Points that span a region, in percent; a rectangle's begin with the corner it turns about."""
    if isinstance(value.get("points"), list) and value["points"]:
        return [_point(point) for point in value["points"]]
    if {"x", "y", "radiusX", "radiusY"} <= value.keys():
        x, y, wide, high = (_finite(value[side]) for side in ("x", "y", "radiusX", "radiusY"))
        turn = math.radians(_finite(value.get("rotation", 0)))
        across = math.hypot(wide * math.cos(turn), high * math.sin(turn))
        along = math.hypot(wide * math.sin(turn), high * math.cos(turn))
        return [(x - across, y - along), (x + across, y + along)]
    if {"x", "y", "width", "height"} <= value.keys():
        x, y, wide, high = (_finite(value[side]) for side in ("x", "y", "width", "height"))
        return [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
    raise ValueError("it is neither a rectangle nor a polygon nor an ellipse")


def _turned(corners: list[tuple[float, float]], degrees: float) -> list[tuple[float, float]]:
    """Turned clockwise about the first corner, as Label Studio turns rectangles."""
    (x0, y0), cosine, sine = (
        corners[0],
        math.cos(math.radians(degrees)),
        math.sin(math.radians(degrees)),
    )
    return [
        (x0 + (x - x0) * cosine - (y - y0) * sine, y0 + (x - x0) * sine + (y - y0) * cosine)
        for x, y in corners
    ]


def _point(point: Any) -> tuple[float, float]:
    if not (isinstance(point, list) and len(point) == 2):
        raise ValueError("a corner is no pair of numbers")
    return _finite(point[0]), _finite(point[1])


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e9:
        raise ValueError(f"{str(value)[:40]!r} is no share of the image")
    return float(value)


def _annotator(completed_by: Any, username: Any) -> str:
    if isinstance(completed_by, dict):
        if name := _name(completed_by.get("email")) or _name(completed_by.get("username")):
            return name
        completed_by = completed_by.get("id")
    if isinstance(completed_by, str) and not completed_by.isdecimal() and _name(completed_by):
        return _name(completed_by)
    if name := _name(username):
        return name
    number = _name(str(completed_by)) if isinstance(completed_by, int | str) else ""
    return f"Label Studio user {number}" if number else NOBODY


def _name(value: Any) -> str:
    """A name as it can be stored and shown; empty where it is none."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(c for c in value if c.isprintable()).split())[:_MAX_NAME_LENGTH]


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _score(value: Any) -> float | None:
    is_share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if is_share else None


def _time(entry: Mapping[str, Any], report: _Report) -> str:
    said = entry.get("updated_at") or entry.get("created_at")
    try:
        return utc_time(said)
    except ValueError:
        report(f"{str(said)[:40]!r} is no time")
        return ""


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, dict))
