"""What a running step is given: its workspace, a folder for checkpoints, and a way to report."""

import threading
import time
from pathlib import Path

from core.errors import Cancelled
from core.state import job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace

_REPORT_EVERY_S = 0.5


class JobContext:
    """Joins a step to its row. `report` may be called as often as a step likes."""

    def __init__(self, workspace: Workspace, job: Job) -> None:
        self.workspace = workspace
        self.job = job
        self.progress = job.progress
        self.step = ""
        self._last_report = 0.0
        self._stop = threading.Event()

    @property
    def folder(self) -> Path:
        """The job's own folder, the same again when it resumes."""
        return job_folder(self.workspace, self.job.id)

    def report(self, progress: float, step: str) -> None:
        """Say how far the job is, in [0, 1], and at what.

        Raises:
            Cancelled: a person asked it to stop.
        """
        if self._stop.is_set():
            raise Cancelled
        changed_step = step != self.step
        self.progress, self.step = min(max(progress, 0.0), 1.0), step
        if changed_step or time.monotonic() - self._last_report > _REPORT_EVERY_S:
            self.beat()

    def beat(self) -> None:
        """Write the heartbeat now; also called by the thread that watches over the job.

        Raises:
            Cancelled: a person asked it to stop, or another process has the job.
        """
        self._last_report = time.monotonic()
        try:
            job_rows.beat(self.workspace, self.job, progress=self.progress, step=self.step)
        except Cancelled:
            self._stop.set()
            raise


def job_folder(workspace: Workspace, job_id: int) -> Path:
    """Where a job keeps its log and checkpoints."""
    return workspace.folder("jobs", str(job_id))
