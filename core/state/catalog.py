"""The images of a workspace: taken in, counted, filtered, listed, found on disk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from core.errors import OperatorError
from core.state.clock import now
from core.state.database import insert_new, is_one_of, reading, writing
from core.state.queue_rows import is_open
from core.state.schema import (
    attributes,
    changes,
    classes,
    images,
    imports,
    quality,
    queue,
    sources,
)
from core.state.workspace import Workspace
from core.vocabulary import QUALITY_MEASURES, RESERVED_LABELS

SORTS = ("newest", "oldest", "name", "label", *QUALITY_MEASURES)


@dataclass(frozen=True)
class Image:
    """One image with its present label, split and state."""

    id: int
    sha256: str
    name: str
    storage: str
    location: str
    modified_ns: int
    format: str
    width: int
    height: int
    n_bytes: int
    attributes: Mapping[str, str | float]
    condition: str
    label: str | None
    label_origin: str | None
    split: str | None
    excluded: bool
    import_id: int

    @property
    def waits_for_a_person(self) -> bool:
        """Whether no person stands for a label of it: it has none, or a model's."""
        return self.label is None or self.label_origin == "automatic"


@dataclass(frozen=True)
class ImageFilter:
    """Which images: every condition that is set must hold; None among `labels` is "unlabelled"."""

    labels: tuple[str | None, ...] = ()
    splits: tuple[str | None, ...] = ()
    origins: tuple[str | None, ...] = ()
    excluded: bool | None = None
    queued: bool | None = None
    condition: str | None = None
    text: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    ids: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Summary:
    """Counts for the pages' charts; `by_label_and_split` rows are (label, split, n)."""

    n_images: int
    n_labelled: int
    n_excluded: int
    n_queued: int
    n_unreachable: int
    by_label_and_split: tuple[tuple[str | None, str | None, int], ...]

    @property
    def n_by_label(self) -> dict[str, int]:
        """Images by label; those without one are left out."""
        return self._counted(0)

    @property
    def n_by_split(self) -> dict[str, int]:
        """Images by split; those without one are left out."""
        return self._counted(1)

    def _counted(self, column: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for row in self.by_label_and_split:
            name = row[column]
            if isinstance(name, str):
                counts[name] = counts.get(name, 0) + row[2]
        return counts


def list_duplicates(workspace: Workspace) -> list[tuple[int, tuple[str, ...]]]:
    """(image id, its paths) for every image whose exact bytes came from more than one path."""
    several = (
        sa.select(sources.c.image_id)
        .group_by(sources.c.image_id)
        .having(sa.func.count(sa.distinct(sources.c.path)) > 1)
    )
    query = (
        sa.select(sources.c.image_id, sources.c.path)
        .where(sources.c.image_id.in_(several))
        .order_by(sources.c.image_id, sources.c.id)
    )
    groups: dict[int, list[str]] = {}
    with reading(workspace) as connection:
        for image_id, path in connection.execute(query):
            groups.setdefault(image_id, []).append(path)
    return [(image_id, tuple(dict.fromkeys(paths))) for image_id, paths in groups.items()]


def get_image(workspace: Workspace, image_id: int) -> Image:
    """One image.

    Raises:
        OperatorError: there is no such image.
    """
    found = list_images(workspace, ImageFilter(ids=(image_id,)), limit=1)
    if not found:
        raise OperatorError(
            f"There is no image {image_id} in {workspace.name}.",
            next_step="It may be an image of another workspace.",
        )
    return found[0]


def list_images(
    workspace: Workspace,
    chosen: ImageFilter = ImageFilter(),
    *,
    sort: str = "newest",
    offset: int = 0,
    limit: int | None = None,
) -> list[Image]:
    """One page of the images that the filter chooses.

    Raises:
        ValueError: `sort` is not one of `SORTS`.
    """
    if sort not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}, got {sort!r}")
    with reading(workspace) as connection:
        query = (
            sa.select(*[images.c[name] for name in Image.__dataclass_fields__])
            .select_from(images.outerjoin(quality, quality.c.image_id == images.c.id))
            .where(*_conditions(connection, chosen))
            .order_by(*_ordering(sort))
            .offset(offset)
            .limit(limit)
        )
        return [Image(*row) for row in connection.execute(query)]


def list_in_order(workspace: Workspace, ids: Iterable[int]) -> list[Image]:
    """These images, in the order of their ids here; those that are gone are left out."""
    wanted = tuple(ids)
    by_id = {image.id: image for image in list_images(workspace, ImageFilter(ids=wanted))}
    return [by_id[image_id] for image_id in wanted if image_id in by_id]


