"""With a log-in, nobody sees anything before it, and everybody may do what their role says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.settings import PROJECT_ROOT
from core.state import catalog, job_rows, labels
from core.state.workspace import Workspace, list_workspaces
from tests.login import ADMIN, OPERATOR, SCIENTIST, configured
from tests.pages.conftest import TIMEOUT_S, checked, choose, click, send, shown_ids

PAGES = ("overview", "dataset", "latent_space", "activity")
OpenAs = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def login(tmp_path: Path) -> Iterator[None]:
    """A log-in is configured."""
    with configured(tmp_path):
        yield


@pytest.fixture
def open_as(small: Workspace) -> OpenAs:
    """`open_as(email, page)`: the page as the person with this address sees it; "" is nobody."""

    def open_(email: str, page: str = "overview", **query: str) -> AppTest:
        at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
        at.user = {"is_logged_in": bool(email), "email": email, "name": email.partition("@")[0]}
        at.session_state["person"] = "root"  # a name given before there was a log-in counts no more
        at.query_params.update({name.replace("__", "."): value for name, value in query.items()})
        at.switch_page(f"{page}.py")
        return checked(at.run())

    return open_


@pytest.mark.parametrize("page", PAGES)
def test_before_the_login_every_address_shows_the_login_alone(
    page: str, open_as: OpenAs, small: Workspace
) -> None:
    at = open_as("", page)
    assert [button.key for button in at.button] == ["main.login"]
    assert not at.get("bidi_component")
    assert not at.metric
    assert not at.sidebar.children
    assert small.name not in str([element.value for element in [*at.markdown, *at.header]])
    assert small.uid not in str(at.query_params)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("email", [OPERATOR, SCIENTIST, ADMIN])
def test_after_it_every_page_opens_for_every_role(email: str, page: str, open_as: OpenAs) -> None:
    at = open_as(email, page)
    assert not at.error
    assert "shared.logout" in [button.key for button in at.button]


def test_an_operator_labels_under_their_own_name(open_as: OpenAs, small: Workspace) -> None:
    at = open_as(OPERATOR, "dataset")
    send(at, "dataset.gallery", selection=shown_ids(at, "dataset.gallery")[:2])
    click(at, "dataset.act.exclude")
    assert [batch.actor for batch in labels.list_batches(small)] == ["anyone"]


def test_an_operator_imports_and_generates_nothing(open_as: OpenAs, small: Workspace) -> None:
    at = open_as(OPERATOR, "dataset", dataset__view="Import")
    at.file_uploader(key="dataset.upload").upload("a.zip", b"x", "application/zip")
    checked(at.run())
    click(at, "dataset.look")
    assert "needs the role data scientist" in at.error[0].value.replace("\\", "")
    choose(at, "dataset.source", "Synthetic paint defects")
    click(at, "dataset.generate")
    assert at.error
    assert job_rows.list_jobs(small, statuses=("queued",)) == []
    assert not list(small.path.rglob("*.zip"))


def test_an_operator_moves_no_image_to_another_split(open_as: OpenAs, small: Workspace) -> None:
    before = catalog.summarise(small).by_label_and_split
    at = open_as(OPERATOR, "dataset")
    send(at, "dataset.gallery", selection=shown_ids(at, "dataset.gallery")[:2])
    at.segmented_control(key="dataset.act.split").set_value("test")
    checked(at.run())
    click(at, "dataset.act.move")
    assert at.error
    assert catalog.summarise(small).by_label_and_split == before


def test_an_operator_computes_nothing(open_as: OpenAs, small: Workspace) -> None:
    for page, button in (
        ("latent_space", "latent_space.embed"),
        ("latent_space", "latent_space.project"),
        ("clusters_and_anomalies", "clusters_and_anomalies.make.start"),
    ):
        assert click(open_as(OPERATOR, page), button).error
    assert job_rows.list_jobs(small, statuses=("queued",)) == []


def test_a_data_scientist_imports_but_deletes_no_workspace(
    open_as: OpenAs, small: Workspace
) -> None:
    at = open_as(SCIENTIST, "dataset", dataset__view="Import")
    choose(at, "dataset.source", "Synthetic paint defects")
    click(at, "dataset.generate")
    assert job_rows.list_jobs(small)[0].actor == "sci"
    assert delete(open_as(SCIENTIST), small).error
    assert [workspace.uid for workspace in list_workspaces()] == [small.uid]


def test_an_operator_makes_and_renames_no_workspace(open_as: OpenAs, small: Workspace) -> None:
    at = open_as(OPERATOR)
    next(field for field in at.text_input if field.label == "New workspace").set_value("Mine")
    checked(next(button for button in at.button if button.label == "Create").click().run())
    assert at.error
    at = open_as(OPERATOR)
    at.text_input(key=f"overview.name.{small.uid}").set_value("Mine")
    checked(at.run())
    assert click(at, f"overview.rename.{small.uid}").error
    assert [workspace.name for workspace in list_workspaces()] == ["Paint shop"]


def test_an_admin_deletes_a_workspace(open_as: OpenAs, small: Workspace) -> None:
    delete(open_as(ADMIN), small)
    assert list_workspaces() == []


def test_who_is_logged_in_stands_in_the_header(open_as: OpenAs) -> None:
    at = open_as(SCIENTIST)
    assert any("data scientist" in each.value for each in at.markdown)
    assert all("cookie" not in each.key for each in at.get("bidi_component"))


def delete(at: AppTest, workspace: Workspace) -> AppTest:
    at.text_input(key=f"overview.typed.{workspace.uid}").set_value(workspace.name)
    checked(at.run())
    return click(at, f"overview.delete.{workspace.uid}")
