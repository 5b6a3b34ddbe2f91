"""How do the classes lie in the latent space, and how far the splits from training?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.latent.label_layout import SplitShift
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class ClassPlace:
    """Where a class lies and how widely.

    Attributes:
        label: the class.
        n_images: its images.
        spread: mean cosine distance of its images to the centroid of the others of the class,
            higher = wider; None for a single image.
        low: lower end of the 95 % interval of `spread`.
        high: its upper end.
        central_image: id of the image nearest to the centroid.
        purity: mean share of neighbours of the same label, in [0, 1]; None where no image of the
            class has a labelled neighbour.
        by_chance: what a random labelled neighbour would agree.
    """

    label: str
    n_images: int
    spread: float | None
    low: float | None
    high: float | None
    central_image: int
    purity: float | None
    by_chance: float | None


@dataclass(frozen=True)
class Layout:
    """How the labelled images lie.

    Attributes:
        ids: int64 (n_images,), ascending.
        purity: float32 (n_images,): share of an image's labelled neighbours with its label; NaN
            where the image or all of its neighbours have no label.
        n_neighbors: neighbours that purity looks at.
        classes: in the order of their labels.
        separability: float64 (n_classes, n_classes), in the order of `classes`: cross-validated AUC
            between each two, 0.5 = alike, 1 = wholly apart; NaN on the diagonal and where a class
            has too few images. None where fewer than two classes have enough.
        centroids: float32 (n_classes, n_features), of rows at length 1.
        shifts: of the splits, training first; empty where there is no training.
        notes: sentences on what could not be told.
    """

    ids: np.ndarray
    purity: np.ndarray
    n_neighbors: int
    classes: tuple[ClassPlace, ...]
    separability: np.ndarray | None
    centroids: np.ndarray
    shifts: tuple[SplitShift, ...]
    notes: tuple[str, ...]

    def least_pure(self, n: int) -> np.ndarray:
        """int64 ids of the images with the lowest purity, lowest first."""
        known = np.flatnonzero(np.isfinite(self.purity))
        return self.ids[known[np.argsort(self.purity[known], kind="stable")][:n]]


def read_layout(workspace: Workspace, run: Run) -> Layout:
    """What a run of kind `layout` found.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    stored: Mapping = run.result
    separability = runs.load_array(workspace, run, "separability")
    return Layout(
        ids=runs.load_array(workspace, run, "image_ids"),
        purity=runs.load_array(workspace, run, "purity"),
        n_neighbors=stored["n_neighbors"],
        classes=tuple(ClassPlace(**each) for each in stored["classes"]),
        separability=separability if len(separability) else None,
        centroids=runs.load_array(workspace, run, "centroids"),
        shifts=tuple(
            SplitShift(**{**each, "quantiles": tuple(each["quantiles"])})
            for each in stored["shifts"]
        ),
        notes=tuple(stored["notes"]),
    )
