"""Clusters find what is there, are numbered by size, and are compared with labels honestly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from core.errors import OperatorError
from core.latent import clustering as clustering_module
from core.latent.clustering import METHODS, KMeansConfig, agreement, cluster_kmeans, sweep_kmeans


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Groups of 10, 30 and 20 around three corners of a square of side 10."""
    groups = np.repeat([0, 1, 2], [10, 30, 20])
    corners = np.array([[0, 0], [10, 0], [0, 10]])
    noise = np.random.default_rng(0).normal(0, 0.5, (60, 2))
    return (corners[groups] + noise).astype(np.float32), groups


def test_three_groups_are_found_and_numbered_by_size(blobs):
    vectors, groups = blobs
    result = cluster_kmeans(vectors, KMeansConfig(n_clusters=3))
    np.testing.assert_array_equal(result.labels, np.array([2, 0, 1])[groups])
    assert result.labels.dtype == np.int32
    assert (result.sizes, result.n_noise, result.notes) == ((30, 20, 10), 0, ())
    np.testing.assert_allclose(result.centers, [[10, 0], [0, 10], [0, 0]], atol=0.5)


def test_distances_are_to_the_own_centre_and_add_up_to_the_inertia(blobs):
    vectors, _ = blobs
    result = cluster_kmeans(vectors, KMeansConfig(n_clusters=3))
    expected = [
        np.hypot(*(v - result.centers[c])) for v, c in zip(vectors, result.labels, strict=True)
    ]
    np.testing.assert_allclose(result.distances, expected, rtol=1e-5)
    assert result.inertia == pytest.approx(float(np.sum(np.square(expected))), rel=1e-5)


def test_the_silhouette_is_that_of_scikit_learn(blobs):
    vectors, _ = blobs
    result = cluster_kmeans(vectors, KMeansConfig(n_clusters=3))
    assert result.silhouette == pytest.approx(float(silhouette_score(vectors, result.labels)))
    assert result.silhouette_n == 60


def test_the_silhouette_of_a_large_set_is_measured_on_some_of_it(blobs, monkeypatch):
    monkeypatch.setattr(clustering_module, "SILHOUETTE_LIMIT", 40)
    result = cluster_kmeans(blobs[0], KMeansConfig(n_clusters=3))
    assert result.silhouette_n == 40
    assert result.silhouette > 0.8
    assert "40 of 60" in result.notes[0]


def test_one_cluster_has_no_silhouette(blobs):
    result = cluster_kmeans(blobs[0], KMeansConfig(n_clusters=1))
    assert (result.sizes, result.silhouette, result.silhouette_n) == ((60,), None, 0)


def test_the_same_seed_gives_the_same_clusters(blobs):
    config = KMeansConfig(n_clusters=5, n_init=1, seed=3)
    first, again = cluster_kmeans(blobs[0], config), cluster_kmeans(blobs[0], config)
    np.testing.assert_array_equal(first.labels, again.labels)


def test_more_clusters_than_images_are_refused():
    with pytest.raises(OperatorError, match="Choose at most 2 clusters"):
        cluster_kmeans(np.eye(2), KMeansConfig(n_clusters=3))


def test_fewer_distinct_images_than_clusters_are_said():
    result = cluster_kmeans(np.repeat(np.eye(2), 5, axis=0), KMeansConfig(n_clusters=4))
    assert result.sizes == (5, 5, 0, 0)
    assert result.silhouette == pytest.approx(1.0)
    assert "2 clusters are empty" in result.notes[0]


@settings(max_examples=30, deadline=None)
@given(
    vectors=st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2), min_size=1, max_size=12
    ),
    k=st.integers(1, 12),
)
def test_every_image_belongs_to_one_cluster(vectors, k):
    config = KMeansConfig(n_clusters=min(k, len(vectors)), n_init=2)
    result = cluster_kmeans(np.array(vectors), config)
    assert sum(result.sizes) == len(vectors)
    assert list(result.sizes) == sorted(result.sizes, reverse=True)
    assert np.isfinite(result.distances).all()
    assert result.silhouette is None or -1 <= result.silhouette <= 1


def test_a_sweep_suggests_the_k_that_is_there(blobs):
    steps = []
    sweep = sweep_kmeans(blobs[0], [5, 2, 3, 4, 6, 3], on_progress=lambda *step: steps.append(step))
    assert [row.k for row in sweep.rows] == [2, 3, 4, 5, 6]
    assert (sweep.best_silhouette_k, sweep.elbow_k) == (3, 3)
    inertias = [row.inertia for row in sweep.rows]
    assert inertias == sorted(inertias, reverse=True)
    assert steps[0] == (0.0, "K-means with 2 clusters")
    assert len(steps) == 5


def test_a_sweep_leaves_out_what_the_images_cannot_form():
    sweep = sweep_kmeans(np.eye(3), range(2, 9))
    assert [row.k for row in sweep.rows] == [2, 3]
    assert sweep.elbow_k is None
    assert sweep_kmeans(np.zeros((5, 2)), [1]).best_silhouette_k is None


def test_a_sweep_over_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one k"):
        sweep_kmeans(np.eye(3), [])
    with pytest.raises(OperatorError, match="3 images cannot form 5"):
        sweep_kmeans(np.eye(3), [5, 6])


def test_agreement_is_one_whatever_the_clusters_are_called():
    found = agreement(["a", "a", "b", "b", "c"], np.array([7, 7, 1, 1, -1]))
    assert (found.adjusted_rand_index, found.n) == (1.0, 5)


def test_agreement_counts_only_images_with_a_label():
    found = agreement(["a", None, "b", "", "a"], np.array([0, 0, 1, 1, 0]))
    assert (found.adjusted_rand_index, found.n) == (1.0, 3)


def test_agreement_of_too_few_labels_is_undefined():
    assert agreement([None, "a"], np.array([0, 1])).adjusted_rand_index is None
    with pytest.raises(ValueError, match="2 labels, but 1 cluster"):
        agreement(["a", "b"], np.array([0]))


def test_a_config_out_of_range_says_what_is_allowed():
    with pytest.raises(ValueError, match=r"n_clusters must lie in \[1, 100\], got 0"):
        KMeansConfig(n_clusters=0)
    with pytest.raises(ValueError, match="seed must lie"):
        KMeansConfig(seed=-1)


def test_the_parameters_of_the_registry_are_those_of_the_config():
    for parameter in METHODS["kmeans"].parameters:
        assert getattr(KMeansConfig(), parameter.name) == parameter.default
