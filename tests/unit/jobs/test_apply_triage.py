"""Applying a plan: the model's labels, what people get, and what is mixed in unseen."""

from pathlib import Path

import numpy as np
import pytest

from core import actions
from core.analysis.audits import read_audit
from core.jobs.configs import ApplyTriage, DescribeQueue, PlanTriage
from core.state import applications, catalog, decisions, labels, runs, triage_queue
from core.state.applications import NewApplication
from core.state.decisions import Entry
from core.state.job_rows import Job
from core.state.models import Model
from core.state.runs import Run
from core.state.triage_queue import QueueItem
from core.state.workspace import Workspace
from tests.samples import do
from tests.toy_shop import CLASSES, make_model, make_shop


@pytest.fixture
def workspace(home: Path) -> Workspace:
    """The toy shop."""
    return make_shop(home)


@pytest.fixture
def model(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Its model."""
    return make_model(workspace, monkeypatch)


def plan(workspace: Workspace, model: Model, **more: object) -> Run:
    job = do(workspace, PlanTriage(model.id, **more))  # type: ignore[arg-type]
    assert job.status == "succeeded", job.error
    return runs.get_run(workspace, job.result["run"])


def apply(workspace: Workspace, done: Run, **more: float) -> dict:
    job = attempt(workspace, done, **more)
    assert job.status == "succeeded", job.error
    return job.result


def attempt(workspace: Workspace, done: Run, **more: float) -> Job:
    return do(workspace, ApplyTriage(done.id, **more))  # type: ignore[arg-type]


def waiting(workspace: Workspace) -> list[QueueItem]:
    return triage_queue.lease(workspace, actor="ann", n=1_000)


def test_the_model_labels_what_it_is_sure_of_and_people_get_the_rest(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model)
    result = apply(workspace, done, audit_share=0.0, gold_share=0.0)
    ids = runs.load_array(workspace, done, "image_ids")
    is_auto = runs.load_array(workspace, done, "is_auto")
    given = catalog.column(workspace, ids[is_auto], "label")
    places = runs.load_array(workspace, done, "predicted")[is_auto].tolist()
    assert given == [model.classes[place] for place in places]
    assert set(catalog.column(workspace, ids[is_auto], "label_origin")) == {"automatic"}
    assert {item.image_id for item in waiting(workspace)} == set(ids[~is_auto].tolist())
    assert (result["n_labelled"], result["n_queued"]) == (is_auto.sum(), (~is_auto).sum())


@pytest.mark.parametrize("rule", ["risk", "cluster"])
def test_where_a_person_has_taken_a_label_away_people_are_asked_again(
    workspace: Workspace, model: Model, rule: str
) -> None:
    first = plan(workspace, model, rule=rule)
    ids = runs.load_array(workspace, first, "image_ids")
    sure = ids[runs.load_array(workspace, first, "is_auto")][:2].tolist()
    labels.relabel(workspace, sure, "drop", actor="Ada")
    labels.relabel(workspace, sure[:1], None, actor="Ada")
    done = plan(workspace, model, rule=rule)
    assert done.result["n_auto"] == first.result["n_auto"] - 2
    assert done.result["n_queue"] == first.result["n_queue"] + 1
    result = apply(workspace, done, audit_share=0.0, gold_share=0.0)
    assert result["n_labelled"] == done.result["n_auto"]
    assert sure[0] in {item.image_id for item in waiting(workspace)}
    assert catalog.column(workspace, np.array(sure), "label") == [None, "drop"]


def test_where_nothing_waits_the_promise_is_made_for_what_comes_in(
    workspace: Workspace, model: Model
) -> None:
    first = plan(workspace, model)
    ids = runs.load_array(workspace, first, "image_ids").tolist()
    labels.relabel(workspace, ids, "drop", actor="Ada")
    done = plan(workspace, model)
    told = done.result
    assert (done.n_images, told["n_auto"], told["n_queue"]) == (0, 0, 0)
    for read_off in ("threshold", "n_accepted", "n_wrong"):
        assert told[read_off] == first.result[read_off]
    assert told["auto_share"] == told["n_accepted"] / told["n_calibration"]
    shares = [point["auto_share"] for point in told["curve"]]
    assert shares == sorted(shares)
    assert 0 < told["auto_share"] in shares
    result = apply(workspace, done)
    assert (result["n_labelled"], result["n_queued"], result["n_audited"]) == (0, 0, 0)
    standing = applications.standing(workspace, model.id)
    assert standing is not None
    assert standing.plan == done.id
    job = do(workspace, PlanTriage(model.id, rule="cluster"))
    assert "no images to route" in job.error["title"]


def test_every_label_keeps_who_gave_it_and_how_sure_it_was(
    workspace: Workspace, model: Model
) -> None:
    result = apply(workspace, plan(workspace, model))
    batch = labels.find_batch(workspace, result["batch"])
    assert batch.detail["model"] == model.id
    (applied,) = applications.list_applications(workspace)
    assert applied.options["threshold"] is not None
    assert applied.options["audit_share"] == 0.02


def test_a_card_tells_what_the_model_found(workspace: Workspace, model: Model) -> None:
    apply(workspace, plan(workspace, model), audit_share=0.0, gold_share=0.0)
    suggested = {item.suggested for item in waiting(workspace)}
    assert "scratch" in suggested
    for item in waiting(workspace):
        if item.suggested == "scratch":  # which the model does not know, but four images show it
            near = catalog.column(workspace, np.array(item.nearest), "label")
            assert set(near) == {"scratch"}
            continue
        assert item.suggested == item.top[0][0]
        assert len(item.top) == len(CLASSES)
        assert item.nearest
        assert set(catalog.column(workspace, np.array(item.nearest), "label_origin")) == {
            "imported"
        }
        assert 0.0 <= item.novelty <= 1.0
        assert item.kind in ("ambiguous", "novel")
    assert any(item.kind == "novel" for item in waiting(workspace))


def test_checked_and_known_images_cannot_be_told_from_those_judged_blind(
    workspace: Workspace, model: Model
) -> None:
    apply(workspace, plan(workspace, model), audit_share=0.2, gold_share=0.5, second_share=0.0)
    items = waiting(workspace)
    mixed_in = [item for item in items if item.kind in ("audit", "gold")]
    assert {item.kind for item in mixed_in} == {"audit", "gold"}
    assert all(item.is_blind for item in mixed_in)
    hidden = [item for item in items if item.is_blind and item not in mixed_in]
    ordinary = [item for item in items if item not in mixed_in]
    assert len(hidden) == min(len(mixed_in), len(ordinary))
    assert {item.reason for item in mixed_in} == {item.reason for item in ordinary}
    groups = {item.alike for item in ordinary}
    assert {item.alike for item in mixed_in} & groups  # not in groups of their own
    assert {item.n_opinions for item in items} == {1}


def test_known_images_are_ones_that_the_model_has_not_learned_from(
    workspace: Workspace, model: Model
) -> None:
    apply(workspace, plan(workspace, model), audit_share=0.0, gold_share=1.0)
    gold = [item for item in waiting(workspace) if item.kind == "gold"]
    splits = catalog.column(workspace, np.array([item.image_id for item in gold]), "split")
    assert set(splits) <= {"validation", "test"}
    assert all(item.suggested == item.seen for item in gold)


def test_a_share_of_what_is_left_wants_two_opinions(workspace: Workspace, model: Model) -> None:
    apply(workspace, plan(workspace, model), second_share=1.0, audit_share=0.0, gold_share=0.0)
    assert {item.n_opinions for item in waiting(workspace)} == {2}


def test_labels_of_the_calibration_changed_since_make_a_plan_out_of_date(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model)
    some = catalog.image_ids(workspace, catalog.ImageFilter(splits=("calibration",)))[:1]
    labels.relabel(workspace, some.tolist(), "scratch", actor="eve")
    error = attempt(workspace, done).error
    assert error is not None
    assert "calibration images have changed" in error["title"]
    assert applications.list_applications(workspace) == []


def test_a_plan_of_test_images_is_refused(workspace: Workspace, model: Model) -> None:
    error = attempt(workspace, plan(workspace, model, of="test")).error
    assert error is not None
    assert "test images" in error["title"]


def test_a_plan_that_can_promise_nothing_sends_all_its_images_to_people(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model, max_error=0.001)
    assert not done.result["feasible"]
    result = apply(workspace, done, gold_share=0.0)
    ids = runs.load_array(workspace, done, "image_ids")
    assert (result["n_labelled"], result["n_queued"], result["n_audited"]) == (0, len(ids), 0)
    assert set(catalog.column(workspace, ids, "label")) == {None}
    items = waiting(workspace)
    assert {item.image_id for item in items} == set(ids.tolist())
    assert all(item.suggested and item.top for item in items)
    assert read_audit(workspace) is None  # there is no label to check
    assert applications.revert_batch(workspace, result["batch"], actor="eve").n_restored == 0
    assert len(waiting(workspace)) == len(ids)  # what is left to people stays theirs


def test_what_labels_nothing_does_not_end_the_audit_of_the_labels_before_it(
    workspace: Workspace, model: Model
) -> None:
    first = apply(workspace, plan(workspace, model), audit_share=1.0)
    nothing = NewApplication(  # of a stricter promise, under which no image was sure enough
        plan="triage_plan-0000000000000000",
        model=model.id,
        rule="risk",
        max_error=0.001,
        delta=0.05,
        options={},
        labels=[],
        items=[],
    )
    applications.apply(workspace, nothing, actor="eve")
    found = read_audit(workspace)
    assert found is not None
    assert found.application.id == first["application"]
    assert found.n_waiting == first["n_audited"]


def test_the_papers_rule_can_be_applied_too(workspace: Workspace, model: Model) -> None:
    result = apply(workspace, plan(workspace, model, rule="cluster"))
    assert result["n_labelled"] > 0
    (applied,) = applications.list_applications(workspace)
    assert applied.rule == "cluster"


def test_labelling_pauses_itself_when_people_find_more_wrong_than_was_promised(
    workspace: Workspace, model: Model
) -> None:
    apply(workspace, plan(workspace, model), audit_share=1.0, gold_share=0.0)
    audited = [item for item in waiting(workspace) if item.kind == "audit"]
    for seq, item in enumerate(audited[:12], start=1):
        entry = Entry("tab", seq, item.id, "label", "scratch", item.seen)
        assert decisions.decide(workspace, entry, actor="ann").is_audit
        actions.watch_audit(workspace)
    found = read_audit(workspace)
    assert found is not None
    assert found.is_paused
    assert found.measure.n_wrong == found.measure.n_checked > 0
    assert "promised" in found.pause.reason
    applications.resume(workspace, "a new lamp", actor="eve")
    after = read_audit(workspace)
    assert after is not None
    assert (after.is_paused, after.measure.n_checked) == (False, 0)


def test_a_model_looks_at_what_was_sent_to_triage_by_hand(
    workspace: Workspace, model: Model
) -> None:
    images = catalog.image_ids(workspace, catalog.ImageFilter(splits=("test",)))[:3].tolist()
    labels.set_queued(workspace, images, True, actor="ann", reason="odd")
    assert [item.suggested for item in waiting(workspace)] == [None] * 3
    assert do(workspace, DescribeQueue(model.id)).result["n_described"] == 3
    for item in waiting(workspace):
        assert item.top
        assert item.image_id not in item.nearest
        assert item.reason == "odd"
    assert do(workspace, DescribeQueue(model.id)).result["n_described"] == 0


def test_another_promise_than_the_plans_is_planned_for_and_applied_at_once(
    workspace: Workspace, model: Model
) -> None:
    done = plan(workspace, model, max_error=0.1)
    result = apply(workspace, done, max_error=0.05)
    assert result["plan"] != done.id
    (applied,) = applications.list_applications(workspace)
    assert applied.max_error == 0.05


def test_a_model_is_never_calibrated_by_what_it_labelled_itself(
    workspace: Workspace, model: Model
) -> None:
    unlabelled = catalog.image_ids(workspace, catalog.ImageFilter(labels=(None,))).tolist()
    labels.set_split(workspace, unlabelled, "calibration", actor="eve")
    first = plan(workspace, model)
    assert apply(workspace, first, audit_share=0.0)["n_labelled"] > 30
    second = plan(workspace, model)
    assert second.id != first.id
    assert second.result["n_calibration"] == first.result["n_calibration"] == 170
