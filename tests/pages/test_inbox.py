"""The inbox: start and stop a watcher, see what came, drop an image and read its answer."""

import io
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.jobs.configs import AnswerDropped, WatchFolder
from core.settings import PROJECT_ROOT
from core.state import arrivals, catalog, intake, job_rows
from core.state.arrivals import Answer, NewArrival
from core.state.queue_rows import NewItem
from core.state.workspace import Workspace
from tests.factories import new_image
from tests.login import OPERATOR, configured
from tests.pages.conftest import TIMEOUT_S, OpenPage, checked, click, shown_ids, texts

PAGE = "inbox"


@pytest.fixture
def arrived(small: Workspace) -> Workspace:
    """One image was taken, one file refused."""
    item = NewItem(-1, "left to people", suggested="drop")
    answer = Answer("drop", 0.97, 0.2, 0.9, "operator", "net-1", "plan-1", item)
    found = [
        NewArrival("001.png", "1-1", 0.0, new_image(1), answer),
        NewArrival("note.txt", "1-1", 0.0, reason="the content is text"),
    ]
    import_id = intake.import_of_day(small, source="/line", format="camera", actor="line")
    arrivals.take(small, "/line", found, import_id=import_id, application_id=None, actor="line")
    return small


def test_without_an_allowed_folder_the_page_says_how_to_watch_one(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(PAGE)
    assert "core watch DIR" in texts(at)
    assert "Nothing has come in yet" in texts(at)


def test_a_folder_below_an_allowed_one_is_watched_and_the_watcher_stopped(
    open_page: OpenPage, small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_IMPORT_ROOTS", str(tmp_path))
    at = open_page(PAGE)
    checked(at.text_input(key="inbox.below").set_value("camera-1").run())
    click(at, "inbox.watch")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert (job.kind, job.lane) == (WatchFolder.kind, "watch")
    assert job.config["folder"] == str(tmp_path / "camera-1")
    assert job.config["within"] == str(tmp_path)
    click(at, f"inbox.stop.{job.id}")
    assert job_rows.get_job(small, job.id).status == "cancelled"


def test_what_came_is_shown_with_its_answer_and_what_was_refused_with_its_reason(
    open_page: OpenPage, arrived: Workspace
) -> None:
    at = open_page(PAGE)
    (done,) = arrivals.list_taken(arrived)
    assert shown_ids(at, "inbox.newest.gallery") == [done.image_id]
    assert at.metric[0].value == "1"
    refused = at.dataframe[0].value
    assert refused["reason"].tolist() == ["the content is text"]


def test_a_dropped_image_is_sent_to_be_answered_and_its_answer_shown(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(PAGE, inbox__view="Drop")
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    at.file_uploader(key="inbox.files.0").upload("a.png", picture.getvalue(), "image/png")
    checked(at.run())
    click(at, "inbox.answer")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert job.kind == AnswerDropped.kind
    assert job.config["files"][0][1] == "a.png"
    ids = catalog.image_ids(small).tolist()
    told = {
        "name": "a.png",
        "status": "taken",
        "reason": "",
        "image": ids[0],
        "label": "drop",
        "confidence": 0.91,
        "novelty": 0.3,
        "route": "operator",
        "probabilities": [0.09, 0.91],
        "classes": ["dirt", "drop"],
        "nearest": ids[1:6],
        "has_heat_map": True,
    }
    finish(small, job.id, {"model": "net-1", "answers": [told]})
    at = open_page(PAGE, inbox__view="Drop", dropped=str(job.id))
    assert "91.0" in texts(at).replace("\\", "")
    assert shown_ids(at, "inbox.answer.0.nearest.gallery") == ids[1:6]
    assert any("/heat/net-1/" in str(each.proto) for each in at.get("html"))


def finish(workspace: Workspace, job_id: int, result: dict) -> None:
    job = job_rows.claim(workspace, job_id, job_rows.Owner("here", 1, 0.0))
    job_rows.finish(workspace, job, "succeeded", result=result)


def test_an_operator_watches_no_folder(
    open_page: OpenPage, small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_IMPORT_ROOTS", str(tmp_path))
    with configured(tmp_path):
        at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
        at.user = {"is_logged_in": True, "email": OPERATOR, "name": "anyone"}
        at.switch_page(f"{PAGE}.py")
        checked(at.run())
        click(at, "inbox.watch")
        assert at.error
    assert job_rows.list_jobs(small, statuses=("queued",)) == []