def count_images(workspace: Workspace, chosen: ImageFilter = ImageFilter()) -> int:
    """How many images the filter chooses."""
    with reading(workspace) as connection:
        query = sa.select(sa.func.count()).select_from(images)
        return connection.execute(query.where(*_conditions(connection, chosen))).scalar_one()


def image_ids(workspace: Workspace, chosen: ImageFilter = ImageFilter()) -> np.ndarray:
    """int64 array (n_images,), ascending: the ids that the filter chooses."""
    with reading(workspace) as connection:
        # One text of all ids: a row object for each of 100,000 would cost five times as much.
        joined = sa.func.aggregate_strings(sa.cast(images.c.id, sa.Text), ",")
        query = sa.select(joined).where(*_conditions(connection, chosen))
        text = connection.execute(query).scalar_one()
    return np.sort(np.fromstring(text or "", dtype=np.int64, sep=","))


def summarise(workspace: Workspace) -> Summary:
    """The counts behind the charts, in two queries."""
    pending = sa.select(sa.func.count()).where(is_open()).scalar_subquery()
    totals = sa.select(
        sa.func.count(),
        sa.func.count(images.c.label),
        sa.func.count(sa.case((images.c.excluded, 1))),
        pending,
        sa.func.count(sa.case((images.c.condition != "ok", 1))),
    )
    table = (
        sa.select(images.c.label, images.c.split, sa.func.count())
        .group_by(images.c.label, images.c.split)
        .order_by(images.c.label.nulls_last(), images.c.split.nulls_last())
    )
    with reading(workspace) as connection:
        n_images, n_labelled, n_excluded, n_queued, n_lost = connection.execute(totals).one()
        cells = tuple((label, split, n) for label, split, n in connection.execute(table))
    return Summary(n_images, n_labelled, n_excluded, n_queued, n_lost, cells)


def column(workspace: Workspace, ids: np.ndarray, name: str) -> list[Any]:
    """One value an image for `ids`, in their order; None where an image has none.

    Args:
        ids: int array (n_images,).
        name: `label`, `split`, `label_origin`, `excluded`, `queued`, `condition`, a quality
            measure, or `attribute:<name>`.

    Raises:
        ValueError: there is no such column.
    """
    with reading(workspace) as connection:
        values = {row[0]: row[1] for row in connection.execute(_column_query(connection, name))}
    return [values.get(image_id) for image_id in ids.tolist()]


def quality_table(workspace: Workspace) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The ids of all measured images, and one float array (n_images,) a quality measure."""
    query = sa.select(quality.c.image_id, *[quality.c[name] for name in QUALITY_MEASURES])
    with reading(workspace) as connection:
        rows = connection.execute(query.order_by(quality.c.image_id)).all()
    table = np.array([tuple(row) for row in rows], dtype=float)
    table = table.reshape(len(rows), 1 + len(QUALITY_MEASURES))
    columns = {name: table[:, i] for i, name in enumerate(QUALITY_MEASURES, 1)}
    return np.array([row[0] for row in rows], dtype=np.int64), columns


def fingerprint(workspace: Workspace) -> str:
    """Changes when any label, split, exclusion, queue entry or image does: a version for caches."""
    query = sa.select(
        sa.select(sa.func.coalesce(sa.func.max(changes.c.id), 0)).scalar_subquery(),
        sa.select(sa.func.coalesce(sa.func.max(images.c.id), 0)).scalar_subquery(),
        # The end of an import gives its images their splits.
        sa.select(sa.func.count(imports.c.finished_at)).scalar_subquery(),
    )
    with reading(workspace) as connection:
        return "-".join(str(part) for part in connection.execute(query).one())


def list_classes(workspace: Workspace) -> list[str]:
    """The class names in the order that fixes their colours."""
    place = sa.func.coalesce(classes.c.place, classes.c.id)
    with reading(workspace) as connection:
        return list(connection.execute(sa.select(classes.c.name).order_by(place)).scalars())


def list_attributes(workspace: Workspace) -> dict[str, str]:
    """Kind (`number` or `text`) by name, of the further columns that imports brought."""
    query = sa.select(attributes.c.name, attributes.c.kind).order_by(attributes.c.name)
    with reading(workspace) as connection:
        return dict(connection.execute(query).all())


def attribute_values(workspace: Workspace, name: str, *, limit: int = 200) -> list[str]:
    """The different values of one attribute, sorted, for a filter's choices."""
    with reading(workspace) as connection:
        value = _attribute(connection, name)
        query = sa.select(value).select_from(images).where(value.is_not(None)).distinct()
        query = query.order_by(value).limit(limit)
        return list(connection.execute(query).scalars())


