"""How is a classifier trained? Epoch by epoch, each one kept before the next begins.

A run that is cut off at any moment goes on from its last epoch and ends with the same weights: an
epoch's chances depend on the seed and its number alone, and a checkpoint holds all else that the
next epoch needs. On the CPU with the same number of threads that is exact to the last bit.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.learning.inputs import Inputs, draw_epoch
from core.learning.networks import train_mode
from core.learning.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

_VALIDATION_ROWS = 32  # through the network at once


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images.

    Attributes:
        epoch: its number, from 1.
        train_loss: mean over the images, as they came, with dropout and augmentation.
        train_accuracy: share of them that were told right as they came, in [0, 1].
        validation_loss: mean cross entropy, without class weights or smoothing; None where
            nothing validates.
        validation_accuracy: in [0, 1]; None where nothing validates.
        learning_rate: in this epoch.
        seconds: for the training images.
        validation_seconds: for the validation images.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    validation_seconds: float


@dataclass(frozen=True)
class Training:
    """How far a training has come.

    Attributes:
        epochs: those that are done.
        best_epoch: number of the one with the best validation accuracy, of equals the one with the
            lowest loss; the last one where nothing validates; None before the first.
    """

    epochs: tuple[Epoch, ...] = ()
    best_epoch: int | None = None

    @property
    def best(self) -> Epoch | None:
        """The best epoch, None before the first."""
        return self.epochs[self.best_epoch - 1] if self.best_epoch else None

    def with_epoch(self, epoch: Epoch) -> Training:
        """This training with one more epoch."""
        best = self.best
        is_better = best is None or _merit(epoch) > _merit(best) or epoch.validation_loss is None
        return Training((*self.epochs, epoch), epoch.epoch if is_better else self.best_epoch)

    def is_over(self, recipe: Recipe) -> bool:
        """Whether all epochs are done, or none has been better for `patience` of them."""
        done = len(self.epochs)
        waited = done - (self.best_epoch or done)
        return done >= recipe.epochs or bool(recipe.patience and waited >= recipe.patience)


@dataclass(frozen=True)
class Examples:
    """Images with what they show: `targets` is int64 (n_images,), the row of the class's head."""

    inputs: Inputs
    targets: np.ndarray


class NotFiniteError(Exception):
    """The loss is no longer a number: the learning rate is too high for this network."""


def fine_tune(
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    recipe: Recipe,
    *,
    n_classes: int,
    device: str,
    checkpoints: Path,
    question: str,
    on_epoch: Callable[[Training], None],
    on_step: Callable[[int, float], None],
) -> Training:
    """Train a network by a recipe and leave it with the weights of its best epoch.

    Algorithm: stochastic gradient descent on the cross entropy; after each epoch the validation
    images are looked at, and the state is written beside and renamed into place. A checkpoint of
    the same question is taken up, any other is removed.

    Args:
        network: what trains, on `device`: the whole classifier or its part after a cut. Parameters
            that do not require a gradient stay as they are.
        train: what it learns from.
        validation: what tells the best epoch; None takes the last.
        recipe: how to train.
        n_classes: rows of the head.
        device: where the network is.
        checkpoints: a folder of this training's own.
        question: names all that the result depends on.
        on_epoch: called after every epoch, and once with what a checkpoint holds.
        on_step: called before every step with the epoch's number and how far it is, in [0, 1].

    Returns:
        How the training went.

    Raises:
        NotFiniteError: the loss grew beyond all numbers.
    """
    optimiser = make_optimiser(network, recipe)
    store = _Checkpoints(checkpoints, question)
    training = store.load(network, optimiser)
    if training.epochs:
        log.info("going on after epoch %d", len(training.epochs))
        on_epoch(training)
    loss_of = loss_function(train.targets, recipe, n_classes=n_classes, device=device)
    while not training.is_over(recipe):
        number = len(training.epochs) + 1
        epoch = train_one_epoch(
            network,
            train,
            optimiser,
            loss_of,
            recipe,
            number=number,
            device=device,
            on_step=on_step,
        )
        if validation is not None:
            epoch = _validated(epoch, network, validation, device=device)
        training = training.with_epoch(epoch)
        store.save(network, optimiser, training)
        on_epoch(training)
    load_best(network, checkpoints)
    return training


