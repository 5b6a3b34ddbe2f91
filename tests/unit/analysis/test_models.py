"""What people read of the registry: recipes, lineage, two models side by side."""

import numpy as np
import pytest

from core.analysis.models import (
    as_percent,
    compare_models,
    departures,
    describe_model,
    lineage,
    model_table,
    outcome,
    recipe_facts,
    recipe_of,
    validation_accuracy,
)
from core.learning.recipe import PAPER, Recipe
from core.state import models
from core.state.models import Model
from core.state.workspace import Workspace

RESULT = {
    "val_accuracy": 0.9,
    "val_loss": 0.25,
    "n_validation": 10,
    "best_epoch": 2,
    "epochs": 3,
    "epoch_seconds": 1.5,
    "device": "cpu",
    "stopped": "early",
    "n_parameters": 1000,
    "n_trained_parameters": 10,
    "data_set": {"sha256": "ab" * 32, "train": {"dirt": 3}, "validation": {"dirt": 10}},
    "weights": {"source": "file", "file": "resnet18.pth", "sha256": "cd" * 32},
    "versions": {"torch": "2.13.0", "git": None},
}


def add(workspace: Workspace, *, start_from: str | None = None, **recipe: object) -> Model:
    """A model of two classes, trained by the paper's recipe but for what is given."""
    config = {**vars(PAPER), "backbone": "resnet18", **recipe}
    config["augmentations"] = list(config["augmentations"])  # as it comes out of the database
    with models.new_folder(workspace) as written:
        (written / models.WEIGHTS_FILE).write_bytes(b"weights")
        for name in ("train_ids", "validation_ids"):
            np.save(written / f"{name}.npy", np.array([], np.int64))
        return models.add_model(
            workspace,
            written,
            backbone="resnet18",
            mode=config["mode"],
            classes=("dirt", "drop"),
            config=config,
            result=RESULT if config["mode"] != "imported" else {},
            weights_sha256="0" * 64,
            start_from=start_from,
            notes="",
            actor="ana",
            job_id=None,
        )


def test_the_papers_recipe_departs_from_itself_in_nothing_whatever_the_seed() -> None:
    assert departures(PAPER) == []
    assert departures(Recipe(seed=7)) == []


def test_what_departs_from_the_paper_is_told_with_both_values() -> None:
    found = departures(Recipe(epochs=10, mode="head", augmentations=(), patience=5))
    assert [(each.what, each.first, each.second) for each in found] == [
        ("trained layers", "the head alone", "every layer"),
        ("epochs", "10", "100"),
        ("augmentation", "none", "horizontal flip"),
        ("early stopping", "after 5 epochs without a better one", "off"),
    ]


def test_a_models_recipe_comes_back_as_it_was_asked(workspace: Workspace) -> None:
    model = add(workspace, epochs=3, augmentations=("light", "vertical_flip"))
    asked = Recipe(backbone="resnet18", epochs=3, augmentations=("light", "vertical_flip"))
    assert recipe_of(model) == asked


def test_a_head_trained_on_features_shows_no_augmentation(workspace: Workspace) -> None:
    facts = {fact.what: fact.value for fact in recipe_facts(add(workspace, mode="head"))}
    assert facts["augmentation"] == "none"


def test_an_imported_model_has_no_recipe_and_no_measure(workspace: Workspace) -> None:
    model = add(workspace, mode="imported")
    assert recipe_of(model) is None
    assert recipe_facts(model) == []
    assert as_percent(validation_accuracy(model)) == "not measured"
    assert describe_model(model) == "resnet18-1 · imported"
    assert [fact.value for fact in outcome(model)] == ["not measured"]


def test_an_accuracy_stands_with_its_interval_and_n(workspace: Workspace) -> None:
    # Wilson's interval of 9 hits in 10.
    assert as_percent(validation_accuracy(add(workspace))) == "90.0% (59.6% to 98.2%, n = 10)"


def test_the_outcome_says_why_training_ended(workspace: Workspace) -> None:
    facts = {fact.what: fact.value for fact in outcome(add(workspace))}
    assert facts["best epoch"] == "2 of 3, stopped early"
    assert facts["parameters"] == "10 of 1,000 trained"


def test_the_lineage_begins_with_the_first_ancestor_and_keeps_deleted_ones(
    workspace: Workspace,
) -> None:
    first = add(workspace)
    second = add(workspace, start_from=first.id)
    third = add(workspace, start_from=second.id)
    models.delete_model(workspace, second.id, actor="ana")
    line = lineage(workspace, third)
    assert [each.id for each in line] == [first.id, second.id, third.id]
    assert [bool(each.deleted_at) for each in line] == [False, True, False]


def test_the_table_marks_the_promoted_one_alone(workspace: Workspace) -> None:
    first, second = add(workspace), add(workspace)
    rows = model_table([second, first], promoted=first.id)
    assert [(row["model"], row["promoted"], row["n"]) for row in rows] == [
        (second.id, False, 10),
        (first.id, True, 10),
    ]


@pytest.mark.parametrize("mode", ["full", "imported"])
def test_two_models_differ_in_what_was_changed_alone(workspace: Workspace, mode: str) -> None:
    first, second = add(workspace, mode=mode), add(workspace, mode=mode, learning_rate=0.01)
    different = {line.what for line in compare_models(first, second) if not line.is_same}
    assert different == ({"learning rate"} if mode == "full" else set())
