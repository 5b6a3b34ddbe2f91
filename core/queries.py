"""Quick questions of pages that join what is stored with light computation; nothing here is a job.

None of them loads torch, umap or pacmap.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.latent.backbones import BACKBONES, BUNDLED, FAMILIES
from core.latent.clustering_methods import METHODS as CLUSTERINGS
from core.latent.methods import Parameter
from core.latent.neighbors import nearest
from core.latent.weights import torch_cache
from core.learning.recipe import PAPER
from core.report.facts import Facts
from core.selection import MapSelection, Points, resolve_selection
from core.settings import Settings
from core.state import catalog, colourings, job_rows, own_weights, runs, selections
from core.state.image_table import load_image_table, source_labels
from core.state.runs import Run
from core.state.workspace import Workspace

_ANALYSES = {
    "graph": "Neighbours",
    "k_distances": "k-distance plot",
    "separability": "Silhouettes by metric",
    "stability": "Stability of a clustering",
    "anomalies": "Anomalies",
    "label_errors": "Label errors",
    "layout": "Layout of the classes",
    "comparison": "Comparison of two sets",
    "evaluation": "Evaluation of a model",
    "movement": "Map before and after",
    "triage_plan": "Triage plan",
    "model_comparison": "Comparison of two models",
    "novel_groups": "Groups of strange images",
}


def backbone_titles() -> Mapping[str, str]:
    """Title by name of every network that can embed."""
    return {name: backbone.title for name, backbone in BACKBONES.items()}


def backbone_families() -> Mapping[str, tuple[str, ...]]:
    """Names of the networks by the family that people choose from."""
    return FAMILIES


def backbone_titles_by_family() -> Mapping[str, str]:
    """Title by name of every network, family by family, each with the name of its family."""
    return {
        name: f"{BACKBONES[name].title} · {family}"
        for family, names in FAMILIES.items()
        for name in names
    }


def usual_backbone(workspace: Workspace, settings: Settings) -> str:
    """The network to begin with where nobody has chosen one.

    The paper's; offline the first whose weights lie on this machine, by their file's name, or else
    the one that comes with the app.
    """
    if not settings.offline:
        return PAPER.backbone
    folders = [own_weights.folder(workspace), *filter(None, [settings.weights_dir])]
    cached = torch_cache()
    for name, backbone in BACKBONES.items():
        placed = any(own_weights.list_weights_in(folder, name) for folder in folders)
        if name != BUNDLED and (placed or any(cached.glob(f"{backbone.builder}*-*.pth"))):
            return name
    return BUNDLED


def projection_methods() -> Mapping[str, tuple[str, str, tuple[Parameter, ...]]]:
    """(title, what it shows, parameters) by name of every way to lay an embedding out."""
    from core.latent.projection import METHODS

    return {name: (m.title, m.shows, m.parameters) for name, m in METHODS.items()}


def describe_run(run: Run) -> str:
    """A run in the few words of a select box."""
    if run.kind == "embedding":
        weights = run.result["weights"]
        placed = f", {weights['file']}" if weights["source"] == "file" else ""
        # Of runs from before the app brought a network of its own.
        random = ", random weights" if weights["source"] == "random" else ""
        title = weights.get("model") or BACKBONES[weights["backbone"]].title
        at = run.created_at[:16].replace("T", " ")
        return f"{title}{placed}{random} · {run.n_images:,} images · {at}"
    if run.kind == "projection":
        method = projection_methods()[run.config["method"]][0]
        trust = run.result["trustworthiness"]
        aligned = ", laid over the map before" if run.config.get("aligned_to") else ""
        described = f"{method}{aligned}"
        return described if trust is None else f"{described} · trustworthiness {trust:.3f}"
    if run.kind == "clustering":
        return _describe_clustering(run)
    return f"{_ANALYSES[run.kind]} · {run.n_images:,} images"


def _describe_clustering(run: Run) -> str:
    config, n_clusters = run.config, run.result["n_clusters"]
    method = CLUSTERINGS[config["method"]].title
    counted = "1 cluster" if n_clusters == 1 else f"{n_clusters} clusters"
    found = f"k = {n_clusters}" if config["method"] == "kmeans" else counted
    components = config.get("components", 0)
    kept = f"{components:.0%} of the variance" if components < 1 else f"{components:g} components"
    place = kept if components else "the features" if config["space"] == "latent" else "the map"
    return f"{method}, {found} on {place}"


def clustering_table(workspace: Workspace, clusterings: Sequence[Run]) -> list[dict[str, Any]]:
    """A row a clustering: what it is, its sizes, silhouette, and ARI when it was made."""
    results = {job.id: job.result or {} for job in job_rows.list_jobs(workspace)}
    return [
        {
            "clustering": describe_run(run),
            "sizes": ", ".join(f"{size:,}" for size in run.result["sizes"]),
            "silhouette": run.result["silhouette"],
            "ARI": results.get(run.job_id or 0, {}).get("ari"),
            "made": run.created_at[:16].replace("T", " "),
        }
        for run in clusterings
    ]


def nearest_images(
    workspace: Workspace, embedding: Run, image_id: int, *, n_neighbors: int
) -> list[tuple[int, float]]:
    """(image id, cosine distance) of the images nearest to one, nearest first.

    Raises:
        OperatorError: the embedding does not hold this image.
    """
    ids = runs.load_array(workspace, embedding, "image_ids", mapped=True)
    row = int(np.searchsorted(ids, image_id))
    if row == len(ids) or ids[row] != image_id:
        raise OperatorError(
            "This image has no features yet.", next_step="Embed the images again to include it."
        )
    vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
    rows, distances = nearest(vectors, row, n_neighbors=n_neighbors)
    return [(int(ids[i]), float(d)) for i, d in zip(rows, distances, strict=True)]


def resolve_on_map(workspace: Workspace, selection: MapSelection) -> np.ndarray:
    """int32 ids (n_selected,) of what a person selected on maps of this workspace.

    A step that hid categories names their colouring as `<projection>/<colouring>`; it is resolved
    with the categories as they are now.

    Raises:
        OperatorError: a map or a kept selection that it builds on is gone.
    """

    def map_called(name: str) -> Run:
        run = runs.find_run(workspace, name)
        if run is None or run.kind != "projection":
            raise OperatorError("This map is no longer there.", next_step="Select again.")
        return run

    def points_of(projection: str) -> Points:
        run = map_called(projection)
        places = runs.load_array(workspace, run, "coordinates")
        ids = runs.load_array(workspace, run, "image_ids").astype(np.int32)
        return Points(places[:, 0], places[:, 1], ids)

    def categories_of(version: str) -> np.ndarray:
        projection, _, rest = version.partition("/")
        name = rest.rpartition("@")[0]
        ids = runs.load_array(workspace, map_called(projection), "image_ids")
        return colourings.colour(workspace, ids, name).values

    found = resolve_selection(
        selection.steps,
        points_for=points_of,
        categories_for=categories_of,
        stored_for=lambda digest: selections.load_selection(workspace, digest).astype(np.int32),
    )
    return np.intersect1d(found, catalog.image_ids(workspace)).astype(np.int32)


def dataset_facts(workspace: Workspace) -> Facts:
    """All that the report on a data set looks at, as it is now."""
    return Facts(
        images=load_image_table(workspace),
        classes=tuple(catalog.list_classes(workspace)),
        duplicates=dict(catalog.list_duplicates(workspace)),
        conflicts=source_labels(workspace),
    )
