"""The `label-studio` format: an export of Label Studio, as JSON or JSON-MIN, with its images.

    project-1-at-2026-01-31.json   images/7.jpg

The file alone can be given, or the folder that holds it and no other such file. An image is told by
the end of its path among the files there: `images/7.jpg`, `/data/local-files/?d=line/images/7.jpg`,
`/data/upload/1/0a1b2c3d-7.jpg` (the eight digits are Label Studio's own, and left off where the
file is called without them), or the task's `file_upload`. Nothing is fetched from elsewhere.

Choices give an image its label, several of them `multiple`; without choices the regions' classes
do. Every annotation is a decision of its annotator, oldest first; predictions are decisions of
their model, and give the label where no person did. Annotators who end up with different words
leave the label open and the image in the queue, unless one annotation is marked as ground truth.
Boxes are those of the annotation that gives the label.

A file that was exported from here has each image's bookkeeping in its task's `meta`; what was
annotated since is added to it.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core.annotations import Decision
from core.errors import OperatorError
from core.images.formats.bookkeeping import same_boxes, settled_attributes, with_bookkeeping
from core.images.formats.class_list import read_classes
from core.images.formats.detection import Refusals
from core.images.formats.json_items import iter_json_items
from core.images.formats.label_studio_words import (
    Word,
    model_name,
    outputs_of_record,
    word_of_record,
    words_as_exported,
    words_of_task,
)
from core.images.formats.scanning import IMAGE_SUFFIXES, Candidate, Scan, is_hidden
from core.images.formats.table_columns import OWN_COLUMNS, column_names
from core.images.formats.tree import File, Tree, list_tree
from core.images.reading import ImageRejected, image_size
from core.images.splits import split_named
from core.vocabulary import clean_label, printable

BOOKKEEPING = "lacquer"  # of a task's `meta`

_N_FILES_TO_TELL = 50
_OF_RECORDS = frozenset({"annotator", "annotation_id"})
_NO_DATA = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})
_UPLOAD_DIGITS = re.compile(r"^[0-9a-f]{8}-")
_LOCAL_FILES, _UPLOADS = "/data/local-files", "/data/upload/"
_MAX_REASON_LENGTH = 500


def find_label_studio_file(path: Path) -> Path | None:
    """The export of Label Studio that a path is, or the only one directly in the folder."""
    if not path.is_dir():
        return path if _is_label_studio_file(path) else None
    try:
        near = sorted(
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() == ".json" and not (is_hidden(entry.name) or entry.is_symlink())
        )
    except OSError:
        return None
    found = [file for file in near[:_N_FILES_TO_TELL] if _is_label_studio_file(file)]
    return found[0] if len(found) == 1 else None


def scan_label_studio(path: Path) -> Scan:
    """List the images that an export's tasks name, with what was said of them.

    Raises:
        OperatorError: the file is damaged; what it says cannot be trusted in part.
        ValueError: it is no export of Label Studio.
    """
    file = find_label_studio_file(path)
    if file is None:
        raise ValueError(f"no export of Label Studio at {path}")
    tree = list_tree(file.parent)
    refusals = Refusals()
    gathered = _gather(file, tree, refusals)
    candidates = []
    for relative, image in gathered.items():
        candidate, left_out = _candidate(image)
        candidates.append(candidate)
        for reason in left_out:
            refusals.add(relative, reason)
    unread = [each.relative for each in tree.sidecars if each.path != file]
    unnamed = [each.relative for each in tree.images if each.relative not in gathered]
    is_exported = any(image.said for image in gathered.values())
    return Scan(
        format="label-studio",
        root=file.parent,
        candidates=tuple(candidates),
        rejected=tuple(refusals.listed()),
        ignored=tuple(sorted([*tree.ignored, *unread, *unnamed])),
        classes=read_classes(file.parent) if is_exported else (),
    )


def _is_label_studio_file(path: Path) -> bool:
    """Whether a JSON file is a list whose first entry is a task, or a record of JSON-MIN."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    try:
        key, entry = next(iter_json_items(path), ("", None))
    except (OSError, ValueError):
        return False
    if key or not isinstance(entry, dict):
        return False
    is_task = isinstance(entry.get("data"), dict) and (
        not entry.keys().isdisjoint({"annotations", "completions", "predictions"})
    )
    return is_task or entry.keys() >= _OF_RECORDS


@dataclass
class _Image:
    """One image with all that the file says of it; a file may have several tasks on one image."""

    file: File
    split: str | None
    data: dict[str, str | float]
    said: Mapping[str, Any] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)


