"""Clusters find what is there, are numbered by size, and are compared with labels honestly."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    homogeneity_completeness_v_measure,
    silhouette_score,
)

from core.errors import OperatorError
from core.latent import clustering as clustering_module
from core.latent import hierarchy
from core.latent.agreement import agreement, contingency
from core.latent.cluster_examples import choose_examples
from core.latent.clustering import cluster_kmeans, cluster_vectors, sweep_kmeans
from core.latent.clustering_methods import (
    METHODS,
    AgglomerativeConfig,
    DBSCANConfig,
    HDBSCANConfig,
    KMeansConfig,
    make_config,
    read_config,
)
from core.latent.components import principal_components


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


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 6), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_agreement_is_what_scikit_learn_computes(seed, n_images, n_labels, n_clusters):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, n_labels, n_images)
    clusters = draw.integers(-1, n_clusters - 1, n_images)
    found = agreement([f"label {label}" for label in labels], clusters)
    assert found.adjusted_rand_index == pytest.approx(adjusted_rand_score(labels, clusters))
    mutual_information = adjusted_mutual_info_score(labels, clusters)
    assert found.adjusted_mutual_information == pytest.approx(mutual_information, abs=1e-9)
    assert (found.homogeneity, found.completeness, found.v_measure) == pytest.approx(
        homogeneity_completeness_v_measure(labels, clusters), abs=1e-9
    )


def test_a_method_is_made_from_its_name_and_some_of_its_parameters():
    assert make_config("kmeans", {"n_clusters": 3}, seed=7) == KMeansConfig(n_clusters=3, seed=7)
    assert make_config("dbscan", {"eps": 0.5}) == DBSCANConfig(eps=0.5)
    with pytest.raises(ValueError, match=r"method must be one of kmeans, .* got 'spectral'"):
        make_config("spectral", {})
    with pytest.raises(ValueError, match=r"a parameter of dbscan must be one of .* got 'k'"):
        make_config("dbscan", {"k": 3})


def test_a_stored_config_is_read_back_beside_what_else_was_stored():
    asked = KMeansConfig(n_clusters=3, seed=7)
    stored = {"method": "kmeans", "space": "latent", "components": 32, **asdict(asked)}
    assert read_config(stored) == asked
    for broken in ({"method": []}, {"seed": "7"}, {"n_clusters": None}, {"n_clusters": "3"}):
        with pytest.raises(ValueError, match="must be"):
            read_config({**stored, **broken})


def test_a_config_out_of_range_says_what_is_allowed():
    with pytest.raises(ValueError, match=r"n_clusters must lie in \[1, 100\], got 0"):
        KMeansConfig(n_clusters=0)
    with pytest.raises(ValueError, match="seed must lie"):
        KMeansConfig(seed=-1)


@pytest.mark.parametrize("method", METHODS)
def test_the_parameters_of_the_registry_are_those_of_the_config(method):
    config = METHODS[method].config()
    assert config.method == method
    for parameter in METHODS[method].parameters:
        assert getattr(config, parameter.name) == parameter.default


def test_other_configs_out_of_range_say_what_is_allowed():
    with pytest.raises(ValueError, match="eps must lie in"):
        DBSCANConfig(eps=0.0)
    with pytest.raises(ValueError, match=r"metric must be one of .* got 'nan_euclidean'"):
        HDBSCANConfig(metric="nan_euclidean")
    with pytest.raises(ValueError, match="metric must be euclidean for Ward's linkage"):
        AgglomerativeConfig(metric="cosine")


@pytest.mark.parametrize(
    "config",
    [
        KMeansConfig(n_clusters=3),
        DBSCANConfig(eps=1.5, metric="euclidean"),
        HDBSCANConfig(min_cluster_size=8, metric="euclidean"),
        AgglomerativeConfig(n_clusters=3, linkage="average"),
        AgglomerativeConfig(n_clusters=3, linkage="complete", metric="cityblock"),
        AgglomerativeConfig(n_clusters=3, linkage="ward"),
        AgglomerativeConfig(max_distance=6.0, linkage="complete"),
    ],
)
def test_every_method_finds_three_groups_and_numbers_them_by_size(blobs, config):
    vectors, groups = blobs
    result = cluster_vectors(vectors, config)
    clustered = result.labels >= 0
    assert clustered.mean() > 0.9
    np.testing.assert_array_equal(result.labels[clustered], np.array([2, 0, 1])[groups][clustered])
    assert result.labels.dtype == np.int32
    assert (sum(result.sizes), result.n_noise) == (clustered.sum(), (~clustered).sum())
    np.testing.assert_allclose(result.centers, [[10, 0], [0, 10], [0, 0]], atol=0.5)
    assert result.silhouette > 0.8


def test_noise_has_no_distance_and_is_left_out_of_the_measures(blobs):
    vectors = np.vstack([blobs[0], [[50.0, 50.0]]])
    result = cluster_vectors(vectors, DBSCANConfig(eps=3.0, metric="euclidean"))
    assert (result.sizes, result.n_noise, result.labels[-1]) == ((30, 20, 10), 1, -1)
    assert np.isnan(result.distances[-1])
    assert np.isfinite(result.distances[:-1]).all()
    assert result.silhouette == pytest.approx(silhouette_score(blobs[0], result.labels[:-1]))
    assert result.inertia == pytest.approx(float((result.distances[:-1] ** 2).sum()), rel=1e-4)


def test_all_noise_is_a_result_that_says_so(blobs):
    result = cluster_vectors(blobs[0], DBSCANConfig(eps=1e-6, metric="euclidean"))
    assert (result.sizes, result.n_noise, result.silhouette) == ((), 60, None)
    assert result.centers.shape == (0, 2)
    assert result.notes == ("All images are noise: no spot is dense enough by these settings.",)


def test_one_cluster_is_a_result_that_says_so():
    result = cluster_vectors(np.ones((7, 3)), DBSCANConfig())
    assert (result.sizes, result.silhouette) == ((7,), None)
    assert "form one cluster" in result.notes[0]


def test_the_tree_of_joins_has_its_limits(monkeypatch):
    with pytest.raises(OperatorError, match="Choose at most 2 clusters"):
        cluster_vectors(np.eye(2), AgglomerativeConfig(n_clusters=3))
    assert cluster_vectors(np.eye(1), AgglomerativeConfig(n_clusters=1)).sizes == (1,)
    monkeypatch.setattr(hierarchy, "AGGLOMERATIVE_LIMIT", 5)
    with pytest.raises(OperatorError, match=r"6 images are too many.*The limit is 5. Use K-means"):
        cluster_vectors(np.eye(6), AgglomerativeConfig(n_clusters=2))


@settings(max_examples=30, deadline=None)
@given(
    vectors=st.lists(
        st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=2), min_size=1, max_size=10
    ),
    method=st.sampled_from(["dbscan", "hdbscan", "agglomerative"]),
)
def test_any_images_are_clustered_or_refused_with_a_sentence(vectors, method):
    config = METHODS[method].config()
    if method == "agglomerative" and len(vectors) < config.n_clusters:
        with pytest.raises(OperatorError, match="cannot form 4 clusters"):
            cluster_vectors(np.array(vectors), config)
        return
    result = cluster_vectors(np.array(vectors), config)
    assert sum(result.sizes) + result.n_noise == len(vectors)
    assert 0 not in result.sizes


def test_nan_features_are_refused_by_every_method():
    for method in METHODS.values():
        with pytest.raises(OperatorError, match="not finite"):
            cluster_vectors(np.full((8, 2), np.nan), method.config())


def test_a_cluster_is_shown_by_its_centre_its_border_and_its_furthest():
    vectors = np.array([[0.0], [1.0], [4.0], [-5.0], [10.0], [11.0], [99.0]])
    labels = np.array([0, 0, 0, 0, 1, 1, -1])
    first, second = choose_examples(vectors, labels, np.array([[0.0], [10.5]]), n_examples=2)
    assert (first.centre, first.border, first.furthest) == ((0, 1), (2, 1), (3, 2))
    assert set(second.centre) == set(second.border) == {4, 5}


def test_one_cluster_has_no_border_and_an_empty_one_is_not_shown():
    only = choose_examples(np.eye(3), np.zeros(3, int), np.zeros((1, 3)))
    assert only[0].border == ()
    shown = choose_examples(np.eye(3), np.zeros(3, int), np.zeros((2, 3)))
    assert [examples.cluster for examples in shown] == [0]
    with pytest.raises(ValueError, match="differ"):
        choose_examples(np.eye(3), np.zeros(2, int), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="n_examples must be at least 1, got 0"):
        choose_examples(np.eye(3), np.zeros(3, int), np.zeros((1, 3)), n_examples=0)


def test_agreement_tells_pure_clusters_from_whole_classes():
    """Each class is split in two: every cluster is pure, no class is whole."""
    found = agreement(["a"] * 4 + ["b"] * 4, np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    assert (found.homogeneity, found.completeness) == (pytest.approx(1.0), pytest.approx(0.5))
    assert found.v_measure == pytest.approx(2 / 3)
    assert 0 < found.adjusted_mutual_information < 1


def test_the_contingency_table_counts_labels_by_clusters():
    table = contingency(["b", "a", None, "b", "a"], np.array([1, -1, 0, 1, 0]))
    assert (table.labels, table.clusters) == (("a", "b"), (0, 1, -1))
    np.testing.assert_array_equal(table.counts, [[1, 0, 1], [0, 2, 0]])
    assert contingency([None], np.array([0])).counts.shape == (0, 0)


def test_components_keep_a_number_or_a_share_of_the_variance():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 1)) * [10, 1, 0] + rng.normal(0, 0.1, (50, 3))
    one = principal_components(vectors, 1)
    assert one.values.shape == (50, 1)
    assert one.explained > 0.99
    assert principal_components(vectors, 0.9).values.shape == (50, 1)
    assert principal_components(vectors, 99).values.shape == (50, 3)
    constant = principal_components(np.ones((4, 3)), 2)
    assert (constant.values.shape, constant.explained) == ((4, 1), 1.0)
    with pytest.raises(ValueError, match="keep must be a share"):
        principal_components(vectors, 1.5)
