"""Images come in: imports, what each brought, what it refused.

One row of `images` is one content. A further path to the same bytes is a further source of that
image, and keeps the label that it was given there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from core.annotations import Box, Crop, Decision
from core.state.catalog import add_classes
from core.state.clock import now
from core.state.database import is_one_of, reading, writing
from core.state.queue_rows import NewItem, add_items
from core.state.schema import (
    attributes,
    batches,
    boxes,
    changes,
    crops,
    images,
    imports,
    near_duplicates,
    quality,
    rejections,
    sources,
)
from core.state.workspace import Workspace


@dataclass(frozen=True)
class NewImage:
    """One readable image as an import found it; `fingerprint` tells whether it changed since."""

    source: str
    sha256: str
    name: str
    storage: str
    location: str
    modified_ns: int
    format: str
    width: int
    height: int
    n_bytes: int
    fingerprint: str = ""
    label: str | None = None
    label_origin: str = "imported"
    split: str | None = None
    excluded: bool = False
    shot_group: str | None = None
    perceptual_hash: str | None = None
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    crop: Crop | None = None
    decisions: tuple[Decision, ...] = ()
    queued: str = ""


@dataclass(frozen=True)
class Import:
    """One finished or running import."""

    id: int
    at: str
    actor: str
    source: str
    format: str
    n_imported: int
    n_duplicates: int
    n_known: int
    n_rejected: int
    finished_at: str | None


@dataclass(frozen=True)
class SplitRow:
    """What a draw of splits must know of one image."""

    id: int
    import_id: int
    label: str | None
    split: str | None
    shot_group: str | None
    near_duplicates: int | None


def begin_import(
    workspace: Workspace,
    *,
    source: str,
    format: str,
    options: Mapping[str, Any],
    actor: str,
    classes: Sequence[str] = (),
) -> int:
    """Record that an import has begun; its id goes with every image it brings.

    Args:
        classes: the order of the source's classes, which fixes the colours of new ones.
    """
    row = {"at": now(), "actor": actor, "source": source, "format": format, "options": options}
    with writing(workspace) as connection:
        for name in classes:
            add_classes(connection, [name])
        return connection.execute(imports.insert().values(row).returning(imports.c.id)).scalar_one()


def add_images(workspace: Workspace, import_id: int, found: Sequence[NewImage]) -> tuple[int, int]:
    """Take images in, in one transaction. One row a content: a further path is a further source.

    Returns:
        (n_imported, n_duplicates): new contents, and paths whose content was there already.
    """
    if not found:
        return 0, 0
    with writing(workspace) as connection:
        _, new = store_images(connection, import_id, found)
    return len(new), len(found) - len(new)


def store_images(
    connection: sa.Connection, import_id: int, found: Sequence[NewImage]
) -> tuple[Mapping[str, int], frozenset[str]]:
    """As `add_images`, in the caller's transaction.

    Returns:
        (ids, new): ids by sha256 of all that was found, and the contents that were not there yet.
    """
    # One import stores at a time, else two could both find a content new: each holds the first
    # import's row. Classes come before any row of images, as in `labels.relabel`.
    first = sa.select(imports.c.id).order_by(imports.c.id).limit(1)
    connection.execute(first.with_for_update())
    add_classes(connection, {image.label for image in found if image.label})
    known = _ids_by_sha256(connection, [image.sha256 for image in found])
    new = {image.sha256: image for image in reversed(found) if image.sha256 not in known}
    in_order = [image for image in found if new.get(image.sha256) is image]
    known |= _insert_images(connection, in_order, import_id)
    _insert_facts(connection, in_order, known)
    _insert_decisions(connection, in_order, known, import_id)
    _insert(
        connection,
        sources,
        [
            {
                "image_id": known[image.sha256],
                "import_id": import_id,
                "path": image.source,
                "label": image.label,
                "fingerprint": image.fingerprint or None,
            }
            for image in found
        ],
    )
    _add_attributes(connection, found)
    connection.execute(
        imports.update()
        .where(imports.c.id == import_id)
        .values(
            n_imported=imports.c.n_imported + len(new),
            n_duplicates=imports.c.n_duplicates + len(found) - len(new),
        )
    )
    return known, frozenset(new)


def import_of_day(workspace: Workspace, *, source: str, format: str, actor: str) -> int:
    """The import that holds what comes in one by one from a source today; begun where none has."""
    at = now()
    query = (
        sa.select(imports.c.id)
        .where(imports.c.source == source, imports.c.format == format, imports.c.at >= at[:10])
        .order_by(imports.c.id.desc())
        .limit(1)
    )
    with reading(workspace) as connection:
        found = connection.execute(query).scalar()
    if found is not None:
        return found
    begun = begin_import(workspace, source=source, format=format, options={}, actor=actor)
    finish_import(workspace, begun, n_known=0)  # nothing of it is ever left half done
    return begun


def add_rejections(
    workspace: Workspace, import_id: int, rejected: Sequence[tuple[str, str]]
) -> None:
    """Record (path, reason) of files that were refused."""
    if not rejected:
        return
    with writing(workspace) as connection:
        connection.execute(
            rejections.insert(),
            [{"import_id": import_id, "path": path, "reason": why} for path, why in rejected],
        )
        connection.execute(
            imports.update()
            .where(imports.c.id == import_id)
            .values(n_rejected=imports.c.n_rejected + len(rejected))
        )


def finish_import(workspace: Workspace, import_id: int, *, n_known: int) -> Import:
    """Record that the import came to its end; `n_known` paths had been imported before."""
    with writing(workspace) as connection:
        connection.execute(
            imports.update()
            .where(imports.c.id == import_id)
            .values(finished_at=now(), n_known=n_known)
        )
    return next(done for done in list_imports(workspace) if done.id == import_id)


def split_rows(workspace: Workspace) -> list[SplitRow]:
    """Every image with what says where it belongs, in the order of the ids."""
    query = (
        sa.select(
            images.c.id,
            images.c.import_id,
            images.c.label,
            images.c.split,
            images.c.shot_group,
            near_duplicates.c.number,
        )
        .outerjoin(near_duplicates, near_duplicates.c.image_id == images.c.id)
        .order_by(images.c.id)
    )
    with reading(workspace) as connection:
        return [SplitRow(*row) for row in connection.execute(query)]


def set_imported_splits(workspace: Workspace, splits: Mapping[int, str]) -> None:
    """Give images their first split, as part of their import; later changes go through `labels`."""
    with writing(workspace) as connection:
        for split in set(splits.values()):
            ids = [image_id for image_id, chosen in splits.items() if chosen == split]
            connection.execute(
                images.update().where(is_one_of(connection, images.c.id, ids)).values(split=split)
            )


def list_imports(workspace: Workspace) -> list[Import]:
    """Every import, newest first."""
    columns = [imports.c[name] for name in Import.__dataclass_fields__]
    with reading(workspace) as connection:
        rows = connection.execute(sa.select(*columns).order_by(imports.c.id.desc()))
        return [Import(*row) for row in rows]


def list_rejections(workspace: Workspace, import_id: int) -> list[tuple[str, str]]:
    """(path, reason) of every file that this import refused."""
    query = (
        sa.select(rejections.c.path, rejections.c.reason)
        .where(rejections.c.import_id == import_id)
        .order_by(rejections.c.id)
    )
    with reading(workspace) as connection:
        return [(path, reason) for path, reason in connection.execute(query)]


def known_sources(workspace: Workspace, paths: Iterable[str]) -> dict[str, str]:
    """Fingerprint by path, of those paths that were imported before: the last that was there."""
    wanted = set(paths)
    query = (
        sa.select(sources.c.path, sa.func.coalesce(sources.c.fingerprint, images.c.sha256))
        .join(images, images.c.id == sources.c.image_id)
        .order_by(sources.c.id)
    )
    with reading(workspace) as connection:
        return {path: last for path, last in connection.execute(query) if path in wanted}


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _insert_images(
    connection: sa.Connection, new: Sequence[NewImage], import_id: int
) -> dict[str, int]:
    """Ids by sha256 of the rows made."""
    if not new:
        return {}
    rows = [_image_values(image, import_id) for image in new]
    connection.execute(images.insert(), rows)
    return _ids_by_sha256(connection, [image.sha256 for image in new])


def _insert_facts(
    connection: sa.Connection, new: Sequence[NewImage], ids: Mapping[str, int]
) -> None:
    _insert(
        connection,
        quality,
        [{"image_id": ids[image.sha256], **image.quality} for image in new if image.quality],
    )
    _insert(
        connection,
        boxes,
        [
            {name: getattr(box, name) for name in Box.__dataclass_fields__}
            | {"image_id": ids[image.sha256]}
            for image in new
            for box in image.boxes
        ],
    )
    _insert(
        connection,
        crops,
        [
            {name: getattr(image.crop, name) for name in Crop.__dataclass_fields__}
            | {"image_id": ids[image.sha256]}
            for image in new
            if image.crop
        ],
    )


def _insert_decisions(
    connection: sa.Connection, new: Sequence[NewImage], ids: Mapping[str, int], import_id: int
) -> None:
    """Append what was decided elsewhere as changes: a batch for each one who decided."""
    n_of_actor = Counter(decision.actor for image in new for decision in image.decisions)
    batch_of = {
        actor: _batch_of(connection, import_id, actor, n_more=n) for actor, n in n_of_actor.items()
    }
    rows = []  # in the order of the decisions: the last one stands
    for image in new:
        old, old_origin = None, None
        for decision in image.decisions:
            is_nothing = decision.label is None and decision.origin == "imported"
            new_origin = None if is_nothing else decision.origin
            rows.append(
                {
                    "batch_id": batch_of[decision.actor],
                    "image_id": ids[image.sha256],
                    "field": "label",
                    "old": old,
                    "new": decision.label,
                    "old_origin": old_origin,
                    "new_origin": new_origin,
                    "model": decision.actor if decision.origin == "automatic" else None,
                    "score": decision.score,
                    "decided_at": decision.at or None,
                }
            )
            old, old_origin = decision.label, new_origin
    _insert(connection, changes, rows)
    waiting = [NewItem(ids[image.sha256], image.queued) for image in new if image.queued]
    add_items(connection, waiting, actor="import")


def _batch_of(connection: sa.Connection, import_id: int, actor: str, *, n_more: int) -> int:
    """The batch of one who decided, in one import; it grows with the import."""
    query = sa.select(batches.c.id, batches.c.detail).where(
        batches.c.action == "import", batches.c.actor == actor
    )
    for batch_id, detail in connection.execute(query):
        if detail["import"] == import_id:
            grown = batches.c.n_changes + n_more
            connection.execute(
                batches.update().where(batches.c.id == batch_id).values(n_changes=grown)
            )
            return batch_id
    batch = {"at": now(), "actor": actor, "action": "import", "detail": {"import": import_id}}
    inserted = batches.insert().values({**batch, "n_changes": n_more}).returning(batches.c.id)
    return connection.execute(inserted).scalar_one()


_IMAGE_COLUMNS = tuple(name for name in NewImage.__dataclass_fields__ if name in images.c)


def _image_values(image: NewImage, import_id: int) -> dict[str, Any]:
    is_decided = image.label_origin != "imported"  # a person may have taken the label away
    return {name: getattr(image, name) for name in _IMAGE_COLUMNS} | {
        "attributes": dict(image.attributes),
        "label_origin": image.label_origin if image.label or is_decided else None,
        "import_id": import_id,
    }


def _ids_by_sha256(connection: sa.Connection, sha256s: Sequence[str]) -> dict[str, int]:
    query = sa.select(images.c.sha256, images.c.id).where(images.c.sha256.in_(sha256s))
    return dict(connection.execute(query).all())


def _add_attributes(connection: sa.Connection, found: Sequence[NewImage]) -> None:
    kinds = {
        name: "text" if isinstance(value, str) else "number"
        for image in found
        for name, value in image.attributes.items()
    }
    known = dict(connection.execute(sa.select(attributes.c.name, attributes.c.kind)).all())
    for name, kind in kinds.items():
        if name not in known:
            connection.execute(attributes.insert().values(name=name, kind=kind))
        elif known[name] == "number" and kind == "text":  # text holds numbers, not the reverse
            connection.execute(
                attributes.update().where(attributes.c.name == name).values(kind="text")
            )
