"""Triage beside the queue: promises, applying, the audit, what is in dispute, people, training."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import actions
from core.jobs.configs import ApplyTriage, JobConfig, PlanTriage, from_json
from core.jobs.steps import config_class
from core.settings import PROJECT_ROOT
from core.state import applications, catalog, decisions, job_rows, labels, models, runs
from core.state import triage_queue as queue
from core.state.applications import Application
from core.state.decisions import Entry
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.login import OPERATOR, SCIENTIST, configured
from tests.pages.conftest import TIMEOUT_S, OpenPage, checked, choose, click, shown_ids, texts
from tests.queued import enqueue
from tests.samples import do

PAGE = "triage"
OpenView = Callable[..., AppTest]


@pytest.fixture
def open_view(open_page: OpenPage) -> OpenView:
    """`open_view("Audit")`: the page Triage with that view."""
    return lambda view, **more: open_page(PAGE, triage__view=view, **more)


@pytest.fixture
def applied(shop: Workspace) -> Application:
    """The plan, applied; people check every automatic label."""
    job = do(shop, ApplyTriage(plan_of(shop).id, audit_share=1.0, gold_share=0.0))
    assert job.status == "succeeded", job.error
    return applications.list_applications(shop)[0]


def model_of(workspace: Workspace) -> Model:
    return models.list_models(workspace)[0]


def plan_of(workspace: Workspace) -> Run:
    return runs.list_runs(workspace, "triage_plan")[0]


def plan(workspace: Workspace, **more: Any) -> Run:
    job = do(workspace, PlanTriage(model_of(workspace).id, **more))
    assert job.result is not None, job.error
    return runs.get_run(workspace, job.result["run"])


def submitted(workspace: Workspace) -> list[JobConfig]:
    """What the jobs that wait were asked."""
    jobs = job_rows.list_jobs(workspace, statuses=("queued",))
    return [from_json(config_class(job.kind), dict(job.config)) for job in jobs]


def metrics(at: AppTest) -> dict[str, tuple[str, str]]:
    return {metric.label: (metric.value, metric.delta) for metric in at.metric}


def keys(at: AppTest) -> set[str | None]:
    return {button.key for button in at.button}


def slide(at: AppTest, to: float) -> AppTest:
    """Choose another promise."""
    (slider,) = at.select_slider
    return checked(slider.set_value(to).run())


def unlabelled(workspace: Workspace) -> list[int]:
    ids = catalog.image_ids(workspace)
    given = catalog.column(workspace, ids, "label")
    return [image for image, label in zip(ids.tolist(), given, strict=True) if label is None]


def decide(workspace: Workspace, image: int, label: str, *, actor: str = "Grace") -> None:
    item = queue.item_of(workspace, image)
    seen = catalog.get_image(workspace, image).label
    entry = Entry(f"{actor} on {item}", 1, item, "label", label, seen, 2.0)
    decisions.decide(workspace, entry, actor=actor)


def check(workspace: Workspace, *, n: int, label: str) -> None:
    """Let a person look at automatic labels again, with this verdict of each."""
    items = queue.lease(workspace, actor="Grace", n=1_000)
    for item in [each for each in items if each.kind == "audit"][:n]:
        decide(workspace, item.image_id, label)
        actions.watch_audit(workspace)


def n_automatic(workspace: Workspace) -> int:
    ids = catalog.image_ids(workspace)
    return catalog.column(workspace, ids, "label_origin").count("automatic")


# Automatic: the plan


def test_without_a_model_the_view_leads_to_fine_tuning(
    open_view: OpenView, small: Workspace
) -> None:
    at = open_view("Automatic")
    assert "no model yet" in texts(at)
    assert [link.label for link in at.page_link] == ["Fine-tune one"]


def test_an_empty_queue_leads_to_the_plan(open_page: OpenPage, shop: Workspace) -> None:
    at = click(open_page(PAGE), f"{PAGE}.to_plan")
    assert at.select_slider


def test_a_rule_without_a_plan_is_explained_and_planned_by_one_click(
    open_view: OpenView, shop: Workspace
) -> None:
    at = choose(open_view("Automatic"), f"{PAGE}.rule", "cluster")
    assert "The rule of the paper" in texts(at)
    assert at.button(key=f"{PAGE}.plan").label == "Plan"
    click(at, f"{PAGE}.plan")
    assert submitted(shop) == [PlanTriage(model_of(shop).id, rule="cluster")]


def test_a_plan_is_shown_with_its_numbers(open_view: OpenView, shop: Workspace) -> None:
    at = open_view("Automatic")
    told = plan_of(shop).result
    n = told["n_auto"] + told["n_queue"]
    assert metrics(at) == {
        "Labelled by the model": (f"{told['n_auto']}", f"{told['n_auto'] / n:.1%}"),
        "Left for people": (f"{told['n_queue']}", f"{told['n_queue'] / n:.1%}"),
    }
    said = texts(at)
    assert "at most 5% of the automatic labels are wrong" in said
    read_off = f"Read off {told['n_calibration']} calibration images: {told['n_accepted']} would"
    assert read_off in said
    assert len(at.get("plotly_chart")) == 1
    assert at.button(key=f"{PAGE}.apply").label == "Apply at 5%"
    assert "Already in the queue" not in said
    waits = runs.load_array(shop, plan_of(shop), "image_ids")[:1].tolist()
    labels.set_queued(shop, waits, True, actor="Ada")
    assert f"left to people there: 1 of the {n} images." in texts(open_view("Automatic"))


def test_where_nothing_waits_a_plan_is_shown_by_its_calibration_images(
    open_view: OpenView, shop: Workspace
) -> None:
    waits = catalog.image_ids(shop, catalog.ImageFilter(labels=(None,))).tolist()
    labels.relabel(shop, waits, "drop", actor="Ada")
    assert do(shop, PlanTriage(model_of(shop).id)).status == "succeeded"
    at = open_view("Automatic")
    told = plan_of(shop).result
    n, n_auto = told["n_calibration"], told["n_accepted"]
    assert metrics(at)["Labelled by the model"] == (f"{n_auto}", f"{n_auto / n:.1%}")
    assert "what comes in is like them" in texts(at)
    assert at.button(key=f"{PAGE}.apply").label == "Apply at 5%"
    at = slide(at, min(each["max_error"] for each in told["curve"]))
    assert f"{PAGE}.apply" not in {each.key for each in at.button}


def test_a_plan_that_holds_is_not_made_again_until_something_has_changed(
    open_view: OpenView, shop: Workspace
) -> None:
    at = open_view("Automatic")
    assert at.button(key=f"{PAGE}.plan").disabled
    at = choose(at, f"{PAGE}.delta", 0.01)
    assert not at.button(key=f"{PAGE}.plan").disabled
    calibration = catalog.image_ids(shop, catalog.ImageFilter(splits=("calibration",)))
    labels.relabel(shop, calibration[:1].tolist(), "scratch", actor="Ada")
    at = open_view("Automatic")
    assert "Labels or splits have changed since" in texts(at)
    assert not at.button(key=f"{PAGE}.plan").disabled
    click(at, f"{PAGE}.plan")
    assert submitted(shop) == [PlanTriage(model_of(shop).id)]


def test_another_promise_has_other_numbers_without_any_job(
    open_view: OpenView, shop: Workspace
) -> None:
    at = open_view("Automatic")
    told = plan_of(shop).result
    n = told["n_auto"] + told["n_queue"]
    costs = {each["max_error"]: each["auto_share"] for each in told["curve"]}
    assert len(set(costs.values())) > 1
    for max_error in (min(costs), max(costs)):
        at = slide(at, max_error)
        n_auto = round(costs[max_error] * n)
        assert metrics(at)["Labelled by the model"] == (f"{n_auto}", f"{costs[max_error]:.1%}")
        assert metrics(at)["Left for people"][0] == f"{n - n_auto}"
        title = f"Apply at {max_error * 100:.3g}%" if n_auto else f"Send all {n} to people"
        assert at.button(key=f"{PAGE}.apply").label == title
    assert job_rows.list_jobs(shop, statuses=("queued",)) == []


def test_a_promise_that_cannot_be_kept_says_how_many_images_it_takes(
    open_view: OpenView, shop: Workspace
) -> None:
    told = plan(shop, max_error=0.001).result
    assert told["n_needed"] > told["n_calibration"]
    at = open_view("Automatic")
    (warning,) = at.warning
    assert f"0.1% cannot be promised from {told['n_calibration']} calibration" in warning.value
    assert f"{told['n_needed'] - told['n_calibration']:,} more labelled" in warning.value
    assert "Promised:" not in texts(at)
    assert at.button(key=f"{PAGE}.apply").label == f"Send all {told['n_queue']} to people"
    click(at, f"{PAGE}.apply")
    assert submitted(shop) == [ApplyTriage(plan_of(shop).id, max_error=0.001)]


def test_the_papers_rule_is_shown_without_a_promise(open_view: OpenView, shop: Workspace) -> None:
    told = plan(shop, rule="cluster").result
    at = choose(open_view("Automatic"), f"{PAGE}.rule", "cluster")
    assert metrics(at)["Labelled by the model"][0] == f"{told['n_auto']}"
    assert "promises no error" in at.warning[0].value
    assert not at.select_slider
    assert at.button(key=f"{PAGE}.apply").label == "Apply"


# Automatic: applying and reverting


def test_applying_takes_the_promise_and_the_checks_that_were_chosen(
    open_view: OpenView, shop: Workspace
) -> None:
    at = slide(open_view("Automatic"), 0.1)
    for name, percent in (("audit", 20), ("second", 0), ("gold", 5)):
        checked(at.slider(key=f"{PAGE}.share.{name}").set_value(percent).run())
    assert at.button(key=f"{PAGE}.apply").label == "Apply at 10%"
    at = click(at, f"{PAGE}.apply")
    assert submitted(shop) == [
        ApplyTriage(
            plan_of(shop).id, max_error=0.1, audit_share=0.2, second_share=0.0, gold_share=0.05
        )
    ]
    assert at.button(key=f"{PAGE}.apply").disabled  # while it waits
    assert at.button(key=f"{PAGE}.plan").disabled
    assert n_automatic(shop) == 0


def test_what_was_applied_stands_there_and_is_not_applied_twice(
    open_view: OpenView, shop: Workspace, applied: Application
) -> None:
    at = open_view("Automatic")
    (done,) = at.success
    assert f"Applied: {applied.n_labelled} images labelled" in done.value
    assert f"{applied.n_queued} in the queue" in done.value
    assert at.button(key=f"{PAGE}.apply").disabled
    assert f"**{applied.n_labelled} images labelled** by" in texts(at)
    assert f"{applied.n_audited} of them checks · tester" in texts(at)


def test_an_application_is_reverted_but_for_what_people_decided(
    open_view: OpenView, shop: Workspace, applied: Application
) -> None:
    check(shop, n=1, label="scratch")
    at = click(open_view("Automatic"), f"{PAGE}.revert.{applied.id}")
    assert f"{applied.n_labelled - 1} images are as before; 1 decided by people stay" in (
        at.toast[0].value
    )
    assert n_automatic(shop) == 0
    (done,) = applications.list_applications(shop)
    assert done.reverted_by == "Ada"
    assert at.button(key=f"{PAGE}.revert.{applied.id}").disabled
    assert "reverted by Ada" in texts(at)
    assert not at.success


def test_a_job_that_failed_says_why(open_view: OpenView, shop: Workspace) -> None:
    applications.pause(shop, "a new lamp", actor="Grace")
    assert do(shop, ApplyTriage(plan_of(shop).id)).status == "failed"
    said = [error.value.replace("\\", "") for error in open_view("Automatic").error]
    assert len(said) == 2  # the pause itself, and the job that met it
    assert all("Automatic labelling is paused." in each for each in said)


# Audit


def test_before_anything_is_applied_the_audit_says_so(open_view: OpenView, shop: Workspace) -> None:
    assert "Nothing has been labelled automatically yet" in texts(open_view("Audit"))


def test_an_audit_without_checks_has_no_figure_yet(
    open_view: OpenView, shop: Workspace, applied: Application
) -> None:
    at = open_view("Audit")
    assert metrics(at)["Measured error"] == ("–", "nobody has checked one yet")
    assert metrics(at)["Promised"] == ("5%", "but for a chance of 5%")
    assert metrics(at)["Checked"] == ("0", f"{applied.n_audited} wait unseen in the queue")
    assert not at.get("plotly_chart")


def test_an_audit_shows_the_measured_error_beside_the_promise(
    open_view: OpenView, shop: Workspace, applied: Application
) -> None:
    check(shop, n=1, label="scratch")
    at = open_view("Audit")
    assert metrics(at)["Measured error"][0] == "100.0%"
    assert metrics(at)["Checked"][0] == "1"
    assert "Nothing speaks against the promise so far." in texts(at)
    assert len(at.get("plotly_chart")) == 1
    (rows,) = [frame.value for frame in at.dataframe]
    assert rows[["checked", "wrong"]].to_numpy().tolist() == [[1, 1]]


@pytest.mark.parametrize("view", ["Automatic", "Audit"])
def test_a_broken_promise_pauses_and_the_pause_is_ended_with_a_reason_alone(
    open_view: OpenView, shop: Workspace, applied: Application, view: str
) -> None:
    check(shop, n=12, label="scratch")
    at = open_view(view)
    assert "**Automatic labelling is paused.**" in at.error[0].value
    assert "was promised" in at.error[0].value
    at = click(at, f"{PAGE}.resume")
    assert "Say why automatic labelling may go on" in at.error[-1].value
    assert is_paused(shop)
    at.text_input(key=f"{PAGE}.resume.reason").input("calibrated anew")
    at = click(checked(at.run()), f"{PAGE}.resume")
    assert not at.error
    pause = applications.current_pause(shop)
    assert pause is not None
    assert (pause.paused, pause.actor, pause.reason) == (False, "Ada", "calibrated anew")


def is_paused(workspace: Workspace) -> bool:
    pause = applications.current_pause(workspace)
    return pause is not None and pause.paused


def test_a_person_pauses_with_a_reason_alone(
    open_view: OpenView, shop: Workspace, applied: Application
) -> None:
    at = open_view("Audit")
    assert at.button(key=f"{PAGE}.pause").disabled
    at.text_input(key=f"{PAGE}.pause.reason").input("a new lamp")
    at = click(checked(at.run()), f"{PAGE}.pause")
    assert is_paused(shop)
    assert "a new lamp" in at.error[0].value
    assert f"{PAGE}.pause" not in keys(at)


# To settle


def test_without_a_dispute_the_view_says_so(open_view: OpenView, shop: Workspace) -> None:
    assert "Nothing is in dispute" in texts(open_view("To settle"))


def test_a_conflict_is_shown_with_all_that_was_said_and_settled(
    open_view: OpenView, shop: Workspace
) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1], n_opinions=2)
    item = queue.item_of(shop, image)
    decide(shop, image, "dirt", actor="Grace")
    decide(shop, image, "drop", actor="Eve")
    at = open_view("To settle")
    assert "People disagree" in texts(at)
    assert "Grace said **dirt**" in texts(at)
    assert "Eve said **drop**" in texts(at)
    assert shown_ids(at, f"{PAGE}.unsettled.{item}.gallery") == [image]
    box = at.selectbox(key=f"{PAGE}.settle.label.{item}")
    assert box.options[:2] == ["dirt", "drop"]
    at = click(checked(box.select("drop").run()), f"{PAGE}.settle.{item}")
    found = catalog.get_image(shop, image)
    assert (found.label, found.label_origin) == ("drop", "human")
    settled = decisions.list_decisions(shop)[0]
    assert (settled.kind, settled.actor) == ("settle", "Ada")
    assert "Nothing is in dispute" in texts(at)


def test_a_flag_is_shown_with_what_was_written(open_view: OpenView, shop: Workspace) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1], suggested="dirt")
    item = queue.item_of(shop, image)
    entry = Entry("tab", 1, item, "flag", None, None, comment="[a stain](on the lens)")
    decisions.decide(shop, entry, actor="Grace")
    at = open_view("To settle")
    assert "Flagged" in texts(at)
    assert r"\[a stain\]\(on the lens\)" in texts(at)
    click(at, f"{PAGE}.settle.{item}")  # what the model suggests comes first
    assert catalog.get_image(shop, image).label == "dirt"


# People, and the next training


def test_before_any_decision_there_are_no_figures_of_people(
    open_view: OpenView, shop: Workspace
) -> None:
    at = open_view("People")
    assert "Nobody has decided anything in this time." in texts(at)
    assert not at.metric


def test_people_are_measured_and_compared(open_view: OpenView, shop: Workspace) -> None:
    images = unlabelled(shop)[:4]
    enqueue(shop, images, n_opinions=2, suggested="dirt")
    for image, grace, eve in zip(
        images, ("dirt", "drop", "dirt", "drop"), ("dirt", "drop", "dirt", "dirt"), strict=True
    ):
        decide(shop, image, grace, actor="Grace")
        decide(shop, image, eve, actor="Eve")
    at = open_view("People")
    shown = metrics(at)
    assert shown["Decisions"][0] == "8"
    assert shown["Suggestions changed"][0] == "37.5%"
    assert shown["Cohen's kappa"][0] == "0.50"
    assert len(at.get("plotly_chart")) == 2
    persons = at.dataframe[0].value.set_index("person")
    assert persons["decisions"].to_dict() == {"Eve": 4, "Grace": 4}
    assert persons["suggestions changed"].to_dict() == {"Eve": 0.25, "Grace": 0.5}
    at = choose(at, f"{PAGE}.period", "Today")
    assert metrics(at)["Decisions"][0] == "8"


def test_all_decisions_are_downloaded_as_a_table(
    open_view: OpenView, shop: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(shop, unlabelled(shop)[:1])
    decide(shop, unlabelled(shop)[0], "=1+1")
    offered: list[dict[str, Any]] = []
    monkeypatch.setattr(st, "download_button", lambda *_, **given: offered.append(given))
    open_view("People")
    (given,) = offered
    assert (given["file_name"], given["mime"]) == ("shop-decisions.csv", "text/csv")
    (row,) = csv.DictReader(io.StringIO(given["data"]().decode()))
    assert (row["actor"], row["label"]) == ("Grace", "'=1+1")


def test_a_training_is_offered_once_enough_was_decided_and_leads_to_what_is_new(
    open_view: OpenView, shop: Workspace
) -> None:
    fresh = unlabelled(shop)[:20]
    enqueue(shop, fresh, suggested="drop")
    for image in fresh[:19]:
        decide(shop, image, "dirt")
    assert f"{PAGE}.retrain" not in keys(open_view("People"))
    decide(shop, fresh[19], "rust")
    at = open_view("People")
    said = texts(at)
    assert "20 decisions since" in said
    assert "20 images more to train on; 20 where it was wrong; new types: rust (1)" in said
    at = click(at, f"{PAGE}.retrain")
    assert "Fine-tuning" in [each.value for each in at.header]
    assert at.segmented_control(key="fine_tuning.view").value == "Retrain"
    assert r"Since resnet18\-1 was trained" in [each.value for each in at.subheader]


# Who may do what


@pytest.fixture
def open_as(shop: Workspace, tmp_path: Path) -> Iterator[OpenView]:
    """`open_as(email, view)`: that view as the person with this address sees it."""

    def open_(email: str, view: str) -> AppTest:
        at = AppTest.from_file(PROJECT_ROOT / "pages" / "_main.py", default_timeout=TIMEOUT_S)
        at.user = {"is_logged_in": True, "email": email, "name": email.partition("@")[0]}
        at.query_params["triage.view"] = view
        at.switch_page(f"{PAGE}.py")
        return checked(at.run())

    with configured(tmp_path):
        yield open_


def test_an_operator_plans_and_applies_nothing(open_as: OpenView, shop: Workspace) -> None:
    assert click(open_as(OPERATOR, "Automatic"), f"{PAGE}.apply").error
    at = choose(open_as(OPERATOR, "Automatic"), f"{PAGE}.rule", "cluster")
    assert click(at, f"{PAGE}.plan").error
    assert submitted(shop) == []
    click(open_as(SCIENTIST, "Automatic"), f"{PAGE}.apply")
    assert [type(config) for config in submitted(shop)] == [ApplyTriage]


def test_an_operator_reverts_nothing_by_whatever_page(
    open_as: OpenView, shop: Workspace, applied: Application
) -> None:
    assert click(open_as(OPERATOR, "Automatic"), f"{PAGE}.revert.{applied.id}").error
    at = open_as(OPERATOR, "Automatic").switch_page("activity.py").run()
    at = choose(checked(at), "activity.view", "Changes")
    at = click(at, f"activity.undo.{applied.batch_id}")
    assert "needs the role data scientist" in at.toast[0].value
    assert n_automatic(shop) == applied.n_labelled
    click(open_as(SCIENTIST, "Automatic"), f"{PAGE}.revert.{applied.id}")
    assert n_automatic(shop) == 0


def test_an_operator_stops_automatic_labelling_but_does_not_let_it_go_on(
    open_as: OpenView, shop: Workspace, applied: Application
) -> None:
    at = open_as(OPERATOR, "Audit")
    at.text_input(key=f"{PAGE}.pause.reason").input("a new lamp")
    at = click(checked(at.run()), f"{PAGE}.pause")
    assert is_paused(shop)
    at.text_input(key=f"{PAGE}.resume.reason").input("no matter")
    at = click(checked(at.run()), f"{PAGE}.resume")
    assert "needs the role data scientist" in at.error[-1].value.replace("\\", "")
    assert is_paused(shop)


def test_an_operator_settles_under_their_own_name(open_as: OpenView, shop: Workspace) -> None:
    (image,) = enqueue(shop, unlabelled(shop)[:1], n_opinions=2)
    decide(shop, image, "dirt", actor="Grace")
    decide(shop, image, "drop", actor="Eve")
    click(open_as(OPERATOR, "To settle"), f"{PAGE}.settle.{queue.item_of(shop, image)}")
    assert decisions.list_decisions(shop)[0].actor == "anyone"
    assert catalog.get_image(shop, image).label == "dirt"
