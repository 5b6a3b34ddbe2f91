"""A plane keeps apart what is apart, repeats by seed, and copes with whatever it is given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score

from core.errors import OperatorError
from core.latent import projection as projection_module
from core.latent.projection import METHODS, ProjectionConfig, project


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three groups of 40 in 120 dimensions, far apart."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 40)
    centers = rng.normal(0, 10, (3, 120))
    return (centers[groups] + rng.normal(0, 1, (120, 120))).astype(np.float32), groups


@pytest.mark.parametrize("method", METHODS)
def test_three_groups_stay_three_groups(method, blobs):
    vectors, groups = blobs
    steps = []
    before = vectors.copy()
    result = project(
        vectors, ProjectionConfig(method), on_progress=lambda *step: steps.append(step)
    )
    assert result.coordinates.shape == (120, 2)
    assert result.coordinates.dtype == np.float32
    assert silhouette_score(result.coordinates, groups) > 0.6
    assert result.trustworthiness_n == 120
    assert result.trustworthiness_neighbors == 12
    assert result.trustworthiness > 0.7
    assert [fraction for fraction, _ in steps] == sorted(fraction for fraction, _ in steps)
    assert steps[-1][0] == 1.0
    np.testing.assert_array_equal(vectors, before)  # not changed in place


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_plane(method, blobs):
    vectors, _ = blobs
    config = ProjectionConfig(method, metric="cosine", seed=7)
    np.testing.assert_array_equal(
        project(vectors, config).coordinates, project(vectors, config).coordinates
    )


@pytest.mark.parametrize("n", [250])
def test_isomap_repeats_where_its_eigensolver_starts_at_random(n):
    vectors = np.random.default_rng(1).normal(size=(n, 5))
    first, again = (project(vectors, ProjectionConfig("isomap")) for _ in range(2))
    np.testing.assert_array_equal(first.coordinates, again.coordinates)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 21])
def test_a_few_images_have_a_plane_too(method, n):
    vectors = np.random.default_rng(n).normal(size=(n, 6))
    result = project(vectors, ProjectionConfig(method))
    assert result.coordinates.shape == (n, 2)
    assert np.isfinite(result.coordinates).all()
    assert (result.trustworthiness is None) == (n < 3)
    if n < METHODS[method].min_images and n > 1:
        assert "PCA drew" in result.notes[0]


@pytest.mark.parametrize("method", METHODS)
def test_equal_images_lie_on_one_point(method):
    result = project(np.ones((30, 4)), ProjectionConfig(method))
    assert (result.coordinates == result.coordinates[0]).all()
    assert result.trustworthiness is None
    assert "equal" in result.notes[0]


@pytest.mark.parametrize("method", METHODS)
def test_many_duplicates_break_nothing(method):
    vectors = np.repeat(np.eye(4), 10, axis=0)  # 40 images, 4 of them distinct
    result = project(vectors, ProjectionConfig(method))
    assert np.isfinite(result.coordinates).all()


@st.composite
def some_vectors(draw: st.DrawFn) -> np.ndarray:
    n, n_features = draw(st.integers(1, 14)), draw(st.integers(1, 3))
    number = st.floats(-60_000, 60_000, width=16)
    numbers = draw(st.lists(number, min_size=n * n_features, max_size=n * n_features))
    return np.array(numbers).reshape(n, n_features)


@settings(max_examples=40, deadline=None)
@given(some_vectors(), st.sampled_from(["isomap", "pca"]), st.sampled_from(["euclidean", "cosine"]))
def test_any_finite_vectors_have_a_finite_plane(vectors, method, metric):
    check_plane(vectors, ProjectionConfig(method, metric=metric))


@settings(max_examples=4, deadline=None)  # a second each, whatever the size
@given(some_vectors())
def test_any_finite_vectors_have_a_finite_plane_by_tsne(vectors):
    check_plane(vectors, ProjectionConfig("tsne"))


@pytest.mark.parametrize("method", METHODS)
def test_a_single_feature_has_a_plane(method):
    check_plane(np.arange(30.0)[:, None], ProjectionConfig(method))


def check_plane(vectors: np.ndarray, config: ProjectionConfig) -> None:
    result = project(vectors, config)
    assert result.coordinates.shape == (len(vectors), 2)
    assert np.isfinite(result.coordinates).all()
    assert result.trustworthiness is None or 0 <= result.trustworthiness <= 1 + 1e-9


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e300])
def test_vectors_that_are_no_numbers_are_named(broken):
    vectors = np.zeros((5, 3))
    vectors[2, 1] = broken
    with pytest.raises(OperatorError, match=r"row 2|too large"):
        project(vectors, ProjectionConfig("pca"))


def test_vectors_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        project(np.zeros(3), ProjectionConfig("pca"))
    with pytest.raises(OperatorError, match="no vectors"):
        project(np.zeros((0, 3)), ProjectionConfig("pca"))


def test_trustworthiness_is_that_of_scikit_learn(blobs):
    vectors, _ = blobs
    result = project(vectors, ProjectionConfig("pca"))
    assert result.trustworthiness == pytest.approx(
        trustworthiness(vectors, result.coordinates, n_neighbors=12)
    )


def test_trustworthiness_of_a_large_set_is_measured_on_some_of_it(blobs, monkeypatch):
    monkeypatch.setattr(projection_module, "TRUSTWORTHINESS_LIMIT", 50)
    result = project(blobs[0], ProjectionConfig("pca"))
    assert result.trustworthiness_n == 50
    assert any("50 of 120" in note for note in result.notes)


def test_isomap_of_a_large_set_places_the_rest_beside_a_subset(blobs, monkeypatch):
    monkeypatch.setattr(projection_module, "ISOMAP_FIT_LIMIT", 60)
    monkeypatch.setattr(projection_module, "_ISOMAP_TRANSFORM_ROWS", 25)
    vectors, groups = blobs
    result = project(vectors, ProjectionConfig("isomap"))
    assert silhouette_score(result.coordinates, groups) > 0.6
    assert any("Fitted on 60 images" in note for note in result.notes)


def test_isomap_joins_a_neighbour_graph_in_parts_and_says_so(blobs):
    result = project(blobs[0], ProjectionConfig("isomap", n_neighbors=5))
    assert any("joined at their closest points" in note for note in result.notes)


def test_parameters_too_large_for_the_images_are_lowered_and_said():
    vectors = np.random.default_rng(0).normal(size=(12, 5))
    isomap = project(vectors, ProjectionConfig("isomap", n_neighbors=50))
    tsne = project(vectors, ProjectionConfig("tsne", perplexity=100))
    assert isomap.notes == ("Neighbours were lowered to 11 for 12 images.",)
    assert tsne.notes == ("Perplexity was lowered to 3.7 for 12 images.",)


def test_cosine_ignores_the_length_of_a_vector():
    vectors = np.random.default_rng(0).normal(size=(30, 5))
    config = ProjectionConfig("pca", metric="cosine")
    scaled = vectors * np.linspace(1, 100, 30)[:, None]
    np.testing.assert_allclose(
        project(vectors, config).coordinates, project(scaled, config).coordinates, atol=1e-4
    )


def test_a_config_is_complete_once_it_exists():
    config = ProjectionConfig("umap", min_dist=0.3)
    assert (config.n_neighbors, config.min_dist, config.metric) == (15, 0.3, "euclidean")
    assert config.perplexity is None
    for method in METHODS.values():
        for parameter in method.parameters:
            assert getattr(ProjectionConfig(method.name), parameter.name) == parameter.default


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"method": "lle"}, "umap, pacmap, tsne, isomap, pca, got 'lle'"),
        ({"method": "pca", "n_neighbors": 5}, "pca has no parameter n_neighbors, got 5"),
        ({"method": "umap", "n_neighbors": 1}, r"n_neighbors must lie in \[2, 200\], got 1"),
        ({"method": "umap", "n_neighbors": 2.5}, "whole number, got 2.5"),
        ({"method": "umap", "min_dist": float("nan")}, "min_dist must lie"),
        ({"method": "tsne", "metric": "taxicab"}, "euclidean, cosine, got 'taxicab'"),
        ({"method": "tsne", "seed": -1}, "seed must lie"),
    ],
)
def test_a_config_out_of_range_says_what_is_allowed(values, words):
    with pytest.raises(ValueError, match=words):
        ProjectionConfig(**values)
