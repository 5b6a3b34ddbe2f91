"""Every page opens, whatever there is to show, and says what to do next."""

from pathlib import Path

import pytest

from core.state import catalog, labels
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.pages.conftest import OpenPage, checked, choose, component_data, shown_ids, texts

PAGES = (
    "overview",
    "dataset",
    "latent_space",
    "clusters_and_anomalies",
    "fine_tuning",
    "defect_types",
    "inbox",
    "activity",
)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_workspace_a_page_leads_to_one(page: str, open_page: OpenPage) -> None:
    at = open_page(page, person=None)
    assert "workspace" in texts(at)
    links = [link.label for link in at.page_link]
    assert links == ([] if page == "overview" else ["Make one"])


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("overview", "import images"),
        ("dataset", ""),
        ("latent_space", "no images yet"),
        ("clusters_and_anomalies", "no images yet"),
        ("fine_tuning", "no images yet"),
        ("defect_types", "no images yet"),
        ("inbox", "Nothing has come in yet"),
        ("activity", "Nothing has been computed yet"),
    ],
)
def test_in_an_empty_workspace_a_page_says_what_comes_next(
    page: str, said: str, open_page: OpenPage, home: Path
) -> None:
    create_workspace(home / "empty", name="Empty")
    at = open_page(page, person=None)
    assert said.replace(" ", "") in texts(at).replace("\\", "").replace(" ", "")
    if page == "dataset":
        assert at.segmented_control(key="dataset.view").value == "Import"


@pytest.mark.parametrize("page", PAGES)
def test_with_everything_computed_every_page_opens(
    page: str, open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(page)
    assert at.query_params["ws"] == small.uid
    assert not at.error


@pytest.mark.parametrize("view", ["Images", "Import", "Report", "Export"])
def test_every_view_of_the_data_set_opens_by_its_address(
    view: str, open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("dataset", dataset__view=view)
    assert at.segmented_control(key="dataset.view").value == view
    assert not at.error


@pytest.mark.parametrize("view", ["Images", "Import", "Report", "Export"])
def test_every_view_of_an_empty_data_set_opens(view: str, open_page: OpenPage, home: Path) -> None:
    create_workspace(home / "empty", name="Empty")
    at = choose(open_page("dataset"), "dataset.view", view)
    assert not at.error
    leads_on = any(button.key == "dataset.first" for button in at.button)
    assert leads_on == (view != "Import")


@pytest.mark.parametrize(
    "view", ["Clusters", "Distances", "Anomalies", "Label errors", "Regions", "Report"]
)
def test_every_view_of_the_analysis_opens_by_its_address(
    view: str, open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("clusters_and_anomalies", clusters_and_anomalies__view=view)
    assert at.segmented_control(key="clusters_and_anomalies.view").value == view
    assert not at.error


@pytest.mark.parametrize("view", ["Jobs", "Changes"])
def test_every_view_of_the_activity_opens(view: str, open_page: OpenPage, small: Workspace) -> None:
    assert (
        open_page("activity", activity__view=view).segmented_control(key="activity.view").value
        == view
    )


@pytest.mark.parametrize("view", ["Train", "Models", "Compare"])
def test_every_view_of_the_fine_tuning_opens_by_its_address(
    view: str, open_page: OpenPage, small: Workspace
) -> None:
    at = open_page("fine_tuning", fine_tuning__view=view)
    assert at.segmented_control(key="fine_tuning.view").value == view
    assert not at.error


def test_the_overview_counts_and_leads_to_fine_tuning(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page()
    values = {metric.label: metric.value for metric in at.metric}
    assert values["Images"] == values["Labelled"] == "24"
    assert values["Classes"] == "3"
    assert [link.label for link in at.page_link] == ["Fine-tune a classifier"]


def test_a_filter_in_the_address_is_the_view(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("dataset", dataset__label=["dirt", "drop"], dataset__name="000")
    names = [item["title"] for item in component_data(at, "dataset.gallery")["items"]]
    assert sorted(names) == ["dirt/000.png", "drop/000.png"]


def test_an_address_with_values_that_are_none_opens_too(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(
        "dataset", dataset__label="no such class", dataset__state="nonsense", dataset__view="x"
    )
    assert len(shown_ids(at, "dataset.gallery")) == 24
    at = open_page("latent_space", latent_space__colour__left="x", selected="../../x", ws="x")
    assert component_data(at, "latent_space.points.left")["kind"] == "category"


def test_the_filter_by_state_finds_what_people_did(open_page: OpenPage, small: Workspace) -> None:
    ids = catalog.image_ids(small).tolist()
    labels.set_excluded(small, ids[:2], True, actor="Ada")
    labels.set_queued(small, ids[2:5], True, actor="Ada")
    labels.relabel(small, ids[5:9], "drop", actor="Ada")
    found = {
        state: len(shown_ids(open_page("dataset", dataset__state=state), "dataset.gallery"))
        for state in ("Excluded", "In triage", "Labelled by a person", "Labelled by the source")
    }
    assert found == {
        "Excluded": 2,
        "In triage": 3,
        "Labelled by a person": 4,
        "Labelled by the source": 20,
    }


def test_the_second_page_of_a_gallery_goes_on_where_the_first_ends(
    open_page: OpenPage, small: Workspace, tmp_path: Path
) -> None:
    line = samples.write_images(tmp_path / "line", n_per_class=60, classes=["drop"])
    samples.import_folder(small, line)
    at = open_page("dataset")
    pages = [shown_ids(at, "dataset.gallery")]
    checked(at.pagination(key="dataset.page").set_value(2).run())
    pages.append(shown_ids(at, "dataset.gallery"))
    assert pages[0] + pages[1] == catalog.image_ids(small).tolist()[::-1]
    at.multiselect(key="dataset.label").set_value(["dirt"])  # too few for a second page
    assert len(shown_ids(checked(at.run()), "dataset.gallery")) == 8
