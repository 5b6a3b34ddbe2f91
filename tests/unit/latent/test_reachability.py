"""Clusterings read from a neighbour graph are those of all pairs, however few each image lists."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.cluster import DBSCAN, HDBSCAN
from sklearn.metrics import adjusted_rand_score, pairwise_distances

from core.latent.clustering_methods import DBSCANConfig, HDBSCANConfig
from core.latent.neighbor_graph import build_neighbor_graph
from core.latent.reachability import dbscan_by_graph, hdbscan_by_graph, spanning_tree
from tests.blobs import spots


@settings(max_examples=80, deadline=None)
@given(
    vectors=arrays(
        np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 6)
    ),
    eps=st.sampled_from([0.5, 1.2, 1.5, 2.3, 20.0]),
    min_samples=st.integers(1, 5),
    spare=st.integers(0, 2),
)
def test_dbscan_of_a_thin_graph_is_scikit_learns_to_the_last_border_image(
    vectors, eps, min_samples, spare
):
    config = DBSCANConfig(eps=eps, min_samples=min_samples, metric="euclidean")
    n_neighbors = max(1, min_samples - 1 + spare)
    graph = build_neighbor_graph(vectors, n_neighbors=n_neighbors, metric="euclidean")
    labels, is_exact = dbscan_by_graph(vectors, graph, config)
    theirs = DBSCAN(eps=eps, min_samples=min_samples).fit(vectors).labels_
    np.testing.assert_array_equal(labels, theirs)
    assert is_exact


def test_dbscan_by_cosine_equals_that_of_a_complete_sparse_graph():
    vectors = spots(60, 40, 30)
    distances = pairwise_distances(vectors.astype(np.float64), metric="cosine")
    for share in (0.02, 0.1, 0.3):
        eps = float(np.quantile(distances, share))
        labels, _ = dbscan_by_graph(
            vectors, build_neighbor_graph(vectors, n_neighbors=6), DBSCANConfig(eps=eps)
        )
        theirs = DBSCAN(eps=eps, metric="precomputed").fit(distances).labels_
        np.testing.assert_array_equal(labels, theirs)


@pytest.mark.parametrize("n_neighbors", [4, 9, 89])
def test_the_spanning_tree_of_a_thin_graph_is_as_short_as_that_of_all_pairs(n_neighbors):
    vectors = spots(40, 30, 20, n_features=3)
    graph = build_neighbor_graph(vectors, n_neighbors=n_neighbors, metric="euclidean")
    distances = pairwise_distances(vectors.astype(np.float64))
    core = np.sort(distances, axis=1)[:, 4]
    reach = np.maximum(np.maximum(distances, core), core[:, None])
    tree = spanning_tree(vectors, graph, graph.distances[:, 3])
    shortest = np.sort(minimum_spanning_tree(reach).data)
    np.testing.assert_allclose(np.sort(tree.reach), shortest, rtol=1e-4)
    assert tree.is_exact


def test_hdbscan_of_a_thin_graph_finds_what_scikit_learn_finds():
    vectors = spots(60, 40, 30)
    graph = build_neighbor_graph(vectors, n_neighbors=5, metric="euclidean")
    config = HDBSCANConfig(min_cluster_size=10, metric="euclidean")
    labels, is_exact = hdbscan_by_graph(vectors, graph, config)
    theirs = HDBSCAN(min_cluster_size=10, min_samples=5, copy=True).fit(vectors).labels_
    assert adjusted_rand_score(labels, theirs) == 1
    assert ((labels < 0) == (theirs < 0)).all()
    assert is_exact


def test_copies_are_one_group_and_few_images_are_noise():
    copies = np.ones((30, 4), np.float32)
    labels, _ = hdbscan_by_graph(copies, build_neighbor_graph(copies), HDBSCANConfig())
    assert len(set(labels.tolist())) == 1
    labels, _ = dbscan_by_graph(copies, build_neighbor_graph(copies), DBSCANConfig())
    assert labels.tolist() == [0] * 30
    few = np.eye(3, dtype=np.float32)
    assert hdbscan_by_graph(few, build_neighbor_graph(few), HDBSCANConfig())[0].max() == -1
    assert dbscan_by_graph(few, build_neighbor_graph(few), DBSCANConfig())[0].max() == -1


def test_a_graph_that_does_not_fit_is_refused():
    vectors = spots(20)
    graph = build_neighbor_graph(vectors, n_neighbors=5)
    with pytest.raises(ValueError, match="20 vectors need their euclidean graph, got cosine of 20"):
        dbscan_by_graph(vectors, graph, DBSCANConfig(metric="euclidean"))
    with pytest.raises(ValueError, match="min_samples 8 needs 7 neighbours, got 5"):
        hdbscan_by_graph(vectors, graph, HDBSCANConfig(min_samples=8))
