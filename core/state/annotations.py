"""What is known of images beyond their labels: boxes, where they were cut out, who decided what."""

from collections import defaultdict

import sqlalchemy as sa

from core.annotations import Box, Crop, Decision
from core.state.database import is_one_of, reading
from core.state.schema import batches, boxes, changes, crops
from core.state.workspace import Workspace


def list_boxes(
    workspace: Workspace, ids: tuple[int, ...] | None = None
) -> dict[int, tuple[Box, ...]]:
    """The boxes of these images, or of all, by image id; images without any are left out."""
    columns = [boxes.c[name] for name in Box.__dataclass_fields__]
    found: dict[int, list[Box]] = defaultdict(list)
    with reading(workspace) as connection:
        query = sa.select(boxes.c.image_id, *columns).order_by(boxes.c.id)
        if ids is not None:
            query = query.where(is_one_of(connection, boxes.c.image_id, ids))
        for image_id, *values in connection.execute(query):
            found[image_id].append(Box(*values))
    return {image_id: tuple(each) for image_id, each in found.items()}


def list_crops(workspace: Workspace, ids: tuple[int, ...] | None = None) -> dict[int, Crop]:
    """Where these images, or all, were cut out of others; whole images are left out."""
    columns = [crops.c[name] for name in Crop.__dataclass_fields__]
    with reading(workspace) as connection:
        query = sa.select(crops.c.image_id, *columns)
        if ids is not None:
            query = query.where(is_one_of(connection, crops.c.image_id, ids))
        return {image_id: Crop(*values) for image_id, *values in connection.execute(query)}


def list_decisions(
    workspace: Workspace, ids: tuple[int, ...] | None = None
) -> dict[int, tuple[Decision, ...]]:
    """Every change of these images' labels, or of all, oldest first, by image id.

    Images that nobody decided on are left out. A decision taken back to what the source said, or
    to nothing, has the origin `imported`.
    """
    query = (
        sa.select(
            changes.c.image_id,
            changes.c.new,
            sa.func.coalesce(changes.c.new_origin, "imported"),
            batches.c.actor,
            sa.func.coalesce(changes.c.decided_at, batches.c.at),
            changes.c.score,
        )
        .join(batches, batches.c.id == changes.c.batch_id)
        .where(changes.c.field == "label")
        .order_by(changes.c.id)
    )
    found: dict[int, list[Decision]] = defaultdict(list)
    with reading(workspace) as connection:
        if ids is not None:
            query = query.where(is_one_of(connection, changes.c.image_id, ids))
        for image_id, *values in connection.execute(query):
            found[image_id].append(Decision(*values))
    return {image_id: tuple(each) for image_id, each in found.items()}
