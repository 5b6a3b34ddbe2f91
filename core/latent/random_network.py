"""A network that has learned nothing and yet tells images apart, to measure others against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.latent.backbones import Backbone, build_network

if TYPE_CHECKING:
    import torch
    from torch import nn


def draw_random_network(backbone: Backbone, *, seed: int) -> nn.Module:
    """A random network whose features tell images apart.

    With the statistics that batch normalisation begins with, 0 and 1, the activations of an
    untrained MobileNet-V2 shrink to 1e-10 on their way, so they are measured once, on noise.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(backbone).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the mean over all batches: here of the only one
                module.train()
        with torch.no_grad():
            network(_noise_images(4, backbone.input_size_px))
    return network


def _noise_images(n: int, size_px: int) -> torch.Tensor:
    """Noise from coarse to fine, as photographs have it, of about unit variance."""
    import torch
    from torch.nn.functional import interpolate

    octaves = [torch.randn(n, 3, cells, cells) for cells in (4, 16, 64, size_px)]
    images = [interpolate(octave, size=(size_px, size_px), mode="bilinear") for octave in octaves]
    return torch.stack(images).sum(dim=0) / len(images) ** 0.5
