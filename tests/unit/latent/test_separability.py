"""Silhouettes are scikit-learn's, say how sure they are, and say why where they are undefined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import silhouette_samples as sklearn_samples
from sklearn.metrics import silhouette_score

from core.errors import OperatorError
from core.latent import separability as separability_module
from core.latent.distances import distance_matrix
from core.latent.metrics import METRICS, MetricOptions
from core.latent.separability import encode_labels, measure_separability, silhouette_samples


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Groups of 10, 30 and 20 around three corners of a square of side 10."""
    groups = np.repeat([0, 1, 2], [10, 30, 20])
    corners = np.array([[1, 1], [10, 1], [1, 10]])
    noise = np.random.default_rng(0).normal(0, 0.5, (60, 2))
    return (corners[groups] + noise).astype(np.float32), groups


def _measured(vectors, groups, **options):
    return measure_separability(vectors, {"it": np.asarray(groups)}, **options)["it"]


def test_all_eighteen_are_scikit_learns():
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], [10, 30, 20])
    vectors = np.maximum(rng.normal(size=(3, 20))[groups] + rng.normal(size=(60, 20)), 0)
    vectors = vectors.astype(np.float32)
    found = _measured(vectors, groups)
    assert [score.metric for score in found.scores] == list(METRICS)
    for score in found.scores:
        given = vectors > 0 if METRICS[score.metric].boolean else vectors
        expected = silhouette_score(given, groups, metric=score.metric)
        assert score.value == pytest.approx(expected, abs=1e-5), score.metric
        assert (score.low, score.high, score.why) == (score.value, score.value, "")


def test_each_image_has_its_own_silhouette(blobs):
    vectors, groups = blobs[0], blobs[1].copy()
    groups[0] = 7  # alone in its group: 0
    ours = silhouette_samples(distance_matrix(vectors, "euclidean"), groups)
    np.testing.assert_allclose(ours, sklearn_samples(vectors, groups), atol=1e-6)
    assert ours[0] == 0


def test_squared_and_angular_distances_beat_euclidean_as_in_table_1():
    """Groups that differ in direction, and images in strength: features as a network makes them."""
    rng = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 30)
    directions = np.abs(rng.normal(size=(3, 50)))
    strengths = rng.uniform(0.5, 1.5, (90, 1))
    vectors = np.maximum(strengths * (directions[groups] + rng.normal(0, 0.4, (90, 50))), 0)
    found = _measured(vectors, groups)
    for metric in ("sqeuclidean", "cosine", "correlation"):
        assert found[metric].value > 1.3 * found["euclidean"].value
        assert found[metric].value > 1.3 * found["l1"].value
    assert found.best == found.ranked[0].metric


def test_noise_is_left_out_of_the_score(blobs):
    vectors, groups = blobs
    with_noise = np.vstack([vectors, [[5.0, 5.0]] * 8])
    found = _measured(with_noise, np.append(groups, [-1] * 8), metrics=["euclidean"])
    assert found["euclidean"].value == pytest.approx(silhouette_score(vectors, groups), abs=1e-6)
    assert (found.n_groups, found.n_counted, found.n_left_out) == (3, 60, 8)
    assert "8 of 68 images belong to no group and are left out." in found.notes


def test_several_labellings_are_measured_side_by_side(blobs):
    vectors, groups = blobs
    labels = [None if i % 3 else "abc"[group] for i, group in enumerate(groups)]
    labellings = {
        "clusters": groups,
        "shuffled": np.random.default_rng(0).permutation(groups),
        "classes": encode_labels(labels),
    }
    found = measure_separability(vectors, labellings, metrics=["cosine", "euclidean"])
    assert list(found) == list(labellings)
    assert found["clusters"]["euclidean"].value > 0.8 > 0.1 > found["shuffled"]["euclidean"].value
    assert (found["classes"].n_counted, found["classes"].n_groups) == (20, 3)
    alone = _measured(vectors, labellings["classes"], metrics=["cosine", "euclidean"])
    assert found["classes"] == alone


