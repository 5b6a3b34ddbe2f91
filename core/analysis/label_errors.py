"""Which labels are probably wrong, and which copies bear different ones?"""

from dataclasses import dataclass

import numpy as np

from core.analysis.standing import knowledge_of
from core.latent.label_errors import label_conflicts
from core.state import labels, runs
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class DoubtfulLabel:
    """One label that may be wrong.

    Attributes:
        image_id: the image.
        given: its label when the labels were checked.
        suggested: the most probable other label.
        score: in [0, 1], higher = more likely mislabelled.
        is_issue: whether the label counts as wrong (confident learning).
        is_settled: whether a person has given or confirmed the label since.
        nearest: ids of the nearest images that bore the suggested label, nearest first; empty for
            the least doubtful of a large set.
        nearest_given: likewise of the given label.
    """

    image_id: int
    given: str
    suggested: str
    score: float
    is_issue: bool
    is_settled: bool
    nearest: tuple[int, ...]
    nearest_given: tuple[int, ...]


@dataclass(frozen=True)
class LabelErrors:
    """All labels that could be judged, most likely wrong first; row i of each array is one image.

    Attributes:
        ids: int64 (n_judged,).
        given: int16 (n_judged,): places in `classes` of the labels when they were checked.
        suggested: int16 (n_judged,): places in `classes`.
        scores: float32 (n_judged,) in [0, 1], descending, higher = more likely mislabelled.
        is_issue: bool (n_judged,).
        is_settled: bool (n_judged,): a person has given or confirmed the label since.
        nearest: int64 (n_judged, n_nearest): ids of the suggested label, -1 where there is none.
        nearest_given: int64 (n_judged, n_nearest): likewise of the given label.
        classes: the labels that were told apart, sorted.
        notes: sentences on what was left out.
    """

    ids: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    scores: np.ndarray
    is_issue: np.ndarray
    is_settled: np.ndarray
    nearest: np.ndarray
    nearest_given: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> DoubtfulLabel:
        """The label in this place, 0 for the most doubtful."""
        nearest, nearest_given = self.nearest[place], self.nearest_given[place]
        return DoubtfulLabel(
            image_id=int(self.ids[place]),
            given=self.classes[self.given[place]],
            suggested=self.classes[self.suggested[place]],
            score=float(self.scores[place]),
            is_issue=bool(self.is_issue[place]),
            is_settled=bool(self.is_settled[place]),
            nearest=tuple(nearest[nearest >= 0].tolist()),
            nearest_given=tuple(nearest_given[nearest_given >= 0].tolist()),
        )

    @property
    def open_places(self) -> np.ndarray:
        """int64: places of the labels that count as wrong and nobody has settled, worst first."""
        return np.flatnonzero(self.is_issue & ~self.is_settled)


@dataclass(frozen=True)
class Conflict:
    """Near-duplicates that bear different labels now: (image id, label) of each."""

    images: tuple[tuple[int, str], ...]


def read_label_errors(workspace: Workspace, run: Run) -> LabelErrors:
    """What a run of kind `label_errors` found, and what people have settled since.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    ids = runs.load_array(workspace, run, "image_ids")
    scores = runs.load_array(workspace, run, "scores")
    order = np.argsort(-scores, kind="stable")
    settled = labels.decided_since(workspace, run.created_at)
    return LabelErrors(
        ids=ids[order],
        given=runs.load_array(workspace, run, "given")[order],
        suggested=runs.load_array(workspace, run, "suggested")[order],
        scores=scores[order],
        is_issue=runs.load_array(workspace, run, "is_issue")[order],
        is_settled=np.isin(ids[order], np.array(sorted(settled), np.int64)),
        nearest=runs.load_array(workspace, run, "nearest")[order],
        nearest_given=runs.load_array(workspace, run, "nearest_given")[order],
        classes=tuple(run.result["classes"]),
        notes=tuple(run.result["notes"]),
    )


def list_conflicts(workspace: Workspace, embedding: Run) -> list[Conflict]:
    """Groups of near-duplicates of an embedding whose images bear different labels, largest first.

    Raises:
        OperatorError: the ids of the embedding's images cannot be read.
    """
    ids = runs.load_array(workspace, embedding, "image_ids")
    known = knowledge_of(workspace, embedding)
    groups = [-1 if number is None else number for number in known.look_alikes]
    return [
        Conflict(tuple(zip(ids[list(found.rows)].tolist(), found.labels, strict=True)))
        for found in label_conflicts(groups, known.labels)
    ]
