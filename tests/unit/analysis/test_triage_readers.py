"""What pages read of triage: the plan, the audit, the people, and what a model could learn."""

import csv
import io

import pytest

from core.analysis.audits import read_audit
from core.analysis.people import COLUMNS, decisions_as_csv, read_people
from core.analysis.plans import newest_plan
from core.analysis.retraining import News, read_news, retraining_config, take_over
from core.jobs.configs import ApplyTriage, PlanTriage
from core.state import applications, catalog, decisions, labels, models, runs, triage_queue
from core.state.applications import Application
from core.state.catalog import ImageFilter
from core.state.decisions import Entry
from core.state.models import Model
from core.state.triage_queue import QueueItem
from core.state.workspace import Workspace
from core.vocabulary import UNUSABLE
from tests.factories import fill, new_image
from tests.queued import enqueue
from tests.samples import do
from tests.toy_shop import CLASSES


def model_of(workspace: Workspace) -> Model:
    return models.list_models(workspace)[0]


def plan(workspace: Workspace, **more: object) -> str:
    job = do(workspace, PlanTriage(model_of(workspace).id, **more))  # type: ignore[arg-type]
    assert job.result is not None, job.error
    run: str = job.result["run"]
    return run


def apply(workspace: Workspace, run: str | None = None, *, seed: int = 0) -> Application:
    """Apply a plan (the newest), so that people check every automatic label."""
    run = run or runs.list_runs(workspace, "triage_plan")[0].id
    shares = {"audit_share": 1.0, "gold_share": 0.0, "second_share": 0.0}
    job = do(workspace, ApplyTriage(run, seed=seed, **shares))
    assert job.status == "succeeded", job.error
    return applications.list_applications(workspace)[0]


def waiting(workspace: Workspace) -> list[QueueItem]:
    """All that waits, in the order of its ids."""
    items = triage_queue.lease(workspace, actor="nobody", n=1_000, order="oldest")
    triage_queue.release(workspace, actor="nobody")
    return items


def to_check(workspace: Workspace) -> list[QueueItem]:
    return [item for item in waiting(workspace) if item.kind == "audit"]


def decide(
    workspace: Workspace,
    item: int,
    label: str,
    *,
    actor: str = "Ada",
    seen: str | None = None,
    comment: str = "",
) -> None:
    entry = Entry(f"{actor} on {item}", 1, item, "label", label, seen, 2.0, comment)
    decisions.decide(workspace, entry, actor=actor)


def check(workspace: Workspace, item: QueueItem, label: str = "scratch") -> None:
    decide(workspace, item.id, label, seen=item.seen)


def ids_in(workspace: Workspace, *splits: str, labels: tuple[str, ...] = CLASSES) -> list[int]:
    return catalog.image_ids(workspace, ImageFilter(splits=splits, labels=labels)).tolist()


def unlabelled(workspace: Workspace) -> list[int]:
    ids = catalog.image_ids(workspace)
    given = catalog.column(workspace, ids, "label")
    return [image for image, label in zip(ids.tolist(), given, strict=True) if label is None]


def judged(
    workspace: Workspace, images: list[int], label: str, *, actor: str = "Ada", **item: object
) -> None:
    """Let a person judge images that are sent to the queue for it."""
    enqueue(workspace, images, **item)
    for image in images:
        decide(
            workspace,
            triage_queue.item_of(workspace, image),
            label,
            actor=actor,
            seen=catalog.get_image(workspace, image).label,
        )


# The plan


def test_the_newest_plan_of_a_model_and_a_rule_is_read(shop: Workspace) -> None:
    first = runs.list_runs(shop, "triage_plan")[0].id
    assert newest_plan(shop, model_of(shop), "cluster") is None
    plan(shop, of="test")
    by_cluster = plan(shop, rule="cluster")
    found = newest_plan(shop, model_of(shop), "risk")
    assert found is not None
    assert found.run.id == first  # one of test images is none to act on
    found = newest_plan(shop, model_of(shop), "cluster")
    assert found is not None
    assert (found.run.id, found.curve, found.promises) == (by_cluster, (), [0.05])


