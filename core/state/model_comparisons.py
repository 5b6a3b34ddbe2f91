"""Comparisons of two models: by which images, and which is the newest?"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.state import catalog, model_roles, runs
from core.state.catalog import ImageFilter
from core.state.knowledge import labelled_by_people
from core.state.model_roles import TEST
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class ComparisonImages:
    """Test images of both models, with the labels that people gave them.

    Attributes:
        ids: int64 (n_images,), ascending.
        labels: of them, as they are now.
        notes: what is not known of who has seen them.
    """

    ids: np.ndarray
    labels: tuple[str, ...]
    notes: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change when an image comes or goes, or gets another label."""
        described = json.dumps([self.ids.tolist(), self.labels])
        return hashlib.sha256(described.encode()).hexdigest()[:16]


def images_to_compare_by(workspace: Workspace, old: Model, new: Model) -> ComparisonImages:
    """Images of the split test that neither model, nor one that it descends from, has learned from.

    Raises:
        OperatorError: the snapshot of a model is missing or damaged.
    """
    ids = catalog.image_ids(workspace, ImageFilter(condition="ok", splits=(TEST,)))
    is_meant = labelled_by_people(workspace, ids)
    notes: list[str] = []
    for model in (old, new):
        roles = model_roles.image_roles(workspace, model, ids)
        is_meant &= np.isin(np.arange(len(ids)), roles.rows(TEST))
        notes += [f"{model.id}: {note}" for note in roles.notes]
    chosen = ids[is_meant]
    labels = tuple(label or "" for label in catalog.column(workspace, chosen, "label"))
    return ComparisonImages(chosen, labels, tuple(notes))


def standing(workspace: Workspace, old: Model, new: Model) -> tuple[Run | None, bool]:
    """The comparison of two models to go by, and whether it is of the test images as they are.

    The newest that is, else the newest of all.

    Raises:
        OperatorError: the snapshot of a model is missing or damaged.
    """
    found = [
        run
        for run in runs.list_runs(workspace, "model_comparison")
        if (run.config["old"], run.config["new"]) == (old.id, new.id)
    ]
    if not found:
        return None, False
    digest = images_to_compare_by(workspace, old, new).digest
    current = next((run for run in found if run.config["images"] == digest), None)
    return current or found[0], current is not None
