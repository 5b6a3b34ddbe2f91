"""Workspaces: a folder a workspace, found by its `workspace.json`.

    <home>/<folder>/workspace.json   uid, name, when it was made
                    lacquer.db       the facts (unless PostgreSQL holds them)
                    images/ thumbnails.db embeddings/ projections/ clusterings/ jobs/ weights/
                    backups/ exports/

The uid never changes and is never used twice, so that a link or a cached image of a deleted
workspace can never be taken for one of another. Where the facts are was decided when the workspace
was made, and `workspace.json` says it: another setting never opens it empty. Workspaces in the
home's private folder are listed nowhere: they are found by who knows their uid, and their facts are
always in SQLite.
"""

import json
import os
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import OperatorError
from core.settings import Settings, load_settings
from core.state.clock import now
from core.state.files import replace_file

MARKER = "workspace.json"
SQLITE, POSTGRESQL = "sqlite", "postgresql"  # what the marker says of where the facts are
_NAME_LIMIT = 80
_PRIVATE = (".story", "copies")


@dataclass(frozen=True)
class Workspace:
    """Where one workspace's files and facts are."""

    path: Path
    uid: str
    name: str
    created_at: str
    database_url: str | None = None  # PostgreSQL; None means SQLite inside `path`

    @property
    def schema_name(self) -> str:
        """The PostgreSQL schema that holds this workspace alone."""
        return f"lacquer_{self.uid}"

    def folder(self, *parts: str) -> Path:
        """A folder inside the workspace, made if it is not there."""
        folder = self.path.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def create_workspace(
    path: Path, *, name: str | None = None, settings: Settings | None = None
) -> Workspace:
    """Make an empty workspace in `path`, which may exist but must not hold one.

    Raises:
        OperatorError: there is a workspace already, other files are in the way, or the folder
            cannot be written.
    """
    path = path.expanduser().resolve()
    name = clean_name(name or path.name)
    if (path / MARKER).exists():
        raise OperatorError(
            f"There is a workspace in {path} already.", next_step="Open it, or choose another name."
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OperatorError(
            f"{path} is not an empty folder.",
            next_step="Choose a folder that is empty or does not exist yet.",
        )
    settings = settings or load_settings()
    marker = {
        "uid": secrets.token_hex(8),
        "name": name,
        "created_at": now(),
        "layout": 1,
        "database": POSTGRESQL if settings.database_url else SQLITE,
    }
    try:
        path.mkdir(parents=True, exist_ok=True)
        _write_marker(path, marker)
    except OSError as error:
        raise OperatorError(
            f"The folder {path} cannot be written.",
            str(error.strerror or error),
            "Choose another place, or have its permissions changed.",
        ) from error
    return open_workspace(path, settings=settings)


def open_workspace(path: Path, *, settings: Settings | None = None) -> Workspace:
    """Read the workspace in `path` and bring its database to the current version.

    Raises:
        OperatorError: there is no workspace there, or it cannot be read.
    """
    from core.state.database import upgrade  # it needs Workspace

    workspace = _read(path.expanduser().resolve(), settings or load_settings())
    upgrade(workspace)
    return workspace


def open_or_create(path: Path, *, settings: Settings | None = None) -> Workspace:
    """Open the workspace in `path`, making it first where there is none."""
    if (path.expanduser() / MARKER).exists():
        return open_workspace(path, settings=settings)
    return create_workspace(path, settings=settings)


def list_workspaces(settings: Settings | None = None) -> list[Workspace]:
    """The workspaces in the home folder and the one named in the settings, by name.

    Folders that cannot be read are passed over; `python -m core doctor` names what ails them.
    """
    settings = settings or load_settings()
    found = {w.path: w for w in _readable(_candidates(settings), settings)}
    return sorted(found.values(), key=lambda workspace: workspace.name.casefold())


def find_workspace(uid: str, settings: Settings | None = None) -> Workspace | None:
    """The workspace with this uid, a private one among them, or None."""
    listed = next((w for w in list_workspaces(settings) if w.uid == uid), None)
    return listed or find_private(uid, settings)


def private_folder(settings: Settings) -> Path:
    """Where the private workspaces are, each in a folder that is called by its uid."""
    return settings.home.joinpath(*_PRIVATE)


def find_private(uid: str, settings: Settings | None = None) -> Workspace | None:
    """The private workspace with this uid, or None."""
    if not _is_uid(uid):
        return None
    settings = settings or load_settings()
    try:
        return _read(private_folder(settings) / uid, settings)
    except OperatorError:
        return None


def rename_workspace(workspace: Workspace, name: str) -> Workspace:
    """Give the workspace another name; its folder and uid stay."""
    marker = json.loads((workspace.path / MARKER).read_text(encoding="utf-8"))
    marker["name"] = clean_name(name)
    _write_marker(workspace.path, marker)
    return replace(workspace, name=marker["name"])


def delete_workspace(workspace: Workspace) -> None:
    """Delete the workspace with all its files and facts. Files imported by reference stay.

    Raises:
        OperatorError: a job is at work in it.
    """
    from core.state import job_rows
    from core.state.database import drop

    active = job_rows.list_jobs(workspace, statuses=("running",))
    if active:
        raise OperatorError(
            f"{len(active)} job(s) are running in {workspace.name}.",
            next_step="Cancel them on the page Activity, then delete.",
        )
    drop(workspace)
    doomed = workspace.path.with_name(f".deleted-{workspace.uid}")
    workspace.path.rename(doomed)  # gone at once for everybody, however long the rest takes
    shutil.rmtree(doomed, ignore_errors=True)


def disk_use(workspace: Workspace) -> dict[str, int]:
    """Bytes on disk per part of the workspace (its top-level files and folders)."""
    return {
        entry.name: _bytes_below(entry)
        for entry in sorted(workspace.path.iterdir())
        if not entry.name.startswith(".")
    }


def folder_name(name: str) -> str:
    """A folder name for a workspace called `name`: ASCII letters, digits, `-`, `_`."""
    plain = unicodedata.normalize("NFKD", clean_name(name)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-").lower() or f"w-{secrets.token_hex(3)}"


def clean_name(name: str) -> str:
    """The name without control characters and outer blanks.

    Raises:
        OperatorError: nothing is left of it, or it has more than 80 characters.
    """
    printable = "".join(c for c in unicodedata.normalize("NFC", name) if c.isprintable()).strip()
    if not printable:
        raise OperatorError("A workspace needs a name.")
    if len(printable) > _NAME_LIMIT:
        raise OperatorError(
            f"The name has {len(printable)} characters.", f"At most {_NAME_LIMIT} fit."
        )
    return printable


def _candidates(settings: Settings) -> Iterator[Path]:
    if settings.workspace:
        yield settings.workspace
    if settings.home.is_dir():
        yield from (entry for entry in settings.home.iterdir() if not entry.name.startswith("."))


def _readable(paths: Iterator[Path], settings: Settings) -> Iterator[Workspace]:
    for path in paths:
        try:
            yield _read(path, settings)
        except OperatorError:
            continue


def _write_marker(path: Path, marker: Mapping[str, Any]) -> None:
    replace_file(path / MARKER, (json.dumps(marker, indent=2) + "\n").encode())


def _read(path: Path, settings: Settings) -> Workspace:
    try:
        marker = json.loads((path / MARKER).read_text(encoding="utf-8"))
        uid, name, created_at = marker["uid"], marker["name"], marker["created_at"]
    except FileNotFoundError:
        raise OperatorError(
            f"There is no workspace in {path}.",
            next_step="Make one on the page Overview, or with `python -m core import`.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            f"{path / MARKER} cannot be read.", str(error), "Restore the file from a backup."
        ) from error
    if not _is_uid(str(uid)):
        raise OperatorError(f"{path / MARKER} has no valid uid.", f"It says {uid!r}.")
    database = marker.get("database", POSTGRESQL if settings.database_url else SQLITE)
    if database == POSTGRESQL and not settings.database_url:
        raise OperatorError(
            f"The facts of {name} are in PostgreSQL.",
            "LACQUER_DATABASE_URL, which says where that is, is not set.",
            "Set it to the URL that the workspace was made with.",
        )
    url = settings.database_url if database == POSTGRESQL else None
    return Workspace(path, uid, str(name), str(created_at), url)


def _is_uid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{16}", text) is not None


def _bytes_below(entry: Path) -> int:
    if not entry.is_dir():
        return entry.lstat().st_size
    total = 0
    for folder, _, files in os.walk(entry):
        for file in files:
            try:
                total += os.lstat(os.path.join(folder, file)).st_size  # noqa: PTH118
            except FileNotFoundError:
                continue  # a job has just renamed it into place
    return total
