"""What does a detector's feature pyramid see in an image? One feature vector from all its scales.

The pyramid of Faster R-CNN (Lin et al. 2017, "Feature Pyramid Networks for Object Detection",
doi:10.1109/CVPR.2017.106) is used alone: the region proposals and the heads that read boxes from
it are neither built nor run, so that torchvision's compiled operators are not needed.

Decisions, with their reasons in docs/decisions/0010-features-of-a-pyramid.md:
- The four levels P2 to P5 are averaged over the image and joined, finest first: 4 x 256 features.
  The fifth, P6, is every second value of P5, whose average tells nothing that P5's does not.
- Images are 448 px wide, twice the classifiers' size, for a pyramid is there for what is small; the
  published 800 px would take three times as long.
- Batch normalisation is torch's own, of which torchvision's frozen one is the evaluation mode.

This module loads torch: import it where a network is built.
"""

import torch
from torch import nn

from core.latent.torch_setup import import_torchvision

_LEVELS = ("0", "1", "2", "3")  # torchvision's names of P2 to P5


class FeaturePyramid(nn.Module):
    """Faster R-CNN's ResNet-50 and feature pyramid under a head: (n, 3, h, w) → (n, 1024).

    Attributes:
        backbone: named as in torchvision's detector, so that its state dict fits.
        head: what stands behind the features; an identity at first.
    """

    def __init__(self) -> None:
        super().__init__()
        detection = import_torchvision().models.detection
        self.backbone = detection.backbone_utils.resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
        )
        self.head = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        levels = self.backbone(images)
        pooled = [levels[name].mean(dim=(2, 3)) for name in _LEVELS]  # each (n, 256)
        return self.head(torch.cat(pooled, dim=1))
