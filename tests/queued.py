"""A triage queue in a workspace of `tests.samples`: every image suggested as what it is."""

from collections.abc import Sequence
from typing import Any

from core.state import catalog
from core.state.database import writing
from core.state.queue_rows import NewItem, add_items
from core.state.workspace import Workspace


def enqueue(
    workspace: Workspace, image_ids: Sequence[int] | None = None, **options: Any
) -> list[int]:
    """Put images (all of them by default) into the queue, in their order; their ids.

    What `options` does not say: each is ambiguous, torn between its class and `rust`, and its
    neighbours are the two images before it.
    """
    images = {image.id: image for image in catalog.list_images(workspace, sort="oldest")}
    ids = list(images) if image_ids is None else list(image_ids)
    every = list(images)
    items = []
    for place, image_id in enumerate(ids):
        label = images[image_id].label
        near = [every[every.index(image_id) - back] for back in (1, 2)]
        facts = {"top": [[label, 0.54], ["rust", 0.41]], "novelty": 0.4, "nearest": near}
        usual = {"reason": "", "kind": "ambiguous", "suggested": label, "facts": facts}
        order = {"by_uncertainty": place / len(ids), "by_novelty": 1 - place / len(ids)}
        items.append(NewItem(image_id, **(usual | order | options)))
    with writing(workspace) as connection:
        add_items(connection, items, actor="a model")
    return ids
