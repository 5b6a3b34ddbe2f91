"""What every command is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import Settings

if TYPE_CHECKING:
    from core.jobs.configs import JobConfig
    from core.state.job_rows import Job
    from core.state.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        data: for programs, as JSON values.
        text: for people; empty says nothing.
        is_well: False where something is left for a person to mend.
    """

    data: Mapping[str, Any]
    text: str = ""
    is_well: bool = True


@dataclass(frozen=True)
class Session:
    """Whom a command serves, and where: `folder` is the workspace that was named, if one was."""

    settings: Settings
    folder: Path | None
    actor: str

    @property
    def workspace_folder(self) -> Path:
        """The workspace's folder, whether it is there or not."""
        return self.folder or self.settings.workspace or self.settings.home / "default"

    def open(self, *, create: bool = False) -> Workspace:
        """The workspace.

        Raises:
            OperatorError: there is none, and `create` is not set; or it cannot be opened.
        """
        from core.state.workspace import open_or_create, open_workspace

        opened = open_or_create if create else open_workspace
        return opened(self.workspace_folder, settings=self.settings)

    def do(self, workspace: Workspace, config: JobConfig) -> Mapping[str, Any]:
        """Do a job in this process, with its progress on standard error.

        Returns:
            The job's result, with its number as `job`.

        Raises:
            OperatorError: the job failed or was cancelled.
            KeyboardInterrupt: Ctrl-C cancelled it.
        """
        from core.cli.following import run_here
        from core.jobs import queue

        job = queue.submit(workspace, config, actor=self.actor, start=False)
        return result_of(workspace, run_here(workspace, job))


def result_of(workspace: Workspace, job: Job) -> Mapping[str, Any]:
    """The result of a job that has ended, with its number as `job`.

    Raises:
        OperatorError: it ended otherwise than well.
    """
    from core.errors import OperatorError
    from core.jobs.context import job_folder

    if job.status == "succeeded":
        return {"job": job.id, **(job.result or {})}
    error = job.error or {"title": f"Job {job.id} is {job.status}."}
    log = f"The log of job {job.id} is {job_folder(workspace, job.id) / 'log.txt'}."
    next_step = f"{error.get('next_step', '')} {log}".strip()
    raise OperatorError(error["title"], error.get("detail", ""), next_step)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as aligned text, their last column as wide as it is."""
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def counted(counts: Mapping[str, int]) -> str:
    """`dirt 36, drop 83` of a mapping."""
    return ", ".join(f"{name} {n:,}" for name, n in counts.items()) or "none"
