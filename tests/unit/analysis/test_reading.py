"""What figures say in a sentence, and what two methods find together."""

from dataclasses import replace

import numpy as np
import pytest

from core.analysis.anomalies import Anomalies
from core.analysis.anomaly_sets import paper_sets
from core.analysis.layouts import ClassPlace, Layout
from core.analysis.reading import effect_in_words, hardest_pair, p_in_words, shift_in_words
from core.latent.anomalies import AnomalyScores
from core.latent.label_layout import SplitShift
from core.latent.two_sample import TwoSampleTest

TEST = TwoSampleTest(10, 10, 10, 10, 0.1, 0.001, 0.8, 0.001, 0.5, 0.6, 0.5, ())
SHIFT = SplitShift("test", 20, (0.0, 0.1, 0.2, 0.3, 0.4), 0.5, 0.5, False)


@pytest.mark.parametrize(
    ("auc", "words"),
    [(0.5, "none"), (0.6, "small"), (0.66, "medium"), (0.8, "large"), (0.99, "nearly complete")],
)
def test_an_effect_is_named_by_how_often_a_set_is_told(auc: float, words: str) -> None:
    assert effect_in_words(replace(TEST, auc=auc)).startswith(words)


def test_no_p_is_smaller_than_the_permutations_can_show() -> None:
    assert p_in_words(0.001) == "p ≤ 0.001"
    assert p_in_words(0.012) == "p = 0.012"
    assert p_in_words(0.782) == "p = 0.78"


@pytest.mark.parametrize(
    ("auc", "p", "is_shifted", "words"),
    [
        (0.7, 0.0001, True, "Test lies farther from the training images"),
        (0.5, 0.4, False, "Test lies no farther"),
        (0.3, 0.0001, False, "copies of training images"),
    ],
)
def test_a_shift_is_told_with_what_it_means(
    auc: float, p: float, is_shifted: bool, words: str
) -> None:
    assert words in shift_in_words(replace(SHIFT, auc=auc, p=p, is_shifted=is_shifted))


def test_training_is_not_compared_with_itself() -> None:
    assert shift_in_words(replace(SHIFT, split="train", auc=None, p=None)) == ""


def layout(auc: np.ndarray | None) -> Layout:
    places = tuple(ClassPlace(name, 5, 0.1, 0.0, 0.2, 1, 0.9, 0.3) for name in "abc")
    none = np.empty(0)
    return Layout(none, none, 10, places, auc, none, (), ())


def test_the_hardest_pair_is_the_lowest_auc() -> None:
    nan = np.nan
    auc = np.array([[nan, 0.9, 0.99], [0.9, nan, 0.8], [0.99, 0.8, nan]])
    assert hardest_pair(layout(auc)) == ("b", "c", 0.8)


def test_where_nothing_was_measured_no_pair_is_the_hardest() -> None:
    assert hardest_pair(layout(None)) is None
    assert hardest_pair(layout(np.full((3, 3), np.nan))) is None


def test_two_methods_are_told_together_and_apart_the_worst_first() -> None:
    scores = {
        "dbscan": np.array([0.9, 0.8, 0.1, 0.2], np.float32),
        "isolation": np.array([0.7, 0.1, 0.9, 0.2], np.float32),
    }
    found = Anomalies(
        ids=np.array([1, 2, 3, 4]),
        by_method={name: AnomalyScores(name, each, 0.5) for name, each in scores.items()},
        config={},
        graph="",
        notes=(),
    )
    sets = paper_sets(found, {"dbscan": 0.5, "isolation": 0.5})
    assert {name: ids.tolist() for name, ids in sets.items()} == {
        "either": [1, 3, 2],
        "both": [1],
        "first": [2],
        "second": [3],
    }
