"""What goes wrong on a ground: craters, cracks, dents, flaking, marks of rollers and the like.

A class is a kind of flaw, with how many there are and how large; the same ground may carry any of
them or none. The defects of `core.images.synthetic` (dirt, drops, scratches, watermarks) are left
out: what is measured on these must not have been taught here.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from PIL import Image, ImageDraw

from core.images.procedural.fields import band_noise, cells, grid, power_noise

NONE = "none"
FLAW_KINDS = (
    "crater",
    "blister",
    "dent",
    "crack",
    "pitting",
    "cloud",
    "flaking",
    "smear",
    "brush marks",
    "shards",
    "blobs",
    "roller marks",
    "crease",
    "foreign patch",
    "haze",
)
_AMOUNTS = {"few": (1, 2), "many": (5, 11)}
_SIZES = {"small": (0.03, 0.075), "large": (0.1, 0.22)}  # radius by the picture's edge

FLAW_CLASSES = (
    NONE,
    *(", ".join(parts) for parts in product(FLAW_KINDS, _AMOUNTS, _SIZES)),
)


def add_flaw(name: str, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture with a flaw of one of `FLAW_CLASSES` on it.

    Args:
        name: of the class.
        picture: float32 (size, size, 3) in [0, 1].

    Returns:
        The same kind of array; the picture itself for "none".
    """
    if name == NONE:
        return picture
    kind, amount, extent = name.split(", ")
    fewest, most = _AMOUNTS[amount]
    shade, cover = _DRAWERS[kind](
        rng, picture.shape[0], int(rng.integers(fewest, most + 1)), _SIZES[extent]
    )
    flawed = picture * np.clip(1 + shade, 0.1, 3.0)[..., None]
    # What covers the ground is a grey, a colour, or the ground's own colour made darker or lighter.
    mean = picture.mean(axis=(0, 1))
    colour = mean * rng.choice([rng.uniform(0.1, 0.7), rng.uniform(1.3, 2.2)])
    if rng.random() < 0.3:
        colour = rng.uniform(0.0, 1.0, 3)
    flawed = flawed + (cover * rng.uniform(0.5, 1.0))[..., None] * (colour - flawed)
    return np.clip(flawed, 0, 1).astype(np.float32)


# Each drawer returns two fields (size, size): what the flaw's relief does to the light, 0 where
# nothing; and the share of the ground that it covers, in [0, 1].
_Fields = tuple[np.ndarray, np.ndarray]
_Sizes = tuple[float, float]


def _empty(size: int) -> np.ndarray:
    return np.zeros((size, size), dtype=np.float32)


