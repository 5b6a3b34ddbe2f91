"""What pages read of the analyses, down to the images."""

import numpy as np
import pytest

from core.analysis.anomalies import read_anomalies, reasons
from core.analysis.clusterings import (
    N_EXAMPLES,
    cluster_examples,
    cluster_ids,
    read_agreement,
    read_contingency,
    read_k_distances,
    read_stability,
    stability_of,
)
from core.analysis.comparisons import list_comparisons, read_comparison
from core.analysis.label_errors import LabelErrors, list_conflicts, read_label_errors
from core.analysis.layouts import read_layout
from core.analysis.neighbors import read_graph
from core.analysis.separabilities import list_separabilities
from core.errors import OperatorError
from core.jobs.configs import (
    ClusterImages,
    CompareSets,
    FindAnomalies,
    FindLabelErrors,
    JobConfig,
    MeasureSeparability,
    MeasureStability,
    ReadLayout,
)
from core.latent.metrics import METRICS
from core.state import labels, runs, selections
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.blobs import CLASSES, N_PER_CLASS, Blobs, add_blobs
from tests.samples import do, fake_clustering


@pytest.fixture
def blobs(workspace: Workspace) -> Blobs:
    """Three tight classes, one odd image, one slip."""
    return add_blobs(workspace)


@pytest.fixture
def dbscan(workspace: Workspace, blobs: Blobs) -> Run:
    """The three classes, and the odd image as noise."""
    return computed(workspace, ClusterImages(blobs.embedding.id, "dbscan", (("eps", 0.2),)))


def computed(workspace: Workspace, config: JobConfig) -> Run:
    """The run of a job that must succeed."""
    job = do(workspace, config)
    assert job.status == "succeeded", job.error
    return runs.get_run(workspace, job.result["run"])


# Clusterings


def test_a_cell_of_the_table_opens_its_images(
    workspace: Workspace, blobs: Blobs, dbscan: Run
) -> None:
    table = read_contingency(workspace, dbscan)
    assert table.labels == (*CLASSES, None)
    scratches = int(table.counts[2].argmax())
    assert table.ids("dirt", table.clusters[scratches]).tolist() == [blobs.slip]
    assert len(table.ids("scratch", table.clusters[scratches])) == N_PER_CLASS - 1
    assert table.ids(None, -1).tolist() == [blobs.odd]
    assert table.counts.sum() == 61
    assert cluster_ids(workspace, dbscan, -1).tolist() == [blobs.odd]


def test_agreement_and_table_follow_the_labels(
    workspace: Workspace, blobs: Blobs, dbscan: Run
) -> None:
    before = read_agreement(workspace, dbscan)
    labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    after = read_agreement(workspace, dbscan)
    assert before.homogeneity < after.homogeneity == 1.0  # type: ignore[operator]
    assert after.adjusted_rand_index == 1.0
    assert (read_contingency(workspace, dbscan).counts > 0).sum() == 4


def test_a_gallery_holds_images_of_its_cluster_alone(
    workspace: Workspace, blobs: Blobs, dbscan: Run
) -> None:
    galleries = cluster_examples(workspace, dbscan)
    assert [gallery.size for gallery in galleries] == [N_PER_CLASS] * 3
    for gallery in galleries:
        members = set(cluster_ids(workspace, dbscan, gallery.cluster).tolist())
        for images in (gallery.centre, gallery.border, gallery.furthest):
            assert len(images) == N_EXAMPLES
            assert set(images) <= members
        assert gallery.centre[0] != gallery.furthest[0]


def test_a_run_without_examples_shows_centre_and_furthest_by_its_distances(
    workspace: Workspace, blobs: Blobs
) -> None:
    brought = fake_clustering(workspace, blobs.embedding)
    first = cluster_examples(workspace, brought)[0]
    members = cluster_ids(workspace, brought, first.cluster)
    distances = dict(
        zip(
            runs.load_array(workspace, brought, "image_ids").tolist(),
            runs.load_array(workspace, brought, "distances").tolist(),
            strict=True,
        )
    )
    assert first.border == ()
    assert distances[first.centre[0]] == min(distances[id] for id in members.tolist())
    assert distances[first.furthest[0]] == max(distances[id] for id in members.tolist())


