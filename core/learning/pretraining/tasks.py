"""What is a network asked of a generated picture? Its ground, its flaw, its texture's statistics.

This module loads torch: import it where a network is trained.
"""

from typing import NamedTuple, cast

import torch
from torch import nn

from core.images.procedural import FLAW_CLASSES, GROUND_CLASSES
from core.latent.backbones import Backbone, build_network
from core.latent.levels_network import N_AVERAGES, LevelsNetwork
from core.learning.pretraining.statistics import N_STATISTICS


class Told(NamedTuple):
    """Answers to a batch: logits of grounds and flaws, and estimated statistics."""

    grounds: torch.Tensor
    flaws: torch.Tensor
    statistics: torch.Tensor


class Tasks(nn.Module):
    """The bundled network under a linear layer a task.

    The layers read standardised features: as they are, pooled features differ little from image to
    image beside their mean, and hardly anything is learned from them. They read the averages alone,
    from which the statistics are learned sooner than with the maxima among them.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network = cast(LevelsNetwork, build_network(backbone))
        self.standardise = nn.BatchNorm1d(N_AVERAGES, affine=False)
        self.grounds = nn.Linear(N_AVERAGES, len(GROUND_CLASSES))
        self.flaws = nn.Linear(N_AVERAGES, len(FLAW_CLASSES))
        self.statistics = nn.Linear(N_AVERAGES, N_STATISTICS)

    def forward(self, images: torch.Tensor) -> Told:
        features = self.standardise(self.network(images)[:, :N_AVERAGES])
        return Told(self.grounds(features), self.flaws(features), self.statistics(features))
