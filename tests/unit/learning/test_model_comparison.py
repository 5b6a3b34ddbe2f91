"""Two models on the same images: the verdict, the interval, the classes, the single images."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from core.learning.model_comparison import (
    BETTER,
    BOTH_RIGHT,
    BOTH_WRONG,
    GAINED,
    LOST,
    NO_DIFFERENCE,
    WORSE,
    ModelComparison,
    compare,
    paired_difference,
)

CLASSES = ("dirt", "drop")
RIGHT, WRONG = "dirt", "drop"


def table(
    n_both: int, n_gained: int, n_lost: int, n_neither: int, label: str = RIGHT
) -> ModelComparison:
    """Images of one class, as many of each outcome."""
    wrong = WRONG if label == RIGHT else RIGHT
    old = [label] * n_both + [wrong] * n_gained + [label] * n_lost + [wrong] * n_neither
    new = [label] * n_both + [label] * n_gained + [wrong] * n_lost + [wrong] * n_neither
    return compare([label] * len(old), old, new, old_classes=CLASSES, new_classes=CLASSES)


@pytest.mark.parametrize(
    ("n_gained", "n_lost", "verdict"),
    [
        (0, 0, NO_DIFFERENCE),
        (4, 0, NO_DIFFERENCE),  # 1/16 is more than 5 %
        (5, 0, BETTER),
        (0, 4, NO_DIFFERENCE),
        (0, 5, WORSE),
        (3, 10, WORSE),  # 4.6 %
        (4, 10, NO_DIFFERENCE),  # 9.0 %
    ],
)
def test_the_verdict_is_a_sign_test_on_the_images_that_just_one_is_right_on(
    n_gained: int, n_lost: int, verdict: str
) -> None:
    assert table(50, n_gained, n_lost, 5).verdict == verdict
    assert table(500, n_gained, n_lost, 50).verdict == verdict  # the others say nothing


def test_the_p_values_are_exact() -> None:
    both = table(10, 1, 6, 0).both
    assert both.p_worse == pytest.approx((1 + 7) / 2**7)  # 6 or 7 of 7
    assert both.p_better == pytest.approx(1 - 1 / 2**7)  # 1 or more of 7


def test_the_interval_is_newcombes() -> None:
    # Newcombe (1998), table III, method 10: 36 and 12 and 2 and 0 of 50.
    found = paired_difference(36, 12, 2, 0)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == (
        pytest.approx(0.0569, abs=5e-4),
        pytest.approx(0.3404, abs=5e-4),
    )


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(sum))
def test_the_interval_holds_the_difference_and_turns_with_the_models(
    counts: tuple[int, int, int, int],
) -> None:
    n_both, n_gained, n_lost, n_neither = counts
    there = paired_difference(n_both, n_gained, n_lost, n_neither)
    back = paired_difference(n_both, n_lost, n_gained, n_neither)
    assert there.low is not None
    assert there.value is not None
    assert there.high is not None
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert there.high > there.low
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))


def test_a_class_that_only_the_new_model_knows_hides_no_loss_on_the_others() -> None:
    labels = ["dirt"] * 20 + ["rust"] * 20
    old = ["dirt"] * 20 + ["drop"] * 20
    new = ["drop"] * 8 + ["dirt"] * 12 + ["rust"] * 20
    found = compare(labels, old, new, old_classes=CLASSES, new_classes=(*CLASSES, "rust"))
    assert found.all.difference.value == pytest.approx(0.3)
    assert (found.both.n, found.both.n_lost, found.verdict) == (20, 8, WORSE)
    assert (found.new_only.n, found.new_only.new_accuracy.value) == (20, 1.0)
    by_name = {row.name: row for row in found.classes}
    assert [by_name[name].known_by for name in ("dirt", "rust")] == ["both", "new"]
    assert by_name["dirt"].is_worse
    assert not by_name["rust"].is_worse
    assert "Worse beyond chance on the images of dirt." in found.notes


@pytest.mark.parametrize(("others", "is_worse"), [((), True), (("drop", "scratch"), False)])
def test_one_class_among_many_must_lose_more_to_be_called_worse(
    others: tuple[str, ...], is_worse: bool
) -> None:
    names = ("dirt", "other", *others)
    labels = ["dirt"] * 5 + list(others)
    new = ["other"] * 5 + list(others)
    found = compare(labels, labels, new, old_classes=names, new_classes=names)
    assert found.classes[0].is_worse is is_worse


def test_a_class_that_the_new_model_has_lost_and_one_without_images_are_named() -> None:
    labels = ["dirt"] * 6 + ["drop"] * 6
    found = compare(
        labels,
        labels,
        ["dirt"] * 12,
        old_classes=("dirt", "drop"),
        new_classes=("dirt", "rust"),
    )
    assert "The new model no longer knows drop." in found.notes
    assert any("no image of rust" in note for note in found.notes)
    assert found.verdict == NO_DIFFERENCE  # on dirt alone
    assert next(row for row in found.classes if row.name == "drop").is_worse


def test_every_image_has_its_outcome_and_what_neither_knows_counts_nowhere() -> None:
    found = compare(
        ["dirt", "dirt", "dirt", "dirt", "multiple"],
        ["dirt", "drop", "dirt", "drop", "dirt"],
        ["dirt", "dirt", "drop", "drop", "dirt"],
        old_classes=CLASSES,
        new_classes=CLASSES,
    )
    assert found.outcomes.tolist() == [BOTH_RIGHT, GAINED, LOST, BOTH_WRONG, -1]
    assert found.all.n == 4
    assert any("left out" in note for note in found.notes)
    assert np.sum(found.old_confusion.counts) == np.sum(found.new_confusion.counts) == 4


def test_few_images_make_a_verdict_weak_and_it_says_so() -> None:
    assert table(4, 0, 0, 0).noticeable_loss is None
    small, large = table(34, 0, 0, 0), table(500, 0, 0, 0)
    assert small.noticeable_loss == pytest.approx(0.19, abs=0.01)
    assert large.noticeable_loss is not None
    assert large.noticeable_loss < 0.02
    assert any("weak" in note for note in small.notes)
    assert not any("weak" in note for note in large.notes)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["dirt", "drop", "rust", "multiple"]),
            st.sampled_from(CLASSES),
            st.sampled_from(["dirt", "drop", "rust"]),
        ),
        max_size=40,
    )
)
def test_any_answers_add_up(rows: list[tuple[str, str, str]]) -> None:
    labels, old, new = (list(each) for each in zip(*rows, strict=True)) if rows else ([], [], [])
    found = compare(labels, old, new, old_classes=CLASSES, new_classes=(*CLASSES, "rust"))
    assert found.all.n == found.both.n + found.new_only.n == sum(row.n for row in found.classes)
    assert found.all.n_gained == int((found.outcomes == GAINED).sum())
    assert found.both.n_lost == sum(row.n_lost for row in found.classes)  # nothing else to lose
    assert all(0 < row.p_worse <= 1 for row in found.classes)


def test_answers_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="as many"):
        compare(["dirt"], [], [], old_classes=CLASSES, new_classes=CLASSES)
    with pytest.raises(ValueError, match="none of its classes"):
        compare(["dirt"], ["rust"], ["dirt"], old_classes=CLASSES, new_classes=CLASSES)