def _spots(
    rng: np.random.Generator, size: int, n: int, sizes: _Sizes, *, ragged: float
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each of n spots its distance in radii, and the direction away from its centre."""
    found = []
    for _ in range(n):
        radius, stretch = rng.uniform(*sizes), rng.uniform(1.0, 1.6)
        along, across = grid(size, rng.uniform(0, np.pi))
        x = (along - rng.uniform(-0.4, 0.4)) / np.float32(radius * stretch)
        y = (across - rng.uniform(-0.4, 0.4)) / np.float32(radius / stretch)
        distance = np.hypot(x, y)
        if ragged:
            noise = band_noise(rng, size, frequency=0.6 / radius, bandwidth=0.7)
            distance = distance + np.float32(ragged) * noise
        found.append((distance, x, y))
    return found


def _lit(rng: np.random.Generator, height: np.ndarray, strength: float) -> np.ndarray:
    """Light and shade of a relief under a lamp from one side."""
    light = rng.uniform(0, 2 * np.pi)
    down, right = np.gradient(height)
    slope = np.cos(light) * right + np.sin(light) * down
    return np.float32(strength) * slope / max(float(np.abs(slope).max()), 1e-6)


def _crater(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """A pit with a wall around it, down to another colour in the middle."""
    height, floor = _empty(size), _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.04):
        height += np.exp(-0.5 * ((distance - 1.0) / 0.22) ** 2) - 0.8 * np.exp(-(distance**2) / 0.5)
        floor = np.maximum(floor, np.exp(-((distance / 0.55) ** 4)))
    return _lit(rng, height, rng.uniform(0.4, 0.9)), floor * np.float32(rng.uniform(0.2, 1.0))


def _blister(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    height = _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.03):
        height = np.maximum(height, np.sqrt(np.clip(1 - distance**2, 0, 1)))
    return _lit(rng, height, rng.uniform(0.4, 0.9)), _empty(size)


def _dent(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """A hollow without an edge: light on one side, shade on the other."""
    height = _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.0):
        height -= np.exp(-0.5 * distance**2)
    return _lit(rng, height, rng.uniform(0.2, 0.6)), _empty(size)


def _crack(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Lines that wander, fork and narrow."""
    picture = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(picture)
    open_ends = [
        (*rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0, 2 * np.pi), 3.0 + 12 * sizes[0])
        for _ in range(n)
    ]
    n_steps, n_drawn = int(size * sizes[1] * 1.6), 0
    while open_ends and n_drawn < 40:
        x, y, turn, width = open_ends.pop()
        n_drawn += 1
        for _ in range(n_steps):
            turn += rng.normal(0, 0.35)
            x2, y2 = x + 2.5 * np.cos(turn), y + 2.5 * np.sin(turn)
            draw.line((x, y, x2, y2), fill=int(min(255, 110 + 45 * width)), width=round(width))
            x, y, width = x2, y2, max(1.0, width * 0.97)
            if rng.random() < 0.05:
                open_ends.append((x, y, turn + rng.choice([-1, 1]) * rng.uniform(0.5, 1.2), width))
    return _empty(size), np.asarray(picture, dtype=np.float32) / np.float32(255)


def _pitting(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Clusters of pinholes."""
    holes = _empty(size)
    for _ in range(n):
        centre, reach = rng.uniform(0.1, 0.9, 2), 1.6 * rng.uniform(*sizes)
        n_holes = int(rng.integers(6, 30))
        places = (rng.normal(centre, reach / 1.5, (n_holes, 2)) * size).astype(int)
        for row, column in np.clip(places, 1, size - 3):
            depth, height, width = rng.uniform(0.5, 1.0), rng.integers(1, 3), rng.integers(1, 3)
            holes[row : row + height, column : column + width] = depth
    return _empty(size), holes


def _cloud(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Patches of another tone whose edges fade."""
    cover = _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.35):
        cover = np.maximum(cover, 1 / (1 + np.exp(np.clip(5 * (distance - 1), -30, 30))))
    return _empty(size), cover * np.float32(rng.uniform(0.25, 0.7))


