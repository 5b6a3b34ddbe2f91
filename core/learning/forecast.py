"""How long will a training take? A few of its own steps are measured, and nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.learning.fine_tuning import (
    Examples,
    loss_function,
    make_optimiser,
    train_step,
    validate,
)
from core.learning.inputs import draw_epoch
from core.learning.networks import train_mode
from core.learning.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

_MOST_STEPS = 5
_PATIENCE_S = 8.0


@dataclass(frozen=True)
class Pace:
    """What a training was measured to take.

    Attributes:
        step_seconds: for one step of training.
        validation_seconds: for one validation image.
    """

    step_seconds: float
    validation_seconds: float

    def epoch_seconds(self, n_train: int, n_validation: int, batch_size: int) -> float:
        """For one epoch with its validation."""
        return (
            self.step_seconds * -(-n_train // batch_size) + self.validation_seconds * n_validation
        )


def measure_pace(
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    recipe: Recipe,
    *,
    n_classes: int,
    device: str,
) -> Pace:
    """Take up to five steps, fewer where they are slow; the first warms up and does not count.

    The network is changed by them: it must not be trained afterwards.
    """
    import torch

    optimiser = make_optimiser(network, recipe)
    loss_of = loss_function(train.targets, recipe, n_classes=n_classes, device=device)
    draw = draw_epoch(len(train.targets), recipe.applied_augmentations, seed=recipe.seed, epoch=1)
    targets = torch.from_numpy(train.targets)
    train_mode(network, freeze_batch_norm=recipe.freeze_batch_norm)
    rows = np.resize(draw.order, (_MOST_STEPS + 1, min(recipe.batch_size, len(draw.order))))
    seconds = []
    for some in rows:
        began = time.perf_counter()
        loss, _ = train_step(
            network, train.inputs.batch(some, draw), targets[some].to(device), optimiser, loss_of
        )
        loss.item()  # waits for an accelerator
        seconds.append(time.perf_counter() - began)
        if sum(seconds) > _PATIENCE_S and len(seconds) > 1:
            break
    return Pace(float(np.median(seconds[1:])), _seconds_of_validation(network, validation, device))


def _seconds_of_validation(network: nn.Module, validation: Examples | None, device: str) -> float:
    if validation is None:
        return 0.0
    began = time.perf_counter()
    validate(network, validation, device=device)
    return (time.perf_counter() - began) / len(validation.targets)
