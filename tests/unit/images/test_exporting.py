"""Exporting: whatever is known of an image, each format's importer finds it again."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.annotations import Box, Crop, Decision
from core.errors import OperatorError
from core.images.formats.bookkeeping import ExportedImage, bookkeeping, with_bookkeeping
from core.images.formats.class_list import read_classes, write_classes
from core.images.formats.csv_cells import guarded, unguarded
from core.images.formats.exporters import EXPORT_FORMATS, place_of
from core.images.formats.importers import FORMATS, detect_format, scan
from core.images.formats.scanning import Candidate, Scan
from core.vocabulary import SPLITS, clean_label

WIDTH, HEIGHT = 40, 30
SHA256 = "a" * 64


def put_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(path)
    return path


def export(root: Path, format: str, *images: Candidate, classes: tuple[str, ...] = ()) -> Scan:
    """Write images out and scan what was written; nothing may be refused."""
    root.mkdir(parents=True, exist_ok=True)
    values = [each for image in images for each in image.attributes.items()]
    attributes = {name: "number" for name, _ in values}
    attributes |= {name: "text" for name, value in values if isinstance(value, str)}
    with EXPORT_FORMATS[format].open(root, classes, attributes) as writer:
        for image in images:
            put_image(root / image.relative)
            writer.add(ExportedImage(image, SHA256, WIDTH, HEIGHT))
    found = scan(root)
    assert found.format == ("csv" if format == "folder" else format)
    assert found.rejected == ()
    return found


# Whatever is known of an image

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
QUIRKS = st.sampled_from(
    [
        "",
        " ",
        "007",
        "1.0",
        "1e5",
        "-3",
        "=1+1",
        "+x",
        "@x",
        "'",
        "''",
        "true",
        "null",
        "NaN",
        "None",
    ]
    + [
        '"',
        ",",
        ";",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "./a",
        "漢字",
        "🙂",
        "[1]",
        "{}",
        "\ufeff",
        "\u2028",
    ]
)
NUMBERS = st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))


def _as_label(text: str) -> str | None:
    try:
        once = clean_label(text)
        return once if once is None else clean_label(once)
    except ValueError:
        return None


WORDS = TEXTS | QUIRKS
LABELS = WORDS.map(_as_label).filter(lambda label: label is not None)
TIMES = st.sampled_from(["", "2026-01-01T10:00:00.000Z", "1999-12-31T23:59:59.999Z"])
SCORES = st.none() | st.floats(0, 1)
DECISIONS = st.lists(
    st.builds(Decision, LABELS | st.none(), st.just("human"), WORDS.filter(bool), TIMES)
    | st.builds(Decision, LABELS, st.just("automatic"), WORDS.filter(bool), TIMES, SCORES),
    max_size=4,
).map(tuple)
BOXES = st.lists(
    st.builds(
        Box,
        LABELS,
        st.floats(0, WIDTH - 6),
        st.floats(0, HEIGHT - 6),
        st.floats(0.6, 5),
        st.floats(0.6, 5),
    ),
    max_size=4,
    unique_by=lambda box: (round(box.x, 3), round(box.y, 3)),
).map(tuple)


@st.composite
def images(draw: st.DrawFn) -> Candidate:
    decisions = draw(DECISIONS)
    label = decisions[-1].label if decisions else draw(LABELS | st.none())
    origin = decisions[-1].origin if decisions else "imported"
    return Candidate(
        Path("here.png"),
        "images/000001-a.png",
        label=label,
        label_origin=origin,
        split=draw(st.sampled_from([*SPLITS, None])),
        attributes=draw(st.dictionaries(WORDS.filter(bool), WORDS | NUMBERS, max_size=5)),
        boxes=draw(BOXES),
        name=draw(WORDS.filter(bool)),
        decisions=decisions,
        excluded=draw(st.booleans()),
        queued=draw(WORDS),
        group=draw(WORDS.filter(bool) | st.none()),
        crop=draw(st.none() | st.builds(Crop, WORDS, st.just(SHA256), *[st.integers(1, 99)] * 4)),
    )


@pytest.mark.parametrize("format", EXPORT_FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=images(), second=images())
def test_what_is_known_of_an_image_is_found_again(
    format: str, first: Candidate, second: Candidate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("out")
    written = [first, replace(second, relative="images/000002-b.png")]
    found = export(root, format, *written)
    read = sorted(found.candidates, key=lambda candidate: candidate.relative)
    for one, other in zip(read, written, strict=True):
        assert one == replace(other, path=one.path)


def test_the_words_of_a_folder_export_are_its_folders(tmp_path: Path) -> None:
    format = EXPORT_FORMATS["folder"]
    place = place_of(format, number=7, name="line/a.png", label="oil spot", split="train")
    assert place == "train/oil spot/000007-a.png"
    assert place_of(format, number=7, name="a.png", label=None, split=None) == "000007-a.png"
    flat = place_of(EXPORT_FORMATS["csv"], number=7, name="a.png", label="dirt", split="test")
    assert flat == "images/000007-a.png"


@given(name=WORDS, label=LABELS)
@example(name="..", label="漢" * 80)
@example(name="a/../..\\b", label="CON:")
def test_every_place_lies_in_the_export_and_can_be_made(name: str, label: str) -> None:
    for format in EXPORT_FORMATS.values():
        place = place_of(format, number=1, name=name, label=label, split="train")
        parts = place.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert max(len(part.encode()) for part in parts) <= 255
        assert not any(part.startswith(".") for part in parts)


# Tables


@given(text=WORDS)
def test_no_text_begins_like_a_formula_and_each_comes_back(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        float(cell)


def test_a_table_of_ones_own_is_not_unguarded(tmp_path: Path) -> None:
    put_image(tmp_path / "1.png")
    (tmp_path / "own.csv").write_text("path,note\n1.png,'=1\n")
    assert scan(tmp_path).candidates[0].attributes == {"note": "'=1"}


def test_columns_of_bookkeeping_are_no_attributes(tmp_path: Path) -> None:
    put_image(tmp_path / "1.png")
    (tmp_path / "own.csv").write_text("path,lacquer:future,line\n1.png,x,A\n")
    assert scan(tmp_path).candidates[0].attributes == {"line": "A"}


BAD = {
    "excluded": "perhaps",
    "label_origin": "a bird",
    "decisions": '[{"label": "dirt", "origin": "human", "actor": 7}]',
    "boxes": '[["dirt", 1, 2, 3, NaN]]',
    "crop": '{"source": "a.png", "source_sha256": "b", "x": 0, "y": 0, "width": 1, "height": 1}',
    "attributes": '{"a": [1]}',
    "name": "x" * 5000,
    "group": "\ud800",
}


@pytest.mark.parametrize("key", BAD)
def test_damaged_bookkeeping_costs_itself_alone_and_is_named(key: str, tmp_path: Path) -> None:
    shown = Candidate(put_image(tmp_path / "1.png"), "1.png", label="dirt")
    said = {"queued": "look again", key: BAD[key]}
    taken, reasons = with_bookkeeping(shown, said)
    assert taken == replace(shown, queued="look again")
    assert len(reasons) == 1
    assert key in reasons[0]


@pytest.mark.parametrize(
    "decisions",
    [
        "[" * 100_000,
        '[{"label": "a/b", "origin": "human", "actor": "x"}]',
        '[{"label": "a", "origin": "human", "actor": "x", "at": "yesterday"}]',
        '[{"label": "a", "origin": "human", "actor": "x", "at": "0001-01-01T00:00:00+14:00"}]',
        '[{"label": "a", "origin": "automatic", "actor": "x", "score": 2}]',
        '[{"label": "a", "origin": "automatic", "actor": "x", "score": 1e999}]',
        f"[{'{},' * 10_000}{{}}]",
        "[7]",
        "{}",
    ],
)
def test_decisions_that_cannot_be_are_left_out(decisions: str, tmp_path: Path) -> None:
    shown = Candidate(put_image(tmp_path / "1.png"), "1.png", label="a")
    taken, reasons = with_bookkeeping(shown, {"decisions": decisions, "label_origin": "human"})
    assert taken == shown
    assert len(reasons) == 1


def test_boxes_are_clipped_to_the_image_that_is_there(tmp_path: Path) -> None:
    shown = Candidate(put_image(tmp_path / "1.png"), "1.png")
    said = {"boxes": [["dirt", 30, 20, 100, 100], ["dirt", 90, 90, 5, 5]]}
    taken, reasons = with_bookkeeping(shown, said)
    assert taken.boxes == (Box("dirt", 30, 20, 10, 10),)
    assert "outside" in reasons[0]


def test_the_history_of_another_label_is_left_out(tmp_path: Path) -> None:
    shown = Candidate(put_image(tmp_path / "1.png"), "1.png", label="water")
    decisions = [{"label": "dirt", "origin": "human", "actor": "Ada"}]
    taken, _ = with_bookkeeping(shown, {"decisions": decisions, "label_origin": "human"})
    assert taken == shown


def test_times_are_stored_in_utc_and_written_the_one_way(tmp_path: Path) -> None:
    shown = Candidate(put_image(tmp_path / "1.png"), "1.png", label="dirt")
    said = [{"label": "dirt", "origin": "human", "actor": "A", "at": "2026-01-01T12:00:00+02:00"}]
    taken, _ = with_bookkeeping(shown, {"decisions": said})
    assert taken.decisions[0].at == "2026-01-01T10:00:00.000Z"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@given(said=st.dictionaries(st.sampled_from(list(BAD)), JSON | WORDS))
def test_any_bookkeeping_is_taken_or_left_out_with_a_reason(
    said: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shown = Candidate(put_image(tmp_path_factory.mktemp("set") / "1.png"), "1.png", label="dirt")
    taken, reasons = with_bookkeeping(shown, said)
    assert with_bookkeeping(shown, bookkeeping(ExportedImage(taken, SHA256, 1, 1)))[0] == taken
    assert all(isinstance(reason, str) for reason in reasons)


def test_a_row_whose_bookkeeping_is_damaged_is_taken_and_named(tmp_path: Path) -> None:
    image = Candidate(Path("x"), "images/1.png", label="dirt", boxes=(Box("dirt", 1, 2, 3, 4),))
    export(tmp_path, "csv", image)
    table = tmp_path / "labels.csv"
    table.write_text(table.read_text().replace('[[""dirt""', '[[""dirt'))
    found = scan(tmp_path)
    assert found.candidates[0].boxes == ()
    assert found.rejected[0].reason.startswith("row 2: the bookkeeping's boxes is left out")


# The list of classes


def test_classes_keep_their_order_and_names(tmp_path: Path) -> None:
    names = ("scratch", "=dirt", "oil, spot", "'x", "漢字", "class")
    write_classes(tmp_path, names)
    assert read_classes(tmp_path) == names


@pytest.mark.parametrize("text", ["", "name\nx\n", "\xff\xfe", "class\na/b\n\n..\nok,7\nok\n"])
def test_a_list_that_is_none_gives_no_class_that_could_not_be(text: str, tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(text, encoding="latin-1")
    assert set(read_classes(tmp_path)) <= {"ok"}


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_classes_without_images_are_exported_too(format: str, tmp_path: Path) -> None:
    image = Candidate(Path("x"), "images/1.png", label="drop", name="x")
    found = export(tmp_path, format, image, classes=("scratch", "drop", "dirt"))
    assert found.classes == ("scratch", "drop", "dirt")


# COCO


def test_boxes_that_were_changed_in_coco_count(tmp_path: Path) -> None:
    said = (Decision("dirt", "human", "Ada", "2026-01-01T10:00:00.000Z"),)
    image = Candidate(
        Path("x"),
        "images/1.png",
        label="dirt",
        label_origin="human",
        decisions=said,
        boxes=(Box("dirt", 1, 2, 3, 4),),
        name="x",
        queued="look",
    )
    export(tmp_path, "coco", image, classes=("dirt", "drop"))
    file = tmp_path / "annotations" / "instances_unassigned.json"
    content = json.loads(file.read_text())
    content["annotations"][0] |= {"bbox": [5, 6, 7, 8], "category_id": 2}
    file.write_text(json.dumps(content))
    (found,) = scan(tmp_path).candidates
    assert found.boxes == (Box("drop", 5, 6, 7, 8),)
    assert (found.label, found.label_origin, found.decisions) == ("drop", "imported", ())
    assert (found.queued, found.name) == ("look", "x")


def test_coco_without_the_bookkeeping_is_an_ordinary_import(tmp_path: Path) -> None:
    image = Candidate(Path("x"), "images/1.png", label="dirt", split="train", name="x")
    export(tmp_path, "coco", image)
    file = tmp_path / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    del content["images"][0]["lacquer"]
    file.write_text(json.dumps(content))
    (found,) = scan(tmp_path).candidates
    assert (found.label, found.split, found.name) == (None, "train", "")


# Parquet tables of others


def write_parquet(root: Path, name: str = "table.parquet", **columns: Any) -> Path:
    import pandas as pd

    root.mkdir(exist_ok=True)
    pd.DataFrame(columns).to_parquet(root / name)
    return root / name


def test_columns_of_a_parquet_table_say_what_they_hold(tmp_path: Path) -> None:
    import pandas as pd

    for name in ("1.png", "2.png"):
        put_image(tmp_path / name)
    table = write_parquet(
        tmp_path,
        Path=["1.png", "2.png"],
        label=["dirt", None],
        split=["val", None],
        panel=["007", ""],
        gloss=[3.5, float("nan")],
        count=[3, 4],
        shiny=[True, False],
        at=pd.to_datetime(["2026-01-01", "2026-01-02"]),
        shift=pd.Categorical(["early", "late"]),
        several=[[1, 2], [3]],
    )
    found = scan(table)
    assert found == scan(tmp_path)
    first, second = found.candidates
    assert (first.label, first.split) == ("dirt", "validation")
    at = first.attributes["at"]
    assert str(at).startswith("2026-01-01")
    assert first.attributes == {
        "panel": "007",
        "gloss": 3.5,
        "count": 3,
        "shiny": "true",
        "at": at,
        "shift": "early",
    }
    assert second.attributes.keys() == {"count", "shiny", "at", "shift"}
    assert [rejection.reason for rejection in found.rejected] == [
        "the column 'several' is left out: list<element: int64> is no number and no text"
    ]


def test_rows_of_a_parquet_table_are_refused_one_by_one(tmp_path: Path) -> None:
    put_image(tmp_path / "set" / "1.png")
    put_image(tmp_path / "2.png")
    table = write_parquet(
        tmp_path / "set",
        path=["1.png", "../2.png", "/etc/passwd", "gone.png", None, "1.png"],
        label=["dirt", "a", "a", "a", "a", "other"],
    )
    found = scan(table)
    assert [(each.relative, each.label) for each in found.candidates] == [("1.png", "dirt")]
    assert [rejection.reason[:6] for rejection in found.rejected] == [
        f"row {number}:" for number in (2, 3, 4, 5, 6)
    ]


def test_other_parquet_files_are_no_tables_of_images(tmp_path: Path) -> None:
    put_image(tmp_path / "dirt" / "1.png")
    write_parquet(tmp_path, "numbers.parquet", x=[1, 2])
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 no more")
    assert detect_format(tmp_path) == "folder"


def test_a_damaged_parquet_table_is_refused_with_words(tmp_path: Path) -> None:
    put_image(tmp_path / "1.png")
    table = write_parquet(tmp_path, path=["1.png"] * 5000, note=[f"text {i}" for i in range(5000)])
    content = bytearray(table.read_bytes())
    content[4:2000] = b"\xff" * 1996
    table.write_bytes(bytes(content))
    with pytest.raises(OperatorError, match="cannot be read"):
        scan(table)


def test_every_export_format_has_an_importer_of_its_name() -> None:
    assert set(EXPORT_FORMATS) <= set(FORMATS)


def test_the_table_of_a_csv_export_has_a_row_an_image(tmp_path: Path) -> None:
    first = Candidate(
        Path("x"), "images/1.png", label="dirt", attributes={"line": "A, 1"}, name="1"
    )
    second = Candidate(Path("x"), "images/2.png", attributes={"gloss": 3.0}, name="2")
    export(tmp_path, "csv", first, second)
    with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["label"], row["line"], row["gloss"]) for row in rows] == [
        ("images/1.png", "dirt", "A, 1", ""),
        ("images/2.png", "", "", "3"),
    ]