def train_one_epoch(
    network: nn.Module,
    train: Examples,
    optimiser: torch.optim.Optimizer,
    loss_of: nn.Module,
    recipe: Recipe,
    *,
    number: int,
    device: str,
    on_step: Callable[[int, float], None],
) -> Epoch:
    """One pass over the training images."""
    import torch

    draw = draw_epoch(
        len(train.targets), recipe.applied_augmentations, seed=recipe.seed, epoch=number
    )
    torch.manual_seed(int(np.random.default_rng([recipe.seed, number]).integers(2**62)))  # dropout
    rate = learning_rate(recipe, number)
    for group in optimiser.param_groups:
        group["lr"] = rate
    train_mode(network, freeze_batch_norm=recipe.freeze_batch_norm)
    targets = torch.from_numpy(train.targets)
    began = time.perf_counter()
    loss_sum, n_right, n = torch.zeros((), device=device), torch.zeros((), device=device), 0
    for start in range(0, len(train.targets), recipe.batch_size):
        on_step(number, start / len(train.targets))
        rows = draw.order[start : start + recipe.batch_size]
        wanted = targets[rows].to(device)
        loss, logits = train_step(
            network, train.inputs.batch(rows, draw), wanted, optimiser, loss_of
        )
        loss_sum += loss * len(rows)
        n_right += (logits.argmax(1) == wanted).sum()
        n += len(rows)
    mean_loss = float(loss_sum) / n
    if not math.isfinite(mean_loss):
        raise NotFiniteError
    return Epoch(
        epoch=number,
        train_loss=mean_loss,
        train_accuracy=float(n_right) / n,
        validation_loss=None,
        validation_accuracy=None,
        learning_rate=rate,
        seconds=time.perf_counter() - began,
        validation_seconds=0.0,
    )


def train_step(
    network: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    targets: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    loss_of: nn.Module,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One step of gradient descent; the loss before it and the logits, both detached."""
    with autocast(inputs[0].device.type):
        logits = network(*inputs)
    loss = loss_of(logits.float(), targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.detach(), logits.detach()


def validate(network: nn.Module, examples: Examples, *, device: str) -> tuple[float, float]:
    """Mean cross entropy and accuracy of a network on images as they are."""
    import torch
    from torch.nn.functional import cross_entropy

    network.eval()
    targets = torch.from_numpy(examples.targets)
    n = len(examples.targets)
    loss_sum, n_right = 0.0, 0
    with torch.inference_mode():
        for start in range(0, n, _VALIDATION_ROWS):
            rows = np.arange(start, min(start + _VALIDATION_ROWS, n))
            wanted = targets[rows].to(device)
            with autocast(device):
                logits = network(*examples.inputs.batch(rows, None))
            loss_sum += float(cross_entropy(logits.float(), wanted, reduction="sum"))
            n_right += int((logits.argmax(1) == wanted).sum())
    return loss_sum / n, n_right / n


def autocast(device: str) -> AbstractContextManager:
    """bfloat16 where the processor computes in it; weights and loss stay in float32."""
    import torch

    if computes_in(device) == "float32":
        return nullcontext()
    return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16)


def computes_in(device: str) -> str:
    """What the layers compute in on a device: `bfloat16` or `float32`."""
    from core.latent.embedding import computes_bfloat16

    return "bfloat16" if computes_bfloat16(device) else "float32"


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """The recipe's gradient descent over the parameters that train."""
    import torch

    return torch.optim.SGD(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )


def loss_function(
    targets: np.ndarray, recipe: Recipe, *, n_classes: int, device: str
) -> nn.CrossEntropyLoss:
    """Cross entropy, its classes weighted so that each counts the same where the recipe says so."""
    import torch

    weights = None
    if recipe.class_weights == "balanced":
        counts = np.bincount(targets, minlength=n_classes)
        weights = torch.tensor(
            len(targets) / (n_classes * np.maximum(counts, 1)), dtype=torch.float32, device=device
        )
    return torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=recipe.label_smoothing)


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """The rate in an epoch, which counts from 1."""
    done = (epoch - 1) / recipe.epochs
    if recipe.schedule == "cosine":
        return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
    if recipe.schedule == "step":
        return recipe.learning_rate * 0.1 ** math.floor(3 * done)
    return recipe.learning_rate


def load_training(checkpoints: Path) -> Training:
    """What a folder of checkpoints tells of its training; nothing where there is no checkpoint."""
    path = checkpoints / _Checkpoints.LAST / _Checkpoints.PROGRESS
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Training(tuple(Epoch(**epoch) for epoch in stored["epochs"]), stored["best_epoch"])
    except (OSError, ValueError, TypeError, KeyError):
        return Training()


