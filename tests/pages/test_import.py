"""Images come in through the page as jobs that really run, and only from where they may."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.worker import run_job
from core.state import catalog, job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace, create_workspace
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
        for file in folder.rglob("*.png"):
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


def test_an_uploaded_zip_becomes_images_and_what_it_refuses_is_listed(
    open_page: OpenPage, empty: Workspace, tmp_path: Path
) -> None:
    content = zipped(samples.write_images(tmp_path / "line", n_per_class=2), bad=b"no image")
    at = open_page("dataset")
    assert at.button(key="dataset.go").disabled
    at.file_uploader(key="dataset.upload").upload("panels.zip", content, "application/zip")
    checked(at.run())
    click(at, "dataset.go")
    job = do_waiting(empty)
    assert (job.kind, job.actor, job.status) == ("import", "Ada", "succeeded")
    assert catalog.count_images(empty) == 6
    assert list((empty.path / "uploads").iterdir()) == []
    at = open_page("dataset", dataset__view="Import")
    assert [expander.label for expander in at.expander if "panels" in expander.label]
    refused = at.dataframe[0].value
    assert refused["file"].tolist() == ["dirt/bad.png"]
    assert refused["reason"].iloc[0]


def test_a_zip_that_is_none_fails_with_words_and_stays_for_another_try(
    open_page: OpenPage, empty: Workspace
) -> None:
    at = open_page("dataset")
    at.file_uploader(key="dataset.upload").upload("panels.zip", b"no zip", "application/zip")
    checked(at.run())
    click(at, "dataset.go")
    assert do_waiting(empty).status == "failed"
    at = open_page("dataset")
    assert at.error
    assert len(list((empty.path / "uploads").iterdir())) == 1


def test_a_name_is_asked_for_before_an_upload_is_taken(
    open_page: OpenPage, empty: Workspace
) -> None:
    at = open_page("dataset", person=None)
    at.file_uploader(key="dataset.upload").upload("panels.zip", b"no zip", "application/zip")
    checked(at.run())
    click(at, "dataset.go")
    assert at.text_input(key="shared.dialog.name")
    assert job_rows.list_jobs(empty) == []
    assert not list(empty.path.rglob("*.zip"))


def test_without_an_allowed_folder_none_can_be_named(open_page: OpenPage, empty: Workspace) -> None:
    at = open_folder_import(open_page)
    assert "LACQUER_IMPORT_ROOTS" in texts(at)
    assert "dataset.go_path" not in [button.key for button in at.button]


def test_an_allowed_folder_is_imported(open_page: OpenPage, empty: Workspace, root: Path) -> None:
    at = open_folder_import(open_page)
    at.text_input(key="dataset.below").set_value("line")
    at.checkbox(key="dataset.reference").set_value(True)
    click(at, "dataset.go_path")
    assert do_waiting(empty).result["n_imported"] == 6
    image = catalog.list_images(empty)[0]
    assert catalog.image_path(empty, image).is_relative_to(root / "line")


@pytest.mark.parametrize("below", ["..", "../elsewhere", "/etc", "line/../..", "link"])
def test_nothing_outside_the_allowed_folders_is_imported(
    below: str, open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    (root / "link").symlink_to("/etc")
    at = open_folder_import(open_page)
    at.text_input(key="dataset.below").set_value(below)
    click(at, "dataset.go_path")
    assert "lies outside the allowed folder" in at.error[0].value
    assert job_rows.list_jobs(empty) == []


def test_shares_that_are_none_are_refused_while_they_are_typed(
    open_page: OpenPage, empty: Workspace, root: Path
) -> None:
    at = open_folder_import(open_page)
    at.selectbox(key="dataset.path.rule").select("draw")
    checked(at.run())
    at.text_input(key="dataset.path.shares").set_value("half/half")
    checked(at.run())
    assert at.error
    assert at.button(key="dataset.go_path").disabled
    at.text_input(key="dataset.path.shares").set_value("0/0/0/1")
    checked(at.run())
    click(at, "dataset.go_path")
    assert do_waiting(empty).result["splits"] == {"test": 6}


def test_synthetic_images_beside_real_ones_are_for_training_alone(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__view="Import")
    choose(at, "dataset.source", "Synthetic paint defects")
    assert at.checkbox(key="dataset.training_only").value
    at.number_input(key="dataset.n").set_value(2)
    click(at, "dataset.generate")
    assert do_waiting(small).status == "succeeded"
    synthetic = catalog.ImageFilter(attributes=(("origin", "synthetic"),))
    assert {image.split for image in catalog.list_images(small, synthetic)} == {"train"}


def test_an_export_is_offered_once_it_is_made(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset", dataset__view="Export")
    assert not at.link_button
    choose(at, "dataset.format", "csv")
    click(at, "dataset.export")
    name = do_waiting(small).result["archive"]
    at = open_page("dataset", dataset__view="Export")
    assert [link.url for link in at.link_button] == [f"/lacquer/{small.uid}/export/{name}"]


def test_a_check_finds_files_that_are_gone(open_page: OpenPage, small: Workspace) -> None:
    catalog.image_path(small, catalog.list_images(small)[0]).unlink()
    at = open_page("dataset", dataset__view="Report")
    click(at, "dataset.check")
    assert do_waiting(small).result["missing"] == 1
    at = open_page("dataset", dataset__view="Report")
    assert "1 images have a missing or changed file" in texts(at)


def test_the_report_lists_what_stands_out_and_what_came_twice(
    open_page: OpenPage, small: Workspace, tmp_path: Path
) -> None:
    samples.save_image(tmp_path / "more" / "black.png", (0, 0, 0))
    samples.save_image(tmp_path / "more" / "twin.png", (0, 0, 0))
    samples.import_folder(small, tmp_path / "more")
    at = open_page("dataset", dataset__view="Report")
    assert "25 images stand out" in texts(at)  # one that is black, and 24 without any contrast
    assert "twin.png" in at.dataframe[0].value["files"].iloc[0]


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
    click(at, "dataset.go_path")
    job = do_waiting(small)
    at = open_page("activity")
    assert "nowhere" in at.error[0].value
    at.toggle(key=f"activity.log.{job.id}").set_value(True)
    assert "There is nothing at" in checked(at.run()).code[0].value
