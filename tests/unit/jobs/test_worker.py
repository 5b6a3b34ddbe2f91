"""What a worker does with a job, in this very process."""

import logging
import threading
from pathlib import Path

import pytest

from core.errors import Cancelled, OperatorError
from core.jobs import queue, worker
from core.jobs.context import JobContext, job_folder
from core.state import job_rows
from core.state.job_rows import Job, Owner
from core.state.workspace import Workspace, create_workspace, delete_workspace
from tests.unit.jobs.practice import Practice, PracticeNow


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for notes more often than a person needs."""
    monkeypatch.setattr(worker, "_POLL_S", 0.01)


def _run(workspace: Workspace, do: str) -> Job:
    job = queue.submit(workspace, Practice(do), actor="eve", start=False)
    return worker.run_job(workspace, job.id)


def _leave_note(workspace: Workspace, home: Path, lane: str = "batch") -> None:
    (worker.wake_folder(home, lane) / workspace.uid).write_text(str(workspace.path))


def test_a_job_that_ends_well_has_its_result_and_its_log(workspace: Workspace) -> None:
    done = _run(workspace, "count")
    assert (done.status, done.progress, done.step, done.attempts) == ("succeeded", 1.0, "", 1)
    assert (done.result, done.error) == ({"counted": 4}, None)
    assert done.started_at
    assert done.finished_at
    log = queue.read_log(workspace, done.id)
    assert "practice" in log
    assert "counted to four" in log
    assert queue.read_log(workspace, done.id, last_bytes=20) == log[-20:]


def test_a_job_that_has_not_begun_has_an_empty_log(workspace: Workspace) -> None:
    job = queue.submit(workspace, Practice("count"), actor="eve", start=False)
    assert queue.read_log(workspace, job.id) == ""


def test_what_a_person_can_mend_is_told_with_the_next_step(workspace: Workspace) -> None:
    failed = _run(workspace, "refuse")
    assert failed.status == "failed"
    assert failed.error == {
        "title": "The camera is off.",
        "detail": "No answer on port 5.",
        "next_step": "Switch it on.",
    }
    assert "Traceback" not in queue.read_log(workspace, failed.id)


@pytest.mark.parametrize(
    ("do", "detail"),
    [
        ("stumble", "KeyError: 'a missing key'"),
        ("return_what_is_no_json", "object is not JSON serializable"),
        ("no_such_step", "KeyError"),
    ],
)
def test_a_fault_fails_its_job_and_its_traceback_is_in_the_log(
    workspace: Workspace, do: str, detail: str
) -> None:
    failed = _run(workspace, do)
    assert failed.status == "failed"
    assert failed.error
    assert "fault in the software" in failed.error["title"]
    assert detail in failed.error["detail"]
    log = queue.read_log(workspace, failed.id)
    assert "Traceback (most recent call last)" in log
    assert "practice.py" in log or do == "return_what_is_no_json"


def test_a_kind_that_this_version_does_not_know_fails(workspace: Workspace) -> None:
    job = job_rows.add_job(workspace, kind="dance", lane="batch", config={}, actor="eve")
    failed = worker.run_job(workspace, job.id)
    assert failed.error
    assert "got 'dance'" in failed.error["detail"]


def test_a_job_that_runs_elsewhere_or_has_ended_is_refused(workspace: Workspace) -> None:
    done = _run(workspace, "count")
    with pytest.raises(OperatorError, match=f"Job {done.id} is succeeded"):
        worker.run_job(workspace, done.id)


def test_logs_of_jobs_are_kept_apart_and_logging_is_left_as_it_was(workspace: Workspace) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    refused, counted = _run(workspace, "refuse"), _run(workspace, "count")
    assert (root.level, list(root.handlers)) == before
    assert "camera" not in queue.read_log(workspace, counted.id)
    assert "counted" not in queue.read_log(workspace, refused.id)


def test_progress_is_kept_in_its_bounds_and_a_new_step_is_written_at_once(
    workspace: Workspace,
) -> None:
    job_rows.add_job(workspace, kind="practice", lane="batch", config={}, actor="eve")
    job = job_rows.claim_next(workspace, "batch", Owner("here", 1, 0.0))
    assert job
    context = JobContext(workspace, job)
    for progress, step, stored in [(-1.0, "first", 0.0), (0.5, "second", 0.5), (7.0, "third", 1.0)]:
        context.report(progress, step)
        row = job_rows.get_job(workspace, job.id)
        assert (row.progress, row.step) == (stored, step)
    context.report(0.7, "third")  # the same step a moment later: not worth a write
    assert job_rows.get_job(workspace, job.id).progress == 1.0


def test_every_report_after_a_cancel_raises(workspace: Workspace) -> None:
    job_rows.add_job(workspace, kind="practice", lane="batch", config={}, actor="eve")
    job = job_rows.claim_next(workspace, "batch", Owner("here", 1, 0.0))
    assert job
    context = JobContext(workspace, job)
    context.report(0.1, "first")
    queue.cancel(workspace, job.id)
    with pytest.raises(Cancelled):
        context.beat()
    with pytest.raises(Cancelled):
        context.report(0.1, "first")


def test_the_folder_of_a_job_is_its_own_and_the_same_again(workspace: Workspace) -> None:
    folder = job_folder(workspace, 7)
    assert folder.is_dir()
    assert folder == job_folder(workspace, 7) != job_folder(workspace, 8)


def test_a_worker_does_the_waiting_jobs_of_its_lane_in_order_and_leaves(
    workspace: Workspace, home: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    jobs = [
        queue.submit(workspace, Practice("write_down", str(notes)), actor="eve", start=False)
        for _ in range(3)
    ]
    other = queue.submit(workspace, PracticeNow("count"), actor="eve", start=False)
    worker.work(home, "batch", idle_s=0.05)
    expected = [f"{job.id} {word}" for job in jobs for word in ("begins", "ends")]
    assert notes.read_text().splitlines() == expected
    assert job_rows.get_job(workspace, other.id).status == "queued"
    with worker.lane_lock(home, "batch"):  # free again
        pass


def test_a_worker_that_starts_takes_up_what_waits_in_every_workspace(
    home: Path, database: str
) -> None:
    made = [create_workspace(home / name) for name in ("one", "two")]
    jobs = [queue.submit(w, Practice("count"), actor="eve", start=False) for w in made]
    worker.work(home, "batch", idle_s=0.05)
    ended = [job_rows.get_job(w, job.id) for w, job in zip(made, jobs, strict=True)]
    assert [job.status for job in ended] == ["succeeded", "succeeded"]


def test_a_second_worker_of_a_lane_leaves_at_once(workspace: Workspace, home: Path) -> None:
    job = queue.submit(workspace, Practice("count"), actor="eve", start=False)
    with worker.lane_lock(home, "batch"):
        worker.work(home, "batch", idle_s=0.05)
    assert job_rows.get_job(workspace, job.id).status == "queued"


def test_a_note_that_comes_while_the_worker_leaves_is_not_lost(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = worker._serve
    submitted: list[Job] = []

    def serve_then_meet_a_latecomer(home: Path, lane: str, *, idle_s: float) -> None:
        serve(home, lane, idle_s=idle_s)
        if not submitted:  # the lane is still locked: whoever submits now sees a worker
            submitted.append(queue.submit(workspace, Practice("count"), actor="eve"))

    monkeypatch.setattr(worker, "_serve", serve_then_meet_a_latecomer)
    monkeypatch.setattr(queue, "_start_worker", lambda *_: pytest.fail("a worker is there"))
    worker.work(home, "batch", idle_s=0.05)
    assert job_rows.get_job(workspace, submitted[0].id).status == "succeeded"


def test_a_note_that_is_being_written_is_left_alone(workspace: Workspace, home: Path) -> None:
    half = worker.wake_folder(home, "batch") / f".{workspace.uid}.0123"
    half.write_text("/half/a/pa")
    worker.work(home, "batch", idle_s=0.05)
    assert half.read_text() == "/half/a/pa"


def test_a_note_of_a_workspace_that_is_gone_is_passed_over(
    workspace: Workspace, home: Path
) -> None:
    gone = create_workspace(home / "gone")
    delete_workspace(gone)
    _leave_note(gone, home)
    job = queue.submit(workspace, Practice("count"), actor="eve", start=False)
    worker.work(home, "batch", idle_s=0.05)
    assert job_rows.get_job(workspace, job.id).status == "succeeded"
    assert worker._notes(home, "batch") == []


def test_threads_that_submit_at_once_leave_one_note(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_start_worker", lambda *_: None)
    failed: list[Exception] = []

    def submit() -> None:
        try:
            for _ in range(10):
                queue.wake(workspace, "batch")
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [note.name for note in worker._notes(home, "batch")] == [workspace.uid]


def test_a_workspace_without_jobs_starts_no_worker(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_start_worker", lambda *_: pytest.fail("nothing is to do"))
    assert queue.look_after(workspace) == []
    _run(workspace, "count")
    assert queue.look_after(workspace) == []