def load_best(network: nn.Module, checkpoints: Path) -> None:
    """Give a network the weights of the best epoch that a folder of checkpoints holds."""
    from safetensors.torch import load_file

    training = load_training(checkpoints)
    network.load_state_dict(load_file(checkpoints / f"best-{training.best_epoch}.safetensors"))
    network.eval()


def _validated(epoch: Epoch, network: nn.Module, validation: Examples, *, device: str) -> Epoch:
    began = time.perf_counter()
    loss, accuracy = validate(network, validation, device=device)
    return replace(
        epoch,
        validation_loss=loss,
        validation_accuracy=accuracy,
        validation_seconds=time.perf_counter() - began,
    )


def _merit(epoch: Epoch) -> tuple[float, float]:
    """What makes an epoch better than another, the greater the better."""
    if epoch.validation_accuracy is None or epoch.validation_loss is None:
        return (0.0, float(epoch.epoch))
    loss = epoch.validation_loss
    return (epoch.validation_accuracy, -loss if math.isfinite(loss) else -math.inf)


class _Checkpoints:
    """The state after the last epoch, and the weights of the best one.

    `last/` is replaced whole: a kill leaves either the old one or the new one. Weights of the best
    epoch carry its number, so that a `last/` always finds those it speaks of.
    """

    LAST = "last"
    PROGRESS = "progress.json"
    NETWORK = "network.safetensors"
    MOMENTUM = "momentum.safetensors"

    def __init__(self, folder: Path, question: str) -> None:
        self._folder = folder
        self._question = question

    def load(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> Training:
        """Put network and optimiser into the state after the last epoch, if there was one."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        self._heal()
        last = self._folder / self.LAST
        training = load_training(self._folder)
        best = self._folder / f"best-{training.best_epoch}.safetensors"
        if not training.epochs or self._stored_question() != self._question or not best.exists():
            self._clear()
            return Training()
        try:
            state, momentum = load_file(last / self.NETWORK), load_file(last / self.MOMENTUM)
        except (OSError, SafetensorError) as error:
            log.warning("the checkpoint cannot be read, training begins anew: %s", error)
            self._clear()
            return Training()
        network.load_state_dict(state)
        _load_momentum(optimiser, momentum)
        return training

    def save(
        self, network: nn.Module, optimiser: torch.optim.Optimizer, training: Training
    ) -> None:
        """Keep the state after an epoch in place of the one before."""
        from safetensors.torch import save_file

        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        if training.best_epoch == len(training.epochs):
            beside = self._folder / ".best"
            save_file(state, beside)
            beside.rename(self._folder / f"best-{training.best_epoch}.safetensors")
        beside = self._folder / ".next"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        save_file(state, beside / self.NETWORK)
        save_file(_momentum(optimiser), beside / self.MOMENTUM)
        told: Mapping[str, Any] = {
            "question": self._question,
            "best_epoch": training.best_epoch,
            "epochs": [asdict(epoch) for epoch in training.epochs],
        }
        (beside / self.PROGRESS).write_text(json.dumps(told), encoding="utf-8")
        last, old = self._folder / self.LAST, self._folder / ".old"
        if last.exists():
            last.rename(old)
        beside.rename(last)
        shutil.rmtree(old, ignore_errors=True)
        for path in self._folder.glob("best-*.safetensors"):
            if path.name != f"best-{training.best_epoch}.safetensors":
                path.unlink()

    def _heal(self) -> None:
        """Undo a replacement that was cut off between its two renames."""
        last, old = self._folder / self.LAST, self._folder / ".old"
        if old.exists() and not last.exists():
            old.rename(last)
        shutil.rmtree(old, ignore_errors=True)

    def _clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stored_question(self) -> str | None:
        path = self._folder / self.LAST / self.PROGRESS
        stored: str | None = json.loads(path.read_text(encoding="utf-8")).get("question")
        return stored


def _momentum(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The momentum of each parameter that has one, by its place."""
    return {
        str(place): optimiser.state[parameter]["momentum_buffer"].contiguous()
        for place, parameter in enumerate(_parameters(optimiser))
        if optimiser.state[parameter].get("momentum_buffer") is not None
    }


def _load_momentum(optimiser: torch.optim.Optimizer, momentum: Mapping[str, torch.Tensor]) -> None:
    import torch

    for place, parameter in enumerate(_parameters(optimiser)):
        if (values := momentum.get(str(place))) is not None:
            # In the parameter's own layout in memory, for other kernels round otherwise.
            buffer = torch.empty_like(parameter, requires_grad=False)
            optimiser.state[parameter]["momentum_buffer"] = buffer.copy_(values)


def _parameters(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
