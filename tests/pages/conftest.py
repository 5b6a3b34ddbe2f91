"""Pages opened as a person opens them, through the main script, in this process."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.jobs import queue
from core.jobs.configs import AnalyseSpace
from core.settings import PROJECT_ROOT, Settings
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.slips import Slips, add_slips

OpenPage = Callable[..., AppTest]
TIMEOUT_S = 180


@pytest.fixture(scope="session", autouse=True)
def installed_components() -> Iterator[None]:
    """Streamlit asks every installed package for components, whenever a page is opened: once."""
    scan = cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs wait: a test that wants one done does it itself."""
    monkeypatch.setattr(queue, "wake", lambda workspace, lane: None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace to copy: 24 images in three classes, with everything computed."""
    return samples.build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def small(template: Path, home: Path) -> Workspace:
    """A workspace of one's own with 24 images in three classes and everything computed."""
    return samples.copy_template(template, home / "small")


@pytest.fixture(scope="session")
def analysed_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Slips]:
    """A workspace to copy: 72 images in three classes, six of them mislabelled, analysed."""
    folder = tmp_path_factory.mktemp("analysed")
    made = create_workspace(folder / "template", name="Slips", settings=Settings(home=folder))
    slips = add_slips(made)
    job = samples.do(made, AnalyseSpace(slips.embedding.id))
    assert job.status == "succeeded", job.error
    samples.close_for_copying(made)
    return made.path, slips


@pytest.fixture
def analysed(analysed_template: tuple[Path, Slips], home: Path) -> tuple[Workspace, Slips]:
    """A workspace of one's own with six slips among 72 labels, and everything measured."""
    path, slips = analysed_template
    return samples.copy_template(path, home / "analysed"), slips


@pytest.fixture
def open_page(home: Path) -> OpenPage:
    """`open_page("dataset")` gives the page of a new session; it has shown no exception.

    `person` is the name given in this browser, None where none was; other keywords stand in the
    address.
    """

    def open_(page: str = "overview", *, person: str | None = "Ada", **query: Any) -> AppTest:
        at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
        if person is not None:
            at.session_state["person"] = person
        at.query_params.update({name.replace("__", "."): value for name, value in query.items()})
        at.switch_page(f"{page}.py")
        return checked(at.run())

    return open_


def checked(at: AppTest) -> AppTest:
    """The page, if it has shown no exception."""
    assert not at.exception, [error.value for error in at.exception]
    return at


def click(at: AppTest, key: str) -> AppTest:
    """Press a button."""
    return checked(at.button(key=key).click().run())


def choose(at: AppTest, key: str, value: Any) -> AppTest:
    """Choose in a segmented control."""
    return checked(at.segmented_control(key=key).set_value(value).run())


def send(at: AppTest, key: str, **values: Any) -> AppTest:
    """Run the page as the browser would after a component of ours has set these values.

    AppTest drives no components of the second version, so this goes through its private parts.
    """
    states = at._tree.get_widget_states()
    state = WidgetState(id=component(at, key).proto.id, json_value=json.dumps(values))
    states.widgets.append(state)
    return checked(at._run(states))


def component(at: AppTest, key: str) -> Any:
    """The component with this key."""
    found = [each for each in at.get("bidi_component") if each.key == key]
    assert len(found) == 1, [each.key for each in at.get("bidi_component")]
    return found[0]


def component_data(at: AppTest, key: str) -> Mapping[str, Any]:
    """What the page gave a component of ours."""
    return json.loads(component(at, key).proto.json)


def shown_ids(at: AppTest, key: str) -> list[int]:
    """Ids of the images on a gallery's page, in their order."""
    return [item["id"] for item in component_data(at, key)["items"]]


def texts(at: AppTest) -> str:
    """Every text on the page that is read as Markdown."""
    elements = [*at.markdown, *at.caption, *at.header, *at.subheader, *at.error, *at.warning]
    return "\n".join(element.value for element in [*elements, *at.info, *at.toast])
