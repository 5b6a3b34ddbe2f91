"""How well are clusters and classes apart, under each metric?"""

from dataclasses import dataclass

from core.analysis.standing import holds_for, knowledge_of
from core.latent.metrics import MetricOptions
from core.latent.separability import Separability, Silhouette
from core.state import runs
from core.state.runs import Run
from core.state.workspace import Workspace


@dataclass(frozen=True)
class MeasuredLabelling:
    """One labelling under all metrics.

    Attributes:
        run: of kind `separability`.
        clustering: the run whose clusters were measured; None for the labels.
        is_current: False for labels that have changed since.
        separability: silhouettes by metric, how many images and groups, notes.
    """

    run: Run
    clustering: Run | None
    is_current: bool
    separability: Separability


def list_separabilities(
    workspace: Workspace, embedding: Run, *, binarise: str = "nonzero"
) -> list[MeasuredLabelling]:
    """Every labelling of an embedding that was measured, the labels first, then the newest.

    Clusterings that are gone are left out; of labels that changed, only the newest state is kept.

    Args:
        binarise: when a feature counted as active for a boolean metric.

    Raises:
        OperatorError: the ids of the embedding's images cannot be read.
    """
    found = [
        run
        for run in runs.list_runs(workspace, "separability", parent_id=embedding.id)
        if run.config["binarise"] == binarise
    ]
    if not found:
        return []
    known = knowledge_of(workspace, embedding)
    of_labels: list[MeasuredLabelling] = []
    of_clusters: list[MeasuredLabelling] = []
    for run in found:
        is_current, separability = holds_for(run, known), read_separability(run)
        clustering = runs.find_run(workspace, run.config.get("clustering", ""))
        if clustering is not None:
            of_clusters.append(MeasuredLabelling(run, clustering, True, separability))
        elif "labels" in run.config:
            of_labels.append(MeasuredLabelling(run, None, is_current, separability))
    of_labels.sort(key=lambda each: not each.is_current)
    return [*of_labels[:1], *of_clusters]


def read_separability(run: Run) -> Separability:
    """What a run of kind `separability` found."""
    stored = run.result
    return Separability(
        scores=tuple(Silhouette(**score) for score in stored["scores"]),
        best=stored["best"],
        n_groups=stored["n_groups"],
        n_counted=stored["n_counted"],
        n_left_out=stored["n_left_out"],
        n_measured=stored["n_measured"],
        n_draws=stored["n_draws"],
        options=MetricOptions(**stored["options"]),
        notes=tuple(stored["notes"]),
    )
