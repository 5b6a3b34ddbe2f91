"""What people and machines say of images: labels, splits, exclusions, the triage queue.

Every change is appended, never overwritten, as part of a batch: one action of one person on any
number of images. A batch can be undone whole; images that somebody changed since then keep the
later change, unless that has been undone itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.catalog import add_classes
from core.state.change_log import (
    Batch,
    append_changes,
    apply_change,
    as_label,
    as_text,
    batch_query,
    close_batch,
    get_batch,
    lock_images,
    open_batch,
    restore_batch,
)
from core.state.database import is_one_of, reading, writing
from core.state.queue_rows import NewItem, add_items, is_open, withdraw_items
from core.state.schema import batches, changes, images, queue
from core.state.workspace import Workspace
from core.vocabulary import SPLITS

# What else has to be taken back with the labels is known elsewhere: see `core.actions.undo`.
WITH_MORE = {
    "decide": ("a decision in triage", "Triage"),
    "auto_label": ("applying a plan of the triage", "Triage"),
    "retype": ("a type of defect", "Defect types"),
}


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
    label = None if label is None else as_label(label)
    with writing(workspace) as connection:
        if label:
            add_classes(connection, [label])
        chosen = lock_images(connection, ids)
        return apply_change(
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
    cleaned = {image_id: as_label(label) for image_id, label in given.items()}
    with writing(workspace) as connection:
        names = sorted(set(cleaned.values()))
        add_classes(connection, names)
        lock_images(connection, cleaned)
        batch_id = open_batch(connection, action="relabel", actor=actor, detail={"label": names})
        for label in names:
            chosen = is_one_of(
                connection, images.c.id, [key for key, value in cleaned.items() if value == label]
            )
            append_changes(
                connection,
                batch_id,
                reason=reason,
                field="label",
                where=chosen & _is_not_by_a_person(label),
                values={"label": label, "label_origin": "human"},
                old=(images.c.label, images.c.label_origin),
                new=(label, "human"),
            )
        return close_batch(connection, batch_id)


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
        lock_images(connection, splits)
        detail = {"split": targets[0] if len(targets) == 1 else targets}
        batch_id = open_batch(connection, action="split", actor=actor, detail=detail)
        for target in targets:
            chosen = is_one_of(
                connection, images.c.id, [key for key, split in splits.items() if split == target]
            )
            append_changes(
                connection,
                batch_id,
                reason=reason,
                field="split",
                where=chosen & images.c.split.is_distinct_from(target),
                values={"split": target},
                old=(images.c.split, sa.null()),
                new=(target, None),
            )
        return close_batch(connection, batch_id)


def set_excluded(
    workspace: Workspace, ids: Iterable[int], excluded: bool, *, actor: str, reason: str = ""
) -> Batch:
    """Leave images out of training, or take them in again."""
    with writing(workspace) as connection:
        chosen = lock_images(connection, ids)
        return apply_change(
            connection,
            action="exclude" if excluded else "include",
            actor=actor,
            detail={"excluded": excluded},
            reason=reason,
            field="excluded",
            where=chosen & (images.c.excluded.is_not(excluded)),
            values={"excluded": excluded},
            old=(sa.literal(as_text(not excluded)), sa.null()),
            new=(as_text(excluded), None),
        )


def set_queued(
    workspace: Workspace, ids: Iterable[int], queued: bool, *, actor: str, reason: str = ""
) -> Batch:
    """Put images into the triage queue, or withdraw them from it."""
    with writing(workspace) as connection:
        chosen = lock_images(connection, ids)
        here = images.c.id.in_(sa.select(queue.c.image_id).where(is_open()))
        where = chosen & (~here if queued else here)
        touched = list(connection.execute(sa.select(images.c.id).where(where)).scalars())
        batch = apply_change(
            connection,
            action="enqueue" if queued else "withdraw",
            actor=actor,
            detail={"queued": queued, "reason": reason},
            reason=reason,
            field="queued",
            where=where,
            values={},
            old=(sa.literal(as_text(not queued)), sa.null()),
            new=(as_text(queued), None),
        )
        if queued:
            add_items(connection, [NewItem(each, reason) for each in touched], actor=actor)
        else:
            withdraw_items(connection, touched)
        return batch


def undo(workspace: Workspace, batch_id: int, *, actor: str) -> Undone:
    """Take a batch back. An undo is a batch itself, so undoing it does the action again.

    Raises:
        OperatorError: there is no such batch, it has been undone already, or it is one of
            `WITH_MORE`.
    """
    with writing(workspace) as connection:
        held = sa.select(batches.c.id).where(batches.c.id == batch_id).with_for_update()
        connection.execute(held)  # two people who undo it at once follow each other
        batch = get_batch(connection, batch_id)
        if batch.undone_by:
            raise OperatorError("This change has been undone already.")
        first = batch if batch.undoes is None else get_batch(connection, batch.undoes)
        if first.action in WITH_MORE:
            about, page = WITH_MORE[first.action]
            raise OperatorError(
                "More than labels belongs to this change.",
                f"It is about {about}.",
                f"Go on from the page {page}.",
            )
        lock_images(
            connection,
            connection.execute(
                sa.select(changes.c.image_id).where(changes.c.batch_id == batch_id)
            ).scalars(),
        )
        restored = restore_batch(connection, batch_id, actor=actor)
        return Undone(restored.id, restored.n_changes, batch.n_changes - restored.n_changes)


def find_batch(workspace: Workspace, batch_id: int) -> Batch:
    """One action.

    Raises:
        OperatorError: there is none of this number.
    """
    with reading(workspace) as connection:
        return get_batch(connection, batch_id)


def list_batches(
    workspace: Workspace,
    *,
    limit: int = 50,
    before: int | None = None,
    without: Sequence[str] = (),
) -> list[Batch]:
    """Actions, newest first.

    Args:
        before: only those with a smaller number.
        without: names of actions that are left out, and what undid them with them.
    """
    query = batch_query().order_by(batches.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(batches.c.id < before)
    if without:
        undone = batches.alias("undone")
        query = query.where(
            batches.c.action.not_in(without),
            ~sa.exists().where(undone.c.id == batches.c.undoes, undone.c.action.in_(without)),
        )
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
            batches.c.action != "retype",  # a new name for a type judges no image
            batches.c.undoes.is_(None),
            ~sa.exists().where(undoing.c.undoes == batches.c.id),
        )
        .distinct()
    )
    with reading(workspace) as connection:
        return set(connection.execute(query).scalars())


def labels_before(workspace: Workspace, at: str) -> dict[int, str | None]:
    """The label that each image had at a time, of those whose label was changed after it.

    Args:
        at: ISO 8601 in UTC, as the tables hold times.
    """
    query = (
        sa.select(changes.c.image_id, changes.c.old)
        .join(batches, batches.c.id == changes.c.batch_id)
        .where(changes.c.field == "label", batches.c.at > at)
        .order_by(changes.c.id.desc())
    )
    with reading(workspace) as connection:  # the earliest change comes last, and stands
        return {row.image_id: row.old for row in connection.execute(query)}


def _is_not_by_a_person(label: str | None) -> sa.ColumnElement[bool]:
    """Whether an image has another label, or this one from a machine."""
    is_other = images.c.label.is_distinct_from(label)
    return is_other | images.c.label_origin.is_distinct_from("human")


def _check_split(split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)} or None, got {split!r}")
