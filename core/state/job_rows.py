"""Jobs as rows: what was asked, who works on it, how far it is, how it ended.

A running job belongs to one process, known by host, pid and start time. Every write of that
process names its attempt, so a process that was given up for dead cannot overwrite its successor.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.errors import Cancelled, OperatorError
from core.state.clock import now
from core.state.database import reading, writing
from core.state.schema import jobs
from core.state.workspace import Workspace

ACTIVE = ("queued", "running", "interrupted")
ENDED = ("succeeded", "failed", "cancelled")
MAX_ATTEMPTS = 3  # a job that kills its process thrice waits for a person
STALE_AFTER_S = 30.0  # of silence, where the process cannot be looked at
ENDLESS = ("watch",)  # kinds that are killed sooner or later, however well they do
PROVEN_AFTER_S = 3600.0  # one of them that ran so long has its attempts anew


@dataclass(frozen=True)
class Owner:
    """The process that works on a job; `started` in seconds since the epoch."""

    host: str
    pid: int
    started: float


@dataclass(frozen=True)
class Job:
    """One job. `progress` runs from 0 to 1; `error` holds title, detail and next_step."""

    id: int
    kind: str
    lane: str
    config: Mapping[str, Any]
    actor: str
    status: str
    progress: float
    step: str
    cancel_requested: bool
    attempts: int
    host: str | None
    pid: int | None
    pid_started: float | None
    heartbeat: float | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    error: Mapping[str, str] | None
    result: Mapping[str, Any] | None

    @property
    def is_active(self) -> bool:
        """Whether it is still to come to an end by itself."""
        return self.status in ("queued", "running") or self.resumes_by_itself

    @property
    def resumes_by_itself(self) -> bool:
        """Whether a worker will take it up again without a person's word."""
        return self.status == "interrupted" and self.attempts < MAX_ATTEMPTS


def add_job(
    workspace: Workspace, *, kind: str, lane: str, config: Mapping[str, Any], actor: str
) -> Job:
    """Queue a job."""
    row = {
        "kind": kind,
        "lane": lane,
        "config": dict(config),
        "actor": actor,
        "status": "queued",
        "created_at": now(),
    }
    with writing(workspace) as connection:
        query = jobs.insert().values(row).returning(*_COLUMNS)
        return Job(*connection.execute(query).one())


def claim_next(workspace: Workspace, lane: str, owner: Owner) -> Job | None:
    """Take the oldest job of the lane that waits, or None. Two processes never take the same."""
    waiting = sa.or_(
        jobs.c.status == "queued",
        (jobs.c.status == "interrupted") & (jobs.c.attempts < MAX_ATTEMPTS),
    )
    oldest = (
        sa.select(jobs.c.id)
        .where(jobs.c.lane == lane, waiting)
        .order_by(jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return _claim(workspace, jobs.c.id == oldest, owner)


def claim(workspace: Workspace, job_id: int, owner: Owner) -> Job:
    """Take one job that waits.

    Raises:
        OperatorError: it does not exist, runs already or has ended.
    """
    waiting = jobs.c.status.in_(("queued", "interrupted"))
    job = _claim(workspace, (jobs.c.id == job_id) & waiting, owner)
    if job is None:
        raise OperatorError(f"Job {job_id} is {get_job(workspace, job_id).status}.")
    return job


def beat(workspace: Workspace, job: Job, *, progress: float, step: str) -> None:
    """Say that the job is alive, and how far it is.

    Raises:
        Cancelled: a person asked it to stop, or another process has taken it over.
    """
    values = {"progress": progress, "step": step, "heartbeat": time.time()}
    with writing(workspace) as connection:
        query = jobs.update().where(_is_ours(job)).values(values)
        cancel = connection.execute(query.returning(jobs.c.cancel_requested)).scalar_one_or_none()
    if cancel is None or cancel:
        raise Cancelled


def finish(
    workspace: Workspace,
    job: Job,
    status: str,
    *,
    error: Mapping[str, str] | None = None,
    result: Mapping[str, Any] | None = None,
) -> Job:
    """Record how the job ended; a process that has lost the job changes nothing."""
    if status not in ENDED:
        raise ValueError(f"status must be one of {', '.join(ENDED)}, got {status!r}")
    values: dict[str, Any] = {"status": status, "finished_at": now(), "heartbeat": time.time()}
    if status == "succeeded":
        values |= {"progress": 1.0, "step": ""}
    values |= {"error": error, "result": result}
    with writing(workspace) as connection:
        connection.execute(jobs.update().where(_is_ours(job)).values(values))
    return get_job(workspace, job.id)


def request_cancel(workspace: Workspace, job_id: int) -> Job:
    """Ask a job to stop: one that waits ends at once, one that runs at its next report."""
    runs = jobs.c.status == "running"
    values = {  # in one statement: between two, a worker could claim it and never hear of the wish
        "status": sa.case((runs, jobs.c.status), else_="cancelled"),
        "cancel_requested": runs,
        "finished_at": sa.case((runs, jobs.c.finished_at), else_=now()),
    }
    with writing(workspace) as connection:
        connection.execute(
            jobs.update().where(jobs.c.id == job_id, jobs.c.status.in_(ACTIVE)).values(values)
        )
    return get_job(workspace, job_id)


def requeue(workspace: Workspace, job_id: int) -> Job:
    """Let a job that failed, was cancelled or was interrupted run again from its checkpoint.

    Raises:
        OperatorError: it waits, runs or has succeeded.
    """
    with writing(workspace) as connection:
        changed = connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.status.in_(("failed", "cancelled", "interrupted")))
            .values(
                status="queued",
                attempts=0,
                cancel_requested=False,
                error=sa.null(),
                finished_at=None,
            )
        ).rowcount
    job = get_job(workspace, job_id)
    if not changed:
        raise OperatorError(f"Job {job_id} is {job.status}; there is nothing to resume.")
    return job


