"""How does a job run before the eyes of a person at a terminal?

The job runs in a thread, so that the main thread is free to watch its row and to hear Ctrl-C.
"""

import shutil
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait

from core.errors import OperatorError
from core.jobs import queue
from core.jobs.steps import title
from core.jobs.worker import run_job
from core.state import job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace

_LOOK_EVERY_S = 0.3
_LINE_EVERY_S = 5.0  # where lines cannot be overwritten, as in a log of a build
_STOP_WITHIN_S = 8.0  # less than the worker's own patience, which ends the process without a word


def run_here(workspace: Workspace, job: Job) -> Job:
    """Do a job that waits, in this process, and return it as it ended.

    Where a worker has been quicker to take it, the job is followed there.

    Raises:
        KeyboardInterrupt: Ctrl-C; the job is cancelled.
    """
    line = _ProgressLine(job)
    pool = ThreadPoolExecutor(1, thread_name_prefix=f"job-{job.id}")
    doing = pool.submit(run_job, workspace, job.id)
    try:
        while not wait([doing], timeout=_LOOK_EVERY_S).done:
            line.show(job_rows.get_job(workspace, job.id))
        try:
            ended = doing.result()
        except OperatorError:  # it could not be claimed; a step's own errors end in its row
            ended = _follow_elsewhere(workspace, job.id, line)
    except KeyboardInterrupt:
        line.end(_stop(workspace, job.id, doing))
        next_step = f"`python -m core job resume {job.id}` takes the job up again."
        raise KeyboardInterrupt(next_step) from None
    finally:
        pool.shutdown(wait=False)
    line.end(ended)
    return ended


def _follow_elsewhere(workspace: Workspace, job_id: int, line: "_ProgressLine") -> Job:
    while (job := job_rows.get_job(workspace, job_id)).is_active:
        queue.look_after(workspace)  # its process may have died
        line.show(job)
        time.sleep(_LOOK_EVERY_S)
    return job


def _stop(workspace: Workspace, job_id: int, doing: Future[Job]) -> Job:
    job = queue.cancel(workspace, job_id)
    if not doing.done() and not wait([doing], timeout=_STOP_WITHIN_S).done:
        return job_rows.finish(workspace, job, "cancelled")  # its thread ends with this process
    return job_rows.get_job(workspace, job_id)


class _ProgressLine:
    """One line that is overwritten on a terminal; elsewhere a line now and then."""

    def __init__(self, job: Job) -> None:
        self._title = title(job.kind)
        self._began = self._shown_at = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def show(self, job: Job) -> None:
        text = f"{self._title}: {job.progress:4.0%}  {job.step}"
        if self._is_terminal:
            self._write(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}")
        elif time.monotonic() - self._shown_at >= _LINE_EVERY_S:
            self._shown_at = time.monotonic()
            self._write(f"{text}\n")

    def end(self, job: Job) -> None:
        ended = "done" if job.status == "succeeded" else job.status
        seconds = time.monotonic() - self._began
        start = "\r\x1b[2K" if self._is_terminal else ""
        self._write(f"{start}{self._title}: {ended}, {seconds:.1f} s\n")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
