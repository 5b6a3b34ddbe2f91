"""What people and machines say of images: labels, splits, exclusions, the triage queue.

Every change is appended, never overwritten, as part of a batch: one action of one person on any
number of images. A batch can be undone whole; images that somebody changed since then keep the
later change, unless that has been undone itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.catalog import add_classes
from core.state.clock import now
from core.state.database import is_one_of, reading, writing
from core.state.schema import batches, changes, images, queue
from core.state.workspace import Workspace
from core.vocabulary import SPLITS, clean_label


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
class Change:
    """One image's part in a batch."""

    id: int
    at: str
    actor: str
    action: str
    image_id: int
    field: str
    old: str | None
    new: str | None
    reason: str | None


@dataclass(frozen=True)
class Undone:
    """What an undo did; `n_kept` images had been changed again since and stay as they are."""

    batch_id: int
    n_restored: int
    n_kept: int


def relabel(
    workspace: Workspace,
    ids: Iterable[int],
    label: str | None,
    *,
    actor: str,
    reason: str = "",
    confirm: bool = False,
) -> Batch:
    """A person gives images a label, or takes their label away with None.

    Confirming the label that an image has is a change too: from then on a person stands for it.
    With `confirm` it is one even where a person stood for that label before.

    Raises:
        OperatorError: the label is blank, longer than 80 characters, or could name no folder.
    """
    label = None if label is None else _clean(label)
    with writing(workspace) as connection:
        if label:
            add_classes(connection, [label])
        chosen = _lock(connection, ids)
        return _apply(
            connection,
            action="relabel",
            actor=actor,
            detail={"label": label},
            reason=reason,
            field="label",
            where=chosen if confirm else chosen & _is_not_by_a_person(label),
            values={"label": label, "label_origin": "human"},
            old=(images.c.label, images.c.label_origin),
            new=(label, "human"),
        )


def relabel_each(
    workspace: Workspace, given: Mapping[int, str], *, actor: str, reason: str = ""
) -> Batch:
    """A person gives images labels, each its own, in one batch.

    Raises:
        OperatorError: a label is blank, longer than 80 characters, or could name no folder.
    """
    cleaned = {image_id: _clean(label) for image_id, label in given.items()}
    with writing(workspace) as connection:
        names = sorted(set(cleaned.values()))
        add_classes(connection, names)
        _lock(connection, cleaned)
        batch_id = _add_batch(connection, action="relabel", actor=actor, detail={"label": names})
        for label in names:
            chosen = is_one_of(
                connection, images.c.id, [key for key, value in cleaned.items() if value == label]
            )
            _append(
                connection,
                batch_id,
                reason=reason,
                field="label",
                where=chosen & _is_not_by_a_person(label),
                values={"label": label, "label_origin": "human"},
                old=(images.c.label, images.c.label_origin),
                new=(label, "human"),
            )
        return _close_batch(connection, batch_id)


def set_split(workspace: Workspace, ids: Iterable[int], split: str | None, *, actor: str) -> Batch:
    """Move images to a split.

    Raises:
        ValueError: there is no such split.
    """
    _check_split(split)
    return set_splits(workspace, dict.fromkeys(ids, split), actor=actor)


def set_splits(
    workspace: Workspace, splits: Mapping[int, str | None], *, actor: str, reason: str = ""
) -> Batch:
    """Move images to splits, each to its own, in one batch.

    Raises:
        ValueError: there is no such split.
    """
    targets = sorted(set(splits.values()), key=str)
    for target in targets:
        _check_split(target)
    with writing(workspace) as connection:
        _lock(connection, splits)
        detail = {"split": targets[0] if len(targets) == 1 else targets}
        batch_id = _add_batch(connection, action="split", actor=actor, detail=detail)
        for target in targets:
            chosen = is_one_of(
                connection, images.c.id, [key for key, split in splits.items() if split == target]
            )
            _append(
                connection,
                batch_id,
                reason=reason,
                field="split",
                where=chosen & images.c.split.is_distinct_from(target),
                values={"split": target},
                old=(images.c.split, sa.null()),
                new=(target, None),
            )
        return _close_batch(connection, batch_id)


