"""All that was found out about a latent space as one file of HTML, to send to someone or to keep.

A section a question; what has not been computed is named at the end. Results of which a person
should beware (labels changed since, a random subset, approximate neighbours) say so in their place.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from core import figures, queries
from core.analysis.anomalies import read_anomalies, reasons
from core.analysis.anomaly_sets import TITLES as SET_TITLES
from core.analysis.anomaly_sets import paper_sets
from core.analysis.clusterings import read_agreement, read_contingency
from core.analysis.comparisons import list_comparisons, read_comparison
from core.analysis.html_page import (
    Picture,
    chart,
    heading,
    page,
    paragraph,
    pictures,
    side_by_side,
    table,
)
from core.analysis.label_errors import list_conflicts, read_label_errors
from core.analysis.layouts import read_layout
from core.analysis.reading import effect_in_words, hardest_pair, p_in_words, shift_in_words
from core.analysis.separabilities import list_separabilities
from core.analysis.standing import Standing, newest
from core.latent.anomalies import DEFAULT_METHOD, TITLES
from core.latent.metrics import METRICS
from core.settings import PROJECT_ROOT
from core.state import catalog, runs
from core.state.catalog import Image
from core.state.clock import now
from core.state.cluster_names import cluster_names
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace

if TYPE_CHECKING:
    from core.latent.anomalies import AnomalyScores

N_PICTURES = 24  # of anomalies, and of label errors
MAX_POINTS = 4_000  # of the map
MAX_COMPARED = 5  # labellings in one chart
MAX_CLUSTERS = 20  # columns of the table of labels and clusters
_LIBRARIES = ("numpy", "scikit-learn", "torch", "torchvision", "cleanlab", "umap-learn", "pacmap")
_STALE = "Labels or splits have changed since this was measured."


def build_report(workspace: Workspace, embedding: Run) -> str:
    """The file's text.

    Raises:
        OperatorError: an array of a result is missing or damaged.
    """
    shown: list[str] = []
    missing: list[str] = []
    for title, section in _SECTIONS.items():
        parts = list(section(workspace, embedding))
        if parts:
            shown += [heading(title), *parts]
        else:
            missing.append(title)
    body = [*_head(workspace, embedding), *shown]
    if missing:
        body += [heading("Not in this report"), paragraph(f"Not computed: {', '.join(missing)}.")]
    return page(f"{workspace.name}: analysis of the latent space", body)


def _head(workspace: Workspace, embedding: Run) -> Iterator[str]:
    weights = embedding.result["weights"]
    yield heading(workspace.name, level=1)
    yield paragraph(
        f"Analysis of the latent space, written {now()[:16].replace('T', ' ')} UTC.", kind="quiet"
    )
    yield paragraph(weights["notice"], kind="warn")
    yield table(
        ("", ""),
        [
            ("features", queries.describe_run(embedding)),
            ("weights", f"{weights['source']}, sha256 {weights['sha256']}"),
            ("images with features", embedding.n_images),
            ("features an image", embedding.result["n_features"]),
            ("computed", f"{embedding.created_at[:16].replace('T', ' ')} by {embedding.actor}"),
            ("versions", _versions()),
        ],
    )


def _data_set(workspace: Workspace, embedding: Run) -> Iterator[str]:
    summary = catalog.summarise(workspace)
    yield paragraph(
        f"{summary.n_images:,} images, {summary.n_labelled:,} labelled, {summary.n_excluded:,} "
        f"excluded from training, {summary.n_queued:,} in triage."
    )
    classes = catalog.list_classes(workspace)
    yield chart(figures.images_by_class(summary.by_label_and_split, classes=classes))


def _map(workspace: Workspace, embedding: Run) -> Iterator[str]:
    for run in runs.list_runs(workspace, "projection", parent_id=embedding.id)[:1]:
        ids = runs.load_array(workspace, run, "image_ids")
        places = runs.load_array(workspace, run, "coordinates")
        rows = np.arange(len(ids))
        if len(ids) > MAX_POINTS:
            rows = np.sort(np.random.default_rng(0).choice(len(ids), MAX_POINTS, replace=False))
        yield paragraph(queries.describe_run(run))
        labels = catalog.column(workspace, ids[rows], "label")
        yield chart(figures.small_map(places[rows], labels, catalog.list_classes(workspace)))
        if len(rows) < len(ids):
            yield paragraph(f"{len(rows):,} of {len(ids):,} images, drawn at random.", kind="quiet")
        for note in run.result["notes"]:
            yield paragraph(note, kind="quiet")


def _clusterings(workspace: Workspace, embedding: Run) -> Iterator[str]:
    found = clusterings_of(workspace, embedding)
    if not found:
        return
    rows = []
    for run in found:
        agreed = read_agreement(workspace, run)
        rows.append(
            (
                queries.describe_run(run),
                run.result.get("n_noise", 0),
                run.result["silhouette"],
                agreed.adjusted_rand_index,
                agreed.adjusted_mutual_information,
                agreed.homogeneity,
            )
        )
    yield table(("clustering", "noise", "silhouette", "ARI", "AMI", "homogeneity"), rows)
    yield paragraph("Against the labels as they were when this was written.", kind="quiet")
    counted = read_contingency(workspace, found[0])
    if not len(counted.labels):
        return
    names = cluster_names(workspace, found[0].id)
    clusters = counted.clusters[:MAX_CLUSTERS]
    yield heading(f"Labels in the clusters of: {queries.describe_run(found[0])}", level=3)
    yield chart(
        figures.contingency_map(
            counted.counts[:, : len(clusters)],
            labels=counted.labels,
            clusters=[names.get(each) or ("noise" if each < 0 else str(each)) for each in clusters],
            carried=[[""] * len(clusters) for _ in counted.labels],
        )
    )
    if len(clusters) < len(counted.clusters):
        yield paragraph(f"The first {len(clusters)} of {len(counted.clusters):,}.", kind="quiet")


def _distances(workspace: Workspace, embedding: Run) -> Iterator[str]:
    found = list_separabilities(workspace, embedding)
    if not found:
        return
    titles = [
        "labels" if each.clustering is None else queries.describe_run(each.clustering)
        for each in found
    ]
    measured = {title: each.separability for title, each in zip(titles, found, strict=True)}
    yield chart(figures.silhouettes_by_metric(dict(list(measured.items())[:MAX_COMPARED])))
    yield table(
        ("metric", *titles),
        [
            (
                METRICS[score.metric].title,
                *(each.separability[score.metric].value for each in found),
            )
            for score in found[0].separability.ranked
        ],
    )
    yield paragraph(
        "Silhouettes from -1 to 1, higher = better apart. Values under different metrics are not "
        "comparable as such."
    )
    for title, each in zip(titles, found, strict=True):
        if not each.is_current:
            yield paragraph(f"{title}: {_STALE}", kind="warn")
        for note in each.separability.notes:
            yield paragraph(f"{title}: {note}", kind="quiet")


def _anomalies(workspace: Workspace, embedding: Run) -> Iterator[str]:
    standing = newest(workspace, embedding, "anomalies")
    if standing is None:
        return
    found = read_anomalies(workspace, standing.run)
    yield table(
        ("found by", "threshold", "images above it"),
        [
            (TITLES[name], scores.threshold, len(scores.rows_above()))
            for name, scores in found.by_method.items()
        ]
        + [
            (f"DBSCAN and Isolation Forest: {SET_TITLES[name]}", None, len(ids))
            for name, ids in paper_sets(found, found.thresholds).items()
        ],
    )
    scores: AnomalyScores = found.by_method[DEFAULT_METHOD]
    title = TITLES[DEFAULT_METHOD]
    yield chart(
        figures.anomaly_scores(scores.scores, threshold=scores.threshold, title=title.lower())
    )
    worst = found.ids_above(DEFAULT_METHOD)[:N_PICTURES].tolist()
    if worst:
        yield heading(f"The worst by: {title.lower()}", level=3)
        graph = runs.get_run(workspace, found.graph)
        why = dict(zip(worst, reasons(workspace, graph, worst), strict=True))
        yield _grid(workspace, worst, lambda image: (why[image.id], _state(image)))
    for note in found.notes:
        yield paragraph(note, kind="quiet")


def _label_errors(workspace: Workspace, embedding: Run) -> Iterator[str]:
    standing = newest(workspace, embedding, "label_errors")
    conflicts = list_conflicts(workspace, embedding)
    if standing is None and not conflicts:
        return
    if standing is not None:
        errors = read_label_errors(workspace, standing.run)
        yield _stale(standing)
        yield paragraph(
            f"{int(errors.is_issue.sum()):,} of {len(errors):,} labels count as likely wrong; "
            f"{int((errors.is_issue & errors.is_settled).sum()):,} of them were settled by a "
            "person since. Doubt from 0 to 1, higher = more likely mislabelled."
        )
        doubtful = [
            errors[place] for place in np.flatnonzero(errors.is_issue)[:N_PICTURES].tolist()
        ]
        by_id = {each.image_id: each for each in doubtful}

        def lines(image: Image) -> tuple[str, ...]:
            each = by_id[image.id]
            settled = f"settled: {image.label}" if each.is_settled else "open"
            more_likely = f"more likely {each.suggested}, doubt {each.score:.2f}"
            return f"labelled {each.given}", more_likely, settled

        yield _grid(workspace, list(by_id), lines)
        for note in errors.notes:
            yield paragraph(note, kind="quiet")
    yield heading("Near-duplicates with different labels", level=3)
    yield paragraph(
        "None."
        if not conflicts
        else f"{len(conflicts):,} groups of images show the same thing under different labels."
    )


def _layout(workspace: Workspace, embedding: Run) -> Iterator[str]:
    standing = newest(workspace, embedding, "layout")
    if standing is None:
        return
    layout = read_layout(workspace, standing.run)
    classes = catalog.list_classes(workspace)
    yield _stale(standing)
    if layout.classes:
        yield side_by_side(
            heading("How widely each class is spread", level=3)
            + chart(figures.class_spreads(layout.classes, classes=classes)),
            heading("How pure the neighbourhoods are", level=3)
            + chart(
                figures.class_purity(
                    layout.classes, classes=classes, n_neighbors=layout.n_neighbors
                )
            )
            + paragraph("Diamonds: what chance would give.", kind="quiet"),
        )
    if layout.separability is not None:
        yield heading("How well each two classes can be told apart", level=3)
        labels = [place.label for place in layout.classes]
        yield chart(figures.separability_matrix(labels, layout.separability))
        if pair := hardest_pair(layout):
            yield paragraph(f"Hardest: {pair[0]} and {pair[1]}, AUC {pair[2]:.2f}; 1 is apart.")
    if layout.shifts:
        yield heading("How far the splits lie from training", level=3)
        yield chart(figures.split_distances(layout.shifts))
    for shift in layout.shifts:
        yield paragraph(shift_in_words(shift), kind="warn" if shift.is_shifted else "")
    for note in layout.notes:
        yield paragraph(note, kind="quiet")


def _comparisons(workspace: Workspace, embedding: Run) -> Iterator[str]:
    for run in list_comparisons(workspace, embedding):
        compared = read_comparison(workspace, run)
        test = compared.test
        yield heading(
            f"{compared.first_name} ({test.n_first:,}) against {compared.second_name} "
            f"({test.n_second:,})",
            level=3,
        )
        yield paragraph(test.verdict)
        yield paragraph(
            f"AUC {test.auc:.2f} ({p_in_words(test.auc_p)}), effect {effect_in_words(test)}; MMD² "
            f"{test.mmd_squared:.3f} ({p_in_words(test.mmd_p)}); {test.separation:.0%} of the "
            f"variation lies between the sets, {test.cloud_separation:.0%} for one cloud cut in "
            "two."
        )
        for caveat in test.caveats:
            yield paragraph(caveat, kind="quiet")


_SECTIONS: Mapping[str, Callable[[Workspace, Run], Iterator[str]]] = {
    "The images": _data_set,
    "Map": _map,
    "Clusterings": _clusterings,
    "Silhouettes by metric": _distances,
    "Anomalies": _anomalies,
    "Label errors": _label_errors,
    "Classes and splits": _layout,
    "Comparisons of two sets": _comparisons,
}


def _grid(
    workspace: Workspace, ids: Sequence[int], lines_for: Callable[[Image], tuple[str, ...]]
) -> str:
    """Thumbnails in the order given, with their names and further lines."""
    from core.images.thumbnails import ThumbnailStore

    store = ThumbnailStore(workspace.path / "thumbnails.db")
    return pictures(
        Picture(store.get(image.sha256), (image.name, *filter(None, lines_for(image))))
        for image in catalog.list_in_order(workspace, ids)
    )


def _state(image: Image) -> str:
    return "excluded from training" if image.excluded else ""


def _stale(standing: Standing) -> str:
    return "" if standing.is_current else paragraph(_STALE, kind="warn")


def _versions() -> str:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Lacquer {project['project']['version']}, Python {platform.python_version()}, {libraries}"
    )
