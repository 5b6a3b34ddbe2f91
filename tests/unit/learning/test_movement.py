"""Turning, mirroring, scaling and shifting a map moves no image; training pulls classes apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import procrustes
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from core.learning.movement import align_map, measure_separation


@pytest.fixture
def first() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (50, 2)) + [20, -5]


@pytest.mark.parametrize("mirror", [1, -1])
def test_a_map_that_is_only_turned_mirrored_scaled_and_shifted_has_not_moved(first, mirror) -> None:
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]) * [1, mirror]
    found = align_map(first, first @ turn * 0.01 + 700)
    np.testing.assert_allclose(found.aligned, first, atol=1e-8)
    np.testing.assert_allclose(found.movement, 0, atol=1e-8)
    assert found.disparity == pytest.approx(0, abs=1e-8)
    assert found.scale == pytest.approx(100)
    assert found.is_mirrored == (mirror < 0)


def test_the_image_that_moved_is_told_from_those_that_stayed(first) -> None:
    second = first.copy()
    second[7] += [radius_of(first), 0]
    found = align_map(first, second)
    assert found.movement.argmax() == 7
    assert found.movement[7] == pytest.approx(1, abs=0.05)
    assert np.delete(found.movement, 7).max() < 0.1


def radius_of(places: np.ndarray) -> float:
    return float(np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean()))


def test_the_disparity_is_scipys_and_the_squared_movements_add_up_to_it(first) -> None:
    second = np.random.default_rng(1).normal(size=(50, 2)) + 0.5 * first
    found = align_map(first, second)
    _, _, expected = procrustes(first, second)
    assert found.disparity == pytest.approx(expected)
    assert (found.movement**2).mean() == pytest.approx(expected)
    assert found.radius == pytest.approx(radius_of(first))


def test_a_map_that_is_one_point_has_nothing_to_lay_over(first) -> None:
    point = np.full((50, 2), 0.1)
    onto_middle = align_map(first, point)
    assert onto_middle.disparity is None
    assert (onto_middle.movement**2).mean() == pytest.approx(1)
    assert onto_middle.why.startswith("All images lie in one point")
    from_point = align_map(point, first)
    assert from_point.movement is from_point.disparity is None
    np.testing.assert_allclose(from_point.aligned, point)


def test_maps_that_do_not_match_are_refused(first) -> None:
    with pytest.raises(ValueError, match=r"got \(50, 2\) and \(49, 2\)"):
        align_map(first, first[1:])
    with pytest.raises(ValueError, match=r"got \(0, 2\) and \(0, 2\)"):
        align_map(first[:0], first[:0])
    with pytest.raises(ValueError, match="must be finite"):
        align_map(first, first * np.nan)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_two_maps_give_nan(data: st.DataObject) -> None:
    shape = (data.draw(st.integers(1, 6)), 2)
    places = arrays(np.float32, shape, elements=st.floats(-1e6, 1e6, width=32))
    found = align_map(data.draw(places), data.draw(places))
    assert np.isfinite(found.aligned).all()
    assert found.movement is None or np.isfinite(found.movement).all()
    assert found.disparity is None or 0 <= found.disparity <= 1
    assert bool(found.why) == (found.disparity is None)
    assert found.scale >= 0


def spread_out(gap: float) -> tuple[np.ndarray, list[str | None]]:
    """Twenty images of each of three classes, further apart the larger the gap."""
    kinds = np.repeat([0, 1, 2], 20)
    noise = np.random.default_rng(0).normal(0, 1, (60, 4))
    return np.eye(3, 4)[kinds] * gap + noise, [("dirt", "drop", "scratch")[kind] for kind in kinds]


def test_separation_is_scikit_learns_and_higher_for_classes_further_apart() -> None:
    for gap in (1.5, 8.0):
        features, labels = spread_out(gap)
        found = measure_separation(features, labels)
        clusters = KMeans(3, n_init=10, random_state=0).fit_predict(features.astype(np.float32))
        assert found.adjusted_rand_index == pytest.approx(adjusted_rand_score(labels, clusters))
        expected = silhouette_score(features, labels, metric="cosine")
        assert found.silhouette == pytest.approx(expected, abs=1e-5)
        assert (found.n_images, found.n_labels, found.why) == (60, 3, "")
    before, after = (measure_separation(*spread_out(gap)) for gap in (1.5, 8.0))
    assert before.silhouette < after.silhouette
    assert before.adjusted_rand_index < after.adjusted_rand_index == 1


def test_images_without_a_label_are_left_out() -> None:
    features, labels = spread_out(4.0)
    more = np.vstack([features, np.full((5, 4), 1e3)])
    assert measure_separation(more, [*labels, *[None] * 4, ""]) == measure_separation(
        features, labels
    )


def test_what_cannot_be_separated_says_why() -> None:
    features, _ = spread_out(4.0)
    alone = measure_separation(features, ["dirt"] * 60)
    assert (alone.adjusted_rand_index, alone.silhouette) == (None, None)
    assert alone.why == "There is only one label, and at least two are compared."
    assert measure_separation(features, [None] * 60).why == "No image has a label."
    equal = measure_separation(np.ones((4, 3)), ["dirt", "dirt", "drop", "drop"])
    assert equal.silhouette is None
    assert equal.why == "All images are equal under this metric."
    assert equal.adjusted_rand_index == 0
    with pytest.raises(ValueError, match="60 rows of features, but 1 labels"):
        measure_separation(features, ["dirt"])


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_no_features_and_labels_give_nan(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 8))
    features = data.draw(arrays(np.float32, (n, 2), elements=st.integers(-2, 2)))
    labels = data.draw(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=n, max_size=n))
    found = measure_separation(features, labels)
    for value in (found.adjusted_rand_index, found.silhouette):
        assert value is None or -1 <= value <= 1
    assert (found.silhouette is None) == bool(found.why)
