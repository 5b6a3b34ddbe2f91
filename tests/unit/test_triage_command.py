"""The command `triage`: what each verb answers, with which exit code, and how it refuses."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.jobs.configs import ApplyTriage
from core.state import applications, catalog, decisions, labels, models, runs, triage_queue
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace, create_workspace
from tests.queued import enqueue
from tests.samples import do

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def ask(home: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a verb of `triage` in a workspace with `--json`: its exit code and its answer."""

    def run(workspace: Workspace, *given: object, person: str = "Ada") -> tuple[int, dict]:
        where = ("--workspace", str(workspace.path), "--as", person, "--json")
        code = main(["triage", *map(str, given), *where])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, json.loads(out)

    return run


@pytest.fixture
def applied(shop: Workspace) -> applications.Application:
    """The plan, applied: people check every automatic label, and share what is left."""
    job = do(
        shop,
        ApplyTriage(newest_plan(shop), audit_share=1.0, gold_share=0.0, second_share=1.0),
    )
    assert job.status == "succeeded", job.error
    return applications.list_applications(shop)[0]


def newest_plan(workspace: Workspace) -> str:
    return runs.list_runs(workspace, "triage_plan")[0].id


def waiting(workspace: Workspace, *kinds: str) -> list[triage_queue.QueueItem]:
    """What waits for a person who is at no work, of these kinds."""
    items = triage_queue.lease(workspace, actor="nobody", n=1_000)
    triage_queue.release(workspace, actor="nobody")
    return [item for item in items if item.kind in kinds]


def label_of(workspace: Workspace, image: int) -> tuple[str | None, str | None]:
    found = catalog.get_image(workspace, image)
    return found.label, found.label_origin


def n_automatic(workspace: Workspace) -> int:
    ids = catalog.image_ids(workspace)
    return catalog.column(workspace, ids, "label_origin").count("automatic")


def read_aloud(capsys: pytest.CaptureFixture[str], workspace: Workspace, *given: object) -> str:
    """What a verb says to a person."""
    main(["triage", *map(str, given), "--workspace", str(workspace.path)])
    return capsys.readouterr().out


# plan


def test_a_plan_says_who_would_label_what_and_changes_nothing(ask: Ask, shop: Workspace) -> None:
    code, said = ask(shop, "plan", "--model", "newest", "--max-error", 0.1)
    assert code == 0
    assert (said["rule"], said["max_error"], said["delta"]) == ("risk", 0.1, 0.05)
    assert said["n_auto"] > 0
    assert said["n_auto"] + said["n_queue"] == len(unlabelled(shop))
    assert {"job", "run", "threshold", "error_bound", "n_calibration", "curve"} <= set(said)
    assert runs.get_run(shop, said["run"]).config["max_error"] == 0.1
    assert applications.list_applications(shop) == []
    assert n_automatic(shop) == 0


def unlabelled(workspace: Workspace) -> list[int]:
    ids = catalog.image_ids(workspace)
    given = catalog.column(workspace, ids, "label")
    return [image for image, label in zip(ids.tolist(), given, strict=True) if label is None]


def test_a_plan_of_test_images_is_held_against_their_labels(ask: Ask, shop: Workspace) -> None:
    code, said = ask(shop, "plan", "--model", "newest", "--of", "test")
    assert code == 0
    assert said["auto_error"]["n"] == said["n_auto"] > 0


