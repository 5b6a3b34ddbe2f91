"""What came in stands there once: its image, its label or its place in the queue, and its row."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from core import actions
from core.errors import OperatorError
from core.state import applications, arrivals, catalog, intake, labels, triage_queue
from core.state.applications import NewApplication
from core.state.arrivals import Answer, Arrival, NewArrival
from core.state.change_log import NewLabel
from core.state.database import writing
from core.state.intake import NewImage
from core.state.queue_rows import NewItem
from core.state.workspace import Workspace
from tests.factories import new_image

SOURCE = "/line"


def answer(route: str, *, is_checked: bool = False) -> Answer:
    item = NewItem(-1, "left to people", kind="ambiguous", suggested="drop", alike=0)
    check = replace(item, kind="audit", truth="drop", is_blind=True) if is_checked else None
    return Answer("drop", 0.97, 0.2, 0.9, route, "net-1", "plan-1", item, check)


def arrival(
    number: int, route: str = "operator", *, image: NewImage | None = None, **more: Any
) -> NewArrival:
    found = image or new_image(number)
    return NewArrival(f"{number:03}.png", "1-1", 0.0, found, answer(route, **more))


def apply_plan(workspace: Workspace) -> int:
    asked = NewApplication("plan-1", "net-1", "risk", 0.05, 0.05, {"audit_share": 0.1}, [], [])
    return applications.apply(workspace, asked, actor="eve").id


def take(
    workspace: Workspace, *found: NewArrival, application: int | None = None, source: str = SOURCE
) -> list[Arrival]:
    import_id = intake.import_of_day(workspace, source=source, format="camera", actor="line")
    return arrivals.take(
        workspace,
        source,
        found,
        import_id=import_id,
        application_id=application,
        actor="line",
    )


def waiting(workspace: Workspace) -> list[int]:
    items = triage_queue.lease(workspace, actor="ann", n=50, order="oldest")
    return [item.image_id for item in items]


def label_of(workspace: Workspace, done: Arrival) -> tuple[str | None, str | None]:
    assert done.image_id is not None
    image = catalog.get_image(workspace, done.image_id)
    return image.label, image.label_origin


def statuses(found: Sequence[Arrival]) -> list[str]:
    return [each.status for each in found]


def test_an_image_is_labelled_or_queued_as_it_was_answered(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    auto, checked, queued = take(
        workspace,
        arrival(1, "auto"),
        arrival(2, "auto", is_checked=True),
        arrival(3),
        application=plan,
    )
    assert statuses([auto, checked, queued]) == ["taken"] * 3
    assert label_of(workspace, auto) == ("drop", "automatic")
    assert label_of(workspace, queued) == (None, None)
    assert waiting(workspace) == [checked.image_id, queued.image_id]
    done = applications.list_applications(workspace)[0]
    assert (done.n_labelled, done.n_queued, done.n_audited) == (2, 2, 1)


def test_taken_in_twice_everything_is_there_once(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    first = take(workspace, arrival(1, "auto"), arrival(2), application=plan)
    assert take(workspace, arrival(1, "auto"), arrival(2), application=plan) == first
    assert catalog.count_images(workspace) == 2
    assert waiting(workspace) == [first[1].image_id]
    assert len(arrivals.list_taken(workspace, SOURCE)) == 2


def test_one_content_under_two_names_is_one_image_and_one_answer(workspace: Workspace) -> None:
    found = take(workspace, arrival(1), arrival(2, image=new_image(1)))
    later = take(workspace, arrival(3, image=new_image(1)))
    assert statuses([*found, *later]) == ["taken", "known", "known"]
    assert {each.image_id for each in [*found, *later]} == {found[0].image_id}
    assert waiting(workspace) == [found[0].image_id]
    assert [each.path for each in arrivals.list_taken(workspace)] == ["001.png"]


def test_what_is_no_image_is_refused_with_its_reason(workspace: Workspace) -> None:
    (done,) = take(workspace, NewArrival("a.txt", "1-1", 0.0, reason="it is a text"))
    assert (done.status, done.reason, done.image_id) == ("refused", "it is a text", None)
    assert arrivals.settled(workspace, SOURCE) == [("a.txt", "1-1")]


def test_people_get_what_was_answered_before_automatic_labelling_was_paused(
    workspace: Workspace,
) -> None:
    plan = apply_plan(workspace)
    applications.pause(workspace, "a new lamp", actor="eve")
    (done,) = take(workspace, arrival(1, "auto", is_checked=True), application=plan)
    assert done.route == "operator"
    assert label_of(workspace, done) == (None, None)
    assert waiting(workspace) == [done.image_id]


def test_people_get_what_was_answered_by_a_plan_that_was_reverted(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    applications.revert(workspace, plan, actor="eve")
    (done,) = take(workspace, arrival(1, "auto"), application=plan)
    assert done.route == "operator"
    assert waiting(workspace) == [done.image_id]


def test_what_comes_within_an_hour_is_one_change(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    for number in range(1, 4):
        take(workspace, arrival(number, "auto"), application=plan)
    newest = labels.list_batches(workspace, limit=1)[0]
    assert (newest.action, newest.actor, newest.n_changes) == ("auto_label", "line", 3)


def test_undoing_the_hour_takes_its_labels_and_checks_back_and_no_others(
    workspace: Workspace,
) -> None:
    plan = apply_plan(workspace)
    found = take(
        workspace,
        arrival(1, "auto", is_checked=True),
        arrival(2, "auto"),
        arrival(3),
        application=plan,
    )
    hour = labels.list_batches(workspace, limit=1)[0]
    assert found[1].image_id is not None
    labels.relabel(workspace, [found[1].image_id], "dirt", actor="ann")
    undone = actions.undo(workspace, hour.id, actor="bob")
    assert (undone.n_restored, undone.n_kept) == (1, 1)
    assert label_of(workspace, found[0]) == (None, None)
    assert label_of(workspace, found[1]) == ("dirt", "human")
    assert waiting(workspace) == [found[2].image_id]
    with pytest.raises(OperatorError, match="undone already"):
        actions.undo(workspace, hour.id, actor="bob")
    assert applications.list_applications(workspace)[0].reverted_at is None
    (next_one,) = take(workspace, arrival(4, "auto"), application=plan)
    assert label_of(workspace, next_one) == ("drop", "automatic")
    assert labels.list_batches(workspace, limit=1)[0].id > hour.id


def test_reverting_the_application_takes_back_all_that_came_in_later(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    found = take(workspace, arrival(1, "auto"), application=plan)
    hour = labels.list_batches(workspace, limit=1)[0]
    actions.undo(workspace, hour.id, actor="bob")
    found += take(workspace, arrival(2, "auto", is_checked=True), application=plan)
    back = applications.revert(workspace, plan, actor="bob")
    assert (back.n_restored, back.n_kept, back.n_withdrawn) == (1, 0, 1)
    assert [label_of(workspace, each) for each in found] == [(None, None)] * 2


def test_a_label_that_somebody_gave_meanwhile_stays(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    (done,) = take(workspace, arrival(1), application=plan)
    assert done.image_id is not None
    labels.relabel(workspace, [done.image_id], "dirt", actor="ann")
    given = [NewLabel(done.image_id, "drop", model="net-1", score=0.9)]
    with writing(workspace) as connection:
        applications.extend(connection, plan, given, [], actor="line")
    assert label_of(workspace, done) == ("dirt", "human")


def test_the_days_images_are_one_import(workspace: Workspace) -> None:
    take(workspace, arrival(1))
    take(workspace, arrival(2))
    (done,) = intake.list_imports(workspace)
    assert (done.n_imported, done.format) == (2, "camera")
    assert done.finished_at is not None


def test_the_summary_counts_by_what_became_of_the_files(workspace: Workspace) -> None:
    plan = apply_plan(workspace)
    take(workspace, arrival(1, "auto"), arrival(2), application=plan)
    take(workspace, arrival(3, image=new_image(1)), NewArrival("x", "1-1", 0.0, reason="no"))
    first = arrivals.newest_id(workspace)
    done = arrivals.summarise(workspace, source=SOURCE)
    assert (done.n_taken, done.n_known, done.n_refused, done.n_auto) == (2, 1, 1, 1)
    assert done.slowest_s is not None
    assert arrivals.summarise(workspace, after=first).n_taken == 0
    assert arrivals.summarise(workspace, source="elsewhere").slowest_s is None
