"""What is known of one image, in the few lines that a hover card has room for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.annotations import Box
from core.errors import OperatorError
from core.state import annotations, catalog, colourings, runs
from core.state.workspace import Workspace

_MOST_CLASSES = 6  # whose probabilities a card has room for
_ORIGINS = {"human": " (by a person)", "automatic": " (by a model)"}


def describe_image(
    workspace: Workspace,
    image_id: int,
    *,
    projection: str | None = None,
    colouring: str | None = None,
    evaluation: str | None = None,
) -> dict[str, Any]:
    """Title, (name, value) rows, size and boxes of one image, as JSON values.

    Args:
        projection: the map it is shown on; its newest clustering is then among the rows.
        colouring: what the map is coloured by, whose value is then among the rows.
        evaluation: of a model, whose probabilities are then among the rows.

    Raises:
        OperatorError: there is no such image.
    """
    image = catalog.get_image(workspace, image_id)
    label = (image.label or "unlabelled") + _ORIGINS.get(image.label_origin or "", "")
    rows = [["Label", label], ["Split", image.split or "none"]]
    if evaluation:
        rows += _probabilities(workspace, image_id, evaluation)
    shown = _newest_clustering(workspace, projection) if projection else []
    if colouring and colouring not in ("label", "split", *shown):
        shown.append(colouring)
    for name in shown:
        rows += _row(workspace, image_id, name)
    if image.excluded:
        rows.append(["Training", "excluded"])
    rows += [[name, _shown(value)] for name, value in image.attributes.items()]
    drawn = annotations.list_boxes(workspace, (image_id,)).get(image_id, ())
    rows += _places(workspace, image_id, drawn)
    rows.append(["Size", f"{image.width} x {image.height}"])
    if image.condition != "ok":
        rows.append(["File", image.condition])
    return {
        "title": image.name,
        "rows": rows,
        "size": [image.width, image.height],
        "boxes": [asdict(box) for box in drawn],
    }


def _probabilities(workspace: Workspace, image_id: int, run_id: str) -> list[list[str]]:
    """What a model gives the image, and how probable each class is to it, the likeliest first."""
    run = runs.find_run(workspace, run_id)
    if run is None or run.kind != "evaluation":
        return []  # deleted while its page is open
    ids = runs.load_array(workspace, run, "image_ids", mapped=True)
    row = int(np.searchsorted(ids, image_id))
    if row == len(ids) or ids[row] != image_id:
        return [["Predicted", "not yet: evaluate again"]]
    shares = runs.load_array(workspace, run, "probabilities", mapped=True)[row].tolist()
    likeliest = sorted(zip(run.result["classes"], shares, strict=True), key=lambda each: -each[1])
    # The share stands where names are short: a class's would be cut off there.
    first, *others = [(name, f"{share:.1%}") for name, share in likeliest[:_MOST_CLASSES]]
    return [["Predicted", f"{first[0]}, {first[1]}"], *([share, name] for name, share in others)]


def _newest_clustering(workspace: Workspace, projection: str) -> list[str]:
    shown = runs.find_run(workspace, projection)
    embedding = runs.find_run(workspace, shown.parent_id or "") if shown else None
    newest = colourings.clusterings_of(workspace, embedding)[:1] if embedding else []
    return [f"{what}:{run.id}" for run in newest for what in ("cluster", "distance")]


def _places(workspace: Workspace, image_id: int, drawn: Sequence[Box]) -> list[list[str]]:
    """What is drawn on an image, and where it was cut out."""
    rows = []
    if drawn:
        counts = Counter(box.label for box in drawn)
        shown = ", ".join(f"{n} x {label}" if n > 1 else label for label, n in counts.items())
        rows.append(["Boxes", shown])
    if crop := annotations.list_crops(workspace, (image_id,)).get(image_id):
        rows.append(["Cut out of", crop.source])
        rows.append(["Place there", f"{crop.width} x {crop.height} at {crop.x}, {crop.y}"])
    return rows


def _row(workspace: Workspace, image_id: int, colouring: str) -> list[list[str]]:
    if colouring.startswith("attribute:"):
        return []  # every attribute has its row already
    try:
        one = colourings.colour(workspace, np.array([image_id]), colouring)
    except (OperatorError, ValueError):
        return []  # a clustering deleted while its map is open
    if one.is_score:
        return [[one.title, _shown(float(one.values[0]))]]
    return [[one.title, one.categories[0].name]]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
