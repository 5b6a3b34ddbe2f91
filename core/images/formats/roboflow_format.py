"""The `roboflow` format: an export of Roboflow, whichever layout was chosen there.

    README.roboflow.txt
    train/_annotations.coco.json   train/7_jpg.rf.0a1b….jpg                     COCO
    train/7_jpg.rf.0a1b….xml       train/7_jpg.rf.0a1b….jpg                     Pascal VOC
    train/labels/…txt              train/images/7_jpg.rf.0a1b….jpg   data.yaml  YOLO
    train/scratch/7_jpg.rf.0a1b….jpg                                            folders

The export is read by the format of its layout. What Roboflow adds are versions: one photograph may
stand in a split several times, turned and brightened. Its file name before `.rf.` becomes its
candidates' group, which no draw of splits divides.
"""

import re
from dataclasses import replace
from pathlib import Path

from core.errors import OperatorError
from core.images.formats.coco_format import is_coco, scan_coco
from core.images.formats.data_yaml import read_data_yaml
from core.images.formats.folder_format import scan_folder
from core.images.formats.scanning import Candidate, Scan
from core.images.formats.voc_format import is_voc, scan_voc
from core.images.formats.yolo_format import is_yolo, scan_yolo
from core.vocabulary import printable

_README = "readme.roboflow.txt"
_ANNOTATIONS = "_annotations.coco.json"
_MAX_YAML_BYTES = 1_000_000
_VERSION = re.compile(r"([^/]+)_([A-Za-z]{3,4})\.rf\.[^/]+$")


def is_roboflow(root: Path) -> bool:
    """Whether a folder is an export of Roboflow, by the files that it alone puts there."""
    try:
        names = {entry.name.casefold() for entry in root.iterdir()}
        if _README in names or _ANNOTATIONS in names:
            return True
        if "data.yaml" in names and _names_roboflow(root / "data.yaml"):
            return True
        return any((folder / _ANNOTATIONS).is_file() for folder in root.iterdir())
    except OSError:
        return False


def scan_roboflow(root: Path) -> Scan:
    """List an export's images with their labels and boxes.

    Raises:
        OperatorError: it is laid out in a way that is not read, or is damaged.
    """
    if is_coco(root):
        found = scan_coco(root)
    elif is_voc(root):
        found = scan_voc(root)
    elif is_yolo(root) or (root / "data.yaml").is_file():  # all images may be background
        found = scan_yolo(root)
    else:
        found = scan_folder(root)
        if found.candidates and not any(candidate.label for candidate in found.candidates):
            raise OperatorError(
                f"{printable(root.name)} holds no labels that can be read.",
                "Of Roboflow's exports COCO, Pascal VOC, YOLO and folder structure are read.",
                "Export the version again as one of these.",
            )
    return replace(
        found, format="roboflow", candidates=tuple(map(_of_photograph, found.candidates))
    )


def _names_roboflow(data_yaml: Path) -> bool:
    if not data_yaml.is_file():
        return False
    with data_yaml.open("rb") as file:
        return "roboflow" in read_data_yaml(file.read(_MAX_YAML_BYTES).decode("utf-8", "replace"))


def _of_photograph(candidate: Candidate) -> Candidate:
    version = _VERSION.search(candidate.relative)
    if version is None:
        return candidate
    return replace(candidate, group=f"{version[1]}.{version[2]}")
