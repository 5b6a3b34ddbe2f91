"""Practice jobs for this process and for the workers that it starts."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.jobs import queue, steps
from core.state import job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace
from tests.unit.jobs import practice


@pytest.fixture(autouse=True)
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An interpreter that runs the practice worker where the real one is asked for."""
    script = Path(practice.__file__).with_name("practice_worker.py")
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    for config_class, function in practice.STEPS.items():
        monkeypatch.setitem(steps.STEPS, config_class, function)
        monkeypatch.setitem(steps._BY_KIND, config_class.kind, config_class)
    return str(interpreter)


def wait_for(workspace: Workspace, job: Job, *statuses: str, look_after: bool = True) -> Job:
    """Look after the workspace as a page does until the job has one of the statuses."""

    def has_it() -> bool:
        if look_after:
            queue.look_after(workspace)
        return job_rows.get_job(workspace, job.id).status in statuses

    wait_until(has_it, lambda: f"{job_rows.get_job(workspace, job.id)}")
    return job_rows.get_job(workspace, job.id)


def wait_until(
    holds: Callable[[], bool], told: Callable[[], str] = lambda: "", timeout_s: float = 120
) -> None:
    """Return when it holds; a test that waits a minute has failed."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"nothing happened in {timeout_s} s {told()}")
        time.sleep(0.02)
