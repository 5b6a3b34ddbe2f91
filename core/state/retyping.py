"""Types of defects change: new ones, other names, mergers, parts told apart, retired ones.

All that follows is one transaction: the entry in the label book, the labels of its images, the
names by which models, the queue and its checks know it. Each change is a batch of the change log
and can be undone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.catalog import add_classes
from core.state.change_log import (
    Batch,
    NewLabel,
    append_labels,
    as_label,
    close_batch,
    get_batch,
    lock_images,
    open_batch,
    restore_batch,
)
from core.state.database import writing
from core.state.label_book import MAX_DEFINITION, hold_class, show_by, write_entry
from core.state.queue_rows import is_open
from core.state.schema import batches, changes, classes, images, label_book, models, opinions, queue
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS

ACTION = "retype"  # of the batches that types are changed by


def add(
    workspace: Workspace,
    name: str,
    ids: Sequence[int],
    *,
    actor: str,
    definition: str = "",
) -> Batch:
    """A new type, shown by a few images, which get it as their label.

    Raises:
        OperatorError: it cannot be a name, a type has it already, or no image shows it.
    """
    if not ids:
        raise OperatorError("A new type needs images that show it.", next_step="Pick some.")
    with writing(workspace) as connection:
        label = _new_name(connection, name)
        add_classes(connection, [label])
        class_id = hold_class(connection, label)
        batch_id = _open(connection, actor, "add", label, n=len(ids))
        _give(connection, batch_id, dict.fromkeys(ids, label), reason=f"shows the type {label}")
        show_by(connection, class_id, {"example": ids})
        values = {"definition": definition.strip()[:MAX_DEFINITION]}
        write_entry(connection, class_id, "add", actor, values=values, batch_id=batch_id)
        return close_batch(connection, batch_id)


def rename(workspace: Workspace, name: str, new_name: str, *, actor: str) -> Batch:
    """Call a type otherwise, everywhere: images, models, the queue. Its colour stays.

    Raises:
        OperatorError: there is no such type, it cannot be a name, a type has it already, or images
            of this type wait to be settled.
    """
    with writing(workspace) as connection:
        class_id = hold_class(connection, name)
        label = _new_name(connection, new_name)
        batch_id = _open(connection, actor, "rename", name, to=label)
        _rename(connection, batch_id, class_id, name, label, actor)
        return close_batch(connection, batch_id)


def merge(workspace: Workspace, name: str, into: str, *, actor: str) -> Batch:
    """Make a type a part of another: its images bear the other's name, and it is retired.

    Raises:
        OperatorError: there is no such type, both are one, or images of it wait to be settled.
    """
    if name == into:
        raise OperatorError(f"{name} cannot be merged into itself.", next_step="Choose another.")
    with writing(workspace) as connection:
        class_id, target = hold_class(connection, name), hold_class(connection, into)
        batch_id = _open(connection, actor, "merge", name, to=into)
        _refuse_unsettled(connection, name)
        _relabel_all(connection, batch_id, name, into)
        _tell_queue(connection, name, into)
        values = {"is_retired": True, "merged_into": target}
        write_entry(connection, class_id, "merge", actor, values=values, batch_id=batch_id)
        return close_batch(connection, batch_id)


def split(workspace: Workspace, name: str, parts: Mapping[int, str], *, actor: str) -> Batch:
    """Tell parts of a type apart: these images get other names; the rest keeps the old one.

    Where nothing is left of the old type, it is retired.

    Args:
        parts: the new name, by image; a type that is there or a new one.

    Raises:
        OperatorError: there is no such type, an image is not of it, or it cannot be a name.
    """
    names = {image: as_label(label) for image, label in parts.items()}
    if not names:
        raise OperatorError("Nothing is split off.", next_step="Pick images of the new type.")
    with writing(workspace) as connection:
        class_id = hold_class(connection, name)
        labels = sorted(set(names.values()))
        for label in labels:
            if label in RESERVED_LABELS or label == name:
                raise OperatorError(f"{label} cannot name a part of {name}.")
        known = set(connection.execute(sa.select(classes.c.name)).scalars())
        add_classes(connection, labels)
        batch_id = _open(connection, actor, "split", name, to=labels, n=len(names))
        here = _ids_with(connection, name)
        if strangers := len(set(names) - here):
            raise OperatorError(f"{strangers:,} of the images are not labelled {name}.")
        _give(connection, batch_id, names, reason=f"split off {name}")
        values = {"is_retired": True} if here == set(names) else {}
        write_entry(connection, class_id, "split", actor, values=values, batch_id=batch_id)
        for label in labels:
            part = hold_class(connection, label)
            what = "split" if label in known else "add"
            write_entry(connection, part, what, actor, batch_id=batch_id)
        return close_batch(connection, batch_id)


def retire(workspace: Workspace, name: str, *, actor: str) -> Batch:
    """No longer offer, train or give a type; images that bear it keep it.

    Raises:
        OperatorError: there is no such type, or it is retired already.
    """
    return _turn(workspace, name, is_retired=True, actor=actor)


def bring_back(workspace: Workspace, name: str, *, actor: str) -> Batch:
    """Offer a retired type again.

    Raises:
        OperatorError: there is no such type, or it is not retired.
    """
    return _turn(workspace, name, is_retired=False, actor=actor)


def undo(workspace: Workspace, batch_id: int, *, actor: str) -> Batch:
    """Take a change of types back: the labels that nobody changed since, and the entries.

    Raises:
        OperatorError: there is no such change, it has been undone, or a type has changed since.
    """
    with writing(workspace) as connection:
        batch = get_batch(connection, batch_id)
        if batch.action != ACTION:
            raise OperatorError(f"Change {batch_id} is none of a type.")
        if batch.undone_by:
            raise OperatorError("This change has been undone already.")
        touched = connection.execute(
            sa.select(label_book.c.id, label_book.c.class_id).where(
                label_book.c.batch_id == batch_id
            )
        ).all()
        for row in touched:
            _refuse_later(connection, row.class_id, row.id, batch_id)
        if batch.detail["what"] == "rename":
            return _rename_back(connection, batch, touched[0].class_id, actor)
        ids = sa.select(changes.c.image_id).where(changes.c.batch_id == batch_id)
        lock_images(connection, connection.execute(ids).scalars())
        done = restore_batch(connection, batch_id, actor=actor)
        if batch.detail["what"] == "merge":
            _tell_queue_back(connection, batch)
        for row in touched:
            _restore_entry(connection, row.class_id, row.id, actor, done.id)
        return done


def _turn(workspace: Workspace, name: str, *, is_retired: bool, actor: str) -> Batch:
    with writing(workspace) as connection:
        class_id = hold_class(connection, name)
        before = connection.execute(
            sa.select(classes.c.is_retired).where(classes.c.id == class_id)
        ).scalar_one()
        if before == is_retired:
            raise OperatorError(f"{name} is {'' if is_retired else 'not '}retired already.")
        what = "retire" if is_retired else "bring_back"
        batch_id = _open(connection, actor, what, name)
        values = {"is_retired": is_retired, "merged_into": None}
        write_entry(connection, class_id, what, actor, values=values, batch_id=batch_id)
        return close_batch(connection, batch_id)


def _open(connection: sa.Connection, actor: str, what: str, name: str, **more: Any) -> int:
    detail = {"what": what, "type": name, **more}
    return open_batch(connection, action=ACTION, actor=actor, detail=detail)


def _rename(
    connection: sa.Connection, batch_id: int, class_id: int, name: str, label: str, actor: str
) -> None:
    _refuse_unsettled(connection, name)
    _relabel_all(connection, batch_id, name, label)
    _tell_queue(connection, name, label)
    _tell_models(connection, name, label)
    write_entry(connection, class_id, "rename", actor, values={"name": label}, batch_id=batch_id)


def _rename_back(connection: sa.Connection, batch: Batch, class_id: int, actor: str) -> Batch:
    """Under the old name again, with whatever has got the new one since."""
    detail = {"undoes": batch.id}
    undoing = open_batch(connection, action="undo", actor=actor, detail=detail, undoes=batch.id)
    _rename(connection, undoing, class_id, batch.detail["to"], batch.detail["type"], actor)
    return close_batch(connection, undoing)


def _relabel_all(connection: sa.Connection, batch_id: int, name: str, label: str) -> None:
    """Every image of a name gets another; who gave it stays who gave it."""
    ids = _ids_with(connection, name)
    where = lock_images(connection, ids)
    rows = sa.select(
        sa.literal(batch_id),
        images.c.id,
        sa.literal("label"),
        images.c.label,
        sa.literal(label),
        images.c.label_origin,
        images.c.label_origin,
    ).where(where)
    names = ["batch_id", "image_id", "field", "old", "new", "old_origin", "new_origin"]
    connection.execute(changes.insert().from_select(names, rows))
    connection.execute(images.update().where(where).values(label=label))


def _give(
    connection: sa.Connection, batch_id: int, names: Mapping[int, str], *, reason: str
) -> None:
    lock_images(connection, names)
    given = [NewLabel(image, label, reason=reason) for image, label in names.items()]
    append_labels(connection, batch_id, given, origin="human")


def _tell_queue(connection: sa.Connection, name: str, label: str) -> None:
    """What waits for people is suggested, and checked, by the new name."""
    for column in (queue.c.suggested, queue.c.truth):
        connection.execute(
            queue.update().where(is_open(), column == name).values({column.name: label})
        )
    waiting = sa.select(queue.c.id, queue.c.facts).where(is_open(), queue.c.facts.is_not(None))
    for item, facts in connection.execute(waiting).all():
        top = facts.get("top") or []
        if any(each == name for each, _ in top):
            told = {**facts, "top": [[label if each == name else each, p] for each, p in top]}
            connection.execute(queue.update().where(queue.c.id == item).values(facts=told))


def _tell_queue_back(connection: sa.Connection, batch: Batch) -> None:
    """Images that are of the old type again are suggested it again, as their labels are."""
    ids = sa.select(changes.c.image_id).where(changes.c.batch_id == batch.id)
    for column in (queue.c.suggested, queue.c.truth):
        connection.execute(
            queue.update()
            .where(is_open(), column == batch.detail["to"], queue.c.image_id.in_(ids))
            .values({column.name: batch.detail["type"]})
        )


def _tell_models(connection: sa.Connection, name: str, label: str) -> None:
    for model, known in connection.execute(sa.select(models.c.id, models.c.classes)).all():
        if name in known:
            told = [label if each == name else each for each in known]
            connection.execute(models.update().where(models.c.id == model).values(classes=told))


def _restore_entry(
    connection: sa.Connection, class_id: int, version: int, actor: str, batch_id: int
) -> None:
    """Retired or not, as before a version; what was written of the type since then stays.

    A type that was new with that version is retired.
    """
    before = connection.execute(
        sa.select(label_book.c.entry)
        .where(label_book.c.class_id == class_id, label_book.c.id < version)
        .order_by(label_book.c.id.desc())
        .limit(1)
    ).scalar()
    values = {"is_retired": True}
    if before is not None:
        values = {name: before[name] for name in ("is_retired", "merged_into")}
    write_entry(connection, class_id, "undo", actor, values=values, batch_id=batch_id)


def _refuse_later(connection: sa.Connection, class_id: int, version: int, batch_id: int) -> None:
    """Changes of a type are taken back in the order in which they lie upon each other."""
    undoing = batches.alias("undoing")
    later = connection.execute(
        sa.select(batches.c.id)
        .join(label_book, label_book.c.batch_id == batches.c.id)
        .where(
            label_book.c.class_id == class_id,
            label_book.c.id > version,
            batches.c.id != batch_id,
            batches.c.undoes.is_(None),
            ~sa.exists().where(undoing.c.undoes == batches.c.id),
        )
    ).first()
    if later is not None:
        raise OperatorError(
            "The type has been changed again since.", next_step=f"Undo change {later.id} first."
        )


def _refuse_unsettled(connection: sa.Connection, name: str) -> None:
    """Two opinions are compared by their names: neither may change while one is wanted."""
    decided = sa.exists().where(
        opinions.c.item_id == queue.c.id, opinions.c.decision_id.is_not(None)
    )
    n_open = connection.execute(
        sa.select(sa.func.count()).where(is_open(), decided, _concerns(name))
    ).scalar_one()
    if n_open:
        raise OperatorError(
            f"{n_open:,} images wait for a second opinion or to be settled.",
            "Their opinions name this type as it is called now.",
            "Settle them first, on the page Triage.",
        )


def _concerns(name: str) -> sa.ColumnElement[bool]:
    bears = sa.select(images.c.id).where(images.c.label == name)
    return (queue.c.suggested == name) | (queue.c.truth == name) | queue.c.image_id.in_(bears)


def _new_name(connection: sa.Connection, name: str) -> str:
    label = as_label(name)
    if label in RESERVED_LABELS:
        raise OperatorError(f"{label} is a reserved word and cannot name a type.")
    known = connection.execute(sa.select(classes.c.is_retired).where(classes.c.name == label))
    is_retired = known.scalar()
    if is_retired is not None:
        raise OperatorError(
            f"There is a type called {label} already.",
            "It is retired." if is_retired else "",
            "Bring it back." if is_retired else "Choose another name, or merge the two.",
        )
    return label


def _ids_with(connection: sa.Connection, name: str) -> set[int]:
    query = sa.select(images.c.id).where(images.c.label == name)
    return set(connection.execute(query).scalars())
