"""How do a panel and its defects become one picture?

The panel is drawn from one stream of the seed and the defects from another, so that the panel of a
seed is the same whatever lies on it. Each defect is rendered on a window of the panel's own
surface; outside the boxes the picture is the faultless panel's, byte by byte.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.images.synthetic.defects import (
    DEFECT_CLASSES,
    LATE_CLASSES,
    MULTIPLE,
    Defect,
    draw_defect,
)
from core.images.synthetic.panel import FRAME_PX, expose, photograph
from core.images.synthetic.radiance import Scene, defect_light, draw_scene, panel_light

_SMALLEST_PX = 32
_MARGIN_PX = 4
_SHEET_GAP_PX = 4

# A defect that the light hides is drawn anew: what nobody can see deserves no label. Contrast is in
# display values, 0 to 1, after reduction by three, which is about what a 224-pixel network sees.
_REDUCTION = 3
_MIN_CONTRAST = {
    "dirt": 0.09,
    "drop": 0.06,
    "scratch": 0.07,
    "watermark": 0.032,
    "fingerprint": 0.032,
}
# Flake hides faint rims: so many times its contrast is asked for in addition.
_FLAKE_HIDES = 3.5
# Share of the defect's extent that must have at least that contrast.
_MIN_SEEN = {"dirt": 0.28, "drop": 0.22, "scratch": 0.45, "watermark": 0.4, "fingerprint": 0.4}
_MAX_DRAWS = 12
# Change of linear light that no picture shows: one grey level in the darkest paint, less elsewhere.
_LEAST_CHANGE = 8e-4


@dataclass(frozen=True)
class DefectBox:
    """The upright box that holds all a defect changes, in pixels from the top left corner."""

    label: str
    x: int
    y: int
    width: int
    height: int


class _Region(NamedTuple):
    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class _Placed:
    """A defect rendered: its light (3, height, width) from `top`, `left` on, and how it shows."""

    top: int
    left: int
    linear: np.ndarray
    seen: float


def render_panel(*, seed: int, size: int = FRAME_PX) -> np.ndarray:
    """Picture of the faultless panel of `seed`.

    Args:
        seed: at least 0; the same seed gives the same bytes.
        size: edge in pixels, from 32 to 640, the camera's own.

    Returns:
        uint8 array (size, size, 3), red, green, blue.

    Raises:
        ValueError: `seed` or `size` is out of range.
    """
    _check(seed, size)
    scene = _scene(seed)
    return _resize(photograph(panel_light(scene), scene.panel), size)


def render_image(
    label: str, *, seed: int, size: int = FRAME_PX
) -> tuple[np.ndarray, tuple[DefectBox, ...]]:
    """Picture of the panel of `seed` with a defect of class `label`.

    Args:
        label: one of `DEFECT_CLASSES` or `LATE_CLASSES`, or "multiple" for two or three defects of
            different `DEFECT_CLASSES`.
        seed: at least 0; the same seed gives the same panel under every label.
        size: edge in pixels, from 32 to 640, the camera's own.

    Returns:
        The picture, a uint8 array (size, size, 3), and a box for every defect.

    Raises:
        ValueError: `label` is unknown, `seed` or `size` is out of range.
    """
    _check(seed, size)
    known_labels = (*DEFECT_CLASSES, *LATE_CLASSES, MULTIPLE)
    if label not in known_labels:
        known = ", ".join(known_labels)
        raise ValueError(f"label must be one of {known}, got {label!r}")
    scene = _scene(seed)
    linear = panel_light(scene)
    rng = np.random.default_rng([seed, 1])
    boxes = []
    for kind, region in _assign_regions(label, rng):
        placed = _place(kind, region, scene, linear, rng)
        height, width = placed.linear.shape[1:]
        rows, columns = np.s_[placed.top : placed.top + height, placed.left : placed.left + width]
        linear[:, rows, columns] = placed.linear
        # The lens spreads light by one pixel on each side.
        boxes.append(DefectBox(kind, placed.left - 1, placed.top - 1, width + 2, height + 2))
    picture = _resize(photograph(linear, scene.panel), size)
    return picture, tuple(_scale_box(box, size) for box in boxes)


def contact_sheet(
    images: Sequence[np.ndarray], *, columns: int = 8, cell_px: int = 224
) -> Image.Image:
    """Lay pictures out in rows, to look at many at once.

    Args:
        images: uint8 arrays (height, width, 3), at least one.
        columns: pictures in a row, at least 1.
        cell_px: edge of each picture on the sheet, at least 1.

    Raises:
        ValueError: no images, or `columns` or `cell_px` below 1.
    """
    if not images:
        raise ValueError("a contact sheet needs at least one image, got none")
    if columns < 1 or cell_px < 1:
        raise ValueError(f"columns and cell_px must be at least 1, got {columns} and {cell_px}")
    rows = -(-len(images) // columns)
    columns = min(columns, len(images))
    pitch = cell_px + _SHEET_GAP_PX
    sheet = Image.new(
        "RGB", (columns * pitch + _SHEET_GAP_PX, rows * pitch + _SHEET_GAP_PX), "white"
    )
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        cell = Image.fromarray(image).resize((cell_px, cell_px), Image.Resampling.LANCZOS)
        sheet.paste(cell, (column * pitch + _SHEET_GAP_PX, row * pitch + _SHEET_GAP_PX))
    return sheet


def _scene(seed: int) -> Scene:
    return draw_scene(np.random.default_rng([seed, 0]))


def _assign_regions(label: str, rng: np.random.Generator) -> list[tuple[str, _Region]]:
    """Say which classes to draw, and where each has room."""
    if label != MULTIPLE:
        whole = FRAME_PX - 2 * _MARGIN_PX
        return [(label, _Region(_MARGIN_PX, _MARGIN_PX, whole, whole))]
    n_defects = int(rng.choice([2, 3], p=[0.7, 0.3]))
    kinds = rng.permutation(DEFECT_CLASSES)[:n_defects]
    cut_y, cut_x = rng.integers(int(0.4 * FRAME_PX), int(0.6 * FRAME_PX), 2)
    quarters = [
        _Region(
            top + _MARGIN_PX, left + _MARGIN_PX, height - 2 * _MARGIN_PX, width - 2 * _MARGIN_PX
        )
        for top, height in ((0, int(cut_y)), (int(cut_y), FRAME_PX - int(cut_y)))
        for left, width in ((0, int(cut_x)), (int(cut_x), FRAME_PX - int(cut_x)))
    ]
    # A quarter for each keeps their boxes apart.
    chosen = rng.permutation(4)[:n_defects]
    return [(str(kind), quarters[place]) for kind, place in zip(kinds, chosen, strict=True)]


def _place(
    kind: str, region: _Region, scene: Scene, linear: np.ndarray, rng: np.random.Generator
) -> _Placed:
    """Draw a defect in the region until the light shows it, or take the best of the draws."""
    room_px = (region.height, region.width)
    needed = _MIN_CONTRAST[kind] * (1.0 + _FLAKE_HIDES * scene.panel.flake)
    draws: list[_Placed] = []
    while len(draws) < _MAX_DRAWS:
        defect = draw_defect(kind, rng, room_px=room_px, luminance=scene.panel.luminance)
        height, width = defect.shape
        top = region.top + int(rng.integers(0, region.height - height + 1))
        left = region.left + int(rng.integers(0, region.width - width + 1))
        before = linear[:, top : top + height, left : left + width]
        after = defect_light(scene, defect, top=top, left=left)
        draws.append(_compare(defect, before, after, top=top, left=left, least_contrast=needed))
        if draws[-1].seen >= _MIN_SEEN[kind]:
            break
    return max(draws, key=lambda placed: placed.seen)


def _compare(
    defect: Defect,
    before: np.ndarray,
    after: np.ndarray,
    *,
    top: int,
    left: int,
    least_contrast: float,
) -> _Placed:
    """Cut a rendered patch down to what it changes, and measure how much of the defect shows."""
    extent = _reduce(defect.extent)
    contrast = np.abs(expose(_reduce(after.mean(axis=0))) - expose(_reduce(before.mean(axis=0))))
    shown = extent[contrast >= least_contrast].sum()

    changed = (np.abs(after - before) > _LEAST_CHANGE).any(axis=0)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    first_row, last_row = (rows[0], rows[-1]) if rows.size else (0, defect.shape[0] - 1)
    first_column, last_column = (
        (columns[0], columns[-1]) if columns.size else (0, defect.shape[1] - 1)
    )
    return _Placed(
        top=top + int(first_row),
        left=left + int(first_column),
        linear=after[:, first_row : last_row + 1, first_column : last_column + 1],
        seen=float(shown / max(extent.sum(), 1e-6)),
    )


def _reduce(plane: np.ndarray) -> np.ndarray:
    """Mean over squares of `_REDUCTION` pixels of an array (height, width)."""
    rows, columns = (edge // _REDUCTION for edge in plane.shape)
    whole = plane[: rows * _REDUCTION, : columns * _REDUCTION]
    return whole.reshape(rows, _REDUCTION, columns, _REDUCTION).mean(axis=(1, 3))


def _resize(picture: np.ndarray, size: int) -> np.ndarray:
    if size == FRAME_PX:
        return picture
    # Area averages: a pixel outside a scaled box has seen nothing from inside the box.
    return np.array(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def _scale_box(box: DefectBox, size: int) -> DefectBox:
    """The smallest whole-pixel box that holds the box in a picture resized to `size`."""
    if size == FRAME_PX:
        return box
    scale = size / FRAME_PX
    left, top = int(box.x * scale), int(box.y * scale)
    right = min(math.ceil((box.x + box.width) * scale), size)
    bottom = min(math.ceil((box.y + box.height) * scale), size)
    return DefectBox(box.label, left, top, right - left, bottom - top)


def _check(seed: int, size: int) -> None:
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    if not _SMALLEST_PX <= size <= FRAME_PX:
        raise ValueError(f"size must be between {_SMALLEST_PX} and {FRAME_PX}, got {size}")