def test_a_plan_tells_what_each_promise_costs(shop: Workspace) -> None:
    own = plan(shop, max_error=0.07)
    found = newest_plan(shop, model_of(shop), "risk")
    assert found is not None
    assert found.run.id == own
    assert found.n_images == len(unlabelled(shop))
    assert found.promises == sorted(found.promises)
    assert {0.07, *(point.max_error for point in found.curve)} == set(found.promises)
    assert found.at(0.07).auto_share == found.run.result["auto_share"]
    for point in found.curve:
        assert found.at(point.max_error) == point


@pytest.mark.parametrize("change", ["label", "split", "images"])
def test_a_plan_is_out_of_date_when_labels_roles_or_images_have_changed(
    shop: Workspace, change: str
) -> None:
    before = newest_plan(shop, model_of(shop), "risk")
    assert before is not None
    assert before.is_current
    (image,) = ids_in(shop, "calibration")[:1]
    if change == "label":
        labels.relabel(shop, [image], "scratch", actor="Ada")
    elif change == "split":
        labels.set_split(shop, [image], "test", actor="Ada")
    else:
        fill(shop, new_image(9_999))
    after = newest_plan(shop, model_of(shop), "risk")
    assert after is not None
    assert (after.run, after.is_current) == (before.run, False)


def test_a_plan_knows_that_it_was_applied_until_that_is_reverted(shop: Workspace) -> None:
    done = apply(shop)
    found = newest_plan(shop, model_of(shop), "risk")
    assert found is not None
    assert found.applied == done
    applications.revert(shop, done.id, actor="Ada")
    found = newest_plan(shop, model_of(shop), "risk")
    assert found is not None
    assert (found.applied, found.is_current) == (None, True)


# The audit


def test_without_an_application_there_is_no_audit(shop: Workspace) -> None:
    assert read_audit(shop) is None


def test_an_audit_counts_what_people_said_of_the_models_labels(shop: Workspace) -> None:
    done = apply(shop)
    right, wrong, *others = to_check(shop)
    check(shop, right, right.seen or "")
    check(shop, wrong)
    found = read_audit(shop)
    assert found is not None
    assert found.application == done
    assert (found.measure.n_checked, found.measure.n_wrong) == (2, 1)
    assert (found.measure.promised, found.measure.delta) == (done.max_error, done.delta)
    assert found.n_waiting == len(others)
    assert (found.is_paused, found.is_broken) == (False, False)


def test_only_applications_under_the_same_promise_count(shop: Workspace) -> None:
    first = apply(shop)
    check(shop, to_check(shop)[0])
    applications.revert(shop, first.id, actor="Ada")
    apply(shop, plan(shop, max_error=0.1))
    found = read_audit(shop)
    assert found is not None
    assert (found.application.max_error, found.measure.n_checked) == (0.1, 0)
    check(shop, to_check(shop)[0])
    applications.revert(shop, found.application.id, actor="Ada")
    apply(shop, plan(shop, max_error=0.05))
    found = read_audit(shop)
    assert found is not None
    assert found.application.max_error == 0.05
    assert found.measure.n_checked == 1  # of the first, though it has been reverted


def test_after_all_was_reverted_the_newest_is_still_told(shop: Workspace) -> None:
    done = apply(shop)
    check(shop, to_check(shop)[0])
    applications.revert(shop, done.id, actor="Ada")
    found = read_audit(shop)
    assert found is not None
    assert (found.application.id, found.measure.n_checked, found.n_waiting) == (done.id, 1, 0)


