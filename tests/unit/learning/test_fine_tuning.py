"""Training: it learns, keeps its best epoch, and goes on after a kill as if there had been none."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learning.fine_tuning import (
    Epoch,
    Examples,
    NotFiniteError,
    Training,
    fine_tune,
    learning_rate,
    load_training,
    loss_function,
)
from core.learning.inputs import ActivationInputs, draw_epoch
from core.learning.recipe import Recipe
from core.settings import PROJECT_ROOT
from tests.unit.learning import toy_training

RECIPE = Recipe(epochs=5, batch_size=4, learning_rate=0.05)


def features(n: int, *, seed: int = 0, n_classes: int = 3) -> Examples:
    """Blobs on the axes, one a class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % n_classes
    values = np.eye(n_classes, 6, dtype=np.float32)[targets] * 3
    values += rng.normal(size=values.shape).astype(np.float32) * 0.3
    return Examples(ActivationInputs([torch.from_numpy(values)[None]], device="cpu"), targets)


def linear() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(6, 3)


def train(
    folder: Path,
    network: torch.nn.Module,
    recipe: Recipe = RECIPE,
    *,
    validation: Examples | None = None,
    question: str = "q",
    seen: list[int] | None = None,
) -> Training:
    return fine_tune(
        network,
        features(24),
        validation,
        recipe,
        n_classes=3,
        device="cpu",
        checkpoints=folder,
        question=question,
        on_epoch=lambda training: seen.append(len(training.epochs)) if seen is not None else None,
        on_step=lambda *_: None,
    )


def epoch(number: int, accuracy: float | None = None, loss: float | None = None) -> Epoch:
    return Epoch(number, 1.0, 0.5, loss, accuracy, 0.1, 1.0, 0.0)


def trained(*measures: tuple[float, float]) -> Training:
    training = Training()
    for number, (accuracy, loss) in enumerate(measures, 1):
        training = training.with_epoch(epoch(number, accuracy, loss))
    return training


def test_blobs_are_learned(tmp_path: Path) -> None:
    network = linear()
    training = train(tmp_path, network, validation=features(30, seed=1))
    assert [each.epoch for each in training.epochs] == [1, 2, 3, 4, 5]
    assert training.best.validation_accuracy == 1.0
    assert training.epochs[-1].train_loss < training.epochs[0].train_loss


def test_the_network_ends_with_the_weights_of_its_best_epoch(tmp_path: Path) -> None:
    validation = features(30, seed=1)
    wrong = replace(validation, targets=(validation.targets + 1) % 3)  # learning makes it worse
    network = linear()
    before = train(tmp_path / "once", linear(), replace(RECIPE, epochs=1), validation=wrong)
    training = train(tmp_path / "all", network, validation=wrong)
    assert before.best_epoch == training.best_epoch == 1
    after_one = linear()
    train(tmp_path / "again", after_one, replace(RECIPE, epochs=1), validation=wrong)
    assert torch.equal(network.weight, after_one.weight)


def test_of_equally_right_epochs_the_surest_is_best() -> None:
    assert trained((0.9, 0.5), (0.9, 0.4), (0.9, 0.45), (0.8, 0.1)).best_epoch == 2


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    training = train(tmp_path, linear())
    assert training.best_epoch == 5
    assert training.best.validation_accuracy is None


def test_patience_ends_a_training_that_gets_no_better() -> None:
    recipe = replace(RECIPE, epochs=10, patience=2)
    assert not trained((0.9, 0.1), (0.8, 0.1)).is_over(recipe)
    assert trained((0.9, 0.1), (0.8, 0.1), (0.8, 0.1)).is_over(recipe)
    assert not trained((0.9, 0.1), (0.8, 0.1), (0.8, 0.1)).is_over(replace(recipe, patience=0))


def test_a_loss_beyond_all_numbers_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFiniteError):
        train(tmp_path, linear(), replace(RECIPE, learning_rate=1e38))


def test_a_finished_training_is_not_done_again(tmp_path: Path) -> None:
    first, second, seen = linear(), linear(), []
    train(tmp_path, first)
    train(tmp_path, second, seen=seen)
    assert seen == [5]
    assert torch.equal(first.weight, second.weight)


def test_more_epochs_go_on_where_the_fewer_ended(tmp_path: Path) -> None:
    seen: list[int] = []
    going_on, at_once = linear(), linear()
    train(tmp_path / "on", linear(), replace(RECIPE, epochs=3))
    train(tmp_path / "on", going_on, seen=seen)
    train(tmp_path / "once", at_once)
    assert seen == [3, 4, 5]
    assert torch.equal(going_on.weight, at_once.weight)


