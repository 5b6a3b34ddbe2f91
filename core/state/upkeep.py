"""What keeps a workspace's facts true to themselves: used by the doctor alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.state.database import reading, writing
from core.state.schema import changes, images, sources
from core.state.workspace import Workspace

_FIELDS = ("label", "split", "excluded")


@dataclass(frozen=True)
class Disagreement:
    """An image's column said `was`, its latest change `now`."""

    image_id: int
    field: str
    was: str | None
    now: str | None


def follow_changes(workspace: Workspace) -> list[Disagreement]:
    """Set labels, splits and exclusions to what the latest change of each says; what differed.

    Images that were never changed keep what their import gave them.
    """
    latest = (
        sa.select(sa.func.max(changes.c.id))
        .where(changes.c.field.in_(_FIELDS))
        .group_by(changes.c.image_id, changes.c.field)
    )
    query = (
        sa.select(changes, images.c.label, images.c.label_origin, images.c.split, images.c.excluded)
        .join(images, images.c.id == changes.c.image_id)
        .where(changes.c.id.in_(latest))
        .order_by(changes.c.image_id)
    )
    different = []
    with writing(workspace) as connection:
        for row in connection.execute(query).mappings().all():
            said = _said(dict(row))
            if all(row[column] == value for column, value in said.items()):
                continue
            connection.execute(images.update().where(images.c.id == row["image_id"]).values(said))
            was = row[row["field"]]
            was = str(was).lower() if isinstance(was, bool) else was
            different.append(Disagreement(row["image_id"], row["field"], was, row["new"]))
    return different


def source_paths(workspace: Workspace, image_id: int) -> list[str]:
    """Every path that an image came from, newest first."""
    query = (
        sa.select(sources.c.path)
        .where(sources.c.image_id == image_id)
        .order_by(sources.c.id.desc())
    )
    with reading(workspace) as connection:
        return list(connection.execute(query).scalars())


def _said(change: Mapping[str, Any]) -> dict[str, Any]:
    if change["field"] == "label":
        return {"label": change["new"], "label_origin": change["new_origin"]}
    if change["field"] == "split":
        return {"split": change["new"]}
    return {"excluded": change["new"] == "true"}
