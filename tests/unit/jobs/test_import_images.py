"""What an import leaves in the workspace, also when it is stopped half way."""

import hashlib
import os
import signal
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from core.annotations import Box
from core.images.formats.importers import scan
from core.images.thumbnails import ThumbnailStore
from core.jobs import queue
from core.jobs.configs import FindNearDuplicates, GenerateImages, ImportImages
from core.state import annotations, catalog, intake, job_rows, near_duplicates
from core.state.catalog import ImageFilter
from core.state.job_rows import Job
from core.state.workspace import Workspace
from tests.samples import do, import_folder, save_image, write_images
from tests.unit.jobs.conftest import wait_for, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in each of three classes."""
    return write_images(tmp_path / "line", n_per_class=2)


def counts(result: dict) -> tuple[int, int, int, int]:
    """(imported, duplicates, known, refused)."""
    return (
        result["n_imported"],
        result["n_duplicates"],
        result["n_known"],
        len(result["rejected"]),
    )


def by_name(workspace: Workspace) -> dict[str, catalog.Image]:
    return {image.name: image for image in catalog.list_images(workspace)}


def test_an_import_takes_in_pictures_labels_and_facts(workspace: Workspace, folder: Path) -> None:
    result = import_folder(workspace, folder).result
    assert counts(result) == (6, 0, 0, 0)
    assert result["classes"] == {"dirt": 2, "drop": 2, "scratch": 2}
    assert sum(result["splits"].values()) == 6
    thumbnails = ThumbnailStore(workspace.path / "thumbnails.db")
    for name, image in by_name(workspace).items():
        assert name.startswith(f"{image.label}/")
        assert image.label_origin == "imported"
        file = catalog.image_path(workspace, image)
        assert file.read_bytes() == (folder / name).read_bytes()
        assert image.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert thumbnails.get(image.sha256)
    ids, quality = catalog.quality_table(workspace)
    assert len(ids) == 6
    assert (quality["brightness"] > 0).all()
    assert not list((workspace.path / "images").rglob(".*"))


def test_importing_again_takes_in_only_what_is_new(workspace: Workspace, folder: Path) -> None:
    import_folder(workspace, folder)
    assert counts(import_folder(workspace, folder).result) == (0, 0, 6, 0)
    save_image(folder / "drop" / "new.png", (9, 9, 9))
    save_image(folder / "drop" / "000.png", (8, 8, 8))  # other content under a known path
    assert counts(import_folder(workspace, folder).result) == (2, 0, 5, 0)
    assert catalog.count_images(workspace) == 8


def test_a_content_that_comes_twice_is_one_image_with_its_first_label(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    copy = folder / "scratch" / "copy.png"
    copy.write_bytes((folder / "dirt" / "000.png").read_bytes())
    assert counts(import_folder(workspace, folder).result) == (6, 1, 0, 0)
    again = tmp_path / "again" / "drop" / "other.png"
    again.parent.mkdir(parents=True)
    again.write_bytes(copy.read_bytes())
    assert counts(import_folder(workspace, tmp_path / "again").result) == (0, 1, 0, 0)
    image = by_name(workspace)["dirt/000.png"]
    assert (image.label, image.label_origin) == ("dirt", "imported")
    assert catalog.list_duplicates(workspace) == [
        (image.id, (f"{folder}/dirt/000.png", f"{folder}/scratch/copy.png", str(again)))
    ]


def test_one_bad_file_is_listed_and_stops_nothing(workspace: Workspace, folder: Path) -> None:
    (folder / "dirt" / "empty.png").touch()
    (folder / "dirt" / "text.png").write_text("no image")
    cut = folder / "dirt" / "cut.png"
    cut.write_bytes((folder / "dirt" / "000.png").read_bytes()[:60])
    (folder / "dirt" / "out.png").symlink_to("/etc/hostname")
    result = import_folder(workspace, folder).result
    assert counts(result) == (6, 0, 0, 4)
    refused = dict(intake.list_rejections(workspace, result["import_id"]))
    assert set(refused) == {f"dirt/{name}.png" for name in ("empty", "text", "cut", "out")}
    assert all(refused.values())
    assert intake.list_imports(workspace)[0].n_rejected == 4


def test_an_empty_folder_is_an_import_of_nothing(workspace: Workspace, tmp_path: Path) -> None:
    assert counts(import_folder(workspace, tmp_path).result) == (0, 0, 0, 0)


def test_a_source_that_is_not_there_is_told(workspace: Workspace, tmp_path: Path) -> None:
    job = do(workspace, ImportImages(source=str(tmp_path / "nowhere")))
    assert job.status == "failed"
    assert "nowhere" in job.error["title"]


def test_a_table_brings_labels_splits_and_attributes(workspace: Workspace, folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "path,label,split,line,mm\n"
        "dirt/000.png,crater,train,A,1.5\n"
        "drop/000.png,,test,,2\n"
        "missing.png,dirt,train,A,3\n"
    )
    result = import_folder(workspace, folder).result
    assert counts(result) == (2, 0, 0, 1)
    images = by_name(workspace)
    crater, bare = images["dirt/000.png"], images["drop/000.png"]
    assert (crater.label, crater.split) == ("crater", "train")
    assert crater.attributes == {"line": "A", "mm": 1.5}
    assert (bare.label, bare.split, bare.attributes) == (None, "test", {"mm": 2.0})
    assert catalog.list_attributes(workspace) == {"line": "text", "mm": "number"}


@pytest.mark.parametrize(
    ("rule", "train", "elsewhere"),
    [
        ("keep", {"train"}, {None}),
        ("auto", {"train"}, {"train", "validation", "calibration", "test"}),
        ("0/0/0/1", {"test"}, {"test"}),
    ],
)
def test_the_rule_for_splits_is_kept(
    rule: str, train: set, elsewhere: set, workspace: Workspace, tmp_path: Path
) -> None:
    write_images(tmp_path / "line" / "train", n_per_class=4)
    for number in range(20):
        save_image(tmp_path / "line" / "crater" / f"{number}.png", (number, 200, 200))
    import_folder(workspace, tmp_path / "line", split=rule)
    found: dict[str, set] = {"train": set(), "crater": set()}
    for name, image in by_name(workspace).items():
        found[name.partition("/")[0]].add(image.split)
    assert found == {"train": train, "crater": elsewhere}


def test_a_rule_that_is_none_is_refused_before_anything_is_imported(
    workspace: Workspace, folder: Path
) -> None:
    job = do(workspace, ImportImages(source=str(folder), split="half/half"))
    assert job.status == "failed"
    assert catalog.count_images(workspace) == 0


def test_referenced_files_stay_where_they_are(workspace: Workspace, folder: Path) -> None:
    result = do(workspace, ImportImages(source=str(folder), reference=True)).result
    assert counts(result) == (6, 0, 0, 0)
    image = by_name(workspace)["dirt/000.png"]
    assert catalog.image_path(workspace, image) == folder / "dirt" / "000.png"
    assert not list((workspace.path / "images").rglob("*.png"))


def test_a_zip_is_imported_like_the_folder_in_it_and_the_upload_deleted(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    upload = workspace.folder("uploads") / "0815.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, Path("panels", file.relative_to(folder)))
        archive.writestr("../escaped.png", b"x")
        archive.writestr("panels/dirt/text.png", b"no image")
    config = ImportImages(source=str(upload), shown_as="panels.zip")
    job = do(workspace, config)
    assert counts(job.result) == (6, 0, 0, 2)
    assert set(by_name(workspace)) == {
        file.relative_to(folder).as_posix() for file in folder.rglob("*.png")
    }
    assert intake.list_imports(workspace)[0].source == "panels.zip"
    assert not upload.exists()
    assert not list(workspace.folder("uploads").iterdir())
    assert not list(tmp_path.rglob("escaped.png"))
    assert not list(workspace.path.rglob("escaped.png"))


def test_an_archive_cannot_be_left_in_place_and_is_kept_for_another_try(
    workspace: Workspace, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    config = ImportImages(source=str(tmp_path / "a.zip"), reference=True)
    assert do(workspace, config).status == "failed"
    assert (tmp_path / "a.zip").exists()


def test_an_import_whose_worker_is_killed_goes_on_and_counts_each_image_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_images(tmp_path / "line", n_per_class=600, classes=["drop"])
    for number in range(600):
        save_image(tmp_path / "line" / "dirt" / f"{number}.png", (number // 256, 0, number % 256))
    twin = tmp_path / "line" / "drop" / "twin.png"
    twin.write_bytes((tmp_path / "line" / "dirt" / "0.png").read_bytes())
    (tmp_path / "line" / "dirt" / "0-bad.png").write_text("no image")
    job = queue.submit(workspace, ImportImages(source=str(tmp_path / "line")), actor="Ada")
    wait_until(lambda: catalog.count_images(workspace) > 0)
    os.kill(job_rows.get_job(workspace, job.id).pid, signal.SIGKILL)
    n_before = catalog.count_images(workspace)
    assert n_before < 1200
    job = wait_for(workspace, job, "succeeded")
    assert job.attempts == 2
    assert counts(job.result) == (1200, 1, 0, 1)
    done = intake.list_imports(workspace)
    assert len(done) == 1
    assert (done[0].n_imported, done[0].n_duplicates) == (1200, 1)
    assert (done[0].n_known, done[0].n_rejected) == (0, 1)
    assert catalog.count_images(workspace) == 1200
    assert catalog.count_images(workspace, ImageFilter(splits=(None,))) == 0
    assert len(ThumbnailStore(workspace.path / "thumbnails.db")) == 1200


# Generate


# Crops

SQUARE = (40, 30, 20, 10)  # x, y, width, height


def write_detection_set(folder: Path) -> Path:
    """A YOLO set of three panels of 200 x 100: with two boxes, with one, with none."""
    (folder / "data.yaml").parent.mkdir(parents=True, exist_ok=True)
    (folder / "data.yaml").write_text("names: [dirt, drop]")
    lines = ["0 0.25 0.35 0.1 0.1", "1 0.75 0.5 0.05 0.1"]
    for name, drawn in {"both": lines, "one": lines[:1], "clean": []}.items():
        picture = Image.fromarray(texture(name))
        (folder / f"{name}.txt").write_text("\n".join(drawn))
        picture.save(folder / f"{name}.png")
    return folder


def texture(seed: str, size: tuple[int, int] = (200, 100)) -> np.ndarray:
    """Blurred noise: a surface that no other seed's looks like."""
    rng = np.random.default_rng(list(seed.encode()))
    noise = rng.integers(0, 256, (size[1] // 4, size[0] // 4, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))


def import_crops(workspace: Workspace, folder: Path, *, crop_margin: float = 0.0) -> Job:
    config = ImportImages(source=str(folder), crops="boxes", crop_margin=crop_margin)
    return do(workspace, config)


def test_whole_images_keep_their_boxes(workspace: Workspace, tmp_path: Path) -> None:
    import_folder(workspace, write_detection_set(tmp_path / "set"))
    images = by_name(workspace)
    assert {name: image.label for name, image in images.items()} == {
        "both.png": "multiple",
        "one.png": "dirt",
        "clean.png": None,
    }
    drawn = annotations.list_boxes(workspace)
    assert drawn[images["one.png"].id] == (Box("dirt", 40, 30, 20, 10),)
    assert len(drawn[images["both.png"].id]) == 2


def test_a_crop_a_box_knows_its_image_and_place(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_detection_set(tmp_path / "set")
    job = import_crops(workspace, folder)
    assert job.result is not None
    assert counts(job.result) == (3, 0, 0, 1)
    assert job.result["rejected"][0]["path"] == "clean.png"
    images = by_name(workspace)
    assert {name: image.label for name, image in images.items()} == {
        "both.png/box-1.png": "dirt",
        "both.png/box-2.png": "drop",
        "one.png/box-1.png": "dirt",
    }
    image = images["one.png/box-1.png"]
    crop = annotations.list_crops(workspace)[image.id]
    whole = (folder / "one.png").read_bytes()
    assert (crop.source, crop.source_sha256) == ("one.png", hashlib.sha256(whole).hexdigest())
    assert (crop.x, crop.y, crop.width, crop.height) == (32, 22, 36, 26)  # 8 px around it
    assert annotations.list_boxes(workspace)[image.id] == (Box("dirt", 8, 8, 20, 10),)
    with Image.open(catalog.image_path(workspace, image)) as cut:
        expected = texture("one")[22:48, 32:68]
        np.testing.assert_array_equal(np.asarray(cut), expected)
    assert (
        image.sha256
        == hashlib.sha256(catalog.image_path(workspace, image).read_bytes()).hexdigest()
    )
    assert ThumbnailStore(workspace.path / "thumbnails.db").get(image.sha256)


def test_crops_of_one_image_share_a_split(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_detection_set(folder)
    lines = "\n".join(f"0 {0.1 + 0.08 * i:.2f} 0.5 0.04 0.2" for i in range(10))
    for number in range(12):
        Image.fromarray(texture(str(number))).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(lines)
    import_crops(workspace, folder)
    splits: dict[str, set[str | None]] = {}
    for name, image in by_name(workspace).items():
        splits.setdefault(name.partition("/")[0], set()).add(image.split)
    assert len(splits) == 14
    assert all(len(of_image) == 1 for of_image in splits.values())
    assert len({split for of_image in splits.values() for split in of_image}) == 4


def test_crops_are_cut_once_and_anew_with_another_margin(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_detection_set(tmp_path / "set")
    import_crops(workspace, folder)
    again = import_crops(workspace, folder).result
    assert again is not None
    assert counts(again) == (0, 0, 3, 1)
    wider = import_crops(workspace, folder, crop_margin=1.0).result
    assert wider is not None
    assert counts(wider) == (3, 0, 0, 1)


def test_without_boxes_there_is_nothing_to_cut_out(workspace: Workspace, folder: Path) -> None:
    job = import_crops(workspace, folder)
    assert job.status == "failed"
    assert job.error is not None
    assert "no boxes" in job.error["title"]
    assert intake.list_imports(workspace) == []


@pytest.mark.parametrize(
    "asked", [{"crops": "half"}, {"crop_margin": -1.0}, {"crops": "boxes", "reference": True}]
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(
    asked: dict, workspace: Workspace, folder: Path
) -> None:
    assert do(workspace, ImportImages(source=str(folder), **asked)).status == "failed"
    assert intake.list_imports(workspace) == []


def test_a_damaged_whole_image_gives_no_crops(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_detection_set(tmp_path / "set")
    data = (folder / "one.png").read_bytes()
    (folder / "one.png").write_bytes(data[: len(data) // 2])
    result = import_crops(workspace, folder).result
    assert result is not None
    assert counts(result) == (2, 0, 0, 2)
    reasons = {each["path"]: each["reason"] for each in result["rejected"]}
    assert "cut short" in reasons["one.png"]


# Groups and near-duplicates


def write_panels(folder: Path, *, n_panels: int = 20, n_shots: int = 3) -> Path:
    """Shots of panels, `line/panel-07_shot-2.png`, no two alike."""
    for panel in range(n_panels):
        for shot in range(n_shots):
            path = folder / "line" / f"panel-{panel:02}_shot-{shot}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(texture(path.name, (64, 48))).save(path)
    return folder


def splits_by(workspace: Workspace, key: slice) -> dict[str, set[str | None]]:
    found: dict[str, set[str | None]] = {}
    for name, image in by_name(workspace).items():
        found.setdefault(name[key], set()).add(image.split)
    return found


def test_shots_of_one_panel_share_a_split(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_panels(tmp_path / "set")
    do(workspace, ImportImages(source=str(folder), group_by=r"panel-(\d+)"))
    panels = splits_by(workspace, slice(5, 13))
    assert len(panels) == 20
    assert all(len(splits) == 1 for splits in panels.values())
    assert len(catalog.summarise(workspace).by_label_and_split) == 4


def test_later_shots_of_a_panel_join_its_split(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_panels(tmp_path / "set")
    do(workspace, ImportImages(source=str(folder), group_by=r"panel-(\d+)"))
    write_panels(folder, n_shots=5)
    do(workspace, ImportImages(source=str(folder), group_by=r"panel-(\d+)", seed=9))
    assert catalog.count_images(workspace) == 100
    assert all(len(splits) == 1 for splits in splits_by(workspace, slice(5, 13)).values())


def test_a_column_groups_as_a_pattern_does(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_panels(tmp_path / "set")
    names = sorted(path.name for path in (folder / "line").iterdir())
    rows = "".join(f"line/{name},{int(name[6:8])}\n" for name in names)
    (folder / "table.csv").write_text(f"path,panel\n{rows}")
    do(workspace, ImportImages(source=str(folder), group_by="panel"))
    assert all(len(splits) == 1 for splits in splits_by(workspace, slice(5, 13)).values())


def test_a_pattern_that_is_none_is_refused(workspace: Workspace, folder: Path) -> None:
    job = do(workspace, ImportImages(source=str(folder), group_by="panel-("))
    assert job.status == "failed"
    assert intake.list_imports(workspace) == []


def shoot_again(source: Path, target: Path) -> None:
    """The same thing a second time: lighter, and packed anew."""
    with Image.open(source) as picture:
        target.parent.mkdir(parents=True, exist_ok=True)
        ImageEnhance.Brightness(picture).enhance(1.05).save(target, quality=85)


def test_shots_that_look_alike_are_found_and_share_a_split(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = write_panels(tmp_path / "set", n_shots=1)
    for path in sorted((folder / "line").glob("*.png")):
        shoot_again(path, path.with_suffix(".jpg"))
    job = do(workspace, ImportImages(source=str(folder)))
    assert job.result is not None
    assert job.result["near_duplicates"] == {"n_groups": 20, "n_images": 40, "n_straddling": 0}
    assert all(len(splits) == 1 for splits in splits_by(workspace, slice(5, 13)).values())


def test_a_source_that_divides_look_alikes_is_told(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number in range(10):
        path = folder / "train" / "dirt" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(texture(path.name)).save(path)
    shoot_again(folder / "train" / "dirt" / "3.png", folder / "test" / "dirt" / "shot.jpg")
    result = import_folder(workspace, folder).result
    assert result is not None
    assert result["near_duplicates"] == {"n_groups": 1, "n_images": 2, "n_straddling": 1}
    alike = near_duplicates.list_look_alikes(workspace)
    assert {each.split for each in alike} == {"train", "test"}


def test_images_of_an_older_version_are_compared_too(workspace: Workspace, tmp_path: Path) -> None:
    folder = write_panels(tmp_path / "set", n_panels=3, n_shots=1)
    for path in sorted((folder / "line").glob("*.png")):
        shoot_again(path, path.with_suffix(".jpg"))
    import_folder(workspace, folder)
    from core.state.database import writing
    from core.state.schema import images

    with writing(workspace) as connection:
        connection.execute(images.update().values(perceptual_hash=None))
    near_duplicates.replace_groups(workspace, [])
    result = do(workspace, FindNearDuplicates()).result
    assert result is not None
    assert (result["n_groups"], result["n_images"], result["n_unseen"]) == (3, 6, 0)


def test_generated_images_are_no_shots_of_one_thing(workspace: Workspace) -> None:
    result = do(workspace, GenerateImages(n_images=8)).result
    assert result is not None
    assert result["near_duplicates"]["n_groups"] == 0
    assert do(workspace, FindNearDuplicates()).result["n_unseen"] == 0


def test_an_image_whose_thumbnail_is_lost_is_counted_as_unseen(
    workspace: Workspace, folder: Path
) -> None:
    import_folder(workspace, folder)
    for file in workspace.path.glob("thumbnails.db*"):
        file.unlink()
    result = do(workspace, FindNearDuplicates()).result
    assert result is not None
    assert (result["n_unseen"], result["n_groups"]) == (6, 0)


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is not set")
def test_neu_det_comes_in_as_crops(workspace: Workspace) -> None:
    source = Path(os.environ["LACQUER_TEST_DATA"]) / "neu-det" / "valid"
    job = do(workspace, ImportImages(source=str(source), format="voc", crops="boxes"))
    assert job.result is not None
    n_boxes = sum(len(candidate.boxes) for candidate in scan(source, format="voc").candidates)
    assert job.result["n_imported"] == n_boxes > 30
    assert set(job.result["classes"]) == {
        "crazing",
        "inclusion",
        "patches",
        "pitted_surface",
        "rolled-in_scale",
        "scratches",
    }


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is not set")
def test_the_duplicates_of_x_sdd_are_found_and_named(workspace: Workspace) -> None:
    source = Path(os.environ["LACQUER_TEST_DATA"]) / "x-sdd"
    result = import_folder(workspace, source).result
    assert result is not None
    assert counts(result) == (1351, 9, 0, 0)
    groups = catalog.list_duplicates(workspace)
    assert [len(paths) for _, paths in groups] == [2] * 9
    assert all(str(source) in path for _, paths in groups for path in paths)
    assert Counter(image.label for image in catalog.list_images(workspace))["red_iron"] > 0
