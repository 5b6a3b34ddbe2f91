"""The story's workspaces: what the demo leaves as templates, and a copy of one for each visitor.

    <home>/.story/start/     a template: everything up to the map of the generic features
                  tuned/     the same, with the model fine-tuned and its automatic labels planned
                  copies/    private workspaces, one a visitor, called by their uids

A copy shares the files of its template that never change (images, arrays, models) by hard links,
and has databases of its own, in SQLite whatever the workspaces' facts are in. So it takes a
fraction of a second and a few MB, and nothing that a visitor does reaches another one. Copies that
nobody has looked at for a day go when the next is made, and so do the oldest beyond a number.
"""

import json
import logging
import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from core.errors import OperatorError
from core.settings import Settings
from core.state import database, job_rows
from core.state.clock import now
from core.state.database import DATABASE_FILE, reading, writing
from core.state.files import replace_file
from core.state.schema import metadata
from core.state.workspace import (
    MARKER,
    SQLITE,
    Workspace,
    delete_workspace,
    find_private,
    open_workspace,
    private_folder,
)

START, TUNED = "start", "tuned"
STAGES = (START, TUNED)
ARRIVALS = "arrivals"  # folder of a copy with images that the line brings later
ARRIVAL = "arrival_"  # how the names of these begin
MOST_COPIES = 40
LONGEST_IDLE_S = 24 * 3600.0
NAME = "Story"
_DATABASES = (DATABASE_FILE, "thumbnails.db")
_WRITTEN_TO = ("jobs",)  # folders whose files may grow: copied, never linked
_LEFT_OUT = ("backups", "exports", "uploads")

log = logging.getLogger(__name__)


def has_templates(settings: Settings) -> bool:
    """Whether the story can be told here."""
    return all((_template(settings, stage) / MARKER).is_file() for stage in STAGES)


def keep_template(workspace: Workspace, stage: str, settings: Settings) -> None:
    """Keep the workspace as it is now as a template; an earlier one of this stage is replaced.

    Raises:
        ValueError: there is no such stage.
    """
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
    template = _template(settings, stage)
    _clone(workspace.path, template, stage=stage, database_of=workspace)
    log.info("kept %s as the story's template %s", workspace.path, stage)


def forget_templates(settings: Settings) -> None:
    """Remove the templates, before others are made; copies stay as they are."""
    for stage in STAGES:
        _remove(_template(settings, stage))


def new_copy(settings: Settings, *, stage: str = START) -> Workspace:
    """A workspace for one visitor; old copies are removed on the way.

    Raises:
        OperatorError: the demo has not been made here.
    """
    if not has_templates(settings):
        raise OperatorError(
            "There is no story here yet.",
            "It is told on the demo's synthetic workspace.",
            "Make the demo with `python -m core demo --reset`.",
        )
    sweep(settings)
    uid = secrets.token_hex(8)
    path = private_folder(settings) / uid
    _clone(_template(settings, stage), path, stage=stage, uid=uid)
    return open_workspace(path, settings=settings)


def find_copy(uid: str, settings: Settings) -> Workspace | None:
    """The copy with this uid, opened and marked as in use; None where it is gone."""
    found = find_private(uid, settings)
    if found is None:
        return None
    try:
        os.utime(found.path / MARKER)
    except FileNotFoundError:  # it has just been swept
        return None
    return open_workspace(found.path, settings=settings)


def stage_of(copy: Workspace) -> str:
    """Of which template it is a copy; empty for a workspace that is none."""
    marker = json.loads((copy.path / MARKER).read_text(encoding="utf-8"))
    return str(marker.get("stage", ""))


def discard(copy: Workspace) -> None:
    """Throw a copy away; where a job is at work in it, the job is stopped and a later sweep does.

    Raises:
        ValueError: it is no copy of the story's.
    """
    if copy.path.name != copy.uid or copy.path.parent.name != "copies":
        raise ValueError(f"{copy.path} is no copy of the story's")
    for job in job_rows.list_jobs(copy, statuses=job_rows.ACTIVE):
        job_rows.request_cancel(copy, job.id)
    job_rows.mark_interrupted(copy, lambda owner: None)  # of a process that has long been silent
    _forget(copy.path)
    try:
        delete_workspace(copy)
    except (OperatorError, OSError) as error:  # a job has not ended yet, or somebody else does it
        log.info("%s is left to a later sweep: %s", copy.path, error)


