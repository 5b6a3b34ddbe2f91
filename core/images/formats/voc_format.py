"""The `voc` format: Pascal VOC, one XML file of boxes for each image.

    train/images/7.jpg           train/annotations/7.xml
    JPEGImages/7.jpg             Annotations/7.xml          ImageSets/Main/train.txt
    images/scratch/7.jpg         annotations/7.xml
    train/7.jpg                  train/7.xml

An annotation belongs to the image of its name (`pair_by_name`), whatever its `<filename>` says:
many name a file that was converted or renamed since. Lists in `ImageSets/Main` named like a split
give it; `trainval.txt` and the lists of one class say nothing more and are not read. Corners are
pixels counted from 1 and both belong to the box, as the format's makers define it:

    Everingham & Winn (2012), "The PASCAL Visual Object Classes Challenge 2012 Development Kit".

XML is hostile: a document type, where entities are declared, is refused.
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from core.annotations import Box
from core.images.formats.detection import (
    MAX_LIST_BYTES,
    Annotation,
    ListedSplits,
    Refusals,
    class_label,
    make_scan,
    pair_by_name,
    read_limited,
)
from core.images.formats.scanning import Scan
from core.images.formats.tree import File, Tree, list_tree, peek_sidecars
from core.images.splits import split_named

_N_FILES_TO_TELL = 20
_BYTES_TO_TELL = 1000
_ROOT_ELEMENT = re.compile(r"<annotation[\s/>]")
_DECLARED_ENCODING = re.compile(rb"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]{1,20})["']""")
# Besides UTF-8, as Python's `codecs.lookup` names them.
_ENCODINGS = frozenset(
    {"iso8859-1", "iso8859-15", "cp1250", "cp1251", "cp1252"}
    | {"gb2312", "gbk", "gb18030", "big5", "shift_jis", "cp932", "euc_jp", "euc_kr"}
)
_MASK_FOLDERS = frozenset({"SegmentationClass", "SegmentationObject"})
_SPLIT_LISTS = "ImageSets/Main/"
_FLAG = re.compile(r"\s+-?[01]$")


def is_voc(root: Path) -> bool:
    """Whether a folder holds Pascal VOC annotations."""
    if not root.is_dir():
        return False
    return any(
        _is_annotation(path) for path in peek_sidecars(root, ".xml", at_most=_N_FILES_TO_TELL)
    )


def scan_voc(root: Path) -> Scan:
    """List a folder's images with the boxes that Pascal VOC files give them."""
    tree = _without_masks(list_tree(root))
    refusals = Refusals()
    documents = [file for file in tree.sidecars if file.relative.lower().endswith(".xml")]
    paired, alone = pair_by_name(tree.images, documents, refusals)
    annotations: dict[str, Annotation] = {}
    for image, file in paired.items():
        try:
            annotations[image] = _read_annotation(file, refusals)
        except ValueError as error:
            refusals.add(file.relative, str(error))
    foreign = {file.relative for file in alone if not _is_annotation(file.path)}
    for file in alone:
        if file.relative not in foreign:
            refusals.add(file.relative, "there is no image of this name")
    return make_scan(
        "voc",
        root,
        tree,
        annotations=annotations,
        splits=_listed_splits(tree, refusals).by_image,
        refusals=refusals,
        read={file.relative for file in documents} - foreign,
    )


def _without_masks(tree: Tree) -> Tree:
    """A tree without the pictures that show where objects are, pixel by pixel."""
    masks = {
        image.relative
        for image in tree.images
        if not _MASK_FOLDERS.isdisjoint(image.relative.split("/")[:-1])
    }
    return replace(
        tree,
        images=tuple(image for image in tree.images if image.relative not in masks),
        ignored=(*tree.ignored, *masks),
    )


def _is_annotation(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_BYTES_TO_TELL)
    except OSError:
        return False
    return _ROOT_ELEMENT.search(_decode(head)) is not None


def _read_annotation(file: File, refusals: Refusals) -> Annotation:
    """What one file says of its image.

    Raises:
        ValueError: the file cannot be read, or is no annotation; says why in words for a person.
    """
    document = _parse(read_limited(file))
    if document.tag != "annotation":
        raise ValueError(f"the file holds <{document.tag[:40]}>, not <annotation>")
    boxes = []
    for number, item in enumerate(document.iterfind("object"), start=1):
        try:
            boxes.append(_box(item))
        except ValueError as error:
            refusals.add(file.relative, f"object {number}: {error}")
    return Annotation(file.relative, tuple(boxes), size=_stated_size(document))


def _box(item: ElementTree.Element) -> Box:
    label = class_label(item.findtext("name") or "")
    corners = item.find("bndbox")
    if corners is None:
        raise ValueError("there is no <bndbox>")
    left, upper, right, lower = (
        _number(corners, name) for name in ("xmin", "ymin", "xmax", "ymax")
    )
    return Box(label, left - 1, upper - 1, right - left + 1, lower - upper + 1)


def _number(element: ElementTree.Element, name: str) -> float:
    text = (element.findtext(name) or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"<{name}> is {text[:40]!r}, not a number") from None


def _stated_size(document: ElementTree.Element) -> tuple[int, int] | None:
    """The image's size by the annotation; None where it is left out, or written as 0."""
    try:
        width, height = (
            int(document.findtext(f"size/{side}") or 0) for side in ("width", "height")
        )
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


class _NoDocumentType(ElementTree.TreeBuilder):
    def doctype(self, name: str, public_id: str | None, system_id: str | None) -> None:
        raise ValueError("the XML has a document type (<!DOCTYPE>), which is not read")


def _parse(data: bytes) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_NoDocumentType())
    try:
        # Text instead of bytes: the parser then follows no encoding that the file declares.
        parser.feed(_decode(data))
        return parser.close()
    except ElementTree.ParseError as error:
        raise ValueError(f"the XML is damaged ({error})") from error


def _decode(data: bytes) -> str:
    """XML as text. What its encoding cannot say becomes a mark: mostly in a path, not a class."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    declared = _DECLARED_ENCODING.match(data)
    try:
        encoding = codecs.lookup(declared[1].decode("ascii")).name if declared else ""
    except LookupError:
        encoding = ""
    return data.decode(encoding if encoding in _ENCODINGS else "utf-8-sig", "replace")


def _listed_splits(tree: Tree, refusals: Refusals) -> ListedSplits:
    """Splits by the lists in `ImageSets/Main`, each for the images beside that folder."""
    splits = ListedSplits(refusals)
    for file in tree.sidecars:
        base, _, name = f"/{file.relative}".rpartition(f"/{_SPLIT_LISTS}")
        split = split_named(name.removesuffix(".txt"))
        if split is None or file.relative == name or not name.endswith(".txt"):
            continue
        try:
            text = read_limited(file, at_most=MAX_LIST_BYTES).decode("utf-8-sig", "replace")
        except ValueError as error:
            refusals.add(file.relative, str(error))
            continue
        listed = {_FLAG.sub("", line.strip()) for line in text.splitlines()}
        for image in tree.images:
            is_beside = f"/{image.relative}".startswith(f"{base}/")
            if is_beside and not listed.isdisjoint(_names(image.relative)):
                splits.put(image.relative, split, source=file.relative)
    return splits


def _names(relative: str) -> Iterable[str]:
    """What a list may call an image: `7`, `7.jpg`, `scratch/7`, …"""
    parts = relative.split("/")
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        yield name
        yield name.rpartition(".")[0]
