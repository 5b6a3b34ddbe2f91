"""Train a network on generated pictures, from nothing.

Algorithm: on the standardised features of a view, one linear layer tells its ground, a second one
its flaw, a third estimates its texture statistics, and the three losses are added up. Steps take
turns with views of several sizes. What comes out is the running mean of the weights, which makes up
for a learning rate that never falls: a training can be as long as there is time for, and another
epoch added. At last batch normalisation is measured anew, and then mean and spread of the features,
at the size at which the network will run.

Each epoch draws its order and its views from a generator of its own, seeded by seed and epoch, and
leaves a checkpoint: a training that was cut off goes on as if it had not been. On one kind of
processor with the same number of threads it ends with the same weights.

Source:
    Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging",
    doi:10.1137/0330046: the mean of the weights, here an exponential one.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.images.procedural import Pool
from core.latent.backbones import Backbone, load_preprocessing
from core.learning.pretraining.statistics import measure_statistics
from core.learning.pretraining.views import make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

EPOCHS = 4

_WARM_UP_STEPS = 60
_NORMALISATION_BATCHES, _NORMALISATION_BATCH = 16, 32
_MEASURED_PICTURES = 1024
_LEAST_SPREAD = 0.01  # of a feature that hardly differs: it must not be blown up


@dataclass(frozen=True)
class PretrainingConfig:
    """A training as a whole; all but its length says which training a checkpoint belongs to.

    Attributes:
        seed: of the first weights, the order and the views; at least 0.
        epochs: how often each picture is seen.
        sizes_px: edges of the views of the first step, the second, and so on, over and over.
        batch_size: views a step.
        lr: learning rate of AdamW, which it reaches after the first steps.
        weight_decay: of AdamW.
        classes_weight: of the two cross entropies against the error of the statistics.
        mean_decay: of the running mean of the weights, a step, in [0, 1).
        held_out: share of the pictures, the last ones, that are not trained on but measured.
    """

    seed: int = 0
    epochs: int = EPOCHS
    sizes_px: tuple[int, ...] = (64, 64, 64, 96)
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.02
    classes_weight: float = 0.3
    mean_decay: float = 0.997
    held_out: float = 0.04


@dataclass(frozen=True)
class Epoch:
    """How an epoch went: a line of the training log.

    Attributes:
        epoch: from 1.
        loss: mean over the steps, of the three parts together.
        ground_accuracy: of the pictures that are not trained on, by the mean of the weights.
        flaw_accuracy: likewise.
        statistics_error: mean squared error of the standardised statistics, likewise; 1 is that of
            a guess.
        seconds: of wall time.
        processor_seconds: of this process on the CPU, all threads together.
    """

    epoch: int
    loss: float
    ground_accuracy: float
    flaw_accuracy: float
    statistics_error: float
    seconds: float
    processor_seconds: float


def train_backbone(
    backbone: Backbone,
    pool: Pool,
    config: PretrainingConfig,
    *,
    checkpoint: Path,
    device: str = "cpu",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Train a backbone of the registry, or go on where a checkpoint is.

    Args:
        backbone: what to train; its features are what comes out.
        pool: the pictures.
        config: how.
        checkpoint: file that each epoch is written to; one that belongs to another config is
            refused.
        device: a name torch knows.
        on_epoch: called after each epoch, once it is in the checkpoint; what it raises ends the
            training.

    Returns:
        The network's state dict on the CPU, float32, without heads.

    Raises:
        ValueError: the checkpoint belongs to another training.
    """
    n_trained = len(pool) - max(1, round(config.held_out * len(pool)))
    trainer = _Trainer(backbone, pool, config, n_trained=n_trained, device=device)
    first = trainer.restore(checkpoint) if checkpoint.is_file() else 0
    for epoch in range(first, config.epochs):
        began, began_cpu = time.perf_counter(), time.process_time()
        loss = trainer.train_one_epoch(epoch)
        measured = trainer.evaluate()
        trainer.save(checkpoint, epoch + 1)
        row = Epoch(
            epoch=epoch + 1,
            loss=round(loss, 4),
            **{name: round(value, 4) for name, value in measured.items()},
            seconds=round(time.perf_counter() - began, 1),
            processor_seconds=round(time.process_time() - began_cpu, 1),
        )
        log.info("epoch %d of %d: %s", epoch + 1, config.epochs, asdict(row))
        if on_epoch is not None:
            on_epoch(row)
    return trainer.finished_network()


