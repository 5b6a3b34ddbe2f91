"""The odd one out has the highest score, whatever the method, and noise is DBSCAN's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN
from sklearn.metrics import roc_auc_score

from core.errors import OperatorError
from core.latent.anomalies import (
    DEFAULT_METHOD,
    METHODS,
    PARAMETERS,
    TITLES,
    AnomalyConfig,
    AnomalyScores,
    anomaly_reasons,
    combine,
    core_distances,
    dbscan_scores,
    density_scores,
    find_anomalies,
    find_surroundings,
    knee_of,
    knn_scores,
)
from core.latent.neighbor_graph import NeighborGraph, build_neighbor_graph


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """Sixty images around one direction and, last, one of another."""
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal([5, 5, 0, 0, 0, 0], 0.5, (60, 6)))
    return np.vstack([features, [0, 0, 0, 0, 5, 5]]).astype(np.float32)


@pytest.fixture(scope="module")
def crowd_graph(crowd: np.ndarray) -> NeighborGraph:
    return build_neighbor_graph(crowd)


def test_images_above_a_threshold_are_counted_as_they_are_listed(crowd, crowd_graph):
    for found in find_anomalies(crowd, crowd_graph).values():
        thresholds = [float(found.scores.min()), found.threshold, *map(float, found.scores[:5])]
        listed = [len(found.rows_above(threshold)) for threshold in thresholds]
        assert found.counts_above(np.array(thresholds)).tolist() == listed


@pytest.mark.parametrize("method", METHODS)
def test_the_odd_one_out_scores_highest(crowd, crowd_graph, method):
    found = find_anomalies(crowd, crowd_graph)[method]
    assert found.scores.argmax() == 60
    assert found.rows_above()[0] == 60
    assert found.scores.dtype == np.float32


def test_the_methods_come_in_their_order_and_have_titles(crowd, crowd_graph):
    assert tuple(find_anomalies(crowd, crowd_graph)) == METHODS == tuple(TITLES)
    assert DEFAULT_METHOD in METHODS


def test_a_clump_of_foreign_images_cannot_vouch_for_itself():
    rng = np.random.default_rng(0)
    crowds = np.abs(rng.normal(np.repeat(np.eye(8)[:4] * 5, 100, axis=0), 0.8))
    clump = np.abs(rng.normal(np.eye(8)[6] * 5, 0.2, (12, 8)))
    vectors = np.vstack([crowds, clump])
    is_foreign = np.arange(len(vectors)) >= 400
    found = find_anomalies(vectors, build_neighbor_graph(vectors))
    assert roc_auc_score(is_foreign, found["density"].scores) == 1.0
    assert roc_auc_score(is_foreign, found["knn"].scores) < 0.5


def test_a_sparse_crowd_beside_a_dense_one_is_no_anomaly():
    rng = np.random.default_rng(0)
    places = [rng.normal(0, 0.1, (150, 3)), rng.normal(20, 2, (150, 3)), [[0.0, 0.0, 1.5]]]
    scores = density_scores(find_surroundings(np.vstack(places)))
    assert scores.argmax() == 300


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 999), n=st.integers(2, 25), min_samples=st.integers(2, 8),
    eps=st.floats(0.01, 1.2),
)  # fmt: skip
def test_noise_at_any_eps_is_that_of_scikit_learn(seed, n, min_samples, eps):
    points = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    graph = build_neighbor_graph(points, metric="euclidean")
    if n < min_samples:  # there is no core point, whatever the eps
        return
    scores = dbscan_scores(graph, min_samples=min_samples)
    if np.abs(scores - eps).min() < 1e-5:
        return
    labels = DBSCAN(eps=eps, min_samples=min_samples).fit(points).labels_
    np.testing.assert_array_equal(scores > eps, labels == -1)


def test_a_given_eps_is_dbscans_threshold_and_none_is_the_knee(crowd, crowd_graph):
    given_eps = find_anomalies(crowd, crowd_graph, AnomalyConfig(eps=0.2))["dbscan"]
    chosen = find_anomalies(crowd, crowd_graph)["dbscan"]
    assert given_eps.threshold == 0.2
    assert chosen.threshold == knee_of(core_distances(crowd_graph, min_samples=5))
    assert 60 in chosen.rows_above()


def test_the_knee_is_where_the_curve_turns_up():
    assert knee_of(np.array([9.0, 1.0, 1.2, 1.1, 1.3, 1.4, 5.0])) == pytest.approx(1.4)
    assert knee_of(np.array([2.0, 2.0])) == 2.0
    assert knee_of(np.array([1.0, 2.0, 3.0])) == 3.0
    with pytest.raises(ValueError, match="at least one"):
        knee_of(np.empty(0))


def test_contamination_is_the_share_above_the_threshold(crowd, crowd_graph):
    found = find_anomalies(crowd, crowd_graph, AnomalyConfig(contamination=0.1))
    for method in ("density", "isolation", "knn"):
        assert len(found[method].rows_above()) == 6


def test_rows_above_a_threshold_come_worst_first_and_equal_ones_in_order():
    scores = AnomalyScores("knn", np.array([0.1, 0.9, 0.5, 0.9], np.float32), 0.4)
    assert scores.rows_above().tolist() == [1, 3, 2]
    assert scores.rows_above(0.5).tolist() == [1, 3]
    assert scores.rows_above(1.0).tolist() == []


def test_the_histogram_counts_every_image_once():
    scores = AnomalyScores("knn", np.array([0.0, 0.1, 1.0], np.float32), 0.5)
    histogram = scores.histogram(n_bins=2)
    np.testing.assert_array_equal(histogram.counts, [2, 1])
    np.testing.assert_allclose(histogram.edges, [0, 0.5, 1])


def test_the_union_and_the_overlap_of_two_methods():
    combination = combine(np.array([7, 1, 3]), np.array([3, 9]))
    assert combination.either.tolist() == [1, 3, 7, 9]
    assert combination.both.tolist() == [3]


def test_knn_is_the_mean_over_the_neighbours_asked_for():
    graph = build_neighbor_graph(np.array([[0.0], [1.0], [3.0]]), metric="euclidean")
    np.testing.assert_allclose(knn_scores(graph, n_neighbors=1), [1, 1, 2])
    np.testing.assert_allclose(knn_scores(graph, n_neighbors=9), [2, 1.5, 2.5])


def test_the_reason_says_how_far_and_what_is_nearest(crowd, crowd_graph):
    reason = anomaly_reasons(crowd_graph, [60], ["scratch"] * 60 + [None])[0]
    assert reason.startswith("Far from everything: its nearest neighbour is")
    assert reason.endswith("is usual; nearest labelled: scratch.")


def test_without_labels_the_reason_names_none(crowd_graph):
    for reason in anomaly_reasons(crowd_graph, range(61), [None] * 61):
        assert "labelled" not in reason
        assert reason.endswith(".")


def test_one_of_a_few_alike_is_called_so():
    angles = np.concatenate([np.linspace(0, 0.3, 50), [1.5, 1.5005]])
    graph = build_neighbor_graph(np.column_stack([np.cos(angles), np.sin(angles)]), n_neighbors=10)
    assert anomaly_reasons(graph, [51], [None] * 52)[0].startswith("One of few: its 10 nearest")


@settings(deadline=None, max_examples=15)
@given(
    n=st.integers(3, 8), n_features=st.integers(1, 3), seed=st.integers(0, 99),
    is_constant=st.booleans(),
)  # fmt: skip
def test_degenerate_sets_have_finite_scores(n, n_features, seed, is_constant):
    vectors = np.random.default_rng(seed).integers(0, 2, (n, n_features))
    if is_constant:
        vectors = np.full_like(vectors, seed % 2)
    graph = build_neighbor_graph(vectors)
    for found in find_anomalies(vectors, graph).values():
        assert np.isfinite(found.scores).all()
        assert np.isfinite(found.threshold)
        assert found.histogram().counts.sum() == n
    assert len(anomaly_reasons(graph, range(n), [None] * n)) == n


def test_copies_only_have_no_anomaly():
    vectors = np.ones((40, 5))
    for found in find_anomalies(vectors, build_neighbor_graph(vectors)).values():
        assert len(found.rows_above()) == 0


def test_the_same_seed_gives_the_same_scores(crowd, crowd_graph):
    first, again = (find_anomalies(crowd, crowd_graph, AnomalyConfig(seed=3)) for _ in range(2))
    for method in METHODS:
        np.testing.assert_array_equal(first[method].scores, again[method].scores)


def test_two_images_are_too_few():
    with pytest.raises(OperatorError, match="at least 3 images, there are 2"):
        find_anomalies(np.eye(2), build_neighbor_graph(np.eye(2)))


def test_a_graph_of_other_images_or_another_metric_is_refused(crowd):
    with pytest.raises(ValueError, match="cosine of 3"):
        find_anomalies(crowd, build_neighbor_graph(np.eye(3)))
    with pytest.raises(ValueError, match="euclidean of 61"):
        find_anomalies(crowd, build_neighbor_graph(crowd, metric="euclidean"))


def test_features_that_are_not_finite_are_refused(crowd, crowd_graph):
    broken = crowd.copy()
    broken[4, 2] = np.nan
    with pytest.raises(OperatorError, match="not finite"):
        find_anomalies(broken, crowd_graph)


def test_scores_out_of_range_are_refused(crowd_graph):
    alone = build_neighbor_graph(np.eye(1))
    with pytest.raises(ValueError, match="only one image"):
        knn_scores(alone, n_neighbors=1)
    with pytest.raises(ValueError, match="n_neighbors must be at least 1"):
        knn_scores(crowd_graph, n_neighbors=0)
    with pytest.raises(ValueError, match="min_samples must be at least 2, got 1"):
        dbscan_scores(crowd_graph, min_samples=1)
    with pytest.raises(ValueError, match="1 labels, but 61 images"):
        anomaly_reasons(crowd_graph, [0], ["a"])


def test_the_parameters_have_the_configs_defaults():
    assert AnomalyConfig() == AnomalyConfig(**{p.name: p.default for p in PARAMETERS})
    with pytest.raises(ValueError, match="contamination must lie in"):
        AnomalyConfig(contamination=0.6)
