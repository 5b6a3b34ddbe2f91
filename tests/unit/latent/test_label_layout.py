"""Where classes lie, how they part, who their neighbours are, and what is far from training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import OperatorError
from core.latent.label_layout import (
    class_spreads,
    neighborhood_purity,
    separability_matrix,
    split_shifts,
)
from core.latent.neighbor_graph import build_neighbor_graph


def test_a_class_of_copies_has_no_spread_and_a_wide_one_has_some():
    vectors = np.array([[1, 0], [2, 0], [3, 0], [1, 0], [0, 1], [1, 1.0]])
    narrow, wide = class_spreads(vectors, ["a", "a", "a", "b", "b", "b"])
    assert (narrow.label, narrow.n_images) == ("a", 3)
    assert (narrow.spread, narrow.low, narrow.high) == pytest.approx((0, 0, 0), abs=1e-9)
    np.testing.assert_allclose(narrow.centroid, [1, 0])
    assert wide.central_row == 5
    # To the mean of the others: 67.5 degrees for the outer two, none for the one in the middle.
    assert wide.spread == pytest.approx(2 / 3 * (1 - np.cos(np.radians(67.5))), abs=1e-6)
    assert 0 <= wide.low < wide.spread < wide.high <= 2


def test_a_single_image_has_no_spread_and_a_reserved_label_is_no_class():
    (only,) = class_spreads(np.eye(3), ["a", "multiple", None])
    assert (only.label, only.spread, only.low, only.high) == ("a", None, None, None)
    assert only.central_row == 0


def test_classes_apart_are_separable_and_halves_of_one_are_not():
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(np.repeat(np.eye(2, 6) * 9, [40, 20], axis=0) + 3, 1))
    labels = ["a", "b"] * 20 + ["c"] * 20
    separability = separability_matrix(vectors, labels)
    assert separability.labels == ("a", "b", "c")
    auc = separability.auc
    np.testing.assert_array_equal(auc, auc.T)
    assert np.isnan(np.diag(auc)).all()
    assert auc[0, 2] == auc[1, 2] == 1.0
    assert 0.5 <= auc[0, 1] < 0.7


def test_a_class_of_few_images_has_no_separability():
    vectors = np.random.default_rng(0).normal(size=(24, 3))
    auc = separability_matrix(vectors, ["a"] * 10 + ["b"] * 10 + ["c"] * 4).auc
    assert np.isnan(auc[2]).all()
    assert np.isfinite(auc[0, 1])


def test_one_class_is_not_separable_from_any():
    with pytest.raises(OperatorError, match="from two on"):
        separability_matrix(np.eye(6), ["a"] * 6)


def test_purity_counts_labelled_neighbours_only():
    graph = build_neighbor_graph(
        np.array([[0.0], [1.0], [2.1], [3.3], [9.0]]), n_neighbors=2, metric="euclidean"
    )
    purity = neighborhood_purity(graph, ["a", "a", "b", None, None], n_neighbors=2)
    np.testing.assert_array_equal(purity.per_image, [0.5, 0.5, 0, np.nan, np.nan])
    assert purity.per_class == {"a": 0.5, "b": 0.0}
    assert purity.by_chance == {"a": 0.5, "b": 0.0}
    assert purity.n_neighbors == 2


def test_without_labels_there_is_no_purity():
    purity = neighborhood_purity(build_neighbor_graph(np.eye(4)), [None] * 4)
    assert np.isnan(purity.per_image).all()
    assert purity.per_class == {}


def test_another_kind_of_images_is_shifted_and_the_same_kind_is_not():
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(5, 1, (250, 8)))
    vectors[200:] += np.eye(8)[0] * 8
    splits = ["train"] * 100 + ["validation"] * 100 + ["test"] * 50
    train, test, validation = split_shifts(vectors, splits)
    assert [s.split for s in (train, test, validation)] == ["train", "test", "validation"]
    assert (train.auc, train.p, train.is_shifted, train.n_images) == (None, None, False, 100)
    assert test.is_shifted
    assert test.auc > 0.95
    assert not validation.is_shifted
    assert 0.4 < validation.auc < 0.6
    assert test.quantiles[2] > 3 * train.quantiles[2]


def test_copies_of_training_images_lie_nearer_than_usual():
    vectors = np.random.default_rng(0).normal(5, 1, (40, 8))
    shifts = split_shifts(np.vstack([vectors, vectors]), ["train"] * 40 + ["test"] * 40)
    assert shifts[1].auc == 0.0
    assert shifts[1].quantiles == (0, 0, 0, 0, 0)
    assert not shifts[1].is_shifted


def test_twins_within_training_do_not_make_the_others_look_far():
    vectors = np.random.default_rng(0).normal(5, 1, (90, 8))
    twins = np.vstack([vectors[:60], vectors[:60], vectors[60:]])
    splits = ["train"] * 120 + ["test"] * 30
    groups = [*range(60), *range(60), *[-1] * 30]
    assert split_shifts(twins, splits)[1].is_shifted
    assert not split_shifts(twins, splits, groups=groups)[1].is_shifted


def test_training_must_have_images_that_are_no_copies():
    with pytest.raises(OperatorError, match="at least two training images, there are 1"):
        split_shifts(np.eye(3), ["train", "test", "test"])
    with pytest.raises(OperatorError, match="copies of one another"):
        split_shifts(np.eye(3), ["train", "train", "test"], groups=[1, 1, -1])


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 12), seed=st.integers(0, 99), is_constant=st.booleans())
def test_degenerate_sets_have_figures_or_a_sentence(n, seed, is_constant):
    rng = np.random.default_rng(seed)
    vectors = np.zeros((n, 3)) if is_constant else rng.integers(0, 2, (n, 3))
    labels = rng.choice(["a", "b", ""], n).tolist()
    for spread in class_spreads(vectors, labels):
        assert (spread.spread is None) == (spread.n_images == 1)
        assert spread.spread is None or spread.low <= spread.spread <= spread.high
    purity = neighborhood_purity(build_neighbor_graph(vectors), labels)
    assert all(0 <= value <= 1 for value in purity.per_class.values())
    shifts = split_shifts(vectors, ["train", "train", *rng.choice(["train", "test"], n - 2)])
    assert all(s.auc is None or (0 <= s.auc <= 1 and 0 <= s.p <= 1) for s in shifts)
    if min(labels.count("a"), labels.count("b")) >= 5:
        assert np.nanmin(separability_matrix(vectors, labels).auc) >= 0.5
    else:
        with pytest.raises(OperatorError, match="at least 5 images"):
            separability_matrix(vectors, labels)


def test_wrong_calls_are_refused():
    graph = build_neighbor_graph(np.eye(3))
    with pytest.raises(ValueError, match="2 labels, but 3 images"):
        class_spreads(np.eye(3), ["a", "b"])
    with pytest.raises(ValueError, match="n_neighbors must be at least 1, got 0"):
        neighborhood_purity(graph, ["a"] * 3, n_neighbors=0)
    with pytest.raises(ValueError, match="1 splits, but 3 vectors"):
        split_shifts(np.eye(3), ["train"])
    with pytest.raises(ValueError, match="1 groups, but 3 vectors"):
        split_shifts(np.eye(3), ["train"] * 3, groups=[1])
