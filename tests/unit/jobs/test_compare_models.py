"""A new model beside the one at work: compared on test images, promoted by what comes of it."""

import json

import pytest

from core.__main__ import main
from core.analysis.model_comparisons import newest_comparison
from core.errors import OperatorError
from core.jobs import promotion, queue
from core.jobs.configs import ApplyTriage, CompareModels, PlanTriage
from core.state import catalog, job_rows, labels, models
from core.state.catalog import ImageFilter
from core.state.job_rows import Job
from core.state.models import Model
from core.state.workspace import Workspace
from tests.samples import do
from tests.toy_shop import CLASSES, add_erring_model, make_model, make_shop


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that a promotion asks for wait."""
    monkeypatch.setattr(queue, "wake", lambda workspace, lane: None)


@pytest.fixture
def shop(home, monkeypatch: pytest.MonkeyPatch) -> Workspace:  # type: ignore[no-untyped-def]
    """The toy shop with its model promoted."""
    workspace = make_shop(home)
    models.promote(workspace, make_model(workspace, monkeypatch).id, actor="Ada")
    return workspace


def ids_of_test(workspace: Workspace) -> list[int]:
    chosen = ImageFilter(splits=("test",), labels=CLASSES)
    return catalog.image_ids(workspace, chosen).tolist()


def compare(workspace: Workspace, new: Model, **more: object) -> Job:
    return do(workspace, CompareModels("resnet18-1", new.id, **more))  # type: ignore[arg-type]


def test_both_are_measured_on_labelled_test_images_that_neither_has_learned_from(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = ids_of_test(shop)
    new = add_erring_model(shop, monkeypatch, train=test[:4], wrong=test[4:7])
    job = compare(shop, new)
    assert job.status == "succeeded", job.error
    assert job.result["both"]["n"] == len(test) - 4
    assert (job.result["verdict"], job.result["both"]["n_lost"]) == ("no difference shown", 3)
    found = newest_comparison(shop, models.get_model(shop, "1"), new)
    assert found is not None
    assert found.is_current
    assert found.with_outcome("worse").tolist() == test[4:7]
    assert set(found.ids.tolist()) <= set(
        catalog.image_ids(shop, ImageFilter(splits=("test",))).tolist()
    )
    assert "the new one" in found.remarks(test[4:5])[0]


def test_an_equal_model_is_promoted_at_once_and_the_comparison_is_kept_with_it(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = add_erring_model(shop, monkeypatch)
    job = compare(shop, new, promote=True, reason="more images")
    assert job.status == "succeeded", job.error
    assert models.promoted(shop) == new
    kept = models.list_promotions(shop)[0]
    assert (kept.comparison, kept.is_overruled) == (job.result["run"], False)
    assert (kept.actor, kept.reason) == ("tester", "more images")


def test_a_worse_model_is_promoted_only_by_a_person_who_says_why(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = add_erring_model(shop, monkeypatch, wrong=ids_of_test(shop)[:8])
    job = compare(shop, new, promote=True)
    assert (job.status, job.result["is_worse"], job.result["promotion"]) == (
        "succeeded",
        True,
        None,
    )
    with pytest.raises(OperatorError, match="worse than resnet18-1"):
        promotion.promote(shop, new.id, actor="Ada")
    with pytest.raises(OperatorError, match="Say why"):
        promotion.promote(shop, new.id, actor="Ada", overrule=True, reason="because")
    done = promotion.promote(
        shop, new.id, actor="Ada", overrule=True, reason="the test images are mislabelled"
    )
    assert (done.promotion.is_overruled, done.promotion.comparison) == (True, job.result["run"])


def test_no_model_takes_anothers_place_unmeasured_or_by_labels_that_have_changed_since(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = add_erring_model(shop, monkeypatch)
    with pytest.raises(OperatorError, match="has not been compared"):
        promotion.promote(shop, new.id, actor="Ada")
    first = compare(shop, new).result["run"]
    change = labels.relabel(shop, ids_of_test(shop)[:1], "drop", actor="Ada")
    with pytest.raises(OperatorError, match="has not been compared"):
        promotion.promote(shop, new.id, actor="Ada")
    assert compare(shop, new).result["run"] != first
    labels.undo(shop, change.id, actor="Ada")  # what was compared then holds again
    assert promotion.promote(shop, new.id, actor="Ada").promotion.comparison == first


def test_without_a_test_image_that_neither_has_seen_there_is_nothing_to_compare_by(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = catalog.image_ids(shop, ImageFilter(splits=("test",))).tolist()
    new = add_erring_model(shop, monkeypatch, train=test)
    job = compare(shop, new)
    assert job.status == "failed"
    assert "no test image" in job.error["title"]
    assert compare(shop, models.get_model(shop, "1")).status == "failed"  # with itself


def test_the_command_line_compares_and_says_what_it_found(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = ids_of_test(shop)
    new = add_erring_model(shop, monkeypatch, wrong=test[:8])
    command = ["model", "compare-on-test", "1", new.id, "--workspace", str(shop.path)]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["is_worse"], said["both"]["n"], said["both"]["n_lost"]) == (True, len(test), 8)
    assert {each["name"]: each["n_lost"] for each in said["classes"]} == {"dirt": 8, "drop": 0}
    assert main(command) == 0
    told = capsys.readouterr().out
    assert f"{new.id} against resnet18-1: {said['verdict']}" in told
    assert f"{len(test)} test images" in told
    assert "+0 -8" in told
    assert main([*command[:-3], "nothing-1", *command[-2:]]) == 1
    assert "nothing-1" in capsys.readouterr().err


def test_a_promotion_asks_for_thresholds_under_the_promise_that_stands(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = add_erring_model(shop, monkeypatch)
    plan = do(shop, PlanTriage("resnet18-1", max_error=0.08, delta=0.1)).result["run"]
    assert do(shop, ApplyTriage(plan)).status == "succeeded"
    waits = catalog.image_ids(shop, ImageFilter(labels=(None,))).tolist()
    labels.relabel(shop, waits, "drop", actor="Ada")  # thresholds are for what comes in, too
    assert compare(shop, new, promote=True).status == "succeeded"
    asked = [
        job
        for job in job_rows.list_jobs(shop, statuses=job_rows.ACTIVE)
        if job.kind == "plan_triage"
    ]
    assert [
        (job.config["model"], job.config["max_error"], job.config["delta"], job.actor)
        for job in asked
    ] == [(new.id, 0.08, 0.1, "tester")]
    standing = promotion.standing_application(shop)
    assert standing is not None
    assert standing.model == "resnet18-1"  # until a person applies the new plan
    promotion.roll_back(shop, actor="Ada")
    newest = job_rows.list_jobs(shop, statuses=job_rows.ACTIVE)[0]
    assert newest.config["model"] == "resnet18-1"
