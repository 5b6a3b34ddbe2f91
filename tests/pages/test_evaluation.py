"""The page of evaluations: what it asks for, says, opens, and leaves for a person to decide."""

import json

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.jobs.configs import CompareMaps, EvaluateModel, ExplainImage, JobConfig, from_json
from core.jobs.steps import config_class
from core.state import catalog, job_rows, labels, models, runs
from core.state.models import Model
from core.state.workspace import Workspace
from tests import classifiers
from tests.pages.conftest import (
    OpenPage,
    checked,
    choose,
    click,
    component_data,
    send,
    shown_ids,
    texts,
)

PAGE = "evaluation"


@pytest.fixture
def model(small: Workspace) -> Model:
    """It knows dirt and drop; half of their images validate it, with all that it does not know."""
    known = ids_labelled(small, *classifiers.CLASSES)
    labels.set_split(small, catalog.image_ids(small).tolist(), "validation", actor="Ada")
    return classifiers.add_model(small, train=known[::2], validation=known[1::2])


@pytest.fixture
def wrong(small: Workspace, model: Model) -> int:
    """The one validation image that the evaluated model is wrong about: it takes dirt for drop."""
    image_id = next(i for i in validating(small, model) if i in ids_labelled(small, "dirt"))
    classifiers.evaluate(small, model, embedding_of(small), wrong=[image_id])
    return image_id


def ids_labelled(workspace: Workspace, *names: str) -> list[int]:
    return catalog.image_ids(workspace, catalog.ImageFilter(labels=names)).tolist()


def embedding_of(workspace: Workspace) -> runs.Run:
    return runs.list_runs(workspace, "embedding")[0]


def validating(workspace: Workspace, model: Model) -> list[int]:
    return models.load_roles(workspace, model).validation.tolist()


def submitted(workspace: Workspace) -> list[JobConfig]:
    """What the jobs that wait were asked, in their order."""
    jobs = sorted(job_rows.list_jobs(workspace, statuses=("queued",)), key=lambda job: job.id)
    return [from_json(config_class(job.kind), dict(job.config)) for job in jobs]


def metrics(at: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in at.metric}


def charts(at: AppTest) -> dict[str, dict]:
    """The charts that are shown, by name, as plotly's JSON."""
    return {
        chart.proto.id.split(f"{PAGE}.")[1].rstrip("0123456789").rstrip("."): json.loads(
            chart.proto.spec
        )
        for chart in at.get("plotly_chart")
    }


def click_cell(at: AppTest, carried: object) -> AppTest:
    """Click a cell of the confusion matrix; AppTest drives no charts itself."""
    (shown,) = [c for c in at.get("plotly_chart") if f"{PAGE}.confusion." in c.proto.id]
    selection = {"points": [{"customdata": carried}], "point_indices": [0], "box": [], "lasso": []}
    states = at._tree.get_widget_states()
    value = json.dumps({"selection": selection})
    states.widgets.append(WidgetState(id=shown.proto.id, string_value=value))
    return checked(at._run(states))


def test_without_a_model_the_page_leads_to_fine_tuning(
    open_page: OpenPage, small: Workspace
) -> None:
    assert [link.label for link in open_page(PAGE).page_link] == ["Fine-tune one"]


def test_a_model_that_was_not_evaluated_is_by_one_click(
    open_page: OpenPage, small: Workspace, model: Model
) -> None:
    at = open_page(PAGE)
    assert "has not been evaluated yet" in texts(at)
    click(at, f"{PAGE}.evaluate")
    assert submitted(small) == [EvaluateModel(model.id)]


def test_the_address_names_the_model(open_page: OpenPage, small: Workspace, model: Model) -> None:
    newer = classifiers.add_model(small)
    assert open_page(PAGE).query_params["model"] == newer.id
    at = open_page(PAGE, model=model.id)
    assert at.query_params["model"] == model.id
    assert f"{model.id.replace('-', chr(92) + '-')} has not" in texts(at)
    models.promote(small, model.id, actor="Ada")
    assert open_page(PAGE).query_params["model"] == model.id


