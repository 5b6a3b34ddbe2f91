"""A watched folder: each real image once in the store and in the output file, whatever is killed.

`LACQUER_TEST_FILES` says how many files arrive in the burst; `make soak` sends 500.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from core.__main__ import main
from core.jobs.configs import AnswerDropped, EmbedImages, WatchFolder
from core.jobs.context import JobContext
from core.jobs.steps import watch_folder
from core.jobs.steps.answering import features_of
from core.latent.backbones import get_backbone
from core.settings import PROJECT_ROOT
from core.state import (
    applications,
    arrivals,
    catalog,
    job_rows,
    labels,
    models,
    triage_queue,
    uploads,
)
from core.state.arrivals import AUTO
from core.state.database import reading, writing
from core.state.job_rows import Job
from core.state.schema import jobs, promotions, queue
from core.state.workspace import Workspace
from tests.line_shop import BACKBONE, build_line_shop, shoot
from tests.samples import copy_template, do, save_image
from tests.unit.jobs.conftest import wait_until

N_FILES = int(os.environ.get("LACQUER_TEST_FILES", "36"))
WATCHER_S = 300.0  # it loads a network first, and of 500 files each is read, copied and looked at
Watch = Callable[..., subprocess.Popen]


@pytest.fixture(autouse=True)
def interpreter() -> str:
    """The real one: the watchers here are no practice jobs."""
    return sys.executable


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The line's workspace, to copy."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LACQUER_HOME", str(folder))
        patched.setenv("LACQUER_OFFLINE", "1")
        return build_line_shop(folder)


@pytest.fixture
def shop(template: Path, home: Path) -> Workspace:
    """A line of one's own; its model labels by an applied plan."""
    return copy_template(template, home / "line")


@pytest.fixture
def without_model(shop: Workspace) -> Workspace:
    """The same, but no model was ever promoted."""
    with writing(shop) as connection:
        connection.execute(promotions.delete())
    return shop


@pytest.fixture
def camera(tmp_path: Path) -> Path:
    """An empty folder."""
    folder = tmp_path / "camera"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(shop: Workspace, camera: Path, tmp_path: Path) -> Iterator[Watch]:
    """Start a watcher in a process of its own; whatever is left of it is killed."""
    started: list[subprocess.Popen] = []

    def start(output: Path, *more: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "core", "--workspace", str(shop.path), "watch"]
        command += [str(camera), "--output", str(output), "--grace", "1", "--json", *more]
        with (tmp_path / "watch.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def once(shop: Workspace, camera: Path, output: Path | str = "", **more: Any) -> Job:
    """Take what is there, in this process."""
    config = WatchFolder(str(camera), output=str(output), once=True, grace_s=0.3, **more)
    return do(shop, config, actor="line")


def succeeded(job: Job) -> dict[str, Any]:
    assert job.status == "succeeded", job.error
    assert job.result is not None
    return dict(job.result)


def queued(workspace: Workspace) -> Counter[int]:
    with reading(workspace) as connection:
        return Counter(connection.execute(sa.select(queue.c.image_id)).scalars())


def test_each_real_image_is_there_once_though_the_watcher_is_killed_twice(
    shop: Workspace, camera: Path, watch: Watch, tmp_path: Path
) -> None:
    output = tmp_path / "answers.csv"
    n_before = catalog.count_images(shop)
    halves = [shoot(tmp_path / "elsewhere", 10_000 + number) for number in range(4)]
    process = watch(output)
    for number in range(N_FILES):
        shoot(camera, number)
        if number % 9 == 0:
            (camera / f"note-{number}.jpg").write_text("this is no image")
        if number % 12 == 0:
            (camera / f"copy-{number}.png").write_bytes((camera / f"{number:04}.png").read_bytes())
    for number, half in enumerate(halves):
        (camera / f"half-{number}.png").write_bytes(half.read_bytes()[:40])
    for share in (0.0, 0.5):
        wait_until(
            lambda share=share: len(arrivals.list_taken(shop)) > share * N_FILES,
            timeout_s=WATCHER_S,
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        with output.open("ab") as file:
            file.write(b"99,cut sho")  # as a kill in the middle of a line leaves it
        process = watch(output)
    for number, half in enumerate(halves):  # their last bytes come at last
        (camera / f"half-{number}.png").write_bytes(half.read_bytes())
    n_real = N_FILES + len(halves)
    wait_until(lambda: len(arrivals.list_taken(shop)) == n_real, timeout_s=WATCHER_S)
    n_refused = len(range(0, N_FILES, 9))
    wait_until(lambda: arrivals.summarise(shop).n_refused >= n_refused, timeout_s=WATCHER_S)
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=WATCHER_S)
    assert process.returncode == 0, (tmp_path / "watch.log").read_text()
    assert json.loads(told)["folder"] == str(camera)

    taken = arrivals.list_taken(shop)
    assert catalog.count_images(shop) == n_before + n_real
    assert len({each.image_id for each in taken}) == n_real
    with output.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["sha256"] for line in lines] == [each.sha256 for each in taken]
    n_in_queue = queued(shop)
    for each in taken:
        assert each.image_id is not None
        image = catalog.get_image(shop, each.image_id)
        if each.route == AUTO:
            assert (image.label, image.label_origin) == (each.label, "automatic")
        else:
            assert (image.label, n_in_queue[each.image_id]) == (None, 1)
    assert max(n_in_queue.values()) == 1
    assert any(each.route == AUTO for each in taken)