class _Trainer:
    """The network with its three tasks, and all that changes from step to step."""

    def __init__(
        self,
        backbone: Backbone,
        pool: Pool,
        config: PretrainingConfig,
        *,
        n_trained: int,
        device: str,
    ) -> None:
        import torch

        from core.learning.pretraining.tasks import Tasks

        self.backbone, self.pool, self.config = backbone, pool, config
        self.n_trained, self.device = n_trained, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.tasks = Tasks(backbone)
        self.tasks.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean_tasks = copy.deepcopy(self.tasks).eval().requires_grad_(False)
        preprocessing = load_preprocessing(backbone)
        self.mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
        self.optimizer = torch.optim.AdamW(list(_grouped(self.tasks, config.weight_decay)))
        self.steps_done = 0
        self.center, self.scale = self._statistics_of_the_pool()

    def train_one_epoch(self, epoch: int) -> float:
        """The mean loss."""
        import torch

        self.tasks.train()
        generator = self._generator(epoch)
        order = torch.randperm(self.n_trained, generator=generator).numpy()
        size = self.config.batch_size
        losses = []
        for begin in range(0, self.n_trained - size + 1, size):
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.lr * min(1.0, (self.steps_done + 1) / _WARM_UP_STEPS)
            edge = self.config.sizes_px[self.steps_done % len(self.config.sizes_px)]
            loss = self._loss(*self._batch(np.sort(order[begin:][:size]), edge, generator))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.steps_done += 1
            self._follow()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def evaluate(self) -> dict[str, float]:
        """Accuracies, and the error of the statistics, on pictures that are not trained on."""
        import torch

        generator = self._generator(0)  # the same views after every epoch
        rows = np.arange(self.n_trained, len(self.pool))[:_MEASURED_PICTURES]
        right_grounds, right_flaws, errors = [], [], []
        with torch.inference_mode():
            for batch in np.array_split(rows, math.ceil(len(rows) / self.config.batch_size)):
                views, grounds, flaws = self._batch(batch, self.config.sizes_px[0], generator)
                told = self.mean_tasks(self._normalised(views))
                right_grounds.append(told.grounds.argmax(1) == grounds)
                right_flaws.append(told.flaws.argmax(1) == flaws)
                statistics = self._standardised(measure_statistics(views))
                errors.append((told.statistics - statistics).square().mean(1))
        return {
            "ground_accuracy": float(torch.cat(right_grounds).float().mean()),
            "flaw_accuracy": float(torch.cat(right_flaws).float().mean()),
            "statistics_error": float(torch.cat(errors).mean()),
        }

    def finished_network(self) -> dict[str, torch.Tensor]:
        """State of the mean network, its normalisations measured at the input size."""
        import torch
        from torch.nn.modules.batchnorm import _BatchNorm

        network = copy.deepcopy(self.mean_tasks.network).train()
        for layer in network.modules():
            if isinstance(layer, _BatchNorm):
                layer.reset_running_stats()
                layer.momentum = None  # the mean over all batches
        with torch.no_grad():
            for images in self._images_to_measure():
                network(images)
            network.eval()
            features = torch.cat([network(images) for images in self._images_to_measure()])
            network.centre.copy_(features.mean(dim=0))
            network.spread.copy_(features.std(dim=0).clamp(min=_LEAST_SPREAD))
        return {name: tensor.cpu() for name, tensor in network.state_dict().items()}

    def _images_to_measure(self) -> Iterator[torch.Tensor]:
        """Batches at the input size, the same ones each time."""
        generator = self._generator(self.config.epochs)
        rng = np.random.default_rng(self.config.seed)
        for _ in range(_NORMALISATION_BATCHES):
            rows = np.sort(rng.integers(0, self.n_trained, _NORMALISATION_BATCH))
            views, _, _ = self._batch(rows, self.backbone.input_size_px, generator)
            yield self._normalised(views)

    def _follow(self) -> None:
        """Move the mean of the weights a step on; at first it forgets faster where it began."""
        import torch

        decay = min(self.config.mean_decay, self.steps_done / (self.steps_done + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.mean_tasks.state_dict().values(), self.tasks.state_dict().values(), strict=True
            ):
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - decay)

    def save(self, path: Path, epochs_done: int) -> None:
        import torch

        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        torch.save(
            {**self._state(), "epochs_done": epochs_done, "belongs_to": self._name()}, beside
        )
        beside.replace(path)

    def restore(self, path: Path) -> int:
        """Epochs that the checkpoint has behind it."""
        import torch

        kept: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        if kept["belongs_to"] != self._name():
            raise ValueError(f"{path} belongs to another training: {kept['belongs_to']}")
        self.tasks.load_state_dict(kept["tasks"])
        self.mean_tasks.load_state_dict(kept["mean_tasks"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.steps_done = int(kept["steps_done"])
        return int(kept["epochs_done"])

    def _state(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks.state_dict(),
            "mean_tasks": self.mean_tasks.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps_done": self.steps_done,
        }

    def _name(self) -> str:
        # A longer training begins as a shorter one does.
        fixed = replace(self.config, epochs=0)
        return f"{self.backbone.name}, {len(self.pool)} pictures, {fixed}"

    def _generator(self, epoch: int) -> torch.Generator:
        import torch

        state = np.random.SeedSequence([self.config.seed, epoch]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))

    def _batch(
        self, rows: np.ndarray, size_px: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Views (n, 3, size, size) in [0, 1], with their grounds and flaws (n,)."""
        import torch

        pictures = torch.from_numpy(np.array(self.pool.pictures[rows])).to(self.device)
        views = make_views(pictures, size_px=size_px, generator=generator)
        grounds, flaws = (
            torch.from_numpy(classes[rows]).to(self.device)
            for classes in (self.pool.grounds, self.pool.flaws)
        )
        return views, grounds, flaws

    def _loss(
        self, views: torch.Tensor, grounds: torch.Tensor, flaws: torch.Tensor
    ) -> torch.Tensor:
        from torch.nn.functional import cross_entropy, mse_loss

        told = self.tasks(self._normalised(views))
        statistics = self._standardised(measure_statistics(views))
        classes = cross_entropy(told.grounds, grounds) + cross_entropy(told.flaws, flaws)
        return mse_loss(told.statistics, statistics) + self.config.classes_weight * classes

    def _normalised(self, views: torch.Tensor) -> torch.Tensor:
        import torch

        return ((views - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _standardised(self, statistics: torch.Tensor) -> torch.Tensor:
        return ((statistics - self.center) / self.scale).clamp(-4, 4)

    def _statistics_of_the_pool(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation (n_statistics,) over views of some of the pictures."""
        import torch

        rows = np.linspace(0, self.n_trained - 1, min(_MEASURED_PICTURES, self.n_trained)).astype(
            int
        )
        size_px = self.config.sizes_px[0]
        views, _, _ = self._batch(np.unique(rows), size_px, self._generator(0))
        statistics = measure_statistics(views)
        return statistics.mean(dim=0), statistics.std(dim=0).clamp(min=torch.finfo().eps)


def _grouped(tasks: nn.Module, weight_decay: float) -> Iterator[dict[str, object]]:
    """Parameters by whether they decay: kernels do, biases and normalisation do not."""
    parameters = list(tasks.parameters())
    yield {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay}
    yield {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}
