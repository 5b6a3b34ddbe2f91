"""The view Drift: what it says before, during and after an alarm."""

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.steps.watch_drift import check
from core.state import applications
from core.state.workspace import Workspace
from tests.line import WINDOW, arrive, promote, small_windows
from tests.pages.conftest import TIMEOUT_S, checked, click, texts


@pytest.fixture
def shop(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The toy shop with its model at work, at which windows are small."""
    small_windows(monkeypatch)
    promote(shop)
    return shop


def _view() -> None:
    import streamlit as st

    from core.settings import PROJECT_ROOT
    from core.state.workspace import list_workspaces
    from pages._inbox_drift import show_drift

    linked = ("triage", "dataset", "fine_tuning")
    st.navigation([st.Page(PROJECT_ROOT / "pages" / f"{name}.py") for name in linked])
    show_drift(list_workspaces()[0])


def show() -> AppTest:
    at = AppTest.from_function(_view, default_timeout=TIMEOUT_S)
    at.session_state["person"] = "Ada"
    return checked(at.run())


def test_an_alarm_says_what_to_do_and_ends_when_a_person_says_why(shop: Workspace) -> None:
    assert "0 images came in so far" in texts(show())
    arrive(shop, WINDOW, moved=2.0, at="2100-01-01T00:00:00.000Z")
    check(shop)
    at = show()
    assert "The line has drifted." in texts(at)
    assert "Automatic labelling rests." in texts(at)
    at.text_input(key="inbox.drift.reason").set_value("lamp mended")
    click(at, "inbox.drift.resume")
    pause = applications.current_pause(shop)
    assert pause is not None
    assert (pause.paused, pause.reason, pause.actor) == (False, "lamp mended", "Ada")
