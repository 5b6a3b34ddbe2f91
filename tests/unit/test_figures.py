"""Charts show names as they are, and classes as classes whatever they are called."""

import numpy as np

from core import figures


def test_classes_that_look_like_numbers_or_dates_are_classes() -> None:
    rows = [("1", "train", 2), ("10", "train", 3), ("2026-01-01", None, 1), (None, None, 4)]
    figure = figures.images_by_class(rows, classes=["1", "10", "2026-01-01"])
    assert figure.layout.yaxis.type == "category"
    assert list(figure.data[0].y) == ["1", "10", "2026-01-01", "unlabelled"]
    assert [(bar.name, list(bar.x)) for bar in figure.data] == [
        ("train", [2, 3, 0, 0]),
        ("no split", [0, 0, 1, 4]),
    ]


def test_nothing_in_a_name_is_read_as_markup() -> None:
    name = "<a href='http://evil.example'>x</a> & <b>y"
    rows = [(name, "train", 1)]
    shown = "&lt;a href='http://evil.example'>x&lt;/a> &amp; &lt;b>y"
    assert list(figures.images_by_class(rows, classes=[name]).data[0].y) == [shown]
    assert figures.classes_by_split(rows, classes=[name]).data[0].name == shown


def test_the_shares_of_a_split_sum_to_one() -> None:
    rows = [("dirt", "train", 3), ("drop", "train", 1), (None, "test", 5)]
    figure = figures.classes_by_split(rows, classes=["dirt", "drop"])
    totals = np.sum([bar.x for bar in figure.data], axis=0)
    np.testing.assert_allclose(totals, 1)
    assert list(figure.data[0].y) == ["train (4)", "test (5)"]


def test_a_histogram_holds_every_finite_value_once() -> None:
    values = np.array([0.0, 0.5, 0.5, 1.0, np.nan, np.inf])
    assert sum(figures.histogram(values, title="contrast").data[0].y) == 4
    assert sum(figures.histogram(values, title="sharpness", log_scale=True).data[0].y) == 3


def test_a_histogram_of_one_value_or_none_is_drawn() -> None:
    for values in ([], [0.0], [2.0, 2.0], [np.nan]):
        for log_scale in (False, True):
            figure = figures.histogram(np.array(values), title="x", log_scale=log_scale)
            kept = [v for v in values if np.isfinite(v) and (v > 0 or not log_scale)]
            assert sum(figure.data[0].y) == len(kept)


def test_the_largest_part_of_the_disk_comes_first() -> None:
    figure = figures.disk_use({"images": 5_000_000, "jobs": 1, "lacquer.db": 9_000_000})
    assert list(figure.data[0].y) == ["lacquer.db", "images", "jobs"]
    assert list(figure.data[0].x) == [9.0, 5.0, 1e-06]
