"""Each of Table 1's eighteen metrics is what SciPy and scikit-learn say, or its definition says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import nan_euclidean_distances

from core.errors import OperatorError
from core.latent.distances import distance_matrix, make_comparable
from core.latent.metrics import METRICS, MetricOptions, find_metric

BOOLEAN = [metric.name for metric in METRICS.values() if metric.boolean]


@pytest.fixture
def vectors() -> np.ndarray:
    """600 images of 40 features after a ReLU: half of them 0."""
    return np.maximum(np.random.default_rng(0).normal(size=(600, 40)), 0).astype(np.float32)


def test_the_metrics_are_the_eighteen_of_table_1_in_its_order():
    assert " ".join(METRICS) == (
        "euclidean cosine cityblock braycurtis canberra chebyshev correlation dice hamming "
        "jaccard minkowski rogerstanimoto russellrao seuclidean sokalsneath sqeuclidean yule "
        "nan_euclidean"
    )


def test_a_metric_is_found_by_the_other_names_of_table_1():
    aliases = ("l2", "l1", "manhattan", "sokalmichener")
    assert [find_metric(alias).name for alias in aliases] == [
        "euclidean",
        "cityblock",
        "cityblock",
        "rogerstanimoto",
    ]
    with pytest.raises(ValueError, match=r"metric must be one of euclidean, .* got 'kulczynski1'"):
        find_metric("kulczynski1")


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_scikit_learn(metric, vectors):
    theirs = pairwise_distances(vectors > 0 if metric in BOOLEAN else vectors, metric=metric)
    np.fill_diagonal(theirs, 0.0)
    ours = distance_matrix(vectors, metric)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    assert ours.dtype == np.float32


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_of_rows_are_the_rows_of_all_distances(metric, vectors):
    rows = make_comparable(vectors, metric)
    blocks = list(rows.blocks())
    assert [(some.start, some.stop) for some, _ in blocks] == [(0, 512), (512, 600)]
    np.testing.assert_allclose(
        np.vstack([block for _, block in blocks]), rows.distances(), rtol=1e-5, atol=1e-6
    )


# Two images with 2 features active in both, 1 only in the first, 3 only in the second, 4 in none.
FIRST = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
SECOND = [1, 1, 0, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("dice", 4 / (2 * 2 + 4)),
        ("jaccard", 4 / (2 + 4)),
        ("rogerstanimoto", 2 * 4 / (2 + 4 + 2 * 4)),
        ("sokalmichener", 2 * 4 / (2 + 4 + 2 * 4)),
        ("russellrao", (10 - 2) / 10),
        ("sokalsneath", 2 * 4 / (2 + 2 * 4)),
        ("yule", 2 * 1 * 3 / (2 * 4 + 1 * 3)),
        ("hamming", 4 / 10),
    ],
)
def test_counts_of_active_features_make_the_distance_by_hand(metric, expected):
    distances = distance_matrix(np.array([FIRST, SECOND], dtype=float), metric)
    np.testing.assert_allclose(distances, [[0, expected], [expected, 0]], rtol=1e-6)


def test_a_feature_is_active_where_it_is_not_zero_or_above_its_median():
    vectors = np.array([[5.0, -1.0], [6.0, 1.0], [7.0, 2.0]])
    assert distance_matrix(vectors, "jaccard").max() == 0  # all active
    by_median = distance_matrix(vectors, "jaccard", MetricOptions(binarise="median"))
    np.testing.assert_array_equal(by_median, [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    with pytest.raises(ValueError, match="binarise must be one of nonzero, median, got 'mean'"):
        MetricOptions(binarise="mean")


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
def test_zero_vectors_are_at_0_from_each_other_and_at_1_from_any_other(metric):
    distances = distance_matrix(np.array([[0, 0, 0], [0, 0, 0], [1, 2, 4]]), metric)
    np.testing.assert_array_equal(distances, [[0, 0, 1], [0, 0, 1], [1, 1, 0]])


def test_a_constant_image_has_no_correlation_and_a_constant_feature_no_say():
    vectors = np.array([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7], [0.1, 0.2, 0.4]])
    assert distance_matrix(vectors, "correlation")[0].tolist() == [0, 0, 1]
    constant = np.array([[3.0, 0.0], [3.0, 1.0], [3.0, 2.0]])
    np.testing.assert_allclose(distance_matrix(constant, "seuclidean")[0], [0, 1, 2])


def test_missing_features_are_left_out_and_made_up_for():
    vectors = np.array([[3.0, np.nan, 5.0], [1.0, 2.0, 2.0], [np.nan, 7.0, np.nan]])
    ours = distance_matrix(vectors, "nan_euclidean")
    np.testing.assert_allclose(ours, nan_euclidean_distances(vectors), rtol=1e-6)
    assert np.isnan(ours[0, 2])  # no feature in common
    with pytest.raises(OperatorError, match=r"2 of 3 images lack features.*Only nan_euclidean"):
        distance_matrix(vectors, "cosine")


@pytest.mark.parametrize("metric", METRICS)
def test_infinite_features_are_refused(metric):
    with pytest.raises(OperatorError, match="not finite"):
        distance_matrix(np.array([[1.0, np.inf], [1.0, 2.0]]), metric)


def test_images_far_from_the_origin_keep_their_distances():
    vectors = np.array([[1e6, 1e6], [1e6 + 3, 1e6 + 4]], dtype=np.float32)
    assert distance_matrix(vectors, "euclidean")[0, 1] == 5
    assert distance_matrix(vectors, "sqeuclidean")[0, 1] == 25


@pytest.mark.parametrize("metric", sorted(METRICS.keys() - {"russellrao"}))
def test_duplicates_lie_on_each_other(metric):
    image = np.random.default_rng(1).normal(100, 1, (1, 300))
    assert distance_matrix(np.repeat(image, 5, axis=0), metric).max() == 0


@settings(max_examples=25, deadline=None)
@given(
    vectors=arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6, width=32),
    ),
    metric=st.sampled_from(list(METRICS)),
    binarise=st.sampled_from(["nonzero", "median"]),
)
def test_distances_are_finite_and_the_same_both_ways(vectors, metric, binarise):
    distances = distance_matrix(vectors, metric, MetricOptions(binarise=binarise))
    assert np.isfinite(distances).all()
    assert (distances >= 0).all()
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()


def test_other_rows_are_compared_on_the_scale_of_all():
    vectors = np.array([[0.0, 0.0], [1.0, 100.0], [2.0, 200.0]])
    rows = make_comparable(vectors, "seuclidean").take(np.array([0, 2]))
    expected = cdist(vectors, vectors, "seuclidean", V=vectors.var(axis=0, ddof=1))[0, 2]
    assert rows.distances()[0, 1] == pytest.approx(expected)
