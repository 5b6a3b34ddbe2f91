"""The measured error of automatic labels: limits hold however often one looks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, binom, binomtest

from core.triage.audit import (
    Checked,
    anytime_lower_limit,
    anytime_upper_limit,
    draw_audit,
    is_broken,
    measure_audit,
)

outcomes = st.lists(st.booleans(), min_size=1, max_size=80).map(lambda each: np.array(each, bool))
alphas = st.floats(0.001, 0.5)


def streams(share: float, *, n_runs: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n_runs, n)) < share


def checked(*pairs: tuple[str, str]) -> list[Checked]:
    return [
        Checked(f"2026-01-01T00:{minute:02d}:00.000Z", automatic, decided)
        for minute, (automatic, decided) in enumerate(pairs)
    ]


def capital(wrong: int, right: int, share: float) -> float:
    """The mean likelihood ratio, by numerical integration of its definition."""
    density = beta(0.5, 3.0)

    def part(other: float) -> float:
        ratio = (other / share) ** wrong * ((1 - other) / (1 - share)) ** right
        return float(ratio * density.pdf(other))

    return quad(part, share, 1)[0] / float(density.sf(share))


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_watched_after_every_outcome_a_kept_promise_raises_a_false_alarm_as_rarely_as_it_says(
    share: float,
) -> None:
    n_runs, n, alpha = 200, 300, 0.1
    runs = streams(share, n_runs=n_runs, n=n)
    allowed = binom.ppf(0.999, n_runs, alpha)
    assert sum((anytime_lower_limit(each, alpha=alpha) > share).any() for each in runs) <= allowed
    # The same streams, watched as closely by a test that was made for one look, alarm too often.
    one_look = binom.sf(runs.cumsum(axis=1) - 1, np.arange(1, n + 1), share) < alpha
    assert one_look.any(axis=1).sum() > allowed


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_upper_limits_fail_as_rarely_as_they_say(share: float) -> None:
    n_runs, n, alpha = 100, 150, 0.1
    runs = streams(share, n_runs=n_runs, n=n, seed=1)
    allowed = binom.ppf(0.999, n_runs, alpha)
    assert sum((anytime_upper_limit(each, alpha=alpha) < share).any() for each in runs) <= allowed


def test_an_error_twice_the_promise_is_found_within_a_few_hundred_outcomes() -> None:
    limits = [anytime_lower_limit(x, alpha=0.05) for x in streams(0.1, n_runs=40, n=600)]
    found = [int((each > 0.05).argmax()) for each in limits if (each > 0.05).any()]
    assert len(found) >= 36
    assert np.median(found) < 300


def test_the_lower_limit_is_where_the_capital_reaches_its_mark() -> None:
    wrong, right = 6, 30
    came = np.array([False] * right + [True] * wrong)
    limit = anytime_lower_limit(came, alpha=0.05)[-1]
    assert capital(wrong, right, limit) == pytest.approx(20, rel=1e-6)


@given(outcomes, alphas)
@settings(max_examples=60, deadline=None)
def test_limits_narrow_and_enclose_the_share_that_was_seen_last(
    came: np.ndarray, alpha: float
) -> None:
    low, high = anytime_lower_limit(came, alpha=alpha), anytime_upper_limit(came, alpha=alpha)
    assert len(low) == len(high) == len(came)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    assert ((low >= 0) & (low < 1) & (high > 0) & (high <= 1)).all()
    assert low[0] <= came[0] <= high[0]


@given(outcomes, alphas)
@settings(max_examples=40, deadline=None)
def test_a_limit_parts_the_shares_that_were_given_up_from_those_that_were_not(
    came: np.ndarray, alpha: float
) -> None:
    limits = anytime_lower_limit(came, alpha=alpha)
    wrong = came.cumsum()
    right = np.arange(1, len(came) + 1) - wrong

    def is_given_up(row: int, share: float) -> bool:
        return capital(int(wrong[row]), int(right[row]), share) >= 1 / alpha

    above = limits[-1] + (1 - limits[-1]) * 0.01
    assert not any(is_given_up(row, above) for row in range(len(came))[-20:])
    rises = np.flatnonzero(np.diff(limits, prepend=0))
    assert all(is_given_up(int(row), limits[row] * 0.99) for row in rises[-8:])


def test_a_smaller_alpha_gives_lower_limits() -> None:
    came = streams(0.3, n_runs=1, n=100)[0]
    sure, surer = (anytime_lower_limit(came, alpha=each) for each in (0.1, 0.01))
    assert (surer <= sure).all()
    assert surer[-1] < sure[-1]


def test_an_anytime_limit_is_wider_than_one_for_a_fixed_number() -> None:
    came = np.array([True, False] * 50)
    fixed = binomtest(50, 100, alternative="greater").proportion_ci(0.95).low
    assert 0.3 < anytime_lower_limit(came, alpha=0.05)[-1] < fixed


def test_with_nothing_wrong_nothing_is_excluded_from_below_and_much_from_above() -> None:
    came = np.zeros(500, bool)
    assert not anytime_lower_limit(came, alpha=0.05).any()
    assert anytime_upper_limit(came, alpha=0.05)[-1] < 0.02


def test_ten_thousand_outcomes_stay_finite_and_close_in_on_the_share() -> None:
    came = streams(0.02, n_runs=1, n=10_000)[0]
    low, high = anytime_lower_limit(came, alpha=0.05), anytime_upper_limit(came, alpha=0.05)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()
    assert 0.013 < low[-1] < 0.02 < high[-1] < 0.027


def test_no_outcome_has_no_limit_and_a_bad_alpha_is_named() -> None:
    assert anytime_lower_limit(np.zeros(0, bool), alpha=0.05).shape == (0,)
    for value in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="alpha"):
            anytime_upper_limit(np.ones(2, bool), alpha=value)
    with pytest.raises(ValueError, match="shape"):
        anytime_lower_limit(np.ones((2, 2), bool), alpha=0.05)


def test_a_share_is_drawn_without_repetition_and_the_same_again_by_its_seed() -> None:
    rows = draw_audit(1000, 0.02, seed=3)
    assert len(rows) == 20 == len(set(rows.tolist()))
    assert list(rows) == sorted(rows)
    assert rows.tolist() == draw_audit(1000, 0.02, seed=3).tolist()
    assert rows.tolist() != draw_audit(1000, 0.02, seed=4).tolist()


def test_many_small_batches_are_audited_as_much_as_a_large_one() -> None:
    drawn = [draw_audit(10, 0.02, seed=seed) for seed in range(2000)]
    assert {len(rows) for rows in drawn} == {0, 1}
    assert binom.ppf(0.001, 2000, 0.2) <= sum(map(len, drawn)) <= binom.ppf(0.999, 2000, 0.2)
    assert {int(row) for rows in drawn for row in rows} == set(range(10))


@given(st.integers(0, 50), st.floats(0, 1), st.integers(0, 99))
def test_whatever_the_share_only_rows_that_exist_are_drawn(n: int, share: float, seed: int) -> None:
    rows = draw_audit(n, share, seed)
    assert rows.dtype == np.int64
    assert abs(len(rows) - n * share) < 1 + 1e-9
    assert set(rows.tolist()) <= set(range(n))


def test_all_are_drawn_or_none_where_that_is_the_share_and_others_are_refused() -> None:
    assert draw_audit(5, 1.0, seed=0).tolist() == [0, 1, 2, 3, 4]
    assert draw_audit(5, 0.0, seed=0).tolist() == []
    with pytest.raises(ValueError, match="share"):
        draw_audit(5, 1.5, seed=0)
    with pytest.raises(ValueError, match="n must"):
        draw_audit(-1, 0.5, seed=0)


def test_what_people_say_otherwise_is_wrong_whatever_they_say() -> None:
    found = measure_audit(
        checked(("dirt", "dirt"), ("dirt", "multiple"), ("drop", "drop"), ("dirt", "drop")),
        promised=0.05,
        delta=0.05,
    )
    assert (found.n_checked, found.n_wrong, found.share) == (4, 2, 0.5)
    exact = binomtest(2, 4).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert [(row.name, row.n_checked, row.n_wrong) for row in found.by_class] == [
        ("dirt", 3, 2),
        ("drop", 1, 0),
    ]
    of_dirt = binomtest(2, 3).proportion_ci(0.95)
    assert (found.by_class[0].low, found.by_class[0].high) == pytest.approx(
        (of_dirt.low, of_dirt.high)
    )
    assert found.by_class[1].low == 0.0


def test_points_over_time_add_up_in_the_order_of_the_times() -> None:
    rows = checked(("dirt", "dirt"), ("dirt", "drop"), ("drop", "drop"))
    found = measure_audit(rows[::-1], promised=0.05, delta=0.05)
    assert [(point.n, point.n_wrong) for point in found.over_time] == [(1, 0), (2, 1), (3, 1)]
    assert [point.share for point in found.over_time] == pytest.approx([0, 1 / 2, 1 / 3])
    assert [point.at for point in found.over_time] == [row.at for row in rows]
    assert all(point.low <= point.share <= point.high for point in found.over_time)
    assert found.over_time[-1].anytime_low == found.anytime_low


def test_a_broken_promise_is_told_with_the_moment_it_was_seen() -> None:
    rows = checked(*[("dirt", "drop")] * 4, *[("dirt", "dirt")] * 20)
    found = measure_audit(rows, promised=0.05, delta=0.05)
    assert is_broken(found, 0.05)
    first = next(point for point in found.over_time if point.anytime_low > 0.05)
    assert found.broken_at == first.at < rows[4].at
    assert not is_broken(found, 0.9)


def test_one_wrong_label_breaks_no_promise_of_a_few_per_cent() -> None:
    found = measure_audit(checked(("dirt", "drop")), promised=0.03, delta=0.05)
    assert not is_broken(found, 0.03)
    assert found.broken_at is None
    assert found.share == 1.0


def test_before_the_first_outcome_nothing_is_known() -> None:
    found = measure_audit([], promised=0.05, delta=0.05)
    assert (found.share, found.low, found.high, found.anytime_low) == (None, 0.0, 1.0, 0.0)
    assert (found.by_class, found.over_time, found.broken_at) == ((), (), None)
    assert not is_broken(found, 0.05)
    with pytest.raises(ValueError, match="promised"):
        measure_audit([], promised=0.0, delta=0.05)
    with pytest.raises(ValueError, match="delta"):
        measure_audit([], promised=0.05, delta=1.0)
