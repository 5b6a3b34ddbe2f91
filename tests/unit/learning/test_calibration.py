"""A temperature takes back what a network is too sure of; few images say how little they say."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.learning.calibration import (
    BINNINGS,
    HIGHEST,
    fit_temperature,
    measure_calibration,
    measure_reliability,
    softmax,
)


@pytest.fixture(scope="module")
def too_sure() -> tuple[np.ndarray, np.ndarray]:
    """Logits of 4,000 images that are calibrated at temperature 2.5, and what is true."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (4_000, 3))
    chances = softmax(logits, temperature=2.5).cumsum(axis=1)
    return logits, (rng.random((4_000, 1)) > chances).sum(axis=1)


def test_the_temperature_that_the_network_lacked_is_found(
    too_sure: tuple[np.ndarray, np.ndarray],
) -> None:
    found = fit_temperature(*too_sure)
    assert found.value == pytest.approx(2.5, rel=0.06)
    assert found.nll_after < found.nll_before - 0.1
    assert (found.n, found.why) == (4_000, "")


def test_the_error_falls_with_the_temperature_and_what_is_said_stays(
    too_sure: tuple[np.ndarray, np.ndarray],
) -> None:
    logits, targets = too_sure
    found = measure_calibration(logits, targets, temperature=2.5)
    assert found.before.confidence > found.before.accuracy.value + 0.1
    assert found.before.expected_calibration_error > 0.1
    assert found.after.expected_calibration_error < 0.02
    assert found.after.accuracy == found.before.accuracy


def test_the_error_is_the_mean_gap_of_the_bins() -> None:
    confidences = np.array([0.55, 0.6, 0.95, 0.95, 1.0])
    correct = np.array([True, False, True, True, False])
    found = measure_reliability(confidences, correct)
    # (0.5, 0.6]: |1.15 - 1|; (0.9, 1]: |2.9 - 2|; over five images
    assert found.expected_calibration_error == pytest.approx((0.15 + 0.9) / 5)
    assert [each.n for each in found.bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    assert found.bins[5].confidence == pytest.approx(0.575)
    assert (found.bins[9].accuracy.value, found.bins[9].accuracy.n) == (pytest.approx(2 / 3), 3)
    assert found.bins[0].confidence is found.bins[0].accuracy.value is None
    assert found.bins[0].accuracy.why == "No image is in it."


def test_bins_of_equal_mass_hold_about_as_many_images_each_and_none_is_empty() -> None:
    confidences = np.linspace(0.5, 1, 40) ** 0.1
    found = measure_reliability(confidences, confidences > 0, binning="equal_mass")
    assert [each.n for each in found.bins] == [4] * 10
    tied = measure_reliability(
        np.array([1.0] * 30 + [0.6] * 4), np.ones(34, bool), binning="equal_mass"
    )
    assert [each.n for each in tied.bins] == [4, 30]
    assert [(each.low, each.high) for each in tied.bins] == [(0.6, 0.6), (0.6, 1.0)]


def test_few_images_show_an_error_even_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    by_chance = {}
    for n in (70, 7_000):
        confidences = rng.uniform(0.5, 1, n)
        found = measure_reliability(confidences, rng.random(n) < confidences)
        by_chance[n] = found.expected_by_chance
        assert found.expected_calibration_error == pytest.approx(found.expected_by_chance, rel=0.6)
    assert by_chance[70] > 0.05 > 0.02 > by_chance[7_000]


def test_images_that_are_all_right_leave_the_temperature_alone() -> None:
    logits = np.array([[5.0, 0.0], [0.0, 0.1], [2.0, 2.0]])
    found = fit_temperature(logits, np.array([0, 1, 0]))
    assert found.value == 1
    assert found.nll_before == found.nll_after
    assert found.why == "All 3 images are right: they cannot tell how sure is too sure."


def test_one_wrong_among_many_right_has_a_temperature() -> None:
    logits = np.array([[5.0, 0.0]] * 99 + [[0.0, 5.0]])
    found = fit_temperature(logits, np.zeros(100, int))
    # calibrated where the sigmoid of 5 / T is 0.99
    assert found.value == pytest.approx(5 / np.log(99), rel=1e-3)
    assert found.why == ""


def test_a_model_that_is_always_wrong_is_softened_as_far_as_it_goes() -> None:
    found = fit_temperature(np.array([[5.0, 0.0]] * 4), np.ones(4, int))
    assert found.value == pytest.approx(HIGHEST, rel=1e-3)
    assert "no more often than by chance" in found.why


def test_images_of_no_class_are_left_out() -> None:
    logits = np.array([[5.0, 0.0]] * 99 + [[0.0, 5.0]] + [[9.0, 0.0]] * 30)
    targets = np.array([0] * 100 + [-1] * 30)
    assert fit_temperature(logits, targets) == fit_temperature(logits[:100], targets[:100])
    assert measure_calibration(logits, targets, temperature=1.0).before.n == 100
    nothing = fit_temperature(logits[100:], targets[100:])
    assert (nothing.value, nothing.n, nothing.nll_before) == (1.0, 0, None)
    assert nothing.why == "No image is of a class of the model."


def test_huge_logits_neither_overflow_nor_lose_the_sum_of_one() -> None:
    found = softmax(np.array([[1e4, -1e4, 0.0], [-1e300, 1e300, 0.0]]), temperature=0.05)
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 0]])


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(ValueError, match="logits must be finite"):
        softmax(np.array([[np.inf, 0.0]]))
    with pytest.raises(ValueError, match=r"shape \(n_images, n_classes\), got \(3,\)"):
        softmax(np.zeros(3))
    with pytest.raises(ValueError, match=r"temperature must be above 0, got 0"):
        softmax(np.zeros((1, 2)), temperature=0)
    with pytest.raises(ValueError, match=r"targets must lie in \[-1, 1\], got 0 to 2"):
        fit_temperature(np.zeros((2, 2)), np.array([0, 2]))
    with pytest.raises(ValueError, match=r"targets must have shape \(2,\)"):
        fit_temperature(np.zeros((2, 2)), np.array([0]))
    with pytest.raises(ValueError, match=r"confidences must lie in \[0, 1\]"):
        measure_reliability(np.array([np.nan]), np.array([True]))
    with pytest.raises(ValueError, match="binning must be one of equal_width, equal_mass, got 'x'"):
        measure_reliability(np.array([0.5]), np.array([True]), binning="x")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_logits_give_nan_and_a_fitted_temperature_never_hurts(data: st.DataObject) -> None:
    n, n_classes = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 4))
    logits = data.draw(arrays(np.float32, (n, n_classes), elements=st.floats(-1e4, 1e4, width=32)))
    targets = data.draw(arrays(np.int64, n, elements=st.integers(-1, n_classes - 1)))
    fitted = fit_temperature(logits, targets)
    assert fitted.value > 0
    if fitted.n:
        assert fitted.nll_after <= fitted.nll_before
    for binning in BINNINGS:
        found = measure_calibration(logits, targets, temperature=fitted.value, binning=binning)
        for measured in (found.before, found.after):
            assert sum(each.n for each in measured.bins) == measured.n == (targets >= 0).sum()
            if measured.n:
                assert 0 <= measured.expected_calibration_error <= 1
            else:
                assert measured.expected_calibration_error is None
        json.dumps([asdict(found), asdict(fitted)], allow_nan=False)
