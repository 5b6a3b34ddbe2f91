"""Detection sets: the same boxes out of every format, the label they give, and hostile files."""

import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.annotations import Box, Crop
from core.errors import OperatorError
from core.images.boxes import clip_box, label_of_boxes
from core.images.crops import MIN_MARGIN_PX, crop_box
from core.images.formats.data_yaml import read_data_yaml
from core.images.formats.detection import MAX_ANNOTATION_BYTES
from core.images.formats.importers import Candidate, Scan, detect_format, scan
from core.images.formats.json_items import iter_json_items
from core.images.reading import ImageRejected, image_size, read_image


@dataclass(frozen=True)
class Known:
    """One image of the known set: 64 x 48 pixels, and what is in it."""

    name: str
    split: str
    boxes: tuple[Box, ...] = ()


WIDTH, HEIGHT = 64, 48
CLASSES = ("dirt", "scratch")
KNOWN = (
    Known("one", "train", (Box("scratch", 2, 3, 20, 4), Box("scratch", 30, 8, 10, 20))),
    Known("several", "train", (Box("scratch", 5, 5, 6, 7), Box("dirt", 40, 30, 8, 8))),
    Known("tiny", "valid", (Box("dirt", 10, 20, 1, 1),)),
    Known("clean", "valid"),
    Known("whole", "test", (Box("dirt", 0, 0, WIDTH, HEIGHT),)),
)
LABELS = {"one": "scratch", "several": "multiple", "tiny": "dirt", "clean": None, "whole": "dirt"}
SPLITS = {"train": "train", "valid": "validation", "test": "test"}


def put_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path, **options)
    return path


