"""Automatic labels: given in one piece, reverted in one piece, never over a person's."""

import pytest

from core import actions
from core.errors import OperatorError
from core.state import applications, catalog, decisions, labels, triage_queue
from core.state.applications import Application, NewApplication
from core.state.change_log import NewLabel
from core.state.decisions import Entry
from core.state.queue_rows import NewItem
from core.state.workspace import Workspace
from tests.factories import fill, new_image


@pytest.fixture
def images(workspace: Workspace) -> list[int]:
    """Five images without labels."""
    return fill(workspace, *(new_image(number) for number in range(1, 6)))


def apply(
    workspace: Workspace,
    labelled: list[int],
    queued: list[int],
    *,
    audited: list[int] | None = None,
    plan: str = "plan-1",
) -> Application:
    asked = NewApplication(
        plan=plan,
        model="net-1",
        rule="risk",
        max_error=0.05,
        delta=0.05,
        options={"threshold": 0.9},
        labels=[NewLabel(i, "drop", model="net-1", score=0.97, reason="sure") for i in labelled],
        items=[NewItem(i, "doubtful", kind="ambiguous", suggested="dirt") for i in queued]
        + [
            NewItem(i, "audit", kind="audit", suggested="drop", truth="drop", model="net-1")
            for i in audited or []
        ],
    )
    return applications.apply(workspace, asked, actor="eve")


def standing(workspace: Workspace, images: list[int]) -> list[tuple[str | None, str | None]]:
    found = [catalog.get_image(workspace, image) for image in images]
    return [(image.label, image.label_origin) for image in found]


def judge(workspace: Workspace, image: int, label: str, actor: str = "ann") -> None:
    items = triage_queue.lease(workspace, actor=actor, n=20, order="oldest")
    item = next(each.id for each in items if each.image_id == image)
    decisions.decide(
        workspace, Entry(f"{actor} {item}", 1, item, "label", label, None), actor=actor
    )


def test_a_plan_is_applied_with_its_provenance(workspace: Workspace, images: list[int]) -> None:
    done = apply(workspace, images[:3], images[3:], audited=images[:1])
    assert (done.n_labelled, done.n_queued, done.n_audited) == (3, 3, 1)
    assert standing(workspace, images) == [("drop", "automatic")] * 3 + [(None, None)] * 2
    batch = labels.list_batches(workspace, limit=1)[0]
    assert (batch.action, batch.actor, batch.n_changes) == ("auto_label", "eve", 3)
    assert batch.detail["plan"] == "plan-1"
    waiting = triage_queue.lease(workspace, actor="ann", n=9)
    assert {item.image_id for item in waiting} == {images[0], *images[3:]}


def test_a_label_that_a_person_gave_since_the_plan_is_kept(
    workspace: Workspace, images: list[int]
) -> None:
    labels.relabel(workspace, images[:1], "dirt", actor="ann")
    labels.relabel(workspace, images[1:2], None, actor="ann")  # taking one away is a word too
    done = apply(workspace, images[:3], images[3:], audited=images[:1])
    assert (done.n_labelled, done.n_audited) == (1, 0)
    assert standing(workspace, images[:2])[0] == ("dirt", "human")
    assert standing(workspace, images[:3])[2] == ("drop", "automatic")


def test_reverting_restores_all_but_what_people_decided(
    workspace: Workspace, images: list[int]
) -> None:
    done = apply(workspace, images[:3], images[3:], audited=images[:2])
    judge(workspace, images[0], "drop")
    judge(workspace, images[3], "dirt")
    back = applications.revert(workspace, done.id, actor="bob")
    assert (back.n_restored, back.n_kept, back.n_withdrawn) == (2, 1, 1)
    assert standing(workspace, images) == [
        ("drop", "human"), (None, None), (None, None), ("dirt", "human"), (None, None)
    ]  # fmt: skip
    assert [i.image_id for i in triage_queue.lease(workspace, actor="ann", n=9)] == images[4:]
    with pytest.raises(OperatorError, match="already"):
        applications.revert(workspace, done.id, actor="bob")


def test_a_plan_stands_once_and_may_be_applied_again_after_it_was_reverted(
    workspace: Workspace, images: list[int]
) -> None:
    done = apply(workspace, images[:2], [])
    with pytest.raises(OperatorError, match="already"):
        apply(workspace, images[:2], [])
    actions.undo(workspace, done.batch_id, actor="bob")
    assert applications.list_applications(workspace)[0].reverted_by == "bob"
    assert apply(workspace, images[:2], []).n_labelled == 2
    assert done.id != applications.list_applications(workspace)[0].id


def test_what_waits_already_stays_and_is_told_what_the_model_says(
    workspace: Workspace, images: list[int]
) -> None:
    labels.set_queued(workspace, images[:2], True, actor="ann", reason="odd")
    done = apply(workspace, images[:1], images[1:3])
    assert (done.n_labelled, done.n_queued) == (0, 1)
    waiting = triage_queue.lease(workspace, actor="ann", n=9, order="oldest")
    assert [(item.image_id, item.reason) for item in waiting] == [
        (images[0], "odd"), (images[1], "odd"), (images[2], "doubtful")
    ]  # fmt: skip
    assert waiting[1].suggested == "dirt"


def test_what_people_checked_is_the_measured_error(workspace: Workspace, images: list[int]) -> None:
    apply(workspace, images[:4], [], audited=images[:4])
    judge(workspace, images[0], "drop")
    judge(workspace, images[1], "scratch")
    found = applications.list_checked(workspace, model="net-1")
    assert [(each.automatic, each.decided) for each in found] == [
        ("drop", "drop"), ("drop", "scratch")
    ]  # fmt: skip
    assert applications.list_checked(workspace, model="net-2") == []
    decisions.undo(workspace, actor="ann", log="undoing", seq=1)
    assert len(applications.list_checked(workspace)) == 1


def test_while_automatic_labelling_rests_no_plan_is_applied(
    workspace: Workspace, images: list[int]
) -> None:
    assert applications.current_pause(workspace) is None
    applications.pause(workspace, "too many wrong", actor="audit", evidence={"low": 0.08})
    applications.pause(workspace, "again", actor="audit")
    with pytest.raises(OperatorError, match="paused"):
        apply(workspace, images, [])
    with pytest.raises(OperatorError, match="why"):
        applications.resume(workspace, " ", actor="eve")
    found = applications.current_pause(workspace)
    assert found is not None
    assert (found.reason, found.evidence) == ("too many wrong", {"low": 0.08})
    applications.resume(workspace, "the lamp was replaced", actor="eve")
    assert apply(workspace, images, []).n_labelled == 5
