"""People agree beyond chance, or they do not; what the model had wrong is counted by class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.metrics import cohen_kappa_score

from core.learning.evaluation import estimate_share
from core.triage.agreement import (
    NO_COMMON_ITEM,
    ONE_LABEL,
    DecisionRow,
    Judgement,
    measure_agreement,
    measure_people,
    measure_session,
)

LABELS = ("dirt", "drop", "multiple")


def judged(**labels: str) -> list[Judgement]:
    """One letter an item: `d` is dirt, `r` is drop, `m` is multiple, a space is not judged."""
    names = {"d": "dirt", "r": "drop", "m": "multiple"}
    return [
        Judgement(item, person, names[letter])
        for person, letters in labels.items()
        for item, letter in enumerate(letters)
        if letter != " "
    ]


def decided(
    second: float,
    label: str = "dirt",
    *,
    person: str = "ada",
    suggested: str | None = None,
    truth: str | None = None,
    seconds: float | None = None,
) -> DecisionRow:
    minute, rest = divmod(second, 60)
    at = f"2026-01-01T12:{int(minute):02d}:{rest:06.3f}Z"
    return DecisionRow(at, person, suggested, label, "gold" if truth else "picked", seconds, truth)


def test_half_of_what_chance_leaves_is_a_kappa_of_a_half() -> None:
    # Both give each of two labels to half of the images: chance agrees on half, they on 3 of 4.
    (pair,) = measure_agreement(judged(ada="ddddrrrr", ben="dddrrrrd")).pairs
    assert (pair.first, pair.second, pair.n, pair.n_same) == ("ada", "ben", 8, 6)
    assert pair.kappa.value == pytest.approx(0.5)


answers = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), max_size=30)


@given(answers)
def test_kappa_is_scikit_learns_over_all_labels_and_for_each_class(
    answers: list[tuple[str, str]],
) -> None:
    measure = measure_agreement(
        Judgement(item, person, label)
        for item, pair in enumerate(answers)
        for person, label in zip(("ada", "ben"), pair, strict=True)
    )
    if not answers:
        assert (measure.pairs, measure.by_class, measure.overall.why) == ((), (), NO_COMMON_ITEM)
        return
    (pair,) = measure.pairs
    firsts, seconds = zip(*answers, strict=True)
    found = [(firsts, seconds, pair.kappa)] + [
        ([x == row.label for x in firsts], [x == row.label for x in seconds], row.kappa)
        for row in pair.by_class
    ]
    for ones, others, kappa in found:
        if len({*ones, *others}) == 1:
            assert (kappa.value, kappa.low, kappa.high, kappa.why) == (None, None, None, ONE_LABEL)
        else:
            assert kappa.value == pytest.approx(cohen_kappa_score(ones, others))
            assert -1 <= kappa.low <= kappa.value <= kappa.high <= 1 + 1e-12
    assert measure.overall == pair.kappa
    assert {row.label for row in pair.by_class} == {label for pair in answers for label in pair}


def test_where_all_is_of_one_class_there_is_no_kappa_and_it_says_why() -> None:
    measure = measure_agreement(judged(ada="ddd", ben="ddd"))
    (pair,) = measure.pairs
    assert (pair.n, pair.n_same) == (3, 3)
    assert pair.kappa.value is None
    assert pair.kappa.why == ONE_LABEL
    assert pair.by_class[0].kappa.value is None
    assert (pair.by_class[0].n_either, pair.by_class[0].n_both) == (3, 3)


def test_each_of_them_with_one_label_of_their_own_is_agreement_by_chance_alone() -> None:
    (pair,) = measure_agreement(judged(ada="ddd", ben="rrr")).pairs
    assert pair.kappa.value == 0.0


def test_full_agreement_on_a_few_images_has_a_wide_interval() -> None:
    few, many = (
        measure_agreement(judged(ada="dr" * n, ben="dr" * n)).pairs[0].kappa for n in (4, 100)
    )
    assert few.value == few.high == many.value == pytest.approx(1.0)
    assert few.low < 0.5 < 0.9 < many.low < 1.0


def test_the_interval_holds_the_true_kappa_about_as_often_as_it_says() -> None:
    # Both see the true class, dirt or drop at even odds, with a chance of 0.9: they agree on 0.82
    # of the images, by chance on 0.5.
    rng, n_runs, true = np.random.default_rng(0), 300, (0.82 - 0.5) / 0.5
    held = 0
    for _ in range(n_runs):
        truth = rng.random(40) < 0.5
        said = truth ^ (rng.random((2, 40)) > 0.9)
        letters = ["".join("d" if each else "r" for each in row) for row in said]
        kappa = measure_agreement(judged(ada=letters[0], ben=letters[1])).overall
        held += kappa.low <= true <= kappa.high
    assert binom.ppf(0.001, n_runs, 0.95) <= held < n_runs


def test_only_items_that_both_judged_count_and_strangers_make_no_pair() -> None:
    measure = measure_agreement(judged(ada="ddr   ", ben=" dr r ", cem="     d"))
    assert [(pair.first, pair.second, pair.n) for pair in measure.pairs] == [("ada", "ben", 2)]
    assert measure.overall.n == 2


def test_the_last_of_several_judgements_of_one_person_counts() -> None:
    changed = [*judged(ada="dr", ben="rr"), Judgement(0, "ben", "dirt")]
    assert measure_agreement(changed).pairs[0].n_same == 2


def test_pairs_are_pooled_by_their_images_and_an_item_of_three_people_counts_once() -> None:
    measure = measure_agreement(
        judged(ada="dddd" + "rrrr", ben="dddd" + "rrrr", cem="dr" + " " * 6)
    )
    assert [(pair.first, pair.second, pair.n) for pair in measure.pairs] == [
        ("ada", "ben", 8),
        ("ada", "cem", 2),
        ("ben", "cem", 2),
    ]
    # Observed: 8, 1 and 1 of 8, 2 and 2; by chance: 4 of 8, 1 of 2, 1 of 2.
    assert measure.overall.value == pytest.approx((10 / 12 - 6 / 12) / (1 - 6 / 12))
    assert measure.overall.n == 8
    of_twelve = binomtest(10, 12).proportion_ci(method="wilson")
    assert measure.overall.low < (of_twelve.low - 1 / 2) / (1 / 2) - 0.05
    assert measure.overall.high > (of_twelve.high - 1 / 2) / (1 / 2)


def test_the_class_that_people_disagree_on_most_comes_first() -> None:
    measure = measure_agreement(judged(ada="ddddrrmm", ben="ddddrmrm"))
    rows = {row.label: row for row in measure.by_class}
    assert [row.label for row in measure.by_class] == ["drop", "multiple", "dirt"]
    assert rows["dirt"].kappa.value == 1.0
    assert (rows["drop"].n_either, rows["drop"].n_both) == (3, 1)
    assert rows["drop"].kappa.value == pytest.approx(1 / 3)


def test_a_pause_of_more_than_a_minute_is_no_work() -> None:
    figures = measure_session([decided(0), decided(10), decided(20), decided(600), decided(610)])
    assert figures.n_decisions == 5
    assert figures.per_minute == pytest.approx(6.0)
    assert measure_session([decided(0), decided(60)]).per_minute == pytest.approx(1.0)
    assert measure_session([decided(0), decided(60.001)]).per_minute is None


def test_two_people_at_once_are_not_one_person_at_twice_the_pace() -> None:
    rows = [decided(t, person=name) for t in (0, 10, 20) for name in ("ada", "ben")]
    assert measure_session(rows).per_minute == pytest.approx(6.0)
    assert measure_session(rows[::-1]).per_minute == pytest.approx(6.0)


def test_a_pace_needs_two_decisions_at_two_times() -> None:
    for rows in ([], [decided(0)], [decided(0), decided(0)]):
        assert measure_session(rows).per_minute is None


def test_what_the_model_had_wrong_is_counted_by_suggestion() -> None:
    rows = [
        *[decided(0, "dirt", suggested="dirt")] * 3,
        *[decided(0, "drop", suggested="dirt")] * 2,
        decided(0, "drop", suggested="drop"),
        decided(0, "drop", suggested=None),
    ]
    figures = measure_session(rows)
    assert [(row.suggested, row.decided, row.n, row.is_changed) for row in figures.suggestions] == [
        ("dirt", "dirt", 3, False),
        ("dirt", "drop", 2, True),
        ("drop", "drop", 1, False),
    ]
    assert figures.changed == estimate_share(2, 6, why="")


def test_known_answers_are_met_or_not_with_an_interval() -> None:
    rows = [decided(0, "dirt", truth="dirt")] * 3 + [decided(0, "drop", truth="dirt")]
    figures = measure_session([*rows, decided(0)])
    assert figures.gold == estimate_share(3, 4, why="")
    assert figures.gold.low < 0.75 < figures.gold.high


def test_nothing_decided_has_no_shares_and_says_why() -> None:
    figures = measure_session([])
    assert (figures.n_decisions, figures.suggestions, figures.median_seconds) == (0, (), None)
    assert figures.changed.value is figures.gold.value is None
    assert figures.changed.why == "No decision was about a suggestion."
    assert figures.gold.why == "No item with a known answer was decided."


def test_the_median_is_over_the_times_that_were_measured() -> None:
    rows = [decided(0, seconds=each) for each in (1.0, None, 2.0, 90.0)]
    assert measure_session(rows).median_seconds == 2.0


def test_each_person_has_figures_of_their_own() -> None:
    rows = [decided(0, person="ben"), decided(6, person="ben"), decided(3, person="ada")]
    found = measure_people(rows)
    assert list(found) == ["ada", "ben"]
    assert (found["ada"].n_decisions, found["ada"].per_minute) == (1, None)
    assert (found["ben"].n_decisions, found["ben"].per_minute) == (2, pytest.approx(10.0))