def put_text(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def voc_xml(
    boxes: tuple[Box, ...], *, size: tuple[int, int] | None = (WIDTH, HEIGHT), filename: str = "?"
) -> str:
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    objects = "".join(
        f"<object><name>{box.label}</name><bndbox>"
        f"<xmin>{box.x + 1}</xmin><ymin>{box.y + 1}</ymin>"
        f"<xmax>{box.x + box.width}</xmax><ymax>{box.y + box.height}</ymax></bndbox></object>"
        for box in boxes
    )
    return f"<annotation><filename>{filename}</filename>{stated}{objects}</annotation>"


def yolo_text(boxes: tuple[Box, ...]) -> str:
    return "".join(
        f"{CLASSES.index(box.label)} {(box.x + box.width / 2) / WIDTH:.6f} "
        f"{(box.y + box.height / 2) / HEIGHT:.6f} {box.width / WIDTH:.6f} "
        f"{box.height / HEIGHT:.6f}\n"
        for box in boxes
    )


def coco_json(images: Mapping[str, tuple[Box, ...]]) -> str:
    return json.dumps(
        {
            "info": {"version": "1", "list": [1, 2]},
            "images": [
                {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
                for number, name in enumerate(images)
            ],
            "annotations": [
                {
                    "id": 1,
                    "image_id": number,
                    "category_id": CLASSES.index(box.label) + 1,
                    "bbox": [box.x, box.y, box.width, box.height],
                    "iscrowd": int(box.width == WIDTH),
                }
                for number, boxes in enumerate(images.values())
                for box in boxes
            ],
            # Roboflow's class 0 stands for the whole set and is in no image.
            "categories": [{"id": i, "name": n} for i, n in enumerate(("defects", *CLASSES))],
        }
    )


def export_voc(root: Path, image: str = "{split}/images", xml: str = "{split}/annotations") -> None:
    for known in KNOWN:
        put_image(root / image.format(split=known.split) / f"{known.name}.jpg")
        folder = root / xml.format(split=known.split)
        put_text(folder / f"{known.name}.xml", voc_xml(known.boxes))


def export_yolo(root: Path, image: str = "{split}/images", text: str = "{split}/labels") -> None:
    put_text(root / "data.yaml", f"nc: 2\nnames: {list(CLASSES)}\n")
    for known in KNOWN:
        put_image(root / image.format(split=known.split) / f"{known.name}.jpg")
        folder = root / text.format(split=known.split)
        put_text(folder / f"{known.name}.txt", yolo_text(known.boxes))


def export_coco(
    root: Path, image: str = "{split}", annotations: str = "{split}/_annotations.json"
) -> None:
    for split in SPLITS:
        of_split = {f"{known.name}.jpg": known.boxes for known in KNOWN if known.split == split}
        put_text(root / annotations.format(split=split), coco_json(of_split))
        for name in of_split:
            put_image(root / image.format(split=split) / name)


def by_name(found: Scan) -> dict[str, Candidate]:
    return {candidate.path.stem: candidate for candidate in found.candidates}


def reasons(found: Scan) -> dict[str, str]:
    return {item.path: item.reason for item in found.rejected}


LAYOUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "voc, a folder a split": ("voc", export_voc),
    "voc beside the images": ("voc", lambda root: export_voc(root, "{split}", "{split}")),
    "voc in class folders": ("voc", lambda root: export_voc(root, "{split}/JPEGImages/a")),
    "voc below annotations": (
        "voc",
        lambda root: export_voc(root, "images/{split}", "Annotations/{split}"),
    ),
    "yolo, a folder a split": ("yolo", export_yolo),
    "yolo below images": (
        "yolo",
        lambda root: export_yolo(root, "images/{split}", "labels/{split}"),
    ),
    "yolo beside the images": ("yolo", lambda root: export_yolo(root, "{split}", "{split}")),
    "coco beside the images": ("coco", export_coco),
    "coco beside an images folder": ("coco", lambda root: export_coco(root, "{split}/images")),
    "coco in annotations": (
        "coco",
        lambda root: export_coco(
            root, "images/{split}2017", "annotations/instances_{split}2017.json"
        ),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_and_gives_the_same_boxes_labels_and_splits(
    layout: str, tmp_path: Path
) -> None:
    format, export = LAYOUTS[layout]
    export(tmp_path)
    assert detect_format(tmp_path) == format
    found = scan(tmp_path)
    assert found.format == format
    assert found.rejected == ()
    assert found.ignored == ()
    candidates = by_name(found)
    assert {name: candidate.label for name, candidate in candidates.items()} == LABELS
    for known in KNOWN:
        candidate = candidates[known.name]
        assert candidate.split == SPLITS[known.split]
        assert [box.label for box in candidate.boxes] == [box.label for box in known.boxes]
        for box, drawn in zip(candidate.boxes, known.boxes, strict=True):
            place = (box.x, box.y, box.width, box.height)
            expected = (drawn.x, drawn.y, drawn.width, drawn.height)
            assert place == pytest.approx(expected, abs=1e-4)


# Roboflow


def roboflow_name(name: str, version: str) -> str:
    return f"{name}_jpg.rf.{version}"


def put_roboflow_folders(root: Path) -> None:
    for label in CLASSES:
        put_image(root / f"train/{label}/{roboflow_name(label, 'a1')}.jpg")


@pytest.mark.parametrize(
    "export",
    [
        lambda root: export_voc(root, "{split}", "{split}"),
        export_yolo,
        lambda root: export_coco(root, "{split}", "{split}/_annotations.coco.json"),
    ],
    ids=["voc", "yolo", "coco"],
)
def test_an_export_of_roboflow_is_read_whatever_its_layout(
    export: Callable[[Path], None], tmp_path: Path
) -> None:
    export(tmp_path)
    put_text(tmp_path / "README.roboflow.txt", "0 images are in this export")
    found = scan(tmp_path)
    assert found.format == "roboflow"
    assert {name: candidate.label for name, candidate in by_name(found).items()} == LABELS
    assert found.rejected == ()
    assert found.ignored == ("README.roboflow.txt",)


def test_an_export_of_roboflow_in_class_folders_is_read_as_folders(tmp_path: Path) -> None:
    put_roboflow_folders(tmp_path)
    put_text(tmp_path / "README.roboflow.txt", "")
    found = scan(tmp_path)
    assert found.format == "roboflow"
    assert {candidate.label for candidate in found.candidates} == set(CLASSES)


def test_versions_of_one_photograph_are_one_group(tmp_path: Path) -> None:
    put_text(tmp_path / "data.yaml", "names: [dirt]\nroboflow:\n  workspace: paint\n")
    for version in ("a1", "b2"):
        put_image(tmp_path / f"train/images/{roboflow_name('panel.7', version)}.jpg")
        put_text(tmp_path / f"train/labels/{roboflow_name('panel.7', version)}.txt", "")
    found = scan(tmp_path)
    assert found.format == "roboflow"
    assert [item.group for item in found.candidates] == ["panel.7.jpg"] * 2


def test_an_export_of_roboflow_that_is_not_read_is_not_taken_without_its_labels(
    tmp_path: Path,
) -> None:
    put_image(tmp_path / "train/1.jpg")
    put_text(tmp_path / "train/_annotations.csv", "filename,width\n")
    put_text(tmp_path / "README.roboflow.txt", "")
    with pytest.raises(OperatorError, match="Export the version again"):
        scan(tmp_path)


# The label


def test_false_alarms_count_only_where_nothing_else_is_drawn() -> None:
    def of(*labels: str) -> str | None:
        return label_of_boxes(Box(label, 0, 0, 1, 1) for label in labels)

    assert of() is None
    assert of("dirt", "dirt") == "dirt"
    assert of("dirt", "scratch") == "multiple"
    assert of("dirt", "not_a_defect") == "dirt"
    assert of("dirt", "scratch", "not_a_defect") == "multiple"
    assert of("not_a_defect") == "not_a_defect"
    assert of("dirt", "multiple") == "multiple"


def test_a_box_is_clipped_to_its_image() -> None:
    assert clip_box(Box("dirt", -5, 40, 20, 20), (64, 48)) == Box("dirt", 0, 40, 15, 8)


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (Box("dirt", 5, 5, 0, 10), "no area"),
        (Box("dirt", 5, 5, 10, -3), "no area"),
        (Box("dirt", 64, 5, 10, 10), "outside"),
        (Box("dirt", -20, 5, 10, 10), "outside"),
        (Box("dirt", float("nan"), 5, 10, 10), "finite"),
        (Box("dirt", 5, 5, float("inf"), 10), "finite"),
    ],
)
def test_a_box_of_which_nothing_is_left_is_refused(box: Box, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        clip_box(box, (64, 48))


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(x=NUMBERS, y=NUMBERS, width=NUMBERS, height=NUMBERS)
def test_any_box_is_inside_its_image_or_refused(
    x: float, y: float, width: float, height: float
) -> None:
    try:
        box = clip_box(Box("dirt", x, y, width, height), (64, 48))
    except ValueError:
        return
    assert box.x >= 0
    assert box.y >= 0
    assert box.x + box.width <= 64 + 1e-9
    assert box.y + box.height <= 48 + 1e-9
    assert min(box.width, box.height) > 0


def test_a_refused_box_costs_neither_its_image_nor_the_other_boxes(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg")
    boxes = (Box("dirt", 5, 5, 10, 10), Box("scratch", 9, 9, 0, 4), Box("scratch", 70, 5, 4, 4))
    put_text(tmp_path / "1.xml", voc_xml(boxes))
    found = scan(tmp_path)
    (candidate,) = found.candidates
    assert (candidate.label, candidate.boxes) == ("dirt", boxes[:1])
    assert [item.path for item in found.rejected] == ["1.xml", "1.xml"]
    assert "no area" in found.rejected[0].reason
    assert "outside" in found.rejected[1].reason


@pytest.mark.parametrize("size", [(WIDTH * 2, HEIGHT * 2), (HEIGHT, WIDTH)])
def test_boxes_drawn_on_another_size_are_left_out_and_their_label_is_kept(
    size: tuple[int, int], tmp_path: Path
) -> None:
    put_image(tmp_path / "1.jpg")
    put_text(tmp_path / "1.xml", voc_xml((Box("dirt", 5, 5, 10, 10),), size=size))
    found = scan(tmp_path)
    assert (found.candidates[0].label, found.candidates[0].boxes) == ("dirt", ())
    assert f"{WIDTH} x {HEIGHT}" in reasons(found)["1.xml"]


def test_an_image_that_cannot_be_read_stays_a_candidate_for_its_own_refusal(
    tmp_path: Path,
) -> None:
    put_text(tmp_path / "1.jpg", b"not an image")
    put_text(tmp_path / "1.xml", voc_xml((Box("dirt", 5, 5, 10, 10),)))
    found = scan(tmp_path)
    assert (found.candidates[0].label, found.candidates[0].boxes) == ("dirt", ())
    assert found.rejected == ()


def test_an_image_without_an_annotation_has_no_label(tmp_path: Path) -> None:
    export_voc(tmp_path)
    put_image(tmp_path / "train/images/new.jpg")
    assert by_name(scan(tmp_path))["new"].label is None


# Which annotation is whose


def test_the_name_counts_whatever_the_annotation_calls_its_image(tmp_path: Path) -> None:
    put_image(tmp_path / "images/7.png")
    box = Box("dirt", 1, 1, 5, 5)
    put_text(tmp_path / "annotations/7.xml", voc_xml((box,), filename="other", size=None))
    assert scan(tmp_path).candidates[0].boxes == (box,)


def test_the_same_name_in_two_splits_is_two_images(tmp_path: Path) -> None:
    for split, label in (("train", "dirt"), ("valid", "scratch")):
        put_image(tmp_path / split / "images/1.jpg")
        put_text(tmp_path / split / "annotations/1.xml", voc_xml((Box(label, 1, 1, 5, 5),)))
    found = scan(tmp_path)
    assert [(c.split, c.label) for c in found.candidates] == [
        ("train", "dirt"),
        ("validation", "scratch"),
    ]


def test_an_annotation_never_goes_to_another_splits_image(tmp_path: Path) -> None:
    put_image(tmp_path / "train/images/1.jpg")
    put_text(tmp_path / "valid/annotations/1.xml", voc_xml((Box("dirt", 1, 1, 5, 5),)))
    found = scan(tmp_path)
    assert found.candidates[0].label is None
    assert reasons(found) == {"valid/annotations/1.xml": "there is no image of this name"}


def test_an_annotation_that_could_be_two_images_is_refused(tmp_path: Path) -> None:
    put_image(tmp_path / "images/a/1.jpg")
    put_image(tmp_path / "images/b/1.jpg")
    put_text(tmp_path / "annotations/1.xml", voc_xml((Box("dirt", 1, 1, 5, 5),)))
    found = scan(tmp_path)
    assert [candidate.label for candidate in found.candidates] == [None, None]
    assert "could belong" in reasons(found)["annotations/1.xml"]


def test_a_second_annotation_of_one_image_is_refused(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg")
    put_text(tmp_path / "1.xml", voc_xml((Box("dirt", 1, 1, 5, 5),)))
    put_text(tmp_path / "annotations/1.xml", voc_xml((Box("scratch", 1, 1, 5, 5),)))
    found = scan(tmp_path)
    assert found.candidates[0].label == "dirt"
    assert "already" in reasons(found)["annotations/1.xml"]


# Pascal VOC


def test_the_lists_of_voc_give_the_splits(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        put_image(tmp_path / f"JPEGImages/{name}.jpg")
        put_text(tmp_path / f"Annotations/{name}.xml", voc_xml(()))
    put_image(tmp_path / "SegmentationClass/1.png")
    put_text(tmp_path / "ImageSets/Main/train.txt", "1\n2  1\n3.jpg\n")
    put_text(tmp_path / "ImageSets/Main/test.txt", "3\n")
    put_text(tmp_path / "ImageSets/Main/trainval.txt", "4\n")
    put_text(tmp_path / "ImageSets/Main/dirt_test.txt", "1  1\n")
    found = scan(tmp_path, format="voc")
    splits = {name: candidate.split for name, candidate in by_name(found).items()}
    assert splits == {"1": "train", "2": "train", "3": None, "4": None}
    (conflict,) = found.rejected
    assert "3.jpg" in conflict.reason
    assert "SegmentationClass/1.png" in found.ignored


BOX = Box("Krätzer", 1, 1, 5, 5)


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", None),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("latin-1", "ISO-8859-1"),
        ("cp1252", "windows-1252"),
        ("utf-8", "made-up"),
    ],
)
def test_annotations_are_read_in_their_encoding(
    encoding: str, declared: str | None, tmp_path: Path
) -> None:
    put_image(tmp_path / "1.jpg")
    header = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    put_text(tmp_path / "1.xml", (header + voc_xml((BOX,))).encode(encoding))
    assert scan(tmp_path, format="voc").candidates[0].boxes == (BOX,)


def test_chinese_encodings_are_read_and_a_path_in_the_wrong_one_costs_nothing(
    tmp_path: Path,
) -> None:
    xml = voc_xml((Box("划痕", 1, 1, 5, 5),))
    put_image(tmp_path / "1.jpg")
    put_text(tmp_path / "1.xml", f'<?xml version="1.0" encoding="gb2312"?>{xml}'.encode("gb2312"))
    put_image(tmp_path / "2.jpg")
    put_text(tmp_path / "2.xml", voc_xml((Box("dirt", 1, 1, 5, 5),), filename="划痕").encode("gbk"))
    put_image(tmp_path / "3.jpg")
    put_text(tmp_path / "3.xml", xml.encode("gbk"))
    found = scan(tmp_path)
    assert [candidate.label for candidate in found.candidates] == ["划痕", "dirt", None]
    assert "encoding" in reasons(found)["3.xml"]


BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE annotation [<!ENTITY a "dirt">'
    + "".join(
        f'<!ENTITY {c} "{f"&{p};" * 10}">' for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><annotation><object><name>&i;</name></object></annotation>"
)
SECRET = (
    '<!DOCTYPE annotation [<!ENTITY secret SYSTEM "file:///etc/hostname">]>'
    "<annotation><object><name>&secret;</name></object></annotation>"
)


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (BILLION_LAUGHS, "document type"),
        (SECRET, "document type"),
        ('<!DOCTYPE annotation SYSTEM "http://192.0.2.1/x.dtd"><annotation/>', "document type"),
        ("<annotation><object>", "damaged"),
        ("<annotation>\x00</annotation>", "damaged"),
        ("<annotation>&undefined;</annotation>", "damaged"),
        ("", "damaged"),
        ("<a><annotation></annotation></a>", "not <annotation>"),
        ("<annotation>" + " " * MAX_ANNOTATION_BYTES + "</annotation>", "4 MB"),
        ("<annotation><object><name>a</name></object></annotation>", "no <bndbox>"),
        (voc_xml((Box("", 1, 1, 5, 5),)), "no name"),
        (voc_xml((Box("a/b", 1, 1, 5, 5),)), "folder"),
        (voc_xml((Box("dirt", 1, 1, 5, 5),)).replace("<xmin>2", "<xmin>left"), "'left'"),
        (voc_xml((Box("dirt", 1, 1, 5, 5),)).replace("<xmin>2", "<xmin>nan"), "finite"),
        (voc_xml((Box("dirt", 1, 1, 5, 5),)).replace("<xmax>6", "<xmax>1e999"), "finite"),
    ],
)
def test_hostile_xml_is_refused_with_its_reason_and_the_image_is_taken(
    xml: str, why: str, tmp_path: Path
) -> None:
    put_image(tmp_path / "1.jpg")
    put_text(tmp_path / "1.xml", xml)
    put_image(tmp_path / "2.jpg")
    put_text(tmp_path / "2.xml", voc_xml(()))
    found = scan(tmp_path, format="voc")
    assert by_name(found)["1"].label is None
    assert why in reasons(found)["1.xml"]


def test_deep_xml_is_read_without_recursion(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg")
    depth = 200_000
    put_text(tmp_path / "1.xml", "<annotation>" + "<a>" * depth + "</a>" * depth + "</annotation>")
    assert scan(tmp_path).candidates[0].label is None


@given(text=st.text(max_size=200) | st.binary(max_size=200))
def test_any_content_of_an_annotation_is_scanned_without_an_error(
    text: str | bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("voc")
    put_image(root / "1.jpg")
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    put_text(root / "1.xml", b"<annotation><object>" + content + b"</object></annotation>")
    assert len(scan(root, format="voc").candidates) == 1


# YOLO


@pytest.mark.parametrize(
    "names",
    [
        "names: [dirt, scratch]",
        "names: ['dirt', \"scratch\"] # two",
        "names:\n- dirt\n- scratch",
        "train: x\nnames:\n    - dirt  # first\n    - scratch\nnc: 2",
        "names:\n  0: dirt\n  1: scratch",
        "names: {1: scratch, 0: 'dirt'}",
        "names: [\n  dirt,\n  scratch,\n]",
        '"names": ["dirt", "scratch"]',
    ],
)
def test_class_names_are_read_in_every_form(names: str, tmp_path: Path) -> None:
    export_yolo(tmp_path)
    put_text(tmp_path / "data.yaml", f"# made by a tool\npath: ../x\n{names}\n")
    found = scan(tmp_path)
    assert {name: candidate.label for name, candidate in by_name(found).items()} == LABELS


def test_class_names_stay_texts() -> None:
    names = read_data_yaml("names: [no, 1e3, null, driver's side, 'a, b', \"c: #d\"]")["names"]
    assert names == ["no", "1e3", "null", "driver's side", "a, b", "c: #d"]


@pytest.mark.parametrize("names", ["[[a], [b]]", "[a, b", "*anchor", "|\n  a\n  b", "['a' b]"])
def test_what_is_not_understood_of_a_yaml_is_left_out(names: str) -> None:
    assert read_data_yaml(f"names: {names}\nnc: 2\n") == {"nc": "2"}


@given(text=st.text("ab:-[]{}'\",#&* \n", max_size=60))
def test_any_yaml_is_read_without_an_error(text: str) -> None:
    assert isinstance(read_data_yaml(text), dict)


def test_each_folder_may_have_its_own_order_of_classes(tmp_path: Path) -> None:
    for split, names in (("train", "dirt\nscratch\n"), ("valid", "scratch\r\ndirt\r\n")):
        put_image(tmp_path / split / "1.jpg")
        put_text(tmp_path / split / "1.txt", "0 0.5 0.5 0.1 0.1\n")
        put_text(tmp_path / split / "classes.txt", names)
    assert [candidate.label for candidate in scan(tmp_path).candidates] == ["dirt", "scratch"]


def test_numbers_without_names_are_no_labels(tmp_path: Path) -> None:
    put_image(tmp_path / "images/1.jpg")
    put_text(tmp_path / "labels/1.txt", "0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(OperatorError, match=r"classes\.txt"):
        scan(tmp_path)


def test_a_polygon_gives_its_bounding_box(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg", (100, 100))
    put_text(tmp_path / "classes.txt", "dirt")
    put_text(tmp_path / "1.txt", "0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n0 0.7 0.7 0.8 0.7 0.75 0.9")
    found = scan(tmp_path)
    first, second = found.candidates[0].boxes
    assert (first.x, first.y, first.width, first.height) == pytest.approx((10, 20, 40, 40))
    assert (second.x, second.y, second.width, second.height) == pytest.approx((70, 70, 10, 20))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 0.5 0.5 0.1", "4 numbers"),
        ("0 0.5 0.5 0.1 0.1 0.9", "6 numbers"),
        ("dirt 0.5 0.5 0.1 0.1", "row of numbers"),
        ("-1 0.5 0.5 0.1 0.1", "class number"),
        ("0.5 0.5 0.5 0.1 0.1", "class number"),
        ("inf 0.5 0.5 0.1 0.1", "class number"),
        ("7 0.5 0.5 0.1 0.1", "class 7 has no name"),
        ("0 30 20 10 10", "shares"),
        ("0 nan 0.5 0.1 0.1", "shares"),
    ],
)
def test_a_bad_line_is_refused_with_file_and_number(line: str, why: str, tmp_path: Path) -> None:
    put_image(tmp_path / "images/1.jpg")
    put_text(tmp_path / "data.yaml", "names: [dirt, scratch]")
    put_text(tmp_path / "labels/1.txt", f"1 0.5 0.5 0.1 0.1\n\n{line}\n")
    found = scan(tmp_path)
    assert found.candidates[0].label == "scratch"
    (rejection,) = found.rejected
    assert rejection.path == "labels/1.txt"
    assert rejection.reason.startswith("line 3: ")
    assert why in rejection.reason


def test_reasons_are_counted_when_they_are_too_many(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg")
    put_text(tmp_path / "classes.txt", "dirt")
    put_text(tmp_path / "1.txt", "0 0.5 0.5 0.1 0.1\n" + "bad\n" * 1000)
    rejected = scan(tmp_path).rejected
    assert len(rejected) == 101
    assert rejected[-1].reason == "and 900 more"


def test_the_folders_and_lists_of_a_data_yaml_give_splits(tmp_path: Path) -> None:
    put_text(
        tmp_path / "data.yaml",
        "path: ../somewhere\ntrain: images/shop\nval:\n  - ./images/line\nnames: [dirt]\n",
    )
    put_text(tmp_path / "test.txt", "/home/somebody/set/images/rest/3.jpg\n./gone.jpg\n")
    for name in ("shop/1", "line/2", "rest/3", "rest/4"):
        put_image(tmp_path / f"images/{name}.jpg")
        put_text(tmp_path / f"labels/{name}.txt", "0 0.5 0.5 0.5 0.5")
    splits = {name: candidate.split for name, candidate in by_name(scan(tmp_path)).items()}
    assert splits == {"1": "train", "2": "validation", "3": "test", "4": None}


def test_a_set_that_validates_on_its_training_images_is_told_so(tmp_path: Path) -> None:
    put_text(tmp_path / "data.yaml", "train: images\nval: images\nnames: [dirt]\n")
    put_image(tmp_path / "images/1.jpg")
    put_text(tmp_path / "labels/1.txt", "0 0.5 0.5 0.5 0.5")
    found = scan(tmp_path)
    assert found.candidates[0].split is None
    assert "train and for validation" in reasons(found)["data.yaml"]


# COCO


def put_coco(root: Path, **changes: object) -> Path:
    """One image `1.jpg` with one box of dirt, and changes to the file's members."""
    put_image(root / "1.jpg")
    content = json.loads(coco_json({"1.jpg": (Box("dirt", 1, 2, 5, 6),)}))
    return put_text(root / "all.json", json.dumps({**content, **changes}))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside.jpg", "out of the folder"),
        ("a/../../outside.jpg", "out of the folder"),
        ("..\\outside.jpg", "out of the folder"),
        ("/etc/passwd", "absolute"),
        ("C:\\images\\1.jpg", "absolute"),
        ("gone.jpg", "not there"),
        ("all.json", "not there"),
        ("1.jpg\x00", "not there"),
        ("\ud800.jpg", "not there"),
        ("same.jpg", "could be"),
        ("", "no file_name"),
        (7, "no file_name"),
    ],
)
def test_a_file_name_that_leads_astray_is_refused(name: object, why: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    put_image(tmp_path / "outside.jpg")
    put_image(root / "a/same.jpg")
    put_image(root / "b/same.jpg")
    put_coco(root, images=[{"id": 0, "file_name": name}])
    found = scan(root)
    assert [candidate.label for candidate in found.candidates] == [None, None, None]
    assert why in reasons(found)["all.json"]


def test_an_image_is_never_looked_for_in_another_split(tmp_path: Path) -> None:
    put_image(tmp_path / "train/1.jpg")
    put_text(tmp_path / "valid/all.json", coco_json({"1.jpg": (Box("dirt", 1, 1, 5, 5),)}))
    found = scan(tmp_path)
    assert found.candidates[0].label is None
    assert "not there" in reasons(found)["valid/all.json"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ({"segmentation": [[1, 2, 6, 2, 6, 8]]}, (1, 2, 5, 6)),
        ({"segmentation": [[1, 2, 6, 2, 6, 8], [10, 2, 20, 2, 20, 9]], "bbox": []}, (1, 2, 19, 7)),
        ({"segmentation": [1, 2, 6, 2, 6, 8]}, (1, 2, 5, 6)),
        ({"bbox": [1.5, 2, 5, 6], "segmentation": {"counts": "a"}, "iscrowd": 1}, (1.5, 2, 5, 6)),
    ],
)
def test_polygons_and_crowds_give_boxes(
    annotation: dict, expected: tuple[float, ...], tmp_path: Path
) -> None:
    put_coco(tmp_path, annotations=[{"id": 5, "image_id": 0, "category_id": 1, **annotation}])
    ((box,),) = (candidate.boxes for candidate in scan(tmp_path).candidates)
    assert (box.x, box.y, box.width, box.height) == expected


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        ({"bbox": [1, 2, 3]}, "neither a box nor a polygon"),
        ({"segmentation": {"counts": [1, 2], "size": [4, 4]}}, "neither a box nor a polygon"),
        ({"segmentation": [[1, 2, 3, 4]]}, "three corners"),
        ({"bbox": [1, 2, "3", 4]}, "no number"),
        ({"bbox": [1, 2, 10**400, 4]}, "no number"),
        ({"bbox": [1, float("nan"), 3, 4]}, "finite"),
        ({"bbox": [1, 2, 0, 4]}, "no area"),
        ({"bbox": [1, 2, 3, 4], "category_id": 9}, "no category 9"),
        ({"bbox": [1, 2, 3, 4], "image_id": "x"}, "no image 'x'"),
        ({"bbox": [1, 2, 3, 4], "image_id": [0]}, "no image_id"),
        ({"bbox": [1, 2, 3, 4], "category_id": None}, "no category_id"),
    ],
)
def test_a_bad_annotation_of_coco_is_refused_alone(
    annotation: dict, why: str, tmp_path: Path
) -> None:
    good = {"id": 1, "image_id": 0, "category_id": 2, "bbox": [1, 2, 5, 6]}
    bad = {"id": 2, "image_id": 0, "category_id": 1, **annotation}
    put_coco(tmp_path, annotations=[good, bad, 7])
    found = scan(tmp_path)
    assert found.candidates[0].label == "scratch"
    assert any(why in item.reason for item in found.rejected)
    assert any("no object" in item.reason for item in found.rejected)


def test_two_files_on_the_same_images_are_put_together(tmp_path: Path) -> None:
    put_coco(tmp_path)
    both = (Box("dirt", 1, 2, 5, 6), Box("scratch", 1, 2, 9, 9))
    put_text(tmp_path / "more.json", coco_json({"1.jpg": both}))
    put_text(tmp_path / "captions.json", '{"images": [{"file_name": "1.jpg"}], "annotations": []}')
    found = scan(tmp_path)
    assert found.candidates[0].boxes == both
    assert found.candidates[0].label == "multiple"
    assert found.ignored == ("captions.json",)


def test_an_image_listed_for_two_splits_belongs_to_neither(tmp_path: Path) -> None:
    put_image(tmp_path / "images/1.jpg")
    for split in ("train", "test"):
        put_text(tmp_path / f"{split}.json", coco_json({"1.jpg": (Box("dirt", 1, 1, 5, 5),)}))
    found = scan(tmp_path)
    assert (found.candidates[0].split, found.candidates[0].label) == (None, "dirt")
    assert len(found.rejected) == 1


@pytest.mark.parametrize("cut", [0.6, 0.8, 0.999])
def test_a_damaged_file_stops_the_import_for_half_its_boxes_would_give_wrong_labels(
    cut: float, tmp_path: Path
) -> None:
    path = put_coco(tmp_path)
    text = path.read_text()
    path.write_text(text[: int(len(text) * cut)])
    with pytest.raises(OperatorError, match="Export them again"):
        scan(tmp_path, format="coco")


def test_a_deeply_nested_file_is_refused(tmp_path: Path) -> None:
    path = put_coco(tmp_path)
    path.write_text(path.read_text()[:-1] + ', "x": ' + "[" * 200_000 + "}")
    with pytest.raises(OperatorError, match="cannot be read"):
        scan(tmp_path)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=5),
    indent=st.none() | st.just(2),
    chunk=st.integers(1, 40),
)
def test_json_read_an_item_at_a_time_is_what_it_is_read_at_once(
    members: dict, indent: int | None, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("json") / "x.json"
    path.write_text(json.dumps(members, indent=indent))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("core.images.formats.json_items._CHUNK_CHARS", chunk)
        read = list(iter_json_items(path))
    lists = {key: value for key, value in members.items() if isinstance(value, list)}
    assert read == [(key, item) for key, items in lists.items() for item in items]


# Telling the formats apart


def test_a_set_with_boxes_in_two_formats_is_read_by_the_one_that_names_its_classes(
    tmp_path: Path,
) -> None:
    export_yolo(tmp_path)
    export_voc(tmp_path)
    assert detect_format(tmp_path) == "voc"
    assert detect_format(tmp_path) == scan(tmp_path).format
    assert scan(tmp_path, format="yolo").format == "yolo"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a/1.xml", "<metadata><annotations/></metadata>"),
        ("a/1.txt", "taken on line 3"),
        ("a/1.txt", "1 2 3"),
        ("a/1.json", '{"exposure": 3, "images": [1]}'),
        ("a/1.json", '[{"image_id": 1, "category_id": 2, "file_name": 3, "bbox": []}]'),
        ("data.yaml", "names: [a]"),
    ],
)
def test_other_sidecars_are_no_annotations(name: str, content: str, tmp_path: Path) -> None:
    put_image(tmp_path / "a/1.jpg")
    put_text(tmp_path / name, content)
    found = scan(tmp_path)
    assert (found.format, found.candidates[0].label, found.ignored) == ("folder", "a", (name,))


