"""Looks: which looks through a source still wait for a person, and what became of one?"""

from pathlib import Path

from core.jobs.configs import ImportImages, LookThrough
from core.jobs.findings import forget_findings, has_findings
from core.state import job_rows, uploads
from core.state.job_rows import Job
from core.state.workspace import Workspace

_N_JOBS = 300  # that are looked back upon


def open_looks(workspace: Workspace) -> list[Job]:
    """The newest look through each source that has been neither imported nor discarded."""
    newest: dict[str, Job] = {}
    imported: set[str] = set()
    for job in job_rows.list_jobs(workspace, limit=_N_JOBS):  # newest first
        source = str(job.config.get("source", ""))
        if job.kind == ImportImages.kind and job.status == "succeeded":
            imported.add(source)
        elif job.kind == LookThrough.kind and source not in imported:
            newest.setdefault(source, job)
    return [job for job in newest.values() if is_open(workspace, job)]


def is_open(workspace: Workspace, look: Job) -> bool:
    """Whether there is still something to decide: it is under way, or what it found is there."""
    if look.is_active:
        return True
    if look.config["is_upload"]:
        return Path(look.config["source"]).exists()
    return has_findings(workspace, look.id)


def import_of(workspace: Workspace, look: Job) -> Job | None:
    """The newest import of what a look has shown, or None."""
    for job in job_rows.list_jobs(workspace, limit=_N_JOBS):
        if job.id < look.id:
            break
        if job.kind == ImportImages.kind and job.config["source"] == look.config["source"]:
            return job
    return None


def discard_look(workspace: Workspace, look: Job) -> None:
    """Forget what a look has found; an upload is removed with what was unpacked of it."""
    forget_findings(workspace, look.id)
    source = Path(look.config["source"])
    if uploads.is_upload(workspace, source):
        uploads.discard(workspace, source)
