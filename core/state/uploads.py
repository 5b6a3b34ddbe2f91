"""Uploads: archives that a person has sent, and what was unpacked of them, until both are used up.

    <workspace>/uploads/<name>.zip        the archive as it came; a classifier's file likewise
                        <name>.unpacked   its files, whole or not there
                        .<name>…          what a process is at work on

A name is drawn for each upload and never used twice. An upload is removed when it has been
imported, when a person discards it, and when nobody has used it for a day.
"""

import secrets
import shutil
import time
from pathlib import Path
from typing import BinaryIO

from core.errors import OperatorError
from core.state import job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace

ABANDONED_AFTER_S = 24 * 3600.0
_FOLDER = "uploads"


def store_upload(workspace: Workspace, content: BinaryIO, *, suffix: str = ".zip") -> Path:
    """Keep an archive, or another file by its suffix, that was sent, and return where it is."""
    folder = workspace.folder(_FOLDER)
    name = secrets.token_hex(8)
    beside = folder / f".{name}.part"
    try:
        with beside.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        return beside.rename(folder / f"{name}{suffix}")
    except OSError as error:
        raise OperatorError(
            "The file could not be kept.",
            error.strerror or str(error),
            "Make room in the workspace's folder, then send it again.",
        ) from error
    finally:
        beside.unlink(missing_ok=True)


def is_upload(workspace: Workspace, archive: Path) -> bool:
    """Whether an archive is an upload of this workspace, not a file from elsewhere."""
    return archive.parent == workspace.path / _FOLDER


def unpacked_folder(workspace: Workspace, archive: Path) -> Path:
    """Where an upload's files lie once they are unpacked."""
    return workspace.path / _FOLDER / f"{archive.stem}.unpacked"


def unpacking_folder(workspace: Workspace, archive: Path, job_id: int) -> Path:
    """Where one job unpacks an upload, before the folder is renamed into its place."""
    return workspace.path / _FOLDER / f".{archive.stem}.{job_id}"


def jobs_using(workspace: Workspace, archive: Path) -> list[Job]:
    """The active jobs that read an upload."""
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    return [job for job in active if job.config.get("source") == str(archive) and job.is_active]


def discard(workspace: Workspace, archive: Path) -> None:
    """Remove an upload with what was unpacked of it. Files elsewhere are never touched.

    Raises:
        ValueError: the archive is no upload of this workspace.
    """
    if not is_upload(workspace, archive):
        raise ValueError(f"{archive} is no upload of {workspace.name}")
    archive.unlink(missing_ok=True)  # first: what is left without it is never taken for whole
    _remove(unpacked_folder(workspace, archive))
    for rest in (workspace.path / _FOLDER).glob(f".{archive.stem}.*"):
        _remove(rest)


def discard_abandoned(workspace: Workspace) -> None:
    """Remove the uploads that nobody has used for a day and no job is to read."""
    folder = workspace.path / _FOLDER
    if not folder.is_dir():
        return
    stems = {entry.name.removeprefix(".").partition(".")[0] for entry in folder.iterdir()}
    for stem in stems:
        archive = _archive(folder, stem)
        if _is_stale(folder, stem) and not jobs_using(workspace, archive):
            discard(workspace, archive)


def _archive(folder: Path, stem: str) -> Path:
    """The file as it came, or where it was."""
    came = (path for path in folder.glob(f"{stem}.*") if path.suffix != ".unpacked")
    return next(came, folder / f"{stem}.zip")


def _is_stale(folder: Path, stem: str) -> bool:
    """Whether all that belongs to an upload was last written more than a day ago."""
    times = [
        entry.lstat().st_mtime
        for pattern in (f"{stem}.*", f".{stem}.*")
        for entry in folder.glob(pattern)
    ]
    return time.time() - max(times, default=0.0) > ABANDONED_AFTER_S


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        gone = path.with_name(f".{secrets.token_hex(8)}.gone")
        path.rename(gone)  # at once for everybody, however long the rest takes
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