@pytest.mark.parametrize("format", ["roboflow", "coco", "voc", "yolo"])
def test_a_folder_that_is_none_of_a_format_says_so(format: str, tmp_path: Path) -> None:
    put_image(tmp_path / "a/1.jpg")
    with pytest.raises(OperatorError, match=f"cannot be imported as {format}"):
        scan(tmp_path, format=format)
    with pytest.raises(OperatorError, match=f"cannot be imported as {format}"):
        scan(tmp_path / "a/1.jpg", format=format)


def test_annotations_behind_links_out_of_the_folder_and_pipes_are_never_opened(
    tmp_path: Path,
) -> None:
    root = tmp_path / "set"
    export_voc(root)
    secret = put_text(tmp_path / "secret.xml", voc_xml((Box("secret", 1, 1, 5, 5),)))
    put_image(root / "train/images/linked.jpg")
    (root / "train/annotations/linked.xml").symlink_to(secret)
    os.mkfifo(root / "train/annotations/pipe.xml")
    found = scan(root)
    assert by_name(found)["linked"].label is None
    assert "outside" in reasons(found)["train/annotations/linked.xml"]
    assert "train/annotations/pipe.xml" in found.ignored


# Sizes from headers


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_the_header_gives_the_size_that_reading_gives(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = put_image(tmp_path / f"1{suffix}", (30, 20), exif=exif)
    assert image_size(path) == read_image(path, max_pixels=1000).size


# What comes before a PNG file's first chunk, that chunk, and the pixels' first bytes.
PNG_HEADER = (slice(12), slice(12, 29), slice(33, 60))


def test_a_size_needs_no_pixels(tmp_path: Path) -> None:
    path = put_image(tmp_path / "1.png", (30, 20))
    start, header, end = (path.read_bytes()[part] for part in PNG_HEADER)
    header = header[:4] + struct.pack(">II", 20_000, 15_000) + header[12:]
    path.write_bytes(start + header + struct.pack(">I", zlib.crc32(header)) + end)
    assert image_size(path) == (20_000, 15_000)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_what_has_no_size_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageRejected):
        image_size(put_text(tmp_path / "1.jpg", content))


