"""Roles: what has an image been to a model? Learned from, chosen by, or never seen.

The splits say what an image is for; a model's own snapshot says what it was. An image that a model,
or one that it descends from, was trained on can test it no more, whatever its split is now. Nor can
one whose label a model gave: it would be measured by its own word.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.errors import OperatorError
from core.state import catalog, models
from core.state.models import Model
from core.state.workspace import Workspace
from core.vocabulary import SPLITS

TRAIN, VALIDATION, CALIBRATION, TEST = SPLITS
# By its split alone an image may have any role but that of having been learned from. Validation is
# among them: the snapshot holds the model's own classes alone, and images of several defects or of
# an unknown class are what the mixed cluster is there to gather.
_BY_SPLIT = (VALIDATION, CALIBRATION, TEST)


@dataclass(frozen=True)
class ImageRoles:
    """The roles of some images for one model, in the order they were asked for.

    Attributes:
        roles: one of the four splits' names each; None for an image that was not learned from but
            is of no split that measures are read from, or was labelled automatically.
        notes: what a person who reads measures by role must know.
    """

    roles: tuple[str | None, ...]
    notes: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change when a role does."""
        return hashlib.sha256(json.dumps(self.roles).encode()).hexdigest()[:16]

    def rows(self, role: str) -> np.ndarray:
        """int64 rows, ascending, of the images with this role."""
        return np.array([row for row, each in enumerate(self.roles) if each == role], np.int64)


def image_roles(workspace: Workspace, model: Model, image_ids: np.ndarray) -> ImageRoles:
    """What these images are to a model, by its snapshot, its ancestors' and the splits as now.

    Args:
        image_ids: int array (n_images,).

    Raises:
        OperatorError: the model's snapshot is missing or damaged.
    """
    splits = [
        None if origin == "automatic" else split
        for split, origin in zip(
            catalog.column(workspace, image_ids, "split"),
            catalog.column(workspace, image_ids, "label_origin"),
            strict=True,
        )
    ]
    own = models.load_roles(workspace, model)
    inherited, is_complete = _trained_before(workspace, model)
    notes = []
    if not is_complete:
        notes.append(
            "A model that this one descends from has been deleted: images that it was trained on "
            "may be among those that count as unseen."
        )
    if not (len(own.train) or len(own.validation)):
        notes.append(
            "This model was trained elsewhere: the roles are the splits, and nobody here knows "
            "which images it has seen."
        )
        return ImageRoles(tuple(splits), tuple(notes))
    is_trained = np.isin(image_ids, own.train) | np.isin(image_ids, inherited)
    is_chosen = np.isin(image_ids, own.validation)
    n_optimistic = int((is_chosen & np.isin(image_ids, inherited)).sum())
    if n_optimistic:
        notes.append(
            f"An earlier model of its line was trained on {n_optimistic:,} of the validation "
            "images: what they say is too good."
        )
    roles = [
        VALIDATION if chosen else TRAIN if trained else split if split in _BY_SPLIT else None
        for chosen, trained, split in zip(
            is_chosen.tolist(), is_trained.tolist(), splits, strict=True
        )
    ]
    return ImageRoles(tuple(roles), tuple(notes))


def _trained_before(workspace: Workspace, model: Model) -> tuple[np.ndarray, bool]:
    """Ids of the images that the ancestors of a model learned from, and whether all are known."""
    by_id = {each.id: each for each in models.list_models(workspace, with_deleted=True)}
    found = [np.empty(0, np.int64)]
    is_complete = True
    ancestor = by_id.get(model.start_from or "")
    while ancestor is not None:
        try:
            found.append(models.load_roles(workspace, ancestor).train)
        except OperatorError:  # its files went when it was deleted
            is_complete = False
        ancestor = by_id.get(ancestor.start_from or "")
    return np.concatenate(found), is_complete
