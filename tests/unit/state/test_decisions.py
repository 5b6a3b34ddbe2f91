"""Decisions of several people: none lost, none overwritten in silence, each taken back whole."""

import itertools

import pytest
import sqlalchemy as sa

from core.errors import OperatorError
from core.state import catalog, decisions, labels, triage_queue
from core.state.database import reading, writing
from core.state.decisions import Entry, Outcome
from core.state.queue_rows import NewItem, add_items
from core.state.schema import queue
from core.state.workspace import Workspace
from tests.factories import fill, new_image

_seq = itertools.count(1)


@pytest.fixture
def image(workspace: Workspace) -> int:
    """One image that a model suggests to be a drop, in the queue."""
    (image,) = fill(workspace, new_image(1))
    enqueue(workspace, image, suggested="drop", facts={"top": [["drop", 0.6], ["dirt", 0.3]]})
    return image


def enqueue(workspace: Workspace, image: int, **columns: object) -> None:
    with writing(workspace) as connection:
        add_items(connection, [NewItem(image, "doubtful", **columns)], actor="model")  # type: ignore[arg-type]


def item_of(workspace: Workspace, image: int) -> int:
    """The open item of an image, leased by nobody afterwards."""
    items = triage_queue.lease(workspace, actor="finder", n=100)
    triage_queue.release(workspace, actor="finder")
    return next(item.id for item in items if item.image_id == image)


def decide(
    workspace: Workspace,
    item: int,
    label: str | None,
    actor: str,
    *,
    kind: str = "label",
    seen: str | None = None,
    comment: str = "",
) -> Outcome:
    entry = Entry("tab", next(_seq), item, kind, label, seen, seconds=1.5, comment=comment)
    return decisions.decide(workspace, entry, actor=actor)


def standing(workspace: Workspace, image: int) -> tuple[str | None, str | None]:
    found = catalog.get_image(workspace, image)
    return found.label, found.label_origin


def states(workspace: Workspace) -> list[str]:
    """Of all items, in their order."""
    with reading(workspace) as connection:
        return list(connection.execute(sa.select(queue.c.state).order_by(queue.c.id)).scalars())


