"""A job is claimed by one process at a time, and only that one may say how it goes."""

import threading
import time

import pytest

from core.errors import Cancelled, OperatorError
from core.state import job_rows
from core.state.job_rows import MAX_ATTEMPTS, Job, Owner
from core.state.workspace import Workspace

HERE = Owner("here", 100, 1000.0)
THERE = Owner("there", 100, 1000.0)


def _add(workspace: Workspace, *, lane: str = "batch", kind: str = "practice") -> Job:
    return job_rows.add_job(workspace, kind=kind, lane=lane, config={"n": 1}, actor="eve")


def _claimed(workspace: Workspace, owner: Owner = HERE) -> Job:
    job = job_rows.claim_next(workspace, "batch", owner)
    assert job
    return job


def _status(workspace: Workspace, job: Job) -> str:
    return job_rows.get_job(workspace, job.id).status


def test_a_new_job_waits(workspace: Workspace) -> None:
    job = _add(workspace)
    assert (job.status, job.progress, job.attempts, job.is_active) == ("queued", 0, 0, True)
    assert (job.config, job.actor, job.error, job.result) == ({"n": 1}, "eve", None, None)
    assert job_rows.get_job(workspace, job.id) == job
    with pytest.raises(OperatorError, match="no job 99 in Paint shop"):
        job_rows.get_job(workspace, 99)


def test_jobs_of_a_lane_are_taken_oldest_first(workspace: Workspace) -> None:
    first, other, second = _add(workspace), _add(workspace, lane="interactive"), _add(workspace)
    assert [_claimed(workspace).id, _claimed(workspace).id] == [first.id, second.id]
    assert job_rows.claim_next(workspace, "batch", HERE) is None
    taken = job_rows.claim_next(workspace, "interactive", THERE)
    assert taken
    assert (taken.id, taken.status, taken.attempts) == (other.id, "running", 1)
    assert (taken.host, taken.pid, taken.pid_started) == ("there", 100, 1000.0)


