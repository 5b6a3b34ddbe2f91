"""The most useful image comes first, and nobody can tell an audited one by its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import chisquare

from core.errors import OperatorError
from core.triage import ordering
from core.triage.ordering import (
    group_alike,
    mix_in,
    order_by_diversity,
    order_by_novelty,
    order_by_uncertainty,
)

features_of_any_kind = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 30), st.integers(1, 4)),
    elements=st.floats(-1e3, 1e3, width=32),
)


def first_rows(places: np.ndarray, n: int) -> list[int]:
    return np.argsort(places, kind="stable")[:n].tolist()


def corners(n_each: int, *, seed: int = 0) -> np.ndarray:
    """Three tight clouds, `n_each` images in the first, half and a third of that in the others."""
    rng = np.random.default_rng(seed)
    middles = np.repeat([[0, 0], [10, 0], [0, 10]], [n_each, n_each // 2, n_each // 3], axis=0)
    return (middles + 0.1 * rng.standard_normal(middles.shape)).astype(np.float32)


def distance_to_nearest(points: np.ndarray, centers: np.ndarray) -> float:
    return float(np.linalg.norm(points[:, None] - centers[None], axis=2).min(axis=1).max())


def test_two_classes_that_are_equally_likely_come_before_a_sure_one() -> None:
    places = order_by_uncertainty(np.array([[0.9, 0.05, 0.05], [0.4, 0.4, 0.2], [0.5, 0.3, 0.2]]))
    assert places.tolist() == pytest.approx([5 / 6, 1 / 6, 3 / 6])


def test_it_is_the_margin_that_counts_and_not_the_highest_probability() -> None:
    doubtful, spread = [0.49, 0.48, 0.03], [0.4, 0.3, 0.3]
    assert first_rows(order_by_uncertainty(np.array([spread, doubtful])), 1) == [1]


def test_with_one_class_the_least_probable_comes_first() -> None:
    assert first_rows(order_by_uncertainty(np.array([[0.9], [0.2]])), 1) == [1]


def test_the_most_novel_comes_first_and_equal_ones_share_their_place() -> None:
    assert order_by_novelty(np.array([1.0, 3.0, 1.0, 2.0])).tolist() == [0.75, 0.125, 0.75, 0.375]


def test_images_that_cannot_be_ordered_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        order_by_uncertainty(np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        order_by_uncertainty(np.zeros((3, 0)))
    for value in (np.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            order_by_uncertainty(np.array([[0.5, value]]))
    with pytest.raises(ValueError, match="finite"):
        order_by_novelty(np.array([np.inf]))
    with pytest.raises(OperatorError, match="not finite"):
        order_by_diversity(np.array([[np.nan]]), np.zeros((0, 1)), seed=0)


@given(st.lists(st.floats(-1e6, 1e6), max_size=40))
def test_whatever_the_novelty_places_are_ranks_between_0_and_1(values: list[float]) -> None:
    places = order_by_novelty(np.array(values))
    assert len(places) == len(values)
    assert ((places > 0) & (places < 1)).all()
    assert places.sum() == pytest.approx(len(values) / 2)
    for one, other in zip(np.argsort(places)[:-1], np.argsort(places)[1:], strict=True):
        assert values[one] >= values[other]


def test_the_first_three_diverse_images_are_of_three_clouds() -> None:
    points = corners(60)
    places = order_by_diversity(points, np.zeros((0, 2)), seed=0)
    clouds = {0 if row < 60 else 1 if row < 90 else 2 for row in first_rows(places, 3)}
    assert clouds == {0, 1, 2}


def test_a_cloud_that_is_labelled_already_comes_last() -> None:
    points = corners(60)
    labelled = np.array([[0.0, 0.0], [10.0, 0.0]])
    places = order_by_diversity(points, labelled, n_centers=1, seed=0)
    assert all(row >= 90 for row in first_rows(places, 1))
    labelled_and_taken = order_by_diversity(points[:90], labelled, n_centers=4, seed=0)
    assert len(np.unique(labelled_and_taken)) == 90
    far = np.linalg.norm(points[:90, None] - labelled[None], axis=2).min(axis=1)
    assert first_rows(labelled_and_taken, 1) == [int(far.argmax())]


def test_images_after_the_centres_follow_by_their_distance() -> None:
    points = np.array([[0.0], [1.0], [2.0], [4.0], [8.0]])
    places = order_by_diversity(points, np.zeros((1, 1)), n_centers=1, seed=0)
    # 8 is the centre; 4 lies 4 from both, 2 and 1 are nearer to the labelled 0.
    assert first_rows(places, 5) == [4, 3, 2, 1, 0]


def test_without_labels_the_most_typical_image_begins() -> None:
    places = order_by_diversity(np.array([[0.0], [5.0], [9.0]]), np.zeros((0, 1)), seed=0)
    assert first_rows(places, 3) == [1, 0, 2]


def test_greedy_centres_reach_at_most_twice_as_far_as_any_others_could() -> None:
    points = np.random.default_rng(5).random((14, 2))
    places = order_by_diversity(points, np.zeros((0, 2)), n_centers=3, seed=0)
    reached = distance_to_nearest(points, points[first_rows(places, 3)])
    rows = range(len(points))
    best = min(
        distance_to_nearest(points, points[[i, j, k]])
        for i in rows
        for j in rows[i + 1 :]
        for k in rows[j + 1 :]
    )
    assert best <= reached <= 2 * best + 1e-6


def test_copies_of_an_image_do_not_come_before_another_image() -> None:
    points = np.array([[1.0, 0.0]] * 8 + [[0.0, 1.0]])
    places = order_by_diversity(points, np.zeros((0, 2)), seed=0)
    assert 8 in first_rows(places, 2)
    assert len(np.unique(places)) == 3  # two centres, and seven copies that share a place


def test_a_large_set_is_projected_and_still_finds_the_clouds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ordering, "EXACT_LIMIT", 1_000)
    rng = np.random.default_rng(1)
    # Far from 0, so that labelled images must be seen from the same middle as the others.
    middles = 30 + np.repeat(10 * rng.standard_normal((4, 200)), [70, 20, 5, 5], axis=0)
    points = middles + rng.standard_normal(middles.shape)
    places = order_by_diversity(points, np.zeros((0, 200)), n_centers=4, seed=3)
    found = np.searchsorted([70, 90, 95], first_rows(places, 4), side="right")
    assert sorted(found.tolist()) == [0, 1, 2, 3]
    again = order_by_diversity(points, np.zeros((0, 200)), n_centers=4, seed=3)
    assert places.tolist() == again.tolist()
    labelled = order_by_diversity(points, points[:95], n_centers=1, seed=3)
    assert first_rows(labelled, 1)[0] >= 95
    assert len(set(labelled[:95])) == 1  # all at no distance from themselves


def test_of_many_labelled_images_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "LABELLED_LIMIT", 3)
    labelled = np.zeros((500, 2))
    places = order_by_diversity(np.array([[0.0, 0.0], [1.0, 0.0]]), labelled, seed=0)
    assert first_rows(places, 2) == [1, 0]


@given(features_of_any_kind, st.integers(0, 5), st.integers(1, 40))
@settings(deadline=None)
def test_whatever_the_features_every_image_has_a_place(
    features: np.ndarray, n_labelled: int, n_centers: int
) -> None:
    places = order_by_diversity(features, features[:n_labelled], n_centers=n_centers, seed=0)
    assert places.shape == (len(features),)
    assert ((places > 0) & (places < 1)).all()
    assert places.sum() == pytest.approx(len(features) / 2)


def test_features_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="n_centers"):
        order_by_diversity(np.zeros((2, 2)), np.zeros((0, 2)), n_centers=0, seed=0)
    with pytest.raises(ValueError, match="2 features"):
        order_by_diversity(np.zeros((2, 2)), np.zeros((1, 3)), seed=0)
    with pytest.raises(ValueError, match="shape"):
        order_by_diversity(np.zeros(2), np.zeros((1, 3)), seed=0)


def test_an_image_mixed_in_stands_at_every_position_equally_often() -> None:
    places = np.array([0.01, 0.02, 0.03, 0.9])
    positions = [int((places < mix_in(places, 1, seed=seed)[0]).sum()) for seed in range(2_000)]
    counts = np.bincount(positions, minlength=5)
    assert chisquare(counts).pvalue > 0.001
    # Drawn from [0, 1] instead, they would crowd in the gap before 0.9.
    uniform = np.searchsorted(places, np.random.default_rng(0).random(2_000))
    assert chisquare(np.bincount(uniform, minlength=5)).pvalue < 0.001


def test_two_images_mixed_in_stand_at_any_two_positions_equally_often() -> None:
    places = np.array([0.2, 0.4])
    pairs = []
    for seed in range(3_000):
        extra = mix_in(places, 2, seed=seed)
        ranks = np.argsort(np.argsort(np.concatenate([places, extra])))[2:]
        pairs.append(tuple(ranks.tolist()))
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(counts) == 12  # ordered: which of the two comes first is drawn too
    assert chisquare(counts).pvalue > 0.001


def test_with_no_others_places_are_spread_over_all() -> None:
    extra = mix_in(np.zeros(0), 400, seed=1)
    assert chisquare(np.histogram(extra, bins=4, range=(0, 1))[0]).pvalue > 0.001


@given(st.lists(st.floats(0, 1), max_size=20), st.integers(0, 20), st.integers(0, 99))
def test_whatever_the_places_those_mixed_in_lie_between_0_and_1(
    places: list[float], n_extra: int, seed: int
) -> None:
    extra = mix_in(np.array(places), n_extra, seed=seed)
    assert extra.shape == (n_extra,)
    assert ((extra >= 0) & (extra <= 1)).all()


def test_places_out_of_range_and_fewer_than_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="places"):
        mix_in(np.array([1.2]), 1, seed=0)
    with pytest.raises(ValueError, match="n_extra"):
        mix_in(np.zeros(1), -1, seed=0)


def test_a_group_is_of_one_suggestion_and_of_one_cloud() -> None:
    points = np.concatenate([corners(24, seed=1)[:36], corners(24, seed=2)[:36]])
    suggested = ["dirt"] * 36 + ["drop"] * 36
    groups = group_alike(points, suggested, size=18, seed=0)
    clouds = np.tile([0] * 24 + [1] * 12, 2)
    for number in range(groups.max() + 1):
        rows = np.flatnonzero(groups == number)
        assert len({suggested[row] for row in rows}) == 1
        assert len({int(clouds[row]) for row in rows}) == 1


def test_an_image_without_a_suggestion_is_in_no_group() -> None:
    groups = group_alike(np.zeros((4, 2)), ["dirt", None, "", "dirt"], seed=0)
    assert groups.tolist() == [0, -1, -1, 0]
    assert group_alike(np.zeros((2, 2)), [None, None], seed=0).tolist() == [-1, -1]


def test_a_group_that_is_too_large_is_cut_so_that_neighbours_stay_together() -> None:
    # One image far away is a cluster by itself, and the line of the others one of a hundred.
    line = np.random.default_rng(0).permutation(np.linspace(0, 1, 100))
    groups = group_alike(np.append(line, 1e3)[:, None], ["dirt"] * 101, size=60, limit=60, seed=0)
    assert sorted(np.bincount(groups).tolist()) == [1, 50, 50]
    halves = [set(groups[:100][part]) for part in (line < 0.5, line > 0.5)]
    assert [len(half) for half in halves] == [1, 1]
    assert halves[0] != halves[1]


def test_copies_of_one_image_are_cut_into_equal_parts() -> None:
    groups = group_alike(np.ones((100, 1)), ["dirt"] * 100, size=10, limit=30, seed=0)
    assert np.bincount(groups).tolist() == [25, 25, 25, 25]


@given(features_of_any_kind, st.integers(1, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_the_features_groups_have_no_gap_and_keep_the_limit(
    features: np.ndarray, size: int, data: st.DataObject
) -> None:
    n = len(features)
    labels = st.sampled_from([None, "dirt", "drop"])
    suggested = data.draw(st.lists(labels, min_size=n, max_size=n))
    groups = group_alike(features, suggested, size=size, limit=6, seed=0)
    assert [each >= 0 for each in groups] == [label is not None for label in suggested]
    grouped = groups[groups >= 0]
    counts = np.bincount(grouped) if len(grouped) else np.zeros(0, int)
    assert ((counts >= 1) & (counts <= 6)).all()
    for number in range(len(counts)):
        assert len({suggested[row] for row in np.flatnonzero(groups == number)}) == 1


def test_sizes_and_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="suggestions"):
        group_alike(np.zeros((2, 2)), ["dirt"], seed=0)
    for size in (0, 49):
        with pytest.raises(ValueError, match="size"):
            group_alike(np.zeros((1, 2)), ["dirt"], size=size, seed=0)