def _flaking(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Cells that have come off, with a lit edge."""
    shards = cells(rng, size, n_cells=round(0.5 / np.mean(sizes) ** 2), kind="flat", regular=0.1)
    levels = np.unique(shards)
    off = np.isin(shards, rng.choice(levels, min(2 * n, len(levels)), replace=False))
    cover = off.astype(np.float32)
    return _lit(rng, cover, rng.uniform(0.2, 0.7)), cover


def _smear(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Broad streaks of one direction that run out."""
    cover, angle = _empty(size), rng.uniform(0, np.pi)
    grain = power_noise(rng, size, slope=0.7, stretch=12.0, angle=angle)
    for _ in range(n):
        along, across = grid(size, angle)
        length, width = rng.uniform(0.2, 0.5), 0.6 * rng.uniform(*sizes)
        x = (along - rng.uniform(-0.4, 0.4)) / np.float32(length)
        y = (across - rng.uniform(-0.4, 0.4)) / np.float32(width)
        cover = np.maximum(cover, np.exp(-(x**2) - y**4))
    return _empty(size), np.clip(cover * (0.6 + 0.35 * grain), 0, 1)


def _brush_marks(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Curved strokes as wide as a brush."""
    picture = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(picture)
    for _ in range(n):
        bend = rng.uniform(0.8, 3.0) * rng.choice([-1, 1])
        turns = rng.uniform(0, 2 * np.pi) + np.linspace(0, bend, 24)
        line = np.cumsum([np.cos(turns), np.sin(turns)], axis=1) * 4.0 * rng.uniform(0.5, 1)
        x, y = line + rng.uniform(0, size, (2, 1))
        width = max(3, round(size * 0.7 * rng.uniform(*sizes)))
        draw.line(
            list(zip(x.tolist(), y.tolist(), strict=True)),
            fill=int(rng.integers(120, 256)),
            width=width,
            joint="curve",
        )
    return _empty(size), np.asarray(picture, dtype=np.float32) / np.float32(255)


def _shards(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Sharp-cornered pieces pressed in."""
    picture = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(picture)
    for _ in range(n):
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        reach = rng.uniform(*sizes) * size * rng.uniform(0.6, 1.3, turns.size)
        centre = rng.uniform(0.05, 0.95, 2) * size
        x, y = centre[0] + reach * np.cos(turns), centre[1] + reach * np.sin(turns)
        corners = list(zip(x.tolist(), y.tolist(), strict=True))
        draw.polygon(corners, fill=int(rng.integers(130, 256)))
    cover = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return _lit(rng, cover, rng.uniform(0.0, 0.6)), cover


def _blobs(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Round spots with a firm edge, filled."""
    cover = _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.15):
        edge = rng.uniform(8, 25)
        cover = np.maximum(cover, 1 / (1 + np.exp(np.clip(edge * (distance - 1), -30, 30))))
    return _empty(size), cover


def _roller_marks(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """The same print again and again along a line, or several."""
    height, angle = _empty(size), rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.06)
    along, across = grid(size, angle)
    for _ in range(min(n, 6)):
        pitch, radius = rng.uniform(0.1, 0.3), 0.5 * rng.uniform(*sizes)
        place = (along / pitch + rng.uniform()) % 1.0 - 0.5
        line = (across - rng.uniform(-0.45, 0.45)) / np.float32(radius)
        height += np.exp(-0.5 * ((place * pitch / (0.5 * radius)) ** 2 + line**2))
    shade = _lit(rng, height, rng.uniform(0.2, 0.7))
    return shade, np.clip(height, 0, 1) * np.float32(rng.uniform(0.0, 0.4))


def _crease(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Folds from edge to edge, light on one flank and dark on the other."""
    height = _empty(size)
    for _ in range(n):
        along, across = grid(size, rng.uniform(0, np.pi))
        bend = rng.uniform(-0.5, 0.5) * along**2 + rng.uniform(-0.3, 0.3)
        height += np.exp(-0.5 * ((across - bend) / np.float32(0.5 * rng.uniform(*sizes))) ** 2)
    return _lit(rng, height, rng.uniform(0.2, 0.7)), _empty(size)


def _foreign_patch(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Places where the surface has another grain."""
    inside = _empty(size)
    for distance, _, _ in _spots(rng, size, n, sizes, ragged=0.2):
        inside = np.maximum(inside, 1 / (1 + np.exp(np.clip(10 * (distance - 1), -30, 30))))
    grain = band_noise(rng, size, frequency=rng.uniform(12, 40), bandwidth=0.5)
    return inside * np.float32(rng.uniform(0.1, 0.35)) * grain, _empty(size)


def _haze(rng: np.random.Generator, size: int, n: int, sizes: _Sizes) -> _Fields:
    """Pale bands without an edge that take the contrast away."""
    cover = _empty(size)
    for _ in range(min(n, 4)):
        _, across = grid(size, rng.uniform(0, np.pi))
        width = np.float32(1.4 * rng.uniform(*sizes))
        cover = np.maximum(cover, np.exp(-(((across - rng.uniform(-0.4, 0.4)) / width) ** 2)))
    return _empty(size), cover * np.float32(rng.uniform(0.25, 0.6))


_DRAWERS: dict[str, Callable[[np.random.Generator, int, int, _Sizes], _Fields]] = dict(
    zip(
        FLAW_KINDS,
        (
            _crater,
            _blister,
            _dent,
            _crack,
            _pitting,
            _cloud,
            _flaking,
            _smear,
            _brush_marks,
            _shards,
            _blobs,
            _roller_marks,
            _crease,
            _foreign_patch,
            _haze,
        ),
        strict=True,
    )
)
