"""Charts of drift: what is drawn, where the alarm is, and what names may hold."""

import pytest

from core.figures import camera_over_time, drift_over_time, shares_over_time
from core.figures.drawing import WARNING_COLOUR
from core.triage.drift import CameraShift, Comparison, DriftTest, Share

PLACES = [175, 200]


def comparison(value: float, *, limit: float | None = 0.6, z: float = 1.0) -> Comparison:
    tests = (
        DriftTest("classifier", value, limit, 0.5, limit is not None and value > limit),
        DriftTest("camera", abs(z), 4.0, 0.5, abs(z) > 4),
    )
    camera = (CameraShift("brightness", 0.5, 0.6, z),)
    return Comparison(300, 175, 1e-4, tests, camera, None, (), ())


def test_a_window_above_the_line_is_marked() -> None:
    measured, line = drift_over_time(PLACES, [comparison(0.5), comparison(0.9)], "classifier").data
    assert list(measured.y) == [0.5, 0.9]
    assert [colour == WARNING_COLOUR for colour in measured.marker.color] == [False, True]
    assert list(line.y) == [0.6, 0.6]


def test_a_test_that_was_not_made_leaves_a_gap() -> None:
    measured, line = drift_over_time(PLACES, [comparison(0.5)] * 2, "novelty").data
    assert list(measured.y) == [None, None]
    assert list(line.y) == [None, None]


def test_the_camera_has_a_line_on_either_side() -> None:
    figure = camera_over_time(
        PLACES, [comparison(0.5, z=-6.0), comparison(0.5)], {"brightness": "Brightness"}
    )
    brightness, above, below = figure.data
    assert list(brightness.y) == [-6.0, 1.0]
    assert (list(above.y), list(below.y)) == ([4.0, 4.0], [-4.0, -4.0])


def test_a_label_that_is_not_in_every_window_has_a_gap_and_its_name_is_no_markup() -> None:
    dirt, drop = Share("dirt", 0.5, 0.4, 0.3, 0.5), Share("<b>drop", 0.5, 0.6, 0.5, 0.7)
    figure = shares_over_time(PLACES, [[dirt, drop], [drop]], ["dirt", "<b>drop"])
    by_name = {trace.name: list(trace.y) for trace in figure.data}
    assert by_name == {"&lt;b>drop": [0.6, 0.6], "dirt": [0.4, None]}


def test_a_share_without_a_name_is_called_by_the_title_and_has_its_interval() -> None:
    novel = Share("", 0.05, 0.1, 0.06, 0.16)
    (trace,) = shares_over_time([175], [[novel]], [], title="novel").data
    assert trace.name == "novel"
    assert trace.error_y.array[0] == pytest.approx(0.06)
    assert trace.error_y.arrayminus[0] == pytest.approx(0.04)
