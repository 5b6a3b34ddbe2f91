"""Few numbers keep what many said: how far apart the images are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OperatorError
from core.latent.reduction import reduce_vectors, unit_rows


def test_with_all_components_distances_are_those_of_the_rooted_rows():
    vectors = np.random.default_rng(0).uniform(0, 1, (8, 3))
    reduced = reduce_vectors(vectors, n_components=3)
    rooted = unit_rows(np.sqrt(vectors))
    expected = np.linalg.norm(rooted[:, None] - rooted, axis=2)
    actual = np.linalg.norm(reduced[:, None] - reduced, axis=2)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_brightness_of_a_whole_row_changes_nothing():
    vectors = np.random.default_rng(0).uniform(0, 1, (6, 4))
    brighter = vectors * np.arange(1, 7)[:, None]
    first, second = (reduce_vectors(v, n_components=2) for v in (vectors, brighter))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_negative_features_keep_their_sign():
    reduced = reduce_vectors(np.array([[4.0, 1.0], [-4.0, 1.0]]), n_components=1)
    np.testing.assert_allclose(np.abs(reduced[:, 0]), np.sqrt(4 / 5), rtol=1e-5)


@pytest.mark.parametrize("n_images", [1, 2, 3])
def test_there_are_no_more_components_than_images(n_images):
    reduced = reduce_vectors(np.eye(n_images, 5), n_components=32)
    assert reduced.shape == (n_images, n_images)
    assert reduced.dtype == np.float32


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([0.0, 1.0, -3.0]))
def test_constant_features_reduce_to_zeros(n_images, n_features, value):
    reduced = reduce_vectors(np.full((n_images, n_features), value), n_components=4)
    np.testing.assert_allclose(reduced, 0, atol=1e-3)


def test_what_is_not_finite_is_refused():
    with pytest.raises(OperatorError, match="not finite"):
        reduce_vectors(np.array([[1.0, np.nan]]), n_components=1)


def test_no_components_are_refused():
    with pytest.raises(ValueError, match="n_components must be at least 1, got 0"):
        reduce_vectors(np.eye(3), n_components=0)