def test_boxes_lie_on_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    put_image(tmp_path / "1.jpg", (WIDTH, HEIGHT), exif=exif)
    put_text(tmp_path / "classes.txt", "dirt")
    put_text(tmp_path / "1.txt", "0 0.5 0.5 1 1")
    assert scan(tmp_path).candidates[0].boxes == (Box("dirt", 0, 0, HEIGHT, WIDTH),)


# Crops


def painted(box: Box, size: tuple[int, int] = (200, 100)) -> Image.Image:
    """White, with the box in black."""
    image = Image.new("RGB", size, "white")
    corners = (box.x, box.y, box.x + box.width, box.y + box.height)
    image.paste("black", tuple(map(int, corners)))
    return image


def cut(image: Image.Image, box: Box, margin: float) -> tuple[Image.Image, Crop, Box]:
    return crop_box(image, box, margin=margin, source="panel.jpg", source_sha256="ab")


def test_a_crop_has_its_box_in_the_middle_of_its_margin() -> None:
    box = Box("dirt", 80, 40, 40, 20)
    crop, place, inside = cut(painted(box), box, 0.25)
    assert crop.size == (60, 40)
    assert crop.getpixel((10, 10)) == crop.getpixel((49, 29)) == (0, 0, 0)
    assert crop.getpixel((9, 10)) == crop.getpixel((50, 29)) == (255, 255, 255)
    assert place == Crop("panel.jpg", "ab", 70, 30, 60, 40)
    assert inside == Box("dirt", 10, 10, 40, 20)


