"""Where in an image does a classifier see the evidence for a class? Grad-CAM, as a map and a PNG.

Algorithm:
1. Run the network. At the layer that the registry names, which still knows places, the graph of
   gradients begins: nothing before it has to be kept, whichever parameters train.
2. Bring the layer's output into the form of maps (n_channels, rows, columns): a transformer's
   tokens without the class token, a pyramid's levels at the size of the finest.
3. Weigh each map by the mean gradient of the class's logit over its places, add the maps up, keep
   what is positive (the `grad-cam` package), and stretch the sum over the network's input.

The input is the whole image, resized, so that the map stretched over the image lies exactly upon
what it shows. It says where the network looks, to the size of the layer's cells (a seventh of the
image's width, for most), not the outline of a defect.

Source:
    Selvaraju et al. (2017), "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", doi:10.1109/ICCV.2017.74
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from core.latent.backbones import Preprocessing, normalise
from core.latent.torch_setup import import_torchvision

if TYPE_CHECKING:
    import torch
    from torch import nn

# Viridis, as the scores on the pages: even steps of lightness, told apart by colour-blind eyes.
COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")

# The defect stays visible below the strongest evidence for it.
_MAX_OPACITY = 0.7

_N_SHADES = 256


def heat_map(
    network: nn.Module,
    pixels: np.ndarray,
    *,
    layer: str,
    preprocessing: Preprocessing,
    class_index: int,
) -> np.ndarray:
    """How much each place of an image speaks for a class, by this network.

    Args:
        network: a classifier, (n, 3, h, w) → logits (n, n_classes), in evaluation mode.
        pixels: uint8 array (size, size, 3), RGB: the whole image, resized to the network's square.
        layer: dotted name of the layer to explain, the registry's `heat_map_layer`.
        preprocessing: what the network was trained on.
        class_index: the class that is asked about, in [0, n_classes).

    Returns:
        float32 array (size, size) in [0, 1], higher = more evidence, 1 at the most. All 0 where
        nothing speaks for the class.

    Raises:
        ValueError: the network knows no such class.

    Source:
        Selvaraju et al. (2017), doi:10.1109/ICCV.2017.74
    """
    import torch

    import_torchvision()  # before grad-cam imports it
    from pytorch_grad_cam import GradCAM

    maps = torch.nn.Identity()

    def expose(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return _from_maps(maps(_as_maps(output).detach().requires_grad_()), output)

    def logit(logits: torch.Tensor) -> torch.Tensor:
        if not 0 <= class_index < len(logits):
            raise ValueError(f"class_index must lie in [0, {len(logits)}), got {class_index}")
        return logits[class_index]

    hook = network.get_submodule(layer).register_forward_hook(expose)
    try:
        images = normalise(torch.from_numpy(pixels)[None], preprocessing)
        return GradCAM(network, [maps])(images, [logit])[0]
    finally:
        hook.remove()


def overlay_png(heat_map: np.ndarray, *, width: int, height: int) -> bytes:
    """The heat map alone as a picture to lay over the image: the stronger, the less transparent.

    It has the image's aspect and no more pixels than the map has to show: the browser stretches it.

    Args:
        heat_map: float array (h, w) in [0, 1], higher = more evidence.
        width: of the image, in pixels.
        height: of the image, in pixels.

    Returns:
        An RGBA PNG.
    """
    scale = min(1.0, max(heat_map.shape) / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    strengths = np.asarray(
        Image.fromarray(heat_map.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    )
    shades = np.rint(strengths.clip(0, 1) * (_N_SHADES - 1)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(_shades()[shades]).save(file, format="PNG")
    return file.getvalue()


def _as_maps(output: Any) -> torch.Tensor:
    """A layer's output as (n, n_channels, rows, columns)."""
    import torch

    if isinstance(output, dict):  # a pyramid's levels, finest first
        levels = list(_averaged_levels(output).values())
        finest = levels[0].shape[2:]
        # Repeated values leave the mean of each level, which is its feature, as it is.
        return torch.cat(
            [torch.nn.functional.interpolate(level, finest, mode="nearest") for level in levels],
            dim=1,
        )
    if output.ndim == 3:  # a transformer's tokens, the class token first
        side = math.isqrt(output.shape[1] - 1)
        return output[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    return output


def _from_maps(maps: torch.Tensor, output: Any) -> Any:
    """Maps in the form that the layer's output had, for the layers behind it."""
    import torch

    if isinstance(output, dict):
        levels = _averaged_levels(output)
        channels = [level.shape[1] for level in levels.values()]
        return {**output, **dict(zip(levels, maps.split(channels, dim=1), strict=True))}
    if output.ndim == 3:
        return torch.cat([output[:, :1], maps.flatten(2).transpose(1, 2)], dim=1)
    return maps


def _averaged_levels(output: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The levels that `FeaturePyramid` makes features of: all but the coarsest, `pool`."""
    return {name: level for name, level in output.items() if name != "pool"}


def _shades() -> np.ndarray:
    """RGBA of each shade, uint8 (256, 4): colours and opacity grow evenly with strength."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS])
    strengths = np.linspace(0, 1, _N_SHADES)
    places = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(strengths, places, stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack([*channels, 255 * _MAX_OPACITY * strengths], axis=1)).astype(np.uint8)