def _gather(file: Path, tree: Tree, refusals: Refusals) -> dict[str, _Image]:
    """What the file says of each image, by the image's relative path, in the file's order."""
    images = _Images(tree)
    gathered: dict[str, _Image] = {}
    try:
        for number, (_, task) in enumerate(iter_json_items(file), start=1):
            report = _reporter(refusals, file.name, f"task {number}")
            if not isinstance(task, dict):
                report("it is no object")
                continue
            try:
                image = _read_task(task, images, report)
            except ValueError as error:
                report(str(error))
                continue
            earlier = gathered.setdefault(image.file.relative, image)
            if earlier is not image:
                earlier.words += image.words
    except (OSError, ValueError) as error:
        raise OperatorError(
            f"The annotations in {printable(file.name)} cannot be read.",
            f"{error}.",
            "Export them again.",
        ) from error
    return gathered


def _reporter(refusals: Refusals, source: str, task: str) -> Callable[[str], None]:
    return lambda reason: refusals.add(source, f"{task}: {reason}")


def _read_task(task: Mapping[str, Any], images: "_Images", report: Callable[[str], None]) -> _Image:
    """One task with its image.

    Raises:
        ValueError: its image cannot be told; says why in words for a person.
    """
    is_record = not isinstance(task.get("data"), dict)
    data: Mapping[str, Any] = _data_of_record(task) if is_record else task["data"]
    key, reference = _reference(data)
    file = images.find(reference, task.get("file_upload"))
    meta = task.get("meta")
    said = meta.get(BOOKKEEPING) if isinstance(meta, dict) else None
    split = data.get("split")
    return _Image(
        file=file,
        split=split_named(split) if isinstance(split, str) else None,
        data=_attributes({name: data[name] for name in data if name not in (key, "split")}),
        said=said if isinstance(said, dict) else {},
        words=_words(task, file, is_record, report),
    )


def _words(
    task: Mapping[str, Any], file: File, is_record: bool, report: Callable[[str], None]
) -> list[Word]:
    try:
        size = image_size(file.path)
    except ImageRejected:
        return []  # reading it will say what is wrong
    return (word_of_record if is_record else words_of_task)(task, size, report)


def _data_of_record(record: Mapping[str, Any]) -> dict[str, Any]:
    outputs = outputs_of_record(record)
    return {name: record[name] for name in record if name not in outputs and name not in _NO_DATA}


def _reference(data: Mapping[str, Any]) -> tuple[str, str]:
    """The name of the image in a task's data, and what it says.

    Raises:
        ValueError: there is none; says why in words for a person.
    """
    if isinstance(data.get("image"), list):
        raise ValueError("it is about several images at once, which is not read")
    texts = {name: value for name, value in data.items() if isinstance(value, str) and value}
    for name, value in texts.items():
        if name == "image" or _looks_like_reference(value):
            return name, value
    raise ValueError("its data names no image")


def _looks_like_reference(value: str) -> bool:
    is_served = value.startswith((_LOCAL_FILES, _UPLOADS))
    return is_served or posixpath.splitext(urlsplit(value).path)[1].lower() in IMAGE_SUFFIXES


