"""Charts show names as they are, and classes as classes whatever they are called."""

import numpy as np
from plotly.graph_objects import Bar, Figure

from core import figures
from core.palette import CLASS_COLOURS
from core.report.counts import N_BINS, count_values
from core.report.subsets import HasOtherSize, HasSize, InCell, Subset, decode
from tests.facts import make_facts


def bars(figure: Figure) -> list[Bar]:
    return [trace for trace in figure.data if trace.type == "bar"]


def opened(bar: Bar) -> list[Subset]:
    """What each piece of a trace opens when it is clicked."""
    return [decode(text) for text in bar.customdata]


def test_classes_that_look_like_numbers_or_dates_are_classes() -> None:
    rows = [("1", "train", 2), ("10", "train", 3), ("2026-01-01", None, 1), (None, None, 4)]
    figure = figures.images_by_class(rows, classes=["1", "10", "2026-01-01"])
    assert figure.layout.yaxis.type == "category"
    assert list(figure.data[0].y) == ["1", "10", "2026-01-01", "unlabelled"]
    assert [(bar.name, list(bar.x)) for bar in bars(figure)] == [
        ("train", [2, 3, 0, 0]),
        ("no split", [0, 0, 1, 4]),
    ]


def test_nothing_in_a_name_is_read_as_markup() -> None:
    name = "<a href='http://evil.example'>x</a> & <b>y"
    rows = [(name, "train", 1)]
    shown = "&lt;a href='http://evil.example'>x&lt;/a> &amp; &lt;b>y"
    for figure in (
        figures.images_by_class(rows, classes=[name]),
        figures.labels_by_split(rows, classes=[name]),
    ):
        assert list(bars(figure)[0].y) == [shown]
    assert bars(figure)[0].hovertext[0].startswith(shown)


def test_each_piece_of_a_bar_opens_its_label_and_split() -> None:
    rows = [("dirt", "train", 3), (None, None, 5)]
    for figure in (
        figures.images_by_class(rows, classes=["dirt"]),
        figures.labels_by_split(rows, classes=["dirt"]),
    ):
        train, no_split = bars(figure)
        assert opened(train) == [(InCell("dirt", "train"),), (InCell(None, "train"),)]
        assert opened(no_split) == [(InCell("dirt", None),), (InCell(None, None),)]


def test_the_cells_of_a_split_say_number_and_share_and_where_there_is_none() -> None:
    rows = [("dirt", "train", 3), ("drop", "train", 1), ("drop", "test", 5)]
    figure = figures.labels_by_split(rows, classes=["dirt", "drop"])
    words = [list(trace.text) for trace in figure.data if trace.type == "scatter"]
    assert words == [["3 · 75%", "1 · 25%"], ["none", "5 · 100%"]]
    assert list(figure.layout.xaxis.ticktext) == ["train<br>4", "test<br>5"]
    _, test = bars(figure)
    assert list(test.marker.pattern.shape) == ["/", ""]


def test_a_class_has_the_colour_of_every_page() -> None:
    rows = [("dirt", "train", 1), ("drop", "train", 1)]
    (train,) = bars(figures.labels_by_split(rows, classes=["drop", "dirt"]))
    red, green, blue = (int(CLASS_COLOURS[0][i : i + 2], 16) for i in (1, 3, 5))
    assert train.marker.color[0].startswith(f"rgba({red},{green},{blue},")
    assert list(train.y) == ["drop", "dirt"]


def histogram_of(measure: str, values: list[float], *, chosen: Subset = ()) -> Figure:
    counted = count_values(make_facts(**{measure: values}), measure, with_excluded=False)
    return figures.histogram(counted, height=200, chosen=chosen)


def test_a_histogram_sends_counts_and_ranges_and_no_values() -> None:
    flagged, rest = bars(histogram_of("brightness", [0.01, *[0.5] * 10_000]))
    assert sum(flagged.y) == 1
    assert sum(rest.y) == 10_000
    assert len(rest.y) <= N_BINS
    assert opened(rest) == opened(flagged)
    first = opened(rest)[0][0]
    assert (first.measure, first.low) == ("brightness", 0.0)


def test_a_low_bar_is_hit_anywhere_above_it_and_a_box_of_any_height_is_a_range() -> None:
    layout = histogram_of("brightness", [0.5]).layout
    assert (layout.hovermode, layout.selectdirection) == ("x", "h")


def test_a_histogram_of_one_value_or_none_is_drawn() -> None:
    for values in ([], [0.0], [2.0, 2.0], [float("nan")]):
        figure = histogram_of("sharpness", values)
        assert sum(sum(bar.y) for bar in bars(figure)) == np.isfinite(values).sum()
        assert len(figure.layout.xaxis.tickvals) == len(figure.layout.xaxis.ticktext)


def test_a_logarithmic_axis_is_written_in_values() -> None:
    axis = histogram_of("sharpness", [0.0, 100_000.0]).layout.xaxis
    assert list(axis.ticktext) == ["0", "1", "10", "100", "1,000", "10,000", "100,000"]
    assert axis.tickvals[2] == np.log10(11)


def test_what_is_open_stands_out_and_only_on_its_own_chart() -> None:
    values = [0.2, 0.4, 0.6]
    (_, rest) = bars(histogram_of("brightness", values))
    assert rest.selectedpoints is None
    last = opened(rest)[-1]
    (_, rest) = bars(histogram_of("brightness", values, chosen=last))
    assert list(rest.selectedpoints) == [len(rest.y) - 1]
    (_, rest) = bars(histogram_of("brightness", values, chosen=(InCell("dirt", "*"),)))
    assert rest.selectedpoints is None
    rows = [("dirt", "train", 3), ("drop", "test", 5)]
    chosen = (InCell("dirt", "*"),)
    train, test = bars(figures.images_by_class(rows, classes=["dirt", "drop"], chosen=chosen))
    assert list(train.selectedpoints) == list(test.selectedpoints) == [0]


def test_sizes_are_bars_that_open_their_images() -> None:
    shown = [(HasSize(640, 1480), 9), (HasOtherSize(), 1)]
    (bar,) = figures.image_sizes(shown, height=200).data
    assert list(bar.y) == ["640 × 1,480", "rarer sizes"]
    assert list(bar.x) == [9, 1]
    assert opened(bar) == [(HasSize(640, 1480),), (HasOtherSize(),)]


def test_the_largest_part_of_the_disk_comes_first() -> None:
    figure = figures.disk_use({"images": 5_000_000, "jobs": 1, "lacquer.db": 9_000_000})
    assert list(figure.data[0].y) == ["lacquer.db", "images", "jobs"]
    assert list(figure.data[0].x) == [9.0, 5.0, 1e-06]
