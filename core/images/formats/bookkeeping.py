"""Bookkeeping: how does what was decided here travel inside formats that have no word for it?

An export says in each format's own words what the format can say (a label, a split, boxes), and
carries the rest of an image beside it under names of its own, so that importing it again gives the
same state: what the image was called, whose word its label is, who decided what and when, whether
it is excluded or waits for an operator, its group, its boxes, its attributes as they were, and
where it was cut out.

What is shown is what counts: a person may edit a label or an attribute in the exported file. The
bookkeeping holds where it agrees with what is shown, and gives way where it does not.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from core.annotations import Box, Crop, Decision
from core.images.boxes import clip_box
from core.images.formats.scanning import Candidate
from core.images.reading import ImageRejected, image_size
from core.vocabulary import clean_label

MAX_ENTRIES = 10_000  # boxes, or decisions, of one image
MAX_NAME_LENGTH = 4096  # of a path, as file systems have it
_MAX_TEXT_LENGTH = 10_000
_LARGEST_NUMBER = sys.float_info.max

ORIGINS = ("imported", "human", "automatic")

# Boxes of which every edge is this near in both count as the same: percentages lose the last digit.
_SAME_PX = 1e-3


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """One image on its way out.

    Attributes:
        found: what importing it again is to find: `path` is the file now, `relative` its place
            below the export's root.
        sha256: of the file.
        width: in pixels, upright.
        height: in pixels, upright.
    """

    found: Candidate
    sha256: str
    width: int
    height: int


def bookkeeping(image: ExportedImage) -> dict[str, Any]:
    """What formats have no word for, as JSON values; what is empty is left out."""
    found = image.found
    said: dict[str, Any] = {
        "name": found.name,
        "sha256": image.sha256,
        "label_origin": found.label_origin,
        "excluded": found.excluded,
        "queued": found.queued,
        "group": found.group,
        "decisions": [asdict(decision) for decision in found.decisions],
        "boxes": [[box.label, box.x, box.y, box.width, box.height] for box in found.boxes],
        "crop": asdict(found.crop) if found.crop else None,
        "attributes": dict(found.attributes),
    }
    return {key: value for key, value in said.items() if value}


def with_bookkeeping(shown: Candidate, said: Mapping[str, Any]) -> tuple[Candidate, list[str]]:
    """An image as it was exported, and why parts of its bookkeeping are left out.

    Boxes and attributes are taken as they are in `said`; a format that shows them as well settles
    the two by `same_boxes` and `settled_attributes`.

    Args:
        shown: what the format itself says of the image.
        said: its bookkeeping, from a file that anybody may have edited: JSON values, or their
            text as a table's cell holds it. Unknown keys are passed over.
    """
    taken: dict[str, Any] = {}
    reasons: list[str] = []
    for key, read in _READERS.items():
        if said.get(key) in (None, ""):
            continue
        try:
            taken[key] = read(said[key])
        except (ValueError, TypeError, RecursionError) as error:
            reasons.append(f"the bookkeeping's {key} is left out: {_short(error)}")
    if "boxes" in taken:
        taken["boxes"], left_out = _inside(taken["boxes"], shown)
        reasons += left_out
    return replace(shown, **_consistent(taken, shown.label)), reasons


def same_boxes(shown: tuple[Box, ...], exact: tuple[Box, ...]) -> tuple[Box, ...]:
    """The exact boxes where they are the shown ones but for rounding, else the shown ones."""
    if len(shown) == len(exact) and all(map(_is_same, shown, exact)):
        return exact
    return shown


def settled_attributes(
    shown: Mapping[str, str | float],
    exact: Mapping[str, str | float],
    is_as_written: Callable[[str, str | float], bool],
) -> dict[str, str | float]:
    """The attributes that count: exact where the file still shows what was written for them.

    Args:
        shown: what the file shows, as it is read where there is no bookkeeping.
        exact: what was exported.
        is_as_written: whether the file shows, for an attribute of this name, what was written for
            this value, or has no place for it.
    """
    settled = {name: value for name, value in exact.items() if is_as_written(name, value)}
    return settled | {name: value for name, value in shown.items() if name not in settled}


def utc_time(value: Any) -> str:
    """A time as it is stored: ISO 8601 in UTC, to the millisecond; empty where none is said.

    Raises:
        ValueError: it is no time of ISO 8601.
    """
    if value in (None, ""):
        return ""
    try:
        at = datetime.fromisoformat(_text(value))
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("it holds no time of this calendar") from None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _consistent(taken: dict[str, Any], label: str | None) -> dict[str, Any]:
    """Without the history of another label: it was edited since, and the file's word counts."""
    decisions = taken.get("decisions", ())
    if decisions and decisions[-1].label != label:
        del taken["decisions"]
        decisions = ()
    if label is not None:
        taken["label_origin"] = decisions[-1].origin if decisions else "imported"
    return taken


