"""Changes are appended, undone whole, never lost; the images' columns are what they add up to."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from core.errors import OperatorError
from core.settings import PROJECT_ROOT
from core.state import catalog, labels
from core.state.catalog import ImageFilter
from core.state.database import reading
from core.state.schema import queue
from core.state.workspace import Workspace
from tests.factories import fill, new_image

_RELABEL_OFTEN = """
import sys
from pathlib import Path
from core.state import catalog, labels
from core.state.workspace import open_workspace
workspace = open_workspace(Path(sys.argv[1]))
ids = catalog.image_ids(workspace)
if sys.argv[2] == "backwards":
    ids = ids[::-1]
for number in range(10):
    labels.relabel(workspace, ids.tolist(), f"{sys.argv[2]} {number}", actor=sys.argv[2])
"""


@pytest.fixture
def ids(workspace: Workspace) -> list[int]:
    """Three images: dirt in train, an unlabelled one in test, one that has nothing."""
    return fill(
        workspace,
        new_image(1, label="dirt", split="train"),
        new_image(2, split="test"),
        new_image(3),
    )


def _labels(workspace: Workspace) -> list[tuple[str | None, str | None]]:
    listed = catalog.list_images(workspace, sort="oldest")
    return [(image.label, image.label_origin) for image in listed]


def _label(workspace: Workspace, image_id: int) -> str | None:
    return catalog.get_image(workspace, image_id).label


def test_a_label_given_by_a_person_is_theirs_and_becomes_a_class(
    workspace: Workspace, ids: list[int]
) -> None:
    batch = labels.relabel(workspace, ids[:2], "  scratch ", actor="eve", reason="seen on the map")
    assert (batch.actor, batch.action, batch.n_changes) == ("eve", "relabel", 2)
    assert _labels(workspace) == [("scratch", "human"), ("scratch", "human"), (None, None)]
    assert catalog.list_classes(workspace) == ["dirt", "scratch"]
    changes = labels.list_changes(workspace, batch_id=batch.id)
    assert [(c.image_id, c.old, c.new, c.reason) for c in changes] == [
        (ids[1], None, "scratch", "seen on the map"),
        (ids[0], "dirt", "scratch", "seen on the map"),
    ]


def test_confirming_a_label_is_a_change_once(workspace: Workspace, ids: list[int]) -> None:
    assert labels.relabel(workspace, ids[:1], "dirt", actor="eve").n_changes == 1
    assert _labels(workspace)[0] == ("dirt", "human")
    assert labels.relabel(workspace, ids[:1], "dirt", actor="eve").n_changes == 0


def test_a_label_can_be_taken_away(workspace: Workspace, ids: list[int]) -> None:
    labels.relabel(workspace, ids, None, actor="eve")
    assert _labels(workspace) == [(None, "human")] * 3
    assert catalog.list_classes(workspace) == ["dirt"]


def test_a_reserved_label_is_said_of_images_and_never_becomes_a_class(
    workspace: Workspace, ids: list[int]
) -> None:
    labels.relabel(workspace, ids, "Not a defect", actor="eve")
    assert _labels(workspace) == [("not_a_defect", "human")] * 3
    assert catalog.list_classes(workspace) == ["dirt"]


@pytest.mark.parametrize("label", ["", "   ", "\n\t", "x" * 81, "../../up", "a/b", ".."])
def test_a_label_that_is_blank_or_overlong_or_names_no_folder_is_refused(
    workspace: Workspace, ids: list[int], label: str
) -> None:
    with pytest.raises(
        OperatorError, match=r"at least one character|at most 80|cannot name a folder"
    ):
        labels.relabel(workspace, ids, label, actor="eve")
    assert labels.list_batches(workspace) == []


@pytest.mark.parametrize(
    "label", ["it's", "50 %", "%s", "缺陷 🚗", '"', "; DROP TABLE images", "null"]
)
def test_labels_and_names_of_people_are_stored_as_they_are(
    workspace: Workspace, ids: list[int], label: str
) -> None:
    batch = labels.relabel(workspace, ids, label, actor=label, reason=label)
    labels.set_queued(workspace, ids[:1], True, actor=label, reason=label)
    labels.undo(workspace, batch.id, actor=label)
    labels.undo(workspace, labels.list_batches(workspace)[0].id, actor=label)
    assert catalog.count_images(workspace, ImageFilter(labels=(label,))) == 3
    history = labels.list_changes(workspace, image_id=ids[0])
    assert {change.actor for change in history} == {label}
    assert labels.list_batches(workspace)[-1].detail == {"label": label}


def test_images_that_do_not_exist_are_passed_over(workspace: Workspace, ids: list[int]) -> None:
    assert labels.relabel(workspace, [ids[0], 999], "drop", actor="eve").n_changes == 1
    assert labels.relabel(workspace, [], "drop", actor="eve").n_changes == 0


def test_an_image_named_twice_changes_once(workspace: Workspace, ids: list[int]) -> None:
    assert labels.set_queued(workspace, ids[:1] * 3, True, actor="eve").n_changes == 1


def test_only_images_that_are_elsewhere_move_to_a_split(
    workspace: Workspace, ids: list[int]
) -> None:
    batch = labels.set_split(workspace, ids, "test", actor="eve")
    assert batch.n_changes == 2
    labels.set_split(workspace, ids[:1], None, actor="eve")
    labels.undo(workspace, batch.id, actor="eve")
    splits = [image.split for image in catalog.list_images(workspace, sort="oldest")]
    assert splits == [None, "test", None]


def test_an_unknown_split_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"split must be one of train, .* got 'valid'"):
        labels.set_split(workspace, [], "valid", actor="eve")


def test_exclusion_can_be_set_taken_back_and_undone(workspace: Workspace, ids: list[int]) -> None:
    def excluded() -> list[int]:
        return catalog.image_ids(workspace, ImageFilter(excluded=True)).tolist()

    first = labels.set_excluded(workspace, ids[:2], True, actor="eve", reason="blurred")
    assert (first.action, first.n_changes, excluded()) == ("exclude", 2, ids[:2])
    second = labels.set_excluded(workspace, ids, False, actor="eve")
    assert (second.action, second.n_changes, excluded()) == ("include", 2, [])
    labels.undo(workspace, second.id, actor="eve")
    assert excluded() == ids[:2]
    labels.undo(workspace, first.id, actor="eve")
    assert excluded() == []


def test_the_queue_holds_an_image_once_and_follows_withdrawal_undo_and_redo(
    workspace: Workspace, ids: list[int]
) -> None:
    def queued() -> list[int]:
        return catalog.image_ids(workspace, ImageFilter(queued=True)).tolist()

    labels.set_queued(workspace, ids[:1], True, actor="eve", reason="mixed cluster")
    both = labels.set_queued(workspace, ids[:2], True, actor="adam")
    assert (both.n_changes, queued()) == (1, ids[:2])
    taken_back = labels.undo(workspace, both.id, actor="adam")
    assert queued() == ids[:1]
    labels.undo(workspace, taken_back.batch_id, actor="adam")
    assert queued() == ids[:2]
    withdrawn = labels.set_queued(workspace, ids, False, actor="eve")
    assert (withdrawn.action, withdrawn.n_changes, queued()) == ("withdraw", 2, [])
    labels.undo(workspace, withdrawn.id, actor="eve")
    assert queued() == ids[:2]
    with reading(workspace) as connection:
        added_by = connection.execute(sa.select(queue.c.added_by).order_by(queue.c.id)).scalars()
        assert list(added_by) == ["eve", "adam", "adam", "eve", "eve"]


def test_an_undo_restores_who_stood_for_the_label(workspace: Workspace, ids: list[int]) -> None:
    before = _labels(workspace)
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    undone = labels.undo(workspace, batch.id, actor="adam")
    assert (undone.n_restored, undone.n_kept) == (3, 0)
    assert _labels(workspace) == before
    [undo, original] = labels.list_batches(workspace)
    assert (undo.id, undo.action, undo.undoes, undo.actor) == (
        undone.batch_id,
        "undo",
        original.id,
        "adam",
    )
    assert original.undone_by == undo.id


def test_undoing_an_undo_does_the_action_again(workspace: Workspace, ids: list[int]) -> None:
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    last = batch.id
    for times in range(1, 6):
        last = labels.undo(workspace, last, actor="eve").batch_id
        assert (_label(workspace, ids[2]) == "drop") == (times % 2 == 0)


def test_what_was_changed_after_a_batch_is_kept_by_its_undo(
    workspace: Workspace, ids: list[int]
) -> None:
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    labels.relabel(workspace, ids[:1], "scratch", actor="adam")
    labels.set_split(workspace, ids[1:2], "train", actor="adam")  # another field: no later label
    undone = labels.undo(workspace, batch.id, actor="eve")
    assert (undone.n_restored, undone.n_kept) == (2, 1)
    assert [label for label, _ in _labels(workspace)] == ["scratch", None, None]


def test_a_confirmation_after_a_batch_counts_as_a_later_change(
    workspace: Workspace, ids: list[int]
) -> None:
    labels.relabel(workspace, ids[:1], "drop", actor="eve")
    [batch] = labels.list_batches(workspace)
    assert labels.relabel(workspace, ids[:1], "drop", actor="adam").n_changes == 0
    assert labels.undo(workspace, batch.id, actor="eve").n_kept == 0


def test_two_changes_of_one_image_can_be_undone_one_after_the_other(
    workspace: Workspace, ids: list[int]
) -> None:
    first = labels.relabel(workspace, ids[:1], "drop", actor="eve")
    second = labels.relabel(workspace, ids[:1], "scratch", actor="eve")
    undo_second = labels.undo(workspace, second.id, actor="eve")
    assert _label(workspace, ids[0]) == "drop"
    undo_first = labels.undo(workspace, first.id, actor="eve")
    assert _labels(workspace)[0] == ("dirt", "imported")
    labels.undo(workspace, undo_first.batch_id, actor="eve")
    assert _label(workspace, ids[0]) == "drop"
    labels.undo(workspace, undo_second.batch_id, actor="eve")
    assert _label(workspace, ids[0]) == "scratch"


def test_a_change_on_top_of_a_redo_is_kept(workspace: Workspace, ids: list[int]) -> None:
    first = labels.relabel(workspace, ids[:1], "drop", actor="eve")
    second = labels.relabel(workspace, ids[:1], "scratch", actor="adam")
    undone = labels.undo(workspace, second.id, actor="adam")
    labels.undo(workspace, undone.batch_id, actor="adam")
    assert labels.undo(workspace, first.id, actor="eve").n_kept == 1
    assert _label(workspace, ids[0]) == "scratch"


def test_nothing_is_undone_twice(workspace: Workspace, ids: list[int]) -> None:
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    labels.undo(workspace, batch.id, actor="eve")
    with pytest.raises(OperatorError, match="undone already"):
        labels.undo(workspace, batch.id, actor="eve")
    with pytest.raises(OperatorError, match="no change number 999"):
        labels.undo(workspace, 999, actor="eve")


def test_of_people_who_undo_a_batch_at_once_one_does(workspace: Workspace, ids: list[int]) -> None:
    batch = labels.relabel(workspace, ids, "drop", actor="eve")
    outcomes: list[str] = []

    def undo() -> None:
        try:
            labels.undo(workspace, batch.id, actor="eve")
            outcomes.append("undone")
        except OperatorError as error:
            outcomes.append(error.title)

    _in_threads(undo, undo, undo, undo)
    assert sorted(outcomes) == ["This change has been undone already."] * 3 + ["undone"]


def test_the_history_of_an_image_is_its_own_and_newest_first(
    workspace: Workspace, ids: list[int]
) -> None:
    labels.relabel(workspace, ids, "drop", actor="eve")
    labels.set_excluded(workspace, ids[1:], True, actor="adam", reason="blurred")
    batch = labels.set_split(workspace, ids[2:], "test", actor="eve")
    labels.undo(workspace, batch.id, actor="eve")
    told = [
        (change.actor, change.action, change.field, change.old, change.new)
        for change in labels.list_changes(workspace, image_id=ids[2])
    ]
    assert told == [
        ("eve", "undo", "split", "test", None),
        ("eve", "split", "split", None, "test"),
        ("adam", "exclude", "excluded", "false", "true"),
        ("eve", "relabel", "label", None, "drop"),
    ]
    assert len(labels.list_changes(workspace)) == 7
    assert len(labels.list_changes(workspace, limit=2)) == 2


def test_batches_are_listed_in_pages(workspace: Workspace, ids: list[int]) -> None:
    made = [labels.relabel(workspace, ids, f"c{number}", actor="eve") for number in range(5)]
    first = labels.list_batches(workspace, limit=2)
    second = labels.list_batches(workspace, limit=2, before=first[-1].id)
    assert [*first, *second] == made[:0:-1]


def test_people_who_give_the_same_new_label_at_once_all_succeed(
    workspace: Workspace, ids: list[int]
) -> None:
    def give(image_id: int) -> Callable[[], object]:
        return lambda: labels.relabel(workspace, [image_id], "new one", actor="eve")

    for _ in range(3):
        _in_threads(*(give(image_id) for image_id in ids))
    assert _labels(workspace) == [("new one", "human")] * 3
    assert catalog.list_classes(workspace) == ["dirt", "new one"]


def test_processes_that_relabel_the_same_images_lose_no_change(workspace: Workspace) -> None:
    ids = fill(workspace, *(new_image(number) for number in range(20)))
    people = ["forwards", "backwards"]
    at_work = [
        subprocess.Popen(
            [sys.executable, "-c", _RELABEL_OFTEN, str(workspace.path), person], cwd=PROJECT_ROOT
        )
        for person in people
    ]
    assert [process.wait(120) for process in at_work] == [0, 0]

    assert len(labels.list_batches(workspace)) == 20
    for image_id in ids:
        history = labels.list_changes(workspace, image_id=image_id)[::-1]
        assert len(history) == 20
        assert history[0].old is None
        assert all(later.old == earlier.new for earlier, later in itertools.pairwise(history))
        assert history[-1].new == _label(workspace, image_id)


def _in_threads(*actions: Callable[[], object]) -> None:
    """Do all at once; what one raises fails the test."""
    raised: list[Exception] = []
    together = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        together.wait()
        try:
            action()
        except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []


def test_actions_can_be_left_out_of_the_list_with_what_undid_them(
    workspace: Workspace, ids: list[int]
) -> None:
    kept = labels.relabel(workspace, ids[:1], "scratch", actor="eve")
    moved = labels.set_split(workspace, ids, "train", actor="eve")
    labels.undo(workspace, moved.id, actor="eve")
    assert [batch.id for batch in labels.list_batches(workspace, without=["split"])] == [kept.id]
