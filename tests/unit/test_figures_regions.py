"""Charts of anomalies and of the layout: what is drawn is what was measured, names are text."""

import numpy as np
import pytest

from core import figures
from core.analysis.layouts import ClassPlace
from core.latent.label_layout import SplitShift

UNTRUSTED = "<b>dirt"
PLACES = (
    ClassPlace(UNTRUSTED, 5, 0.2, 0.1, 0.35, 1, 0.9, 0.3),
    ClassPlace("drop", 1, None, None, None, 2, None, None),
)


def test_bars_above_and_below_the_threshold_hold_every_image() -> None:
    scores = np.array([0.0, 0.1, 0.1, 0.9, 1.0], np.float32)
    figure = figures.anomaly_scores(scores, threshold=0.5, title="score")
    above, below = figure.data
    assert (sum(above.y), sum(below.y)) == (2, 3)
    assert next(iter(above.customdata)) == 0.0


def test_equal_scores_are_drawn_too() -> None:
    figure = figures.anomaly_scores(np.ones(3, np.float32), threshold=1.0, title="score")
    assert sum(figure.data[1].y) == 3


def test_a_single_image_has_no_spread_and_an_interval_is_about_its_mean() -> None:
    (bars,) = figures.class_spreads(PLACES, classes=[UNTRUSTED, "drop"]).data
    assert list(bars.y) == ["&lt;b>dirt"]
    assert list(bars.error_x.array) == [pytest.approx(0.15)]
    assert list(bars.error_x.arrayminus) == [pytest.approx(0.1)]


def test_purity_stands_beside_what_chance_gives() -> None:
    bars, chance = figures.class_purity(PLACES, classes=["drop"], n_neighbors=10).data
    assert (list(bars.x), list(chance.x)) == ([0.9], [0.3])


def test_a_pair_of_too_few_images_says_so_and_the_diagonal_is_empty() -> None:
    nan = np.nan
    auc = np.array([[nan, 0.9, nan], [0.9, nan, nan], [nan, nan, nan]])
    cells, texts = figures.separability_matrix([UNTRUSTED, "b", "c"], auc).data
    assert cells.zmin == 0.5
    assert sorted(texts.text) == ["0.90", "0.90", "few", "few", "few", "few"]
    assert "&lt;b>dirt and b: AUC 0.900" in cells.hovertext[0][1]


def test_a_box_is_drawn_of_quantiles_and_a_shifted_split_is_outlined() -> None:
    quantiles = (0.0, 0.1, 0.2, 0.3, 0.4)
    shifts = [
        SplitShift("train", 9, quantiles, None, None, False),
        SplitShift("test", 9, quantiles, 0.9, 0.0, True),
    ]
    train, test = figures.split_distances(shifts).data
    assert [list(test[name]) for name in ("lowerfence", "q1", "median", "q3", "upperfence")] == [
        [value] for value in quantiles
    ]
    assert train.line.color != test.line.color


def test_points_without_a_label_are_on_the_map_last() -> None:
    figure = figures.small_map(np.zeros((3, 2)), [None, "b", UNTRUSTED], [UNTRUSTED, "b"])
    assert [trace.name for trace in figure.data] == ["&lt;b>dirt", "b", "unlabelled"]
