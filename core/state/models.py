"""The registry of models: their lineage, which one is at work, and where their files lie.

A model's folder `models/<id>/` holds its weights (safetensors, the head included) and the ids of
the images that it was trained and validated on. It is written beside and renamed into place in the
transaction that inserts its row: no row points at a missing file.
"""

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from core.errors import OperatorError
from core.state.clock import now
from core.state.database import reading, writing
from core.state.files import flush
from core.state.schema import models, promotions, runs
from core.state.workspace import Workspace

WEIGHTS_FILE = "weights.safetensors"
MAX_NOTES = 2000
FEWEST_WORDS = 3  # of a reason to overrule a comparison
_ATTEMPTS = 20  # at a number that several processes want at once


@dataclass(frozen=True)
class Model:
    """One version of a classifier.

    Attributes:
        number: counts the models of a workspace, from 1.
        mode: which layers were trained; `imported` where that was done elsewhere.
        classes: names in the order of the head's rows.
        config: what was asked, whole.
        result: what came out: metrics, history, data set, versions.
        start_from: the model that it began with, None for the backbone's published weights.
        weights_sha256: hash of its weights file.
    """

    id: str
    number: int
    backbone: str
    mode: str
    classes: tuple[str, ...]
    config: Mapping[str, Any]
    result: Mapping[str, Any]
    start_from: str | None
    weights_sha256: str
    notes: str
    created_at: str
    actor: str
    job_id: int | None
    deleted_at: str | None
    deleted_by: str | None


@dataclass(frozen=True)
class Promotion:
    """A model was put to work.

    Attributes:
        rolls_back: the promotion that ended with it.
        comparison: the run that compares it with the model from before, None where there is none.
        is_overruled: it was put to work against what the comparison says, or without one.
    """

    id: int
    model_id: str
    at: str
    actor: str
    reason: str
    rolls_back: int | None
    comparison: str | None = None
    is_overruled: bool = False


@dataclass(frozen=True)
class Roles:
    """Which images a model has seen: int64 arrays of ids, ascending."""

    train: np.ndarray
    validation: np.ndarray


@contextmanager
def new_folder(workspace: Workspace) -> Iterator[Path]:
    """A folder to write a new model's files into, for `add_model`; removed where that fails."""
    beside = workspace.folder("models") / f".{secrets.token_hex(8)}"
    beside.mkdir()
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def add_model(
    workspace: Workspace,
    written: Path,
    *,
    backbone: str,
    mode: str,
    classes: Sequence[str],
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    weights_sha256: str,
    start_from: str | None,
    notes: str,
    actor: str,
    job_id: int | None,
) -> Model:
    """Give the files in `written` the next number and their place, and record the model.

    Raises:
        OperatorError: the notes are too long.
    """
    values: dict[str, Any] = {
        "backbone": backbone,
        "mode": mode,
        "classes": list(classes),
        "config": dict(config),
        "result": dict(result),
        "start_from": start_from,
        "weights_sha256": weights_sha256,
        "notes": _clean_notes(notes),
        "created_at": now(),
        "actor": actor,
        "job_id": job_id,
    }
    for file in written.iterdir():
        flush(file)
    for _ in range(_ATTEMPTS):
        with suppress(sa.exc.IntegrityError):  # another process has taken the number just now
            return get_model(workspace, _number_and_place(workspace, written, values))
    return get_model(workspace, _number_and_place(workspace, written, values))


def folder(workspace: Workspace, model_id: str) -> Path:
    """Where a model's files lie."""
    return workspace.path / "models" / model_id


def weights_path(workspace: Workspace, model_id: str) -> Path:
    """A model's weights, the head included."""
    return folder(workspace, model_id) / WEIGHTS_FILE


def load_roles(workspace: Workspace, model: Model) -> Roles:
    """The images that a model was trained and validated on; none where it came from elsewhere.

    Raises:
        OperatorError: the files are missing or damaged.
    """
    found = []
    for name in ("train_ids", "validation_ids"):
        path = folder(workspace, model.id) / f"{name}.npy"
        try:
            found.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise OperatorError(
                f"The file {path.name} of {model.id} cannot be read.",
                str(error),
                "Run `python -m core doctor`.",
            ) from error
    return Roles(*found)


