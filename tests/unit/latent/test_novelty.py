"""An image unlike all known classes lies farther from them than theirs do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.metrics import roc_auc_score

from core.latent.novelty import fit_novelty_scorer

FAR = 30.0  # from the origin, so that the directions of features lie as the features do


def clouds(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes far along the fourth axis, long along the third and thin along the others."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 2
    features = rng.normal(size=(n, 4)) * [0.2, 0.2, 5.0, 0.2]
    features[:, 0] += 4.0 * targets
    features[:, 3] += FAR
    return features.astype(np.float32), targets


def test_what_lies_off_the_classes_scores_higher_than_what_lies_far_along_them() -> None:
    scorer = fit_novelty_scorer(*clouds(200))
    along, beside = np.array([[0, 0, 6, FAR]]), np.array([[0, 3, 0, FAR]])
    assert scorer.score(beside)[0] > 3 * scorer.score(along)[0]


def test_a_new_class_is_told_from_new_images_of_the_known_ones() -> None:
    scorer = fit_novelty_scorer(*clouds(200))
    known, _ = clouds(100, seed=1)
    new = known + np.array([0, 2, 0, 0], np.float32)
    is_new = np.repeat([False, True], 100)
    assert roc_auc_score(is_new, scorer.score(np.concatenate([known, new]))) > 0.99


def test_distances_are_mahalanobiss_in_the_components() -> None:
    features, targets = clouds(60)
    scorer = fit_novelty_scorer(features, targets)
    direction = features[:1] / np.linalg.norm(features[:1].astype(np.float64))
    place = (direction - scorer.mean) @ scorer.components.T
    precision = scorer.whitening @ scorer.whitening.T
    expected = [mahalanobis(place[0], mean, precision) for mean in scorer.class_means]
    np.testing.assert_allclose(scorer.distances(features[:1])[0], expected, rtol=1e-8)


def test_the_length_of_a_feature_vector_tells_nothing() -> None:
    features, targets = clouds(60)
    scorer = fit_novelty_scorer(features, targets)
    np.testing.assert_allclose(scorer.score(7.0 * features), scorer.score(features), rtol=1e-5)


def test_the_nearest_class_is_the_images_own() -> None:
    features, targets = clouds(60)
    found = fit_novelty_scorer(features, targets).distances(features).argmin(axis=1)
    assert found.tolist() == targets.tolist()


@given(st.integers(2, 12), st.integers(1, 5), st.booleans(), st.integers(1, 100), st.integers(0, 9))
def test_scores_are_finite_whatever_the_images(
    n: int, n_features: int, are_alike: bool, n_components: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    features = np.ones((n, n_features)) if are_alike else rng.normal(size=(n, n_features))
    scorer = fit_novelty_scorer(features, np.arange(n) % 2, n_components=n_components)
    assert np.isfinite(scorer.score(features)).all()
    assert (scorer.score(features) >= 0).all()


@pytest.mark.parametrize(
    ("features", "targets", "said"),
    [
        (np.zeros((1, 3)), np.zeros(1, int), "at least 2"),
        (np.zeros((3, 3)), np.zeros(2, int), "one length"),
        (np.zeros((2, 3)), np.array([0, 2]), "class 1 has no image"),
        (np.full((2, 3), np.nan), np.array([0, 1]), "finite"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    features: np.ndarray, targets: np.ndarray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        fit_novelty_scorer(features, targets)
