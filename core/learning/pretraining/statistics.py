"""Which numbers describe the texture of a view?

The network learns to tell them from its features, which it can only where these still know scale,
direction, contrast, sharpness and colour: what a linear head on them needs later, and what a
classification alone would let it forget.

Source:
    Portilla & Simoncelli (2000), "A parametric texture model based on joint statistics of complex
    wavelet coefficients", doi:10.1023/A:1026553619983: energies, directions and higher moments of
    a pyramid are taken over from it, in a simpler form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

N_LEVELS = 4
_PER_LEVEL = 7
N_STATISTICS = N_LEVELS * _PER_LEVEL + 7
_FAINT = 1e-5  # energy of a hundredth of a grey level and less is none


def measure_statistics(views: torch.Tensor) -> torch.Tensor:
    """Statistics of views.

    On each level of a pyramid of the luminance: the logarithm of the gradient's energy, its
    direction as the cosine and sine of twice the angle, weighted by how much of one direction it
    is, the energy of the second derivative, how peaked that is (a few edges or grain
    everywhere), its skew (bright or dark spots), and how unevenly energy lies over the picture. Of
    the whole: mean and spread of red, green and blue, and the skew of the luminance.

    Args:
        views: float32 (n, 3, size, size) in [0, 1].

    Returns:
        float32 (n, N_STATISTICS).
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

    luminance = views.mean(dim=1, keepdim=True)  # (n, 1, size, size)
    found = []
    for level in range(N_LEVELS):
        across = (luminance[..., 1:-1, 2:] - luminance[..., 1:-1, :-2]) / 2
        down = (luminance[..., 2:, 1:-1] - luminance[..., :-2, 1:-1]) / 2
        middle = luminance[..., 1:-1, 1:-1]
        second = 4 * middle - (
            luminance[..., 1:-1, 2:]
            + luminance[..., 1:-1, :-2]
            + luminance[..., 2:, 1:-1]
            + luminance[..., :-2, 1:-1]
        )
        local = across.square() + down.square()
        energy = local.mean(dim=(1, 2, 3)) + _FAINT
        curved = second.square().mean(dim=(1, 2, 3)) + _FAINT
        blocks = adaptive_avg_pool2d(local, 4).flatten(1)
        found += [
            energy.log(),
            (across.square() - down.square()).mean(dim=(1, 2, 3)) / energy,
            (2 * across * down).mean(dim=(1, 2, 3)) / energy,
            curved.log(),
            second.abs().mean(dim=(1, 2, 3)) / curved.sqrt(),
            (second**3).mean(dim=(1, 2, 3)) / curved**1.5,
            blocks.std(dim=1) / (blocks.mean(dim=1) + _FAINT),
        ]
        if level < N_LEVELS - 1:
            luminance = avg_pool2d(luminance, 2)
    colours = views.flatten(2)
    found += [*colours.mean(dim=2).unbind(1), *(colours.std(dim=2) + 0.01).log().unbind(1)]
    flat = views.mean(dim=1).flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    found.append((centred**3).mean(dim=1) / (centred.square().mean(dim=1) + 1e-4) ** 1.5)
    return torch.stack(found, dim=1).clamp(-20, 20)
