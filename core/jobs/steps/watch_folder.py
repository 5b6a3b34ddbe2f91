"""Watch a camera's folder: each new image is taken in once, answered, and told to the plant.

One watcher a folder and workspace. It ends when it is told to, and goes on where it was when it was
killed: what is settled stands in the table of arrivals, and how far the output file came in its
last line.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import Cancelled, OperatorError
from core.images.arrivals import Arrival, WatchedFolder
from core.jobs import queue
from core.jobs.configs import CheckDrift, WatchFolder
from core.jobs.context import JobContext
from core.jobs.output_file import OutputFile
from core.jobs.steps.inbox import Inbox, TakenIn
from core.jobs.steps.look_through import check_within
from core.jobs.steps.watch_drift import is_due
from core.state import arrivals, job_rows
from core.state.workspace import Workspace

LOOK_EVERY_S = 0.25
_BEAT_EVERY_S = 2.0
_AT_ONCE = 128  # files of a burst that are answered together: fewer leave cores waiting
_GONE_FOR_S = 60.0  # a share may come back

log = logging.getLogger(__name__)


def run(context: JobContext, config: WatchFolder) -> Mapping[str, Any]:
    """Watch until a person ends it; with `once`, until every file that is there is settled.

    Raises:
        Cancelled: a person ended it, or it belongs to a process that has ended.
        OperatorError: the folder is not there or outside `config.within`, is watched already, or
            the output file belongs to something else.
    """
    if config.process and config.process != os.getpid():
        raise Cancelled  # a terminal's watcher ends with the terminal
    root = Path(config.folder)
    check_within(root, config.within)
    if not root.is_dir():
        raise OperatorError(f"There is no folder {root}.", next_step="Check its name.")
    with _alone(context.workspace, root):
        return _watch(context, config, root)


def _watch(context: JobContext, config: WatchFolder, root: Path) -> Mapping[str, Any]:
    workspace, source = context.workspace, str(root)
    first = arrivals.newest_id(workspace)
    folder = WatchedFolder(
        root, settled=arrivals.settled(workspace, source), grace_s=config.grace_s
    )
    context.report(0.0, "Getting ready")
    inbox = Inbox(context, source, device=config.device)
    inbox.responder.refresh()  # before the first file comes
    counts: Counter[str] = Counter()  # by status
    with OutputFile.open(workspace, source, config.output) as output:
        output.write_new()
        beat_at, unreadable_since = 0.0, None
        while True:
            began = time.monotonic()
            try:
                ready = folder.look(time.time())
                unreadable_since = None
            except OSError as error:
                unreadable_since = unreadable_since or began
                _refuse_if_gone(root, error, began - unreadable_since)
                ready = []
            for done in _take(inbox, folder, ready):
                counts.update(each.arrival.status for each in done)
                output.write_new()
                _look_for_drift(workspace, actor=context.job.actor)
                context.report(0.0, _told(inbox, counts))
            if config.once and not folder.n_waiting:
                break
            if time.monotonic() - beat_at > _BEAT_EVERY_S:
                inbox.responder.refresh()  # so that the next file does not wait for it
                context.report(0.0, _told(inbox, counts))
                beat_at = time.monotonic()
            # A look at a large folder takes its time: no more than half of all.
            time.sleep(max(LOOK_EVERY_S, time.monotonic() - began) if not ready else 0.02)
    return {"folder": source, **asdict(arrivals.summarise(workspace, after=first, source=source))}


def _take(
    inbox: Inbox, folder: WatchedFolder, ready: Sequence[Arrival]
) -> Iterator[Sequence[TakenIn]]:
    """Take files in, a batch at a time; what became of each."""
    batches = [ready[start : start + _AT_ONCE] for start in range(0, len(ready), _AT_ONCE)]
    taken = inbox.take(batches, is_refused=lambda file: folder.is_hopeless(file, time.time()))
    for done in taken:
        for each in done:
            folder.settle(each.arrival.path, each.arrival.fingerprint)
            if each.arrival.status == "refused":
                log.warning("%s: %s", each.arrival.path, each.arrival.reason)
        yield done


def _look_for_drift(workspace: Workspace, *, actor: str) -> None:
    """Have a full window looked at, unless that is under way."""
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE, kinds=(CheckDrift.kind,))
    if not active and is_due(workspace):
        queue.submit(workspace, CheckDrift(), actor=actor)


def _told(inbox: Inbox, counts: Counter[str]) -> str:
    told = ", ".join(f"{counts[status]:,} {status}" for status in ("taken", "known", "refused"))
    why = inbox.responder.why_people
    return f"{told}; people get all: {why}" if why else told


def _refuse_if_gone(root: Path, error: OSError, seconds: float) -> None:
    if seconds > _GONE_FOR_S:
        raise OperatorError(
            f"The folder {root} cannot be read.",
            error.strerror or str(error),
            "Mount it again, then start the watcher again: it goes on where it was.",
        )


@contextmanager
def _alone(workspace: Workspace, root: Path) -> Iterator[None]:
    """Held while a folder is watched; the system lets go of it when the process dies.

    Raises:
        OperatorError: another process holds it.
    """
    name = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    lock = FileLock(workspace.folder("watchers") / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OperatorError(
            f"{root} is watched already.",
            "Two watchers of one folder would take each other's files.",
            "End the other one first: `python -m core jobs` lists it, `job cancel` ends it.",
        ) from None
    try:
        yield
    finally:
        lock.release()
