"""What an export takes along beyond the images' own rows, and how images are found again."""

import sqlalchemy as sa

from core.state.database import is_one_of, reading
from core.state.queue_rows import is_open
from core.state.schema import images, queue
from core.state.workspace import Workspace


def list_shot_groups(workspace: Workspace, ids: tuple[int, ...]) -> dict[int, str]:
    """The group of shots of these images, by image id; those that stand alone are left out."""
    with reading(workspace) as connection:
        query = sa.select(images.c.id, images.c.shot_group).where(
            images.c.shot_group.is_not(None), is_one_of(connection, images.c.id, ids)
        )
        return dict(connection.execute(query).all())


def list_queue_reasons(workspace: Workspace, ids: tuple[int, ...]) -> dict[int, str]:
    """Why these images wait in the queue, by image id; those that do not are left out."""
    with reading(workspace) as connection:
        query = sa.select(queue.c.image_id, queue.c.reason).where(
            is_open(), is_one_of(connection, queue.c.image_id, ids)
        )
        return dict(connection.execute(query).all())


def ids_by_sha256(workspace: Workspace) -> dict[str, int]:
    """The id of every image by the hash of its file."""
    with reading(workspace) as connection:
        return dict(connection.execute(sa.select(images.c.sha256, images.c.id)).all())
