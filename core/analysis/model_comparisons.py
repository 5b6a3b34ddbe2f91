"""How does a new model do beside the one at work, on the same test images, image by image?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.learning.evaluation import Confusion, Estimate
from core.learning.model_comparison import (
    BETTER,
    NO_DIFFERENCE,
    OUTCOMES,
    WORSE,
    ClassComparison,
    Difference,
    ModelComparison,
    PairedMeasure,
)
from core.state import model_comparisons, runs
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace

__all__ = [
    "BETTER",
    "NO_DIFFERENCE",
    "OUTCOMES",
    "WORSE",
    "ClassComparison",
    "PairedMeasure",
    "PairedModels",
    "newest_comparison",
]


@dataclass(frozen=True)
class PairedModels:
    """A run of kind `model_comparison`, whole; row i of every array is image `ids[i]`.

    Attributes:
        run: that keeps it.
        is_current: the test images and their labels are those that it was made from.
        old: id of the model that is compared with.
        new: id of the one that is to take its place.
        found: what was measured.
        ids: int64 (n_images,), ascending.
        old_given: the class that the old model gives each image.
        new_given: the class that the new one gives each.
    """

    run: Run
    is_current: bool
    old: str
    new: str
    found: ModelComparison
    ids: np.ndarray
    old_given: tuple[str, ...]
    new_given: tuple[str, ...]

    def with_outcome(self, outcome: str) -> np.ndarray:
        """int64 ids of the images with one of `OUTCOMES`."""
        return self.ids[self.found.outcomes == OUTCOMES.index(outcome)]

    def remarks(self, ids: Sequence[int]) -> list[str]:
        """A sentence an image: what each model says of it."""
        rows = np.searchsorted(self.ids, np.asarray(ids, np.int64)).tolist()
        return [
            f"The old model says {self.old_given[row]}, the new one {self.new_given[row]}."
            for row in rows
        ]


def newest_comparison(workspace: Workspace, old: Model, new: Model) -> PairedModels | None:
    """The comparison of two models to go by: the newest that holds, else the newest of all.

    Raises:
        OperatorError: an array, or the snapshot of a model, cannot be read.
    """
    run, is_current = model_comparisons.standing(workspace, old, new)
    if run is None:
        return None
    stored: Mapping[str, Any] = run.result
    ids = runs.load_array(workspace, run, "image_ids")
    given = {
        which: tuple(
            stored[f"{which}_classes"][place]
            for place in runs.load_array(workspace, run, f"{which}_predicted").tolist()
        )
        for which in ("old", "new")
    }
    return PairedModels(
        run=run,
        is_current=is_current,
        old=stored["old"],
        new=stored["new"],
        found=_read(stored, runs.load_array(workspace, run, "outcomes")),
        ids=ids,
        old_given=given["old"],
        new_given=given["new"],
    )


def _read(stored: Mapping[str, Any], outcomes: np.ndarray) -> ModelComparison:
    return ModelComparison(
        verdict=stored["verdict"],
        all=_measure(stored["all"]),
        both=_measure(stored["both"]),
        new_only=_measure(stored["new_only"]),
        classes=tuple(
            ClassComparison(
                **{
                    **each,
                    "old_recall": Estimate(**each["old_recall"]),
                    "new_recall": Estimate(**each["new_recall"]),
                }
            )
            for each in stored["classes"]
        ),
        old_confusion=_confusion(stored["old_confusion"]),
        new_confusion=_confusion(stored["new_confusion"]),
        outcomes=outcomes,
        noticeable_loss=stored["noticeable_loss"],
        notes=tuple(stored["notes"]),
    )


def _measure(stored: Mapping[str, Any]) -> PairedMeasure:
    shares = ("old_accuracy", "new_accuracy", "old_balanced", "new_balanced")
    return PairedMeasure(
        **{
            **stored,
            **{name: Estimate(**stored[name]) for name in shares},
            "difference": Difference(**stored["difference"]),
        }
    )


def _confusion(stored: Mapping[str, Any]) -> Confusion:
    return Confusion(
        tuple(stored["labels"]),
        tuple(stored["classes"]),
        tuple(tuple(row) for row in stored["counts"]),
    )
