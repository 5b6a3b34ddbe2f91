"""Decisions of a review are written once, and labels given one by one or in one batch."""

import pytest

from core.errors import OperatorError
from core.state import catalog, labels
from core.state.label_reviews import (
    ask_again,
    decide_label,
    pass_over,
    passed_over,
    take_back,
)
from core.state.workspace import Workspace
from tests.factories import fill, new_image


@pytest.fixture
def ids(workspace: Workspace) -> list[int]:
    return fill(workspace, *(new_image(number, label="dirt") for number in range(4)))


def label_of(workspace: Workspace, image_id: int) -> tuple[str | None, str | None]:
    image = catalog.get_image(workspace, image_id)
    return image.label, image.label_origin


def test_a_decision_that_comes_twice_is_written_once(workspace: Workspace, ids: list[int]) -> None:
    for _ in range(2):
        assert decide_label(workspace, ids[0], "drop", seen="dirt", token="a/1", actor="Ada")
    assert label_of(workspace, ids[0]) == ("drop", "human")
    assert len(labels.list_batches(workspace)) == 1


def test_the_same_number_of_another_image_is_another_decision(
    workspace: Workspace, ids: list[int]
) -> None:
    for image_id in ids[:2]:
        decide_label(workspace, image_id, "drop", seen="dirt", token="a/1", actor="Ada")
    assert len(labels.list_batches(workspace)) == 2


def test_a_label_that_changed_meanwhile_stays(workspace: Workspace, ids: list[int]) -> None:
    labels.relabel(workspace, ids[:1], "scratch", actor="Grace")
    assert not decide_label(workspace, ids[0], "drop", seen="dirt", token="a/1", actor="Ada")
    assert label_of(workspace, ids[0]) == ("scratch", "human")


def test_taking_back_restores_label_and_origin_and_twice_is_once(
    workspace: Workspace, ids: list[int]
) -> None:
    decide_label(workspace, ids[0], "dirt", seen="dirt", token="a/1", actor="Ada")
    for _ in range(2):
        take_back(workspace, ids[0], token="a/1", actor="Ada")
    assert label_of(workspace, ids[0]) == ("dirt", "imported")
    assert not decide_label_again(workspace, ids[0])
    take_back(workspace, ids[1], token="a/7", actor="Ada")  # never written


def decide_label_again(workspace: Workspace, image_id: int) -> int:
    """How many batches a decision adds that was taken back and comes once more."""
    before = len(labels.list_batches(workspace))
    decide_label(workspace, image_id, "drop", seen="dirt", token="a/1", actor="Ada")
    return len(labels.list_batches(workspace)) - before


def test_a_confirmed_label_is_a_change_though_a_person_gave_it_before(
    workspace: Workspace, ids: list[int]
) -> None:
    labels.relabel(workspace, ids[:1], "dirt", actor="Grace")
    decide_label(workspace, ids[0], "dirt", seen="dirt", token="a/1", actor="Ada")
    assert labels.list_changes(workspace, image_id=ids[0])[0].actor == "Ada"


def test_an_image_that_is_not_there_is_told(workspace: Workspace) -> None:
    with pytest.raises(OperatorError, match="no image 9999"):
        decide_label(workspace, 9999, "drop", seen="dirt", token="a/1", actor="Ada")


def test_labels_of_many_images_are_one_batch_and_undone_as_one(
    workspace: Workspace, ids: list[int]
) -> None:
    given = {ids[0]: "drop", ids[1]: "scratch", ids[2]: "drop"}
    batch = labels.relabel_each(workspace, given, actor="Ada", reason="suggested")
    assert (batch.action, batch.n_changes) == ("relabel", 3)
    assert batch.detail["label"] == ["drop", "scratch"]
    assert [label_of(workspace, image_id) for image_id in given] == [
        ("drop", "human"),
        ("scratch", "human"),
        ("drop", "human"),
    ]
    labels.undo(workspace, batch.id, actor="Ada")
    assert {label_of(workspace, image_id) for image_id in ids} == {("dirt", "imported")}


def test_one_label_that_can_be_none_changes_nothing(workspace: Workspace, ids: list[int]) -> None:
    with pytest.raises(OperatorError, match="cannot be a label"):
        labels.relabel_each(workspace, {ids[0]: "drop", ids[1]: "a/b"}, actor="Ada")
    assert labels.list_batches(workspace) == []


def test_an_image_is_passed_over_by_one_person_until_it_is_asked_for(
    workspace: Workspace, ids: list[int]
) -> None:
    for image_id in (ids[0], ids[1], ids[0]):
        pass_over(workspace, image_id, actor="Ada / Å")
    pass_over(workspace, ids[2], actor="Grace")
    assert passed_over(workspace, actor="Ada / Å") == set(ids[:2])
    ask_again(workspace, actor="Ada / Å", image_id=ids[0])
    assert passed_over(workspace, actor="Ada / Å") == {ids[1]}
    ask_again(workspace, actor="Ada / Å")
    assert passed_over(workspace, actor="Ada / Å") == set()
    assert passed_over(workspace, actor="Grace") == {ids[2]}
