"""Jobs in real worker processes: done once, stopped, killed, taken up again."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from core.jobs import queue, worker
from core.jobs.processes import is_gone
from core.jobs.recovery import recover_jobs
from core.settings import PROJECT_ROOT
from core.state import job_rows
from core.state.job_rows import MAX_ATTEMPTS, Job, Owner
from core.state.workspace import Workspace
from tests.unit.jobs.conftest import wait_for, wait_until
from tests.unit.jobs.practice import Practice, PracticeNow

PYTHON = sys.executable

_SUBMIT_MANY = """
import sys
from pathlib import Path
from core.jobs import queue
from core.state.workspace import open_workspace
from tests.unit.jobs.practice import Practice
sys.executable = sys.argv[3]
workspace = open_workspace(Path(sys.argv[1]))
for _ in range(4):
    queue.submit(workspace, Practice("write_down", sys.argv[2]), actor="eve")
"""

_SUBMIT = """
import sys
from pathlib import Path
from core.jobs import queue
from core.jobs.configs import EmbedImages
from core.state.workspace import open_workspace
queue._start_worker = lambda *_: None
queue.submit(open_workspace(Path(sys.argv[1])), EmbedImages(), actor="eve")
heavy = {"torch", "torchvision", "sklearn", "scipy", "umap", "pacmap", "numba", "streamlit"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""


def _submit(workspace: Workspace, do: str, file: Path | str = "") -> Job:
    return queue.submit(workspace, Practice(do, str(file)), actor="eve")


def _running(workspace: Workspace, job: Job, step: str) -> Job:
    """The job once it has said that it is at this step."""
    wait_until(lambda: job_rows.get_job(workspace, job.id).step == step)
    return job_rows.get_job(workspace, job.id)


def test_both_lanes_work_at_the_same_time(workspace: Workspace, tmp_path: Path) -> None:
    file = str(tmp_path / "meeting")
    jobs = [
        queue.submit(workspace, config, actor="eve")
        for config in (Practice("meet", file), PracticeNow("meet", file))
    ]
    ended = [wait_for(workspace, job, "succeeded", look_after=False) for job in jobs]
    assert ended[0].pid != ended[1].pid
    assert all(job.pid != os.getpid() and job.attempts == 1 for job in ended)


def test_a_worker_outlives_failing_jobs_and_leaves_when_idle(
    workspace: Workspace, home: Path
) -> None:
    asked = [Practice(do) for do in ("refuse", "stumble", "count")]
    jobs = [queue.submit(workspace, one, actor="eve", start=False) for one in asked]
    queue.wake(workspace, "batch")
    ended = [wait_for(workspace, job, "failed", "succeeded", look_after=False) for job in jobs]
    assert [job.status for job in ended] == ["failed", "failed", "succeeded"]
    assert len({job.pid for job in ended}) == 1
    pid = ended[0].pid or 0
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    )
    assert not queue._has_worker(home, "batch")


def test_looking_after_jobs_leaves_no_zombie_of_a_worker_that_left(workspace: Workspace) -> None:
    pid = wait_for(workspace, _submit(workspace, "count"), "succeeded").pid or 0

    def is_reaped() -> bool:
        queue.look_after(workspace)
        return not psutil.pid_exists(pid)

    wait_until(is_reaped)


def test_a_waiting_job_that_is_cancelled_never_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACQUER_WORKER_IDLE_S", "60")
    running = _running(workspace, _submit(workspace, "wait"), "waiting")
    waiting = _submit(workspace, "count")
    assert queue.cancel(workspace, waiting.id).status == "cancelled"
    queue.cancel(workspace, running.id)
    wait_for(workspace, running, "cancelled", look_after=False)
    last = wait_for(workspace, _submit(workspace, "count"), "succeeded")
    assert last.pid == running.pid
    assert job_rows.get_job(workspace, waiting.id).attempts == 0


