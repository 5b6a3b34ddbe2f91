"""The registry of models: numbers, promotion, roll-back, deletion."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import OperatorError
from core.state import models, runs
from core.state.models import Model
from core.state.workspace import Workspace


def add(workspace: Workspace, **more: object) -> Model:
    with models.new_folder(workspace) as written:
        (written / models.WEIGHTS_FILE).write_bytes(b"weights")
        np.save(written / "train_ids.npy", np.array([1, 2]))
        np.save(written / "validation_ids.npy", np.array([3]))
        values = {
            "backbone": "resnet18",
            "mode": "head",
            "classes": ("dirt", "drop"),
            "config": {"epochs": 1},
            "result": {},
            "weights_sha256": "0" * 64,
            "start_from": None,
            "notes": "",
            "actor": "ana",
            "job_id": None,
        }
        return models.add_model(workspace, written, **{**values, **more})


def hidden(workspace: Workspace) -> list[Path]:
    return list(workspace.folder("models").glob(".*"))


def test_models_are_numbered_across_backbones(workspace: Workspace) -> None:
    assert [add(workspace).id, add(workspace, backbone="vgg16").id] == ["resnet18-1", "vgg16-2"]
    assert [model.number for model in models.list_models(workspace)] == [2, 1]


def test_a_model_is_found_by_id_number_and_word(workspace: Workspace) -> None:
    first, second = add(workspace), add(workspace)
    models.promote(workspace, first.id, actor="ana")
    assert models.get_model(workspace, "resnet18-1") == first
    assert models.get_model(workspace, "2") == second
    assert models.get_model(workspace, "newest") == second
    assert models.get_model(workspace, "promoted") == first


@pytest.mark.parametrize("name", ["resnet18-9", "9", "newest", "promoted", "", "../images"])
def test_what_is_no_model_is_refused_with_a_next_step(workspace: Workspace, name: str) -> None:
    with pytest.raises(OperatorError) as refused:
        models.get_model(workspace, name)
    assert refused.value.next_step


def test_the_files_lie_in_the_models_own_folder_and_nothing_beside(workspace: Workspace) -> None:
    model = add(workspace)
    assert models.weights_path(workspace, model.id).read_bytes() == b"weights"
    roles = models.load_roles(workspace, model)
    assert (roles.train.tolist(), roles.validation.tolist()) == ([1, 2], [3])
    assert hidden(workspace) == []


def test_a_folder_left_without_a_row_gives_way(workspace: Workspace) -> None:
    left = models.folder(workspace, "resnet18-1")
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"")
    model = add(workspace)
    assert model.id == "resnet18-1"
    assert not (left / "half").exists()


def test_a_model_that_is_not_recorded_leaves_no_folder(workspace: Workspace) -> None:
    with pytest.raises(OperatorError, match="notes"):
        add(workspace, notes="x" * 2001)
    assert list(workspace.folder("models").iterdir()) == []


def test_rolling_back_walks_down_the_promotions(workspace: Workspace) -> None:
    first, second, third = (add(workspace).id for _ in range(3))
    for model in (first, second, third):
        models.promote(workspace, model, actor="ana", reason="better")
    models.roll_back(workspace, actor="ben")
    assert models.promoted(workspace).id == second
    models.roll_back(workspace, actor="ben")
    assert models.promoted(workspace).id == first
    with pytest.raises(OperatorError, match="no earlier model"):
        models.roll_back(workspace, actor="ben")
    assert len(models.list_promotions(workspace)) == 5  # nothing of it is forgotten


def test_a_model_promoted_after_a_roll_back_stands_on_what_was_left(workspace: Workspace) -> None:
    first, second, third = (add(workspace).id for _ in range(3))
    for model in (first, second):
        models.promote(workspace, model, actor="ana")
    models.roll_back(workspace, actor="ana")
    models.promote(workspace, third, actor="ana")
    models.roll_back(workspace, actor="ana")
    assert models.promoted(workspace).id == first


def test_the_promoted_model_cannot_be_promoted_again_or_deleted(workspace: Workspace) -> None:
    model = add(workspace)
    models.promote(workspace, model.id, actor="ana")
    with pytest.raises(OperatorError, match="already"):
        models.promote(workspace, model.id, actor="ana")
    with pytest.raises(OperatorError, match="promoted"):
        models.delete_model(workspace, model.id, actor="ana")
    assert models.weights_path(workspace, model.id).exists()


def test_a_deleted_model_keeps_its_row_and_number(workspace: Workspace) -> None:
    parent = add(workspace)
    child = add(workspace, start_from=parent.id)
    models.delete_model(workspace, parent.id, actor="ana")
    assert models.list_models(workspace) == [child]
    (gone,) = (m for m in models.list_models(workspace, with_deleted=True) if m.deleted_at)
    assert (gone.id, gone.deleted_by) == (parent.id, "ana")
    assert not models.folder(workspace, parent.id).exists()
    assert models.descendants(workspace, parent.id) == [child]
    assert add(workspace).number == 3


def test_a_roll_back_passes_over_deleted_models(workspace: Workspace) -> None:
    first, second, third = (add(workspace).id for _ in range(3))
    for model in (first, second, third):
        models.promote(workspace, model, actor="ana")
    models.delete_model(workspace, second, actor="ana")
    models.roll_back(workspace, actor="ana")
    assert models.promoted(workspace).id == first


def test_notes_are_kept_and_bounded(workspace: Workspace) -> None:
    model = add(workspace)
    assert models.set_notes(workspace, model.id, "  first try ").notes == "first try"
    with pytest.raises(OperatorError, match="2,001"):
        models.set_notes(workspace, model.id, "x" * 2001)
    assert models.get_model(workspace, model.id).notes == "first try"


def test_damaged_roles_are_named(workspace: Workspace) -> None:
    model = add(workspace)
    (models.folder(workspace, model.id) / "train_ids.npy").write_bytes(b"half")
    with pytest.raises(OperatorError, match="train_ids"):
        models.load_roles(workspace, model)


def keep_comparison(workspace: Workspace, old: str, new: str, *, is_worse: bool) -> str:
    return runs.add_run(
        workspace,
        id=runs.run_id("model_comparison", {"old": old, "new": new, "is_worse": is_worse}),
        kind="model_comparison",
        parent_id=None,
        config={"old": old, "new": new},
        result={"is_worse": is_worse},
        n_images=0,
        actor="ana",
        job_id=None,
    ).id


def test_a_model_that_is_worse_is_refused_unless_a_person_says_why(workspace: Workspace) -> None:
    first, second = add(workspace).id, add(workspace).id
    models.promote(workspace, first, actor="ana")
    found = keep_comparison(workspace, first, second, is_worse=True)
    with pytest.raises(OperatorError, match="worse than") as refused:
        models.promote(workspace, second, actor="ana", reason="I want it at work")
    assert "overrule" in refused.value.next_step
    with pytest.raises(OperatorError, match="Say why"):
        models.promote(workspace, second, actor="ana", reason=" just so ", overrule=True)
    assert models.promoted(workspace).id == first
    done = models.promote(
        workspace, second, actor="ana", reason="it knows the new type", overrule=True
    )
    assert done == models.list_promotions(workspace)[0]
    assert (done.comparison, done.is_overruled) == (found, True)


def test_the_comparison_that_is_named_counts_and_not_that_of_another_pair(
    workspace: Workspace,
) -> None:
    first, second = add(workspace).id, add(workspace).id
    models.promote(workspace, first, actor="ana")
    keep_comparison(workspace, second, first, is_worse=True)
    good = keep_comparison(workspace, first, second, is_worse=False)
    keep_comparison(workspace, first, second, is_worse=True)
    done = models.promote(workspace, second, actor="ana", comparison=good)
    assert (done.comparison, done.is_overruled) == (good, False)


def test_the_first_promotion_needs_no_comparison_and_overrules_nothing(
    workspace: Workspace,
) -> None:
    done = models.promote(
        workspace, add(workspace).id, actor="ana", reason="there is no other", overrule=True
    )
    assert (done.comparison, done.is_overruled) == (None, False)