def test_the_papers_rule_promises_nothing_and_says_so(
    ask: Ask, shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ask(shop, "plan", "--model", "newest", "--rule", "cluster")
    assert (code, said["rule"], said["error_bound"]) == (0, "cluster", None)
    told = read_aloud(capsys, shop, "plan", "--model", "newest", "--rule", "cluster")
    assert "The paper's rule promises no error." in told


def test_a_promise_that_cannot_be_made_says_how_many_images_it_takes(
    ask: Ask, shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("plan", "--model", "newest", "--max-error", 0.001)
    code, said = ask(shop, *given)
    assert (code, said["feasible"], said["n_auto"]) == (0, False, 0)
    told = read_aloud(capsys, shop, *given)
    assert "Nothing can be promised" in told
    assert f"about {said['n_needed']:,} like these would do" in told


def test_the_model_at_work_is_the_one_that_plans(ask: Ask, shop: Workspace) -> None:
    code, said = ask(shop, "plan")
    assert (code, said["error"]["title"]) == (1, "No model is promoted.")
    assert "Promote one" in said["error"]["next_step"]
    model = models.list_models(shop)[0]
    models.promote(shop, model.id, actor="Ada")
    code, said = ask(shop, "plan")
    assert (code, said["model"]) == (0, model.id)


@pytest.mark.parametrize(
    "given",
    [
        ("plan", "--max-error", "0"),
        ("plan", "--max-error", "1"),
        ("plan", "--delta", "some"),
        ("plan", "--rule", "mine"),
        ("apply", "--audit-share", "1.5"),
        ("apply", "--gold-share", "-0.1"),
        ("apply", "--second-share", "all"),
        ("revert", "0"),
        ("next", "-n", "0"),
        ("next", "--order", "newest"),
        ("decide", "1"),
        ("decide", "1", "dirt", "--skip"),
        ("decide", "1", "--skip", "--flag", "odd"),
        ("settle", "1"),
        ("pause",),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(
    given: tuple[str, ...], ask: Ask, shop: Workspace
) -> None:
    code, said = ask(shop, *given)
    assert (code, said["error"]["title"]) == (2, "Wrong usage.")


# apply and revert


def test_a_plan_is_applied_in_the_name_of_who_asked(ask: Ask, shop: Workspace) -> None:
    code, said = ask(shop, "apply", person="Grace")
    assert code == 0
    assert said["plan"] == newest_plan(shop)
    assert said["n_labelled"] == n_automatic(shop) > 0
    (done,) = applications.list_applications(shop)
    assert (done.id, done.batch_id) == (said["application"], said["batch"])
    assert (done.actor, done.n_queued, done.n_audited) == (
        "Grace",
        said["n_queued"],
        said["n_audited"],
    )


def test_the_shares_reach_the_queue(ask: Ask, shop: Workspace) -> None:
    shares = ("--audit-share", 1, "--gold-share", 0, "--second-share", 0)
    code, said = ask(shop, "apply", newest_plan(shop)[:16], *shares)
    assert (code, said["n_audited"]) == (0, said["n_labelled"])
    assert waiting(shop, "gold") == []
    assert {item.n_opinions for item in waiting(shop, "ambiguous", "novel")} == {1}


def test_a_plan_is_applied_once(ask: Ask, shop: Workspace, applied: object) -> None:
    code, said = ask(shop, "apply")
    assert (code, said["error"]["title"]) == (1, "This plan has been applied already.")
    assert "revert" in said["error"]["next_step"]


def test_what_is_no_plan_is_not_applied(ask: Ask, shop: Workspace, home: Path) -> None:
    embedding = runs.list_runs(shop, "embedding")[0].id
    code, said = ask(shop, "apply", embedding)
    assert (code, said["error"]["title"]) == (1, f"{embedding} is no triage_plan.")
    code, said = ask(create_workspace(home / "empty", name="Empty"), "apply")
    assert (code, said["error"]["title"]) == (1, "There is no triage_plan yet.")
    assert "triage plan" in said["error"]["next_step"]


def test_the_newest_batch_is_taken_back_but_for_what_people_decided(
    ask: Ask, shop: Workspace, applied: applications.Application
) -> None:
    kept = waiting(shop, "audit")[0].image_id
    assert ask(shop, "decide", kept, "scratch")[0] == 0
    code, said = ask(shop, "revert")
    assert (code, said) == (
        0,
        {
            "batch": applied.batch_id,
            "n_restored": applied.n_labelled - 1,
            "n_kept": 1,
            "n_withdrawn": applied.n_audited - 1,
        },
    )
    assert n_automatic(shop) == 0
    assert label_of(shop, kept) == ("scratch", "human")
    code, said = ask(shop, "revert")
    assert (code, said["error"]["title"]) == (1, "There are no automatic labels to take back.")


def test_only_a_batch_of_automatic_labels_is_reverted(
    ask: Ask, shop: Workspace, applied: applications.Application
) -> None:
    batch = labels.relabel(shop, unlabelled(shop)[:1], "dirt", actor="Ada")
    code, said = ask(shop, "revert", batch.id)
    assert (code, "no batch of automatic labels" in said["error"]["title"]) == (1, True)
    assert ask(shop, "revert", applied.batch_id)[0] == 0
    code, said = ask(shop, "revert", applied.batch_id)
    assert (code, "reverted already" in said["error"]["title"]) == (1, True)


# audit, pause and resume


def test_without_automatic_labels_there_is_no_audit(ask: Ask, shop: Workspace) -> None:
    code, said = ask(shop, "audit")
    assert (code, said["error"]["title"]) == (1, "Nothing has been labelled automatically yet.")
    assert "triage plan" in said["error"]["next_step"]


def test_an_audit_tells_the_measured_error_beside_the_promise(
    ask: Ask, shop: Workspace, applied: applications.Application
) -> None:
    right, wrong, *others = waiting(shop, "audit")
    ask(shop, "decide", right.image_id, right.suggested)
    ask(shop, "decide", wrong.image_id, "scratch")
    code, said = ask(shop, "audit")
    assert code == 0
    assert (said["model"], said["promised"]) == (applied.model, 0.05)
    assert (said["n_checked"], said["n_wrong"], said["share"]) == (2, 1, 0.5)
    assert said["low"] < 0.5 < said["high"]
    assert (said["n_waiting"], said["paused"], said["reason"]) == (len(others), False, "")
    assert sum(each["n_checked"] for each in said["by_class"]) == 2
    assert "over_time" not in said


def test_decisions_pause_automatic_labelling_which_is_then_not_well(
    ask: Ask, shop: Workspace, applied: applications.Application
) -> None:
    for item in waiting(shop, "audit")[:12]:
        ask(shop, "decide", item.image_id, "scratch")
    code, said = ask(shop, "audit")
    assert (code, said["paused"]) == (1, True)
    assert "was promised" in said["reason"]
    code, said = ask(shop, "revert")
    assert code == 0, said
    code, said = ask(shop, "apply")
    assert (code, said["error"]["title"]) == (1, "Automatic labelling is paused.")
    assert "was promised" in said["error"]["detail"]


def test_a_pause_is_made_and_ended_with_a_reason(
    ask: Ask, shop: Workspace, applied: applications.Application
) -> None:
    assert ask(shop, "pause", "a new lamp", person="Grace") == (0, {"paused": True})
    pause = applications.current_pause(shop)
    assert pause is not None
    assert (pause.actor, pause.reason) == ("Grace", "a new lamp")
    code, said = ask(shop, "audit")
    assert (code, said["paused"], said["reason"]) == (1, True, "a new lamp")
    code, said = ask(shop, "resume", " ")
    assert (code, "Say why" in said["error"]["title"]) == (1, True)
    assert ask(shop, "audit")[0] == 1
    assert ask(shop, "resume", "calibrated anew") == (0, {"paused": False})
    assert ask(shop, "audit")[0] == 0
    code, said = ask(shop, "pause", " ")
    assert (code, "Say why" in said["error"]["title"]) == (1, True)


# The people's queue


def test_next_leases_images_to_one_person(ask: Ask, shop: Workspace) -> None:
    ids = enqueue(shop, unlabelled(shop)[:3], suggested="dirt")
    code, said = ask(shop, "next", "-n", 2)
    assert (code, said["n_pending"], said["n_to_settle"]) == (0, 3, 0)
    assert [item["image"] for item in said["items"]] == ids[:2]
    first = said["items"][0]
    assert set(first) == {"image", "name", "suggested", "top", "why", "nearest", "opinion"}
    assert (first["suggested"], first["opinion"]) == ("dirt", 1)
    assert [label for label, _ in first["top"]][1] == "rust"
    others = ask(shop, "next", "-n", 9, person="Grace")[1]["items"]
    assert [item["image"] for item in others] == ids[2:]


def test_an_order_is_chosen_and_a_blind_image_tells_no_scores(ask: Ask, shop: Workspace) -> None:
    ids = enqueue(shop, unlabelled(shop)[:3], suggested="dirt", is_blind=True)
    (item,) = ask(shop, "next", "--order", "novelty")[1]["items"]
    assert (item["image"], item["top"]) == (ids[-1], [])
    assert item["why"].startswith("Judged blind")


def test_an_empty_queue_says_so(
    ask: Ask, shop: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(shop, "next") == (0, {"items": [], "n_pending": 0, "n_to_settle": 0})
    assert read_aloud(capsys, shop, "next") == "Nothing waits for you.\n"


def test_a_decision_is_the_persons_label(ask: Ask, shop: Workspace) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1])
    code, said = ask(shop, "decide", image, "dirt", person="Grace")
    assert (code, said["image"], said["label"], said["standing"]) == (0, image, "dirt", "saved")
    assert label_of(shop, image) == ("dirt", "human")
    assert decisions.list_decisions(shop)[0].actor == "Grace"
    code, said = ask(shop, "decide", image, "drop", person="Grace")
    assert (code, said["standing"]) == (0, "yours")
    assert label_of(shop, image) == ("dirt", "human")


def test_an_image_is_passed_over_or_flagged(ask: Ask, shop: Workspace) -> None:
    skipped, flagged = enqueue(shop, unlabelled(shop)[:2])
    assert ask(shop, "decide", skipped, "--skip")[0] == 0
    assert ask(shop, "decide", flagged, "--flag", "a stain on the lens")[0] == 0
    flag, skip = decisions.list_decisions(shop)
    assert (skip.kind, flag.kind, flag.comment) == ("skip", "flag", "a stain on the lens")
    assert ask(shop, "next")[1]["items"] == []
    assert ask(shop, "next")[1]["n_to_settle"] == 1


def test_what_is_not_in_the_queue_or_can_be_no_label_is_refused(ask: Ask, shop: Workspace) -> None:
    inside, outside, *_ = unlabelled(shop)
    enqueue(shop, [inside])
    for verb in ("decide", "settle"):
        code, said = ask(shop, verb, outside, "dirt")
        assert (code, said["error"]["title"]) == (1, f"Image {outside} is not in the queue.")
        assert "Send it to triage" in said["error"]["next_step"]
        code, said = ask(shop, verb, inside, "a/b")
        assert (code, said["error"]["title"]) == (1, "This cannot be a label.")
    assert decisions.list_decisions(shop) == []


def test_a_conflict_is_not_well_until_somebody_settles_it(ask: Ask, shop: Workspace) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1], n_opinions=2)
    assert ask(shop, "decide", image, "dirt")[0] == 0
    code, said = ask(shop, "decide", image, "drop", person="Grace")
    assert (code, said["standing"]) == (1, "conflict")
    assert said["told"].startswith("Ada decided dirt")
    assert label_of(shop, image) == (None, None)
    assert ask(shop, "next")[1]["n_to_settle"] == 1
    assert ask(shop, "settle", image, "drop", person="Eve") == (
        0,
        {"image": image, "label": "drop"},
    )
    assert label_of(shop, image) == ("drop", "human")
    assert ask(shop, "next")[1]["n_to_settle"] == 0


def test_each_person_takes_back_their_own(ask: Ask, shop: Workspace) -> None:
    first, second = enqueue(shop, unlabelled(shop)[:2])
    ask(shop, "decide", first, "dirt")
    ask(shop, "decide", second, "dirt", person="Grace")
    assert ask(shop, "undo") == (0, {"image": first})
    assert label_of(shop, first) == (None, None)
    assert label_of(shop, second) == ("dirt", "human")
    code, said = ask(shop, "undo")
    assert (code, "Ada has decided nothing" in said["error"]["title"]) == (1, True)


def test_all_decisions_are_written_to_a_table(ask: Ask, shop: Workspace, tmp_path: Path) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1])
    ask(shop, "decide", image, "dirt")
    ask(shop, "undo")
    path = tmp_path / "log.csv"
    assert ask(shop, "decisions", path) == (0, {"path": str(path), "n_decisions": 2})
    label, undo = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    assert (label["kind"], label["label"], label["actor"]) == ("label", "dirt", "Ada")
    assert (undo["kind"], undo["undoes"]) == ("undo", label["id"])


def test_a_table_that_cannot_be_written_says_so(ask: Ask, shop: Workspace, tmp_path: Path) -> None:
    code, said = ask(shop, "decisions", tmp_path / "nowhere" / "log.csv")
    assert (code, said["error"]["next_step"]) == (1, "Choose another place.")


def test_triage_works_on_labelled_images_too(ask: Ask, shop: Workspace) -> None:
    image = catalog.image_ids(shop, ImageFilter(splits=("test",)))[:1].tolist()[0]
    before = label_of(shop, image)
    enqueue(shop, [image])
    assert ask(shop, "decide", image, "scratch")[0] == 0
    assert label_of(shop, image) == ("scratch", "human")
    assert ask(shop, "undo")[0] == 0
    assert label_of(shop, image) == before
