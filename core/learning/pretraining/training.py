"""Train a network on generated pictures, from nothing.

Algorithm: a linear layer on the features tells the ground of a view, a second one its flaw, a third
estimates its texture statistics; the three losses are added up. Epochs begin with small views,
which cost little, and end with larger ones. At last batch normalisation is measured anew, at the
size at which the network will run.

Each epoch draws its order and its views from a generator of its own, seeded by seed and epoch, and
leaves a checkpoint: a training that was cut off goes on as if it had not been. On one kind of
processor with the same number of threads it ends with the same weights.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.images.procedural import FLAW_CLASSES, GROUND_CLASSES, Pool
from core.latent.backbones import Backbone, build_network, load_preprocessing
from core.learning.pretraining.statistics import N_STATISTICS, measure_statistics
from core.learning.pretraining.views import make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

_WARM_UP_SHARE = 0.04
_NORMALISATION_BATCHES, _NORMALISATION_BATCH = 16, 32
_MEASURED_PICTURES = 1024
_HEADS = ("ground", "flaw", "statistics")


@dataclass(frozen=True)
class Stage:
    """Epochs with views of one size."""

    size_px: int
    epochs: int


@dataclass(frozen=True)
class PretrainingConfig:
    """A training as a whole.

    Attributes:
        seed: of the first weights, the order and the views; at least 0.
        stages: in their order.
        batch_size: views a step.
        lr: highest learning rate of AdamW; it rises over the first steps and falls as a cosine.
        weight_decay: of AdamW.
        statistics_weight: of that loss against the two cross entropies.
        held_out: share of the pictures, the last ones, that are not trained on but measured.
    """

    seed: int = 0
    stages: tuple[Stage, ...] = (Stage(64, 10), Stage(96, 4), Stage(128, 1))
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 0.02
    statistics_weight: float = 1.0
    held_out: float = 0.04

    @property
    def epochs(self) -> int:
        return sum(stage.epochs for stage in self.stages)

    def size_px(self, epoch: int) -> int:
        """Edge of the views of an epoch, which count from 0."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage.size_px
            epoch -= stage.epochs
        raise ValueError(f"epoch must be below {self.epochs}")


@dataclass(frozen=True)
class Epoch:
    """How an epoch went: a line of the training log.

    Attributes:
        epoch: from 1.
        size_px: edge of the views.
        loss: mean over the steps, of the three parts together.
        ground_accuracy: of the pictures that are not trained on.
        flaw_accuracy: likewise.
        statistics_error: mean squared error of the standardised statistics, likewise.
        lr: at the end.
        seconds: of wall time.
    """

    epoch: int
    size_px: int
    loss: float
    ground_accuracy: float
    flaw_accuracy: float
    statistics_error: float
    lr: float
    seconds: float


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
    import torch

    n_trained = len(pool) - max(1, round(config.held_out * len(pool)))
    trainer = _Trainer(backbone, pool, config, n_trained=n_trained, device=device)
    first = trainer.restore(checkpoint) if checkpoint.is_file() else 0
    for epoch in range(first, config.epochs):
        began = time.perf_counter()
        loss = trainer.train_one_epoch(epoch)
        measured = trainer.evaluate(epoch)
        trainer.save(checkpoint, epoch + 1)
        row = Epoch(
            epoch=epoch + 1,
            size_px=config.size_px(epoch),
            loss=round(loss, 4),
            **{name: round(value, 4) for name, value in measured.items()},
            lr=float(trainer.schedule.get_last_lr()[0]),
            seconds=round(time.perf_counter() - began, 1),
        )
        log.info("epoch %d of %d: %s", epoch + 1, config.epochs, asdict(row))
        if on_epoch is not None:
            on_epoch(row)
    with torch.no_grad():
        trainer.measure_normalisation()
    return {
        name: tensor.detach().cpu().clone() for name, tensor in trainer.network.state_dict().items()
    }


