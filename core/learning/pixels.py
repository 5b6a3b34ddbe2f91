"""Images decoded and resized once, into one file that every epoch reads without decoding again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from core.images.reading import ImageRejected
from core.latent.backbones import Preprocessing
from core.latent.embedding import decode_into, default_workers, worker_pool

_BLOCK_ROWS = 32


def n_bytes(n_images: int, preprocessing: Preprocessing) -> int:
    """What the file takes on disk."""
    return n_images * preprocessing.size_px**2 * 3


def load_pixels(
    sources: Sequence[Path],
    path: Path,
    preprocessing: Preprocessing,
    *,
    max_pixels: int,
    on_progress: Callable[[float, str], None],
) -> np.ndarray:
    """The pixels of these images: uint8 (n_images, size, size, 3), mapped from `path`.

    A file that is there already is taken as it is: its name must say what is in it.

    Args:
        sources: image files, in the order of the rows.
        path: an `.npy` file; its folder must exist.
        max_pixels: images with more are refused before they are decoded.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Raises:
        ImageRejected: an image cannot be read.
    """
    size = preprocessing.size_px
    shape = (len(sources), size, size, 3)
    if not sources:
        return np.empty(shape, np.uint8)
    if path.exists():
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        if pixels.shape == shape:
            return pixels
    beside = path.with_name(f".{path.name}")
    pixels = np.lib.format.open_memmap(beside, mode="w+", dtype=np.uint8, shape=shape)

    def decode(start: int) -> int:
        for row in range(start, min(start + _BLOCK_ROWS, len(sources))):
            try:
                decode_into(pixels[row], sources[row], preprocessing, max_pixels=max_pixels)
            except ImageRejected as error:
                raise ImageRejected(f"{sources[row].name}: {error.reason}") from error
        return row + 1

    with worker_pool(default_workers()) as pool:
        try:
            for done in pool.map(decode, range(0, len(sources), _BLOCK_ROWS)):
                on_progress(done / len(sources), f"Reading images: {done:,} of {len(sources):,}")
        finally:
            pool.shutdown(cancel_futures=True)
    pixels.flush()
    beside.rename(path)
    return np.load(path, mmap_mode="r", allow_pickle=False)
