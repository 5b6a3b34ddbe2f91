"""A promise on automatic labels holds as often as it says, and says when images are too few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from core.triage.promise import error_bound, images_needed, make_promise

GRID = np.linspace(0, 1, 21)


WORST = 0.4  # chance that the least sure image is wrong


def draw(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images whose chance to be wrong falls with the cube of their doubt, as real models' does."""
    rng = np.random.default_rng(seed)
    sureness = rng.random(n)
    return sureness, rng.random(n) < WORST * (1 - sureness) ** 3


def true_error(threshold: float) -> float:
    """The share of wrong labels among the images above a threshold, exactly."""
    return WORST * (1 - threshold) ** 3 / 4


def test_the_limit_is_clopper_pearsons() -> None:
    limit = error_bound(3, 100, delta=0.05)
    assert binom.cdf(3, 100, limit) == pytest.approx(0.05)
    assert error_bound(0, 0, delta=0.05) == error_bound(7, 7, delta=0.05) == 1.0


def test_fifty_nine_faultless_images_promise_five_per_cent() -> None:
    assert images_needed(0, max_error=0.05, delta=0.05) == 59
    assert images_needed(2, max_error=0.05, delta=0.05) == 124


def test_seventy_images_cannot_promise_one_per_cent_and_it_says_how_many_could() -> None:
    sureness, wrong = np.linspace(0, 1, 70), np.zeros(70, bool)
    promise = make_promise(sureness, wrong, GRID, max_error=0.01, delta=0.05)
    assert not promise.is_feasible
    assert (promise.n_accepted, promise.error_bound) == (0, None)
    assert promise.n_needed == 299
    assert make_promise(sureness, wrong, GRID, max_error=0.05, delta=0.05).n_accepted == 70


def test_where_every_other_label_is_wrong_no_number_of_images_would_do() -> None:
    wrong = np.arange(400) % 2 == 0
    promise = make_promise(np.full(400, 0.5), wrong, GRID, max_error=0.05, delta=0.05)
    assert not promise.is_feasible
    assert promise.n_needed is None


def test_a_larger_tolerated_error_labels_no_fewer_images() -> None:
    sureness, wrong = draw(600, seed=1)
    accepted = [
        make_promise(sureness, wrong, GRID, max_error=each, delta=0.05).n_accepted
        for each in (0.02, 0.05, 0.1, 0.15)
    ]
    assert accepted == sorted(accepted)
    assert accepted[0] < accepted[-1] == 600


@pytest.mark.parametrize(("n", "n_borne"), [(400, 6), (300, 3), (120, 0)])
def test_some_wrong_labels_among_the_surest_do_not_end_the_search(n: int, n_borne: int) -> None:
    sureness, wrong = np.linspace(0, 1, n), np.zeros(n, bool)
    wrong[n - n_borne :] = True
    promise = make_promise(sureness, wrong, GRID, max_error=0.05, delta=0.05)
    assert (promise.n_accepted, promise.n_wrong) == (n, n_borne)
    wrong[n - n_borne - 1] = True  # one more than can be borne among three fifths of the images
    assert not make_promise(sureness, wrong, GRID, max_error=0.05, delta=0.05).is_feasible


def test_where_the_search_begins_does_not_depend_on_the_labels() -> None:
    sureness = np.linspace(0, 1, 300)
    wrong = sureness < 0.2
    assert make_promise(
        sureness, wrong, GRID, max_error=0.05, delta=0.05
    ).threshold == pytest.approx(0.2)
    # A stretch of wrong ones where it begins ends it, though stricter thresholds would pass.
    wrong = (sureness > 0.33) & (sureness < 0.53)
    assert not make_promise(sureness, wrong, GRID, max_error=0.05, delta=0.05).is_feasible


@pytest.mark.parametrize("delta", [0.05, 0.2])
def test_the_promise_fails_no_more_often_than_it_says(delta: float) -> None:
    n_runs, max_error = 500, 0.05
    promises = [
        make_promise(*draw(300, seed=seed), GRID, max_error=max_error, delta=delta)
        for seed in range(n_runs)
    ]
    broken = sum(
        promise.threshold is not None and true_error(promise.threshold) > max_error
        for promise in promises
    )
    assert broken <= binom.ppf(0.999, n_runs, delta)
    assert sum(promise.is_feasible for promise in promises) > n_runs / 2  # and it is not silent


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60),
    st.floats(0.01, 0.5),
    st.floats(0.01, 0.5),
)
def test_whatever_the_images_the_taken_threshold_keeps_the_limit(
    images: list[tuple[float, bool]], max_error: float, delta: float
) -> None:
    sureness = np.array([each for each, _ in images])
    wrong = np.array([each for _, each in images], bool)
    promise = make_promise(sureness, wrong, GRID, max_error=max_error, delta=delta)
    if promise.is_feasible:
        accepted = sureness >= promise.threshold
        assert promise.n_accepted == accepted.sum()
        assert promise.n_wrong == wrong[accepted].sum()
        assert promise.error_bound <= max_error
    else:
        assert promise.n_accepted == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, float("nan")])
def test_shares_out_of_range_are_named(value: float) -> None:
    with pytest.raises(ValueError, match="max_error"):
        make_promise(np.zeros(3), np.zeros(3, bool), GRID, max_error=value, delta=0.05)
    with pytest.raises(ValueError, match="delta"):
        make_promise(np.zeros(3), np.zeros(3, bool), GRID, max_error=0.05, delta=value)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        make_promise(np.zeros(3), np.zeros(2, bool), GRID, max_error=0.05, delta=0.05)
    with pytest.raises(ValueError, match="finite"):
        make_promise(np.array([np.nan]), np.zeros(1, bool), GRID, max_error=0.05, delta=0.05)