def set_excluded(
    workspace: Workspace, ids: Iterable[int], excluded: bool, *, actor: str, reason: str = ""
) -> Batch:
    """Leave images out of training, or take them in again."""
    with writing(workspace) as connection:
        chosen = _lock(connection, ids)
        return _apply(
            connection,
            action="exclude" if excluded else "include",
            actor=actor,
            detail={"excluded": excluded},
            reason=reason,
            field="excluded",
            where=chosen & (images.c.excluded.is_not(excluded)),
            values={"excluded": excluded},
            old=(sa.literal(_text(not excluded)), sa.null()),
            new=(_text(excluded), None),
        )


def set_queued(
    workspace: Workspace, ids: Iterable[int], queued: bool, *, actor: str, reason: str = ""
) -> Batch:
    """Put images into the triage queue, or withdraw them from it."""
    with writing(workspace) as connection:
        chosen = _lock(connection, ids)
        pending = sa.select(queue.c.image_id).where(queue.c.state == "pending")
        here = images.c.id.in_(pending)
        where = chosen & (~here if queued else here)
        touched = list(connection.execute(sa.select(images.c.id).where(where)).scalars())
        batch = _apply(
            connection,
            action="enqueue" if queued else "withdraw",
            actor=actor,
            detail={"queued": queued, "reason": reason},
            reason=reason,
            field="queued",
            where=where,
            values={},
            old=(sa.literal(_text(not queued)), sa.null()),
            new=(_text(queued), None),
        )
        _set_queue(connection, touched, queued, actor=actor, reason=reason)
        return batch


def undo(workspace: Workspace, batch_id: int, *, actor: str) -> Undone:
    """Take a batch back. An undo is a batch itself, so undoing it does the action again.

    Raises:
        OperatorError: there is no such batch, or it has been undone already.
    """
    with writing(workspace) as connection:
        held = sa.select(batches.c.id).where(batches.c.id == batch_id).with_for_update()
        connection.execute(held)  # two people who undo it at once follow each other
        batch = _get_batch(connection, batch_id)
        if batch.undone_by:
            raise OperatorError("This change has been undone already.")
        _lock(
            connection,
            connection.execute(
                sa.select(changes.c.image_id).where(changes.c.batch_id == batch_id)
            ).scalars(),
        )
        restored = _restore(connection, batch_id, actor=actor)
        return Undone(restored.id, restored.n_changes, batch.n_changes - restored.n_changes)


