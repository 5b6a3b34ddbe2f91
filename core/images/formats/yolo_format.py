"""The `yolo` format: a text file for each image, a line for each box, numbers instead of names.

    train/images/7.jpg   train/labels/7.txt
    images/train/7.jpg   labels/train/7.txt     data.yaml
    7.jpg                7.txt                  classes.txt

A line is the class's number and the box's centre, width and height, or the corners of a polygon, of
which the bounding box is taken: all in shares of the image's width and height. The classes' names
are in a `data.yaml`, in a list or a mapping, or in a `classes.txt` or `obj.names`, a line each; the
one nearest above a label file counts, for some tools write one into every folder. Splits are told
by folder names, and by the folders and lists that `data.yaml` names.
"""

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from core.annotations import Box
from core.errors import OperatorError
from core.images.formats.data_yaml import Value, read_data_yaml
from core.images.formats.detection import (
    MAX_ANNOTATION_BYTES,
    MAX_LIST_BYTES,
    Annotation,
    ListedSplits,
    Refusals,
    class_label,
    make_scan,
    pair_by_name,
    read_limited,
    split_of_name,
)
from core.images.formats.scanning import Scan
from core.images.formats.tree import File, list_tree, peek_sidecars
from core.images.splits import split_named

_N_FILES_TO_TELL = 200
_BYTES_TO_TELL = 65_536  # a polygon's line may be long
_NAME_LISTS = frozenset({"classes.txt", "obj.names"})
_SPACES = re.compile(r"[ \t]+")
_LEADING_DOTS = re.compile(r"^[./]+")
_MAX_DEPTH = 20

_ClassNames = Mapping[str, Mapping[int, str]]

# Six decimals, as most tools write them, may put an edge this far outside.
_TOLERANCE = 1e-3


def is_yolo(root: Path) -> bool:
    """Whether a folder holds label files of YOLO."""
    if not root.is_dir():
        return False
    return any(_has_boxes(path) for path in peek_sidecars(root, ".txt", at_most=_N_FILES_TO_TELL))


def scan_yolo(root: Path) -> Scan:
    """List a folder's images with the boxes that YOLO's label files give them.

    Raises:
        OperatorError: nothing says what the classes are called.
    """
    tree = list_tree(root)
    refusals = Refusals()
    yamls = {
        file.relative: read_data_yaml(_read_text(file, refusals))
        for file in tree.sidecars
        if file.relative.lower().endswith((".yaml", ".yml"))
    }
    name_lists = [
        file for file in tree.sidecars if posixpath.basename(file.relative).lower() in _NAME_LISTS
    ]
    class_names = _class_names(yamls, name_lists, refusals)
    texts = [
        file
        for file in tree.sidecars
        if file.relative.lower().endswith(".txt") and file not in name_lists
    ]
    paired, alone = pair_by_name(tree.images, texts, refusals)
    orphans = [file for file in alone if _has_boxes(file.path)]
    for file in orphans:
        refusals.add(file.relative, "there is no image of this name")
    lists = [file for file in alone if split_of_name(_stem(file.relative)) and file not in orphans]
    annotations = {
        image: _read_annotation(file, class_names, refusals) for image, file in paired.items()
    }
    read = [*paired.values(), *orphans, *lists, *name_lists]
    return make_scan(
        "yolo",
        root,
        tree,
        annotations=annotations,
        splits=_listed_splits(tree.images, yamls, lists, refusals),
        refusals=refusals,
        read={file.relative for file in read} | set(yamls),
    )


def _has_boxes(path: Path) -> bool:
    """Whether a text's first line is one of YOLO's."""
    try:
        with path.open("rb") as file:
            lines = file.read(_BYTES_TO_TELL).splitlines()
        line = next((line for line in lines if line.strip()), b"")
        _parse_line(line.decode("utf-8-sig"))
    except (OSError, ValueError):
        return False
    return True


