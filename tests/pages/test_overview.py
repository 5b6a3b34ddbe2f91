"""Workspaces are made, entered, renamed and deleted on the overview, by those who may."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.state import job_rows
from core.state.workspace import Workspace, create_workspace, list_workspaces
from tests.pages.conftest import OpenPage, checked, click, texts


def names() -> list[str]:
    return [workspace.name for workspace in list_workspaces()]


def create(at: AppTest, name: str) -> AppTest:
    """Fill in the form for a new workspace, whose parts have no keys of their own."""
    next(field for field in at.text_input if field.label == "New workspace").set_value(name)
    return checked(next(b for b in at.button if b.label == "Create").click().run())


def test_the_first_workspace_is_made_and_entered(open_page: OpenPage, home: Path) -> None:
    at = create(open_page(), "Line 3: Fläche")
    assert names() == ["Line 3: Fläche"]
    workspace = list_workspaces()[0]
    assert workspace.path == home / "line-3-flache"
    assert at.query_params["ws"] == workspace.uid


def test_making_one_asks_for_a_name_first(open_page: OpenPage) -> None:
    at = create(open_page(person=None), "Line 3")
    assert names() == []
    assert at.text_input(key="shared.dialog.name")


@pytest.mark.parametrize("name", ["", "   ", "../../up", "x" * 80])
def test_a_workspace_never_lies_outside_the_home(
    name: str, open_page: OpenPage, home: Path
) -> None:
    create(open_page(), name)
    assert [workspace.path.parent for workspace in list_workspaces()] == (
        [home] if name.strip() else []
    )


def test_a_folder_that_is_taken_is_told(open_page: OpenPage, home: Path) -> None:
    create_workspace(home / "line", name="Line")
    at = create(open_page(), "Line")
    assert "There is a workspace in" in at.error[0].value
    assert names() == ["Line"]


def test_another_workspace_is_entered(open_page: OpenPage, home: Path, small: Workspace) -> None:
    other = create_workspace(home / "other", name="Other")
    at = open_page(ws=small.uid)
    click(at, f"overview.enter.{other.uid}")
    assert at.query_params["ws"] == other.uid
    assert {metric.label: metric.value for metric in at.metric}["Images"] == "0"


def test_workspaces_of_the_same_name_can_both_be_entered(
    open_page: OpenPage, home: Path, small: Workspace
) -> None:
    twin = create_workspace(home / "twin", name=small.name)
    for uid in (twin.uid, small.uid):
        at = open_page(ws=uid)
        assert at.query_params["ws"] == uid
        assert at.sidebar.selectbox[0].value == uid
    assert len(set(at.sidebar.selectbox[0].options)) == 2


def test_what_was_selected_in_one_workspace_is_not_looked_for_in_another(
    open_page: OpenPage, home: Path, small: Workspace
) -> None:
    other = create_workspace(home / "other", name="Other")
    at = open_page("latent_space", ws=small.uid, selected="0" * 32)
    at.sidebar.selectbox[0].select(other.uid)
    checked(at.run())
    assert at.query_params == {"ws": other.uid}
    assert not at.toast


def test_renaming(open_page: OpenPage, small: Workspace) -> None:
    at = open_page()
    at.text_input(key=f"overview.name.{small.uid}").set_value("Line 4")
    checked(at.run())
    click(at, f"overview.rename.{small.uid}")
    assert names() == ["Line 4"]
    assert at.header[0].value == "Line 4"


def test_deleting_needs_its_name_typed(open_page: OpenPage, small: Workspace) -> None:
    at = open_page()
    key = f"overview.delete.{small.uid}"
    assert at.button(key=key).disabled
    at.text_input(key=f"overview.typed.{small.uid}").set_value("paint shop")
    assert checked(at.run()).button(key=key).disabled
    at.text_input(key=f"overview.typed.{small.uid}").set_value("Paint shop")
    checked(at.run())
    click(at, key)
    assert names() == []
    assert not small.path.exists()
    assert "Make a workspace to begin" in texts(at)


def test_deleting_asks_for_a_name_first(open_page: OpenPage, small: Workspace) -> None:
    at = open_page(person=None)
    at.text_input(key=f"overview.typed.{small.uid}").set_value("Paint shop")
    checked(at.run())
    click(at, f"overview.delete.{small.uid}")
    assert at.text_input(key="shared.dialog.name")
    assert names() == ["Paint shop"]


def test_the_paper_data_set_is_a_click_away(open_page: OpenPage, home: Path) -> None:
    workspace = create_workspace(home / "empty", name="Empty")
    click(open_page(), "overview.generate")
    jobs = job_rows.list_jobs(workspace)
    assert [(job.kind, job.config["n_images"]) for job in jobs] == [("generate", 344)]
