"""Images come in through the page as jobs that really run, and only from where they may."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.images.formats import importers
from core.jobs.worker import run_job
from core.report.subsets import HasLookAlikes, decode
from core.state import catalog, job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace, create_workspace
from pages._import_formats import TITLES
from tests import samples
from tests.pages.conftest import OpenPage, checked, choose, click, texts


@pytest.fixture
def empty(home: Path) -> Workspace:
    return create_workspace(home / "empty", name="Empty")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may be imported from, with two images a class in `line`."""
    samples.write_images(tmp_path / "root" / "line", n_per_class=2)
    monkeypatch.setenv("LACQUER_IMPORT_ROOTS", str(tmp_path / "root"))
    return tmp_path / "root"


def zipped(folder: Path, **more: bytes) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
        for name, text in more.items():
            archive.writestr(f"dirt/{name}.png", text)
    return content.getvalue()


def do_waiting(workspace: Workspace) -> Job:
    """Do the one job that waits, in this process."""
    waiting = job_rows.list_jobs(workspace, statuses=("queued",))
    assert len(waiting) == 1
    return run_job(workspace, waiting[0].id)


def open_folder_import(open_page: OpenPage) -> AppTest:
    at = open_page("dataset", dataset__view="Import")
    return choose(at, "dataset.source", "Folder or CSV on this machine")


def upload(open_page: OpenPage, content: bytes, *, person: str | None = "Ada") -> AppTest:
    """The page once a zip was sent and is to be looked through."""
    at = open_page("dataset", person=person, dataset__view="Import")
    at.file_uploader(key="dataset.upload").upload("panels.zip", content, "application/zip")
    checked(at.run())
    return click(at, "dataset.look")


def look_at(open_page: OpenPage, workspace: Workspace, below: str = "line") -> AppTest:
    """The page that shows what a folder holds, in a session that did not ask for it."""
    at = open_folder_import(open_page)
    at.text_input(key="dataset.below").set_value(below)
    click(at, "dataset.look")
    job = do_waiting(workspace)
    assert job.status == "succeeded", job.error
    return open_page("dataset", look=str(job.id))


def decide(at: AppTest, **choices: object) -> AppTest:
    """Make choices by their key's middle part, as in `dataset.rule.7`."""
    for name, value in choices.items():
        wanted = f"dataset.{name}."
        kinds = (at.selectbox, at.text_input, at.radio, at.checkbox, at.slider)
        found = [each for kind in kinds for each in kind if (each.key or "").startswith(wanted)]
        assert len(found) == 1, name
        checked(found[0].set_value(value).run())
    return at


def keys(at: AppTest) -> set[str]:
    """Keys of the buttons that can be pressed."""
    return {button.key for button in at.button if not button.disabled}


# The wizard, step by step


def test_an_empty_workspace_says_what_can_be_brought(open_page: OpenPage, empty: Workspace) -> None:
    at = open_page("dataset")
    assert "Bring your images in" in texts(at)
    assert at.button(key="dataset.look").disabled
    shown = "\n".join(code.value for code in at.code)
    assert "train/scratch/001.jpg" in shown
    assert "path,label,split" in shown
    assert set(importers.FORMATS) <= set(TITLES)


def test_a_view_of_an_empty_workspace_leads_to_the_import(
    open_page: OpenPage, empty: Workspace
) -> None:
    at = open_page("dataset", dataset__view="Report")
    assert "There are no images yet." in texts(at)
    assert "Bring your images in" in texts(click(at, "dataset.first"))


def test_an_uploaded_zip_is_looked_through_and_imported_as_chosen(
    open_page: OpenPage, empty: Workspace, tmp_path: Path
) -> None:
    content = zipped(samples.write_images(tmp_path / "line", n_per_class=3), bad=b"no image")
    at = upload(open_page, content)
    look = do_waiting(empty)
    assert (look.kind, look.actor, look.status) == ("look_through", "Ada", "succeeded")
    assert at.query_params["look"] == str(look.id)
    assert catalog.count_images(empty) == 0
    at = open_page("dataset", look=str(look.id))
    assert {metric.label: metric.value for metric in at.metric}["Images"] == "10"
    assert at.button(key="dataset.go").label == "Import 10 images"
    assert any("cannot be read: the content is text" in each.proto.body for each in at.get("html"))
    decide(at, rule="draw", shares="50/0/0/50")
    click(at, "dataset.go")
    job = do_waiting(empty)
    assert (job.kind, job.actor, job.status) == ("import", "Ada", "succeeded")
    assert job.config["split"] == "50/0/0/50"
    assert set(job.result["splits"]) == {"train", "test"}
    at = open_page("dataset", look=str(look.id))
    assert {metric.label: metric.value for metric in at.metric}["Imported"] == "9"
    assert at.dataframe[0].value["file"].tolist() == ["dirt/bad.png"]
    click(at, "dataset.import_more")
    assert "look" not in at.query_params
    assert [expander.label for expander in at.expander if "panels" in expander.label]


