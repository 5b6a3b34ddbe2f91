"""Beyond a limit neighbours are searched approximately, and clusterings read from what is found.

One file, so that one process runs it: the search is compiled for a minute when it is first used.
"""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from core.latent import neighbor_graph, reachability
from core.latent.clustering import cluster_vectors
from core.latent.clustering_methods import DBSCANConfig, HDBSCANConfig
from core.latent.neighbor_graph import METRICS, build_neighbor_graph
from tests.blobs import spots


@pytest.mark.parametrize("metric", METRICS)
def test_large_sets_are_searched_approximately_and_say_so(metric, monkeypatch):
    vectors = np.random.default_rng(0).normal(1, 1, (600, 8)).astype(np.float32)
    exact = build_neighbor_graph(vectors, n_neighbors=8, metric=metric)
    monkeypatch.setattr(neighbor_graph, "EXACT_LIMIT", 500)
    graph = build_neighbor_graph(vectors, n_neighbors=8, metric=metric, seed=1)
    agreement = (graph.distances <= exact.distances[:, -1:] + 1e-6).mean()
    assert agreement > 0.9
    assert graph.recall == pytest.approx(agreement, abs=0.02)
    assert not graph.is_exact
    assert f"{graph.recall:.1%}" in graph.note
    assert (graph.indices != np.arange(600)[:, None]).all()
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    again = build_neighbor_graph(vectors, n_neighbors=8, metric=metric, seed=1)
    np.testing.assert_array_equal(again.indices, graph.indices)


def test_an_approximate_search_among_copies_finds_everyone_a_full_row(monkeypatch):
    monkeypatch.setattr(neighbor_graph, "EXACT_LIMIT", 100)
    graph = build_neighbor_graph(np.repeat(np.eye(5), 40, axis=0), n_neighbors=10)
    assert (graph.indices >= 0).all()
    assert (graph.indices != np.arange(200)[:, None]).all()
    assert all(len(set(row)) == 10 for row in graph.indices.tolist())


def test_a_large_set_is_clustered_from_an_approximate_graph_and_says_so(monkeypatch):
    monkeypatch.setattr(neighbor_graph, "EXACT_LIMIT", 200)
    monkeypatch.setattr(reachability, "SEARCH_LIMIT", 20)
    vectors = spots(200, 150, 100)
    graph = build_neighbor_graph(vectors, n_neighbors=10)
    groups = np.repeat([0, 1, 2], [200, 150, 100])
    for config in (HDBSCANConfig(min_cluster_size=30), DBSCANConfig(eps=0.4)):
        found = cluster_vectors(vectors, config, graph=graph)
        assert adjusted_rand_score(groups, found.labels) > 0.95
        assert "Neighbours are approximate" in found.notes[0]
        assert found.notes[1] == "A group may be split in two where a neighbour was missed."
