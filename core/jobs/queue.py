"""Submitting, watching, cancelling and resuming jobs: what pages and the command line use."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from filelock import Timeout

from core.jobs.configs import JobConfig, to_json
from core.jobs.context import job_folder
from core.jobs.processes import is_gone
from core.jobs.worker import lane_lock, wake_folder
from core.settings import PROJECT_ROOT, load_settings
from core.state import job_rows
from core.state.files import replace_file
from core.state.job_rows import Job
from core.state.workspace import Workspace

log = logging.getLogger(__name__)
_workers: list[subprocess.Popen] = []  # kept so that a worker that has left can be reaped


def submit(workspace: Workspace, config: JobConfig, *, actor: str, start: bool = True) -> Job:
    """Queue a job and see to it that a worker runs. `start=False` leaves it to the caller."""
    job = job_rows.add_job(
        workspace, kind=config.kind, lane=config.lane, config=to_json(config), actor=actor
    )
    if start:
        wake(workspace, config.lane)
    return job


def cancel(workspace: Workspace, job_id: int) -> Job:
    """Ask a job to stop."""
    return job_rows.request_cancel(workspace, job_id)


def resume(workspace: Workspace, job_id: int) -> Job:
    """Let a job that failed, was cancelled or interrupted go on from its checkpoint."""
    job = job_rows.requeue(workspace, job_id)
    wake(workspace, job.lane)
    return job


def look_after(workspace: Workspace) -> list[Job]:
    """The active jobs, once those of dead processes are set right and a worker is there for them.

    Pages call it while they poll: a killed worker costs a job one poll, not a person's attention.
    """
    _reap()
    if not job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE, limit=1):
        return []
    job_rows.mark_interrupted(workspace, is_gone)
    jobs = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    for lane in {job.lane for job in jobs if job.status != "running" and job.is_active}:
        wake(workspace, lane)
    return jobs


def read_log(workspace: Workspace, job_id: int, *, last_bytes: int = 20_000) -> str:
    """The end of a job's log."""
    path = job_folder(workspace, job_id) / "log.txt"
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - last_bytes))
        return file.read().decode("utf-8", errors="replace")


def wake(workspace: Workspace, lane: str) -> None:
    """Leave a note for the lane's worker, and start one where there is none."""
    home = load_settings().home
    replace_file(wake_folder(home, lane) / workspace.uid, str(workspace.path).encode())
    if not _has_worker(home, lane):
        _start_worker(home, lane)


def _has_worker(home: Path, lane: str) -> bool:
    try:
        with lane_lock(home, lane):
            return False
    except Timeout:
        return True


def _start_worker(home: Path, lane: str) -> None:
    _reap()
    with (wake_folder(home, lane).parent / f"{lane}.log").open("ab") as output:
        worker = subprocess.Popen(
            # In our own folder, so that relative paths in the settings mean the same there, but
            # with -P, so that nothing in it is taken for one of the modules.
            [sys.executable, "-P", "-m", "core.jobs.worker", "--lane", lane],
            env={**os.environ, "PYTHONPATH": _python_path()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it outlives the server, and the server's signals
        )
    _workers.append(worker)
    log.info("started a worker for lane %s (pid %d)", lane, worker.pid)


def _reap() -> None:
    """Let go of the workers that have left: until they are asked after, they stay zombies."""
    _workers[:] = [worker for worker in _workers if worker.poll() is None]


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(PROJECT_ROOT), *([inherited] if inherited else [])])
