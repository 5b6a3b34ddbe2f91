"""All images as arrays, for what looks at a whole data set: one row an image, read at once."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from core.state import catalog
from core.state.database import reading
from core.state.schema import images, near_duplicates, quality, sources
from core.state.workspace import Workspace
from core.vocabulary import QUALITY_MEASURES


@dataclass(frozen=True)
class Categories:
    """One name an image, or none.

    Attributes:
        names: the different names.
        codes: int32 (n_images,), the place in `names`; -1 where an image has none.
    """

    names: tuple[str, ...]
    codes: np.ndarray

    def equal(self, name: str | None) -> np.ndarray:
        """bool (n_images,): who has this name; with None, who has none."""
        if name is None:
            return self.codes < 0
        if name not in self.names:
            return np.zeros(len(self.codes), bool)
        return self.codes == self.names.index(name)


@dataclass(frozen=True)
class ImageTable:
    """Arrays (n_images,), row by row of the same image, ascending by id.

    Attributes:
        ids: int64.
        is_excluded: bool, kept out of training.
        is_decided: bool, whether a person gave the present label.
        widths: int64, in pixels.
        heights: int64, in pixels.
        look_alikes: int64, number of its group of near-duplicates; 0 where it looks like no other.
        quality: float by measure, NaN where an image was not measured.
    """

    ids: np.ndarray
    labels: Categories
    splits: Categories
    conditions: Categories
    is_excluded: np.ndarray
    is_decided: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    look_alikes: np.ndarray
    quality: dict[str, np.ndarray]


def load_image_table(workspace: Workspace) -> ImageTable:
    """Read the images as they are now, in one query."""
    query = (
        sa.select(
            images.c.id,
            images.c.label,
            images.c.split,
            images.c.condition,
            images.c.excluded,
            images.c.label_origin == "human",
            images.c.width,
            images.c.height,
            sa.func.coalesce(near_duplicates.c.number, 0),
            *[quality.c[name] for name in QUALITY_MEASURES],
        )
        .outerjoin(quality, quality.c.image_id == images.c.id)
        .outerjoin(near_duplicates, near_duplicates.c.image_id == images.c.id)
        .order_by(images.c.id)
    )
    with reading(workspace) as connection:
        rows = connection.execute(query).all()
    columns = list(zip(*rows, strict=True)) or [()] * len(query.selected_columns)
    ids, labels, splits, conditions, excluded, decided, widths, heights, alike, *measured = columns
    return ImageTable(
        ids=np.array(ids, np.int64),
        labels=_categories(labels),
        splits=_categories(splits),
        conditions=_categories(conditions),
        is_excluded=np.array(excluded, bool),
        is_decided=np.array(decided, bool),  # NULL where there is no label: not decided
        widths=np.array(widths, np.int64),
        heights=np.array(heights, np.int64),
        look_alikes=np.array(alike, np.int64),
        quality={
            name: np.array(values, float)
            for name, values in zip(QUALITY_MEASURES, measured, strict=True)
        },
    )


def image_table_version(workspace: Workspace) -> str:
    """Changes when anything in the table does: labels and images, lost files, near-duplicates."""
    lost = sa.select(images.c.id, images.c.condition).where(images.c.condition != "ok")
    alike = sa.select(near_duplicates.c.image_id, near_duplicates.c.number)
    with reading(workspace) as connection:
        rows = [
            *connection.execute(lost.order_by(images.c.id)),
            *connection.execute(alike.order_by(near_duplicates.c.image_id)),
        ]
    digest = hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()[:16]
    return f"{catalog.fingerprint(workspace)}-{digest}"


def source_labels(workspace: Workspace) -> dict[int, tuple[tuple[str, str | None], ...]]:
    """(path, label given there) by image, of images that came with different labels."""
    differing = (
        sa.select(sources.c.image_id)
        .group_by(sources.c.image_id)
        .having(sa.func.count(sa.distinct(sources.c.label)) > 1)
    )
    query = (
        sa.select(sources.c.image_id, sources.c.path, sources.c.label)
        .where(sources.c.image_id.in_(differing))
        .order_by(sources.c.image_id, sources.c.id)
    )
    found: dict[int, list[tuple[str, str | None]]] = {}
    with reading(workspace) as connection:
        for image_id, path, label in connection.execute(query):
            found.setdefault(image_id, []).append((path, label))
    return {image_id: tuple(dict.fromkeys(files)) for image_id, files in found.items()}


def _categories(values: Iterable[str | None]) -> Categories:
    places: dict[str | None, int] = {None: -1}
    codes = [places.setdefault(value, len(places) - 1) for value in values]
    return Categories(tuple(name for name in places if name is not None), np.array(codes, np.int32))
