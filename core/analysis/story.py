"""What the story shows that no other page does: images that look alike, and what came late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.jobs.story import has_taken_arrivals
from core.state import catalog, runs
from core.state.catalog import Image, ImageFilter
from core.state.runs import Run
from core.state.story import ARRIVAL
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS

ALONE, USUAL = -1, -2  # instead of a group, as in `core.latent.novel_groups`


@dataclass(frozen=True)
class Pair:
    """Two images of different defects that features hold for alike; 1 is the same direction."""

    first: Image
    second: Image
    similarity: float


@dataclass(frozen=True)
class Arrival:
    """An image that came late; `group` numbers the strange ones that are alike."""

    image: Image
    group: int

    @property
    def is_strange(self) -> bool:
        """Whether it is like none of the types."""
        return self.group != USUAL


def alike_pairs(workspace: Workspace, embedding: Run, *, n_pairs: int) -> list[Pair]:
    """Images of unlike labels that lie nearest to one another, each image in one pair at most."""
    ids = runs.load_array(workspace, embedding, "image_ids")
    labels = catalog.column(workspace, ids, "label")
    rows = np.array(
        [row for row, label in enumerate(labels) if label and label not in RESERVED_LABELS],
        np.int64,
    )
    if len(rows) < 2:
        return []
    vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)[rows]
    vectors = vectors - vectors.mean(axis=0)  # what all images share tells nothing
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.maximum(lengths, 1e-12)
    similarity = directions @ directions.T
    codes = np.unique([labels[row] for row in rows.tolist()], return_inverse=True)[1]
    similarity[codes[:, None] == codes[None, :]] = -np.inf
    chosen: list[tuple[int, int, float]] = []
    while len(chosen) < n_pairs and np.isfinite(best := similarity.max()):
        first, second = np.unravel_index(similarity.argmax(), similarity.shape)
        chosen.append((int(first), int(second), float(best)))
        for taken in (first, second):
            similarity[taken, :] = similarity[:, taken] = -np.inf
    wanted = [int(ids[rows[place]]) for pair in chosen for place in pair[:2]]
    images = _by_id(workspace, wanted)
    return [
        Pair(images[int(ids[rows[first]])], images[int(ids[rows[second]])], value)
        for first, second, value in chosen
    ]


def late_arrivals(workspace: Workspace, strange: Run | None) -> list[Arrival]:
    """What the line brought late and nobody has labelled yet, the largest strange group first.

    Args:
        strange: of kind `novel_groups`, where the strange images have been grouped.
    """
    if not has_taken_arrivals(workspace):
        return []
    images = catalog.list_images(
        workspace, ImageFilter(labels=(None,), text=ARRIVAL), sort="oldest"
    )
    groups: dict[int, int] = {}
    if strange is not None:
        ids = runs.load_array(workspace, strange, "image_ids").tolist()
        groups = dict(zip(ids, runs.load_array(workspace, strange, "groups").tolist(), strict=True))
    found = [Arrival(image, groups.get(image.id, USUAL)) for image in images]
    # Groups are numbered by size; who is like no other comes after them, what is usual last.
    return sorted(
        found,
        key=lambda each: (not each.is_strange, each.group == ALONE, each.group, each.image.id),
    )


def _by_id(workspace: Workspace, ids: list[int]) -> dict[int, Image]:
    found = catalog.list_images(workspace, ImageFilter(ids=tuple(ids)))
    return {image.id: image for image in found}
