"""What does the backbone that comes with the app see? A small ResNet, read at every depth.

It is torchvision's ResNet of basic blocks, one a stage, at half width. What is told of a surface
lies at all depths of a network: grain and contrast early, shapes late. Features are therefore the
averages of all stages over the image, which tell its texture, and their maxima, which tell a small
flaw on it. Reasons and figures are in docs/decisions/0019-a-bundled-backbone.md.

This module loads torch: import it where a network is built.
"""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn

from core.latent.torch_setup import import_torchvision

_WIDTHS = (32, 64, 128, 256)  # channels of the stages: half of a ResNet's
N_AVERAGES = sum(_WIDTHS)
N_FEATURES = 2 * N_AVERAGES  # the averages first, then the maxima


class LevelsNetwork(nn.Module):
    """Four stages of a ResNet under a head: (n, 3, h, w) → (n, N_FEATURES).

    Attributes:
        conv1, bn1, layer1, layer2, layer3, layer4: named as in torchvision's ResNet.
        levels: gives the stages' outputs on, by their names; a place to look at them.
        centre: what is taken from each feature, the mean over generated pictures once trained.
        spread: what each is divided by, their standard deviation. Without the two, features
            differ little from image to image beside their mean, and a head learns slowly.
        head: what stands behind the features; an identity at first.
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        block = import_torchvision().models.resnet.BasicBlock
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(block(_WIDTHS[0], _WIDTHS[0]))
        self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(block(before, width, stride=2, downsample=_shortcut(before, width)))
            for before, width in pairwise(_WIDTHS)
        )
        self.levels = Levels()
        self.register_buffer("centre", torch.zeros(N_FEATURES))
        self.register_buffer("spread", torch.ones(N_FEATURES))
        self.head = nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        first = self.layer1(stem)
        second = self.layer2(first)
        third = self.layer3(second)
        levels = self.levels(first, second, third, self.layer4(third))
        averages = [level.mean(dim=(2, 3)) for level in levels.values()]
        maxima = [level.amax(dim=(2, 3)) for level in levels.values()]
        features = torch.cat([*averages, *maxima], dim=1)
        return self.head((features - self.centre) / self.spread)


class Levels(nn.Module):
    """The outputs of stages as a pyramid's levels, finest first, none of them changed."""

    def forward(self, *outputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return OrderedDict((str(number), output) for number, output in enumerate(outputs))


def _shortcut(before: int, width: int) -> nn.Sequential:
    """What a block adds its input through where it halves the image and widens the channels."""
    return nn.Sequential(nn.Conv2d(before, width, 1, stride=2, bias=False), nn.BatchNorm2d(width))