def test_an_audit_begins_afresh_when_labelling_is_let_go_on(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(shop)
    first, second, *_ = to_check(shop)
    check(shop, first)
    applications.pause(shop, "a new lamp", actor="Ada")
    paused = read_audit(shop)
    assert paused is not None
    assert (paused.is_paused, paused.measure.n_checked) == (True, 1)  # a pause forgets nothing
    applications.resume(shop, "calibrated anew", actor="Ada")
    resumed = read_audit(shop)
    assert resumed is not None
    assert (resumed.is_paused, resumed.measure.n_checked) == (False, 0)
    monkeypatch.setattr("core.state.decisions.now", lambda: "2999-01-01T00:00:00.000Z")
    check(shop, second)
    found = read_audit(shop)
    assert found is not None
    assert found.measure.n_checked == 1


def test_many_wrong_labels_break_the_promise_but_not_one_that_was_never_made(
    shop: Workspace,
) -> None:
    apply(shop)
    for item in to_check(shop)[:12]:
        check(shop, item)
    found = read_audit(shop)
    assert found is not None
    assert found.is_broken
    applications.revert(shop, found.application.id, actor="Ada")
    apply(shop, plan(shop, rule="cluster"))
    for item in to_check(shop)[:12]:
        check(shop, item)
    found = read_audit(shop)
    assert found is not None
    assert (found.measure.n_wrong, found.is_broken) == (12, False)


# What a new training would learn


def news_of(workspace: Workspace) -> News:
    return read_news(workspace, model_of(workspace))


def test_what_people_labelled_since_is_new_to_the_model(shop: Workspace) -> None:
    fresh = unlabelled(shop)[:4]
    judged(shop, fresh[:3], "dirt", suggested="drop")
    judged(shop, fresh[3:], "rust", suggested=None)
    news = news_of(shop)
    assert news.n_decided == 4
    assert news.added == tuple(fresh)
    assert news.splits == dict.fromkeys(fresh, "train")
    assert news.contradicted == tuple(fresh[:3])  # of what was suggested
    assert news.added_by_class == {"dirt": 3, "rust": 1}
    assert news.new_classes == {"rust": 1}
    assert news.n_relabelled == 0


def test_a_corrected_training_image_is_not_one_more(shop: Workspace) -> None:
    learned = ids_in(shop, "train", labels=("dirt",))[:2]
    judged(shop, learned[:1], "drop")
    judged(shop, learned[1:], "dirt")
    news = news_of(shop)
    assert (news.n_decided, news.added) == (2, ())
    assert news.relabelled == ((learned[0], "dirt", "drop"),)


def test_a_label_corrected_outside_triage_counts_and_one_that_was_put_back_does_not(
    shop: Workspace,
) -> None:
    first, second = ids_in(shop, "train", labels=("dirt",))[:2]
    labels.relabel(shop, [first, second], "drop", actor="Ada")
    labels.relabel(shop, [second], "dirt", actor="Ada")
    assert news_of(shop).relabelled == ((first, "dirt", "drop"),)


def judge_all(workspace: Workspace) -> tuple[set[int], set[int]]:
    """Apply a plan that checks half of its labels, and judge all that waits; (checked, left)."""
    shares = {"audit_share": 0.5, "gold_share": 0.0, "second_share": 0.0}
    run = runs.list_runs(workspace, "triage_plan")[0].id
    assert do(workspace, ApplyTriage(run, **shares)).status == "succeeded"
    items = waiting(workspace)
    for item in items:
        decide(workspace, item.id, "dirt", seen=item.seen)
    checked = {item.image_id for item in items if item.kind == "audit"}
    return checked, {item.image_id for item in items} - checked


def test_checked_labels_and_an_equal_share_of_the_rest_calibrate_and_what_is_left_trains(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def draw_every_second(sha256: str, plan: str, share: float) -> bool:
        asked.append((plan, share))
        return len(asked) % 2 == 0

    monkeypatch.setattr("core.analysis.retraining.is_drawn", draw_every_second)
    checked, left = judge_all(shop)
    assert len(checked) > 5
    assert len(left) >= 2
    news = news_of(shop)
    run = runs.list_runs(shop, "triage_plan")[0].id
    assert asked == [(run, 0.5)] * len(left)
    calibrating = {image for image, split in news.splits.items() if split == "calibration"}
    training = {image for image, split in news.splits.items() if split == "train"}
    assert calibrating == checked | set(sorted(left)[1::2])
    assert training == set(news.added) == set(sorted(left)[::2])


def test_what_is_taken_over_is_one_change_that_can_be_undone_and_then_nothing_is_left(
    shop: Workspace,
) -> None:
    judge_all(shop)
    news = news_of(shop)
    batch = take_over(shop, news, actor="Ada")
    assert batch is not None
    assert batch.n_changes == len(news.splits)
    assert set(ids_in(shop, "calibration")) >= {
        image for image, split in news.splits.items() if split == "calibration"
    }
    assert take_over(shop, news_of(shop), actor="Ada") is None
    labels.undo(shop, batch.id, actor="Ada")
    assert news_of(shop).splits == news.splits


def test_a_judged_image_that_an_import_meant_for_calibration_trains_unless_it_is_drawn(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, left = judge_all(shop)
    kept, hard = sorted(left)[:2]
    labels.set_split(shop, left, "calibration", actor="Ada")
    names = dict(
        zip((kept, hard), (catalog.get_image(shop, i).sha256 for i in (kept, hard)), strict=True)
    )
    monkeypatch.setattr(
        "core.analysis.retraining.is_drawn", lambda sha256, *_: sha256 == names[kept]
    )
    splits = news_of(shop).splits
    assert kept not in splits  # it is where it belongs
    assert splits[hard] == "train"


def test_a_model_is_trained_anew_by_its_own_recipe_with_the_classes_that_came(
    shop: Workspace,
) -> None:
    judged(shop, unlabelled(shop)[:1], "rust")
    model = model_of(shop)
    config = {**model.config, "classes": ["dirt", "drop"], "per_class": [3, 3], "epochs": 7}
    news = read_news(shop, Model(**{**vars(model), "config": config}))
    same = retraining_config(news, backbone="resnet18", goes_on=True)
    assert (same.epochs, same.mode, same.start_from) == (7, "head", model.id)
    assert (same.classes, same.per_class) == (("dirt", "drop", "rust"), ())
    other = retraining_config(news, backbone="swin_t", goes_on=False)
    assert (other.backbone, other.start_from, other.epochs) == ("swin_t", "", 7)
    with pytest.raises(ValueError, match="is no swin_t"):
        retraining_config(news, backbone="swin_t", goes_on=True)


def test_a_second_opinion_does_not_hide_a_correction(shop: Workspace) -> None:
    (image,) = ids_in(shop, "train", labels=("dirt",))[:1]
    enqueue(shop, [image], n_opinions=2)
    item = triage_queue.item_of(shop, image)
    for actor in ("Ada", "Grace"):
        decide(shop, item, "drop", actor=actor, seen="dirt")
    news = news_of(shop)
    assert (news.n_decided, news.n_relabelled) == (1, 1)


def test_images_that_measure_are_not_offered_for_training(shop: Workspace) -> None:
    kept = [ids_in(shop, split)[0] for split in ("validation", "calibration", "test")]
    judged(shop, kept, "dirt")
    news = news_of(shop)
    assert (news.n_decided, news.added, news.splits) == (3, (), {})


def test_checks_known_images_and_what_was_taken_back_teach_nothing(shop: Workspace) -> None:
    some = unlabelled(shop)
    judged(shop, some[:1], "dirt", kind="audit", truth="drop")
    judged(shop, some[1:2], "dirt", kind="gold", truth="dirt")
    judged(shop, some[2:3], UNUSABLE)
    judged(shop, some[3:4], "dirt", actor="Grace")
    decisions.undo(shop, actor="Grace", log="undoing", seq=1)
    assert news_of(shop).n_decided == 0
    enqueue(shop, some[4:6])
    entry = Entry("tab", 1, triage_queue.item_of(shop, some[4]), "skip", None, None)
    decisions.decide(shop, entry, actor="Ada")
    decisions.settle(shop, triage_queue.item_of(shop, some[5]), "dirt", actor="Ada", log="settling")
    assert news_of(shop).added == (some[5],)


def test_what_was_decided_before_the_training_is_no_news(shop: Workspace) -> None:
    judged(shop, unlabelled(shop)[:2], "dirt")
    model = model_of(shop)
    later = Model(**{**vars(model), "created_at": "2999-01-01T00:00:00.000Z"})
    assert read_news(shop, later).n_decided == 0
    assert read_news(shop, model).n_decided == 2


def test_a_training_is_worth_it_from_twenty_decisions_and_a_tenth_of_what_was_learned(
    shop: Workspace,
) -> None:
    def is_worth(n_decided: int, n_learned: int) -> bool:
        model = Model(**{**vars(model_of(shop)), "result": {"n_train": n_learned}})
        return News(model, n_decided, (), {}, (), (), {}, (), {}).is_worth_a_training

    assert [is_worth(19, 10), is_worth(20, 10)] == [False, True]
    assert [is_worth(49, 500), is_worth(50, 500)] == [False, True]


# The people


def test_people_are_told_apart_and_compared(shop: Workspace) -> None:
    images = unlabelled(shop)[:4]
    enqueue(shop, images, n_opinions=2, suggested="dirt")
    for image, ada, grace in zip(
        images, ("dirt", "dirt", "drop", "drop"), ("dirt", "dirt", "drop", "dirt"), strict=True
    ):
        item = triage_queue.item_of(shop, image)
        decide(shop, item, ada, actor="Ada")
        decide(shop, item, grace, actor="Grace")
    found = read_people(shop)
    assert found.together.n_decisions == 8
    assert {name: each.n_decisions for name, each in found.by_person.items()} == {
        "Ada": 4,
        "Grace": 4,
    }
    assert found.by_person["Ada"].changed.value == 0.5
    assert found.by_person["Grace"].changed.value == 0.25
    assert found.by_person["Ada"].median_seconds == 2.0
    (pair,) = found.agreement.pairs
    assert (pair.first, pair.second, pair.n, pair.n_same) == ("Ada", "Grace", 4, 3)


def test_known_images_measure_a_person_and_audited_ones_do_not(shop: Workspace) -> None:
    right, wrong, audited = unlabelled(shop)[:3]
    judged(shop, [right], "dirt", kind="gold", truth="dirt")
    judged(shop, [wrong], "drop", kind="gold", truth="dirt")
    judged(shop, [audited], "drop", kind="audit", truth="dirt")
    gold = read_people(shop).by_person["Ada"].gold
    assert (gold.value, gold.n) == (0.5, 2)


def test_what_was_taken_back_passed_over_or_is_older_does_not_count(shop: Workspace) -> None:
    some = unlabelled(shop)[:3]
    judged(shop, some[:1], "dirt", actor="Grace")
    decisions.undo(shop, actor="Grace", log="undoing", seq=1)
    enqueue(shop, some[1:2])
    entry = Entry("tab", 1, triage_queue.item_of(shop, some[1]), "skip", None, None)
    decisions.decide(shop, entry, actor="Grace")
    judged(shop, some[2:], "dirt")
    assert set(read_people(shop).by_person) == {"Ada"}
    at = decisions.list_decisions(shop, actor="Ada")[0].at
    assert read_people(shop, since=at).together.n_decisions == 1
    assert read_people(shop, since="2999-01-01").together.n_decisions == 0


# The log as a table


def table_of(workspace: Workspace) -> list[dict[str, str]]:
    text, n_decisions = decisions_as_csv(workspace)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == n_decisions
    return rows


def test_an_empty_log_is_a_table_without_rows(shop: Workspace) -> None:
    assert decisions_as_csv(shop) == (",".join(COLUMNS) + "\n", 0)


def test_the_log_holds_every_decision_and_who_took_it_back(shop: Workspace) -> None:
    images = unlabelled(shop)[:2]
    judged(shop, images, "dirt", suggested="drop", model="resnet18-1")
    decisions.undo(shop, actor="Ada", log="undoing", seq=1)
    first, second, undo = table_of(shop)
    assert [each["kind"] for each in (first, second, undo)] == ["label", "label", "undo"]
    assert (first["image_id"], first["label"], first["suggested"]) == (
        str(images[0]),
        "dirt",
        "drop",
    )
    assert (first["actor"], first["seconds"], first["model"]) == ("Ada", "2.0", "resnet18-1")
    assert first["undone_by"] == ""
    assert (undo["undoes"], second["undone_by"]) == (second["id"], undo["id"])
    assert '"top"' in first["scores"]


@pytest.mark.parametrize("text", ["=1+1", "+dirt", "-dirt", "@dirt"])
def test_no_text_of_a_person_is_a_formula(shop: Workspace, text: str) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1])
    decide(shop, triage_queue.item_of(shop, image), text, actor=text, comment=f"\t{text}")
    (row,) = table_of(shop)
    assert (row["label"], row["actor"], row["comment"]) == (f"'{text}", f"'{text}", f"'\t{text}")