def _attributes(data: Mapping[str, Any]) -> dict[str, str | float]:
    """What else is known of the image: texts and numbers, under names that can be columns."""
    names = column_names([*OWN_COLUMNS, *data])[len(OWN_COLUMNS) :]
    values = zip(names, data.values(), strict=True)
    return {
        name: printable(value) if isinstance(value, str) else value
        for name, value in values
        if (isinstance(value, str) and value and "\0" not in value) or _is_number(value)
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _candidate(image: _Image) -> tuple[Candidate, list[str]]:
    shown = Candidate(
        image.file.path, image.file.relative, split=image.split, attributes=image.data
    )
    if not image.said:
        return _decided(shown, image.words), []
    restored, left_out = _restored(shown, image.said)
    return _decided(restored, _new_words(image.words, restored)), left_out


def _restored(shown: Candidate, said: Mapping[str, Any]) -> tuple[Candidate, list[str]]:
    """An image as it was exported, but for what was changed in its task's data since."""
    try:
        label = clean_label(str(said.get("label") or ""))
    except ValueError as error:
        return shown, [str(error)]
    restored, left_out = with_bookkeeping(replace(shown, label=label), said)
    attributes = settled_attributes(
        shown.attributes,
        restored.attributes,
        lambda name, value: shown.attributes.get(name, value) == value,
    )
    return replace(restored, attributes=attributes), left_out


def _new_words(words: Sequence[Word], restored: Candidate) -> list[Word]:
    """What was said since the export: new annotations, and those of ours that were changed."""
    exported = words_as_exported(restored)
    known = {number: word for number, word in enumerate(exported, 1) if not word.is_prediction}
    models = {(model_name(word.actor), word.label) for word in exported if word.is_prediction}
    return [
        word
        for word in words
        if (
            (word.actor, word.label) not in models
            if word.is_prediction
            else not _is_unchanged(word, known.get(word.number or 0))
        )
    ]


def _is_unchanged(word: Word, exported: Word | None) -> bool:
    if exported is None:
        return False
    label = exported.label if exported.label is not None else word.label  # of boxes alone
    return word.label == label and same_boxes(word.boxes, exported.boxes) == exported.boxes


def _decided(image: Candidate, words: Sequence[Word]) -> Candidate:
    """An image after further words: the rule at the top of this file."""
    in_order = sorted(words, key=lambda word: word.at)
    people = [word for word in in_order if word.label is not None and not word.is_prediction]
    if not people:
        return _predicted(image, [word for word in in_order if word.is_prediction])
    last = {word.actor: word for word in people}
    truths = [word for word in people if word.is_ground_truth]
    agree = len({word.label for word in last.values()}) == 1
    standing = truths[-1] if truths else people[-1] if agree else None
    if standing is not None:
        people = [*(word for word in people if word is not standing), standing]
        boxes = [word.boxes for word in people if word.label == standing.label and word.boxes]
        image = replace(image, boxes=boxes[-1] if boxes else image.boxes)
    else:
        says = ", ".join(f"{word.actor} says {word.label}" for word in last.values())
        image = replace(image, queued=f"annotators disagree: {says}"[:_MAX_REASON_LENGTH])
    predictions = [word for word in in_order if word.is_prediction and not image.decisions]
    decisions = [*image.decisions, *map(_decision, [*predictions, *people])]
    if standing is None:  # the last decision is what an image's label follows
        decisions.append(Decision(None, "automatic", "import", people[-1].at))
    return replace(
        image,
        label=decisions[-1].label,
        label_origin=decisions[-1].origin,
        decisions=tuple(decisions),
    )


def _predicted(image: Candidate, predictions: Sequence[Word]) -> Candidate:
    """An image after further predictions: they say nothing where a person, or the source, has."""
    said = [word for word in predictions if word.label is not None]
    is_decided = any(decision.origin == "human" for decision in image.decisions)
    is_labelled = image.label is not None and image.label_origin == "imported"
    if not said or is_decided or is_labelled:
        return image
    decisions = (*image.decisions, *map(_decision, said))
    return replace(image, label=decisions[-1].label, label_origin="automatic", decisions=decisions)


def _decision(word: Word) -> Decision:
    origin = "automatic" if word.is_prediction else "human"
    return Decision(word.label, origin, word.actor, word.at, word.score)


class _Images:
    """Finds the images that tasks name, among those that were listed; nothing else is reached."""

    def __init__(self, tree: Tree) -> None:
        self._by_name: dict[str, list[File]] = defaultdict(list)
        for image in tree.images:
            self._by_name[posixpath.basename(image.relative)].append(image)

    def find(self, reference: str, file_upload: Any) -> File:
        """The image that a task names.

        Raises:
            ValueError: it is not there, or could be several; says why in words for a person.
        """
        path = _local_path(reference)
        for name in (path, unquote(path), file_upload if isinstance(file_upload, str) else ""):
            folder, last = posixpath.split(name)
            for wanted in (name, posixpath.join(folder, _UPLOAD_DIGITS.sub("", last))):
                if found := self._ending_like(wanted):
                    return found
        raise ValueError(f"the file {printable(path)[-80:]!r} is not there")

    def _ending_like(self, name: str) -> File | None:
        """The image whose path ends like this one's, the longest such end first."""
        namesakes = self._by_name.get(posixpath.basename(name), [])
        ends = [
            image
            for image in namesakes
            if f"/{image.relative}".endswith(f"/{name}")
            or f"/{name}".endswith(f"/{image.relative}")
        ]
        ends.sort(key=lambda image: -len(image.relative))
        inside = [image for image in ends if f"/{name}".endswith(f"/{image.relative}")]
        if inside:
            return inside[0]
        if len(ends) > 1:
            raise ValueError(f"it could be {ends[-1].relative} or {ends[-2].relative}")
        return ends[0] if ends else None


def _local_path(reference: str) -> str:
    """The path that a reference gives, with forward slashes and without a leading one.

    Raises:
        ValueError: it leads to another computer; says so in words for a person.
    """
    url = urlsplit(reference)
    if url.path.rstrip("/") == _LOCAL_FILES:
        path = parse_qs(url.query).get("d", [""])[0]
    elif url.path.startswith(_UPLOADS):
        path = posixpath.basename(unquote(url.path))  # the folders are Label Studio's own
    elif len(url.scheme) > 1:  # one letter is a drive of Windows
        raise ValueError(f"{reference[:80]!r} is not on this computer, and nothing is fetched")
    else:
        path = reference
    return posixpath.normpath(path.replace("\\", "/")).lstrip("/")