def sweep(settings: Settings, *, keep: int = MOST_COPIES - 1) -> None:
    """Remove the copies that nobody has looked at for a day, and all but the `keep` newest."""
    folder = private_folder(settings)
    if not folder.is_dir():
        return
    by_age = sorted(
        ((_last_use(path), path) for path in folder.iterdir() if not path.name.startswith(".")),
        reverse=True,
    )
    for place, (used, path) in enumerate(by_age):
        if place < keep and time.time() - used < LONGEST_IDLE_S:
            continue
        found = find_private(path.name, settings)
        try:
            if found is None:
                _remove(path)  # half a copy, of a process that was killed
            else:
                discard(open_workspace(found.path, settings=settings))
        except (OperatorError, OSError, sa.exc.SQLAlchemyError) as error:
            log.warning("the story's copy %s cannot be removed: %s", path, error)


def _template(settings: Settings, stage: str) -> Path:
    return private_folder(settings).with_name(stage)


def _clone(
    source: Path,
    target: Path,
    *,
    stage: str,
    uid: str = "",
    database_of: Workspace | None = None,
) -> None:
    """Copy a workspace's folder beside the target, then rename it into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(source, beside, ignore=_is_not_linked, copy_function=_link)
        for folder in _WRITTEN_TO:
            if (source / folder).is_dir():
                shutil.copytree(source / folder, beside / folder, ignore=_is_of_unfinished)
        if database_of is not None and database_of.database_url:
            _copy_tables(database_of, beside)
        else:
            _copy_sqlite(source / DATABASE_FILE, beside / DATABASE_FILE)
        _copy_sqlite(source / "thumbnails.db", beside / "thumbnails.db")
        marker = {
            "uid": uid or secrets.token_hex(8),
            "name": NAME,
            "created_at": now(),
            "layout": 1,
            "database": SQLITE,
            "stage": stage,
        }
        replace_file(beside / MARKER, (json.dumps(marker, indent=2) + "\n").encode())
        _remove(target)
        beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _is_not_linked(folder: str, names: list[str]) -> list[str]:
    """What a copy does not share: databases, the marker, and what nobody needs there."""
    if MARKER not in names:  # deeper down everything is shared
        return []
    apart = (MARKER, *_WRITTEN_TO, *_LEFT_OUT)
    return [name for name in names if name in apart or name.startswith((".", *_DATABASES))]


def _is_of_unfinished(folder: str, names: list[str]) -> list[str]:
    """What a job keeps to go on from: pixels, activations and checkpoints lie in folders."""
    here = Path(folder)
    return [name for name in names if here.name not in _WRITTEN_TO and (here / name).is_dir()]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)


def _copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy even while the source is written."""
    if not source.is_file():
        return
    with (
        closing(sqlite3.connect(source)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def _copy_tables(workspace: Workspace, folder: Path) -> None:
    """The facts of a workspace in PostgreSQL as a SQLite database."""
    made = Workspace(folder, secrets.token_hex(8), NAME, now())
    database.upgrade(made)
    with reading(workspace) as source, writing(made) as sink:
        sink.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # some rows name later ones
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
            if rows:
                sink.execute(table.insert(), rows)
    database.drop(made)


def _last_use(path: Path) -> float:
    try:
        return (path / MARKER).stat().st_mtime
    except OSError:
        return 0.0


def _forget(path: Path) -> None:
    """Have the copy be the first that a sweep removes."""
    try:
        os.utime(path / MARKER, (0, 0))
    except OSError:
        log.debug("%s has gone already", path)


def _remove(path: Path) -> None:
    """Remove a folder that is no workspace in use, at once for everybody."""
    if not path.exists():
        return
    doomed = path.with_name(f".deleted-{secrets.token_hex(4)}")
    path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
