"""A few images say where a new class lies: what is like them ranks above all that is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.learning.prototypes import fit_prototype


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
