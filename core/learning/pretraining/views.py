"""What of a generated picture does the network see in one step?

A view is a part of the picture, turned, mirrored and stretched, under another light, blurred or
grainy: all that must not change which ground and which flaw it shows. Everything is drawn from one
generator and done to a whole batch at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIDES = (0.4, 0.9)  # of the part that is seen, as a share of the picture's edge
_BLURS_PX = (0.6, 1.0, 1.7)  # standard deviations, at a view of 96 px


def make_views(pictures: torch.Tensor, *, size_px: int, generator: torch.Generator) -> torch.Tensor:
    """A view of each picture.

    Args:
        pictures: uint8 (n, edge, edge, 3), RGB.
        size_px: edge of the views.
        generator: on the CPU; the same state makes the same views.

    Returns:
        float32 (n, 3, size_px, size_px) in [0, 1], on the device of the pictures.
    """
    planes = pictures.permute(0, 3, 1, 2).float() / 255  # (n, 3, edge, edge)
    views = _placed(planes, size_px, generator)
    views = _lit(views, generator)
    return _taken(views, generator).clamp(0, 1)


def _uniform(
    low: float, high: float, shape: tuple[int, ...], like: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    import torch

    return (low + (high - low) * torch.rand(shape, generator=generator)).to(like.device)


def _chance(share: float, like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """True for that share of a batch: bool (n, 1, 1, 1)."""
    return _uniform(0, 1, (len(like), 1, 1, 1), like, generator) < share


def _placed(planes: torch.Tensor, size_px: int, generator: torch.Generator) -> torch.Tensor:
    """Another part of each picture, turned by any angle or by none, mirrored, stretched."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(planes)
    side = _uniform(*SIDES, (n,), planes, generator)
    stretch = torch.exp(_uniform(-0.2, 0.2, (n,), planes, generator))
    quarters = torch.round(_uniform(0, 4, (n,), planes, generator)) * (torch.pi / 2)
    free = _uniform(0, 1, (n,), planes, generator) < 0.5
    angle = torch.where(free, _uniform(0, 2 * torch.pi, (n,), planes, generator), quarters)
    mirror = torch.where(_uniform(0, 1, (n,), planes, generator) < 0.5, -1.0, 1.0)
    room = 1 - side
    shift_x = room * _uniform(-1, 1, (n,), planes, generator)
    shift_y = room * _uniform(-1, 1, (n,), planes, generator)
    cos, sin = torch.cos(angle) * side, torch.sin(angle) * side
    rows = (
        torch.stack([mirror * cos * stretch, -sin, shift_x], dim=1),
        torch.stack([mirror * sin * stretch, cos, shift_y], dim=1),
    )
    where = affine_grid(torch.stack(rows, dim=1), [n, 3, size_px, size_px], align_corners=False)
    return grid_sample(planes, where, padding_mode="reflection", align_corners=False)


def _lit(views: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Another exposure, contrast, tint; sometimes without colour, or as a negative."""
    import torch

    one = (len(views), 1, 1, 1)
    views = torch.where(_chance(0.1, views, generator), 1 - views, views)
    grey = views.mean(dim=1, keepdim=True).expand_as(views)
    views = torch.where(_chance(0.3, views, generator), grey, views)
    views = views * _uniform(0.85, 1.15, (len(views), 3, 1, 1), views, generator)
    views = views.clamp(1e-4, 1) ** torch.exp(_uniform(-0.5, 0.5, one, views, generator))
    mean = views.mean(dim=(1, 2, 3), keepdim=True)
    contrast = torch.exp(_uniform(-1.0, 0.4, one, views, generator))
    return (views - mean) * contrast + mean + _uniform(-0.15, 0.15, one, views, generator)


def _taken(views: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """As a camera takes it: out of focus, or with noise."""
    import torch
    from torch.nn.functional import conv2d, pad

    strength = _uniform(0, len(_BLURS_PX) / 0.45, (len(views),), views, generator).long()
    views = views.clone()
    for number, blur_px in enumerate(_BLURS_PX):
        chosen = (strength == number).nonzero().flatten()
        if not len(chosen):
            continue
        sigma = blur_px * views.shape[-1] / 96
        reach = max(1, round(2.5 * sigma))
        offsets = torch.arange(-reach, reach + 1, device=views.device)
        weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
        weights = (weights / weights.sum()).repeat(3, 1, 1, 1)  # (3, 1, 1, taps)
        part = pad(views[chosen], (reach, reach, reach, reach), mode="reflect")
        part = conv2d(part, weights, groups=3)
        views[chosen] = conv2d(part, weights.transpose(2, 3), groups=3)
    noisy = _chance(0.4, views, generator) * _uniform(
        0, 0.05, (len(views), 1, 1, 1), views, generator
    )
    return views + noisy * torch.randn(views.shape, generator=generator).to(views.device)
