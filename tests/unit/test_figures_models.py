"""Charts of two models: bars by class with intervals, and the change of what is taken for what."""

import pytest

from core import figures
from core.learning.model_comparison import compare
from core.palette import CLASS_COLOURS

CLASSES = ("dirt", "<b>drop</b>", "scratch")


def compared():  # type: ignore[no-untyped-def]
    labels = ["dirt"] * 4 + ["<b>drop</b>"] * 2
    old = ["dirt"] * 4 + ["dirt"] * 2
    new = ["dirt"] * 3 + ["scratch"] + ["<b>drop</b>"] * 2
    return compare(labels, old, new, old_classes=CLASSES, new_classes=CLASSES)


def test_each_class_with_images_has_a_bar_of_each_model() -> None:
    figure = figures.recall_by_class(compared().classes, old="old-1", new="new-2")
    assert [bar.name for bar in figure.data] == ["old-1", "new-2"]
    assert [list(bar.x) for bar in figure.data] == [[1.0, 0.0], [0.75, 1.0]]
    assert [name.partition("<br>")[0] for name in figure.data[0].y] == [
        "dirt",
        "&lt;b>drop&lt;/b>",
    ]
    assert all(low >= 0 for bar in figure.data for low in bar.error_x.arrayminus)


def test_the_change_of_the_confusion_says_more_and_fewer_and_colours_what_is_better() -> None:
    found = compared()
    figure = figures.confusion_change(found.old_confusion, found.new_confusion)
    cells, numbers = figure.data
    assert list(numbers.text) == ["-1", "", "+1", "-2", "+2", "", "", "", ""]
    blue = "rgba(0,114,178"
    assert [colour.startswith(blue) for colour in cells.marker.color[:5]] == [
        False,  # fewer that are right
        False,
        False,  # more that are wrong
        True,  # fewer that are wrong
        True,  # more that are right
    ]
    assert CLASS_COLOURS[0] == "#0072b2"


def test_confusions_of_other_classes_are_not_subtracted() -> None:
    found = compared()
    other = compare(["dirt"], ["dirt"], ["dirt"], old_classes=["dirt"], new_classes=["dirt"])
    with pytest.raises(ValueError, match="same labels"):
        figures.confusion_change(found.old_confusion, other.new_confusion)
