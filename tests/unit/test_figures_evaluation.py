"""Charts of classifiers: what a click carries, which intervals are drawn, what has no value."""

import numpy as np
import pytest
from plotly.graph_objects import Figure

from core import figures
from core.learning.calibration import measure_reliability
from core.learning.evaluation import Confusion, Estimate, evaluate
from core.palette import CLASS_COLOURS, UNKNOWN_COLOUR

NAMES = ("dirt", "<b>drop")
HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 0.5 + epoch / 10,
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "seconds": 2.5,
    }
    for epoch, loss, accuracy in ((1, 0.9, 0.5), (2, 0.4, 0.9), (3, 0.6, 0.8))
]


def words(figure: Figure) -> list[str]:
    return [word for trace in figure.data if trace.text is not None for word in trace.text]


def colour_of(cell: str) -> tuple[int, ...]:
    return tuple(int(part) for part in cell.removeprefix("rgba(").split(",")[:3])


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_a_cell_of_the_confusion_matrix_carries_what_opens_its_images() -> None:
    confusion = Confusion((*NAMES, "multiple"), NAMES, ((3, 1), (0, 4), (2, 0)))
    figure = figures.confusion_matrix(
        confusion, carried=[["a", "b"], ["c", "d"], ["e", "f"]], chosen=(0, 1)
    )
    cells = figure.data[0]
    assert list(cells.customdata) == ["a", "b", "c", "d", "e", "f"]
    assert cells.hovertext[1] == "dirt given &lt;b>drop: 1 images, 25.0% of dirt"
    assert list(figure.data[1].text) == ["3", "1", "", "4", "2", ""]
    lines = cells.marker.line.color
    assert [colour != "rgba(0,0,0,0)" for colour in lines] == [False, True, *[False] * 4]


def test_a_long_class_has_the_room_of_its_column() -> None:
    for n_classes, title in ((2, "oxide scale of plate system"), (6, "oxide scale o…")):
        names = ("oxide scale of plate system", *"abcdef"[: n_classes - 1])
        counts = ((1,) * n_classes,) * n_classes
        figure = figures.confusion_matrix(
            Confusion(names, names, counts), carried=[[""] * n_classes] * n_classes
        )
        assert figure.layout.xaxis.ticktext[0] == title


def test_right_wrong_and_unknown_have_colours_of_their_own() -> None:
    confusion = Confusion((*NAMES, "multiple"), NAMES, ((3, 1), (0, 4), (2, 0)))
    figure = figures.confusion_matrix(confusion, carried=[["", ""]] * 3)
    colours = [colour_of(cell) for cell in figure.data[0].marker.color]
    assert colours[0] == colours[3] == rgb(CLASS_COLOURS[0])
    assert colours[4] == colours[5] == rgb(UNKNOWN_COLOUR)
    assert colours[1] == colours[2]
    assert len(set(colours)) == 3


def test_a_reliability_diagram_shows_only_bins_with_images_and_their_intervals() -> None:
    before = measure_reliability(np.array([0.55, 0.95, 0.95]), np.array([True, True, False]))
    after = measure_reliability(np.array([0.5, 0.6, 0.6]), np.array([True, True, False]))
    figure = figures.reliability_diagram({"before": before, "<after>": after})
    diagonal, points, bars, _, bars_after = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(points.x) == pytest.approx([0.55, 0.95])
    assert list(points.y) == [1, 0.5]
    low = before.bins[9].accuracy.low
    assert points.error_y.arrayminus[1] == pytest.approx(0.5 - low)
    assert list(bars.y) == [1, 2]
    assert list(bars.x) == pytest.approx([0.55, 0.95])
    assert list(bars_after.y) == [1, 2]
    assert points.name == f"before (error {before.expected_calibration_error:.3f})"
    assert figure.data[3].name.startswith("&lt;after> (error ")


def test_a_reliability_diagram_of_no_images_and_of_equal_confidences_can_be_drawn() -> None:
    none = measure_reliability(np.zeros(0), np.zeros(0, bool))
    assert [len(trace.x) for trace in figures.reliability_diagram({"x": none}).data] == [2, 0, 0]
    equal = measure_reliability(np.ones(3), np.ones(3, bool), binning="equal_mass")
    assert figures.reliability_diagram({"x": equal}).data[2].width[0] > 0


def test_scores_of_a_class_have_their_intervals_and_gaps_say_so() -> None:
    found = evaluate(["dirt", "dirt"], NAMES, np.array([[1, 0], [1, 0]]))
    figure = figures.class_scores(found.classes)
    precision, recall = figure.data[:2]
    assert list(precision.x) == list(recall.x) == [1, None]
    assert precision.error_x.array[0] == 0
    assert precision.error_x.arrayminus[0] == pytest.approx(1 - found.classes[0].precision.low)
    assert list(precision.y) == ["dirt<br>2 images", "&lt;b>drop<br>0 images"]
    assert words(figure) == ["precision not defined, recall not defined"]
    assert "not defined: No image is of this class." in recall.hovertext[1]


def test_curves_of_training_mark_the_best_epoch() -> None:
    loss, accuracy = figures.training_curves(HISTORY, best_epoch=2)
    for figure, best in ((loss, 0.4), (accuracy, 0.9)):
        train, validation, star = figure.data
        assert list(train.x) == list(validation.x) == [1, 2, 3]
        assert (list(star.x), list(star.y)) == ([2], [best])
        assert len(figure.layout.shapes) == 1
    assert list(loss.data[0].y) == pytest.approx([1, 1 / 2, 1 / 3])
    assert list(accuracy.data[1].y) == [0.5, 0.9, 0.8]


def test_curves_can_be_drawn_before_the_first_epoch_and_without_validation() -> None:
    for figure in figures.training_curves([], best_epoch=None):
        assert [len(trace.x) for trace in figure.data] == [0, 0]
    rows = [{**HISTORY[0], "validation_loss": None, "validation_accuracy": None}]
    loss, _ = figures.training_curves(rows)
    assert list(loss.data[1].y) == [None]
    assert not loss.layout.shapes


def test_a_backbone_of_a_quarter_of_the_parameters_has_a_quarter_of_the_area() -> None:
    rows = [
        figures.ComparedBackbone("ResNet-50", Estimate(0.92, 0.84, 0.97, 70), 8.0, 24_000_000),
        figures.ComparedBackbone("small", Estimate(0.90, 0.81, 0.95, 70), 2.0, 6_000_000),
        figures.ComparedBackbone("none", Estimate(None, None, None, 0, "No image."), 1.0, 1),
    ]
    figure = figures.backbone_comparison(rows)
    large, small = figure.data
    assert large.marker.size == pytest.approx(2 * small.marker.size)
    assert (list(large.x), list(large.y)) == ([8.0], [0.92])
    assert large.error_y.arrayminus[0] == pytest.approx(0.08)
    assert figure.layout.yaxis.range[0] == pytest.approx(0.76)
    assert (
        "92.0% (84.0% to 97.0%, n = 70)<br>8 s an epoch<br>24.0 M parameters"
        in (large.hovertext[0])
    )
    assert not figures.backbone_comparison([]).data