def get_model(workspace: Workspace, id: str) -> Model:
    """A model by its id, by its number, or `promoted` or `newest`.

    Raises:
        OperatorError: there is none, or it has been deleted.
    """
    if id == "promoted":
        found = promoted(workspace)
        if found is None:
            raise OperatorError(
                "No model is promoted.", next_step="Promote one on the page Fine-tuning."
            )
        return found
    query = _query().where(models.c.deleted_at.is_(None))
    if id == "newest":
        query = query.order_by(models.c.number.desc()).limit(1)
    elif id.isascii() and id.isdigit():
        query = query.where(models.c.number == int(id[:9]))
    else:
        query = query.where(models.c.id == id)
    with reading(workspace) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise OperatorError(
            "There is no model yet." if id == "newest" else f"There is no model {id!r}.",
            next_step="Train one on the page Fine-tuning; `python -m core model list` names them.",
        )
    return _model(row)


def list_models(workspace: Workspace, *, with_deleted: bool = False) -> list[Model]:
    """Models, newest first."""
    query = _query().order_by(models.c.number.desc())
    if not with_deleted:
        query = query.where(models.c.deleted_at.is_(None))
    with reading(workspace) as connection:
        return [_model(row) for row in connection.execute(query)]


def models_of_job(workspace: Workspace, job_id: int) -> list[Model]:
    """What a job has made so far, the oldest first."""
    query = _query().where(models.c.job_id == job_id).order_by(models.c.number)
    with reading(workspace) as connection:
        return [_model(row) for row in connection.execute(query)]


def descendants(workspace: Workspace, model_id: str) -> list[Model]:
    """The models that began with this one."""
    query = _query().where(models.c.start_from == model_id).order_by(models.c.number)
    with reading(workspace) as connection:
        return [_model(row) for row in connection.execute(query)]


def promoted(workspace: Workspace) -> Model | None:
    """The model that is at work, or None."""
    with reading(workspace) as connection:
        standing = _standing(connection)
        if not standing:
            return None
        return _model(connection.execute(_query().where(models.c.id == standing[0].model_id)).one())


def list_promotions(workspace: Workspace) -> list[Promotion]:
    """Who put which model to work, newest first."""
    with reading(workspace) as connection:
        return _promotions(connection)


def promote(
    workspace: Workspace,
    model_id: str,
    *,
    actor: str,
    reason: str = "",
    comparison: str | None = None,
    overrule: bool = False,
) -> Promotion:
    """Put a model to work.

    Whether a comparison with the model at work must be there is asked where a person promotes: see
    `core.jobs.promotion`.

    Args:
        comparison: the run that compares the two; the newest where it is not named.
        overrule: though it is worse, or nothing has compared it; then `reason` must say why.

    Raises:
        OperatorError: there is no such model, or it is at work already; or it is worse than the
            model at work beyond chance, and that is not overruled, or without saying why.
    """
    model = get_model(workspace, model_id)
    with writing(workspace) as connection:
        _check_is_there(connection, model.id)
        standing = _standing(connection)
        if standing and standing[0].model_id == model.id:
            raise OperatorError(f"{model.id} is promoted already.")
        if overrule:
            _check_says_why(reason)
        measured = (
            _comparison(connection, standing[0].model_id, model.id, named=comparison)
            if standing
            else None
        )
        is_worse = measured is not None and measured.result["is_worse"]
        if is_worse and not overrule:
            raise OperatorError(
                f"{model.id} is worse than {standing[0].model_id} beyond chance.",
                "Both were measured on the same test images.",
                "Keep the old one and train another, or overrule this and say why.",
            )
        return _add_promotion(
            connection,
            model.id,
            actor=actor,
            reason=reason,
            comparison=None if measured is None else measured.id,
            is_overruled=bool(standing) and overrule and (is_worse or measured is None),
        )


def roll_back(workspace: Workspace, *, actor: str, reason: str = "") -> Promotion:
    """Put the model to work again that was before the present one.

    Raises:
        OperatorError: there is none.
    """
    with writing(workspace) as connection:
        standing = _standing(connection)
        if len(standing) < 2:
            raise OperatorError(
                "There is no earlier model to roll back to.",
                next_step="Promote another model instead.",
            )
        present, earlier = standing[:2]
        return _add_promotion(
            connection, earlier.model_id, actor=actor, reason=reason, rolls_back=present.id
        )


def set_notes(workspace: Workspace, model_id: str, notes: str) -> Model:
    """Write down what a person wants to remember of a model.

    Raises:
        OperatorError: there is no such model, or the notes are too long.
    """
    model = get_model(workspace, model_id)
    with writing(workspace) as connection:
        chosen = models.update().where(models.c.id == model.id)
        connection.execute(chosen.values(notes=_clean_notes(notes)))
    return get_model(workspace, model.id)


