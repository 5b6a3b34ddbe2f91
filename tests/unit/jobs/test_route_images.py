"""New images go the way that the plan at work sends them, and to people while it rests."""

from pathlib import Path

import numpy as np
import pytest

from core.jobs.configs import ApplyTriage, PlanTriage
from core.jobs.steps.route_images import Router
from core.state import applications, runs
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.samples import do
from tests.toy_shop import make_model, make_shop

# Like dirt, like drop, like the unknown scratch, and like nothing at all.
FEATURES = np.zeros((4, 8), np.float32)
FEATURES[0, 0] = FEATURES[1, 1] = FEATURES[2, 2] = 3.0
FEATURES[3, 5] = 9.0
SURE = np.array([[0.99, 0.01], [0.01, 0.99], [0.99, 0.01], [0.99, 0.01]])


@pytest.fixture
def workspace(home: Path) -> Workspace:
    """The toy shop."""
    return make_shop(home)


@pytest.fixture
def model(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Its model."""
    return make_model(workspace, monkeypatch)


def plan(workspace: Workspace, model: Model, **more: object) -> Run:
    result = do(workspace, PlanTriage(model.id, **more)).result  # type: ignore[arg-type]
    assert result is not None
    return runs.get_run(workspace, result["run"])


def test_without_a_plan_all_go_to_people(workspace: Workspace, model: Model) -> None:
    assert applications.plan_at_work(workspace, model.id) is None
    found = Router(workspace, model, None).route(FEATURES, SURE)
    assert not found.is_auto.any()
    assert found.sureness is None


def test_the_sure_and_familiar_go_to_the_model_however_sure_it_is_of_the_others(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model)
    assert applications.plan_at_work(workspace, model.id) == done
    found = Router(workspace, model, done).route(FEATURES, SURE)
    assert found.is_auto.tolist() == [True, True, False, False]
    doubtful = Router(workspace, model, done).route(FEATURES[:1], np.array([[0.5, 0.5]]))
    assert doubtful.sureness is not None
    assert found.sureness is not None
    assert doubtful.sureness[0] < found.sureness[0]


def test_the_plan_that_was_applied_comes_before_a_newer_one(
    workspace: Workspace, model: Model
) -> None:
    first = plan(workspace, model)
    do(workspace, ApplyTriage(first.id))
    plan(workspace, model, max_error=0.1)
    assert applications.plan_at_work(workspace, model.id) == first


def test_while_automatic_labelling_rests_all_go_to_people(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model)
    applications.pause(workspace, "a new lamp", actor="eve")
    assert not Router(workspace, model, done).route(FEATURES, SURE).is_auto.any()
    applications.resume(workspace, "calibrated anew", actor="eve")
    assert Router(workspace, model, done).route(FEATURES, SURE).is_auto.any()


def test_the_papers_rule_goes_by_the_nearest_centre(workspace: Workspace, model: Model) -> None:
    done = plan(workspace, model, rule="cluster")
    found = Router(workspace, model, done).route(FEATURES[:2], SURE[:2])
    assert found.is_auto.all()
    contradicted = Router(workspace, model, done).route(FEATURES[:2], SURE[:2][::-1])
    assert not contradicted.is_auto.any()  # the cluster is called otherwise than the model says
