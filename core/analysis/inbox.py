"""What stands on the page Inbox: who watches what, how fast it comes, and what became of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.jobs.configs import AnswerDropped, WatchFolder
from core.state import arrivals, job_rows
from core.state.arrivals import Arrival, Summary
from core.state.clock import as_text
from core.state.job_rows import Job
from core.state.workspace import Workspace

N_MINUTES = 60


@dataclass(frozen=True)
class Flow:
    """What came in.

    Attributes:
        today: since midnight in UTC.
        per_minute: images taken a minute, over the last five.
        by_minute: (minutes ago, images taken) of the last hour, the oldest first.
    """

    today: Summary
    per_minute: float
    by_minute: list[tuple[int, int]]


def watchers(workspace: Workspace) -> list[Job]:
    """The jobs that watch a folder, or wait to, the newest first."""
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    return [job for job in active if job.kind == WatchFolder.kind and job.is_active]


def output_of(workspace: Workspace, folder: str) -> Path:
    """The output file of a watcher that a page starts, a download of the workspace."""
    name = hashlib.sha256(folder.encode()).hexdigest()[:8]
    return workspace.folder("exports") / f"inbox-{name}.csv"


def read_flow(workspace: Workspace, *, now: datetime | None = None) -> Flow:
    """What came in today, and how fast it comes."""
    now = now or datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    counts = arrivals.count_by_minute(
        workspace, since=as_text(now - timedelta(minutes=N_MINUTES))[:16]
    )
    by_minute = [
        (ago, counts.get(as_text(now - timedelta(minutes=ago))[:16], 0))
        for ago in range(N_MINUTES - 1, -1, -1)
    ]
    recent = sum(n for ago, n in by_minute if 0 < ago <= 5)
    return Flow(
        today=arrivals.summarise(workspace, since=as_text(midnight)),
        per_minute=recent / 5,
        by_minute=by_minute,
    )


def newest_dropped(workspace: Workspace, job_id: int | None) -> Job | None:
    """The drop that the page shows: the one that is named, as long as it is one."""
    if job_id is None:
        return None
    jobs = job_rows.list_jobs(workspace, limit=500)
    return next((job for job in jobs if job.id == job_id and job.kind == AnswerDropped.kind), None)


def as_rows(found: list[Arrival]) -> list[dict[str, Any]]:
    """The table of the newest arrivals."""
    return [
        {
            "at": each.at[:19].replace("T", " "),
            "file": each.path,
            "became": each.status,
            "label": each.label,
            "confidence": each.confidence,
            "novelty": each.novelty,
            "to": {"auto": "labelled", "operator": "queue"}.get(each.route or "", ""),
            "seconds": each.seconds,
            "reason": each.reason,
        }
        for each in found
    ]
