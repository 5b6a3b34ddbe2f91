"""A look tells what a source holds and takes nothing; what it unpacked serves the import."""

import json
import os
import signal
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from core.errors import OperatorError
from core.images.formats.importers import FORMATS
from core.jobs import looks, queue
from core.jobs.configs import ImportImages, LookThrough
from core.jobs.context import JobContext
from core.jobs.findings import Findings, load_findings
from core.jobs.previews import group_shots, preview_crops, preview_splits
from core.jobs.steps import look_through, unpacking
from core.jobs.worker import run_job
from core.state import catalog, job_rows, uploads
from core.state.job_rows import Job
from core.state.workspace import Workspace, create_workspace
from tests.samples import do, import_folder, save_image, write_images


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return create_workspace(home / "line", name="Line")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in each of three classes."""
    return write_images(tmp_path / "panels", n_per_class=2)


def zipped(folder: Path, more: Mapping[str, bytes] = {}) -> BytesIO:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
        for name, data in more.items():
            archive.writestr(name, data)
    content.seek(0)
    return content


def look(workspace: Workspace, source: Path, **options: str | bool) -> Job:
    return do(workspace, LookThrough(source=str(source), **options))  # type: ignore[arg-type]


def found(workspace: Workspace, source: Path, **options: str | bool) -> Findings:
    job = look(workspace, source, **options)
    assert job.status == "succeeded", job.error
    return load_findings(workspace, job.id)


def write_voc(folder: Path, boxes: Mapping[str, list[tuple[str, int, int, int, int]]]) -> Path:
    """Grey images of 100 x 80 with their boxes (label, left, upper, right, lower)."""
    for number, (name, drawn) in enumerate(boxes.items()):
        save_image(folder / "images" / f"{name}.png", (number, 90, 90), size=(100, 80))
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for label, x0, y0, x1, y1 in drawn
        )
        text = f"<annotation><filename>{name}.png</filename>{objects}</annotation>"
        place = folder / "annotations" / f"{name}.xml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    return folder


# What it finds


def test_a_look_counts_and_shows_and_takes_nothing(workspace: Workspace, folder: Path) -> None:
    (folder / "notes.txt").write_text("x")
    (folder / "dirt" / "raw.heic").write_bytes(b"x")
    seen = found(workspace, folder)
    assert (seen.format, seen.formats[0], seen.n_images) == ("folder", "folder", 6)
    assert seen.classes == {"dirt": 2, "drop": 2, "scratch": 2}
    assert seen.n_bytes == sum(file.stat().st_size for file in folder.rglob("*.png"))
    assert [path for path, _ in seen.refused] == ["dirt/raw.heic"]
    assert seen.n_ignored == 1
    assert catalog.count_images(workspace) == 0


def test_every_format_that_fits_is_offered_and_another_can_be_looked_at(
    workspace: Workspace, folder: Path
) -> None:
    (folder / "labels.csv").write_text("path,label,line\ndirt/000.png,smudge,3\n")
    seen = found(workspace, folder)
    assert (seen.format, seen.formats) == ("csv", ("csv", "folder"))
    assert seen.attributes == {"line": (3.0,)}
    assert found(workspace, folder, format="folder").n_images == 6


def test_the_first_images_are_spread_over_the_classes(workspace: Workspace, tmp_path: Path) -> None:
    write_images(tmp_path / "line", n_per_class=30, classes=["dirt"])
    write_images(tmp_path / "line", n_per_class=2, classes=["drop", "scratch"])
    pictures = found(workspace, tmp_path / "line").pictures
    assert len(pictures) == look_through.N_PICTURES
    assert [picture.label for picture in pictures[:4]] == ["dirt", "drop", "scratch", "dirt"]
    with Image.open(BytesIO(pictures[0].jpeg)) as picture:
        assert picture.size == (32, 24)


def test_a_damaged_image_says_why_it_cannot_be_shown(workspace: Workspace, folder: Path) -> None:
    (folder / "dirt" / "000.png").write_bytes(b"no image at all")
    pictures = {picture.name: picture for picture in found(workspace, folder).pictures}
    assert "not an image" in pictures["dirt/000.png"].refused
    assert not pictures["dirt/000.png"].jpeg
    assert pictures["dirt/001.png"].jpeg


def test_boxes_are_counted_drawn_and_cut_out_wide(workspace: Workspace, tmp_path: Path) -> None:
    write_voc(
        tmp_path / "set",
        {"a": [("dirt", 40, 30, 50, 40), ("dirt", 5, 5, 9, 9)], "b": [("drop", 9, 9, 20, 20)]},
    )
    save_image(tmp_path / "set" / "images" / "c.png", (99, 90, 90))
    seen = found(workspace, tmp_path / "set")
    assert (seen.format, seen.n_boxes, seen.n_without_boxes) == ("voc", 3, 1)
    with Image.open(BytesIO(seen.pictures[0].jpeg)) as picture:
        red, _, blue = picture.getpixel((45, 30))
    assert (red > 150, blue < 110) == (True, True)
    assert [each.box.label for each in seen.surroundings] == ["dirt", "drop", "dirt"]
    crops = preview_crops(seen, margin=1.0)
    with Image.open(BytesIO(crops[0].jpeg)) as crop:
        assert crop.size == (33, 33)  # the box of 11 pixels with as many on each side


def test_a_source_without_images_is_found_empty(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    seen = found(workspace, tmp_path / "empty")
    assert (seen.n_images, seen.pictures, seen.classes) == (0, (), {})


def test_findings_are_kept_whole(workspace: Workspace, tmp_path: Path) -> None:
    write_voc(tmp_path / "set", {"a": [("dirt", 40, 30, 50, 40)]})
    job = look(workspace, tmp_path / "set")
    direct = look_through.examine(
        tmp_path / "set", format="auto", refused=(), report=lambda share, step: None
    )
    assert load_findings(workspace, job.id) == direct


def test_findings_that_are_gone_are_told_as_that(workspace: Workspace, folder: Path) -> None:
    job = look(workspace, folder)
    looks.discard_look(workspace, job)
    with pytest.raises(OperatorError, match="no longer kept"):
        load_findings(workspace, job.id)
    assert len(list(folder.rglob("*.png"))) == 6


def test_a_source_outside_the_allowed_folder_is_refused_in_the_job_as_well(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "link").symlink_to(folder)
    within = str(tmp_path / "allowed")
    for source in (folder, tmp_path / "allowed" / "link", tmp_path / "allowed" / ".." / "panels"):
        job = look(workspace, source, within=within)
        assert job.status == "failed"
        assert job.error
        assert "lies outside" in job.error["title"]
    assert look(workspace, folder, within=str(tmp_path)).status == "succeeded"


# Archives


def test_an_upload_is_unpacked_once_for_looks_and_import(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[Path] = []
    extract = unpacking.extract_zip

    def counted(*arguments, **options):  # type: ignore[no-untyped-def]
        times.append(arguments[0])
        return extract(*arguments, **options)

    monkeypatch.setattr(unpacking, "extract_zip", counted)
    archive = uploads.store_upload(workspace, zipped(folder, {"../evil.png": b"x"}))
    first = found(workspace, archive, is_upload=True)
    again = found(workspace, archive, is_upload=True, format="folder")
    assert first.n_images == again.n_images == 6
    assert first.refused == again.refused == (("../evil.png", first.refused[0][1]),)
    job = do(workspace, ImportImages(source=str(archive), shown_as="panels.zip"))
    assert job.status == "succeeded"
    assert job.result
    assert [each["path"] for each in job.result["rejected"]] == ["../evil.png"]
    assert times == [archive]
    assert list((workspace.path / "uploads").iterdir()) == []


def test_an_archive_from_elsewhere_leaves_nothing_behind(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "panels.zip"
    archive.write_bytes(zipped(folder).read())
    job = look(workspace, archive)
    assert load_findings(workspace, job.id).n_images == 6
    assert archive.exists()
    names = {path.name for path in (workspace.path / "jobs" / str(job.id)).iterdir()}
    assert names == {"findings.json", "log.txt"}


def test_a_look_that_is_cancelled_leaves_no_half_folder(workspace: Workspace, folder: Path) -> None:
    archive = uploads.store_upload(workspace, zipped(folder))
    config = LookThrough(source=str(archive), is_upload=True)
    job = queue.submit(workspace, config, actor="Ada", start=False)
    seen: list[str] = []

    class Cancelling(JobContext):
        def report(self, progress: float, step: str) -> None:
            seen.append(step)
            if len(seen) == 3:
                raise look_through_cancelled
            super().report(progress, step)

    look_through_cancelled = KeyboardInterrupt()
    claimed = job_rows.claim(workspace, job.id, queue_owner())
    with pytest.raises(KeyboardInterrupt):
        look_through.run(Cancelling(workspace, claimed), config)
    assert seen == ["Unpacking the archive"] * 3
    assert [path.name for path in (workspace.path / "uploads").iterdir()] == [archive.name]


def queue_owner() -> job_rows.Owner:
    from core.jobs.processes import this_process

    return this_process()


def test_what_a_killed_look_unpacked_half_is_never_taken_for_whole(
    workspace: Workspace, folder: Path
) -> None:
    archive = uploads.store_upload(workspace, zipped(folder))
    config = LookThrough(source=str(archive), is_upload=True)
    job = queue.submit(workspace, config, actor="Ada", start=False)
    child = os.fork()
    if child == 0:  # killed while the third file is unpacked
        n_entries = 0

        def die(context: JobContext, progress: float, step: str) -> None:
            nonlocal n_entries
            n_entries += 1
            if n_entries == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        JobContext.report = die  # type: ignore[method-assign]
        job_ = job_rows.get_job(workspace, job.id)
        look_through.run(JobContext(workspace, job_), config)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not uploads.unpacked_folder(workspace, archive).exists()
    assert uploads.unpacking_folder(workspace, archive, job.id).exists()
    assert run_job(workspace, job.id).status == "succeeded"
    assert load_findings(workspace, job.id).n_images == 6
    assert not uploads.unpacking_folder(workspace, archive, job.id).exists()


def test_a_zip_that_is_none_fails_with_words_and_stays(workspace: Workspace) -> None:
    archive = uploads.store_upload(workspace, BytesIO(b"no zip"))
    job = look(workspace, archive, is_upload=True)
    assert job.status == "failed"
    assert looks.is_open(workspace, job)
    looks.discard_look(workspace, job)
    assert not looks.is_open(workspace, job)


# What waits for a person


def test_a_look_is_open_until_its_import_or_its_end(workspace: Workspace, folder: Path) -> None:
    first, second = look(workspace, folder), look(workspace, folder)
    assert [job.id for job in looks.open_looks(workspace)] == [second.id]
    assert looks.import_of(workspace, second) is None
    taken = import_folder(workspace, folder)
    assert looks.import_of(workspace, first).id == taken.id  # type: ignore[union-attr]
    assert looks.open_looks(workspace) == []
    third = look(workspace, folder)
    assert looks.import_of(workspace, third) is None
    assert [job.id for job in looks.open_looks(workspace)] == [third.id]
    looks.discard_look(workspace, third)
    assert looks.open_looks(workspace) == []


# What would come of it


def counts(rows: object) -> dict[tuple[str | None, str | None], int]:
    return {(label, split): n for label, split, n in rows}  # type: ignore[attr-defined]


def test_kept_splits_are_previewed_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    for split, n_images in (("train", 3), ("valid", 1)):
        write_images(tmp_path / "set" / split, n_per_class=n_images, classes=["dirt"])
    save_image(tmp_path / "set" / "dirt" / "9.png", (1, 2, 3))
    seen = found(workspace, tmp_path / "set")
    preview = preview_splits(workspace, seen, split="keep", groups=seen.groups, boxes=False)
    assert counts(preview.rows) == {
        ("dirt", "train"): 3,
        ("dirt", "validation"): 1,
        ("dirt", None): 1,
    }


@pytest.mark.parametrize("split", ["auto", "60/20/0/20"])
def test_the_preview_of_a_draw_is_what_the_import_draws(
    split: str, workspace: Workspace, tmp_path: Path
) -> None:
    """Gradients, so that no two images look alike to the search for near-duplicates."""
    for number in range(40):
        place = tmp_path / "set" / ("dirt" if number % 2 else "drop") / f"{number:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((32, 32), 60 + number)
        noise.resize((64, 64)).convert("RGB").save(place)
    seen = found(workspace, tmp_path / "set")
    preview = preview_splits(workspace, seen, split=split, groups=seen.groups, boxes=False)
    import_folder(workspace, tmp_path / "set", split=split)
    assert counts(preview.rows) == counts(catalog.summarise(workspace).by_label_and_split)


def test_the_preview_counts_what_is_here_already(workspace: Workspace, tmp_path: Path) -> None:
    write_images(tmp_path / "old" / "train", n_per_class=10, classes=["dirt"])
    import_folder(workspace, tmp_path / "old")
    new = write_images(tmp_path / "new", n_per_class=4, classes=["dirt"])
    seen = found(workspace, new)
    preview = preview_splits(workspace, seen, split="50/0/0/50", groups=seen.groups, boxes=False)
    assert counts(preview.rows) == {("dirt", "test"): 4}  # training has more than its half


def test_groups_by_a_pattern_or_a_column_stay_together(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = ["path,label,panel"]
    for panel in range(4):
        for shot in range(3):
            name = f"p{panel}-{shot}.png"
            save_image(tmp_path / "set" / name, (panel, shot, 9))
            rows.append(f"{name},dirt,{panel}")
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows))
    seen = found(workspace, tmp_path / "set")
    by_pattern, by_column = group_shots(seen, r"p(\d)"), group_shots(seen, "panel")
    assert by_pattern == by_column == [str(panel) for panel in range(4) for _ in range(3)]
    preview = preview_splits(workspace, seen, split="50/0/0/50", groups=by_pattern, boxes=False)
    assert counts(preview.rows) == {("dirt", "train"): 6, ("dirt", "test"): 6}
    assert preview.n_straddling == 0


def test_groups_that_the_source_divides_are_counted(workspace: Workspace, tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_image(tmp_path / "set" / split / f"panel-1-{split}.png", (1, 1, 1))
        save_image(tmp_path / "set" / split / f"panel-{split}.png", (2, 2, 2))
    seen = found(workspace, tmp_path / "set")
    groups = group_shots(seen, r"panel-(\d+)")
    preview = preview_splits(workspace, seen, split="keep", groups=groups, boxes=False)
    assert preview.n_straddling == 1


@pytest.mark.parametrize("pattern", ["(", "*", "x" * 300])
def test_a_pattern_that_is_none_is_refused_in_a_sentence(
    pattern: str, workspace: Workspace, folder: Path
) -> None:
    with pytest.raises(ValueError, match=r"pattern|regular expression"):
        group_shots(found(workspace, folder), pattern)


def test_crops_are_counted_a_box_and_stay_with_their_image(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_voc(
        tmp_path / "set",
        {
            "a": [("dirt", 1, 1, 9, 9), ("drop", 20, 1, 29, 9)],
            "b": [("dirt", 1, 1, 9, 9), ("drop", 20, 1, 29, 9)],
            "c": [],
        },
    )
    seen = found(workspace, tmp_path / "set")
    preview = preview_splits(workspace, seen, split="50/0/0/50", groups=seen.groups, boxes=True)
    assert counts(preview.rows) == {
        (label, split): 1 for label in ("dirt", "drop") for split in ("train", "test")
    }


def test_what_a_look_stores_holds_no_path_of_this_machine(
    workspace: Workspace, folder: Path
) -> None:
    job = look(workspace, folder)
    stored = json.loads((workspace.path / "jobs" / str(job.id) / "findings.json").read_text())
    assert str(folder) not in json.dumps(stored)
    assert set(stored["formats"]) <= set(FORMATS)
