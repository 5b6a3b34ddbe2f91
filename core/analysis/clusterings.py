"""What is in each cluster, how does it agree with the labels, and would it come out again?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.latent.agreement import Agreement, agreement
from core.latent.stability import BandRow, Spread, Stability
from core.state import catalog, runs
from core.state.runs import Run
from core.state.workspace import Workspace

N_EXAMPLES = 12


@dataclass(frozen=True)
class ContingencyTable:
    """Labels against clusters, with the images behind each cell.

    Attributes:
        labels: of the rows, sorted; None, for images without one, is the last where it occurs.
        clusters: of the columns, ascending; -1, noise, is the last where it occurs.
        counts: int64 (n_labels, n_clusters).
    """

    labels: tuple[str | None, ...]
    clusters: tuple[int, ...]
    counts: np.ndarray
    _ids: np.ndarray
    _labels: Sequence[str | None]
    _clusters: np.ndarray

    def ids(self, label: str | None, cluster: int) -> np.ndarray:
        """int64 ids, ascending, of the images with this label, or with none, in this cluster."""
        chosen = np.array([each == label for each in self._labels], bool)
        return self._ids[chosen & (self._clusters == cluster)]


@dataclass(frozen=True)
class ClusterGallery:
    """The images of one cluster that show what it is, the most telling first.

    Attributes:
        cluster: its number.
        size: all of its images.
        centre: ids of those nearest to its centre.
        border: ids of those nearest to another cluster; empty where that was not measured.
        furthest: ids of those furthest from its centre.
    """

    cluster: int
    size: int
    centre: tuple[int, ...]
    border: tuple[int, ...]
    furthest: tuple[int, ...]


@dataclass(frozen=True)
class MeasuredStability:
    """Whether a clustering comes out again.

    Attributes:
        stability: over seeds and over resamples.
        bands: for each k of the sweep that chose k; empty where none did.
    """

    stability: Stability
    bands: tuple[BandRow, ...]


@dataclass(frozen=True)
class KDistanceCurve:
    """The k-distance plot of a space.

    Attributes:
        distances: float32 (n_measured,), ascending: to the k-th nearest other image.
        k: which neighbour.
        knee: the place where the curve turns upward, None where it does not bend.
        eps: the distance there: a start for DBSCAN's reach; None where there is no knee.
        metric: of the distances.
        n_images: of the space; more than `distances` where a random subset was measured.
    """

    distances: np.ndarray
    k: int
    knee: int | None
    eps: float | None
    metric: str
    n_images: int


def read_contingency(workspace: Workspace, clustering: Run) -> ContingencyTable:
    """How many images of each label, as it is now, lie in each cluster.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    ids, labels, clusters = _labelled_clusters(workspace, clustering)
    words = sorted({label for label in labels if label})
    rows: list[str | None] = [*words, None] if None in labels else [*words]
    columns = sorted(set(clusters.tolist()), key=lambda cluster: (cluster < 0, cluster))
    row = {label: place for place, label in enumerate(rows)}
    column = {cluster: place for place, cluster in enumerate(columns)}
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for label, cluster in zip(labels, clusters.tolist(), strict=True):
        counts[row[label], column[cluster]] += 1
    return ContingencyTable(tuple(rows), tuple(columns), counts, ids, labels, clusters)


def read_agreement(workspace: Workspace, clustering: Run) -> Agreement:
    """ARI, AMI, homogeneity, completeness and V-measure against the labels as they are now.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    _, labels, clusters = _labelled_clusters(workspace, clustering)
    return agreement(labels, clusters)


def cluster_ids(workspace: Workspace, clustering: Run, cluster: int) -> np.ndarray:
    """int64 ids, ascending, of a cluster's images; -1 for noise.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    ids = runs.load_array(workspace, clustering, "image_ids")
    return ids[runs.load_array(workspace, clustering, "labels") == cluster]


def cluster_examples(workspace: Workspace, clustering: Run) -> tuple[ClusterGallery, ...]:
    """The images to show of each cluster, in the order of the clusters.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    sizes: Sequence[int] = clustering.result["sizes"]
    stored = clustering.result.get("examples")
    if stored is None:
        return _examples_by_distance(workspace, clustering)
    return tuple(
        ClusterGallery(
            each["cluster"],
            sizes[each["cluster"]],
            centre=tuple(each["centre"]),
            border=tuple(each["border"]),
            furthest=tuple(each["furthest"]),
        )
        for each in stored
    )


def read_stability(run: Run) -> MeasuredStability:
    """What a run of kind `stability` found."""
    stored = run.result
    n_clusters = stored["n_clusters"]
    stability = Stability(
        seeds=_spread(stored["seeds"]),
        resamples=_spread(stored["resamples"]),
        n_clusters=None if n_clusters is None else (n_clusters[0], n_clusters[1]),
        n_images=stored["n_images"],
        notes=tuple(stored["notes"]),
    )
    bands = tuple(
        BandRow(row["k"], _spread(row["silhouette"]), _known_spread(row["stability"]))
        for row in stored["bands"]
    )
    return MeasuredStability(stability, bands)


def stability_of(workspace: Workspace, clustering: Run) -> Run | None:
    """The newest measure of a clustering's stability, if there is one."""
    if clustering.parent_id is None:
        return None
    found = runs.list_runs(workspace, "stability", parent_id=clustering.parent_id)
    return next((run for run in found if run.config["clustering"] == clustering.id), None)


def read_k_distances(workspace: Workspace, run: Run) -> KDistanceCurve:
    """The curve that a run of kind `k_distances` keeps; a DBSCAN run names one in its result.

    Raises:
        OperatorError: an array is missing or damaged.
    """
    return KDistanceCurve(
        distances=runs.load_array(workspace, run, "distances"),
        k=run.result["k"],
        knee=run.result["knee"],
        eps=run.result["eps"],
        metric=run.config["metric"],
        n_images=run.n_images,
    )


def _labelled_clusters(
    workspace: Workspace, clustering: Run
) -> tuple[np.ndarray, list[str | None], np.ndarray]:
    ids = runs.load_array(workspace, clustering, "image_ids")
    clusters = runs.load_array(workspace, clustering, "labels")
    return ids, catalog.column(workspace, ids, "label"), clusters


def _examples_by_distance(workspace: Workspace, clustering: Run) -> tuple[ClusterGallery, ...]:
    """Examples of a run that came from elsewhere: borders were measured there and are not here."""
    ids = runs.load_array(workspace, clustering, "image_ids")
    clusters = runs.load_array(workspace, clustering, "labels")
    distances = runs.load_array(workspace, clustering, "distances")
    found = []
    for cluster, size in enumerate(clustering.result["sizes"]):
        members = np.flatnonzero(clusters == cluster)
        inward = ids[members[np.argsort(distances[members], kind="stable")]]
        centre, furthest = inward[:N_EXAMPLES].tolist(), inward[::-1][:N_EXAMPLES].tolist()
        if size:
            found.append(ClusterGallery(cluster, size, tuple(centre), (), tuple(furthest)))
    return tuple(found)


def _spread(stored: Mapping[str, Any] | None) -> Spread | None:
    return None if stored is None else _known_spread(stored)


def _known_spread(stored: Mapping[str, Any]) -> Spread:
    return Spread(**{**stored, "values": tuple(stored["values"])})