def _read_annotation(file: File, class_names: _ClassNames, refusals: Refusals) -> Annotation:
    """What one label file says of its image; a line that cannot be read is refused alone."""
    names = _nearest(class_names, posixpath.dirname(file.relative))
    boxes: list[Box] = []
    for number, line in enumerate(_read_text(file, refusals).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            class_number, *place = _parse_line(line)
            if class_number not in names:
                raise ValueError(f"class {class_number:g} has no name; {len(names)} have one")
            boxes.append(Box(class_label(names[int(class_number)]), *place))
        except ValueError as error:
            refusals.add(file.relative, f"line {number}: {error}")
    return Annotation(file.relative, tuple(boxes), is_relative=True)


def _parse_line(line: str) -> tuple[float, float, float, float, float]:
    """The class's number, left and upper edge, width and height in shares of the image.

    Raises:
        ValueError: it is no line of YOLO's; says why in words for a person.
    """
    words = _SPACES.split(line.strip())
    try:
        class_number, *numbers = (float(word) for word in words)
    except ValueError:
        raise ValueError(f"{line.strip()[:40]!r} is not a row of numbers") from None
    is_polygon = len(numbers) >= 6 and len(numbers) % 2 == 0
    if len(numbers) != 4 and not is_polygon:
        raise ValueError(f"{len(words)} numbers are neither a box (5) nor a polygon (7, 9, …)")
    if not (class_number >= 0 and class_number.is_integer()):
        raise ValueError(f"{words[0][:40]!r} is no class number")
    if not all(-_TOLERANCE <= number <= 1 + _TOLERANCE for number in numbers):
        raise ValueError("the numbers are not shares of the image, between 0 and 1")
    if is_polygon:
        left, right = min(numbers[::2]), max(numbers[::2])
        upper, lower = min(numbers[1::2]), max(numbers[1::2])
        return class_number, left, upper, right - left, lower - upper
    x, y, width, height = numbers
    return class_number, x - width / 2, y - height / 2, width, height


def _class_names(
    yamls: Mapping[str, Mapping[str, Value]], name_lists: Sequence[File], refusals: Refusals
) -> _ClassNames:
    """What the classes' numbers mean, by the folder that says so, the topmost first.

    Raises:
        OperatorError: nothing does.
    """
    by_folder: dict[str, Mapping[int, str]] = {}
    for file in name_lists:
        lines = _read_text(file, refusals).rstrip().splitlines()
        by_folder[posixpath.dirname(file.relative)] = dict(enumerate(map(str.strip, lines)))
    for relative, values in yamls.items():
        names = values.get("names", "")
        if isinstance(names, dict):
            numbered = {int(number): name for number, name in names.items() if number.isdecimal()}
        else:
            numbered = dict(enumerate(names)) if isinstance(names, list) else {}
        if numbered:
            by_folder[posixpath.dirname(relative)] = numbered
    if not by_folder:
        raise OperatorError(
            "Nothing says what the classes are called.",
            "YOLO's label files hold numbers; the names stand in a data.yaml or a classes.txt.",
            "Put a classes.txt into the folder, one class a line in the order of the numbers.",
        )
    return dict(sorted(by_folder.items(), key=lambda entry: (entry[0].count("/"), entry[0])))


def _nearest(class_names: _ClassNames, folder: str) -> Mapping[int, str]:
    """The names in a folder or the nearest above it; where there are none, the topmost."""
    while folder and folder not in class_names:
        folder = posixpath.dirname(folder)
    return class_names.get(folder) or next(iter(class_names.values()))


def _listed_splits(
    images: Sequence[File],
    yamls: Mapping[str, Mapping[str, Value]],
    lists: Sequence[File],
    refusals: Refusals,
) -> Mapping[str, str | None]:
    """Splits by the folders that a data.yaml names, and by lists such as `train.txt`."""
    splits = ListedSplits(refusals)
    for source, values in yamls.items():
        for key, value in values.items():
            split = split_named(key)
            if split is None:
                continue
            for named in [value] if isinstance(value, str) else value:
                # Whatever the path starts from where the set was made, it ends in these folders.
                folder = posixpath.normpath(_LEADING_DOTS.sub("", named.replace("\\", "/")))
                for image in images:
                    if image.relative.startswith(f"{folder}/"):
                        splits.put(image.relative, split, source=source)
    names = {image.relative for image in images}
    for file in lists:
        split = split_of_name(_stem(file.relative))
        for line in _read_text(file, refusals, at_most=MAX_LIST_BYTES).splitlines():
            listed = _longest_tail(line.strip(), names)
            if split and listed:
                splits.put(listed, split, source=file.relative)
    return splits.by_image


def _longest_tail(path: str, names: Collection[str]) -> str | None:
    """The name that a path from another machine ends in."""
    parts = path.replace("\\", "/").split("/")[-_MAX_DEPTH:]
    tails = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((tail for tail in tails if tail in names), None)


def _read_text(file: File, refusals: Refusals, *, at_most: int = MAX_ANNOTATION_BYTES) -> str:
    """A file's text; empty, and said so, where it cannot be read."""
    try:
        return read_limited(file, at_most=at_most).decode("utf-8-sig", "replace")
    except ValueError as error:
        refusals.add(file.relative, str(error))
        return ""


def _stem(relative: str) -> str:
    return posixpath.splitext(posixpath.basename(relative))[0]
