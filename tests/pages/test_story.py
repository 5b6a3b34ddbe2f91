"""The story's steps: each opens by its address, says what it needs, and acts on a private copy."""

import shutil
from pathlib import Path

import pytest

from core.jobs import story as plot
from core.jobs.configs import FineTune
from core.settings import Settings
from core.state import catalog, job_rows, labels, models, runs, schema, story
from core.state.database import writing
from core.state.workspace import Workspace, find_private, list_workspaces
from tests import samples
from tests.classifiers import add_model, compare, tuned_embedding
from tests.pages.conftest import OpenPage, click, component_data, texts

EPOCH = {
    "epoch": 1,
    "train_loss": 0.5,
    "train_accuracy": 0.8,
    "validation_loss": 0.6,
    "validation_accuracy": 0.9,
    "learning_rate": 0.01,
    "seconds": 1.0,
}
WITHOUT_MODEL = {
    "alike": "look alike",
    "mixed": "mixes them",
    "tune": "Fine-tune the network now",
    "apart": "Fine-tune the network now",
    "risk": "Fine-tune the network now",
    "decide": "Fine-tune the network now",
    "new_type": "Fine-tune the network now",
    "audit": "Fine-tune the network now",
}


@pytest.fixture(scope="module")
def stages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home's folder `.story`: of the second template there is a model, and its two maps."""
    home = tmp_path_factory.mktemp("stages")
    settings = Settings(home=home)
    shop = samples.copy_template(template, home / "shop")
    story.keep_template(shop, story.START, settings)
    ids = catalog.image_ids(shop).tolist()
    labels.set_split(shop, ids, "validation", actor="Ada")
    model = add_model(shop, train=ids[1::2], validation=ids[::2], mode="last_block")
    with_history(shop, model.id, {"history": [EPOCH], "best_epoch": 1, "caching_seconds": 2.0})
    embedding = runs.list_runs(shop, "embedding")[0]
    compare(shop, model, embedding, tuned_embedding(shop, embedding), method=plot.MAP)
    story.keep_template(shop, story.TUNED, settings)
    return home / ".story"


@pytest.fixture
def told(small: Workspace, stages: Path, home: Path) -> Workspace:
    """A workspace in a home where the story can be told."""
    shutil.copytree(stages, home / ".story")
    return small


def with_history(workspace: Workspace, model_id: str, more: dict[str, object]) -> None:
    """Say how a model's training went."""
    result = {**models.get_model(workspace, model_id).result, **more}
    with writing(workspace) as connection:
        connection.execute(
            schema.models.update().where(schema.models.c.id == model_id).values(result=result)
        )


def copy_of(at: object) -> Workspace:
    """The visitor's copy, by the address."""
    (uid,) = [at.query_params["ws"]]  # type: ignore[attr-defined]
    found = find_private(uid if isinstance(uid, str) else uid[0])
    assert found is not None
    return found


def test_without_a_demo_there_is_no_way_into_the_story(
    open_page: OpenPage, small: Workspace
) -> None:
    assert "Walk through the story" not in texts(open_page())


def test_the_overview_leads_into_the_story(open_page: OpenPage, told: Workspace) -> None:
    at = open_page()
    assert "Walk through the story" in texts(at)
    assert "Begin" in [link.label for link in at.page_link]


@pytest.mark.parametrize(("step", "said"), WITHOUT_MODEL.items())
def test_every_step_opens_by_its_address_on_a_fresh_copy(
    step: str, said: str, open_page: OpenPage, told: Workspace
) -> None:
    at = open_page("story", person=None, step=step)
    assert said in texts(at)
    assert not at.error
    assert copy_of(at).uid != told.uid
    assert [each.uid for each in list_workspaces()] == [told.uid]
    assert at.button(key="story.back").disabled == (step == "alike")
    assert at.button(key="story.next").disabled == (step == "audit")


def test_the_address_leads_back_to_the_same_copy(open_page: OpenPage, told: Workspace) -> None:
    copy = copy_of(open_page("story", person=None))
    again = open_page("story", person=None, ws=copy.uid, step="mixed")
    assert copy_of(again).uid == copy.uid
    assert copy_of(click(again, "story.next")).uid == copy.uid


def test_the_training_is_a_job_of_the_copy_in_no_need_of_a_name(
    open_page: OpenPage, told: Workspace
) -> None:
    at = click(open_page("story", person=None, step="tune"), "story.tune")
    (job,) = job_rows.list_jobs(copy_of(at), statuses=("queued",))
    assert (job.kind, job.actor) == (FineTune.kind, "a visitor")
    assert job_rows.list_jobs(told, statuses=("queued",)) == []


def test_the_finished_model_comes_with_another_copy(open_page: OpenPage, told: Workspace) -> None:
    at = open_page("story", person=None, step="tune")
    before = copy_of(at)
    at = click(at, "story.finished")
    after = copy_of(at)
    assert after.uid != before.uid
    assert not before.path.exists()
    assert "trained when the demo was made" in texts(at)
    promoted = models.promoted(after)
    assert promoted is not None
    assert promoted.mode == "last_block"


def test_after_the_training_points_glide_from_the_map_before(
    open_page: OpenPage, told: Workspace
) -> None:
    at = click(open_page("story", person=None, step="tune"), "story.finished")
    at = click(at, "story.next")
    data = component_data(at, "story.map.after")
    assert data["glide_from_url"]
    assert data["glide_from_url"] != data["points_url"]
    assert "paper 0.89" in str([metric.delta for metric in at.metric])
    assert "Little has come apart" in texts(at)  # twice as far, and no better told


def test_starting_again_throws_the_copy_away(open_page: OpenPage, told: Workspace) -> None:
    at = open_page("story", person=None, step="risk")
    before = copy_of(at)
    at = click(at, "story.reset")
    assert copy_of(at).uid != before.uid
    assert not before.path.exists()
    assert at.query_params["step"] in ("alike", ["alike"])


def test_other_pages_open_on_the_copy_and_lead_back_from_it(
    open_page: OpenPage, told: Workspace
) -> None:
    copy = copy_of(open_page("story", person=None))
    at = open_page("dataset", person=None, ws=copy.uid)
    assert at.query_params["ws"] in (copy.uid, [copy.uid])
    names = at.sidebar.selectbox(key=f"shared.workspace.{copy.uid}").options
    assert sorted(names) == sorted([story.NAME, told.name])
