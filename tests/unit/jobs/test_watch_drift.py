"""Watching for drift: windows of arrivals, an alarm that lets labelling rest, and its end."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.analysis.drift import read_drift
from core.errors import OperatorError
from core.jobs.steps.watch_drift import check, compare_images, is_due
from core.state import applications, catalog, drift, labels
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from core.triage.drift import MIN_REFERENCE
from tests.line import STEP, WINDOW, arrive, promote, small_windows
from tests.samples import copy_template

LATER, MUCH_LATER = "2100-01-01T00:00:00.000Z", "2100-01-02T00:00:00.000Z"


@pytest.fixture
def shop(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The toy shop with its model at work and one plan."""
    small_windows(monkeypatch)
    promote(shop)
    return shop


def test_nothing_is_looked_at_until_a_window_is_full(shop: Workspace) -> None:
    arrive(shop, WINDOW - 1, at=LATER)
    assert check(shop) == []
    arrive(shop, 1, at=LATER)
    assert len(check(shop)) == 1
    assert check(shop) == []


def test_a_look_is_due_once_a_window_is_full_that_can_be_compared(shop: Workspace) -> None:
    arrive(shop, WINDOW - 1, at=LATER)
    assert not is_due(shop)
    arrive(shop, 1, at=LATER)
    assert is_due(shop)
    calibrating = catalog.image_ids(shop, ImageFilter(splits=("calibration",)))
    labels.set_split(shop, calibrating[MIN_REFERENCE - 1 :].tolist(), "train", actor="Ada")
    assert not is_due(shop)  # or each batch of arrivals would have a look that finds nothing


def test_windows_overlap_and_each_is_looked_at_once(shop: Workspace) -> None:
    arrive(shop, WINDOW + 2 * STEP, at=LATER)
    assert len(check(shop)) == 3
    arrive(shop, STEP, at=LATER)
    assert len(check(shop)) == 1
    starts = [each.first_arrival for each in drift.list_windows(shop)]
    assert starts == [1 + 3 * STEP, 1 + 2 * STEP, 1 + STEP, 1]


def test_without_a_shift_all_tests_are_made_and_none_alarms(shop: Workspace) -> None:
    arrive(shop, WINDOW, at=LATER)
    (found,) = check(shop)
    assert not found.is_alarm
    assert [test.name for test in found.tests] == ["mmd", "classifier", "novelty", "labels"]
    assert applications.current_pause(shop) is None


def test_a_shift_lets_automatic_labelling_rest_once_and_says_why(shop: Workspace) -> None:
    arrive(shop, WINDOW, moved=2.0, at=LATER)
    assert check(shop)[0].is_alarm
    pause = applications.current_pause(shop)
    assert pause is not None
    assert (pause.paused, pause.actor) == (True, drift.ACTOR)
    assert pause.reason.startswith("40 images that came in differ")
    assert (pause.evidence["first_arrival"], pause.evidence["last_arrival"]) == (1, WINDOW)
    arrive(shop, WINDOW, moved=2.0, at=LATER)
    assert all(found.is_alarm for found in check(shop))
    assert applications.current_pause(shop) == pause


def test_after_a_person_resumed_only_what_came_since_is_looked_at(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(shop, WINDOW, moved=2.0, at=LATER)
    check(shop)
    monkeypatch.setattr("core.state.applications.now", lambda: LATER)
    applications.resume(shop, "lamp mended", actor="eve")
    arrive(shop, WINDOW - 1, at=MUCH_LATER)
    assert check(shop) == []
    arrive(shop, 1, at=MUCH_LATER)
    (found,) = check(shop)
    assert not found.is_alarm
    assert drift.list_windows(shop)[0].first_arrival == WINDOW + 1


def test_without_a_model_at_work_nothing_is_looked_at(
    planned_shop: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copy_template(planned_shop, home / "idle")
    small_windows(monkeypatch)
    arrive(workspace, WINDOW, at=LATER)
    assert check(workspace) == []
    with pytest.raises(OperatorError, match="No model is at work"):
        compare_images(workspace, np.arange(50))


def test_a_window_is_recorded_once_though_two_processes_look(shop: Workspace) -> None:
    arrive(shop, WINDOW, at=LATER)
    check(shop)
    (row,) = drift.list_windows(shop)
    again = {name: getattr(row, name) for name in vars(row) if name not in ("id", "at")}
    assert not drift.add_window(shop, **again)
    assert drift.list_windows(shop) == [row]


def test_any_images_can_be_compared_and_nothing_comes_of_it(shop: Workspace) -> None:
    ids = arrive(shop, WINDOW + 10, moved=2.0, at=LATER)
    looked = compare_images(shop, np.array(ids), window=WINDOW)
    assert [each.found.is_alarm for each in looked] == [True] * len(looked)
    assert (looked[0].first, looked[-1].last) == (ids[0], ids[-1])
    assert drift.list_windows(shop) == []
    assert applications.current_pause(shop) is None


def test_images_without_features_say_what_to_do(shop: Workspace) -> None:
    with pytest.raises(OperatorError, match="0 of 50 images have features") as caught:
        compare_images(shop, np.arange(90_000, 90_050))
    assert "Plan again" in caught.value.next_step


@pytest.mark.parametrize(("moved", "code"), [(0.0, 0), (2.0, 1)])
def test_the_command_tells_of_the_newest_import(
    shop: Workspace, capsys: pytest.CaptureFixture[str], moved: float, code: int
) -> None:
    arrive(shop, WINDOW, moved=moved, at=LATER)
    where = ["--workspace", str(shop.path), "--json"]
    for choice in ([], ["--since", "1"]):
        assert main(["drift", *choice, *where]) == code
        told = json.loads(capsys.readouterr().out)
        assert (told["is_alarm"], told["n_windows"]) == (bool(code), 1)
        assert bool(told["next_steps"]) == bool(code)


def test_the_command_refuses_an_import_that_is_not_there(
    shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drift", "--import", "77", "--workspace", str(shop.path)]) == 1
    assert "There is no import 77." in capsys.readouterr().err


def test_the_reading_says_how_the_line_stands(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_drift(shop).newest is None
    arrive(shop, 3, at="2000-01-01T00:00:00.000Z")  # before anybody planned
    assert read_drift(shop).n_waiting == 0
    arrive(shop, WINDOW, moved=2.0, at=LATER)
    check(shop)
    found = read_drift(shop)
    assert found.alarm is not None
    assert found.is_paused_by_drift
    monkeypatch.setattr("core.state.applications.now", lambda: LATER)
    applications.resume(shop, "lamp mended", actor="eve")
    resumed = read_drift(shop)
    assert (resumed.alarm, resumed.newest, resumed.n_waiting) == (None, None, 0)