def test_the_curve_that_gave_the_reach_is_read(workspace: Workspace, dbscan: Run) -> None:
    curve = read_k_distances(workspace, runs.get_run(workspace, dbscan.result["k_distances"]))
    assert (curve.k, curve.metric, curve.n_images) == (4, "cosine", 61)
    assert curve.knee is not None
    assert curve.eps == curve.distances[curve.knee]


def test_stability_is_found_by_its_clustering(workspace: Workspace, blobs: Blobs) -> None:
    swept = computed(workspace, ClusterImages(blobs.embedding.id, sweep=True, largest=3))
    assert stability_of(workspace, swept) is None
    run = computed(workspace, MeasureStability(swept.id, n_runs=2))
    assert stability_of(workspace, swept) == run
    measured = read_stability(run)
    assert measured.stability.seeds is not None
    assert len(measured.stability.seeds.values) == 1
    assert [band.k for band in measured.bands] == [2, 3]
    assert measured.bands[1].stability.mean <= 1.0


# Separability


def test_labels_stand_first_then_the_newest_clustering(
    workspace: Workspace, blobs: Blobs, dbscan: Run
) -> None:
    assert list_separabilities(workspace, blobs.embedding) == []
    do(workspace, MeasureSeparability(blobs.embedding.id, (dbscan.id,)))
    of_labels, of_clusters = list_separabilities(workspace, blobs.embedding)
    assert (of_labels.clustering, of_clusters.clustering) == (None, dbscan)
    assert {score.metric for score in of_labels.separability.scores} == set(METRICS)
    assert of_clusters.separability["cosine"].value > 0.8  # type: ignore[operator]
    assert of_clusters.separability.n_left_out == 1
    assert list_separabilities(workspace, blobs.embedding, binarise="median") == []


def test_of_labels_that_changed_the_newest_state_is_kept_and_said_to_be_old(
    workspace: Workspace, blobs: Blobs
) -> None:
    do(workspace, MeasureSeparability(blobs.embedding.id))
    labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    (old,) = list_separabilities(workspace, blobs.embedding)
    assert not old.is_current
    do(workspace, MeasureSeparability(blobs.embedding.id))
    (new,) = list_separabilities(workspace, blobs.embedding)
    assert new.is_current
    assert new.run != old.run


def test_a_clustering_that_is_gone_is_left_out(
    workspace: Workspace, blobs: Blobs, dbscan: Run
) -> None:
    do(workspace, MeasureSeparability(blobs.embedding.id, (dbscan.id,)))
    runs.delete_run(workspace, dbscan.id)
    (left,) = list_separabilities(workspace, blobs.embedding)
    assert left.clustering is None


# Anomalies


def test_dragging_a_threshold_chooses_images_worst_first(
    workspace: Workspace, blobs: Blobs
) -> None:
    found = read_anomalies(workspace, computed(workspace, FindAnomalies(blobs.embedding.id)))
    assert found.ids_above("density")[0] == blobs.odd
    assert len(found.ids_above("density", -1.0)) == 61
    assert len(found.ids_above("density", 1e9)) == 0
    scores = found.scores_of("density", found.ids_above("density", -1.0).tolist())
    assert scores == sorted(scores, reverse=True)
    assert found.histogram("knn", n_bins=5).counts.sum() == 61
    both = found.together("dbscan", "isolation", {"isolation": -1.0})
    assert both.both.tolist() == sorted(found.ids_above("dbscan").tolist())
    assert len(both.either) == 61


def test_an_anomaly_says_why(workspace: Workspace, blobs: Blobs) -> None:
    found = read_anomalies(workspace, computed(workspace, FindAnomalies(blobs.embedding.id)))
    graph = runs.get_run(workspace, found.graph)
    (why,) = reasons(workspace, graph, [blobs.odd])
    assert why.startswith("Far from everything")
    assert read_graph(workspace, graph).n_neighbors == 30
    with pytest.raises(OperatorError, match="Image 9999 was not looked at"):
        reasons(workspace, graph, [9999])


