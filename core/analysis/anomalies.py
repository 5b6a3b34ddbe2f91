"""Which images are unlike the others, by which score, and why?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analysis.neighbors import read_graph
from core.analysis.standing import knowledge_of
from core.errors import OperatorError
from core.latent.anomalies import (
    METHODS,
    AnomalyScores,
    Combination,
    Histogram,
    anomaly_reasons,
    combine,
)
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class Anomalies:
    """Scores of all images of an embedding.

    Attributes:
        ids: int64 (n_images,), ascending: row i of every score is image `ids[i]`.
        by_method: `AnomalyScores` by name, in the order of `METHODS`; higher = more anomalous.
        config: what was asked: `contamination`, `min_samples`, `eps`, `n_neighbors`, `seed`.
        graph: id of the neighbour graph, for `reasons`.
        notes: what a person who reads the scores must know.
    """

    ids: np.ndarray
    by_method: Mapping[str, AnomalyScores]
    config: Mapping[str, Any]
    graph: str
    notes: tuple[str, ...]

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Each method's own suggestion: images above it are called anomalous."""
        return {name: scores.threshold for name, scores in self.by_method.items()}

    def histogram(self, method: str, *, n_bins: int = 40) -> Histogram:
        """How many images have which score by this method."""
        return self.by_method[method].histogram(n_bins=n_bins)

    def ids_above(self, method: str, threshold: float | None = None) -> np.ndarray:
        """int64 ids of the images above a threshold (the suggested one if None), worst first."""
        return self.ids[self.by_method[method].rows_above(threshold)]

    def together(self, first: str, second: str, thresholds: Mapping[str, float]) -> Combination:
        """Union and overlap of what two methods find, as ids ascending.

        Args:
            thresholds: by method; the suggested one where it is left out.
        """
        found = (self.ids_above(method, thresholds.get(method)) for method in (first, second))
        return combine(*found)

    def scores_of(self, method: str, ids: Sequence[int]) -> list[float]:
        """The score of each of these images.

        Raises:
            OperatorError: an image has no score.
        """
        return self.by_method[method].scores[_rows_of(self.ids, ids)].tolist()


def read_anomalies(workspace: Workspace, run: Run) -> Anomalies:
    """The scores that a run of kind `anomalies` keeps.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    return Anomalies(
        ids=runs.load_array(workspace, run, "image_ids"),
        by_method={
            method: AnomalyScores(
                method,
                runs.load_array(workspace, run, f"scores_{method}"),
                run.result["thresholds"][method],
            )
            for method in METHODS
        },
        config=run.config,
        graph=run.result["graph"],
        notes=tuple(run.result["notes"]),
    )


def reasons(workspace: Workspace, graph: Run, ids: Sequence[int]) -> list[str]:
    """A sentence an image: what sets it apart, with the labels as they are now.

    Args:
        graph: the run of kind `graph`, `runs.get_run(workspace, anomalies.graph)`.
        ids: of images that it holds.

    Raises:
        OperatorError: an image is not in the graph, or an array is missing or damaged.
    """
    rows = _rows_of(runs.load_array(workspace, graph, "image_ids"), ids)
    return anomaly_reasons(
        read_graph(workspace, graph), rows, knowledge_of(workspace, graph).labels
    )


def _rows_of(known: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """int64 (n_ids,): where the ids are among `known`, which ascend."""
    wanted = np.asarray(ids, np.int64)
    rows = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    absent = known[rows] != wanted
    if absent.any():
        raise OperatorError(
            f"Image {wanted[absent][0]} was not looked at.",
            "It came later.",
            "Embed the images and look for anomalies again.",
        )
    return rows