def test_a_decision_gives_the_label_in_a_persons_name_with_all_that_was_known(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    assert decide(workspace, item, "drop", "ann").standing == "saved"
    assert standing(workspace, image) == ("drop", "human")
    (row,) = decisions.list_decisions(workspace)
    assert (row.actor, row.kind, row.label, row.old_label) == ("ann", "label", "drop", None)
    assert (row.suggested, row.seconds, row.opinion) == ("drop", 1.5, 1)
    assert row.scores == {"top": [["drop", 0.6], ["dirt", 0.3]]}
    assert labels.list_changes(workspace, image_id=image)[0].actor == "ann"
    assert triage_queue.lease(workspace, actor="bob", n=1) == []


def test_the_same_entry_again_changes_nothing_and_hears_the_same(
    workspace: Workspace, image: int
) -> None:
    entry = Entry("tab", 1, item_of(workspace, image), "label", "drop", None)
    first = decisions.decide(workspace, entry, actor="ann")
    decide(workspace, entry.item_id, "scratch", "bob")
    assert decisions.decide(workspace, entry, actor="ann") == first
    assert len(decisions.list_decisions(workspace, actor="ann")) == 1


def test_a_late_decision_that_differs_is_a_conflict_and_neither_label_stands(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    late = decide(workspace, item, "scratch", "bob")
    assert late.standing == "conflict"
    assert "ann decided drop" in late.told
    assert standing(workspace, image) == (None, None)
    assert states(workspace) == ["conflict"]
    assert triage_queue.progress(workspace, actor="ann").n_to_settle == 1
    (unsettled,) = decisions.list_unsettled(workspace)
    assert (unsettled.state, unsettled.image_id, unsettled.label) == ("conflict", image, None)
    assert [(each.actor, each.label) for each in unsettled.said] == [
        ("ann", "drop"), ("bob", "scratch")
    ]  # fmt: skip


def test_a_late_decision_that_agrees_is_kept_and_said_so(workspace: Workspace, image: int) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    late = decide(workspace, item, "drop", "bob")
    assert (late.standing, late.told) == ("agreed", "ann decided the same before you.")
    assert standing(workspace, image) == ("drop", "human")
    assert decisions.list_decisions(workspace, actor="bob")[0].opinion is None


def test_the_order_of_two_decisions_does_not_change_what_comes_of_them(
    workspace: Workspace,
) -> None:
    both = fill(workspace, new_image(1), new_image(2))
    for image, people in zip(both, (("ann", "bob"), ("bob", "ann")), strict=True):
        enqueue(workspace, image)
        item = item_of(workspace, image)
        for person in people:
            decide(workspace, item, {"ann": "drop", "bob": "scratch"}[person], person)
    assert [standing(workspace, image) for image in both] == [(None, None)] * 2


def test_a_conflict_is_settled_by_a_person_whose_word_stands(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    decide(workspace, item, "scratch", "bob")
    decisions.settle(workspace, item, "dirt", actor="eve", log="settling")
    assert standing(workspace, image) == ("dirt", "human")
    assert states(workspace) == ["decided"]
    decisions.settle(workspace, item, "drop", actor="eve", log="settling again")
    assert standing(workspace, image) == ("drop", "human")
    assert len(decisions.list_decisions(workspace)) == 5  # nothing of all this has gone


def test_taking_one_side_of_a_conflict_back_lets_the_other_stand(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    decide(workspace, item, "scratch", "bob")
    assert decisions.undo(workspace, actor="bob", log="tab", seq=next(_seq)) == item
    assert standing(workspace, image) == ("drop", "human")
    assert states(workspace) == ["decided"]


def test_an_undo_gives_the_item_back_first_and_can_be_repeated_without_harm(
    workspace: Workspace, image: int
) -> None:
    (other,) = fill(workspace, new_image(2))
    enqueue(workspace, other, by_uncertainty=0.0)
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    assert [i.image_id for i in triage_queue.lease(workspace, actor="ann", n=5)] == [other]
    seq = next(_seq)
    assert decisions.undo(workspace, actor="ann", log="tab", seq=seq) == item
    assert decisions.undo(workspace, actor="ann", log="tab", seq=seq) == item
    assert standing(workspace, image) == (None, None)
    assert [i.image_id for i in triage_queue.lease(workspace, actor="ann", n=5)] == [image, other]
    decide(workspace, item, "dirt", "ann")
    assert standing(workspace, image) == ("dirt", "human")


def test_undo_goes_back_step_by_step_and_takes_only_ones_own(workspace: Workspace) -> None:
    several = fill(workspace, *(new_image(number) for number in range(1, 5)))
    for image in several:
        enqueue(workspace, image)
    items = {image: item_of(workspace, image) for image in several}
    for image in several[:3]:
        decide(workspace, items[image], "drop", "ann")
    decide(workspace, items[several[3]], "drop", "bob")
    undone = [decisions.undo(workspace, actor="ann", log="t2", seq=n) for n in range(1, 5)]
    assert undone == [items[image] for image in reversed(several[:3])] + [None]
    assert standing(workspace, several[3]) == ("drop", "human")


def test_an_undo_by_number_takes_back_that_entry(workspace: Workspace) -> None:
    first, second = fill(workspace, new_image(1), new_image(2))
    for number, image in enumerate((first, second), start=1):
        enqueue(workspace, image)
        entry = Entry("tab a", number, item_of(workspace, image), "label", "drop", None)
        decisions.decide(workspace, entry, actor="ann")
    decisions.undo(workspace, actor="ann", log="tab a", seq=3, of=1)
    assert [standing(workspace, image)[0] for image in (first, second)] == [None, "drop"]


def test_two_opinions_that_agree_finish_an_item_and_two_that_differ_do_not(
    workspace: Workspace,
) -> None:
    agreed, disputed = fill(workspace, new_image(1), new_image(2))
    for image in (agreed, disputed):
        enqueue(workspace, image, n_opinions=2)
    for image, second in ((agreed, "drop"), (disputed, "dirt")):
        item = item_of(workspace, image)
        decide(workspace, item, "drop", "ann")
        assert standing(workspace, image) == ("drop", "human")  # useful before the second
        told = decide(workspace, item, second, "bob")
        assert told.standing == ("agreed" if second == "drop" else "conflict")
    assert [standing(workspace, image)[0] for image in (agreed, disputed)] == ["drop", None]


def test_nobody_gives_two_opinions_of_one_item(workspace: Workspace, image: int) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    again = decide(workspace, item, "dirt", "ann")
    assert again.standing == "yours"
    assert standing(workspace, image) == ("drop", "human")
    assert decisions.list_decisions(workspace)[0].label == "dirt"  # kept all the same


def test_a_flag_keeps_the_image_for_a_person_to_settle(workspace: Workspace, image: int) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, None, "ann", kind="flag", comment="is this a scratch at all?")
    assert states(workspace) == ["flagged"]
    assert triage_queue.lease(workspace, actor="bob", n=1) == []
    assert decisions.list_decisions(workspace)[0].comment == "is this a scratch at all?"
    decisions.settle(workspace, item, "not a defect", actor="eve", log="settling")
    assert standing(workspace, image) == ("not_a_defect", "human")


def test_a_label_that_somebody_gave_elsewhere_meanwhile_is_not_overwritten(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    labels.relabel(workspace, [image], "dirt", actor="eve")
    assert decide(workspace, item, "drop", "ann", seen=None).standing == "conflict"
    assert standing(workspace, image) == ("dirt", "human")


def test_a_known_image_tells_of_the_person_and_keeps_its_label(workspace: Workspace) -> None:
    (image,) = fill(workspace, new_image(1, label="dirt"))
    enqueue(workspace, image, kind="gold", truth="dirt")
    told = decide(workspace, item_of(workspace, image), "drop", "ann", seen="dirt").told
    assert told == "A known image: it is dirt."
    assert standing(workspace, image) == ("dirt", "imported")


def test_a_decision_taken_back_from_the_list_of_changes_opens_its_item_again(
    workspace: Workspace, image: int
) -> None:
    item = item_of(workspace, image)
    decide(workspace, item, "drop", "ann")
    batch = labels.list_batches(workspace, limit=1)[0]
    with pytest.raises(OperatorError, match="triage"):
        labels.undo(workspace, batch.id, actor="eve")
    decisions.take_back_label(workspace, batch.id, actor="eve")
    assert standing(workspace, image) == (None, None)
    assert item_of(workspace, image) == item
    with pytest.raises(OperatorError, match="already"):
        decisions.take_back_label(workspace, batch.id, actor="eve")


def test_what_cannot_be_is_refused_with_a_reason(workspace: Workspace, image: int) -> None:
    item = item_of(workspace, image)
    with pytest.raises(OperatorError, match="no item number"):
        decide(workspace, item + 100, "drop", "ann")
    with pytest.raises(OperatorError, match="cannot be a label"):
        decide(workspace, item, "a/b", "ann")
    with pytest.raises(ValueError, match="'skip'"):
        decide(workspace, item, "drop", "ann", kind="skip")
    assert decisions.list_decisions(workspace) == []
