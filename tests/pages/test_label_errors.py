"""Doubtful labels: judged one by one by key, or many at once; every decision written once."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.configs import FindLabelErrors
from core.state import catalog, job_rows, labels, runs
from core.state.workspace import Workspace
from pages._label_review import ReviewItem, label_review, parse_log
from tests import samples
from tests.pages.conftest import (
    OpenPage,
    checked,
    choose,
    click,
    component,
    component_data,
    send,
    texts,
)
from tests.slips import CLASSES, Slips

PAGE = "clusters_and_anomalies"
KEY = f"{PAGE}.label_errors"
REVIEW = f"{KEY}.review"
Analysed = tuple[Workspace, Slips]


def open_view(open_page: OpenPage, **options: Any) -> AppTest:
    return open_page(PAGE, clusters_and_anomalies__view="Label errors", **options)


def asked(at: AppTest) -> list[dict[str, Any]]:
    """The images that the review still has to ask about."""
    items: list[dict[str, Any]] = component_data(at, REVIEW)["items"]
    return items


def decision(seq: int, item: dict[str, Any], kind: str, label: str | None = None) -> dict[str, Any]:
    chosen = {"accept": item["suggested"]["text"], "keep": item["given"]["text"]}.get(kind, label)
    seen = item["given"]["text"]
    return {"seq": seq, "id": item["id"], "kind": kind, "label": chosen, "seen": seen}


def decide(at: AppTest, *entries: dict[str, Any], name: str = "abc") -> AppTest:
    """What the browser sends after keys were pressed."""
    return send(at, REVIEW, log={"log": name, "entries": list(entries)})


def label_of(workspace: Workspace, image_id: int) -> tuple[str | None, str | None]:
    image = catalog.get_image(workspace, image_id)
    return image.label, image.label_origin


def test_without_a_check_there_is_one_button_that_makes_it(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_view(open_page)
    assert "The labels have not been checked yet" in texts(at)
    click(at, f"{PAGE}.label_errors.make")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert job.kind == FindLabelErrors.kind


def test_every_slip_is_asked_about_with_the_class_that_it_is(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    at = open_view(open_page)
    items = asked(at)
    assert {item["id"]: item["suggested"]["text"] for item in items} == slips.true
    scores = [item["score"] for item in items]
    assert scores == sorted(scores, reverse=True)
    data = component_data(at, REVIEW)
    assert (data["n_looked"], data["n_total"]) == (0, 6)
    keys = {label["key"]: label["text"] for label in data["labels"]}
    assert [keys[digit] for digit in "123"] == list(CLASSES)
    for item in items:
        for side in ("given", "suggested"):
            alike = item[f"like_{side}"]
            assert alike
            assert {label_of(workspace, other)[0] for other in alike} == {item[side]["text"]}


def test_an_accepted_suggestion_and_a_kept_label_are_a_persons_and_do_not_come_again(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first, second, *others = asked(at)
    decide(at, decision(1, first, "accept"), decision(2, second, "keep"))
    assert label_of(workspace, first["id"]) == (first["suggested"]["text"], "human")
    assert label_of(workspace, second["id"]) == (second["given"]["text"], "human")
    assert [item["id"] for item in asked(at)] == [item["id"] for item in others]
    data = component_data(at, REVIEW)
    assert data["acked"] == {"log": "abc", "seq": 2}
    assert (data["n_looked"], data["n_total"]) == (2, 6)
    again = open_view(open_page)
    assert [item["id"] for item in asked(again)] == [item["id"] for item in others]


def test_another_label_by_its_digit_is_given(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first = asked(at)[0]
    decide(at, decision(1, first, "label", "not_a_defect"))
    assert label_of(workspace, first["id"]) == ("not_a_defect", "human")


def test_a_log_that_comes_again_is_written_once(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first, second, *_ = asked(at)
    entries = [decision(1, first, "accept"), decision(2, second, "accept")]
    decide(at, *entries[:1])
    decide(at, *entries)
    reloaded = open_view(open_page)  # a new session that knows of nothing acknowledged
    decide(reloaded, *entries)
    assert component_data(reloaded, REVIEW)["acked"]["seq"] == 2
    assert len(labels.list_batches(workspace)) == 2


def test_undo_takes_a_decision_back_even_after_a_reload(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first = asked(at)[0]
    decide(at, decision(1, first, "accept"))
    undo = {"seq": 2, "id": first["id"], "kind": "undo", "of": 1}
    reloaded = open_view(open_page)
    decide(reloaded, undo)
    decide(reloaded, undo, {**undo, "seq": 3})
    assert label_of(workspace, first["id"]) == (first["given"]["text"], "imported")
    assert asked(reloaded)[0]["id"] == first["id"]


def test_what_is_skipped_is_passed_over_until_it_is_asked_for(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first, second, *_ = asked(at)
    decide(at, decision(1, first, "skip"))
    assert asked(at)[0]["id"] == second["id"]
    assert component_data(at, REVIEW)["n_looked"] == 1
    assert labels.list_batches(workspace) == []
    reloaded = open_view(open_page)
    assert asked(reloaded)[0]["id"] == second["id"]
    click(reloaded, f"{KEY}.unskip")
    assert asked(reloaded)[0]["id"] == first["id"]
    assert asked(open_view(open_page))[0]["id"] == first["id"]


def test_a_skip_can_be_taken_back(open_page: OpenPage, analysed: Analysed) -> None:
    at = open_view(open_page)
    first = asked(at)[0]
    undo = {"seq": 2, "id": first["id"], "kind": "undo", "of": 1}
    decide(at, decision(1, first, "skip"), undo)
    assert asked(at)[0]["id"] == first["id"]


def test_a_label_that_somebody_else_gave_meanwhile_stays(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first = asked(at)[0]
    labels.relabel(workspace, [first["id"]], "unusable", actor="Grace")
    decide(at, decision(1, first, "accept"))
    assert label_of(workspace, first["id"]) == ("unusable", "human")
    assert "changed by somebody else" in texts(at)
    assert component_data(at, REVIEW)["acked"]["seq"] == 1


@pytest.mark.parametrize(
    "log",
    [
        None,
        {},
        {"log": "abc", "entries": 3},
        {"log": "a/b", "entries": []},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "delete"}]},
        {"log": "abc", "entries": [{"seq": -1, "id": 1, "kind": "skip"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": True, "kind": "skip"}]},
        {"log": "abc", "entries": [{"seq": 1, "id": 1, "kind": "accept", "label": "dirt"}]},
    ],
)
def test_a_forged_log_is_refused(log: object) -> None:
    with pytest.raises(ValueError, match=r"log|entries|entry|decision"):
        parse_log(log)


def test_an_image_that_is_gone_or_a_label_that_can_be_none_is_told_and_not_asked_again(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = open_view(open_page)
    first, second, *_ = asked(at)
    decide(
        at,
        decision(1, {**first, "id": 9_999}, "accept"),
        decision(2, first, "label", "a/b"),
        decision(3, second, "accept"),
    )
    assert len(at.toast) == 2
    assert component_data(at, REVIEW)["acked"]["seq"] == 3
    assert [batch.n_changes for batch in labels.list_batches(workspace)] == [1]


def test_a_review_begins_when_its_persons_name_is_known(
    open_page: OpenPage, analysed: Analysed
) -> None:
    at = open_view(open_page, person=None)
    assert not [each for each in at.get("bidi_component") if each.key == REVIEW]
    click(at, f"{KEY}.begin")
    assert at.text_input(key="shared.dialog.name")
    assert component(open_view(open_page), REVIEW)


def test_labels_that_people_gave_before_are_asked_about_on_demand(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    first = next(iter(slips.true))
    given = catalog.get_image(workspace, first).label
    labels.relabel(workspace, [first], given, actor="Grace")
    run = runs.list_runs(workspace, "label_errors")[0]
    runs.delete_run(workspace, run.id)
    assert samples.do(workspace, FindLabelErrors(slips.embedding.id)).status == "succeeded"
    at = open_view(open_page)
    assert first not in [item["id"] for item in asked(at)]
    assert "1 doubtful label given by people" in texts(at)
    checked(at.toggle(key=f"{KEY}.with_people").set_value(True).run())
    item = next(item for item in asked(at) if item["id"] == first)
    decide(at, decision(1, item, "keep"))
    assert first not in [item["id"] for item in asked(at)]


def test_many_suggestions_are_accepted_in_one_action_that_is_undone_in_one(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    at = open_view(open_page)
    in_order = [slips.true[item["id"]] for item in asked(at)]
    choose(at, f"{KEY}.mode", "All in a table")
    assert list(at.dataframe[0].value["more likely"]) == in_order
    click(at, f"{KEY}.accept_all")
    for image_id, label in slips.true.items():
        assert label_of(workspace, image_id) == (label, "human")
    (batch,) = labels.list_batches(workspace)
    assert (batch.n_changes, batch.actor) == (6, "Ada")
    assert "All 6 doubtful labels have been looked at" in at.success[0].value
    click(at, f"shared.undo.{batch.id}")
    assert {label_of(workspace, image_id)[1] for image_id in slips.true} == {"imported"}


def test_only_suggestions_with_enough_doubt_are_accepted(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = choose(open_view(open_page), f"{KEY}.mode", "All in a table")
    checked(at.slider(key=f"{KEY}.least").set_value(1.0).run())
    assert at.button(key=f"{KEY}.accept_all").disabled
    assert labels.list_batches(workspace) == []


def test_copies_with_different_labels_are_listed_and_mended(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    at = open_view(open_page)
    table = at.dataframe[0].value
    assert list(table["images"]) == [2]
    assert sorted(table["labels"].iloc[0]) == sorted(
        str(label_of(workspace, image_id)[0]) for image_id in slips.twins
    )
    labels.relabel(workspace, [slips.twins[0]], slips.true[slips.twins[0]], actor="Ada")
    assert "No two images that show the same thing" in texts(open_view(open_page))


def test_a_check_of_other_labels_says_so_and_can_be_made_again(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    assert "Labels have changed since they were checked" not in texts(open_view(open_page))
    labels.relabel(workspace, slips.ids[:1], "drop", actor="Ada")
    labels.relabel(workspace, slips.ids[1:2], "drop", actor="Ada")
    at = open_view(open_page)
    assert "Labels have changed since they were checked" in texts(at)
    click(at, f"{PAGE}.label_errors.again")
    (job,) = job_rows.list_jobs(workspace, statuses=("queued",))
    assert job.kind == "label_errors"


def test_more_images_than_a_batch_holds_are_refused() -> None:
    item = ReviewItem(1, "", None, None, 0.5, (), ())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 40 images at once, got 41"):
        label_review(
            [item] * 41,
            labels=(),
            n_looked=0,
            n_total=41,
            acked=("", 0),
            place="",
            thumbnail_url="",
            preview_url="",
            key="many",
        )
