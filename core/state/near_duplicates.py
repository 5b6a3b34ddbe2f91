"""Images that look alike: what the newest search found, and which of them stand in two splits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.state.database import reading, writing
from core.state.schema import images, near_duplicates
from core.state.workspace import Workspace


@dataclass(frozen=True)
class LookAlike:
    """One image of a group of near-duplicates."""

    image_id: int
    number: int
    name: str
    label: str | None
    split: str | None
    excluded: bool


def images_to_compare(workspace: Workspace) -> list[tuple[int, str, str | None]]:
    """(id, sha256, perceptual hash) of every image, ascending.

    The hash is None for what an older version took in.
    """
    columns = (images.c.id, images.c.sha256, images.c.perceptual_hash)
    with reading(workspace) as connection:
        return [tuple(row) for row in connection.execute(sa.select(*columns).order_by(columns[0]))]


def set_perceptual_hashes(workspace: Workspace, hashes: Mapping[int, str]) -> None:
    """Give images the hashes that they lack."""
    if not hashes:
        return
    chosen = images.update().where(images.c.id == sa.bindparam("image"))
    with writing(workspace) as connection:
        connection.execute(
            chosen.values(perceptual_hash=sa.bindparam("hash")),
            [{"image": image_id, "hash": each} for image_id, each in hashes.items()],
        )


def replace_groups(workspace: Workspace, groups: Iterable[Sequence[int]]) -> None:
    """Record what a search found, in place of what an earlier one did."""
    rows = [
        {"image_id": int(image_id), "number": number}
        for number, group in enumerate(groups, start=1)
        for image_id in group
    ]
    with writing(workspace) as connection:
        connection.execute(near_duplicates.delete())
        if rows:
            connection.execute(near_duplicates.insert(), rows)


def list_look_alikes(workspace: Workspace) -> list[LookAlike]:
    """Every image that has near-duplicates, group by group."""
    query = (
        sa.select(
            images.c.id,
            near_duplicates.c.number,
            images.c.name,
            images.c.label,
            images.c.split,
            images.c.excluded,
        )
        .join(images, images.c.id == near_duplicates.c.image_id)
        .order_by(near_duplicates.c.number, images.c.id)
    )
    with reading(workspace) as connection:
        return [LookAlike(*row) for row in connection.execute(query)]
