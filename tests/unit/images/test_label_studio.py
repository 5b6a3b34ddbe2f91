"""Label Studio: its annotations become labels, boxes and decisions; what is hostile, reasons."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotations import Box, Decision
from core.errors import OperatorError
from core.images.formats.bookkeeping import ExportedImage
from core.images.formats.importers import detect_format, scan
from core.images.formats.label_studio_export import open_label_studio
from core.images.formats.scanning import Candidate, Scan

WIDTH, HEIGHT = 200, 100


def put_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def choice(*labels: str, tag: str = "choice") -> dict[str, Any]:
    value = {"choices": list(labels)}
    return {"from_name": tag, "to_name": "image", "type": "choices", "value": value}


def region(label: str, **place: Any) -> dict[str, Any]:
    value = {"rotation": 0, **place, "rectanglelabels": [label]}
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"from_name": "tag", "type": "rectanglelabels", "value": value, **size}


def annotation(*result: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 1001,
        "completed_by": 5,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-01-01T10:00:00.123456Z",
        "updated_at": "2026-01-01T10:00:00.123456Z",
        "import_id": None,
        "result": list(result),
        **more,
    }


def by(name: str, label: str, at: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    when = f"{at}T10:00:00Z"
    who = {"id": 1, "email": f"{name}@example.com"}
    return annotation(choice(label), completed_by=who, created_at=when, updated_at=when, **more)


def prediction(label: str, **more: Any) -> dict[str, Any]:
    return {"model_version": "resnet50-v3", "score": 0.75, "result": [choice(label)], **more}


def task(*annotations: dict[str, Any], image: str = "7.jpg", **more: Any) -> dict[str, Any]:
    said = {"id": 1, "annotations": list(annotations), "predictions": [], "project": 1}
    return {**said, "data": {"image": image}, **more}


def scan_tasks(root: Path, *tasks: Any, name: str = "project-1.json") -> Scan:
    if not list(root.rglob("7.*")):
        put_image(root / "7.jpg")
    (root / name).write_text(json.dumps(list(tasks)), encoding="utf-8")
    return scan(root)


def only(found: Scan) -> Candidate:
    (candidate,) = found.candidates
    return candidate


def reasons(found: Scan) -> list[str]:
    return [rejection.reason for rejection in found.rejected]


# What is read


def test_a_choice_is_the_label_and_its_annotator_the_one_who_decided(tmp_path: Path) -> None:
    found = scan_tasks(tmp_path, task(annotation(choice("scratch"))))
    assert found.format == "label-studio"
    image = only(found)
    assert (image.label, image.label_origin) == ("scratch", "human")
    who, when = "Label Studio user 5", "2026-01-01T10:00:00.123Z"
    assert image.decisions == (Decision("scratch", "human", who, when),)


@pytest.mark.parametrize(
    ("completed_by", "actor"),
    [
        ({"id": 5, "email": "anna@example.com", "first_name": "A"}, "anna@example.com"),
        ({"id": 5}, "Label Studio user 5"),
        (5, "Label Studio user 5"),
        ("5", "Label Studio user 5"),
        ("anna@example.com", "anna@example.com"),
        (None, "Label Studio"),
        ({"email": "<b>\x00x</b>"}, "<b>x</b>"),
        ([1], "Label Studio"),
    ],
)
def test_annotators_are_called_what_the_export_calls_them(
    completed_by: Any, actor: str, tmp_path: Path
) -> None:
    said = annotation(choice("dirt"), completed_by=completed_by)
    assert only(scan_tasks(tmp_path, task(said))).decisions[0].actor == actor


def test_rectangles_are_boxes_in_pixels_and_give_the_label(tmp_path: Path) -> None:
    drawn = annotation(
        region("scratch", x=10, y=20, width=25, height=50),
        region("scratch", x=0, y=0, width=1, height=1),
    )
    image = only(scan_tasks(tmp_path, task(drawn)))
    assert image.label == "scratch"
    assert image.boxes == (Box("scratch", 20, 20, 50, 50), Box("scratch", 0, 0, 2, 1))


def test_several_choices_or_classes_are_multiple(tmp_path: Path) -> None:
    put_image(tmp_path / "7.jpg")
    put_image(tmp_path / "8.jpg")
    place = {"x": 10, "y": 10, "width": 10, "height": 10}
    found = scan_tasks(
        tmp_path,
        task(annotation(choice("dirt", "drop"))),
        task(annotation(region("dirt", **place), region("drop", **place)), image="8.jpg"),
    )
    assert [image.label for image in found.candidates] == ["multiple", "multiple"]


@pytest.mark.parametrize(
    ("kind", "value", "box"),
    [
        (
            "rectanglelabels",
            {"x": 50, "y": 20, "width": 10, "height": 30, "rotation": 90},
            Box("dirt", 70, 20, 30, 20),
        ),
        (
            "polygonlabels",
            {"points": [[10, 10], [30, 20], [20, 60]]},
            Box("dirt", 20, 10, 40, 50),
        ),
        (
            "ellipselabels",
            {"x": 50, "y": 50, "radiusX": 5, "radiusY": 10, "rotation": 0},
            Box("dirt", 90, 40, 20, 20),
        ),
        ("labels", {"x": 0, "y": 0, "width": 50, "height": 50}, Box("dirt", 0, 0, 100, 50)),
        (
            "rectanglelabels",
            {"x": 90, "y": 0, "width": 50, "height": 50},
            Box("dirt", 180, 0, 20, 50),
        ),
    ],
)
def test_of_every_region_the_bounding_rectangle_is_taken(
    kind: str, value: dict[str, Any], box: Box, tmp_path: Path
) -> None:
    drawn = annotation({"type": kind, "value": {**value, kind: ["dirt"]}})
    (found,) = only(scan_tasks(tmp_path, task(drawn))).boxes
    assert (found.x, found.y) == pytest.approx((box.x, box.y))
    assert (found.width, found.height) == pytest.approx((box.width, box.height))


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"type": "brushlabels", "value": {"rle": [1], "brushlabels": ["dirt"]}}, "neither"),
        ({**region("dirt", x=1, y=1, width=9, height=9), "image_rotation": 90}, "turned"),
        (region("dirt", x="1", y=1, width=9, height=9), "no share"),
        (region("dirt", x=1, y=1, width=0, height=9), "no area"),
        (region("dirt", x=300, y=1, width=9, height=9), "outside"),
        ({"type": "polygonlabels", "value": {"points": [1], "polygonlabels": ["dirt"]}}, "corner"),
    ],
)
def test_a_region_without_a_rectangle_keeps_its_class_and_says_why(
    item: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    found = scan_tasks(tmp_path, task(annotation(item)))
    assert (only(found).label, only(found).boxes) == ("dirt", ())
    assert reason in reasons(found)[0]


def test_skipped_annotations_and_empty_ones_say_nothing(tmp_path: Path) -> None:
    found = scan_tasks(
        tmp_path, task(annotation(choice("dirt"), was_cancelled=True), annotation(), image="7.jpg")
    )
    assert (only(found).label, only(found).decisions) == (None, ())


def test_the_rest_of_the_data_is_attributes_and_the_split(tmp_path: Path) -> None:
    data = {"image": "7.jpg", "split": "val", "line": "007", "gloss": 3.5, "label": "x", "more": {}}
    image = only(scan_tasks(tmp_path, task(data=data)))
    assert image.split == "validation"
    assert image.attributes == {"line": "007", "gloss": 3.5, "label (2)": "x"}


# Several annotators


def test_annotators_who_agree_in_the_end_give_the_label(tmp_path: Path) -> None:
    image = only(
        scan_tasks(
            tmp_path,
            task(
                by("ben", "scratch", "2026-01-03"),
                by("anna", "drop", "2026-01-01"),
                by("anna", "scratch", "2026-01-02"),
            ),
        )
    )
    assert (image.label, image.label_origin, image.queued) == ("scratch", "human", "")
    assert [(said.actor[:3], said.label) for said in image.decisions] == [
        ("ann", "drop"),
        ("ann", "scratch"),
        ("ben", "scratch"),
    ]


def test_annotators_who_differ_leave_the_image_to_an_operator(tmp_path: Path) -> None:
    said = task(by("anna", "scratch"), by("ben", "drop", "2026-01-02"))
    image = only(scan_tasks(tmp_path, said))
    assert image.label is None
    assert image.queued == (
        "annotators disagree: anna@example.com says scratch, ben@example.com says drop"
    )
    assert [decision.label for decision in image.decisions] == ["scratch", "drop", None]


def test_ground_truth_decides_whenever_it_was_said(tmp_path: Path) -> None:
    said = task(by("anna", "scratch", ground_truth=True), by("ben", "drop", "2026-01-02"))
    image = only(scan_tasks(tmp_path, said))
    assert (image.label, image.queued) == ("scratch", "")
    assert [decision.label for decision in image.decisions] == ["drop", "scratch"]


def test_a_prediction_gives_the_label_only_where_nobody_decided(tmp_path: Path) -> None:
    put_image(tmp_path / "7.jpg")
    put_image(tmp_path / "8.jpg")
    alone, beside = scan_tasks(
        tmp_path,
        task(predictions=[prediction("dirt")]),
        task(by("anna", "drop"), predictions=[prediction("dirt", score=7)], image="8.jpg"),
    ).candidates
    assert alone.decisions == (Decision("dirt", "automatic", "resnet50-v3", "", 0.75),)
    assert (alone.label, alone.label_origin) == ("dirt", "automatic")
    assert (beside.label, beside.label_origin) == ("drop", "human")
    assert [said.score for said in beside.decisions] == [None, None]


def test_boxes_are_those_of_the_annotation_that_counts(tmp_path: Path) -> None:
    mine = region("drop", x=0, y=0, width=10, height=10)
    other = region("dirt", x=50, y=50, width=10, height=10)
    truth = annotation(mine, ground_truth=True, completed_by=1)
    image = only(scan_tasks(tmp_path, task(truth, annotation(other, completed_by=2))))
    assert (image.label, image.boxes) == ("drop", (Box("drop", 0, 0, 20, 10),))


# Where images are found


@pytest.mark.parametrize(
    ("reference", "file"),
    [
        ("images/7.jpg", "images/7.jpg"),
        ("7.jpg", "images/7.jpg"),
        ("/data/upload/1/0a1b2c3d-7.jpg", "images/7.jpg"),
        ("/data/upload/1/0a1b2c3d-7.jpg", "images/0a1b2c3d-7.jpg"),
        ("/data/upload/1/0a1b2c3d-sp%C3%A4t 7.jpg", "spät 7.jpg"),
        ("/data/local-files/?d=line%2Fimages/7.jpg", "images/7.jpg"),
        ("/data/local-files/?d=a+b/7.jpg", "a b/7.jpg"),
        ("http://localhost:8080/data/upload/1/0a1b2c3d-7.jpg", "7.jpg"),
        ("C:\\photos\\line\\7.jpg", "line/7.jpg"),
        ("/home/anna/line/7.jpg", "7.jpg"),
        ("a#b?c/7.jpg", "a#b?c/7.jpg"),
    ],
)
def test_an_image_is_found_by_what_its_task_says(reference: str, file: str, tmp_path: Path) -> None:
    put_image(tmp_path / file)
    image = only(scan_tasks(tmp_path, task(annotation(choice("dirt")), image=reference)))
    assert (image.relative, image.label) == (file, "dirt")


def test_the_uploads_name_finds_what_the_data_does_not(tmp_path: Path) -> None:
    put_image(tmp_path / "0a1b2c3d-7.jpg")
    said = task(annotation(choice("dirt")), image="elsewhere.jpg", file_upload="0a1b2c3d-7.jpg")
    assert only(scan_tasks(tmp_path, said)).label == "dirt"


def test_the_first_data_key_that_names_an_image_is_taken(tmp_path: Path) -> None:
    data = {"caption": "a red car", "photo": "7.jpg", "thumb": "8.jpg"}
    image = only(scan_tasks(tmp_path, task(data=data)))
    assert (image.relative, image.attributes) == (
        "7.jpg",
        {"caption": "a red car", "thumb": "8.jpg"},
    )


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("https://example.com/7.jpg", "nothing is fetched"),
        ("s3://bucket/7.jpg", "nothing is fetched"),
        ("gone.jpg", "not there"),
        ("../../etc/passwd.jpg", "not there"),
        ("/data/local-files/?d=../../secret.jpg", "not there"),
        ("http://[bad/7.jpg", "Invalid"),
        ("", "names no image"),
        (["7.jpg", "8.jpg"], "several images"),
        (7, "names no image"),
    ],
)
def test_an_image_that_is_not_here_is_refused_with_its_reason(
    image: Any, reason: str, tmp_path: Path
) -> None:
    put_image(tmp_path / "set" / "7.jpg")
    put_image(tmp_path / "secret.jpg")
    found = scan_tasks(tmp_path / "set", task(data={"image": image}), task())
    assert [each.relative for each in found.candidates] == ["7.jpg"]
    assert len(found.rejected) == 1
    assert found.rejected[0].reason.startswith("task 1: ")
    assert reason in found.rejected[0].reason


def test_a_name_that_could_be_two_files_is_refused(tmp_path: Path) -> None:
    put_image(tmp_path / "a" / "7.jpg")
    put_image(tmp_path / "b" / "7.jpg")
    assert "it could be" in reasons(scan_tasks(tmp_path, task()))[0]


# JSON-MIN


def record(number: int = 1, image: str = "/data/upload/1/0a1b2c3d-7.jpg", **outputs: Any) -> dict:
    return {
        "image": image,
        "line": "007",
        "id": number,
        **outputs,
        "annotator": 1,
        "annotation_id": number,
        "created_at": "2026-01-01T10:00:00Z",
        "updated_at": "2026-01-01T10:00:00Z",
        "lead_time": 4.2,
    }


@pytest.mark.parametrize(
    ("outputs", "label"),
    [
        ({"choice": "dirt"}, "dirt"),
        ({"choice": {"choices": ["dirt", "drop"]}}, "multiple"),
        ({"defect class": "dirt", "remark": "looks odd"}, "dirt"),
        ({}, None),
    ],
)
def test_records_of_json_min_are_read(
    outputs: dict[str, Any], label: str | None, tmp_path: Path
) -> None:
    image = only(scan_tasks(tmp_path, record(**outputs)))
    assert (image.label, image.attributes) == (label, {"line": "007"})


def test_records_of_several_annotators_are_one_image(tmp_path: Path) -> None:
    drawn = [
        {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["dirt"]}
    ]
    second = {**record(2, label=drawn), "annotator": "ben@example.com"}
    image = only(scan_tasks(tmp_path, record(choice="dirt"), second))
    assert [said.actor for said in image.decisions] == ["Label Studio user 1", "ben@example.com"]
    assert (image.label, image.boxes) == ("dirt", (Box("dirt", 0, 0, 100, 50),))


# Which files are read


def test_the_file_alone_can_be_given(tmp_path: Path) -> None:
    put_image(tmp_path / "other.jpg")
    scan_tasks(tmp_path, task(annotation(choice("dirt"))), name="a.json")
    found = scan(tmp_path / "a.json")
    assert only(found).label == "dirt"
    assert found.ignored == ("other.jpg",)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[1, 2]",
        '[{"id": 1, "file_name": "7.jpg"}]',
        '{"data": {}, "annotations": []}',
        '{"images": [], "annotations": [], "categories": []}',
        "[{",
        "",
    ],
)
def test_other_json_is_not_taken_for_label_studios(text: str, tmp_path: Path) -> None:
    put_image(tmp_path / "dirt" / "7.jpg")
    (tmp_path / "some.json").write_text(text)
    assert detect_format(tmp_path) in {"folder", "coco"}


def test_two_exports_in_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    scan_tasks(tmp_path, task(), name="a.json")
    scan_tasks(tmp_path, task(), name="b.json")
    assert detect_format(tmp_path) == "folder"
    assert only(scan(tmp_path / "b.json")).relative == "7.jpg"


def test_a_damaged_file_is_refused_whole(tmp_path: Path) -> None:
    put_image(tmp_path / "7.jpg")
    (tmp_path / "a.json").write_text(json.dumps([task(), task()])[:-10])
    with pytest.raises(OperatorError, match="cannot be read"):
        scan(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["value", "type", "result", "choices", "rectanglelabels", "x", "y", "width"]
                + ["height", "completed_by", "score", "points", "import_id", "updated_at"]
                + ["lacquer", "decisions", "boxes", "attributes", "crop", "excluded", "label"]
            ),
            inner | st.sampled_from(["choices", "rectanglelabels", "dirt"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(said=st.lists(JSON, max_size=3), guessed=st.lists(JSON, max_size=3), meta=JSON)
def test_any_task_is_scanned_without_an_error(
    said: list[Any], guessed: list[Any], meta: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("set")
    bent = task(image="7.jpg", annotations=said, predictions=guessed, meta={"lacquer": meta})
    found = scan_tasks(root, task(by("anna", "dirt")), bent)
    image = only(found)
    if image.decisions:
        last = image.decisions[-1]
        assert (image.label, image.label_origin) == (last.label, last.origin)


# There and back


def exported(root: Path, *images: Candidate) -> list[dict[str, Any]]:
    """Export images of 200 x 100 pixels, `images/7.jpg` being the first; the tasks."""
    (root / "images").mkdir(parents=True)
    with open_label_studio(root, ["scratch", "drop", "dirt"], {}) as writer:
        for image in images:
            put_image(root / image.relative)
            writer.add(ExportedImage(image, "0" * 64, WIDTH, HEIGHT))
    return json.loads((root / "label_studio.json").read_text(encoding="utf-8"))


def decided(*decisions: Decision, boxes: tuple[Box, ...] = ()) -> Candidate:
    last = decisions[-1]
    return Candidate(
        Path("7.jpg"),
        "images/7.jpg",
        label=last.label,
        label_origin=last.origin,
        decisions=decisions,
        boxes=boxes,
        name="7.jpg",
    )


ANNA = Decision("drop", "human", "anna@example.com", "2026-01-01T10:00:00.000Z")
MODEL = Decision("dirt", "automatic", "resnet50", "2026-01-01T09:00:00.000Z", 0.5)


def as_label_studio_gives_it_back(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers of its own, times of its own, the importer as annotator; ours as `import_id`."""
    for said in tasks:
        for number, each in enumerate(said["annotations"], start=40):
            each |= {"import_id": each["id"], "id": number, "completed_by": 1, "task": said["id"]}
            each |= {"created_at": "2027-01-01T00:00:00Z", "updated_at": "2027-01-01T00:00:00Z"}
    return tasks


