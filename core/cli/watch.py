"""The line: `watch` takes the images of a camera's folder in as they come."""

from __future__ import annotations

import os
import signal
from argparse import Namespace
from dataclasses import asdict
from typing import NoReturn

from core.cli.choosing import add_device
from core.cli.parser import Commands, a_path, add_command, wrong_usage
from core.cli.session import Answer, Session
from core.jobs.configs import OUTPUT_SUFFIXES, WatchFolder


def add_commands(commands: Commands) -> None:
    """Add this command."""
    watch = add_command(
        commands, "watch", watch_folder, summary="take a camera's images in as they come"
    )
    watch.add_argument("folder", type=a_path, metavar="DIR", help="the folder; subfolders count")
    watch.add_argument(
        "--output",
        type=a_path,
        metavar="FILE",
        help=f"write a line for each image, {' or '.join(OUTPUT_SUFFIXES)} by its ending",
    )
    watch.add_argument(
        "--once", action="store_true", help="take what is there, then end (default: never)"
    )
    watch.add_argument(
        "--grace",
        type=float,
        default=WatchFolder.grace_s,
        metavar="S",
        help="seconds without a change after which a file that cannot be read is refused "
        "(default: %(default)g)",
    )
    add_device(watch)


def watch_folder(session: Session, asked: Namespace) -> Answer:
    """Watch until Ctrl-C or a SIGTERM; both end it well."""
    from core.jobs.processes import is_gone
    from core.state import arrivals, job_rows

    workspace = session.open()
    with wrong_usage():
        config = WatchFolder(
            folder=str(asked.folder),
            output=str(asked.output) if asked.output else "",
            once=asked.once,
            grace_s=asked.grace,
            device=asked.device,
            process=os.getpid(),
        )
    for job in job_rows.mark_interrupted(workspace, is_gone):
        if job.kind == config.kind and job.config.get("process"):
            job_rows.request_cancel(workspace, job.id)  # of a terminal that was killed
    first = arrivals.newest_id(workspace)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        session.do(workspace, config)
    except KeyboardInterrupt:
        pass  # how a watcher ends
    finally:
        signal.signal(signal.SIGTERM, before)
    done = arrivals.summarise(workspace, after=first, source=config.folder)
    text = (
        f"{done.n_taken:,} images taken, {done.n_auto:,} of them labelled by the model; "
        f"{done.n_known:,} files were known, {done.n_refused:,} refused."
    )
    return Answer({"folder": config.folder, **asdict(done)}, text)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt
