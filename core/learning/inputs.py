"""What does a step of training see? Batches of pixels, or of what frozen layers made of them.

Both kinds of input answer the same call, `batch(rows, draw)`, so that the training loop is one.
All that is random about an epoch is drawn from its number and the seed, so that an epoch comes out
the same whether the run began with it or before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.latent.backbones import Preprocessing
from core.latent.embedding import default_workers, worker_pool

if TYPE_CHECKING:
    import torch
    from torch import nn

_BATCH_ROWS = 16  # through the frozen layers at once
_SHIFT, _SCALE, _LIGHT = 0.05, 0.1, 0.2


@dataclass(frozen=True)
class EpochDraw:
    """The chances of one epoch.

    Attributes:
        order: int64 (n_images,), the rows in the order in which they come.
        is_mirrored: bool (n_images,), by row.
        rng: draws the rest, batch by batch.
    """

    order: np.ndarray
    is_mirrored: np.ndarray
    rng: np.random.Generator


def draw_epoch(n_images: int, augmentations: Sequence[str], *, seed: int, epoch: int) -> EpochDraw:
    """Shuffle the rows and draw which of them are mirrored."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n_images)
    is_mirrored = rng.random(n_images) < 0.5
    if "horizontal_flip" not in augmentations:
        is_mirrored[:] = False
    return EpochDraw(order, is_mirrored, rng)


class Inputs(Protocol):
    """A set of images as the trained layers take them."""

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray, draw: EpochDraw | None) -> tuple[torch.Tensor, ...]:
        """The arguments of the trained layers for these rows, on their device.

        Args:
            rows: int64 (n,).
            draw: the epoch's chances; None shows every image as it is.
        """
        ...


class PixelInputs:
    """Images for a network that trains from its first layer on.

    Args:
        pixels: uint8 (n_images, size, size, 3), RGB; may be mapped from disk.
        preprocessing: what the network expects.
        augmentations: names in the recipe.
        device: where the batches go.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        preprocessing: Preprocessing,
        *,
        augmentations: Sequence[str],
        device: str,
    ) -> None:
        import torch

        self._pixels = pixels
        self._augmentations = frozenset(augmentations)
        self._device = device
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1).to(device)
        self._shift = (-mean / std).view(1, 3, 1, 1).to(device)

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, rows: np.ndarray, draw: EpochDraw | None) -> tuple[torch.Tensor, ...]:
        """As `Inputs`: one tensor (n, 3, size, size), channels last in memory."""
        import torch

        # Channels last is how the pixels lie already: permuting copies nothing.
        images = torch.from_numpy(self._pixels[rows]).to(self._device).permute(0, 3, 1, 2).float()
        if draw is not None:
            images = self._augmented(images, rows, draw)
        return (images.mul_(self._scale).add_(self._shift),)

    def _augmented(self, images: torch.Tensor, rows: np.ndarray, draw: EpochDraw) -> torch.Tensor:
        import torch

        n = len(rows)
        mirrored = torch.from_numpy(draw.is_mirrored[rows]).to(images.device)
        images = _where(mirrored, images.flip(3), images) if mirrored.any() else images
        if "vertical_flip" in self._augmentations:
            turned = torch.from_numpy(draw.rng.random(n) < 0.5).to(images.device)
            images = _where(turned, images.flip(2), images)
        if "quarter_turns" in self._augmentations:
            turns = torch.from_numpy(draw.rng.integers(0, 4, n)).to(images.device)
            for quarter in (1, 2, 3):
                images = _where(turns == quarter, images.rot90(quarter, (2, 3)), images)
        if "shift_and_scale" in self._augmentations:
            images = _shift_and_scale(images, draw.rng)
        if "light" in self._augmentations:
            images = _relight(images, draw.rng)
        return images.contiguous(memory_format=torch.channels_last)


class ActivationInputs:
    """What the frozen layers make of each image, plain and mirrored, computed once.

    Args:
        tensors: one of those that cross the cut each, (n_views, n_images, ...): view 0 is the
            image as it is, view 1, if there is one, mirrored.
        device: where the batches go.
    """

    def __init__(self, tensors: Sequence[torch.Tensor], *, device: str) -> None:
        self._tensors = tuple(tensors)
        self._device = device

    def __len__(self) -> int:
        return self._tensors[0].shape[1]

    def batch(self, rows: np.ndarray, draw: EpochDraw | None) -> tuple[torch.Tensor, ...]:
        """As `Inputs`: the tensors that cross the cut."""
        import torch

        views = np.zeros(len(rows), np.int64)
        if draw is not None and self._tensors[0].shape[0] > 1:
            views = draw.is_mirrored[rows].astype(np.int64)
        chosen = torch.from_numpy(views), torch.from_numpy(rows)
        return tuple(tensor[chosen].to(self._device) for tensor in self._tensors)


def activation_bytes(shapes: Sequence[Sequence[int]], itemsizes: Sequence[int]) -> int:
    """What the activations of one view of one image take on disk."""
    return sum(
        math.prod(shape) * itemsize for shape, itemsize in zip(shapes, itemsizes, strict=True)
    )


def cache_activations(
    frozen: nn.Module,
    inputs: PixelInputs,
    *,
    with_mirrored: bool,
    folder: Path,
    autocast: Callable[[], AbstractContextManager],
    device: str,
    on_progress: Callable[[float, str], None],
) -> ActivationInputs:
    """Run the frozen layers over all images once and keep what they give in files of `folder`.

    Args:
        frozen: (images,) → the tensors that cross the cut, in evaluation mode, on `device`.
        inputs: the images, as they are.
        with_mirrored: also of the mirrored images.
        folder: an empty folder.
        autocast: the precision to compute in.
        device: where `frozen` is.
        on_progress: called with a fraction in [0, 1] and a line of text.
    """
    import torch

    n = len(inputs)
    views = [
        _all_mirrored(n, mirrored) for mirrored in ((False, True) if with_mirrored else (False,))
    ]
    kept: list[torch.Tensor] = []

    def compute(view: int, start: int) -> int:
        rows = np.arange(start, min(start + _BATCH_ROWS, n))
        with torch.inference_mode(), autocast():
            found = frozen(*inputs.batch(rows, views[view]))
        if not kept:
            kept.extend(_files(found, (len(views), n), folder))
        for tensor, values in zip(kept, found, strict=True):
            tensor[view, rows[0] : rows[-1] + 1] = values.cpu()
        return len(rows)

    blocks = [(view, start) for view in range(len(views)) for start in range(0, n, _BATCH_ROWS)]
    done = compute(*blocks[0])  # tells the shapes, before other threads compute
    with worker_pool(default_workers() if device == "cpu" else 1) as pool:
        try:
            for rows in pool.map(lambda block: compute(*block), blocks[1:]):
                done += rows
                on_progress(done / (n * len(views)), "Computing what the frozen layers see, once")
        finally:
            pool.shutdown(cancel_futures=True)
    return ActivationInputs(kept, device=device)


def _all_mirrored(n: int, mirrored: bool) -> EpochDraw | None:
    if not mirrored:
        return None
    return EpochDraw(np.arange(n), np.ones(n, bool), np.random.default_rng(0))


def _files(
    examples: Sequence[torch.Tensor], leading: tuple[int, int], folder: Path
) -> list[torch.Tensor]:
    """Tensors of `leading` times the shape of each example, mapped to files."""
    import torch

    tensors = []
    for place, example in enumerate(examples):
        shape = (*leading, *example.shape[1:])
        n_values = math.prod(shape)
        path = folder / f"activations-{place}.bin"
        with path.open("wb") as file:
            file.truncate(n_values * example.element_size())
        mapped = torch.from_file(str(path), shared=True, size=n_values, dtype=example.dtype)
        tensors.append(mapped.view(shape))
    return tensors


def _where(chosen: torch.Tensor, these: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return these.where(chosen.view(-1, 1, 1, 1), others)


def _shift_and_scale(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Each image moved and scaled by its own draw; what comes in at the border is mirrored."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n = len(images)
    scale = 1 + rng.uniform(-_SCALE, _SCALE, n)
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, :, 2] = rng.uniform(-2 * _SHIFT, 2 * _SHIFT, (n, 2))  # the square spans 2 units
    grid = affine_grid(
        torch.from_numpy(theta).to(images.device), list(images.shape), align_corners=False
    )
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _relight(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Brightness and contrast of each image changed by its own draw, within [0, 255]."""
    import torch

    factors = (1 + rng.uniform(-_LIGHT, _LIGHT, (2, len(images), 1, 1, 1))).astype(np.float32)
    brightness, contrast = torch.from_numpy(factors).to(images.device)
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean).mul_(brightness).clamp_(0, 255)