def _inside(boxes: tuple[Box, ...], shown: Candidate) -> tuple[tuple[Box, ...], list[str]]:
    """The boxes' parts that lie in the image; one that lies in it whole stays as it is."""
    try:
        size = image_size(shown.path)
    except ImageRejected:
        return (), []  # reading it will say what is wrong
    kept: list[Box] = []
    reasons: list[str] = []
    for box in boxes:
        try:
            clipped = clip_box(box, size)
        except ValueError as error:
            reasons.append(f"the bookkeeping's box {_short(box.label)} is left out: {error}")
        else:
            kept.append(box if _is_same(box, clipped) else clipped)
    return tuple(kept), reasons


def _is_same(one: Box, other: Box) -> bool:
    return one.label == other.label and all(
        abs(getattr(one, side) - getattr(other, side)) < _SAME_PX
        for side in ("x", "y", "width", "height")
    )


# Readers of one key each. They raise ValueError with words for a person.


def _text(value: Any, *, at_most: int = _MAX_TEXT_LENGTH) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text")
    if len(value) > at_most:
        raise ValueError(f"it has {len(value)} characters, at most {at_most} are read")
    return _storable(value)


def _storable(value: str) -> str:
    """A text that every database stores: JSON can write NUL and half a surrogate pair."""
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("it has characters that cannot be stored")
    return value


def _name(value: Any) -> str:
    return _text(value, at_most=MAX_NAME_LENGTH)


def _sha256(value: Any) -> str:
    text = _text(value)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("it is no hash of 64 hexadecimal digits")
    return text


def _origin(value: Any) -> str:
    if value not in ORIGINS:
        raise ValueError(f"it must be one of {', '.join(ORIGINS)}")
    return value


def _flag(value: Any) -> bool:
    flags = {"true": True, "false": False}  # a spreadsheet writes them in capitals
    if str(value).casefold() not in flags:
        raise ValueError("it is neither true nor false")
    return flags[str(value).casefold()]


def _label(value: Any) -> str | None:
    return None if value is None else clean_label(_text(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it holds what should be a number and is none")
    if not (abs(value) <= _LARGEST_NUMBER):
        raise ValueError("it holds a number that is not finite")
    return value


def _parsed(value: Any, kind: type) -> Any:
    """A list or an object, or its text as a table's cell holds it."""
    parsed: Any = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, list | dict) or not isinstance(parsed, kind):
        raise ValueError(f"it is no {'list' if kind is list else 'object'} of JSON")
    if len(parsed) > MAX_ENTRIES:
        raise ValueError(f"it has {len(parsed):,} entries, at most {MAX_ENTRIES:,} are read")
    return parsed


def _decisions(value: Any) -> tuple[Decision, ...]:
    return tuple(_decision(_parsed(entry, dict)) for entry in _parsed(value, list))


def _decision(entry: Mapping[str, Any]) -> Decision:
    score = entry.get("score")
    if score is not None and not 0 <= _number(score) <= 1:
        raise ValueError(f"a score must be in [0, 1], got {score}")
    return Decision(
        label=_label(entry.get("label")),
        origin=_origin(entry.get("origin")),
        actor=_text(entry.get("actor")),
        at=utc_time(entry.get("at")),
        score=score,
    )


def _boxes(value: Any) -> tuple[Box, ...]:
    boxes = []
    for entry in _parsed(value, list):
        label, *place = _parsed(entry, list)
        cleaned = _label(label)
        if cleaned is None or len(place) != 4:
            raise ValueError("a box must have a label and four numbers")
        boxes.append(Box(cleaned, *map(_number, place)))
    return tuple(boxes)


def _crop(value: Any) -> Crop:
    entry = _parsed(value, dict)
    place = [entry.get(side) for side in ("x", "y", "width", "height")]
    if any(isinstance(side, bool) or not isinstance(side, int) for side in place):
        raise ValueError("its place must be four whole numbers of pixels")
    x, y, width, height = place
    if not (0 <= x < 2**31 and 0 <= y < 2**31 and 0 < width < 2**31 and 0 < height < 2**31):
        raise ValueError("its place lies in no image")
    return Crop(_name(entry.get("source")), _sha256(entry.get("source_sha256")), *place)


def _attributes(value: Any) -> dict[str, str | float]:
    read: dict[str, str | float] = {}
    for name, entry in _parsed(value, dict).items():
        if not _text(name):
            raise ValueError("an attribute has no name")
        read[name] = _storable(entry) if isinstance(entry, str) else _number(entry)
    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "name": _name,
    "label_origin": _origin,
    "excluded": _flag,
    "queued": _text,
    "group": _text,
    "decisions": _decisions,
    "boxes": _boxes,
    "crop": _crop,
    "attributes": _attributes,
}
KEYS = (*_READERS, "sha256")  # the last is for other tools: files are hashed when they are read


def _short(error: object) -> str:
    text = str(error)
    return text if len(text) <= 200 else f"{text[:200]}…"