def test_a_step_that_hears_nothing_ends_with_its_process_and_the_next_job_gets_another(
    workspace: Workspace,
) -> None:
    deaf = _running(workspace, _submit(workspace, "hear_nothing"), "deaf")
    queue.cancel(workspace, deaf.id)
    ended = wait_for(workspace, deaf, "cancelled", look_after=False)
    assert ended.finished_at
    assert "did not stop" in queue.read_log(workspace, deaf.id)
    following = wait_for(workspace, _submit(workspace, "count"), "succeeded")
    assert following.pid != deaf.pid


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_interrupts_its_job_which_goes_on_from_its_checkpoint(
    workspace: Workspace, signal_number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _running(workspace, _submit(workspace, "go_on"), "waiting")
    os.kill(job.pid or 0, signal_number)
    with monkeypatch.context() as nobody_starts:
        nobody_starts.setattr(queue, "_start_worker", lambda *_: None)
        interrupted = wait_for(workspace, job, "interrupted")
    assert (interrupted.attempts, interrupted.is_active) == (1, True)
    resumed = wait_for(workspace, job, "succeeded")
    assert (resumed.attempts, resumed.result) == (2, {"resumed_from": "half"})
    assert resumed.pid != job.pid


def test_after_a_restart_of_the_machine_jobs_are_taken_up_again(workspace: Workspace) -> None:
    job = _running(workspace, _submit(workspace, "go_on"), "waiting")
    os.kill(job.pid or 0, signal.SIGKILL)
    wait_until(lambda: is_gone(Owner(job.host or "", job.pid or 0, job.pid_started or 0.0)) is True)
    recover_jobs()
    assert wait_for(workspace, job, "succeeded", look_after=False).attempts == 2


def test_a_job_that_kills_every_process_waits_for_a_person(
    workspace: Workspace, tmp_path: Path
) -> None:
    cure = tmp_path / "cure"
    job = _submit(workspace, "die_unless_cured", cure)

    def has_used_its_attempts() -> bool:
        queue.look_after(workspace)
        now = job_rows.get_job(workspace, job.id)
        return now.status == "interrupted" and now.attempts == MAX_ATTEMPTS

    wait_until(has_used_its_attempts)
    assert [left.id for left in queue.look_after(workspace)] == [job.id]
    assert job_rows.get_job(workspace, job.id).status == "interrupted"

    cure.touch()
    assert queue.resume(workspace, job.id).attempts == 0
    assert wait_for(workspace, job, "succeeded").attempts == 1


def test_jobs_that_processes_submit_at_once_are_done_once_each_and_one_at_a_time(
    workspace: Workspace, tmp_path: Path, interpreter: str
) -> None:
    notes = tmp_path / "notes"
    submitting = [
        subprocess.Popen(
            [PYTHON, "-c", _SUBMIT_MANY, str(workspace.path), str(notes), interpreter],
            cwd=PROJECT_ROOT,
        )
        for _ in range(3)
    ]
    assert [process.wait(60) for process in submitting] == [0, 0, 0]
    jobs = job_rows.list_jobs(workspace)
    assert len(jobs) == 12
    ended = [wait_for(workspace, job, "succeeded", look_after=False) for job in jobs]
    assert Counter(job.attempts for job in ended) == {1: 12}

    lines = [line.split() for line in notes.read_text().splitlines()]
    assert [word for _, word in lines] == ["begins", "ends"] * 12
    assert all(
        begun == ended for (begun, _), (ended, _) in zip(lines[::2], lines[1::2], strict=True)
    )
    assert len({number for number, _ in lines}) == 12


def test_a_home_folder_named_by_a_relative_path_is_the_same_for_the_worker(
    workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    (home.parent / "core").mkdir()  # must not be taken for our package
    monkeypatch.setenv("LACQUER_HOME", home.name)
    job = _submit(workspace, "count")
    done = wait_for(workspace, job, "succeeded", look_after=False)
    wait_until(lambda: not queue._has_worker(home, "batch"))
    assert worker._notes(home, "batch") == []
    assert done.attempts == 1


def test_submitting_loads_nothing_heavy(workspace: Workspace) -> None:
    submitted = subprocess.run(
        [PYTHON, "-c", _SUBMIT, str(workspace.path)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert submitted.stderr == ""
    assert submitted.returncode == 0