def test_what_comes_in_is_labelled_by_the_plan_and_embedded_for_good(
    shop: Workspace, camera: Path
) -> None:
    for number in range(6):
        shoot(camera, number)
    before = applications.list_applications(shop)[0]
    done = succeeded(once(shop, camera))
    assert (done["n_taken"], done["n_refused"]) == (6, 0)
    after = applications.list_applications(shop)[0]
    assert after.n_labelled - before.n_labelled == done["n_auto"] > 0
    assert labels.list_batches(shop, limit=1)[0].n_changes == done["n_auto"]
    model = models.promoted(shop)
    assert model is not None
    embedded = succeeded(do(shop, EmbedImages(BACKBONE, model=model.id)))
    assert (embedded["n_embedded"], embedded["n_reused"]) == (0, embedded["n_images"])


def test_the_features_of_what_came_in_are_those_that_embed_computes(
    shop: Workspace, camera: Path
) -> None:
    for number in range(3):
        shoot(camera, number)
    job = once(shop, camera)
    model = models.promoted(shop)
    assert model is not None
    ids = np.array([each.image_id for each in arrivals.list_taken(shop)][::-1], np.int64)
    found = features_of(JobContext(shop, job), model, ids)
    alone = features_of(JobContext(shop, job), model, ids[:1])
    assert found.shape == (3, get_backbone(BACKBONE).n_features)
    assert np.array_equal(found[:1], alone)
    assert np.isfinite(found).all()


def test_a_type_that_arrivals_show_is_suggested_to_the_next_of_it(
    shop: Workspace, camera: Path
) -> None:
    applied = applications.list_applications(shop)[0]
    applications.revert(shop, applied.id, actor="Ada")  # so that people get everything, and see it
    for number in range(3):
        save_image(camera / f"bloom-{number}.png", (250, 230, number))
    succeeded(once(shop, camera))
    labels.relabel(shop, [*arrived_images(shop).values()], "bloom", actor="Ada")
    for number in (10, 11, 12):
        save_image(camera / f"bloom-{number}.png", (250, 230, number))
        shoot(camera, number)
    succeeded(once(shop, camera))
    waiting = triage_queue.lease(shop, actor="ann", n=99)
    suggested = {item.image_id: item.suggested for item in waiting}
    latest = list(arrived_images(shop).items())[3:]
    told = {path for path, image_id in latest if suggested[image_id] == "bloom"}
    assert len(latest) == 6
    assert told == {f"bloom-{number}.png" for number in (10, 11, 12)}