def test_what_comes_back_from_label_studio_untouched_changes_nothing(tmp_path: Path) -> None:
    image = decided(MODEL, ANNA, boxes=(Box("scratch", 1 / 3, 0.1, 20.7, 3),))
    tasks = as_label_studio_gives_it_back(exported(tmp_path, image))
    found = only(scan_tasks(tmp_path, *tasks, name="label_studio.json"))
    assert found == Candidate(**{**_fields(image), "path": found.path})


def test_what_was_annotated_there_is_added_to_the_history(tmp_path: Path) -> None:
    tasks = as_label_studio_gives_it_back(exported(tmp_path, decided(MODEL, ANNA)))
    tasks[0]["annotations"].append(by("ben", "scratch", "2027-02-01"))
    found = only(scan_tasks(tmp_path, *tasks, name="label_studio.json"))
    assert found.decisions[:2] == (MODEL, ANNA)
    assert [(said.actor, said.label) for said in found.decisions[2:]] == [
        ("ben@example.com", "scratch")
    ]
    assert (found.label, found.name) == ("scratch", "7.jpg")


def test_a_prediction_made_there_does_not_overrule_a_person(tmp_path: Path) -> None:
    withdrawn = Decision(None, "human", "Ben", "2026-01-02T10:00:00.000Z")
    image = decided(MODEL, withdrawn)
    tasks = as_label_studio_gives_it_back(exported(tmp_path, image))
    tasks[0]["predictions"].append(prediction("scratch", model_version="newer"))
    found = only(scan_tasks(tmp_path, *tasks, name="label_studio.json"))
    assert (found.label, found.decisions) == (None, (MODEL, withdrawn))


