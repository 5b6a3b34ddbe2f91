"""Actions that join state with computation, each one batch that can be undone."""

import pytest

from core import actions
from core.errors import OperatorError
from core.state import catalog, labels, near_duplicates, retyping
from core.state.workspace import Workspace
from tests.factories import fill, new_image


def splits_of(workspace: Workspace) -> list[str | None]:
    return [image.split for image in catalog.list_images(workspace, sort="oldest")]


def test_look_alikes_go_to_the_earliest_of_their_splits(workspace: Workspace) -> None:
    splits = ["test", "train", "test", "validation", "test"]
    ids = fill(workspace, *(new_image(i, split=split) for i, split in enumerate(splits)))
    near_duplicates.replace_groups(workspace, [ids[:2], ids[2:4]])
    batch = actions.unite_look_alikes(workspace, actor="Ada")
    assert splits_of(workspace) == ["train", "train", "validation", "validation", "test"]
    assert batch.n_changes == 2
    labels.undo(workspace, batch.id, actor="Ada")
    assert splits_of(workspace) == splits


def test_an_excluded_look_alike_stays_where_it_is(workspace: Workspace) -> None:
    ids = fill(workspace, new_image(1, split="train"), new_image(2, split="test", excluded=True))
    near_duplicates.replace_groups(workspace, [ids])
    with pytest.raises(OperatorError, match="several splits"):
        actions.unite_look_alikes(workspace, actor="Ada")


def test_calibration_takes_half_of_validation_and_keeps_groups_whole(workspace: Workspace) -> None:
    fill(
        workspace,
        *(
            new_image(i, label="ab"[i % 2], split="validation", shot_group=f"panel {i // 4}")
            for i in range(40)
        ),
        new_image(99, label="a", split="train"),
    )
    batch = actions.split_off_calibration(workspace, actor="Ada")
    splits = splits_of(workspace)
    assert (splits.count("calibration"), splits.count("validation")) == (20, 20)
    assert all(len(set(splits[i : i + 4])) == 1 for i in range(0, 40, 4))
    labels.undo(workspace, batch.id, actor="Ada")
    assert "calibration" not in splits_of(workspace)


def test_what_cannot_be_divided_is_told(workspace: Workspace) -> None:
    fill(workspace, new_image(1, split="train"))
    with pytest.raises(OperatorError, match="nothing to split off"):
        actions.split_off_calibration(workspace, actor="Ada")


def test_who_may_make_a_change_may_take_it_back(workspace: Workspace) -> None:
    ids = fill(workspace, new_image(1), new_image(2))
    labelled = labels.relabel(workspace, ids[:1], "pit", actor="Ada")
    added = retyping.add(workspace, "crater", ids[1:], actor="Ada")
    renamed = retyping.rename(workspace, "crater", "pinhole", actor="Ada")
    undone = actions.undo(workspace, renamed.id, actor="Ada")
    roles = [actions.role_to_undo(workspace, each) for each in (labelled.id, added.id)]
    assert roles == ["operator", "operator"]
    for change in (renamed.id, undone.batch_id):  # to undo the undo is to rename anew
        assert actions.role_to_undo(workspace, change) == "data scientist"
