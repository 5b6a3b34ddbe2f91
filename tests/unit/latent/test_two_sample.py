"""Sets of one kind do not differ, sets of two do, and a cut through one cloud is known as such."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import OperatorError
from core.latent import two_sample as two_sample_module
from core.latent.two_sample import compare_sets, held_out_predictor


@pytest.fixture
def cloud() -> np.ndarray:
    return np.random.default_rng(0).normal(5, 1, (120, 10))


def test_two_halves_drawn_at_random_do_not_differ(cloud):
    test = compare_sets(cloud, np.arange(0, 120, 2), np.arange(1, 120, 2))
    assert min(test.mmd_p, test.auc_p) > 0.05
    assert abs(test.mmd_squared) < 0.02
    assert abs(test.auc - 0.5) < 0.15
    assert test.verdict.startswith("No difference")
    assert (test.n_first, test.n_second, test.n_first_used) == (60, 60, 60)


def test_two_clusters_differ_and_by_more_than_a_cut(cloud):
    cloud[60:, :5] += 6
    test = compare_sets(cloud, np.arange(60), np.arange(60, 120))
    assert (test.mmd_p, test.auc_p) == (0.001, 0.001)
    assert test.auc == 1.0
    assert test.separation > 0.9 > test.cloud_separation
    assert test.cloud_p == 0.01
    assert "further apart" in test.verdict


def test_one_cloud_cut_in_two_differs_but_no_more_than_a_cut(cloud):
    beyond = cloud[:, 0] > np.median(cloud[:, 0])
    test = compare_sets(cloud, np.flatnonzero(~beyond), np.flatnonzero(beyond))
    assert max(test.mmd_p, test.auc_p) < 0.01
    assert test.cloud_p > 0.05
    assert test.verdict.endswith("no more than the parts of one cloud that was cut in two.")


def test_a_wider_set_around_the_same_centre_differs_by_the_kernel_alone():
    rng = np.random.default_rng(0)
    vectors = 5 + np.vstack([rng.normal(0, 0.3, (80, 6)), rng.normal(0, 1.5, (80, 6))])
    test = compare_sets(vectors, np.arange(80), np.arange(80, 160))
    assert test.mmd_p < 0.01


def test_p_values_are_honest_where_nothing_differs(monkeypatch):
    monkeypatch.setattr(two_sample_module, "N_CLOUDS", 1)
    monkeypatch.setattr(two_sample_module, "N_PERMUTATIONS", 99)
    rng = np.random.default_rng(1)
    p_values = np.array(
        [
            (test.mmd_p, test.auc_p)
            for seed in range(60)
            for test in [
                compare_sets(rng.normal(3, 1, (30, 4)), np.arange(12), np.arange(12, 30), seed=seed)
            ]
        ]
    )
    assert (p_values <= 0.1).mean() < 0.2
    assert 0.35 < p_values.mean() < 0.65


def test_large_sets_are_compared_by_some_of_their_images(cloud, monkeypatch):
    monkeypatch.setattr(two_sample_module, "MAX_PER_SET", 20)
    test = compare_sets(cloud, np.arange(70), np.arange(70, 120))
    assert (test.n_first, test.n_first_used, test.n_second_used) == (70, 20, 20)
    assert "20 of 70 and 20 of 50 images were compared" in test.caveats[-1]


def test_few_images_are_warned_of(cloud):
    caveats = compare_sets(cloud, np.arange(9), np.arange(20, 60)).caveats
    assert "With fewer than 10 images in a set, only a large difference shows." in caveats


def test_no_target_is_predicted_from_its_own_fold():
    points = np.random.default_rng(0).normal(size=(23, 4))
    matrix = held_out_predictor(points, seed=3)
    assert not np.diag(matrix).any()
    np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-9)  # a constant tells nothing
    linear = points @ [1.0, -2.0, 0.5, 0.0]
    assert np.corrcoef(matrix @ linear, linear)[0, 1] > 0.95


def test_the_same_seed_gives_the_same_test(cloud):
    first, again = (compare_sets(cloud, np.arange(40), np.arange(40, 90), seed=2) for _ in range(2))
    assert first == again


@settings(deadline=None, max_examples=10)
@given(
    n_first=st.integers(3, 6), n_second=st.integers(3, 6), n_features=st.integers(1, 3),
    seed=st.integers(0, 99), is_constant=st.booleans(),
)  # fmt: skip
def test_degenerate_sets_have_figures(n_first, n_second, n_features, seed, is_constant):
    n = n_first + n_second
    vectors = np.random.default_rng(seed).integers(0, 2, (n, n_features))
    if is_constant:
        vectors = np.zeros_like(vectors)
    test = compare_sets(vectors, np.arange(n_first), np.arange(n_first, n), seed=seed)
    figures = [test.mmd_squared, test.mmd_p, test.auc, test.auc_p, test.separation, test.cloud_p]
    assert np.isfinite(figures).all()
    if is_constant:
        assert (test.mmd_p, test.auc, test.separation) == (1.0, 0.5, 0.0)


def test_what_cannot_be_compared_is_refused(cloud):
    with pytest.raises(OperatorError, match="Sets of 2 and 5 images cannot be compared"):
        compare_sets(cloud, np.array([1, 2, 2]), np.arange(10, 15))
    with pytest.raises(OperatorError, match="share 2 images"):
        compare_sets(cloud, np.arange(5), np.arange(3, 8))
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 119\]"):
        compare_sets(cloud, np.arange(5), np.arange(118, 122))
    with pytest.raises(OperatorError, match="not finite"):
        compare_sets(cloud * np.inf, np.arange(5), np.arange(5, 10))