def test_an_annotation_that_was_changed_there_is_a_new_decision(tmp_path: Path) -> None:
    image = decided(ANNA, boxes=(Box("drop", 0, 0, 20, 10),))
    tasks = as_label_studio_gives_it_back(exported(tmp_path, image))
    tasks[0]["annotations"][0]["result"][1]["value"]["width"] = 50
    found = only(scan_tasks(tmp_path, *tasks, name="label_studio.json"))
    assert found.boxes == (Box("drop", 0, 0, 100, 10),)
    assert len(found.decisions) == 2


def test_other_readers_get_the_standing_label_without_the_bookkeeping(tmp_path: Path) -> None:
    ben = Decision("scratch", "human", "Ben", "2026-01-02T10:00:00.000Z")
    tasks = exported(tmp_path, decided(MODEL, ANNA, ben, boxes=(Box("drop", 0, 0, 20, 10),)))
    for said in tasks:
        del said["meta"]
    found = only(scan_tasks(tmp_path, *tasks, name="label_studio.json"))
    assert (found.label, found.label_origin) == ("scratch", "human")
    assert found.decisions == (MODEL, ANNA, ben)
    assert found.boxes == (Box("drop", 0, 0, 20, 10),)


def test_a_label_that_was_taken_away_is_no_annotation(tmp_path: Path) -> None:
    withdrawn = Decision(None, "human", "Ben", "2026-01-02T10:00:00.000Z")
    (said,) = exported(tmp_path, decided(ANNA, withdrawn))
    assert said["annotations"] == []


def _fields(image: Candidate) -> dict[str, Any]:
    return {name: getattr(image, name) for name in Candidate.__dataclass_fields__}