def test_a_zip_that_is_none_fails_with_words_and_stays_until_it_is_discarded(
    open_page: OpenPage, empty: Workspace
) -> None:
    upload(open_page, b"no zip")
    look = do_waiting(empty)
    assert look.status == "failed"
    at = open_page("dataset", look=str(look.id))
    assert "cannot be opened" in texts(at)
    assert "dataset.go" not in keys(at)
    click(at, f"dataset.discard.{look.id}")
    assert list((empty.path / "uploads").iterdir()) == []
    assert "look" not in at.query_params


def test_a_name_is_asked_for_before_an_upload_is_taken(
    open_page: OpenPage, empty: Workspace
) -> None:
    at = upload(open_page, b"no zip", person=None)
    assert at.text_input(key="shared.dialog.name")
    assert job_rows.list_jobs(empty) == []
    assert not list(empty.path.rglob("*.zip"))


def test_what_waits_for_a_decision_is_found_again_without_its_address(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    look_at(open_page, empty)
    look = job_rows.list_jobs(empty)[0]
    at = open_page("dataset", person="Grace", dataset__view="Import")
    assert "Looked through, not imported yet" in texts(at)
    click(at, f"dataset.open.{look.id}")
    assert at.query_params["look"] == str(look.id)
    assert "dataset.go" in keys(at)
    click(at, f"dataset.discard.{look.id}")
    assert "Looked through" not in texts(open_page("dataset", dataset__view="Import"))
    assert len(list(root.rglob("*.png"))) == 6


def test_while_a_look_waits_or_runs_nothing_can_be_decided(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = open_folder_import(open_page)
    click(at, "dataset.look")
    look = job_rows.list_jobs(empty)[0]
    at = open_page("dataset", look=str(look.id))
    assert "is being looked through" in texts(at)
    assert "dataset.go" not in keys(at)
    click(at, f"shared.cancel.{look.id}")
    at = open_page("dataset", look=str(look.id))
    assert "was cancelled" in texts(at)
    click(at, "dataset.again")
    assert at.query_params["look"] == str(look.id + 1)


@pytest.mark.parametrize("look", ["", "x", "999", "-1", "1e3"])
def test_an_address_that_names_no_look_shows_the_first_step(
    look: str, open_page: OpenPage, empty: Workspace
) -> None:
    assert "Bring your images in" in texts(open_page("dataset", dataset__view="Import", look=look))


def test_without_an_allowed_folder_none_can_be_named(open_page: OpenPage, empty: Workspace) -> None:
    at = open_folder_import(open_page)
    assert "LACQUER_IMPORT_ROOTS" in texts(at)
    assert "dataset.look" not in [button.key for button in at.button]


def test_an_allowed_folder_is_imported_where_it_is(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = look_at(open_page, empty)
    decide(at, reference=True)
    click(at, "dataset.go")
    assert do_waiting(empty).result["n_imported"] == 6
    image = catalog.list_images(empty)[0]
    assert catalog.image_path(empty, image).is_relative_to(root / "line")


@pytest.mark.parametrize("below", ["..", "../elsewhere", "/etc", "line/../..", "link"])
def test_nothing_outside_the_allowed_folders_is_looked_at(
    below: str, open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    (root / "link").symlink_to("/etc")
    at = open_folder_import(open_page)
    at.text_input(key="dataset.below").set_value(below)
    click(at, "dataset.look")
    assert "lies outside the allowed folder" in at.error[0].value
    assert job_rows.list_jobs(empty) == []


def test_shares_that_are_none_are_refused_while_they_are_typed(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = look_at(open_page, empty)
    decide(at, rule="draw", shares="half/half")
    assert at.error
    assert at.button(key="dataset.go").disabled
    decide(at, shares="0/0/0/1")
    assert at.dataframe[0].value.columns.tolist() == ["test"]
    click(at, "dataset.go")
    assert do_waiting(empty).result["splits"] == {"test": 6}


def test_shots_are_grouped_by_a_pattern_that_the_page_tries_out(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = look_at(open_page, empty)
    assert "its accuracy is a lie" in texts(at)
    decide(at, rule="draw", shares="50/0/0/50", group_rule="pattern", group_pattern="(")
    assert "not a regular expression" in texts(at).replace("\\", "")
    assert at.button(key="dataset.go").disabled
    decide(at, group_pattern=r"(\d+)\.png")
    assert "2 groups** of 3 images" in texts(at)
    assert at.dataframe[0].value.sum().tolist() == [3, 3]
    click(at, "dataset.go")
    job = do_waiting(empty)
    assert job.config["group_by"] == r"(\d+)\.png"
    assert sorted(job.result["splits"].values()) == [3, 3]


def test_shots_are_grouped_by_a_column(open_page: OpenPage, empty: Workspace, root: Path) -> None:
    names = sorted(str(file.relative_to(root / "line")) for file in root.rglob("*.png"))
    rows = ["path,label,panel", *(f"{name},dirt,{i // 3}" for i, name in enumerate(names))]
    (root / "line" / "labels.csv").write_text("\n".join(rows))
    at = look_at(open_page, empty)
    assert at.dataframe[0].value["column"].tolist() == ["panel"]
    decide(at, group_rule="column")
    assert "2 groups** of 3 images" in texts(at)
    click(at, "dataset.go")
    assert do_waiting(empty).config["group_by"] == "panel"


def test_boxes_are_offered_as_crops(open_page: OpenPage, empty: Workspace, root: Path) -> None:
    for number, label in enumerate(("dirt", "drop")):
        samples.save_image(root / "set" / "images" / f"{number}.png", (number, 9, 9))
        (root / "set" / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.png</filename><object><name>{label}</name><bndbox>"
            "<xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
            "</annotation>"
        )
    samples.save_image(root / "set" / "images" / "none.png", (9, 99, 9))
    at = look_at(open_page, empty, "set")
    assert at.button(key="dataset.go").label == "Import 3 images"
    decide(at, crops="boxes", margin=0.5)
    assert at.button(key="dataset.go").label == "Import 2 crops"
    assert "1 image without a box will be refused" in texts(at)
    click(at, "dataset.go")
    job = do_waiting(empty)
    assert (job.config["crops"], job.config["crop_margin"]) == ("boxes", 0.5)
    assert job.result["classes"] == {"dirt": 1, "drop": 1}


def test_splits_that_the_source_gives_are_not_said_to_keep_look_alikes_together(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    for split in ("train", "test"):
        samples.write_images(root / "given" / split, n_per_class=1)
    at = look_at(open_page, empty, "given")
    assert "The source's splits stay as they are" in texts(at)
    at = decide(at, rule="draw")
    assert "Images that look alike are kept together" in texts(at)


def test_look_alikes_in_several_splits_lead_from_the_import_to_the_report(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    texture = np.random.default_rng(4).integers(0, 255, (16, 16), np.uint8)
    picture = Image.fromarray(texture).resize((128, 128))
    for split, quality in (("train", 95), ("test", 60)):
        folder = root / "given" / split / "dirt"
        folder.mkdir(parents=True)
        picture.save(folder / "shot.jpg", quality=quality)
    (folder / "Thumbs.db").write_bytes(b"")
    at = look_at(open_page, empty, "given")
    look = at.query_params["look"]
    click(at, "dataset.go")
    do_waiting(empty)
    at = open_page("dataset", look=look)
    assert "Left alone, as no images: Thumbs.db." in texts(at).replace("\\", "")
    at = click(at, "dataset.see_straddling")
    assert decode(at.query_params["shown"]) == (HasLookAlikes("splits"),)
    assert "2 images that look alike in several splits" in texts(at)


def test_another_format_that_fits_can_be_looked_at(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    (root / "line" / "labels.csv").write_text("path,label\ndirt/000.png,smudge\n")
    at = look_at(open_page, empty)
    assert at.button(key="dataset.go").label == "Import 1 image"
    decide(at, format="folder")
    click(at, "dataset.again")
    look = do_waiting(empty)
    at = open_page("dataset", look=str(look.id))
    assert at.button(key="dataset.go").label == "Import 6 images"


def test_what_will_be_refused_is_listed_before_anything_is_taken(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    (root / "line" / "dirt" / "raw.heic").write_bytes(b"x")
    at = look_at(open_page, empty)
    assert at.dataframe[0].value["file"].tolist() == ["dirt/raw.heic"]
    assert "Damaged pixels show only when the files are read" in texts(at)


def test_an_import_that_fails_leads_back_to_the_choices(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = look_at(open_page, empty)
    click(at, "dataset.go")
    look = next(job for job in job_rows.list_jobs(empty) if job.kind == "look_through")
    (root / "line").rename(root / "moved")
    assert do_waiting(empty).status == "failed"
    at = open_page("dataset", look=str(look.id))
    assert "There is nothing at" in texts(at)
    (root / "moved").rename(root / "line")
    click(at, "dataset.go")
    assert do_waiting(empty).result["n_imported"] == 6


def test_while_an_import_runs_its_upload_cannot_be_discarded(
    open_page: OpenPage, empty: Workspace, tmp_path: Path
) -> None:
    upload(open_page, zipped(samples.write_images(tmp_path / "line", n_per_class=1)))
    look = do_waiting(empty)
    at = open_page("dataset", look=str(look.id))
    click(at, "dataset.go")
    at = open_page("dataset", look=str(look.id))
    assert "is being imported" in texts(at)
    at = open_page("dataset", dataset__view="Import")
    assert at.button(key=f"dataset.discard.{look.id}").disabled


# Synthetic images, export, files


def test_synthetic_images_beside_real_ones_are_for_training_alone(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__view="Import")
    choose(at, "dataset.source", "Synthetic paint defects")
    assert at.checkbox(key="dataset.training_only").value
    at.number_input(key="dataset.n").set_value(2)
    click(at, "dataset.generate")
    assert "2 images are being drawn" in texts(at)
    assert do_waiting(small).status == "succeeded"
    at = open_page("dataset", look=at.query_params["look"])
    assert "Synthetic paint defects are in" in texts(at)
    assert "Left alone" not in texts(at)
    assert "Choose a source" in texts(click(at, "dataset.import_more"))
    synthetic = catalog.ImageFilter(attributes=(("origin", "synthetic"),))
    assert {image.split for image in catalog.list_images(small, synthetic)} == {"train"}


def test_synthetic_images_that_were_not_drawn_lead_back_to_the_sources(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__view="Import")
    choose(at, "dataset.source", "Synthetic paint defects")
    decided = at.checkbox(key="dataset.training_only").set_value(False)
    checked(decided.run())
    at = click(at, "dataset.generate")
    assert do_waiting(small).status == "failed"
    at = open_page("dataset", look=at.query_params["look"])
    assert "This workspace holds real images" in texts(at)
    assert at.button(key="dataset.look").disabled


def test_an_export_is_offered_once_it_is_made_until_it_is_removed(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__view="Export")
    assert not at.link_button
    click(at, "dataset.export.csv")
    job = do_waiting(small)
    at = open_page("dataset", dataset__view="Export")
    address = f"lacquer/{small.uid}/export/{job.result['archive']}"
    assert [link.url for link in at.link_button] == [address]
    click(at, f"dataset.remove.{job.id}")
    assert not at.link_button
    assert list((small.path / "exports").iterdir()) == []


# Jobs, as the activity shows them


def test_a_waiting_job_is_shown_and_can_be_cancelled_and_resumed(
    open_page: OpenPage, small: Workspace
) -> None:
    click(open_page("dataset", dataset__view="Report"), "dataset.check")
    job = job_rows.list_jobs(small, statuses=("queued",))[0]
    assert "waiting" in open_page("dataset").get("progress")[0].text
    at = open_page("activity")
    click(at, f"activity.cancel.{job.id}")
    assert job_rows.get_job(small, job.id).status == "cancelled"
    at = open_page("activity")
    click(at, f"activity.resume.{job.id}")
    assert run_job(small, job.id).status == "succeeded"


def test_a_failed_job_says_why_and_shows_its_log(
    open_page: OpenPage, small: Workspace, root: Path
) -> None:
    at = open_folder_import(open_page)
    at.text_input(key="dataset.below").set_value("nowhere")
    click(at, "dataset.look")
    job = do_waiting(small)
    at = open_page("activity")
    assert "nowhere" in at.error[0].value
    at.toggle(key=f"activity.log.{job.id}").set_value(True)
    assert "There is nothing at" in checked(at.run()).code[0].value
