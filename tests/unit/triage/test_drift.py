"""Drift: a window against the calibration images, at a level that is kept."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.triage import drift
from core.triage.drift import (
    Comparison,
    Sample,
    compare_window,
    level_of_test,
    read_comparison,
)
from core.triage.drift_wording import next_steps, verdict
from core.vocabulary import QUALITY_MEASURES


@pytest.fixture(autouse=True)
def _few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level of 1 % a test, which 199 permutations can tell."""
    monkeypatch.setattr(drift, "IMAGES_A_FALSE_ALARM", 500)


def draw(n: int, seed: int, *, first_id: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        np.arange(first_id, first_id + n),
        rng.normal(size=(n, 8)).astype(np.float32) + 2,
        rng.uniform(0.3, 0.6, size=(n, len(QUALITY_MEASURES))),
        rng.normal(size=n),
        tuple(rng.choice(["dirt", "drop"], n).tolist()),
    )


REFERENCE = draw(120, 0)
WINDOW = draw(60, 1, first_id=1_000)


def compare(window: Sample = WINDOW, reference: Sample = REFERENCE, **more: bool) -> Comparison:
    return compare_window(reference, window, **more)


def alarms(found: Comparison) -> set[str]:
    return {test.name for test in found.tests if test.is_alarm}


def dimmed(by: float) -> Sample:
    assert WINDOW.camera is not None
    camera = WINDOW.camera.copy()
    camera[:, 0] *= by
    return replace(WINDOW, camera=camera)


def test_images_drawn_alike_are_no_alarm() -> None:
    found = compare()
    assert not found.is_alarm
    assert [test.name for test in found.tests] == list(drift.TESTS)
    assert next_steps(found) == ()
    assert verdict(found) == "These 60 images look like the calibration images."


def test_a_brighter_lamp_is_named() -> None:
    found = compare(dimmed(1.3))
    assert "camera" in alarms(found)
    assert found.camera[0].name == "brightness"
    assert "brighter by 2" in verdict(found) or "brighter by 3" in verdict(found)
    assert next_steps(found)[0].startswith("Check the lamps")


def test_the_clearest_change_says_what_is_checked_first() -> None:
    found = compare(dimmed(1.3))
    brightness, sharpness = found.camera[0], replace(found.camera[0], name="sharpness")
    both = replace(found, camera=(brightness, sharpness))
    assert next_steps(both)[0].startswith("Check the lamps")
    both = replace(found, camera=(sharpness, brightness))
    assert next_steps(both)[0].startswith("Check the lens")


def test_a_darker_lamp_is_called_darker() -> None:
    assert "darker by" in verdict(compare(dimmed(0.7)))


def test_features_that_moved_are_an_alarm_of_both_tests_of_features() -> None:
    moved = WINDOW.features.copy()
    moved[:, 0] += 3
    found = compare(replace(WINDOW, features=moved))
    assert alarms(found) == {"mmd", "classifier"}


def test_images_far_from_all_classes_are_an_alarm_and_nearer_ones_are_none() -> None:
    assert WINDOW.novelty is not None
    assert alarms(compare(replace(WINDOW, novelty=WINDOW.novelty + 3))) == {"novelty"}
    assert alarms(compare(replace(WINDOW, novelty=WINDOW.novelty - 3))) == set()


def test_another_mix_of_labels_is_an_alarm_that_names_the_label() -> None:
    found = compare(replace(WINDOW, labels=("scratch",) * 60))
    assert alarms(found) == {"labels"}
    assert found.labels[0].name == "scratch"
    assert (found.labels[0].reference, found.labels[0].window) == (0.0, 1.0)
    assert "scratch makes 100%" in verdict(found)


def test_an_alarm_is_given_exactly_above_the_limit() -> None:
    for window in (WINDOW, dimmed(1.05), dimmed(1.3)):
        for test in compare(window).tests:
            assert test.limit is not None
            assert test.is_alarm == (test.value > test.limit + 1e-12)


def test_ending_early_changes_no_answer() -> None:
    for by in (1.0, 1.05, 1.1, 1.3):
        whole, early = compare(dimmed(by)), compare(dimmed(by), with_limits=False)
        assert alarms(whole) == alarms(early)


def test_the_most_unlike_images_are_those_that_moved() -> None:
    moved = WINDOW.features.copy()
    moved[:12] = -moved[:12]
    found = compare(replace(WINDOW, features=moved))
    assert set(found.most_unlike) == set(range(1_000, 1_012))


def test_an_image_that_came_twice_counts_once() -> None:
    twice = WINDOW.take(np.r_[np.arange(60), np.arange(60)])
    assert compare(twice) == compare(WINDOW)


def test_a_calibration_image_in_the_window_is_left_out() -> None:
    mixed = Sample(
        np.r_[WINDOW.ids, REFERENCE.ids[:9]],
        np.r_[WINDOW.features, REFERENCE.features[:9]],
    )
    assert compare(mixed).n_images == 60


def test_what_is_not_known_is_not_tested() -> None:
    found = compare(Sample(WINDOW.ids, WINDOW.features))
    assert [test.name for test in found.tests] == ["mmd", "classifier"]
    assert (found.camera, found.novelty, found.labels) == ((), None, ())


def test_too_few_images_are_refused_with_their_number() -> None:
    with pytest.raises(ValueError, match="window must have at least 20 different images, got 7"):
        compare(WINDOW.take(np.arange(7)))
    with pytest.raises(ValueError, match="reference must have at least 30 different images, got 9"):
        compare(reference=REFERENCE.take(np.arange(9)))


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        Sample(np.arange(3), np.zeros((2, 4)))


def test_a_comparison_survives_being_stored() -> None:
    found = compare(dimmed(1.3))
    assert read_comparison(json.loads(json.dumps(asdict(found)))) == found


def test_the_budget_is_shared_by_all_windows_and_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "IMAGES_A_FALSE_ALARM", 50_000)
    n_windows = 50_000 / drift.STEP
    assert level_of_test() * n_windows * len(drift.TESTS) == pytest.approx(1.0)


def test_a_whole_window_lies_within_any_200_images() -> None:
    assert drift.WINDOW + drift.STEP <= 200


@given(value=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_images_without_any_difference_are_never_an_alarm(value: float, seed: int) -> None:
    def even(n: int, first_id: int) -> Sample:
        return Sample(
            np.arange(first_id, first_id + n),
            np.full((n, 4), value),
            np.full((n, len(QUALITY_MEASURES)), value),
            np.full(n, value),
            ("dirt",) * n,
        )

    found = compare_window(even(40, 0), even(25, 500), seed=seed, with_limits=False)
    assert not found.is_alarm


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    # 5 tests at 1 % each: 100 windows give 5 at most on average, and above 12 about once in 500.
    n_alarms = sum(
        compare_window(
            draw(40, 2 * i), draw(25, 2 * i + 1, first_id=500), with_limits=False
        ).is_alarm
        for i in range(100)
    )
    assert n_alarms <= 12
