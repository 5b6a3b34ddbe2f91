"""The worker: a warm process a lane that takes queued jobs one at a time.

`run_job` is the one entry point of every job, whether a worker, the command line or a cluster
calls it. A worker serves all workspaces of a home folder: who submits leaves a note in the home's
wake folder, so that nothing is polled while nothing is to do, and the worker leaves when idle.
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import Cancelled, OperatorError
from core.jobs.configs import from_json
from core.jobs.context import JobContext, job_folder
from core.jobs.processes import is_gone, this_process
from core.jobs.steps import config_class, load_function
from core.settings import load_settings
from core.state import job_rows
from core.state.files import replace_file
from core.state.job_rows import Job
from core.state.workspace import Workspace, list_workspaces, open_workspace

LANES = ("interactive", "batch", "watch")  # a watcher has no end: it would block another
_HEARTBEAT_S = 2.0
_GRACE_S = 10.0  # between a person's wish to cancel and the end of a process that does not heed it
_POLL_S = 0.2
_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger(__name__)


def run_job(workspace: Workspace, job_id: int) -> Job:
    """Do one job that waits, in this process, and return it as it ended.

    A step that reports to nobody for ten seconds after a cancel (deep in a library's own loop) ends
    with its process; the worker's next job starts a new one.

    Raises:
        OperatorError: the job runs elsewhere or has ended.
    """
    return _run(workspace, job_rows.claim(workspace, job_id, this_process()))


def wake_folder(home: Path, lane: str) -> Path:
    """Where notes lie that name the workspaces with work for a lane."""
    folder = home / ".workers" / lane
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def lane_lock(home: Path, lane: str) -> FileLock:
    """Held by the lane's worker as long as it lives."""
    return FileLock(wake_folder(home, lane).with_suffix(".lock"), timeout=0)


def work(home: Path, lane: str, *, idle_s: float) -> None:
    """Take jobs of a lane until none has come for `idle_s` seconds."""
    log.info("worker of lane %s in %s", lane, home)
    try:
        with lane_lock(home, lane):
            _leave_notes(home, lane, list_workspaces())
        while _notes(home, lane):  # one may come while the worker leaves
            with lane_lock(home, lane):
                _serve(home, lane, idle_s=idle_s)
    except Timeout:
        log.info("lane %s has a worker already", lane)


def _leave_notes(home: Path, lane: str, workspaces: list[Workspace]) -> None:
    for workspace in workspaces:
        replace_file(wake_folder(home, lane) / workspace.uid, str(workspace.path).encode())


def _notes(home: Path, lane: str) -> list[Path]:
    folder = wake_folder(home, lane)
    return sorted(note for note in folder.iterdir() if not note.name.startswith("."))


def _serve(home: Path, lane: str, *, idle_s: float) -> None:
    last_work = time.monotonic()
    while time.monotonic() - last_work < idle_s:
        did_something = False
        for note in _notes(home, lane):
            did_something |= _serve_note(note, lane)
        if did_something:
            last_work = time.monotonic()
        else:
            time.sleep(_POLL_S)


def _serve_note(note: Path, lane: str) -> bool:
    try:
        path = Path(note.read_text(encoding="utf-8"))
        note.unlink()  # before the look: a job submitted meanwhile leaves another note
        workspace = open_workspace(path)
        job_rows.mark_interrupted(workspace, is_gone)
    except (OSError, OperatorError) as error:
        log.warning("passed over %s: %s", note.name, error)
        return False
    did_something = False
    while job := job_rows.claim_next(workspace, lane, this_process()):
        _run(workspace, job)
        did_something = True
    return did_something


def _run(workspace: Workspace, job: Job) -> Job:
    context = JobContext(workspace, job)
    with _log_to(job_folder(workspace, job.id) / "log.txt"), _watched(context):
        log.info("job %d (%s), attempt %d: %s", job.id, job.kind, job.attempts, dict(job.config))
        try:
            config = from_json(config_class(job.kind), dict(job.config))
            result = load_function(config)(context, config)
            log.info("done")
            return job_rows.finish(workspace, job, "succeeded", result=result)
        except Cancelled:
            log.info("cancelled at %.0f %%", 100 * context.progress)
            return job_rows.finish(workspace, job, "cancelled")
        except OperatorError as error:
            log.error("%s", error)
            return job_rows.finish(workspace, job, "failed", error=_as_shown(error))
        except Exception as error:  # noqa: BLE001 - a bug ends its job, not the worker
            log.error("%s", traceback.format_exc())
            return job_rows.finish(workspace, job, "failed", error=_as_fault(error))


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    previous = root.level
    root.setLevel(min(previous, logging.INFO))
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(previous)
        handler.close()


@contextlib.contextmanager
def _watched(context: JobContext) -> Iterator[None]:
    """Beat while the step is silent, and end the process when it does not heed a cancel."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_HEARTBEAT_S):
            try:
                context.beat()
            except Cancelled:
                if not done.wait(_GRACE_S):
                    log.warning("the step did not stop in %.0f s: its process ends", _GRACE_S)
                    job_rows.finish(context.workspace, context.job, "cancelled")
                    os._exit(1)
                return
            except Exception:  # noqa: BLE001 - a busy database delays a beat, no more
                log.warning("a heartbeat was missed: %s", traceback.format_exc(limit=1))

    watcher = threading.Thread(target=watch, name=f"watch-job-{context.job.id}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _as_shown(error: OperatorError) -> Mapping[str, str]:
    return {"title": error.title, "detail": error.detail, "next_step": error.next_step}


def _as_fault(error: Exception) -> Mapping[str, str]:
    return {
        "title": "This job met a fault in the software.",
        "detail": f"{type(error).__name__}: {error}"[:2000],
        "next_step": "Its log has the details; resume it, or report the fault.",
    }


def main(arguments: list[str] | None = None) -> None:
    """Serve one lane until idle; started by `core.jobs.queue`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--lane", choices=LANES, required=True)
    chosen: Any = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings()
    work(settings.home, chosen.lane, idle_s=settings.worker_idle_s)


if __name__ == "__main__":
    main()
