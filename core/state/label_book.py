"""The label book: what each type of defect is called, how it is told, and every version of that.

A type is a row of `classes`; its entry changes by appending a version to `label_book`, in the same
transaction. What changes labels as well (a new name, a merger) is in `core.state.retyping`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.clock import now
from core.state.database import reading, writing
from core.state.schema import class_images, classes, images, label_book
from core.state.workspace import Workspace

ROLES = ("example", "counter_example", "borderline")  # of the images of an entry
MAX_DEFINITION = 2000
FREE_KEYS = "bdgjopqrtvyz"  # letters with no meaning in triage, nor in the review of labels
_KEPT = ("name", "place", "shortcut", "definition", "is_retired", "merged_into")
_PLACE = sa.func.coalesce(classes.c.place, classes.c.id)  # in the order of colours


@dataclass(frozen=True)
class Entry:
    """One type of defect, as its newest version says.

    Attributes:
        definition: how it is told from the others, in a person's words.
        shortcut: the key that gives it in triage, None for the digit of its place.
        is_retired: no longer offered, trained or given; images may still bear it.
        merged_into: name of the type that it has become part of.
        images: ids by role, a key of `ROLES`.
        n_images: how many bear it as their label.
    """

    id: int
    name: str
    definition: str
    shortcut: str | None
    is_retired: bool
    merged_into: str | None
    images: Mapping[str, tuple[int, ...]]
    n_images: int


@dataclass(frozen=True)
class Version:
    """What an entry was from a time on; `batch_id` names the change of labels that came with it."""

    id: int
    at: str
    actor: str
    action: str
    entry: Mapping[str, Any]
    batch_id: int | None


def list_entries(workspace: Workspace) -> list[Entry]:
    """Every type, in the order that fixes its colour, the retired ones among them."""
    with reading(workspace) as connection:
        rows = connection.execute(sa.select(classes).order_by(_PLACE)).all()
        names = {row.id: row.name for row in rows}
        counts: dict[str | None, int] = dict(
            connection.execute(
                sa.select(images.c.label, sa.func.count()).group_by(images.c.label)
            ).all()
        )
        shown = _images_by_class(connection)
    return [
        Entry(
            id=row.id,
            name=row.name,
            definition=row.definition,
            shortcut=row.shortcut,
            is_retired=row.is_retired,
            merged_into=names.get(row.merged_into),
            images=shown.get(row.id, {}),
            n_images=counts.get(row.name, 0),
        )
        for row in rows
    ]


def find_entry(workspace: Workspace, name: str) -> Entry:
    """One type.

    Raises:
        OperatorError: there is none of this name.
    """
    for entry in list_entries(workspace):
        if entry.name == name:
            return entry
    raise OperatorError(f"There is no type of defect called {name}.")


def list_offered(workspace: Workspace) -> list[str]:
    """Names of the types that are not retired, in the order of their colours."""
    return list(keys_in_triage(workspace))


def keys_in_triage(workspace: Workspace) -> dict[str, str]:
    """The key that gives each offered type: its own, else the digit of its place; "" for none."""
    query = sa.select(classes.c.name, classes.c.shortcut).where(~classes.c.is_retired)
    with reading(workspace) as connection:
        offered = connection.execute(query.order_by(_PLACE)).all()
    return {
        name: shortcut or (str(number) if number < 10 else "")
        for number, (name, shortcut) in enumerate(offered, start=1)
    }


def retired_names(workspace: Workspace) -> set[str]:
    """Names of the types that are retired, those merged into others among them."""
    with reading(workspace) as connection:
        query = sa.select(classes.c.name).where(classes.c.is_retired)
        return set(connection.execute(query).scalars())


def list_versions(workspace: Workspace, name: str) -> list[Version]:
    """Every version of an entry, newest first; empty where nobody has changed it yet."""
    columns = [label_book.c[column] for column in Version.__dataclass_fields__]
    query = (
        sa.select(*columns)
        .join(classes, classes.c.id == label_book.c.class_id)
        .where(classes.c.name == name)
        .order_by(label_book.c.id.desc())
    )
    with reading(workspace) as connection:
        return [Version(*row) for row in connection.execute(query)]


def define(
    workspace: Workspace,
    name: str,
    *,
    definition: str,
    shortcut: str | None,
    shown: Mapping[str, Iterable[int]],
    actor: str,
) -> None:
    """Say what a type is: in words, by a key, by images.

    Args:
        shown: ids by role; an image has one role, the last that names it.

    Raises:
        OperatorError: there is no such type, the words are too many, the key is taken.
        ValueError: a role is none of `ROLES`.
    """
    if unknown := set(shown) - set(ROLES):
        raise ValueError(f"roles are {', '.join(ROLES)}, got {', '.join(sorted(unknown))}")
    words = definition.strip()
    if len(words) > MAX_DEFINITION:
        raise OperatorError(
            f"The definition has {len(words):,} characters.", f"At most {MAX_DEFINITION:,} fit."
        )
    with writing(workspace) as connection:
        class_id = hold_class(connection, name)
        key = _free_key(connection, class_id, shortcut)
        show_by(connection, class_id, shown)
        write_entry(
            connection, class_id, "define", actor, values={"definition": words, "shortcut": key}
        )


def exchange_colours(workspace: Workspace, name: str, other: str, *, actor: str) -> None:
    """Two types exchange colour and marker; so no two ever share both.

    Raises:
        OperatorError: there is no such type.
    """
    with writing(workspace) as connection:
        first, second = hold_class(connection, name), hold_class(connection, other)
        places = dict(
            connection.execute(
                sa.select(classes.c.id, _PLACE).where(classes.c.id.in_([first, second]))
            ).all()
        )
        for class_id, place in ((first, places[second]), (second, places[first])):
            write_entry(connection, class_id, "define", actor, values={"place": place})


def write_entry(
    connection: sa.Connection,
    class_id: int,
    action: str,
    actor: str,
    *,
    values: Mapping[str, Any] | None = None,
    batch_id: int | None = None,
) -> None:
    """Change a type's row, and append what its entry is from now on."""
    has_versions = connection.execute(
        sa.select(label_book.c.id).where(label_book.c.class_id == class_id).limit(1)
    ).first()
    if has_versions is None and action != "add":
        _append(connection, class_id, "found", actor, None)
    if values:
        connection.execute(classes.update().where(classes.c.id == class_id).values(dict(values)))
    _append(connection, class_id, action, actor, batch_id)


