"""The batches of an applied plan, in the caller's transaction: which labels and items are still to
be given, the batch that grows as images come in, and how they are taken back.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.state.catalog import add_classes
from core.state.change_log import NewLabel, lock_images, open_batch, restore_batch
from core.state.clock import as_text
from core.state.database import is_one_of
from core.state.queue_rows import NewItem, describe_items, is_open
from core.state.schema import application_batches, batches, changes, images, queue

_SAME_BATCH_FOR = timedelta(hours=1)  # what comes in within it is one change on Activity


def wanted(
    connection: sa.Connection, labels: Sequence[NewLabel], items: Sequence[NewItem]
) -> tuple[list[NewLabel], list[NewItem]]:
    """Those labels and items that are still to be given; the images are held.

    No label is given where a person has taken one away: people are asked again.
    """
    ids = [each.image_id for each in labels] + [each.image_id for each in items]
    chosen = lock_images(connection, ids)
    query = sa.select(images.c.id, images.c.label_origin).where(chosen, images.c.label.is_(None))
    origins = {row.id: row.label_origin for row in connection.execute(query)}
    untouched = {image_id for image_id, origin in origins.items() if origin is None}
    waiting = set(
        connection.execute(
            sa.select(queue.c.image_id).where(
                is_open(), is_one_of(connection, queue.c.image_id, ids)
            )
        ).scalars()
    )
    given = [each for each in labels if each.image_id in untouched - waiting]
    describe_items(connection, [each for each in items if each.image_id in waiting])
    add_classes(connection, sorted({each.label for each in given if each.label}))
    given_ids = {each.image_id for each in given}
    return given, [each for each in items if _still_wanted(each, origins, waiting, given_ids)]


def growing_batch(
    connection: sa.Connection, application_id: int, *, detail: Mapping[str, Any], actor: str
) -> int:
    """The batch of the current hour, of what an application labels as it comes in.

    Args:
        detail: what a new one tells of itself.
    """
    since = as_text(datetime.now(UTC) - _SAME_BATCH_FOR)
    newest = connection.execute(
        sa.select(batches.c.id)
        .join(application_batches, application_batches.c.batch_id == batches.c.id)
        .where(
            application_batches.c.application_id == application_id,
            batches.c.actor == actor,
            batches.c.at > since,
        )
        .order_by(batches.c.id.desc())
        .limit(1)
    ).scalar()
    if newest is not None and standing_batches(connection, [newest]):
        return newest
    batch_id = open_batch(connection, action="auto_label", actor=actor, detail=detail)
    connection.execute(
        application_batches.insert().values(application_id=application_id, batch_id=batch_id)
    )
    return batch_id


def restore_batches(
    connection: sa.Connection, batch_ids: Sequence[int], *, actor: str
) -> tuple[int, int]:
    """Take batches of labels back; (images as before, images that stay as decided since)."""
    is_ours = is_one_of(connection, changes.c.batch_id, batch_ids)
    labelled = connection.execute(sa.select(changes.c.image_id).where(is_ours)).scalars().all()
    lock_images(connection, labelled)
    n_restored = sum(restore_batch(connection, each, actor=actor).n_changes for each in batch_ids)
    return n_restored, len(labelled) - n_restored


def standing_batches(connection: sa.Connection, batch_ids: Iterable[int]) -> list[int]:
    """Those batches that nothing has undone, in their order."""
    ids = list(batch_ids)
    undone = set(
        connection.execute(
            sa.select(batches.c.undoes).where(is_one_of(connection, batches.c.undoes, ids))
        ).scalars()
    )
    return [each for each in ids if each not in undone]


def withdraw_checks(
    connection: sa.Connection, application_id: int, *where: sa.ColumnElement[bool]
) -> int:
    """Take what was to check an application's labels out of the queue; how many that were."""
    withdrawn = connection.execute(
        queue.update()
        .where(
            queue.c.application_id == application_id,
            queue.c.kind.in_(("audit", "gold")),
            queue.c.state == "pending",
            *where,
        )
        .values(state="withdrawn")
    )
    return withdrawn.rowcount


def _still_wanted(
    item: NewItem, without: Container[int], waiting: set[int], given: set[int]
) -> bool:
    if item.image_id in waiting:
        return False
    if item.kind == "audit":
        return item.image_id in given
    return item.kind == "gold" or item.image_id in without
