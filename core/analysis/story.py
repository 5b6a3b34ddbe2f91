"""What the story shows that no other page does: images that look alike, and what came late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.jobs.story import take_arrivals
from core.state import catalog, job_rows, runs
from core.state.catalog import Image, ImageFilter
from core.state.runs import Run
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS

USUAL = -1  # group of an arrival that is not strange


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
    source = take_arrivals(workspace).source
    taken = job_rows.list_jobs(workspace, kinds=("import",), statuses=("succeeded",))
    since = min((job.created_at for job in taken if job.config["source"] == source), default=None)
    if since is None:
        return []
    images = [
        image
        for image in catalog.list_images(workspace, ImageFilter(labels=(None,)), sort="oldest")
        if image.name.startswith("arrival_")
    ]
    groups: dict[int, int] = {}
    if strange is not None:
        ids = runs.load_array(workspace, strange, "image_ids").tolist()
        groups = dict(zip(ids, runs.load_array(workspace, strange, "groups").tolist(), strict=True))
    found = [Arrival(image, max(groups.get(image.id, USUAL), USUAL)) for image in images]
    sizes = {group: sum(each.group == group for each in found) for group in set(groups.values())}
    return sorted(
        found, key=lambda each: (not each.is_strange, -sizes.get(each.group, 0), each.image.id)
    )


def _by_id(workspace: Workspace, ids: list[int]) -> dict[int, Image]:
    found = catalog.list_images(workspace, ImageFilter(ids=tuple(ids)))
    return {image.id: image for image in found}