def test_every_share_comes_with_its_interval_and_number(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    at = open_page(PAGE)
    shown = metrics(at)
    assert shown["Accuracy"] == ("87.5%", "52.9% to 97.8%, n = 8")
    assert shown["ARI of the clusters"][1] == "n = 16"
    assert "points wide" in texts(at)
    assert "8 images with a label that is no class of the model" in texts(at)
    assert set(charts(at)) == {"confusion", "classes", "reliability"}


def test_an_evaluation_that_holds_is_not_made_again_and_one_that_does_not_says_so(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    assert open_page(PAGE).button(key=f"{PAGE}.evaluate").disabled
    labels.relabel(small, [wrong], "drop", actor="Ada")
    at = open_page(PAGE)
    assert not at.button(key=f"{PAGE}.evaluate").disabled
    assert "have changed since" in texts(at)


def test_training_images_are_shown_with_a_warning(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    at = open_page(PAGE)
    role = next(each for each in at.segmented_control if each.key.startswith(f"{PAGE}.role."))
    at = choose(at, role.key, "train")
    assert metrics(at)["Accuracy"][0] == "100.0%"
    assert "has learned these very images" in texts(at)


def test_a_cell_opens_its_images_and_the_address_keeps_them(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    cell = json.dumps(["validation", "dirt", "drop"])
    at = click_cell(open_page(PAGE), cell)
    assert shown_ids(at, f"{PAGE}.cell.gallery") == [wrong]
    assert at.query_params["cell"] == cell
    at = open_page(PAGE, cell=cell)
    assert shown_ids(at, f"{PAGE}.cell.gallery") == [wrong]
    at = click(at, f"{PAGE}.close_cell")
    assert "cell" not in at.query_params
    assert "reliability" in charts(at)


@pytest.mark.parametrize(
    "cell",
    [
        "nothing",
        "[]",
        '["validation", "dirt"]',
        '["validation", 1, 2]',
        '["test", "dirt", "ghost"]',
    ],
)
def test_an_address_that_names_no_cell_shows_all_measures(
    open_page: OpenPage, small: Workspace, wrong: int, cell: str
) -> None:
    assert "reliability" in charts(open_page(PAGE, cell=cell))


def test_the_mixed_cluster_is_shown_and_what_the_rest_costs(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Mixed cluster")
    shown = metrics(at)
    assert shown["To the operator"][0] == "50.0%"
    assert shown["Wrong among the rest"][0] == "0.0%"
    (rows,) = [frame.value for frame in at.dataframe]
    assert sorted(rows["name"]) == ["dirt", "drop", "mixed"]
    assert sorted(shown_ids(at, f"{PAGE}.cluster.gallery")) == ids_labelled(small, "scratch")


def test_mistakes_show_what_was_said_and_lead_to_heat_maps(
    open_page: OpenPage, small: Workspace, model: Model, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Mistakes")
    key = f"{PAGE}.mistakes.validation.gallery"
    data = component_data(at, key)
    (item,) = data["items"]
    assert item["id"] == wrong
    assert item["remark"].startswith("Given drop, ")
    assert data["heat_url"] == f"lacquer/{small.uid}/heat/{model.id}/{{id}}"
    assert f"evaluation={runs.list_runs(small, 'evaluation')[0].id}" in data["card_url"]
    for seq in (1, 2):  # asked again while the first job waits
        send(at, key, explain={"seq": seq, "id": wrong})
    assert submitted(small) == [ExplainImage(model.id, wrong)]


def test_a_heat_map_can_be_asked_for_the_right_class(
    open_page: OpenPage, small: Workspace, model: Model, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Mistakes")
    checked(at.selectbox(key=f"{PAGE}.explain.{model.id}").select("dirt").run())
    key = f"{PAGE}.mistakes.validation.gallery"
    assert component_data(at, key)["heat_url"].endswith("?label=dirt")
    send(at, key, explain={"seq": 1, "id": wrong})
    assert submitted(small) == [ExplainImage(model.id, wrong, "dirt")]


def test_a_mistake_of_the_label_can_be_mended_where_it_is_seen(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Mistakes")
    key = f"{PAGE}.mistakes.validation"
    checked(at.toggle(key=f"{key}.whole").set_value(True).run())
    checked(at.selectbox(key=f"{key}.act.label").select("drop").run())
    click(at, f"{key}.act.relabel")
    assert catalog.get_image(small, wrong).label == "drop"


def test_neighbours_are_those_of_the_models_own_space(
    open_page: OpenPage, small: Workspace, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Mistakes")
    send(at, f"{PAGE}.mistakes.validation.gallery", similar={"seq": 1, "id": wrong})
    found = shown_ids(at, f"{PAGE}.similar_images.gallery")
    assert len(found) == 12
    assert wrong not in found


def test_maps_are_drawn_by_one_click_and_shown_side_by_side(
    open_page: OpenPage, small: Workspace, model: Model, wrong: int
) -> None:
    at = open_page(PAGE, evaluation__view="Before and after")
    assert "have not been drawn yet" in texts(at)
    click(at, f"{PAGE}.draw")
    assert submitted(small) == [CompareMaps(model.id)]

    before = embedding_of(small)
    after = classifiers.tuned_embedding(small, before)
    moved = classifiers.compare(small, model, before, after)
    at = open_page(PAGE, evaluation__view="Before and after", evaluation__method="PCA · drawn")
    left, right = (component_data(at, f"{PAGE}.map.{when}") for when in ("before", "after"))
    assert moved.result["before"] in left["points_url"]
    assert moved.result["after"] in right["points_url"]
    assert left["group"] == right["group"]
    assert left["frame"] is not None
    assert left["frame"] == right["frame"]
    (rows,) = [frame.value for frame in at.dataframe]
    assert rows["change"].abs().max() < 1e-6


def test_maps_that_have_little_in_common_each_fill_their_own_frame(
    open_page: OpenPage,
    small: Workspace,
    model: Model,
    wrong: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pages._evaluation_maps._UNLIKE", 0.0)  # so even a map and itself
    before = embedding_of(small)
    classifiers.compare(small, model, before, classifiers.tuned_embedding(small, before))
    at = open_page(PAGE, evaluation__view="Before and after", evaluation__method="PCA · drawn")
    left, right = (component_data(at, f"{PAGE}.map.{when}") for when in ("before", "after"))
    assert left["frame"] is None
    assert right["frame"] is None