def test_threads_that_claim_at_once_take_different_jobs(workspace: Workspace) -> None:
    n_jobs = 12
    for _ in range(n_jobs):
        _add(workspace)
    taken: list[int] = []

    def claim_all(pid: int) -> None:
        while len(taken) < n_jobs:
            job = job_rows.claim_next(workspace, "batch", Owner("here", pid, 0.0))
            if job:
                taken.append(job.id)

    threads = [threading.Thread(target=claim_all, args=[pid]) for pid in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == len(set(taken)) == n_jobs


def test_a_job_that_runs_or_has_ended_cannot_be_claimed(workspace: Workspace) -> None:
    job = job_rows.claim(workspace, _add(workspace).id, HERE)
    with pytest.raises(OperatorError, match="is running"):
        job_rows.claim(workspace, job.id, THERE)
    job_rows.finish(workspace, job, "succeeded")
    with pytest.raises(OperatorError, match="is succeeded"):
        job_rows.claim(workspace, job.id, THERE)


def test_a_report_is_written_down(workspace: Workspace) -> None:
    _add(workspace)
    job = _claimed(workspace)
    job_rows.beat(workspace, job, progress=0.25, step="image 5")
    stored = job_rows.get_job(workspace, job.id)
    assert (stored.progress, stored.step) == (0.25, "image 5")
    assert (stored.heartbeat or 0) >= (job.heartbeat or 0)


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_job_ends_once(workspace: Workspace, status: str) -> None:
    _add(workspace)
    job = _claimed(workspace)
    ended = job_rows.finish(workspace, job, status, error={"title": "t"}, result={"n": 2})
    assert (ended.status, ended.error, ended.result) == (status, {"title": "t"}, {"n": 2})
    assert ended.finished_at
    assert not ended.is_active
    assert job_rows.finish(workspace, job, "failed") == ended
    with pytest.raises(Cancelled):
        job_rows.beat(workspace, job, progress=0.5, step="late")


def test_an_end_that_is_none_is_refused(workspace: Workspace) -> None:
    _add(workspace)
    with pytest.raises(ValueError, match=r"status must be one of .* got 'queued'"):
        job_rows.finish(workspace, _claimed(workspace), "queued")


def test_a_process_given_up_for_dead_cannot_overwrite_its_successor(workspace: Workspace) -> None:
    _add(workspace)
    old = _claimed(workspace, HERE)
    assert [job.id for job in job_rows.mark_interrupted(workspace, lambda _: True)] == [old.id]
    late = job_rows.finish(workspace, old, "succeeded", result={"by": "old"})
    assert (late.status, late.result) == ("interrupted", None)
    new = _claimed(workspace, HERE)  # the same process, a further attempt
    assert (new.id, new.attempts) == (old.id, 2)
    with pytest.raises(Cancelled):
        job_rows.beat(workspace, old, progress=0.9, step="old")
    job_rows.finish(workspace, old, "failed", error={"title": "old"})
    job_rows.beat(workspace, new, progress=0.1, step="new")
    stored = job_rows.get_job(workspace, new.id)
    assert (stored.status, stored.step, stored.error) == ("running", "new", None)
    assert job_rows.finish(workspace, new, "succeeded", result={"by": "new"}).result == {
        "by": "new"
    }


def test_a_job_that_waits_is_cancelled_at_once(workspace: Workspace) -> None:
    job = _add(workspace)
    cancelled = job_rows.request_cancel(workspace, job.id)
    assert (cancelled.status, cancelled.cancel_requested) == ("cancelled", False)
    assert cancelled.finished_at
    assert job_rows.claim_next(workspace, "batch", HERE) is None


def test_a_job_that_runs_hears_of_its_cancel_at_its_next_report(workspace: Workspace) -> None:
    _add(workspace)
    job = _claimed(workspace)
    asked = job_rows.request_cancel(workspace, job.id)
    assert (asked.status, asked.cancel_requested, asked.finished_at) == ("running", True, None)
    with pytest.raises(Cancelled):
        job_rows.beat(workspace, job, progress=0.5, step="next")
    assert job_rows.finish(workspace, job, "cancelled").status == "cancelled"


def test_a_job_that_has_ended_is_not_cancelled(workspace: Workspace) -> None:
    _add(workspace)
    ended = job_rows.finish(workspace, _claimed(workspace), "succeeded")
    assert job_rows.request_cancel(workspace, ended.id) == ended


def test_a_job_whose_process_died_resumes_until_it_has_had_its_attempts(
    workspace: Workspace,
) -> None:
    job = _add(workspace)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert _claimed(workspace).attempts == attempt
        job_rows.mark_interrupted(workspace, lambda _: True)
        stored = job_rows.get_job(workspace, job.id)
        assert stored.status == "interrupted"
        assert stored.is_active == stored.resumes_by_itself == (attempt < MAX_ATTEMPTS)
    assert job_rows.claim_next(workspace, "batch", HERE) is None
    assert job_rows.requeue(workspace, job.id).attempts == 0
    assert _claimed(workspace).id == job.id


def test_a_dead_process_whose_job_was_to_be_cancelled_leaves_it_cancelled(
    workspace: Workspace,
) -> None:
    job = _add(workspace)
    _claimed(workspace)
    job_rows.request_cancel(workspace, job.id)
    job_rows.mark_interrupted(workspace, lambda _: True)
    assert _status(workspace, job) == "cancelled"


def test_where_a_process_cannot_be_looked_at_its_silence_decides(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _add(workspace)
    _claimed(workspace)
    assert job_rows.mark_interrupted(workspace, lambda _: False) == []
    assert job_rows.mark_interrupted(workspace, lambda _: None) == []
    later = time.time() + job_rows.STALE_AFTER_S + 1
    monkeypatch.setattr("core.state.job_rows.time.time", lambda: later)
    assert job_rows.mark_interrupted(workspace, lambda _: False) == []
    assert [one.id for one in job_rows.mark_interrupted(workspace, lambda _: None)] == [job.id]


def test_who_is_looked_for_is_who_claimed(workspace: Workspace) -> None:
    _add(workspace)
    _claimed(workspace, THERE)
    dead = job_rows.mark_interrupted(workspace, lambda owner: owner == THERE)
    assert [job.host for job in dead] == ["there"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_failed_or_was_cancelled_can_run_again(
    workspace: Workspace, status: str
) -> None:
    _add(workspace)
    ended = job_rows.finish(workspace, _claimed(workspace), status, error={"title": "t"})
    again = job_rows.requeue(workspace, ended.id)
    assert (again.status, again.attempts, again.error, again.finished_at) == (
        "queued",
        0,
        None,
        None,
    )
    assert _claimed(workspace).id == ended.id


def test_a_job_that_waits_runs_or_succeeded_has_nothing_to_resume(workspace: Workspace) -> None:
    waiting = _add(workspace)
    with pytest.raises(OperatorError, match="is queued; there is nothing to resume"):
        job_rows.requeue(workspace, waiting.id)
    running = _claimed(workspace)
    with pytest.raises(OperatorError, match="is running; there is nothing to resume"):
        job_rows.requeue(workspace, running.id)
    job_rows.finish(workspace, running, "succeeded")
    with pytest.raises(OperatorError, match="is succeeded; there is nothing to resume"):
        job_rows.requeue(workspace, running.id)


def test_jobs_are_listed_newest_first_and_by_status(workspace: Workspace) -> None:
    first, second, third = (_add(workspace) for _ in range(3))
    _claimed(workspace)
    listed = job_rows.list_jobs(workspace)
    assert [job.id for job in listed] == [third.id, second.id, first.id]
    assert [job.id for job in job_rows.list_jobs(workspace, limit=1)] == [third.id]
    running = job_rows.list_jobs(workspace, statuses=("running",))
    assert [job.id for job in running] == [first.id]
