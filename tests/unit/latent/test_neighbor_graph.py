"""Every image's neighbours are the true ones, or the graph says how many are missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from core.errors import OperatorError
from core.latent import neighbor_graph as graph_module
from core.latent.neighbor_graph import METRICS, build_neighbor_graph


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(2, 1, (80, 6)).astype(np.float32)


def test_neighbours_on_a_line_are_those_beside():
    graph = build_neighbor_graph(
        np.array([[0.0], [1.0], [3.0], [7.0]]), n_neighbors=2, metric="euclidean"
    )
    np.testing.assert_array_equal(graph.indices, [[1, 2], [0, 2], [1, 0], [2, 1]])
    np.testing.assert_array_equal(graph.distances, [[1, 3], [1, 2], [2, 3], [4, 6]])
    assert (graph.indices.dtype, graph.distances.dtype) == (np.int32, np.float32)
    assert (graph.is_exact, graph.recall, graph.n_neighbors, len(graph)) == (True, 1.0, 2, 4)


@pytest.mark.parametrize("metric", METRICS)
def test_they_are_those_of_scikit_learn(vectors, metric):
    graph = build_neighbor_graph(vectors, n_neighbors=5, metric=metric)
    search = NearestNeighbors(n_neighbors=5, metric=metric).fit(vectors)
    distances, indices = search.kneighbors()
    np.testing.assert_array_equal(graph.indices, indices)
    np.testing.assert_allclose(graph.distances, distances, atol=1e-5)


def test_blocks_of_rows_make_no_difference(vectors, monkeypatch):
    whole = build_neighbor_graph(vectors, n_neighbors=4)
    monkeypatch.setattr(graph_module, "_BLOCK_NUMBERS", 200)
    lines: list[float] = []
    blocks = build_neighbor_graph(
        vectors, n_neighbors=4, on_progress=lambda done, _: lines.append(done)
    )
    np.testing.assert_array_equal(blocks.indices, whole.indices)
    assert lines == sorted(lines)
    assert (len(lines), lines[-1]) == (40, 1.0)


def test_copies_are_exactly_nothing_apart_and_in_order_of_their_rows():
    vectors = np.tile(np.random.default_rng(1).normal(size=(1, 50)), (4, 1))
    graph = build_neighbor_graph(vectors * np.float32(0.1), n_neighbors=3)
    assert not graph.distances.any()
    np.testing.assert_array_equal(graph.indices, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def test_a_row_of_zeros_is_at_cosine_distance_one_from_all():
    graph = build_neighbor_graph(np.array([[0, 0], [0, 0], [1, 0], [0, 1]]), n_neighbors=3)
    assert (graph.distances[:2] == 1).all()


def test_far_from_the_origin_near_images_are_still_told_apart():
    vectors = 1e4 + np.array([[0.0], [1.0], [3.0], [7.0]])
    graph = build_neighbor_graph(vectors, n_neighbors=1, metric="euclidean")
    np.testing.assert_array_equal(graph.indices[:, 0], [1, 0, 1, 2])
    np.testing.assert_allclose(graph.distances[:, 0], [1, 1, 2, 4], rtol=1e-3)


def test_few_images_have_all_the_others_as_neighbours():
    assert build_neighbor_graph(np.eye(3), n_neighbors=30).indices.shape == (3, 2)
    assert build_neighbor_graph(np.eye(1), n_neighbors=30).indices.shape == (1, 0)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99),
    st.sampled_from(METRICS),
)  # fmt: skip
def test_any_graph_is_sorted_and_without_the_image_itself(n, n_features, k, seed, metric):
    vectors = np.random.default_rng(seed).integers(-1, 2, (n, n_features))
    graph = build_neighbor_graph(vectors, n_neighbors=k, metric=metric)
    assert graph.indices.shape == (n, min(k, n - 1))
    assert np.isfinite(graph.distances).all()
    assert (graph.distances >= 0).all()
    assert (np.diff(graph.distances, axis=1) >= 0).all()
    for row, neighbors in enumerate(graph.indices.tolist()):
        assert row not in neighbors
        assert len(set(neighbors)) == len(neighbors)


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="n_neighbors must be at least 1, got 0"):
        build_neighbor_graph(np.eye(3), n_neighbors=0)
    with pytest.raises(ValueError, match="one of cosine, euclidean, got 'hamming'"):
        build_neighbor_graph(np.eye(3), metric="hamming")
    with pytest.raises(OperatorError, match="not finite"):
        build_neighbor_graph(np.array([[1.0, np.inf], [1.0, 1.0]]))