def image_path(workspace: Workspace, image: Image) -> Path:
    """Where the image's file is, or should be."""
    return workspace.path / image.location if image.storage == "copied" else Path(image.location)


def check_files(workspace: Workspace, chosen: ImageFilter = ImageFilter()) -> dict[int, str]:
    """Look at every file: condition by id, of the images whose condition differs from the recorded.

    A copied file is `missing` or `ok`; a referenced one also `changed` when its size or its time of
    change is another than at import.
    """
    different = {}
    for image in list_images(workspace, chosen):
        try:
            stat = image_path(workspace, image).stat()
        except OSError:
            condition = "missing"
        else:
            as_imported = stat.st_size == image.n_bytes and (
                image.storage == "copied" or stat.st_mtime_ns == image.modified_ns
            )
            condition = "ok" if as_imported else "changed"
        if condition != image.condition:
            different[image.id] = condition
    return different


def set_conditions(workspace: Workspace, conditions: Mapping[int, str]) -> None:
    """Record what `check_files` found."""
    with writing(workspace) as connection:
        for condition in set(conditions.values()):
            ids = [key for key, value in conditions.items() if value == condition]
            connection.execute(
                images.update()
                .where(is_one_of(connection, images.c.id, ids))
                .values(condition=condition)
            )


def add_classes(connection: sa.Connection, names: Iterable[str]) -> None:
    """Give every name that is not a class yet the next place in the order of colours.

    Reserved labels are said of images and never become classes.
    """
    known = set(connection.execute(sa.select(classes.c.name)).scalars())
    new = sorted(set(names) - known - set(RESERVED_LABELS))
    if new:
        insert_new(connection, classes, [{"name": name, "created_at": now()} for name in new])


def _is_queued() -> sa.ColumnElement[bool]:
    return sa.exists().where(queue.c.image_id == images.c.id, is_open()).correlate(images)


def _matches(column: sa.ColumnElement, values: Sequence[str | None]) -> sa.ColumnElement[bool]:
    if len(values) == 1:  # an index then gives the rows in order, which it does not after IN
        return column.is_not_distinct_from(values[0])
    some = column.in_([value for value in values if value is not None])
    return sa.or_(some, column.is_(None)) if None in values else some


def _conditions(connection: sa.Connection, chosen: ImageFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if chosen.labels:
        conditions.append(_matches(images.c.label, chosen.labels))
    if chosen.splits:
        conditions.append(_matches(images.c.split, chosen.splits))
    if chosen.origins:
        conditions.append(_matches(images.c.label_origin, chosen.origins))
    if chosen.excluded is not None:
        conditions.append(images.c.excluded.is_(chosen.excluded))
    if chosen.queued is not None:
        conditions.append(_is_queued() if chosen.queued else ~_is_queued())
    if chosen.condition:
        conditions.append(images.c.condition == chosen.condition)
    if chosen.text:
        conditions.append(images.c.name.icontains(chosen.text, autoescape=True))
    for name, value in chosen.attributes:
        conditions.append(_attribute(connection, name) == value)
    if chosen.ids is not None:
        conditions.append(is_one_of(connection, images.c.id, chosen.ids))
    return conditions


def _attribute(connection: sa.Connection, name: str) -> sa.ColumnElement[str]:
    """An image's value of one attribute as text, whatever characters the name has."""
    if connection.dialect.name == "postgresql":
        return images.c.attributes[name].as_string()
    # SQLite's JSON paths compare escaped names: "Fläche" would never be found.
    entry = sa.func.json_each(images.c.attributes).table_valued("key", "value")
    value = sa.select(sa.cast(entry.c.value, sa.Text)).where(entry.c.key == name)
    return value.correlate(images).scalar_subquery()


def _ordering(sort: str) -> list[sa.ColumnElement]:
    newest = images.c.id.desc()
    orders: dict[str, list[sa.ColumnElement]] = {
        "newest": [newest],
        "oldest": [images.c.id],
        "name": [images.c.name, newest],
        "label": [images.c.label.nulls_last(), newest],
    }
    return orders.get(sort) or [quality.c[sort].nulls_last(), newest]


def _column_query(connection: sa.Connection, name: str) -> sa.Select:
    if name in ("label", "split", "label_origin", "excluded", "condition"):
        return sa.select(images.c.id, images.c[name])
    if name == "queued":
        return sa.select(queue.c.image_id, sa.true()).where(is_open())
    if name in QUALITY_MEASURES:
        return sa.select(quality.c.image_id, quality.c[name])
    if name.startswith("attribute:"):
        value = _attribute(connection, name.removeprefix("attribute:"))
        return sa.select(images.c.id, value)
    raise ValueError(f"{name!r} is no column of the images")