def list_batches(
    workspace: Workspace, *, limit: int = 50, before: int | None = None
) -> list[Batch]:
    """Actions, newest first."""
    query = _batch_query().order_by(batches.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(batches.c.id < before)
    with reading(workspace) as connection:
        return [Batch(*row) for row in connection.execute(query)]


def list_changes(
    workspace: Workspace,
    *,
    image_id: int | None = None,
    batch_id: int | None = None,
    limit: int = 1000,
) -> list[Change]:
    """Changes of one image, of one batch, or of all, newest first."""
    query = (
        sa.select(
            changes.c.id,
            sa.func.coalesce(changes.c.decided_at, batches.c.at),
            batches.c.actor,
            batches.c.action,
            changes.c.image_id,
            changes.c.field,
            changes.c.old,
            changes.c.new,
            changes.c.reason,
        )
        .join(batches, batches.c.id == changes.c.batch_id)
        .order_by(changes.c.id.desc())
        .limit(limit)
    )
    if image_id is not None:
        query = query.where(changes.c.image_id == image_id)
    if batch_id is not None:
        query = query.where(changes.c.batch_id == batch_id)
    with reading(workspace) as connection:
        return [Change(*row) for row in connection.execute(query)]


def decided_since(workspace: Workspace, at: str) -> set[int]:
    """Ids of the images whose present label a person has given or confirmed after a time.

    Args:
        at: ISO 8601 in UTC, as the tables hold times.
    """
    undoing = batches.alias()
    query = (
        sa.select(changes.c.image_id)
        .join(batches, batches.c.id == changes.c.batch_id)
        .join(images, images.c.id == changes.c.image_id)
        .where(
            changes.c.field == "label",
            images.c.label_origin == "human",
            batches.c.at > at,
            batches.c.undoes.is_(None),
            ~sa.exists().where(undoing.c.undoes == batches.c.id),
        )
        .distinct()
    )
    with reading(workspace) as connection:
        return set(connection.execute(query).scalars())


def _clean(label: str) -> str:
    try:
        cleaned = clean_label(label)
    except ValueError as error:
        raise OperatorError("This cannot be a label.", str(error), "Choose another.") from error
    if cleaned is None:
        raise OperatorError("A label needs at least one character that can be read.")
    return cleaned


def _is_not_by_a_person(label: str | None) -> sa.ColumnElement[bool]:
    """Whether an image has another label, or this one from a machine."""
    is_other = images.c.label.is_distinct_from(label)
    return is_other | images.c.label_origin.is_distinct_from("human")


def _check_split(split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")


def _text(value: bool) -> str:
    return "true" if value else "false"


def _lock(connection: sa.Connection, ids: Iterable[int]) -> sa.ColumnElement[bool]:
    """Hold the images until the transaction ends; two batches on one image follow each other."""
    chosen = is_one_of(connection, images.c.id, ids)
    # SQLite has no row locks and needs none: BEGIN IMMEDIATE lets one writer in at a time.
    connection.execute(sa.select(images.c.id).where(chosen).order_by(images.c.id).with_for_update())
    return chosen


def _apply(
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
    batch_id = _add_batch(connection, action=action, actor=actor, detail=detail)
    _append(
        connection,
        batch_id,
        reason=reason,
        field=field,
        where=where,
        values=values,
        old=old,
        new=new,
    )
    return _close_batch(connection, batch_id)


def _append(
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


def _restore(connection: sa.Connection, batch_id: int, *, actor: str) -> Batch:
    rows = _standing_changes(connection, batch_id)
    undo_id = _add_batch(
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
    return _close_batch(connection, undo_id)


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
        _set_queue(connection, ids, value == "true", actor=actor, reason="taken back")
        return
    restored: dict[str, dict[str, Any]] = {
        "label": {"label": value, "label_origin": origin},
        "split": {"split": value},
        "excluded": {"excluded": value == "true"},
    }
    connection.execute(
        images.update().where(is_one_of(connection, images.c.id, ids)).values(restored[field])
    )


def _set_queue(
    connection: sa.Connection, ids: list[int], queued: bool, *, actor: str, reason: str
) -> None:
    if not ids:
        return
    if queued:
        entry = {"reason": reason, "state": "pending", "added_at": now(), "added_by": actor}
        connection.execute(queue.insert(), [{"image_id": i, **entry} for i in ids])
    else:
        connection.execute(
            queue.update()
            .where(is_one_of(connection, queue.c.image_id, ids), queue.c.state == "pending")
            .values(state="withdrawn")
        )


def _add_batch(
    connection: sa.Connection,
    *,
    action: str,
    actor: str,
    detail: Mapping[str, Any],
    undoes: int | None = None,
) -> int:
    row = {
        "at": now(),
        "actor": actor,
        "action": action,
        "detail": dict(detail),
        "n_changes": 0,
        "undoes": undoes,
    }
    return connection.execute(batches.insert().values(row).returning(batches.c.id)).scalar_one()


def _close_batch(connection: sa.Connection, batch_id: int) -> Batch:
    n_changes = sa.select(sa.func.count()).where(changes.c.batch_id == batch_id)
    connection.execute(
        batches.update()
        .where(batches.c.id == batch_id)
        .values(n_changes=n_changes.scalar_subquery())
    )
    return _get_batch(connection, batch_id)


def _batch_query() -> sa.Select:
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


def _get_batch(connection: sa.Connection, batch_id: int) -> Batch:
    row = connection.execute(_batch_query().where(batches.c.id == batch_id)).one_or_none()
    if row is None:
        raise OperatorError(f"There is no change number {batch_id}.")
    return Batch(*row)