class _Trainer:
    """The network with its three heads, and all that changes from step to step."""

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

        self.backbone, self.pool, self.config = backbone, pool, config
        self.n_trained, self.device = n_trained, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = build_network(backbone)
            sizes = (len(GROUND_CLASSES), len(FLAW_CLASSES), N_STATISTICS)
            self.heads = torch.nn.ModuleDict(
                {
                    name: torch.nn.Linear(backbone.n_features, n)
                    for name, n in zip(_HEADS, sizes, strict=True)
                }
            )
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.heads.to(device)
        preprocessing = load_preprocessing(backbone)
        self.mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
        self.steps_per_epoch = n_trained // config.batch_size
        self.optimizer = torch.optim.AdamW(
            list(_grouped(self.network, self.heads, config.weight_decay)), lr=config.lr
        )
        n_steps = max(1, self.steps_per_epoch * config.epochs)
        warm_up = max(1, round(_WARM_UP_SHARE * n_steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: _share_of_lr(step, warm_up=warm_up, n_steps=n_steps)
        )
        self.center, self.scale = self._statistics_of_the_pool()

    def train_one_epoch(self, epoch: int) -> float:
        """The mean loss."""
        import torch

        self.network.train()
        generator = self._generator(epoch)
        order = torch.randperm(self.n_trained, generator=generator).numpy()
        losses = []
        for step in range(self.steps_per_epoch):
            rows = order[step * self.config.batch_size :][: self.config.batch_size]
            views, grounds, flaws = self._batch(rows, self.config.size_px(epoch), generator)
            loss = self._loss(views, grounds, flaws)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Accuracies, and the error of the statistics, on pictures that are not trained on."""
        import torch

        self.network.eval()
        generator = self._generator(0)  # the same views after every epoch of a size
        rows = np.arange(self.n_trained, len(self.pool))[:_MEASURED_PICTURES]
        right_grounds, right_flaws, errors = [], [], []
        with torch.inference_mode():
            for batch in np.array_split(rows, math.ceil(len(rows) / self.config.batch_size)):
                views, grounds, flaws = self._batch(batch, self.config.size_px(epoch), generator)
                features = self.network(self._normalised(views))
                right_grounds.append(self.heads["ground"](features).argmax(1) == grounds)
                right_flaws.append(self.heads["flaw"](features).argmax(1) == flaws)
                statistics = self._standardised(measure_statistics(views))
                errors.append((self.heads["statistics"](features) - statistics).square().mean(1))
        return {
            "ground_accuracy": float(torch.cat(right_grounds).float().mean()),
            "flaw_accuracy": float(torch.cat(right_flaws).float().mean()),
            "statistics_error": float(torch.cat(errors).mean()),
        }

    def measure_normalisation(self) -> None:
        """Take the statistics of batch normalisation anew, from pictures at the input size."""
        from torch.nn.modules.batchnorm import _BatchNorm

        layers = [module for module in self.network.modules() if isinstance(module, _BatchNorm)]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
        self.network.train()
        generator = self._generator(self.config.epochs)
        rng = np.random.default_rng(self.config.seed)
        for _ in range(_NORMALISATION_BATCHES):
            rows = np.sort(rng.integers(0, self.n_trained, _NORMALISATION_BATCH))
            views, _, _ = self._batch(rows, self.backbone.input_size_px, generator)
            self.network(self._normalised(views))
        self.network.eval()

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
        self.network.load_state_dict(kept["network"])
        self.heads.load_state_dict(kept["heads"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.schedule.load_state_dict(kept["schedule"])
        return int(kept["epochs_done"])

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def _name(self) -> str:
        return f"{self.backbone.name}, {len(self.pool)} pictures, {self.config}"

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
        from torch.nn.functional import cross_entropy, smooth_l1_loss

        features = self.network(self._normalised(views))
        statistics = self._standardised(measure_statistics(views))
        return (
            cross_entropy(self.heads["ground"](features), grounds)
            + cross_entropy(self.heads["flaw"](features), flaws)
            + self.config.statistics_weight
            * smooth_l1_loss(self.heads["statistics"](features), statistics)
        )

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
        size_px = self.config.size_px(0)
        views, _, _ = self._batch(np.unique(rows), size_px, self._generator(0))
        statistics = measure_statistics(views)
        return statistics.mean(dim=0), statistics.std(dim=0).clamp(min=torch.finfo().eps)


def _grouped(
    network: nn.Module, heads: nn.Module, weight_decay: float
) -> Iterator[dict[str, object]]:
    """Parameters by whether they decay: kernels do, biases and normalisation do not."""
    parameters = [*network.parameters(), *heads.parameters()]
    yield {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay}
    yield {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}


def _share_of_lr(step: int, *, warm_up: int, n_steps: int) -> float:
    """Of the highest learning rate, in (0, 1]."""
    if step < warm_up:
        return (step + 1) / warm_up
    return max(1e-3, 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, n_steps - warm_up))))
