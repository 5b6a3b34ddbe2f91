"""Spaces: in which vectors are images compared, and are those fit to tell anything?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace

_ROUNDING = 1e-4
_ROWS_AT_ONCE = 4_096
_ARRAYS = {"embedding": ("latent", "vectors"), "projection": ("projection", "coordinates")}


@dataclass(frozen=True)
class Space:
    """The features of an embedding, principal components of them, or the places on a map.

    Attributes:
        run: the embedding or projection.
        components: what of an embedding is kept, as in `configs.ClusterImages`; 0 for all.
        seed: of the components' random start.
    """

    run: Run
    components: float
    seed: int

    @property
    def is_whole(self) -> bool:
        """Whether the vectors are an embedding's own."""
        return self.run.kind == "embedding" and not self.components

    @property
    def settings(self) -> Mapping[str, Any]:
        """What names the space in a run's config."""
        kept = {"components": self.components} if self.components else {}
        return {"space": _ARRAYS[self.run.kind][0], **kept}

    def load(self, workspace: Workspace) -> tuple[np.ndarray, tuple[str, ...]]:
        """The vectors, and what a person must know of them.

        Raises:
            OperatorError: the array is missing or damaged, holds numbers that are not finite, or
                all images have the same features.
        """
        from core.latent.components import principal_components

        if self.run.kind == "projection":
            places = runs.load_array(workspace, self.run, _ARRAYS[self.run.kind][1])
            return places, ("Distances on a map are the picture's, not the images'.",)
        vectors = load_differing(workspace, self.run)
        if not self.components:
            return vectors, ()
        found = principal_components(vectors, self.components, seed=self.seed)
        n = found.values.shape[1]
        note = f"{n:,} principal component(s) hold {found.explained:.1%} of the variance."
        return found.values, (note,)


def choose_space(workspace: Workspace, run_id: str, *, components: float, seed: int) -> Space:
    """The space of a run.

    Raises:
        OperatorError: there is no such run, or it is no embedding and no map.
        ValueError: `components` is neither 0, nor a share below 1, nor a whole number; or a map's.
    """
    run = runs.get_run(workspace, run_id)
    if run.kind not in _ARRAYS:
        raise OperatorError(f"{run.id} cannot be clustered.", next_step="Choose an embedding.")
    if not (0 <= components < 1 or components == int(components) >= 1):
        raise ValueError(
            f"components must be 0, a share below 1 or a whole number, got {components!r}"
        )
    if components and run.kind == "projection":
        raise ValueError(f"components are of features, a map has none; got {components!r}")
    return Space(run, components, seed)


def get_embedding(workspace: Workspace, run_id: str) -> Run:
    """An embedding.

    Raises:
        OperatorError: there is no such run, or it is none.
    """
    run = runs.get_run(workspace, run_id)
    if run.kind != "embedding":
        raise OperatorError(f"{run.id} is no embedding.", next_step="Choose one that is.")
    return run


def load_differing(workspace: Workspace, embedding: Run) -> np.ndarray:
    """The vectors of an embedding whose images differ, float32 (n_images, n_features).

    Raises:
        OperatorError: all images have the same features, or the array is missing or damaged.
    """
    vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
    if len(vectors) < 2:
        raise OperatorError(
            f"{len(vectors)} image has nothing to be compared with.",
            next_step="Import more images and embed them.",
        )
    # The last digits of a network's answer depend on the other images of its batch.
    least = _ROUNDING * float(np.abs(vectors[0]).max())
    starts = range(0, len(vectors), _ROWS_AT_ONCE)
    if all(
        _is_alike(vectors[start : start + _ROWS_AT_ONCE], vectors[0], least) for start in starts
    ):
        raise OperatorError(
            f"All {len(vectors):,} images have the same features.",
            "Nothing tells them apart.",
            "Import images that differ, or embed them by another network.",
        )
    return vectors


def _is_alike(some: np.ndarray, first: np.ndarray, least: float) -> bool:
    return bool((np.abs(some - first) <= least).all())  # False with NaN, which is said elsewhere