def mark_interrupted(workspace: Workspace, is_gone: Callable[[Owner], bool | None]) -> list[Job]:
    """Turn jobs whose process has died into `interrupted`, ready to resume.

    Args:
        is_gone: whether a process has ended; None where that cannot be known (such as on another
            machine), then 30 seconds without a heartbeat decide.
    """
    dead = []
    for job in list_jobs(workspace, statuses=("running",)):
        gone = is_gone(Owner(job.host or "", job.pid or 0, job.pid_started or 0.0))
        silent = time.time() - (job.heartbeat or 0.0) > STALE_AFTER_S
        if gone or (gone is None and silent):
            dead.append(job)
    for job in dead:
        # One whose stop had been asked for is at its end: nobody wants it resumed.
        status = "cancelled" if job.cancel_requested else "interrupted"
        ended = now() if job.cancel_requested else None
        attempts = 0 if _is_proven(job) else job.attempts
        with writing(workspace) as connection:
            connection.execute(
                jobs.update()
                .where(_is_ours(job))
                .values(status=status, finished_at=ended, attempts=attempts)
            )
    return dead


def get_job(workspace: Workspace, job_id: int) -> Job:
    """One job.

    Raises:
        OperatorError: there is no such job.
    """
    with reading(workspace) as connection:
        row = connection.execute(sa.select(*_COLUMNS).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise OperatorError(f"There is no job {job_id} in {workspace.name}.")
    return Job(*row)


def list_jobs(
    workspace: Workspace,
    *,
    statuses: Sequence[str] = (),
    kinds: Sequence[str] = (),
    limit: int | None = None,
) -> list[Job]:
    """Jobs, newest first; of these statuses and kinds, of any where none are named."""
    query = sa.select(*_COLUMNS).order_by(jobs.c.id.desc()).limit(limit)
    if statuses:
        query = query.where(jobs.c.status.in_(statuses))
    if kinds:
        query = query.where(jobs.c.kind.in_(kinds))
    with reading(workspace) as connection:
        return [Job(*row) for row in connection.execute(query)]


_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def _is_proven(job: Job) -> bool:
    if job.kind not in ENDLESS or job.started_at is None or job.heartbeat is None:
        return False
    began = datetime.fromisoformat(job.started_at).timestamp()
    return job.heartbeat - began > PROVEN_AFTER_S


def _is_ours(job: Job) -> sa.ColumnElement[bool]:
    return (
        (jobs.c.id == job.id)
        & (jobs.c.status == "running")
        & (jobs.c.attempts == job.attempts)
        & (jobs.c.pid == job.pid)
        & (jobs.c.host == job.host)
    )


def _claim(workspace: Workspace, condition: sa.ColumnElement[bool], owner: Owner) -> Job | None:
    values = {
        "status": "running",
        "attempts": jobs.c.attempts + 1,
        "cancel_requested": False,
        "host": owner.host,
        "pid": owner.pid,
        "pid_started": owner.started,
        "heartbeat": time.time(),
        "started_at": now(),
        "finished_at": None,
        "error": sa.null(),
    }
    with writing(workspace) as connection:
        query = jobs.update().where(condition).values(values).returning(*_COLUMNS)
        row = connection.execute(query).one_or_none()
    return Job(*row) if row else None