def _append(
    connection: sa.Connection, class_id: int, action: str, actor: str, batch_id: int | None
) -> None:
    row = connection.execute(sa.select(classes).where(classes.c.id == class_id)).one()
    entry = {column: getattr(row, column) for column in _KEPT} | {
        "images": {
            role: list(ids) for role, ids in _images_by_class(connection).get(class_id, {}).items()
        }
    }
    connection.execute(
        label_book.insert().values(
            class_id=class_id, at=now(), actor=actor, action=action, entry=entry, batch_id=batch_id
        )
    )


def hold_class(connection: sa.Connection, name: str) -> int:
    """A type's id; its row is held until the transaction ends.

    Raises:
        OperatorError: there is none of this name.
    """
    query = sa.select(classes.c.id).where(classes.c.name == name).with_for_update()
    found: int | None = connection.execute(query).scalar()
    if found is None:
        raise OperatorError(f"There is no type of defect called {name}.")
    return found


def _free_key(connection: sa.Connection, class_id: int, shortcut: str | None) -> str | None:
    key = (shortcut or "").strip().lower()
    if not key:
        return None
    if len(key) > 1 or key not in FREE_KEYS:
        raise OperatorError(
            f"{key} cannot be the key of a type.",
            "Digits give the first nine types, and other keys have a meaning already.",
            f"Choose one of {', '.join(FREE_KEYS)}.",
        )
    taken = connection.execute(
        sa.select(classes.c.name).where(classes.c.shortcut == key, classes.c.id != class_id)
    ).scalar()
    if taken:
        raise OperatorError(f"{key} gives {taken} already.", next_step="Choose another key.")
    return key


def show_by(connection: sa.Connection, class_id: int, shown: Mapping[str, Iterable[int]]) -> None:
    """Let these images, and no others, show what a type is; ids by role."""
    roles = {int(image): role for role in shown for image in shown[role]}
    connection.execute(class_images.delete().where(class_images.c.class_id == class_id))
    if roles:
        rows = [
            {"class_id": class_id, "image_id": image, "role": role}
            for image, role in sorted(roles.items())
        ]
        connection.execute(class_images.insert(), rows)


def _images_by_class(connection: sa.Connection) -> dict[int, dict[str, tuple[int, ...]]]:
    found: dict[int, dict[str, tuple[int, ...]]] = {}
    query = sa.select(class_images).order_by(class_images.c.image_id)
    for row in connection.execute(query):
        of_class = found.setdefault(row.class_id, {})
        of_class[row.role] = (*of_class.get(row.role, ()), row.image_id)
    return found