# Label errors


def label_errors(workspace: Workspace, blobs: Blobs) -> LabelErrors:
    return read_label_errors(workspace, computed(workspace, FindLabelErrors(blobs.embedding.id)))


def test_the_worst_label_comes_first_with_images_of_both_classes(
    workspace: Workspace, blobs: Blobs
) -> None:
    found = label_errors(workspace, blobs)
    worst = found[0]
    assert (worst.image_id, worst.given, worst.suggested) == (blobs.slip, "dirt", "scratch")
    assert worst.is_issue
    assert not worst.is_settled
    assert set(worst.nearest) <= set(blobs.ids[2 * N_PER_CLASS : 3 * N_PER_CLASS])
    assert set(worst.nearest_given) <= set(blobs.ids[:N_PER_CLASS])
    assert (np.diff(found.scores) <= 0).all()
    assert found.open_places.tolist() == [0]


@pytest.mark.parametrize("label", ["scratch", "dirt"])
def test_a_label_is_settled_by_changing_or_by_confirming_it_until_that_is_undone(
    label: str, workspace: Workspace, blobs: Blobs
) -> None:
    run = computed(workspace, FindLabelErrors(blobs.embedding.id))
    batch = labels.relabel(workspace, [blobs.slip], label, actor="Ada")
    found = read_label_errors(workspace, run)
    assert found[0].is_settled
    assert found.open_places.tolist() == []
    labels.undo(workspace, batch.id, actor="Ada")
    assert not read_label_errors(workspace, run)[0].is_settled


def test_copies_with_different_labels_are_conflicts(workspace: Workspace, blobs: Blobs) -> None:
    (conflict,) = list_conflicts(workspace, blobs.embedding)
    assert set(conflict.images) == {(blobs.twins[0], "dirt"), (blobs.twins[1], "scratch")}
    labels.relabel(workspace, [blobs.slip], "scratch", actor="Ada")
    assert list_conflicts(workspace, blobs.embedding) == []


# Layout and comparison


def test_a_layout_is_read_down_to_the_images(workspace: Workspace, blobs: Blobs) -> None:
    layout = read_layout(workspace, computed(workspace, ReadLayout(blobs.embedding.id)))
    assert [each.label for each in layout.classes] == list(CLASSES)
    assert all(each.central_image in blobs.ids for each in layout.classes)
    assert layout.least_pure(1).tolist() == [blobs.slip]
    assert layout.separability is not None
    assert layout.separability[0, 1] > 0.9
    assert np.isnan(np.diag(layout.separability)).all()
    assert layout.centroids.shape == (3, 12)
    assert [shift.split for shift in layout.shifts] == ["train", "test", "validation"]


def test_one_class_has_a_layout_without_a_matrix(workspace: Workspace, blobs: Blobs) -> None:
    labels.relabel(workspace, blobs.ids, "dirt", actor="Ada")
    layout = read_layout(workspace, computed(workspace, ReadLayout(blobs.embedding.id)))
    assert layout.separability is None
    assert [each.label for each in layout.classes] == ["dirt"]
    assert any("Classes can be told apart" in note for note in layout.notes)


def test_a_comparison_keeps_both_sets_and_their_names(workspace: Workspace, blobs: Blobs) -> None:
    ids = np.array(blobs.ids)
    digests = [selections.save_selection(workspace, some) for some in (ids[:9], ids[30:40])]
    run = computed(workspace, CompareSets(blobs.embedding.id, *digests, "left", "right"))
    found = read_comparison(workspace, run)
    assert (found.first_name, found.second_name) == ("left", "right")
    assert found.first.tolist() == blobs.ids[:9]
    assert found.second.tolist() == blobs.ids[30:40]
    assert "differ in the full latent space" in found.test.verdict
    assert found.test.caveats
    assert list_comparisons(workspace, blobs.embedding) == [run]
