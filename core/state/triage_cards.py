"""What stands beside an image in triage: labels of its neighbours, and examples of each label."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from core.state.database import is_one_of, reading
from core.state.schema import images
from core.state.workspace import Workspace

_MOST_PARTS = 100  # of one query


def labels_of(workspace: Workspace, image_ids: Iterable[int]) -> dict[int, str]:
    """The labels that these images have now; those without one are left out."""
    query = sa.select(images.c.id, images.c.label).where(images.c.label.is_not(None))
    with reading(workspace) as connection:
        rows = connection.execute(query.where(is_one_of(connection, images.c.id, image_ids)))
        return dict(rows.all())


def examples_of(workspace: Workspace, labels: Sequence[str], *, n: int) -> dict[str, list[int]]:
    """The first `n` images of each label that take part in training, by their ids."""
    found: dict[str, list[int]] = {label: [] for label in labels}
    with reading(workspace) as connection:
        for start in range(0, len(labels), _MOST_PARTS):
            parts = [_first_of(label, n) for label in labels[start : start + _MOST_PARTS]]
            for label, image_id in connection.execute(sa.union_all(*parts)):
                found[label].append(image_id)
    return {label: ids for label, ids in found.items() if ids}


def _first_of(label: str, n: int) -> sa.Select:
    is_shown = (images.c.label == label, ~images.c.excluded, images.c.condition == "ok")
    first = sa.select(images.c.label, images.c.id).where(*is_shown).order_by(images.c.id).limit(n)
    return sa.select(first.subquery())
