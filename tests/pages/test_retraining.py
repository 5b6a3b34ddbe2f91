"""The view Retrain: what is new, a training on it, and the new model beside the old one."""

import numpy as np
import pytest

from core.jobs import queue
from core.jobs.configs import ApplyTriage, CompareModels, FineTune, PlanTriage, from_json
from core.state import catalog, job_rows, labels, models
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests.pages.conftest import OpenPage, checked, click, shown_ids, texts
from tests.samples import do
from tests.toy_shop import CLASSES, add_erring_model
from tests.unit.analysis.test_triage_readers import judged, unlabelled

PAGE = "fine_tuning"
KEY = f"{PAGE}.retrain"


@pytest.fixture
def shop(shop: Workspace) -> Workspace:
    """The toy shop, its model promoted."""
    models.promote(shop, "resnet18-1", actor="Ada")
    return shop


def test_what_is_new_is_shown_and_one_click_takes_it_over_and_trains(
    open_page: OpenPage, shop: Workspace
) -> None:
    fresh = unlabelled(shop)[:3]
    judged(shop, fresh, "rust", suggested="drop")
    learned = catalog.image_ids(shop, ImageFilter(splits=("train",), labels=("dirt",))).tolist()
    labels.relabel(shop, learned[:2], "drop", actor="Ada")
    at = open_page(PAGE, fine_tuning__view="Retrain")
    assert at.segmented_control(key=f"{PAGE}.view").options[0] == "Retrain"
    assert at.dataframe[0].value.to_numpy().tolist() == [
        ["new type", "rust", 3],
        ["corrected", "dirt → drop", 2],
        ["more to train on", "rust", 3],
    ]
    assert shown_ids(at, f"{KEY}.images.gallery") == [*learned[:2], *fresh]
    checked(at.selectbox(key=f"{KEY}.backbone").set_value("convnext_tiny").run())
    click(at, f"{KEY}.train")
    assert set(catalog.column(shop, np.array(fresh), "split")) == {"train"}
    (job,) = [each for each in job_rows.list_jobs(shop) if each.kind == FineTune.kind]
    asked = from_json(FineTune, dict(job.config))
    assert isinstance(asked, FineTune)
    assert (asked.backbone, asked.mode, asked.start_from) == ("convnext_tiny", "head", "")


def test_a_worse_model_is_shown_beside_the_old_one_and_needs_a_reason(
    open_page: OpenPage, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = catalog.image_ids(shop, ImageFilter(splits=("test",), labels=CLASSES)).tolist()
    new = add_erring_model(shop, monkeypatch, wrong=test[:8])
    at = open_page(PAGE, fine_tuning__view="Retrain")
    assert "has not been compared" in texts(at)
    click(at, f"{KEY}.compare_only")
    (waiting,) = job_rows.list_jobs(shop, statuses=job_rows.ACTIVE)
    assert from_json(CompareModels, dict(waiting.config)) == CompareModels("resnet18-1", new.id)
    at = open_page(PAGE, fine_tuning__view="Retrain")
    assert "being measured on the same test images" in texts(at)
    assert not {f"{KEY}.compare_only", f"{KEY}.overrule"} & {each.key for each in at.button}
    queue.cancel(shop, waiting.id)
    assert do(shop, CompareModels("resnet18-1", new.id)).status == "succeeded"
    at = open_page(PAGE, fine_tuning__view="Retrain")
    assert "is worse beyond chance than resnet18-1" in texts(at)
    run = models_compared(shop)
    assert shown_ids(at, f"{KEY}.paired.{run}.images.worse.gallery") == test[:8]
    assert f"{KEY}.promote" not in {each.key for each in at.button}
    at.text_input(key=f"{KEY}.overrule.reason").set_value("only it knows the new paint")
    click(checked(at.run()), f"{KEY}.overrule")
    assert models.promoted(shop) == new
    assert models.list_promotions(shop)[0].is_overruled


def test_what_is_left_to_do_after_a_promotion_is_said(
    open_page: OpenPage, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = add_erring_model(shop, monkeypatch)
    plan = do(shop, PlanTriage("resnet18-1", max_error=0.08)).result["run"]
    assert do(shop, ApplyTriage(plan)).status == "succeeded"
    labels.relabel(shop, catalog.image_ids(shop).tolist()[:1], None, actor="Ada")  # to be routed
    assert do(shop, CompareModels("resnet18-1", new.id, promote=True)).status == "succeeded"
    told = texts(open_page(PAGE, fine_tuning__view="Retrain"))
    assert "is promoted, and has labelled nothing yet" in told
    assert "Its thresholds are being calibrated" in told
    (waiting,) = job_rows.list_jobs(shop, statuses=job_rows.ACTIVE)
    queue.cancel(shop, waiting.id)
    assert "Plan with it" in texts(open_page(PAGE, fine_tuning__view="Retrain"))
    done = do(shop, PlanTriage(new.id, max_error=0.08))
    told = texts(open_page(PAGE, fine_tuning__view="Retrain"))
    assert "apply the plan of the page Triage" in told
    applied = do(shop, ApplyTriage(done.result["run"]))
    assert applied.result["n_labelled"] == 0  # by it the model labels what comes in
    assert do(shop, PlanTriage(new.id, max_error=0.1)).status == "succeeded"
    assert "nothing yet" not in texts(open_page(PAGE, fine_tuning__view="Retrain"))


def models_compared(workspace: Workspace) -> str:
    jobs = [each for each in job_rows.list_jobs(workspace) if each.kind == CompareModels.kind]
    run: str = next(each.result["run"] for each in jobs if each.result)
    return run
