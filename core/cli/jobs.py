"""Jobs: `jobs` lists them, `job` looks at one or moves it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.cli.parser import Commands, Handler, add_command, whole_number
from core.cli.session import Answer, Session, result_of, table
from core.errors import OperatorError
from core.jobs.steps import title

if TYPE_CHECKING:
    from core.state.job_rows import Job


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    listing = add_command(commands, "jobs", list_jobs, summary="list the newest jobs")
    listing.add_argument(
        "--limit", type=whole_number(1), default=20, metavar="N", help="how many (default: 20)"
    )
    group = add_command(commands, "job", None, summary="show, run, cancel or resume one job")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    handlers: Mapping[str, tuple[Handler, str]] = {
        "show": (show_job, "say how a job stands"),
        "run": (run_job, "do a job that waits, in this process"),
        "cancel": (cancel_job, "ask a job to stop"),
        "resume": (resume_job, "let a job that failed or was stopped go on in the background"),
        "log": (read_log, "print the end of a job's log"),
    }
    for verb, (run, summary) in handlers.items():
        parser = add_command(verbs, verb, run, summary=summary)
        parser.add_argument("job", metavar="ID", type=whole_number(1))


def list_jobs(session: Session, asked: Namespace) -> Answer:
    """Jobs, newest first, once those of dead processes are set right."""
    from core.jobs.processes import is_gone
    from core.state import job_rows

    workspace = session.open()
    job_rows.mark_interrupted(workspace, is_gone)
    found = job_rows.list_jobs(workspace, limit=asked.limit)
    rows = [
        (job.id, title(job.kind), job.status, f"{job.progress:.0%}", job.created_at[:19], job.actor)
        for job in found
    ]
    heading = ("job", "what", "status", "done", "submitted (UTC)", "by")
    text = table([heading, *rows]) if rows else "No jobs yet."
    return Answer({"jobs": [asdict(job) for job in found]}, text)


def show_job(session: Session, asked: Namespace) -> Answer:
    """Everything that is known of one job."""
    from core.state import job_rows

    return _as_answer(job_rows.get_job(session.open(), asked.job))


def run_job(session: Session, asked: Namespace) -> Answer:
    """Do one job here; its result is the answer."""
    from core.cli.following import run_here
    from core.jobs.processes import is_gone
    from core.state import job_rows

    workspace = session.open()
    job_rows.mark_interrupted(workspace, is_gone)
    job = job_rows.get_job(workspace, asked.job)
    if job.status in job_rows.ENDED:
        raise OperatorError(
            f"Job {job.id} has ended: {job.status}.",
            next_step=f"One that did not succeed goes on by `python -m core job resume {job.id}`.",
        )
    ended = run_here(workspace, job)
    result_of(workspace, ended)
    return _as_answer(ended)


def cancel_job(session: Session, asked: Namespace) -> Answer:
    """A waiting job ends at once, a running one at its next report."""
    from core.jobs import queue

    return _as_answer(queue.cancel(session.open(), asked.job))


def resume_job(session: Session, asked: Namespace) -> Answer:
    """A worker takes the job up in the background."""
    from core.jobs import queue

    return _as_answer(queue.resume(session.open(), asked.job))


def read_log(session: Session, asked: Namespace) -> Answer:
    """The end of the log."""
    from core.jobs import queue
    from core.state import job_rows

    workspace = session.open()
    job = job_rows.get_job(workspace, asked.job)
    log = queue.read_log(workspace, job.id)
    return Answer({"job": job.id, "log": log}, log.rstrip())


def _as_answer(job: Job) -> Answer:
    lines = [
        f"Job {job.id}: {title(job.kind)}, {job.status}, {job.progress:.0%} {job.step}".rstrip()
    ]
    if job.error:
        lines.append(" ".join(filter(None, job.error.values())))
    if job.result:
        lines.append(json.dumps(job.result, ensure_ascii=False, indent=2))
    return Answer(asdict(job), "\n".join(lines))
