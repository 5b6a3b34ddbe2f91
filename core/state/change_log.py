"""How a change is written: appended to the log, as part of a batch, in the caller's transaction.

The columns of `images` are what the log adds up to, and are changed with it. A batch is one action
of one person, or of a model, on any number of images, and can be undone whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.clock import now
from core.state.database import is_one_of
from core.state.queue_rows import NewItem, add_items, withdraw_items
from core.state.schema import batches, changes, images
from core.vocabulary import clean_label


@dataclass(frozen=True)
class Batch:
    """One action; `undone_by` names the batch that took it back, if one did."""

    id: int
    at: str
    actor: str
    action: str
    detail: Mapping[str, Any]
    n_changes: int
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True)
class NewLabel:
    """A label for one image, and how it came to be.

    Attributes:
        label: None takes the label away.
        score: how sure the model was of its label, in [0, 1].
        seconds: how long a person looked.
    """

    image_id: int
    label: str | None
    model: str | None = None
    score: float | None = None
    seconds: float | None = None
    reason: str = ""


def as_label(label: str) -> str:
    """A label as it is stored.

    Raises:
        OperatorError: it is blank, longer than 80 characters, or could name no folder.
    """
    try:
        cleaned = clean_label(label)
    except ValueError as error:
        raise OperatorError("This cannot be a label.", str(error), "Choose another.") from error
    if cleaned is None:
        raise OperatorError("A label needs at least one character that can be read.")
    return cleaned


def as_text(value: bool) -> str:
    """A truth value as the log holds it."""
    return "true" if value else "false"


def lock_images(connection: sa.Connection, ids: Iterable[int]) -> sa.ColumnElement[bool]:
    """Hold the images until the transaction ends; two batches on one image follow each other."""
    chosen = is_one_of(connection, images.c.id, ids)
    # SQLite has no row locks and needs none: BEGIN IMMEDIATE lets one writer in at a time.
    connection.execute(sa.select(images.c.id).where(chosen).order_by(images.c.id).with_for_update())
    return chosen


def apply_change(
    connection: sa.Connection,
    *,
    action: str,
    actor: str,
    detail: Mapping[str, Any],
    reason: str,
    field: str,
    where: sa.ColumnElement[bool],
    values: Mapping[str, Any],
    old: tuple[Any, Any],
    new: tuple[Any, Any],
) -> Batch:
    """One change of a field for all images that `where` chooses, as a batch of its own."""
    batch_id = open_batch(connection, action=action, actor=actor, detail=detail)
    append_changes(
        connection,
        batch_id,
        reason=reason,
        field=field,
        where=where,
        values=values,
        old=old,
        new=new,
    )
    return close_batch(connection, batch_id)


def append_changes(
    connection: sa.Connection,
    batch_id: int,
    *,
    reason: str,
    field: str,
    where: sa.ColumnElement[bool],
    values: Mapping[str, Any],
    old: tuple[Any, Any],
    new: tuple[Any, Any],
) -> None:
    """Record one change of a field for all images that `where` chooses, and make it."""
    rows = sa.select(
        sa.literal(batch_id),
        images.c.id,
        sa.literal(field),
        old[0],
        sa.literal(new[0], sa.Text),
        old[1],
        sa.literal(new[1], sa.Text),
        sa.literal(reason or None, sa.Text),
    ).where(where)
    names = ["batch_id", "image_id", "field", "old", "new", "old_origin", "new_origin", "reason"]
    connection.execute(changes.insert().from_select(names, rows))
    if values:
        connection.execute(images.update().where(where).values(values))


def append_labels(
    connection: sa.Connection, batch_id: int, given: Sequence[NewLabel], *, origin: str
) -> None:
    """Record labels, each with its provenance, and give them; the images must be locked.

    Args:
        origin: `human` or `automatic`.
    """
    if not given:
        return
    chosen = is_one_of(connection, images.c.id, [each.image_id for each in given])
    before = {
        row.id: row
        for row in connection.execute(
            sa.select(images.c.id, images.c.label, images.c.label_origin).where(chosen)
        )
    }
    connection.execute(
        changes.insert(),
        [
            {
                "batch_id": batch_id,
                "image_id": each.image_id,
                "field": "label",
                "old": before[each.image_id].label,
                "new": each.label,
                "old_origin": before[each.image_id].label_origin,
                "new_origin": origin,
                "model": each.model,
                "score": each.score,
                "seconds": each.seconds,
                "reason": each.reason or None,
            }
            for each in given
        ],
    )
    ids_by_label: dict[str | None, list[int]] = {}
    for each in given:
        ids_by_label.setdefault(each.label, []).append(each.image_id)
    for label, ids in ids_by_label.items():
        connection.execute(
            images.update()
            .where(is_one_of(connection, images.c.id, ids))
            .values(label=label, label_origin=origin)
        )


def restore_batch(connection: sa.Connection, batch_id: int, *, actor: str) -> Batch:
    """Take a batch back where nothing lies on top of it, by a batch that says so."""
    rows = _standing_changes(connection, batch_id)
    undo_id = open_batch(
        connection, action="undo", actor=actor, detail={"undoes": batch_id}, undoes=batch_id
    )
    if rows:
        connection.execute(
            changes.insert(),
            [
                {
                    "batch_id": undo_id,
                    "image_id": row.image_id,
                    "field": row.field,
                    "old": row.new,
                    "new": row.old,
                    "old_origin": row.new_origin,
                    "new_origin": row.old_origin,
                }
                for row in rows
            ],
        )
    by_value: dict[tuple[str, str | None, str | None], list[int]] = {}
    for row in rows:
        by_value.setdefault((row.field, row.old, row.old_origin), []).append(row.image_id)
    for (field, old, origin), ids in by_value.items():
        _set_field(connection, ids, field=field, value=old, origin=origin, actor=actor)
    return close_batch(connection, undo_id)


def _standing_changes(connection: sa.Connection, batch_id: int) -> list[sa.Row]:
    """The batch's changes that have no other change on top of them.

    Algorithm: walk each image's changes from the batch's own on. An undo lies on what it undoes and
    falls away with it, as brackets close; what stays alone at the bottom may be taken back.
    """
    own = changes.alias("own")
    query = (
        sa.select(changes, batches.c.undoes)
        .join(batches, batches.c.id == changes.c.batch_id)
        .join(own, (own.c.image_id == changes.c.image_id) & (own.c.field == changes.c.field))
        .where(own.c.batch_id == batch_id, changes.c.id >= own.c.id)
        .order_by(changes.c.id)
    )
    stacks: dict[int, list[sa.Row]] = {}  # by image; a batch changes one field
    for row in connection.execute(query):
        stack = stacks.setdefault(row.image_id, [])
        if stack and stack[-1].batch_id == row.undoes:
            stack.pop()
        else:
            stack.append(row)
    return [stack[0] for stack in stacks.values() if len(stack) == 1]


def _set_field(
    connection: sa.Connection,
    ids: list[int],
    *,
    field: str,
    value: str | None,
    origin: str | None,
    actor: str,
) -> None:
    if field == "queued":
        if value == "true":
            add_items(connection, [NewItem(each, "taken back") for each in ids], actor=actor)
        else:
            withdraw_items(connection, ids)
        return
    restored: dict[str, dict[str, Any]] = {
        "label": {"label": value, "label_origin": origin},
        "split": {"split": value},
        "excluded": {"excluded": value == "true"},
    }
    connection.execute(
        images.update().where(is_one_of(connection, images.c.id, ids)).values(restored[field])
    )


def open_batch(
    connection: sa.Connection,
    *,
    action: str,
    actor: str,
    detail: Mapping[str, Any],
    undoes: int | None = None,
) -> int:
    """Begin an action; `close_batch` ends it."""
    row = {
        "at": now(),
        "actor": actor,
        "action": action,
        "detail": dict(detail),
        "n_changes": 0,
        "undoes": undoes,
    }
    return connection.execute(batches.insert().values(row).returning(batches.c.id)).scalar_one()


def close_batch(connection: sa.Connection, batch_id: int) -> Batch:
    """Count what an action has changed."""
    n_changes = sa.select(sa.func.count()).where(changes.c.batch_id == batch_id)
    connection.execute(
        batches.update()
        .where(batches.c.id == batch_id)
        .values(n_changes=n_changes.scalar_subquery())
    )
    return get_batch(connection, batch_id)


def batch_query() -> sa.Select:
    """All batches, each with what undid it."""
    undoing = batches.alias("undoing")
    return sa.select(
        batches.c.id,
        batches.c.at,
        batches.c.actor,
        batches.c.action,
        batches.c.detail,
        batches.c.n_changes,
        batches.c.undoes,
        undoing.c.id,
    ).outerjoin(undoing, undoing.c.undoes == batches.c.id)


def get_batch(connection: sa.Connection, batch_id: int) -> Batch:
    """One batch.

    Raises:
        OperatorError: there is none of this number.
    """
    row = connection.execute(batch_query().where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise OperatorError(f"There is no change number {batch_id}.")
    return Batch(*row)