def test_a_large_set_is_measured_in_draws_with_an_interval(blobs, monkeypatch):
    monkeypatch.setattr(separability_module, "DRAW_SIZE", 30)
    vectors, groups = blobs
    found = _measured(vectors, groups, seed=1)
    assert (found.n_measured, found.n_draws) == (30, 5)
    assert "Measured on 5 random draws of 30 from 60 images" in found.notes[-1]
    for score in found.scores:
        if score.value is not None:
            assert score.low <= score.value <= score.high
    score = found["euclidean"]
    assert score.low < silhouette_score(vectors, groups) < score.high
    assert found == _measured(vectors, groups, seed=1)
    assert found != _measured(vectors, groups, seed=2)


def test_progress_names_the_metric(blobs):
    steps = []
    _measured(*blobs, metrics=["l2", "cosine"], on_progress=lambda *step: steps.append(step))
    assert steps == [(0.0, "Euclidean"), (0.5, "Cosine")]


@pytest.mark.parametrize(
    ("vectors", "groups", "why"),
    [
        (np.eye(3), [0, 0, 0], "There is only one group"),
        (np.eye(3), [-1, -1, -1], "No image belongs to a group"),
        (np.eye(3), [0, 1, 2], "Every image is a group of its own."),
        (np.eye(3), [0, -1, -1], "There is only one group"),
        (np.ones((6, 2)), [0, 0, 0, 1, 1, 1], "All images are equal under this metric."),
        (np.empty((0, 2)), [], "No image belongs to a group"),
    ],
)
def test_what_is_undefined_says_why(vectors, groups, why):
    found = _measured(vectors, np.array(groups, dtype=int), metrics=["cosine", "yule"])
    for score in found.scores:
        assert (score.value, score.low, score.high) == (None, None, None)
        assert score.why.startswith(why)
    assert found.best is None


def test_three_images_in_two_groups_have_a_silhouette():
    found = _measured(np.array([[0.0, 1], [0, 2], [9, 9]]), [0, 0, 1])
    assert found["euclidean"].value == pytest.approx(0.58, abs=0.05)


def test_missing_features_leave_nan_euclidean_alone(blobs):
    vectors, groups = blobs[0].copy(), blobs[1]
    vectors[::7, 0] = np.nan
    found = _measured(vectors, groups)
    assert found.best == "nan_euclidean"
    expected = silhouette_score(_filled(vectors), groups, metric="precomputed")
    assert found["nan_euclidean"].value == pytest.approx(expected, abs=1e-5)
    assert {score.why for score in found.scores if score.value is None} == {
        "Some features are missing (NaN); only nan_euclidean is defined for them."
    }


def _filled(vectors):
    from sklearn.metrics.pairwise import nan_euclidean_distances

    distances = nan_euclidean_distances(vectors)
    np.fill_diagonal(distances, 0)
    return distances


def test_images_without_a_feature_in_common_are_said():
    vectors = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0]])
    found = _measured(vectors, [0, 0, 1], metrics=["nan_euclidean"])
    assert found.scores[0].why == "Some images have no feature in common."


def test_the_options_and_the_scale_are_said(blobs):
    found = _measured(*blobs, options=MetricOptions(binarise="median"))
    assert found.options.binarise == "median"
    assert any("above its median" in note for note in found.notes)
    assert "compare runs under one metric" in found.notes[0]
    assert not any("boolean" in note for note in _measured(*blobs, metrics=["cosine"]).notes)


def test_wrong_shapes_and_infinite_features_are_refused(blobs):
    with pytest.raises(ValueError, match=r"labelling 'it' must have shape \(60,\), got \(3,\)"):
        _measured(blobs[0], [0, 1, 1])
    with pytest.raises(ValueError, match="vectors must have shape"):
        _measured(np.zeros(3), [0, 1, 1])
    with pytest.raises(OperatorError, match="not finite"):
        _measured(np.array([[np.inf], [1.0], [2.0]]), [0, 1, 1])


def test_labels_become_groups_and_none_becomes_no_group():
    assert encode_labels(["run", None, "dirt", "", "run"]).tolist() == [1, -1, 0, -1, 1]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_labelling_of_any_images_gives_a_value_or_a_reason(data):
    n = data.draw(st.integers(1, 8))
    vectors = data.draw(arrays(np.float32, (n, 2), elements=st.floats(-9, 9, width=16)))
    groups = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=n, max_size=n)))
    for score in _measured(vectors, groups).scores:
        assert (score.value is None) == bool(score.why)
        assert score.value is None or -1 <= score.value <= 1
