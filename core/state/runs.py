"""Runs: what was computed, from what, with which settings, and where its arrays lie.

A run's id is a hash of all that changes its result, so the same question asked twice has one
answer. Its folder is written beside and renamed into place before its row is inserted: no row
points at a missing file.
"""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sqlalchemy as sa

from core.errors import OperatorError
from core.state.clock import now
from core.state.database import insert_new, reading, writing
from core.state.files import flush
from core.state.schema import cluster_names, runs
from core.state.workspace import Workspace

FOLDERS = {  # of the arrays of each kind of run
    "embedding": "embeddings",
    "projection": "projections",
    "clustering": "clusterings",
    "graph": "graphs",
    "k_distances": "k_distances",
    "separability": "separabilities",
    "stability": "stabilities",
    "anomalies": "anomalies",
    "label_errors": "label_errors",
    "layout": "layouts",
    "comparison": "comparisons",
    "evaluation": "evaluations",
    "movement": "movements",
    "triage_plan": "triage_plans",
    "model_comparison": "model_comparisons",
    "novel_groups": "novel_groups",
}
KINDS = tuple(FOLDERS)


@dataclass(frozen=True)
class Run:
    """One finished computation. `config` is what was asked, `result` what came out."""

    id: str
    kind: str
    parent_id: str | None
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    n_images: int
    created_at: str
    actor: str
    job_id: int | None


def run_id(kind: str, inputs: Mapping[str, Any]) -> str:
    """The id of a run of this kind from these inputs (JSON values): 16 hex digits and its kind.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def hash_array(array: np.ndarray) -> str:
    """sha256 of an array's dtype, shape and values, for use among a run's inputs."""
    described = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()


@contextmanager
def new_artefact(workspace: Workspace, kind: str, run: str) -> Iterator[Path]:
    """A folder to write a run's arrays into; it takes its final name when the block ends well."""
    final = artefact_folder(workspace, run, kind=kind)
    _sweep(final)
    beside = final.with_name(f"{_prefix(final)}{os.getpid()}")
    replaced = final.with_name(f"{beside.name}.replaced")
    beside.mkdir(parents=True)
    try:
        yield beside
        for file in beside.iterdir():
            flush(file)
        if final.exists():  # damaged, or its process died between the rename and the row
            final.rename(replaced)
        beside.rename(final)
        flush(final.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def artefact_folder(workspace: Workspace, run: str, *, kind: str | None = None) -> Path:
    """Where the arrays of a run lie."""
    return workspace.path / FOLDERS[kind or run.rpartition("-")[0]] / run


def load_array(workspace: Workspace, run: Run, name: str, *, mapped: bool = False) -> np.ndarray:
    """One array of a run; `mapped` leaves it on disk until it is touched.

    Raises:
        OperatorError: the file is missing or damaged.
    """
    path = artefact_folder(workspace, run.id) / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise OperatorError(
            f"The file {path.name} of {run.id} cannot be read.",
            str(error),
            "Run `python -m core doctor`, then compute it again.",
        ) from error


def add_run(
    workspace: Workspace,
    *,
    id: str,
    kind: str,
    parent_id: str | None,
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    n_images: int,
    actor: str,
    job_id: int | None,
) -> Run:
    """Record a finished run whose folder is in place; one that is recorded already is returned."""
    with writing(workspace) as connection:
        row = {
            "id": id,
            "kind": kind,
            "parent_id": parent_id,
            "config": dict(config),
            "result": dict(result),
            "n_images": n_images,
            "created_at": now(),
            "actor": actor,
            "job_id": job_id,
        }
        insert_new(connection, runs, [row])
    return get_run(workspace, id)


def get_run(workspace: Workspace, id: str) -> Run:
    """One run by its id or by an unambiguous beginning of it.

    Raises:
        OperatorError: no run, or more than one, begins so.
    """
    query = _query().where(runs.c.id.startswith(id, autoescape=True)).limit(2)
    with reading(workspace) as connection:
        rows = connection.execute(query).all()
    if len(rows) != 1:
        raise OperatorError(
            f"{'No' if not rows else 'More than one'} run begins with {id!r}.",
            next_step="`python -m core runs` lists them.",
        )
    return Run(*rows[0])


def find_run(workspace: Workspace, id: str) -> Run | None:
    """The run with exactly this id, or None."""
    with reading(workspace) as connection:
        row = connection.execute(_query().where(runs.c.id == id)).one_or_none()
    return Run(*row) if row else None


def list_runs(
    workspace: Workspace, kind: str | None = None, *, parent_id: str | None = None
) -> list[Run]:
    """Runs, newest first."""
    query = _query().order_by(runs.c.created_at.desc(), runs.c.id)
    if kind:
        query = query.where(runs.c.kind == kind)
    if parent_id:
        query = query.where(runs.c.parent_id == parent_id)
    with reading(workspace) as connection:
        return [Run(*row) for row in connection.execute(query)]


def delete_run(workspace: Workspace, id: str) -> list[str]:
    """Delete a run and what was computed from it; returns the ids that are gone.

    Raises:
        OperatorError: there is no such run.
    """
    doomed = [get_run(workspace, id).id]
    for parent in doomed:  # grows while it is walked: children of children follow
        doomed += [child.id for child in list_runs(workspace, parent_id=parent)]
    with writing(workspace) as connection:
        for run in reversed(doomed):
            connection.execute(cluster_names.delete().where(cluster_names.c.run_id == run))
            connection.execute(runs.delete().where(runs.c.id == run))
    for run in doomed:
        shutil.rmtree(artefact_folder(workspace, run), ignore_errors=True)
    return doomed


def _query() -> sa.Select:
    return sa.select(*[runs.c[name] for name in Run.__dataclass_fields__])


def _prefix(final: Path) -> str:
    return f".{final.name}.{socket.gethostname()}."


def _sweep(final: Path) -> None:
    """Remove what processes of this machine that have died left of a run."""
    for left in final.parent.glob(f"{_prefix(final)}*"):
        pid = int(left.name.removeprefix(_prefix(final)).partition(".")[0])
        if pid == os.getpid() or not psutil.pid_exists(pid):
            shutil.rmtree(left, ignore_errors=True)