def delete_model(workspace: Workspace, model_id: str, *, actor: str) -> Model:
    """Delete a model's files; its row stays for what descends from it and was decided by it.

    Raises:
        OperatorError: there is no such model, or it is promoted.
    """
    model = get_model(workspace, model_id)
    with writing(workspace) as connection:
        standing = _standing(connection)
        if standing and standing[0].model_id == model.id:
            raise OperatorError(
                f"{model.id} is promoted and cannot be deleted.",
                next_step="Promote another model first.",
            )
        chosen = models.update().where(models.c.id == model.id)
        connection.execute(chosen.values(deleted_at=now(), deleted_by=actor))
    shutil.rmtree(folder(workspace, model.id), ignore_errors=True)
    return model


def _number_and_place(workspace: Workspace, written: Path, values: Mapping[str, Any]) -> str:
    with writing(workspace) as connection:
        highest = connection.execute(sa.select(sa.func.max(models.c.number))).scalar_one()
        number = (highest or 0) + 1
        model_id = f"{values['backbone']}-{number}"
        connection.execute(models.insert().values(id=model_id, number=number, **values))
        final = folder(workspace, model_id)
        shutil.rmtree(final, ignore_errors=True)  # of a process that died before it committed
        written.rename(final)
        flush(final.parent)
    return model_id


def _standing(connection: sa.Connection) -> list[Promotion]:
    """The promotions that were not rolled back, of models that are there, newest first."""
    rows = _promotions(connection)
    ended = {row.rolls_back for row in rows}
    there = set(
        connection.execute(sa.select(models.c.id).where(models.c.deleted_at.is_(None))).scalars()
    )
    return [
        row
        for row in rows
        if row.rolls_back is None and row.id not in ended and row.model_id in there
    ]


def _promotions(connection: sa.Connection) -> list[Promotion]:
    columns = [promotions.c[name] for name in Promotion.__dataclass_fields__]
    query = sa.select(*columns).order_by(promotions.c.id.desc())
    return [Promotion(*row) for row in connection.execute(query)]


def _add_promotion(
    connection: sa.Connection,
    model_id: str,
    *,
    actor: str,
    reason: str,
    rolls_back: int | None = None,
    comparison: str | None = None,
    is_overruled: bool = False,
) -> Promotion:
    row: dict[str, Any] = {
        "model_id": model_id,
        "at": now(),
        "actor": actor,
        "reason": " ".join(reason.split())[:MAX_NOTES],
        "rolls_back": rolls_back,
        "comparison": comparison,
        "is_overruled": is_overruled,
    }
    added = promotions.insert().values(row).returning(promotions.c.id)
    return Promotion(id=connection.execute(added).scalar_one(), **row)


def _comparison(
    connection: sa.Connection, old: str, new: str, *, named: str | None
) -> sa.Row | None:
    """Id and result of the run that compares these two models: the one named, else the newest."""
    query = (
        sa.select(runs.c.id, runs.c.config, runs.c.result)
        .where(runs.c.kind == "model_comparison")
        .order_by(runs.c.created_at.desc(), runs.c.id)
    )
    if named is not None:
        query = query.where(runs.c.id == named)
    for row in connection.execute(query):
        if (row.config["old"], row.config["new"]) == (old, new):
            return row
    return None


def _check_says_why(reason: str) -> None:
    if len(reason.split()) < FEWEST_WORDS:
        raise OperatorError(
            "Say why this is overruled.",
            f"A reason of at least {FEWEST_WORDS} words is kept with the promotion.",
            "Write what makes the new model the right one all the same.",
        )


def _check_is_there(connection: sa.Connection, model_id: str) -> None:
    """Whoever deletes a model and whoever promotes it meet here, one after the other."""
    query = sa.select(models.c.deleted_at).where(models.c.id == model_id).with_for_update()
    if connection.execute(query).scalar_one() is not None:
        raise OperatorError(f"{model_id} has just been deleted.")


def _clean_notes(notes: str) -> str:
    notes = notes.strip()
    if len(notes) > MAX_NOTES:
        raise OperatorError(
            f"The notes have {len(notes):,} characters.", f"At most {MAX_NOTES:,} fit."
        )
    return notes


def _query() -> sa.Select:
    return sa.select(*[models.c[name] for name in Model.__dataclass_fields__])


def _model(row: sa.Row) -> Model:
    values: dict[str, Any] = dict(row._mapping)
    return Model(**{**values, "classes": tuple(values["classes"])})
