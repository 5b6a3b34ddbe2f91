"""A wrong label is judged by images that never saw it, and copies do not vouch for each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import OperatorError
from core.latent.label_errors import find_label_errors, label_conflicts
from core.vocabulary import RESERVED_LABELS

NAMES = ("dirt", "drop", "scratch")


@pytest.fixture
def classes() -> tuple[np.ndarray, list[str | None]]:
    """Twenty images of each of three classes, in directions of their own."""
    kinds = np.repeat([0, 1, 2], 20)
    noise = np.random.default_rng(0).normal(0, 0.3, (60, 5))
    return np.abs(np.eye(3, 5)[kinds] * 5 + noise), [NAMES[kind] for kind in kinds]


def test_wrong_labels_come_first_with_the_right_ones_suggested(classes):
    vectors, labels = classes
    labels[3], labels[30] = "scratch", "dirt"
    found = find_label_errors(vectors, labels)
    assert sorted(found.rows[:2]) == [3, 30]
    assert dict(zip(found.rows[:2].tolist(), found.suggested[:2], strict=True)) == {
        3: "dirt",
        30: "drop",
    }
    assert found.is_issue.tolist() == [True, True] + [False] * 58
    assert (found.scores[:2] > 0.5).all()
    assert (found.scores[2:] < 0.5).all()
    assert (np.diff(found.scores) <= 0).all()


def test_no_suggestion_is_the_given_label(classes):
    vectors, labels = classes
    found = find_label_errors(vectors, labels)
    assert all(labels[row] != s for row, s in zip(found.rows, found.suggested, strict=True))
    assert sorted(found.rows) == list(range(60))
    assert found.classes == NAMES
    assert found.notes == ()


def test_copies_with_the_same_wrong_label_do_not_vouch_for_each_other(classes):
    vectors, labels = classes
    copies = np.repeat(vectors[:1] + [0, 0, 0, 9, 0], 4, axis=0)  # dirt of an unusual kind
    vectors = np.vstack([vectors, copies, vectors[:1] + [0, 0, 0, 8.5, 0]])
    labels = [*labels, *["drop"] * 4, "dirt"]
    alone = find_label_errors(vectors, labels)
    grouped = find_label_errors(vectors, labels, groups=[-1] * 60 + [7] * 4 + [-1])
    assert (_score_of(grouped, 60) > _score_of(alone, 60)).all()
    assert _score_of(grouped, 60) > 0.5


def test_images_without_a_class_and_rare_classes_are_left_out_and_said(classes):
    vectors, labels = classes
    labels[0], labels[20], labels[40:43] = None, RESERVED_LABELS[0], ["crater"] * 3
    found = find_label_errors(vectors, labels)
    assert set(found.rows) == set(range(60)) - {0, 20, 40, 41, 42}
    assert found.notes == (
        "Too few images to judge (fewer than 5 that are no copies): crater.",
        "1 images without a label were left out.",
        "1 images with a label that is no class were left out.",
    )


def test_many_copies_of_one_image_are_no_class(classes):
    vectors, labels = classes
    groups = np.where(np.array(labels) == "drop", 3, -1)
    assert find_label_errors(vectors, labels, groups=groups).classes == ("dirt", "scratch")


def test_one_class_cannot_be_checked_against_another(classes):
    with pytest.raises(OperatorError, match="no copies; there is 1"):
        find_label_errors(classes[0], ["dirt"] * 60)
    with pytest.raises(OperatorError, match="no copies; there is none"):
        find_label_errors(classes[0], [None] * 60)


def test_the_same_seed_gives_the_same_ranking(classes):
    first, again = (find_label_errors(*classes, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.scores, again.scores)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 99), n=st.integers(20, 30), n_features=st.integers(1, 3),
    is_constant=st.booleans(),
)  # fmt: skip
def test_degenerate_features_have_scores_between_nought_and_one(seed, n, n_features, is_constant):
    rng = np.random.default_rng(seed)
    vectors = np.ones((n, n_features)) if is_constant else rng.integers(-1, 2, (n, n_features))
    pairs = np.arange(n) // 2
    found = find_label_errors(vectors, [NAMES[p % 2] for p in pairs], groups=pairs, seed=seed)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert len(found.rows) == len(found.suggested) == len(found.is_issue) == n


def test_wrong_calls_are_refused(classes):
    vectors, labels = classes
    with pytest.raises(ValueError, match="1 labels, but 60 vectors"):
        find_label_errors(vectors, ["dirt"])
    with pytest.raises(ValueError, match="2 groups, but 60 vectors"):
        find_label_errors(vectors, labels, groups=[1, 2])
    with pytest.raises(OperatorError, match="not finite"):
        find_label_errors(vectors * np.nan, labels)


def test_copies_with_different_labels_are_in_conflict():
    conflicts = label_conflicts(
        [1, 1, 2, 2, -1, -1, 3, 3, 3, 4, 4],
        ["a", "b", "a", "a", "a", "b", "a", "multiple", "a", "a", None],
    )
    assert [(c.rows, c.labels) for c in conflicts] == [
        ((6, 7, 8), ("a", "multiple", "a")),
        ((0, 1), ("a", "b")),
    ]


def test_conflicts_need_a_label_for_every_group():
    assert label_conflicts([], []) == []
    with pytest.raises(ValueError, match="1 groups, but 0 labels"):
        label_conflicts([1], [])


def _score_of(found, row):
    return found.scores[found.rows == row]