def arrived_images(workspace: Workspace) -> dict[str, int]:
    """Images that came in, by their paths."""
    taken = arrivals.list_taken(workspace)
    return {each.path: each.image_id for each in taken if each.image_id is not None}


def test_with_no_model_everything_is_queued(without_model: Workspace, camera: Path) -> None:
    shoot(camera, 0)
    succeeded(once(without_model, camera))
    (done,) = arrivals.list_taken(without_model)
    assert (done.label, done.route) == (None, "operator")
    assert done.image_id in queued(without_model)


def test_the_output_goes_on_where_it_was_and_is_no_other_folders(
    without_model: Workspace, camera: Path, tmp_path: Path
) -> None:
    output = tmp_path / "answers.jsonl"
    shoot(camera, 0)
    once(without_model, camera, output)
    shoot(camera, 1)
    once(without_model, camera, output)
    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [line["path"] for line in lines] == ["0000.png", "0001.png"]
    other = tmp_path / "camera-2"
    other.mkdir()
    refused = once(without_model, other, output)
    assert refused.status == "failed"
    assert "not written for this folder" in (refused.error or {})["title"]


def test_a_second_watcher_of_a_folder_is_refused(shop: Workspace, camera: Path) -> None:
    with watch_folder._alone(shop, camera):
        second = once(shop, camera)
    assert second.status == "failed"
    assert "watched already" in (second.error or {})["title"]
    assert once(shop, camera).status == "succeeded"


def test_a_watcher_of_a_terminal_ends_with_it(shop: Workspace, camera: Path) -> None:
    assert once(shop, camera, process=os.getpid() + 1).status == "cancelled"


def test_a_watcher_that_worked_for_an_hour_has_its_attempts_anew(shop: Workspace) -> None:
    job = job_rows.add_job(shop, kind="watch", lane="watch", config={}, actor="eve")
    job = job_rows.claim(shop, job.id, job_rows.Owner("elsewhere", 1, 0.0))
    job_rows.mark_interrupted(shop, lambda _: True)
    assert job_rows.get_job(shop, job.id).attempts == 1
    job = job_rows.claim(shop, job.id, job_rows.Owner("elsewhere", 1, 0.0))
    with writing(shop) as connection:
        connection.execute(jobs.update().values(heartbeat=time.time() + 4000))
    job_rows.mark_interrupted(shop, lambda _: True)
    assert job_rows.get_job(shop, job.id).attempts == 0


def test_a_dropped_image_is_answered_with_its_neighbours_and_its_heat_map(
    shop: Workspace, tmp_path: Path
) -> None:
    def drop(path: Path) -> dict[str, Any]:
        with path.open("rb") as file:
            kept = uploads.store_upload(shop, file, suffix=".img")
        job = do(shop, AnswerDropped(((str(kept), path.name),)))
        assert not kept.exists()
        (told,) = succeeded(job)["answers"]
        return dict(told)

    told = drop(shoot(tmp_path, 0))
    assert told["status"] == "taken"
    assert told["label"] == told["classes"][int(np.argmax(told["probabilities"]))]
    assert len(told["nearest"]) == 5
    assert told["has_heat_map"]
    again = drop(shoot(tmp_path, 0, name="again.png"))
    assert (again["status"], again["image"]) == ("known", told["image"])
    text = tmp_path / "a.png"
    text.write_text("no image")
    assert drop(text)["status"] == "refused"


def test_a_wrong_ending_of_the_output_is_wrong_usage(shop: Workspace, camera: Path) -> None:
    arguments = ["--workspace", str(shop.path), "watch", str(camera), "--output", "answers.txt"]
    assert main(arguments) == 2
