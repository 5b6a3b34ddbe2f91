"""What is a network asked of a generated picture? Its ground, its flaw, its texture's statistics.

This module loads torch: import it where a network is trained.
"""

from typing import NamedTuple

import torch
from torch import nn

from core.images.procedural import FLAW_CLASSES, GROUND_CLASSES
from core.latent.backbones import Backbone, build_network
from core.learning.pretraining.statistics import N_STATISTICS


class Told(NamedTuple):
    """Answers to a batch: logits of grounds and flaws, and estimated statistics."""

    grounds: torch.Tensor
    flaws: torch.Tensor
    statistics: torch.Tensor


class Tasks(nn.Module):
    """A network under a linear layer a task.

    The layers read standardised features: as they are, pooled features differ little from image to
    image beside their mean, and hardly anything is learned from them.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network = build_network(backbone)
        self.standardise = nn.BatchNorm1d(backbone.n_features, affine=False)
        self.grounds = nn.Linear(backbone.n_features, len(GROUND_CLASSES))
        self.flaws = nn.Linear(backbone.n_features, len(FLAW_CLASSES))
        self.statistics = nn.Linear(backbone.n_features, N_STATISTICS)

    def forward(self, images: torch.Tensor) -> Told:
        features = self.standardise(self.network(images))
        return Told(self.grounds(features), self.flaws(features), self.statistics(features))
