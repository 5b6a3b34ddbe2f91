"""A few images say where a new class lies: what is like them ranks above all that is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learning.prototypes import fit_prototype, left_out_shares, rank_candidates


def clouds(seed: int = 0, *, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of 60 images about far places, of 20 features; their features and classes."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), 60)
    features = rng.normal(0.0, spread, (180, 20))
    features[np.arange(180), targets] += 6.0
    return features, targets


def test_other_images_of_the_new_class_rank_above_the_known_ones() -> None:
    features, targets = clouds()
    new = np.flatnonzero(targets == 2)
    known, labelled = features[targets < 2], targets[targets < 2]
    prototype = fit_prototype(features[new[:5]], known[::2], labelled[::2])
    assert prototype.score(features[new[5:]]).min() > prototype.score(known[1::2]).max()
    assert (prototype.score(features[new[5:]]) > 0).all()
    assert (prototype.score(known[1::2]) < 0).all()


def test_a_direction_in_which_all_classes_spread_says_nothing() -> None:
    features, targets = clouds(spread=0.5)
    features[:, 10] *= 60.0  # lighting, say
    new = np.flatnonzero(targets == 2)
    known, labelled = features[targets < 2], targets[targets < 2]
    prototype = fit_prototype(features[new[:5]], known[::2], labelled[::2])
    assert prototype.score(features[new[5:]]).min() > prototype.score(known[1::2]).max()


def test_one_example_is_enough_to_rank_by() -> None:
    features, targets = clouds()
    new = np.flatnonzero(targets == 2)
    known, labelled = features[targets < 2], targets[targets < 2]
    prototype = fit_prototype(features[new[:1]], known, labelled)
    found = prototype.score(features)
    assert np.median(found[new]) > np.quantile(found[targets < 2], 0.95)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5))
def test_scores_are_finite_for_images_that_are_all_alike(
    n_examples: int, n_known: int, n_features: int
) -> None:
    examples, known = np.ones((n_examples, n_features)), np.ones((n_known, n_features))
    prototype = fit_prototype(examples, known, np.zeros(n_known, np.int64))
    assert np.isfinite(prototype.score(np.ones((3, n_features)))).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"examples": np.zeros((0, 2))}, "0 examples"),
        ({"examples": np.zeros((1, 3))}, "3 features"),
        ({"targets": np.array([0])}, "1 targets"),
        ({"targets": np.array([0, 2])}, "class 1"),
        ({"known": np.array([[0.0, np.nan], [1.0, 1.0]])}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, said: str) -> None:
    usual = {
        "examples": np.zeros((1, 2)), "known": np.eye(2), "targets": np.array([0, 1])
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        fit_prototype(**(usual | change))


def test_candidates_come_in_the_order_of_their_scores_with_the_share_of_known_as_high():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(200, 6)) + 6 * np.eye(6)[np.arange(200) % 2]
    fresh = rng.normal(size=(30, 6)) + 6 * np.eye(6)[3]
    images = np.concatenate([fresh[5:], known[:50]])
    found = rank_candidates(fresh[:5], known, np.arange(200) % 2, images)
    assert (np.diff(found.scores[found.order]) <= 0).all()
    assert (found.order[:25] < 25).all()
    assert (found.known_share[:25] <= 0.01).all()
    assert found.known_share[25:].mean() > 0.3


def test_examples_left_out_are_found_again_where_they_are_of_one_kind_and_only_there():
    rng = np.random.default_rng(1)
    known, targets = rng.normal(size=(100, 6)), np.zeros(100, np.int64)
    alike = rng.normal(0, 0.3, (5, 6)) + 8
    assert max(left_out_shares(alike, known, targets)) == 0.0
    assert min(left_out_shares(known[:5] + 0.01, known, targets)) > 0.01
    assert left_out_shares(alike[:1], known, targets) == []
    assert len(left_out_shares(alike, known, targets, most=2)) == 2
