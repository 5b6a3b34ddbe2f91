"""Importers: what a folder or a table offers, sorted before anything is read."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OperatorError
from core.images.formats.importers import FORMATS, Scan, detect_format, scan
from core.images.reading import ImageRejected, load_for_import
from core.vocabulary import MAX_LABEL_LENGTH, RESERVED_LABELS, clean_label


def put(root: Path, *relative: str, content: bytes = b"\xff\xd8\xff") -> None:
    for name in relative:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def labels_and_splits(found: Scan) -> dict[str, tuple[str | None, str | None]]:
    return {item.relative: (item.label, item.split) for item in found.candidates}


def reasons(found: Scan) -> dict[str, str]:
    return {item.path: item.reason for item in found.rejected}


def table(root: Path, text: str, *, encoding: str = "utf-8", name: str = "images.csv") -> Path:
    path = root / name
    path.write_bytes(text.encode(encoding))
    return path


# Folders


def test_a_folder_is_a_class_with_or_without_a_split_above_it(tmp_path: Path) -> None:
    put(tmp_path, "scratch/1.jpg", "train/dirt/2.PNG", "train/3.jpg", "4.tiff")
    assert labels_and_splits(scan(tmp_path)) == {
        "scratch/1.jpg": ("scratch", None),
        "train/dirt/2.PNG": ("dirt", "train"),
        "train/3.jpg": (None, "train"),
        "4.tiff": (None, None),
    }


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("Train", "train"),
        ("val", "validation"),
        ("VALID", "validation"),
        ("validation", "validation"),
        ("calib", "calibration"),
        ("calibration", "calibration"),
        ("test", "test"),
    ],
)
def test_split_folders_are_known_by_their_usual_names(
    folder: str, split: str, tmp_path: Path
) -> None:
    put(tmp_path, f"{folder}/dirt/1.jpg")
    assert scan(tmp_path).candidates[0].split == split


def test_folders_below_a_class_do_not_change_the_label(tmp_path: Path) -> None:
    put(tmp_path, "scratch/line2/test/1.jpg", "train/scratch/deep/er/2.jpg")
    assert labels_and_splits(scan(tmp_path)) == {
        "scratch/line2/test/1.jpg": ("scratch", None),
        "train/scratch/deep/er/2.jpg": ("scratch", "train"),
    }


def test_what_is_no_image_is_ignored_and_listed(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    put(tmp_path, "LICENSE", "a/Thumbs.db", "a/.DS_Store", "notes.txt", "a/1.xml", content=b"text")
    put(tmp_path, ".git/x.jpg", "__MACOSX/a/1.jpg")
    found = scan(tmp_path)
    assert [item.relative for item in found.candidates] == ["a/1.jpg"]
    assert found.rejected == ()
    assert found.ignored == (
        ".git/",
        "LICENSE",
        "__MACOSX/",
        "a/.DS_Store",
        "a/1.xml",
        "a/Thumbs.db",
        "notes.txt",
    )


def test_an_image_without_an_extension_is_found_by_its_content(tmp_path: Path) -> None:
    put(tmp_path, "a/IMG_0001")
    assert [item.relative for item in scan(tmp_path).candidates] == ["a/IMG_0001"]


def test_an_image_kind_that_is_not_read_is_rejected_not_ignored(tmp_path: Path) -> None:
    put(tmp_path, "a/phone.HEIC", "a/camera.nef")
    assert set(reasons(scan(tmp_path))) == {"a/phone.HEIC", "a/camera.nef"}


def test_a_text_named_jpg_is_a_candidate_and_refused_when_read(tmp_path: Path) -> None:
    put(tmp_path, "a/note.jpg", content=b"not an image")
    (candidate,) = scan(tmp_path).candidates
    with pytest.raises(ImageRejected, match="text"):
        load_for_import(candidate.path, max_pixels=1000)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "outside/secret.jpg", "set/a/1.jpg")
    (tmp_path / "set/a/link.jpg").symlink_to(tmp_path / "outside/secret.jpg")
    (tmp_path / "set/stolen").symlink_to(tmp_path / "outside")
    (tmp_path / "set/a/nowhere.jpg").symlink_to(tmp_path / "set/gone.jpg")
    found = scan(tmp_path / "set")
    assert [item.relative for item in found.candidates] == ["a/1.jpg"]
    assert "outside" in reasons(found)["a/link.jpg"]
    assert "outside" in reasons(found)["stolen"]
    assert "not there" in reasons(found)["a/nowhere.jpg"]


def test_links_within_the_folder_are_taken_for_files_and_not_followed_for_folders(
    tmp_path: Path,
) -> None:
    put(tmp_path, "pool/1.jpg")
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch/1.jpg").symlink_to("../pool/1.jpg")
    (tmp_path / "pool/loop").symlink_to(tmp_path)
    found = scan(tmp_path)
    assert [item.relative for item in found.candidates] == ["pool/1.jpg", "scratch/1.jpg"]
    assert "another folder" in reasons(found)["pool/loop"]


def test_a_link_that_points_at_itself_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    (tmp_path / "a/me.jpg").symlink_to("me.jpg")
    assert list(reasons(scan(tmp_path))) == ["a/me.jpg"]


def test_a_folder_reached_through_a_link_is_scanned(tmp_path: Path) -> None:
    put(tmp_path, "real/a/1.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert labels_and_splits(scan(tmp_path / "link")) == {"a/1.jpg": ("a", None)}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_are_not_utf_8_are_refused_and_shown(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    (tmp_path / "a" / os.fsdecode(b"kratz\xe4r.jpg")).write_bytes(b"")
    found = scan(tmp_path)
    assert len(found.candidates) == 1
    assert reasons(found) == {
        "a/kratz\N{REPLACEMENT CHARACTER}r.jpg": "the name is not valid UTF-8"
    }


def test_a_pipe_named_like_an_image_is_never_opened(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    os.mkfifo(tmp_path / "a/2.jpg")
    os.mkfifo(tmp_path / "a/queue")
    assert scan(tmp_path).ignored == ("a/2.jpg", "a/queue")


def test_a_class_folder_with_an_impossible_name_is_refused_whole(tmp_path: Path) -> None:
    name = "x" * (MAX_LABEL_LENGTH + 1)
    put(tmp_path, f"{name}/1.jpg", "ok/1.jpg")
    found = scan(tmp_path)
    assert [item.label for item in found.candidates] == ["ok"]
    assert list(reasons(found)) == [f"{name}/"]


def test_the_order_does_not_depend_on_the_disk(tmp_path: Path) -> None:
    put(tmp_path, "b/2.jpg", "a/9.jpg", "b/1.jpg", "a/10.jpg")
    order = [item.relative for item in scan(tmp_path).candidates]
    assert order == ["a/10.jpg", "a/9.jpg", "b/1.jpg", "b/2.jpg"]


# Labels


@pytest.mark.parametrize("name", ["Not a defect", "not-a-defect", "NOT_A_DEFECT", " not_a_defect "])
def test_reserved_labels_are_recognised_however_they_are_written(name: str) -> None:
    assert clean_label(name) == "not_a_defect"
    assert "not_a_defect" in RESERVED_LABELS


def test_composed_and_decomposed_letters_are_one_label() -> None:
    assert clean_label("Krätzer") == clean_label("Kra\u0308tzer")


def test_white_space_and_control_characters_do_not_make_another_label() -> None:
    assert clean_label("  oil \t spot\x07\n") == "oil spot"
    assert clean_label(" \x00 ") is None


@pytest.mark.parametrize("name", ["a/b", "..", "\\", "\udce4", "x" * (MAX_LABEL_LENGTH + 1)])
def test_labels_that_could_not_be_stored_or_exported_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="label"):
        clean_label(name)


# Tables


def test_a_table_gives_label_split_and_attributes(tmp_path: Path) -> None:
    put(tmp_path, "img/1.jpg", "img/2.jpg")
    path = table(
        tmp_path,
        "path,label,split,Line,temp,when\n"
        "img/1.jpg,scratch,train,A,20.5,2025-02-01\n"
        "img/2.jpg,,,B,,2025-02-02\n",
    )
    first, second = scan(path).candidates
    assert (first.label, first.split) == ("scratch", "train")
    assert first.attributes == {"Line": "A", "temp": 20.5, "when": "2025-02-01"}
    assert (second.label, second.split) == (None, None)
    assert second.attributes == {"Line": "B", "when": "2025-02-02"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_delimiters_and_encodings_are_told_apart(
    delimiter: str, encoding: str, tmp_path: Path
) -> None:
    put(tmp_path, "1.jpg")
    rows = [["path", "label"], ["1.jpg", "Lackläufer"]]
    path = table(tmp_path, "\r\n".join(delimiter.join(row) for row in rows), encoding=encoding)
    assert scan(path).candidates[0].label == "Lackläufer"


def test_decimal_commas_are_understood_where_semicolons_separate(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg", "2.jpg")
    path = table(tmp_path, "path;gloss;note\n1.jpg;3,5;a,b\n2.jpg;4;c\n")
    assert [item.attributes for item in scan(path).candidates] == [
        {"gloss": 3.5, "note": "a,b"},
        {"gloss": 4.0, "note": "c"},
    ]


@pytest.mark.parametrize("values", [("0042", "0043"), ("1", "x"), ("nan", "1"), ("1_000", "2")])
def test_columns_that_are_not_all_numbers_stay_text(
    values: tuple[str, str], tmp_path: Path
) -> None:
    put(tmp_path, "1.jpg", "2.jpg")
    path = table(tmp_path, f"path,panel\n1.jpg,{values[0]}\n2.jpg,{values[1]}\n")
    assert [item.attributes["panel"] for item in scan(path).candidates] == list(values)


def test_column_names_are_cleaned_and_never_collide(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg")
    path = table(tmp_path, " PATH , shift  name ,,shift name\n1.jpg,a,b,c\n")
    attributes = scan(path).candidates[0].attributes
    assert attributes == {"shift name": "a", "column 3": "b", "shift name (2)": "c"}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("/etc/passwd", "absolute"),
        ("C:\\images\\1.jpg", "absolute"),
        ("\\\\server\\1.jpg", "absolute"),
        ("../1.jpg", "out of the table's folder"),
        ("a/../../1.jpg", "out of the table's folder"),
        ("a\\..\\..\\1.jpg", "out of the table's folder"),
        ("gone.jpg", "not there"),
        ("sub", "a folder"),
        ("link.jpg", "symbolic link"),
        ("linked/1.jpg", "symbolic link"),
        ("bad\x00.jpg", "control characters"),
        ("x" * 5000, "cannot be reached"),
        ("1.jpg,scratch,nonsense", "no split"),
        ("1.jpg,a/b", "label"),
        ("1.jpg,a,train,too,many", "5 cells under 3 columns"),
        (",scratch", "path is empty"),
        ("1.heic", ".heic"),
    ],
)
def test_a_bad_row_is_refused_with_its_number_and_the_rest_is_taken(
    row: str, found: str, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    put(root, "1.jpg", "2.jpg", "sub/3.jpg")
    put(tmp_path, "1.jpg", "outside/1.jpg")
    (root / "link.jpg").symlink_to(tmp_path / "1.jpg")
    (root / "linked").symlink_to(tmp_path / "outside")
    scanned = scan(table(root, f"path,label,split\n{row}\n2.jpg,dirt,test\n"))
    assert [item.relative for item in scanned.candidates] == ["2.jpg"]
    (rejection,) = scanned.rejected
    assert rejection.reason.startswith("row 2: ")
    assert found in rejection.reason


def test_every_row_behind_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "outside/1.jpg", "outside/2.jpg", "set/ok.jpg")
    (tmp_path / "set/linked").symlink_to(tmp_path / "outside")
    scanned = scan(table(tmp_path / "set", "path\nlinked/1.jpg\nlinked/2.jpg\nok.jpg\n"))
    assert [item.relative for item in scanned.candidates] == ["ok.jpg"]
    assert len(scanned.rejected) == 2


def test_a_quote_that_is_not_closed_is_named(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    scanned = scan(table(tmp_path, 'path,label\n1.jpg,a\n"2.jpg,b\n3.jpg,c\n'))
    assert [item.relative for item in scanned.candidates] == ["1.jpg"]
    assert "row 3" in scanned.rejected[0].reason
    assert "quote" in scanned.rejected[0].reason


def test_backslashes_of_another_system_lead_to_the_file(tmp_path: Path) -> None:
    put(tmp_path, "img/1.jpg")
    assert scan(table(tmp_path, "path\nimg\\1.jpg\n")).candidates[0].relative == "img/1.jpg"


def test_rows_on_one_file_are_one_image_with_what_they_agree_on(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg")
    scanned = scan(table(tmp_path, "path,label,x,seed\n1.jpg,dirt,10,7\n./1.jpg,dirt,20,7\n"))
    (candidate,) = scanned.candidates
    assert candidate.attributes == {"seed": 7.0}
    assert scanned.rejected == ()


def test_a_row_that_contradicts_an_earlier_one_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "1.jpg")
    scanned = scan(table(tmp_path, "path,label\n1.jpg,dirt\n1.jpg,scratch\n"))
    assert [item.label for item in scanned.candidates] == ["dirt"]
    assert "row 2" in scanned.rejected[0].reason


def test_a_table_without_a_path_column_is_no_table_to_import(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nothing that can be imported"):
        scan(table(tmp_path, "file,label\n1.jpg,a\n"))
    with pytest.raises(OperatorError, match="cannot be imported as csv"):
        scan(table(tmp_path, ""), format="csv")


CELLS = st.text(st.characters(codec="utf-8"), max_size=20)


@given(rows=st.lists(st.lists(CELLS, max_size=5), max_size=8))
def test_any_table_is_scanned_without_an_error(
    rows: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("table")
    put(root, "1.jpg")
    body = "\n".join(",".join(row) for row in rows)
    scanned = scan(table(root, f"path,label,split,x\n1.jpg,a,train,1\n{body}\n"))
    assert scanned.candidates[0].relative == "1.jpg"
    assert all(item.path.is_file() for item in scanned.candidates)
    assert all(item.reason.startswith("row ") for item in scanned.rejected)


# Formats


def test_a_folder_with_one_table_of_paths_is_read_through_the_table(tmp_path: Path) -> None:
    put(tmp_path, "img/1.jpg")
    table(tmp_path, "path,label\nimg/1.jpg,dirt\n")
    assert detect_format(tmp_path) == "csv"
    assert labels_and_splits(scan(tmp_path)) == {"img/1.jpg": ("dirt", None)}
    assert labels_and_splits(scan(tmp_path, format="folder")) == {"img/1.jpg": ("img", None)}


def test_other_tables_in_a_folder_are_no_reason_not_to_read_it_as_folders(tmp_path: Path) -> None:
    put(tmp_path, "a/1.jpg")
    table(tmp_path, "epoch,loss\n1,0.5\n", name="log.csv")
    assert detect_format(tmp_path) == "folder"


def test_every_format_is_registered_under_its_own_name() -> None:
    assert {"csv", "folder"} <= set(FORMATS)
    assert all(name == entry.name for name, entry in FORMATS.items())


def test_an_unknown_format_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'excel'"):
        scan(tmp_path, format="excel")


def test_a_path_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="nothing at"):
        scan(tmp_path / "gone")


def test_an_empty_folder_offers_nothing(tmp_path: Path) -> None:
    found = scan(tmp_path)
    assert (found.candidates, found.rejected, found.ignored) == ((), (), ())


def test_scanning_loads_nothing_heavy() -> None:
    code = (
        "import sys, core.images.formats.importers, core.images.archives, core.images.quality\n"
        "heavy = ('torch', 'scipy', 'sklearn', 'pandas', 'streamlit')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Real images


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is not set")
def test_x_sdd_has_1360_images_in_7_classes_and_9_groups_of_identical_files() -> None:
    found = scan(Path(os.environ["LACQUER_TEST_DATA"]) / "x-sdd")
    assert len(found.candidates) == 1360
    assert found.rejected == ()
    assert found.ignored == ("LICENSE",)
    assert Counter(item.label for item in found.candidates)["red_iron"] == 397
    assert len({item.label for item in found.candidates}) == 7

    by_hash: dict[str, list[str]] = defaultdict(list)
    sizes: Counter[tuple[int, int]] = Counter()
    for item in found.candidates:
        facts, image = load_for_import(item.path, max_pixels=1_000_000)
        sizes[image.size] += 1
        by_hash[facts.sha256].append(item.relative)
    groups = [names for names in by_hash.values() if len(names) > 1]
    assert [len(names) for names in groups] == [2] * 9
    assert sizes == {(128, 128): 1358, (122, 128): 1, (130, 128): 1}