def test_a_checkpoint_of_another_question_is_not_taken_up(tmp_path: Path) -> None:
    seen: list[int] = []
    train(tmp_path, linear(), replace(RECIPE, epochs=2))
    train(tmp_path, linear(), question="another", seen=seen)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("file", ["network.safetensors", "momentum.safetensors", "progress.json"])
def test_a_damaged_checkpoint_costs_the_epochs_and_no_more(tmp_path: Path, file: str) -> None:
    seen: list[int] = []
    train(tmp_path, linear(), replace(RECIPE, epochs=2))
    (tmp_path / "last" / file).write_bytes(b"half of it")
    train(tmp_path, linear(), seen=seen)
    assert seen == [1, 2, 3, 4, 5]


def test_a_cut_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    train(tmp_path, linear(), replace(RECIPE, epochs=2))
    (tmp_path / "last").rename(tmp_path / ".old")
    train(tmp_path, linear(), seen=seen)
    assert seen == [2, 3, 4, 5]


def test_only_the_state_after_the_last_epoch_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    train(tmp_path, linear(), validation=features(30, seed=1))
    best = load_training(tmp_path).best_epoch
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"best-{best}.safetensors", "last"]


def test_a_killed_training_ends_with_the_very_weights_of_one_that_was_not(tmp_path: Path) -> None:
    """Convolution, batch normalisation, dropout, flips, momentum, a schedule: one thread."""

    def start(folder: Path, last: int | None) -> int:
        command = [sys.executable, "-m", toy_training.__name__, str(folder), str(last or 0)]
        return subprocess.run(command, cwd=PROJECT_ROOT, check=False, timeout=300).returncode

    assert start(tmp_path / "whole", None) == 0
    for last in (1, 3):
        assert start(tmp_path / "cut", last) == -signal.SIGKILL
    assert start(tmp_path / "cut", None) == 0
    whole, cut = (tmp_path / name / "weights.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()
    histories = [
        [
            (each["train_loss"], each["validation_loss"])
            for each in json.loads((tmp_path / name / "last/progress.json").read_text())["epochs"]
        ]
        for name in ("whole", "cut")
    ]
    assert histories[0] == histories[1]


def test_an_epochs_chances_are_its_own() -> None:
    first, again, next_one = (
        draw_epoch(50, ["horizontal_flip"], seed=3, epoch=number) for number in (7, 7, 8)
    )
    assert first.order.tolist() == again.order.tolist() != next_one.order.tolist()
    assert first.is_mirrored.tolist() == again.is_mirrored.tolist() != next_one.is_mirrored.tolist()
    assert sorted(first.order.tolist()) == list(range(50))


def test_without_the_flip_no_image_is_mirrored_and_the_order_stays() -> None:
    plain = draw_epoch(50, [], seed=3, epoch=7)
    assert not plain.is_mirrored.any()
    assert (
        plain.order.tolist() == draw_epoch(50, ["horizontal_flip"], seed=3, epoch=7).order.tolist()
    )


def test_schedules_begin_at_the_rate_and_fall_as_they_say() -> None:
    recipe = replace(RECIPE, epochs=9, learning_rate=1.0)
    rates = {
        name: [learning_rate(replace(recipe, schedule=name), number) for number in range(1, 10)]
        for name in ("constant", "cosine", "step")
    }
    assert rates["constant"] == [1.0] * 9
    assert rates["step"] == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 3)
    assert rates["cosine"][0] == 1.0
    assert all(a > b > 0 for a, b in zip(rates["cosine"], rates["cosine"][1:], strict=False))


def test_balanced_weights_let_every_class_count_the_same() -> None:
    targets = np.array([0, 0, 0, 1])
    recipe = replace(RECIPE, class_weights="balanced")
    weight = loss_function(targets, recipe, n_classes=2, device="cpu").weight
    assert weight.tolist() == pytest.approx([4 / 6, 2.0])
    assert loss_function(targets, RECIPE, n_classes=2, device="cpu").weight is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "half"),
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("patience", -1),
        ("schedule", "up"),
        ("class_weights", "some"),
        ("augmentations", ("mirror",)),
        ("seed", -1),
    ],
)
def test_a_recipe_out_of_range_names_the_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as refused:
        Recipe(**{name: value})
    assert str(value[0] if isinstance(value, tuple) else value) in str(refused.value)


@settings(deadline=None, max_examples=25)
@given(
    measures=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 10) | st.just(float("nan"))), min_size=1
    )
)
def test_the_best_epoch_is_never_less_right_than_another(
    measures: list[tuple[float, float]],
) -> None:
    training = trained(*measures)
    assert training.best.validation_accuracy == max(accuracy for accuracy, _ in measures)
