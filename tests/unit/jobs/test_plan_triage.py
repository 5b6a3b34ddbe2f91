"""A plan says who labels what: the sure images of known classes the model, all others people."""

from pathlib import Path

import numpy as np
import pytest

from core.jobs.configs import PlanTriage
from core.jobs.steps import plan_triage
from core.state import catalog, labels, models, runs
from core.state.catalog import ImageFilter
from core.state.job_rows import Job
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.routing import Scores, SurenessScale
from tests.samples import do
from tests.toy_shop import make_model, make_shop


@pytest.fixture
def workspace(home: Path) -> Workspace:
    """The toy shop."""
    return make_shop(home)


@pytest.fixture
def model(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Its model."""
    return make_model(workspace, monkeypatch)


def plan(workspace: Workspace, model: Model, **more: object) -> tuple[dict, Run]:
    job = attempt(workspace, model, **more)
    assert job.status == "succeeded", job.error
    return job.result, runs.get_run(workspace, job.result["run"])


def attempt(workspace: Workspace, model: Model, **more: object) -> Job:
    return do(workspace, PlanTriage(model.id, **more))


def routed_to_people(workspace: Workspace, done: Run) -> set[int]:
    ids = runs.load_array(workspace, done, "image_ids")
    return set(ids[~runs.load_array(workspace, done, "is_auto")].tolist())


def test_images_without_a_label_are_routed_and_nothing_is_changed(
    workspace: Workspace, model: Model
) -> None:
    before = catalog.fingerprint(workspace)
    result, done = plan(workspace, model)
    assert result["n_auto"] + result["n_queue"] == 42 == done.n_images
    assert result["feasible"]
    assert result["error_bound"] <= result["max_error"] == 0.05
    assert result["auto_share"] > 0.8
    assert catalog.fingerprint(workspace) == before


def test_images_of_no_known_class_go_to_people_however_sure_the_model_is(
    workspace: Workspace, model: Model
) -> None:
    _, done = plan(workspace, model, of="test")
    strange = catalog.image_ids(workspace, ImageFilter(splits=("test",), labels=("scratch",)))
    assert set(strange.tolist()) <= routed_to_people(workspace, done)


def test_on_test_images_the_error_that_came_of_it_is_told(
    workspace: Workspace, model: Model
) -> None:
    result, _ = plan(workspace, model, of="test")
    assert result["auto_error"]["n"] == result["n_auto"] > 0
    assert result["auto_error"]["value"] == 0.0
    assert "auto_error" not in plan(workspace, model)[0]


def test_features_are_averaged_over_flips_unless_asked_otherwise(
    workspace: Workspace, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = runs.list_runs(workspace, "embedding")[0]
    asked: list[bool] = []

    def embed(*_: object, average_flips: bool, **__: object) -> Run:
        asked.append(average_flips)
        return embedding

    monkeypatch.setattr(plan_triage, "embedding_by_model", embed)
    _, usual = plan(workspace, model)
    _, plain = plan(workspace, model, average_flips=False)
    assert asked == [True, False]
    assert plain.id != usual.id


def test_what_is_kept_routes_an_image_again(workspace: Workspace, model: Model) -> None:
    _, done = plan(workspace, model)

    def load(name: str) -> np.ndarray:
        return runs.load_array(workspace, done, name).astype(np.float64)

    scale = SurenessScale(load("reference_confidence"), load("reference_familiarity"))
    sureness = scale.measure(Scores(load("confidence"), load("novelty")))
    np.testing.assert_allclose(sureness, load("sureness"), rtol=1e-4)
    is_auto = runs.load_array(workspace, done, "is_auto")
    assert (sureness >= done.result["threshold"]).tolist() == is_auto.tolist()
    shares = load("probabilities")
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    assert shares.max(axis=1).tolist() == load("confidence").tolist()


def test_the_calibration_digest_tells_of_a_label_changed_there(
    workspace: Workspace, model: Model
) -> None:
    result, done = plan(workspace, model)
    ids = runs.load_array(workspace, runs.get_run(workspace, done.parent_id), "image_ids")
    digest = plan_triage.calibration_digest(workspace, model, ids)
    assert digest == result["calibration_digest"]
    calibration = catalog.image_ids(workspace, ImageFilter(splits=("calibration",))).tolist()
    labels.relabel(workspace, calibration[:1], "scratch", actor="ana")
    assert plan_triage.calibration_digest(workspace, model, ids) != digest


def test_too_few_calibration_images_promise_nothing_and_say_how_many_would(
    workspace: Workspace, model: Model
) -> None:
    result, done = plan(workspace, model, max_error=0.005)
    assert (result["feasible"], result["n_auto"], result["threshold"]) == (False, 0, None)
    assert result["n_needed"] > result["n_calibration"] == 170
    assert not runs.load_array(workspace, done, "is_auto").any()


def test_the_curve_tells_what_each_promise_costs(workspace: Workspace, model: Model) -> None:
    curve = plan(workspace, model)[0]["curve"]
    assert [point["max_error"] for point in curve] == sorted(p["max_error"] for p in curve)
    assert curve[0]["auto_share"] == 0.0
    assert curve[-1]["auto_share"] > 0.8


def test_the_papers_rule_labels_by_the_clusters_name_and_promises_nothing(
    workspace: Workspace, model: Model
) -> None:
    result, done = plan(workspace, model, rule="cluster", of="test")
    assert result["error_bound"] is None
    predicted = runs.load_array(workspace, done, "predicted")
    ids = runs.load_array(workspace, done, "image_ids")
    is_auto = runs.load_array(workspace, done, "is_auto")
    given = catalog.column(workspace, ids, "label")
    right = [model.classes[place] == label for place, label in zip(predicted, given, strict=True)]
    assert np.array(right)[is_auto].mean() > 0.8


def test_calibration_images_that_were_trained_on_serve_no_promise(
    workspace: Workspace, model: Model
) -> None:
    learned = models.load_roles(workspace, model).train[:10].tolist()
    labels.set_split(workspace, learned, "calibration", actor="ana")
    assert plan(workspace, model)[0]["n_calibration"] == 170


def test_a_label_given_since_makes_another_plan(workspace: Workspace, model: Model) -> None:
    _, first = plan(workspace, model)
    assert plan(workspace, model)[1].id == first.id
    labels.relabel(workspace, routed_ids(workspace, first)[:1], "dirt", actor="ana")
    _, second = plan(workspace, model)
    assert second.id != first.id
    assert second.n_images == first.n_images - 1


def routed_ids(workspace: Workspace, done: Run) -> list[int]:
    return runs.load_array(workspace, done, "image_ids").tolist()


@pytest.mark.parametrize(
    ("emptied", "said"),
    [("calibration", "no calibration images"), ("test", "no images to route")],
)
def test_what_a_plan_lacks_is_said_with_the_next_step(
    workspace: Workspace, model: Model, emptied: str, said: str
) -> None:
    moved = catalog.image_ids(workspace, ImageFilter(splits=(emptied,))).tolist()
    labels.set_split(workspace, moved, None, actor="ana")
    error = attempt(workspace, model, of="test").error
    assert said in error["title"]
    assert error["next_step"]


@pytest.mark.parametrize(
    "wrong", [{"rule": "luck"}, {"of": "all"}, {"max_error": 0.0}, {"delta": 1.0}]
)
def test_a_question_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PlanTriage("resnet18-1", **wrong)