def test_a_speck_gets_the_least_margin() -> None:
    box = Box("dirt", 80, 40, 1, 1)
    side = 2 * MIN_MARGIN_PX + 1
    assert cut(painted(box), box, 0.25)[0].size == (side, side)


def test_a_crop_ends_where_its_image_ends() -> None:
    box = Box("dirt", 0, 90, 40, 10)
    crop, place, inside = cut(painted(box), box, 0.5)
    assert crop.size == (60, 30)
    assert crop.getpixel((0, 29)) == (0, 0, 0)
    assert (place.x, place.y, inside.x, inside.y) == (0, 70, 0, 20)


def test_parts_of_pixels_belong_to_the_crop() -> None:
    box = Box("dirt", 80.25, 40.25, 40.5, 20.5)
    crop, _, inside = cut(painted(box), box, 0.25)
    assert crop.size == (61, 41)
    assert (inside.x, inside.width) == (10.25, 40.5)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_is_a_share(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        cut(painted(Box("dirt", 0, 0, 9, 9)), Box("dirt", 0, 0, 9, 9), margin)


def test_a_box_outside_its_image_gives_no_crop() -> None:
    with pytest.raises(ValueError, match="outside"):
        cut(Image.new("RGB", (10, 10)), Box("dirt", 20, 0, 5, 5), 0.1)


# Real images


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is not set")
def test_neu_det_has_1800_images_of_which_123_show_several_classes() -> None:
    found = scan(Path(os.environ["LACQUER_TEST_DATA"]) / "neu-det")
    assert found.format == "voc"
    assert len(found.candidates) == 1800
    assert (found.rejected, found.ignored) == ((), ())
    # By its files' names each class has 300 images; by its boxes some show a second one.
    named = Counter(candidate.path.stem.rpartition("_")[0] for candidate in found.candidates)
    assert set(named.values()) == {300}
    assert len(named) == 6
    assert Counter(candidate.label for candidate in found.candidates) == {
        "crazing": 295,
        "inclusion": 300,
        "patches": 271,
        "pitted_surface": 261,
        "rolled-in_scale": 300,
        "scratches": 250,
        "multiple": 123,
    }
    assert Counter(candidate.split for candidate in found.candidates) == {
        "train": 1770,
        "validation": 30,
    }
    assert sum(len(candidate.boxes) for candidate in found.candidates) == 4186


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is not set")
@pytest.mark.parametrize("name", ["x-sdd", "vehicle-damage"])
def test_sets_in_class_folders_are_still_folders(name: str) -> None:
    assert detect_format(Path(os.environ["LACQUER_TEST_DATA"]) / name) == "folder"
