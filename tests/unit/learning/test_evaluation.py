"""Scores are scikit-learn's, say how sure they are, and say why where they are undefined."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support

from core.learning.evaluation import (
    Estimate,
    Evaluation,
    encode_targets,
    estimate_share,
    evaluate,
    unite_unknown,
)
from core.vocabulary import MULTIPLE

NAMES = ("dirt", "drop", "scratch")


def one_hot(*predicted: str) -> np.ndarray:
    """Probabilities that give each image this class of `NAMES`."""
    return np.eye(3)[[NAMES.index(name) for name in predicted]]


def estimates(found: Evaluation) -> list[Estimate]:
    of_classes = [e for score in found.classes for e in (score.precision, score.recall, score.f1)]
    return [found.accuracy, found.balanced_accuracy, *of_classes]


def test_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 200)
    probabilities = rng.dirichlet(np.ones(3), 200) + 0.5 * np.eye(3)[truth]
    found = evaluate([NAMES[place] for place in truth], NAMES, probabilities)
    predicted = probabilities.argmax(axis=1)
    assert found.accuracy.value == pytest.approx((predicted == truth).mean())
    expected = balanced_accuracy_score(truth, predicted)
    assert found.balanced_accuracy.value == pytest.approx(expected)
    precision, recall, f1, support = precision_recall_fscore_support(truth, predicted)
    for place, score in enumerate(found.classes):
        assert score.precision.value == pytest.approx(precision[place])
        assert score.recall.value == pytest.approx(recall[place])
        assert score.f1.value == pytest.approx(f1[place])
        assert score.support == score.recall.n == support[place]
        assert score.n_predicted == score.precision.n == (predicted == place).sum()


def test_a_label_that_is_no_class_has_a_row_of_its_own_and_counts_nowhere_else() -> None:
    labels = ["dirt", "dirt", "drop", MULTIPLE, "crater", MULTIPLE, None, ""]
    given_classes = ["dirt", "drop", "drop", "drop", "dirt", "scratch", "dirt", "drop"]
    found = evaluate(labels, NAMES, one_hot(*given_classes))
    assert found.confusion.labels == (*NAMES, "crater", MULTIPLE)
    assert found.confusion.counts == ((1, 1, 0), (0, 1, 0), (0, 0, 0), (1, 0, 0), (0, 1, 1))
    assert (found.n_images, found.n_known, found.n_other, found.n_unlabelled) == (8, 3, 3, 2)
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(2 / 3), 3)
    assert found.classes[0].precision.value == 1  # the crater that was given dirt is not counted


def test_a_class_without_an_image_or_a_prediction_says_so() -> None:
    found = evaluate(["dirt", "dirt"], NAMES, one_hot("dirt", "drop"))
    dirt, drop, scratch = found.classes
    assert dirt.recall.value == 0.5
    assert drop.recall == Estimate(None, None, None, 0, "No image is of this class.")
    assert (drop.precision.value, drop.f1.value) == (0, 0)
    assert scratch.precision == Estimate(None, None, None, 0, "No image was given this class.")
    assert scratch.f1.why == "No image is of this class, and none was given it."
    assert found.balanced_accuracy.value == 0.5


def test_a_set_without_any_image_of_a_class_has_no_accuracy() -> None:
    for labels in ([], [None], [MULTIPLE]):
        found = evaluate(labels, NAMES, np.full((len(labels), 3), 1 / 3))
        for measured in (found.accuracy, found.balanced_accuracy):
            assert measured.value is None
            assert measured.why == "No image has a label that is a class of the model."
        assert found.n_images == len(labels)


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Brown, Cai & DasGupta's formula at z = 1.96, worked out by hand for the paper's 92.31 % of 65.
    found = estimate_share(60, 65, why="")
    assert found.value == pytest.approx(0.9231, abs=1e-4)
    assert (found.low, found.high) == (
        pytest.approx(0.832, abs=1e-3),
        pytest.approx(0.967, abs=1e-3),
    )
    assert estimate_share(5, 5, why="").high == 1
    assert estimate_share(5, 5, why="").low == pytest.approx(0.5655, abs=1e-4)
    with pytest.raises(ValueError, match=r"n_hits must lie in \[0, 3\], got 4"):
        estimate_share(4, 3, why="")


def test_all_right_is_not_sure_and_more_images_are_surer() -> None:
    few, many = (
        evaluate(list(NAMES) * n, NAMES, one_hot(*list(NAMES) * n)).balanced_accuracy
        for n in (5, 50)
    )
    assert few.value == many.value == 1
    assert few.high == many.high == 1
    assert 0.6 < few.low < many.low < 1


def test_the_interval_of_balanced_accuracy_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    recalls, sizes = (0.95, 0.8, 0.9), (12, 25, 40)
    held = 0
    for _ in range(150):
        labels, chosen = [], []
        for place, (recall, size) in enumerate(zip(recalls, sizes, strict=True)):
            right = rng.random(size) < recall
            labels += [NAMES[place]] * size
            chosen += [NAMES[place if it else (place + 1) % 3] for it in right]
        found = evaluate(labels, NAMES, one_hot(*chosen)).balanced_accuracy
        held += found.low <= np.mean(recalls) <= found.high
    assert 0.9 <= held / 150 <= 1


def test_mismatched_shapes_and_broken_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(1, 3\), got \(1, 2\)"):
        evaluate(["dirt"], NAMES, np.ones((1, 2)))
    with pytest.raises(ValueError, match="must be different names"):
        evaluate(["dirt"], ["dirt", "dirt"], np.ones((1, 2)))
    with pytest.raises(ValueError, match="must be finite"):
        evaluate(["dirt"], NAMES, np.array([[np.nan, 0, 1]]))


def test_what_is_no_class_of_the_model_becomes_one_label() -> None:
    labels = ["dirt", MULTIPLE, "crater", None, ""]
    assert unite_unknown(labels, NAMES) == ("dirt", "unknown", "unknown", None, None)
    assert encode_targets(labels, NAMES).tolist() == [0, -1, -1, -1, -1]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_set_of_images_gives_nan_or_an_interval_beside_its_value(data: st.DataObject) -> None:
    names = NAMES[: data.draw(st.integers(1, 3))]
    labels = data.draw(st.lists(st.sampled_from([None, "", MULTIPLE, *NAMES]), max_size=12))
    chosen = data.draw(
        st.lists(st.integers(0, len(names) - 1), min_size=len(labels), max_size=len(labels))
    )
    found = evaluate(labels, names, np.eye(len(names))[np.array(chosen, dtype=int)])
    for each in estimates(found):
        if each.value is None:
            assert each.why
            assert each.low is each.high is None
        else:
            assert 0 <= each.low <= each.value <= each.high <= 1
            assert not each.why
            assert each.n > 0
    assert sum(map(sum, found.confusion.counts)) == found.n_images - found.n_unlabelled
    assert found.n_known + found.n_other + found.n_unlabelled == found.n_images
    json.dumps(asdict(found), allow_nan=False)
