"""Many pictures drawn once and kept on disk, so that every epoch of a training only reads them.

Picture i of a seed is the same however many are drawn and by however many processes. The pool lies
in one folder: `pictures.npy` (n, size, size, 3) and `classes.npy` (n, 2), each of which `numpy`
maps into memory.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from core.images.procedural.flaws import FLAW_CLASSES, add_flaw
from core.images.procedural.grounds import GROUND_CLASSES, draw_ground

_NO_FLAW_SHARE = 0.2
_BATCH = 64


@dataclass(frozen=True)
class Pool:
    """Pictures and what they show.

    Attributes:
        pictures: uint8 (n, size, size, 3), RGB, mapped from disk.
        grounds: int64 (n,), places in `GROUND_CLASSES`.
        flaws: int64 (n,), places in `FLAW_CLASSES`.
    """

    pictures: np.ndarray
    grounds: np.ndarray
    flaws: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


def draw_picture(number: int, *, seed: int, size: int) -> tuple[np.ndarray, int, int]:
    """Picture `number` of a seed.

    Args:
        number: at least 0; consecutive numbers go through all grounds.
        seed: at least 0.
        size: edge in pixels, at least 32.

    Returns:
        uint8 (size, size, 3), the place of its ground in `GROUND_CLASSES`, and that of its flaw in
        `FLAW_CLASSES`; a fifth of the pictures has none.

    Raises:
        ValueError: `number`, `seed` or `size` is out of range.
    """
    if number < 0 or seed < 0 or size < 32:
        raise ValueError(
            f"number and seed must be at least 0 and size at least 32, got {number}, {seed}, {size}"
        )
    rng = np.random.default_rng([seed, number])
    ground = number % len(GROUND_CLASSES)
    flawless = rng.random() < _NO_FLAW_SHARE
    flaw = 0 if flawless else int(rng.integers(1, len(FLAW_CLASSES)))
    picture = draw_ground(GROUND_CLASSES[ground], rng, size)
    picture = add_flaw(FLAW_CLASSES[flaw], picture, rng)
    return np.round(picture * 255).astype(np.uint8), ground, flaw


def make_pool(
    folder: Path,
    *,
    n_pictures: int,
    seed: int,
    size: int,
    n_processes: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Pool:
    """Draw a pool, or open it where it lies already.

    Args:
        folder: made where it is missing; named after what is in it, for it is not looked at.
        n_pictures: at least 1.
        seed: at least 0.
        size: edge in pixels, at least 32.
        n_processes: that draw, at least 1.
        on_progress: called with pictures done and in all.
    """
    if not (folder / "pictures.npy").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / "pictures.part"
        pictures = np.lib.format.open_memmap(
            beside, mode="w+", dtype=np.uint8, shape=(n_pictures, size, size, 3)
        )
        classes = np.zeros((n_pictures, 2), dtype=np.int64)
        # Spawned: a fork of a process whose libraries run threads can wait for ever.
        context = multiprocessing.get_context("spawn")
        with context.Pool(n_processes, initializer=_be_nice) as processes:
            draw = partial(draw_picture, seed=seed, size=size)
            for number, (picture, ground, flaw) in enumerate(
                processes.imap(draw, range(n_pictures), chunksize=_BATCH)
            ):
                pictures[number] = picture
                classes[number] = ground, flaw
                if on_progress is not None and (number + 1) % _BATCH == 0:
                    on_progress(number + 1, n_pictures)
        pictures.flush()
        np.save(folder / "classes.npy", classes)
        beside.replace(folder / "pictures.npy")
    return open_pool(folder)


def open_pool(folder: Path) -> Pool:
    """The pool that `make_pool` has drawn into a folder."""
    classes = np.load(folder / "classes.npy", allow_pickle=False)
    pictures = np.load(folder / "pictures.npy", mmap_mode="r", allow_pickle=False)
    return Pool(pictures, classes[:, 0], classes[:, 1])


def contact_sheet(pool: Pool, *, columns: int = 24) -> Image.Image:
    """The first pictures of a pool, a row each `columns`, to look at."""
    rows = min(len(pool), columns * columns // 2) // columns
    shown = np.asarray(pool.pictures[: rows * columns])
    size = shown.shape[1]
    laid = shown.reshape(rows, columns, size, size, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(laid.reshape(rows * size, columns * size, 3))


def _be_nice() -> None:
    """Let whoever works at the machine go first."""
    if hasattr(os, "nice"):
        os.nice(10)
