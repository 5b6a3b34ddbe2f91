"""Knowledge: what is known of images beside their features, and has it changed since?

Labels, splits and groups of shots change while people work; what was computed from them says by
their digests which state it holds for.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from core.state.database import reading
from core.state.schema import images, near_duplicates
from core.state.workspace import Workspace


@dataclass(frozen=True)
class Knowledge:
    """What is known of images, as it is now, in the order they were asked for.

    Attributes:
        labels: None where an image has none.
        splits: None where an image has none or is excluded from training.
        shots: the group of shots of one thing that it belongs to, None for none.
        look_alikes: number of its group of near-duplicates, None for none.
    """

    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    shots: tuple[str | None, ...]
    look_alikes: tuple[int | None, ...]

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """`labels`, `splits` and `groups`, each as 16 hex digits that change when it does."""
        return {
            "labels": _digest(self.labels),
            "splits": _digest(self.splits),
            "groups": _digest([self.shots, self.look_alikes]),
        }


class LabelledImage(NamedTuple):
    """What a training asks of an image; the split is its own though it be excluded."""

    id: int
    sha256: str
    label: str
    split: str | None
    excluded: bool


def load_labelled(workspace: Workspace) -> list[LabelledImage]:
    """Every image that people have labelled and whose file is there, ascending by id.

    A model that learned what a model has guessed would only grow surer of it.
    """
    columns = [images.c[name] for name in LabelledImage._fields]
    query = (
        sa.select(*columns)
        .where(_is_labelled_by_people(), images.c.condition == "ok")
        .order_by(images.c.id)
    )
    with reading(workspace) as connection:
        return [LabelledImage(*row) for row in connection.execute(query)]


def labelled_by_people(workspace: Workspace, image_ids: np.ndarray) -> np.ndarray:
    """Whether people have given each image its label: bool (n_images,).

    Args:
        image_ids: int array (n_images,).
    """
    return _holds_of(workspace, image_ids, _is_labelled_by_people())


def cleared_by_people(workspace: Workspace, image_ids: np.ndarray) -> np.ndarray:
    """Whether each image has no label because a person took it away: bool (n_images,).

    Args:
        image_ids: int array (n_images,).
    """
    is_cleared = images.c.label.is_(None) & (images.c.label_origin == "human")
    return _holds_of(workspace, image_ids, is_cleared)


def load_knowledge(workspace: Workspace, image_ids: np.ndarray) -> Knowledge:
    """What is known of these images; nothing of those that are no longer there.

    Args:
        image_ids: int array (n_images,).
    """
    query = sa.select(
        images.c.id,
        images.c.label,
        sa.case((images.c.excluded, sa.null()), else_=images.c.split),
        images.c.shot_group,
        near_duplicates.c.number,
    ).outerjoin(near_duplicates, near_duplicates.c.image_id == images.c.id)
    with reading(workspace) as connection:
        known = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
    rows = [known.get(image_id, (None,) * 4) for image_id in image_ids.tolist()]
    labels, splits, shots, look_alikes = zip(*rows, strict=True) if rows else ((),) * 4
    return Knowledge(labels, splits, shots, look_alikes)


def _holds_of(
    workspace: Workspace, image_ids: np.ndarray, condition: sa.ColumnElement[bool]
) -> np.ndarray:
    with reading(workspace) as connection:
        found = connection.execute(sa.select(images.c.id).where(condition))
        return np.isin(image_ids, list(found.scalars()))


def _is_labelled_by_people() -> sa.ColumnElement[bool]:
    return images.c.label.is_not(None) & (images.c.label_origin != "automatic")


def _digest(values: Sequence) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]
