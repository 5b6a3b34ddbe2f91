"""DBSCAN is exactly the method, under any metric; the k-distance plot tells a reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import DBSCAN
from sklearn.metrics import pairwise_distances

from core.errors import OperatorError
from core.latent import density
from core.latent.bend import find_bend
from core.latent.clustering_methods import DBSCANConfig, HDBSCANConfig
from core.latent.density import fit_dbscan, fit_hdbscan, k_distances


@pytest.fixture
def spots() -> np.ndarray:
    """Two dense spots of 30 and 20, and three images alone."""
    rng = np.random.default_rng(0)
    dense = [rng.normal(at, 0.3, (n, 2)) for at, n in (((0, 9), 30), ((9, 0), 20))]
    return np.vstack([*dense, [[30, 30], [-30, 5], [2, -30]]]).astype(np.float32)


def test_dense_spots_are_groups_and_the_rest_is_noise(spots):
    labels = fit_dbscan(spots, DBSCANConfig(eps=1.0, metric="euclidean"))
    assert labels.tolist() == [0] * 30 + [1] * 20 + [-1] * 3


PLANES = st.tuples(st.integers(1, 30), st.just(2))


@settings(max_examples=60, deadline=None)
@given(
    vectors=arrays(
        np.float32, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 6)
    ),
    eps=st.sampled_from([0.5, 1.0, 1.5, 2.3]),
    min_samples=st.integers(1, 5),
)
def test_dbscan_is_scikit_learns_to_the_last_border_image(vectors, eps, min_samples):
    config = DBSCANConfig(eps=eps, min_samples=min_samples, metric="euclidean")
    theirs = DBSCAN(eps=eps, min_samples=min_samples).fit(vectors).labels_
    np.testing.assert_array_equal(fit_dbscan(vectors, config), theirs)


@pytest.mark.parametrize("metric", ["cosine", "canberra", "jaccard", "correlation"])
def test_dbscan_takes_any_metric(metric):
    rng = np.random.default_rng(1)
    patterns = rng.normal(size=(4, 30))[np.repeat(np.arange(4), 150)]
    vectors = np.maximum(patterns + rng.normal(0, 0.5, (600, 30)), 0)
    distances = pairwise_distances(vectors > 0 if metric == "jaccard" else vectors, metric=metric)
    eps = float(np.quantile(distances, 0.04)) + 1e-6
    theirs = DBSCAN(eps=eps, metric="precomputed").fit(distances).labels_
    ours = fit_dbscan(vectors, DBSCANConfig(eps=eps, metric=metric))
    np.testing.assert_array_equal(ours, theirs)
    assert theirs.max() > 0 > theirs.min()  # groups and noise


def test_a_large_plane_is_searched_by_a_tree(spots, monkeypatch):
    config = DBSCANConfig(eps=1.0, metric="euclidean")
    exact = fit_dbscan(spots, config)
    monkeypatch.setattr(density, "DBSCAN_LIMIT", 40)
    np.testing.assert_array_equal(fit_dbscan(spots, config), exact)
    with pytest.raises(OperatorError, match=r"53 images are too many.*The limit is 40.*K-means"):
        fit_dbscan(spots, DBSCANConfig(eps=1.0))
    monkeypatch.setattr(density, "_TREE_PAIRS", 100)
    with pytest.raises(OperatorError, match="Choose a smaller reach"):
        fit_dbscan(spots, config)


def test_hdbscan_finds_spots_of_unlike_density():
    rng = np.random.default_rng(0)
    vectors = np.vstack([rng.normal(0, 0.1, (40, 20)), rng.normal(5, 1.0, (40, 20))])
    labels = fit_hdbscan(vectors, HDBSCANConfig(metric="euclidean"))
    assert len(set(labels[:40]) - {-1}) == len(set(labels[40:]) - {-1}) == 1
    assert set(labels[:40]) != set(labels[40:])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_hdbscan_on_a_plane_leaves_out_what_lies_alone(metric, spots):
    labels = fit_hdbscan(spots, HDBSCANConfig(metric=metric))
    assert len(set(labels.tolist()) - {-1}) >= 2
    if metric == "euclidean":
        assert labels[50:].tolist() == [-1, -1, -1]


def test_hdbscan_of_few_images_is_all_noise_and_of_too_many_is_refused(spots, monkeypatch):
    assert fit_hdbscan(spots[:3], HDBSCANConfig()).tolist() == [-1, -1, -1]
    monkeypatch.setattr(density, "HDBSCAN_LIMIT", 40)
    with pytest.raises(OperatorError, match="53 images are too many"):
        fit_hdbscan(spots, HDBSCANConfig())


def test_the_k_distance_is_to_the_kth_other_image():
    vectors = np.array([[0.0], [1.0], [3.0], [7.0]])
    found = k_distances(vectors, min_samples=3, metric="euclidean")
    assert found.k == 2
    assert found.distances.tolist() == [2, 3, 3, 6]


def test_the_knee_lies_between_dense_spots_and_what_lies_alone(spots):
    found = k_distances(spots, metric="euclidean")
    assert found.knee is not None
    assert found.eps == found.distances[found.knee]
    assert found.eps < 5
    labels = fit_dbscan(spots, DBSCANConfig(eps=found.eps, metric="euclidean"))
    assert labels[50:].tolist() == [-1, -1, -1]


def test_k_distances_of_many_images_are_measured_for_some(spots, monkeypatch):
    all_of_them = k_distances(spots, metric="euclidean").distances
    monkeypatch.setattr(density, "K_DISTANCE_LIMIT", 10)
    some = k_distances(spots, metric="euclidean").distances
    assert len(some) == 10
    assert set(some.tolist()) <= set(all_of_them.tolist())


def test_equal_images_have_no_knee():
    found = k_distances(np.ones((20, 3)))
    assert (found.knee, found.eps) == (None, None)


def test_too_few_images_for_a_spot_are_refused():
    with pytest.raises(OperatorError, match="3 images are too few for 5 in a dense spot"):
        k_distances(np.eye(3))
    with pytest.raises(ValueError, match="min_samples must be at least 2, got 1"):
        k_distances(np.eye(3), min_samples=1)


def test_a_curve_bends_where_it_is_farthest_below_its_chord():
    assert find_bend([1, 2, 3, 4, 5], [10, 4, 3, 2, 1]) == 1  # an elbow
    assert find_bend(range(5), [0, 1, 2, 3, 20]) == 3  # a knee
    assert find_bend(range(4), [0, 1, 2, 3]) is None
    assert find_bend(range(3), [5, 5, 5]) is None
    assert find_bend([1, 2], [1, 0]) is None
    with pytest.raises(ValueError, match="of one length"):
        find_bend([1, 2], [1])
