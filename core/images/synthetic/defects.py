"""What do dirt, drops, scratches and watermarks do to a car-paint panel? And a fingerprint?

Each drawer makes one defect of one class as fields on a patch of its own: relief that tilts the
clear coat, cover that hides the base coat, dulling that takes the clear coat's gloss. Whatever the
fields do not say, the panel beneath says: a defect has no picture of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

DEFECT_CLASSES = ("dirt", "drop", "scratch", "watermark")
MULTIPLE = "multiple"
LATE_CLASSES = ("fingerprint",)  # what no data set knows: a line brings it one day

# A nib's trough has faded at this many radii of the nib, however stretched.
_NIB_REACH = 4.6


@dataclass(frozen=True)
class Cover:
    """Matter that hides the base coat: `share` (height, width) in [0, 1] of a linear colour."""

    share: np.ndarray
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Defect:
    """One defect's fields on its patch, float32 arrays (height, width).

    Attributes:
        label: its class.
        extent: where the eye looks for it, in [0, 1].
        relief: height of the clear coat above the panel, in pixels; None where it stays flat.
        covers: what hides the base coat, bottom first.
        dulling: share of the clear coat's gloss that is lost, in [0, 1]; None where it keeps it.
    """

    label: str
    extent: np.ndarray
    relief: np.ndarray | None = None
    covers: tuple[Cover, ...] = field(default=())
    dulling: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the patch, in pixels."""
        return self.extent.shape[0], self.extent.shape[1]


def draw_defect(
    label: str, rng: np.random.Generator, *, room_px: tuple[int, int], luminance: float
) -> Defect:
    """Draw a defect of class `label`.

    Args:
        label: one of `DEFECT_CLASSES` or `LATE_CLASSES`.
        rng: where chance comes from.
        room_px: height and width that the patch must fit into, at least 200 each.
        luminance: brightness of the base coat in [0, 1]; stains and scratches contrast with it.
    """
    return _DRAWERS[label](rng, room_px, luminance)


def _draw_dirt(rng: np.random.Generator, room_px: tuple[int, int], luminance: float) -> Defect:
    """One to four specks under the clear coat, each a bump in a shallow trough."""
    radius = rng.uniform(5.5, 14.0)
    n_nibs = int(rng.choice([1, 2, 3, 4], p=[0.62, 0.2, 0.1, 0.08]))
    half = int(_NIB_REACH * radius * (1.0 if n_nibs == 1 else rng.uniform(1.4, 2.2))) + 1
    half = min(half, min(room_px) // 2)
    relief = np.zeros((2 * half, 2 * half), dtype=np.float32)
    speck = np.zeros_like(relief)
    extent = np.zeros_like(relief)
    for number in range(n_nibs):
        size = radius * (1.0 if number == 0 else rng.uniform(0.4, 0.75))
        reach = int(_NIB_REACH * size)
        window = _spot_window(rng, half, reach, apart=0.0 if number == 0 else 0.6)
        bump, grain, near = _nib(rng, size, reach)
        relief[window] += bump
        speck[window] = np.maximum(speck[window], grain)
        extent[window] = np.maximum(extent[window], near)
    matter = _grey(rng, 0.01, 0.06) if luminance > 0.1 else _grey(rng, 0.2, 0.5)
    cover = Cover(np.float32(rng.uniform(0.6, 0.95)) * speck, matter)
    return Defect("dirt", extent, relief=relief, covers=(cover,))


def _draw_drop(rng: np.random.Generator, room_px: tuple[int, int], luminance: float) -> Defect:
    """One tongue of paint that ran down, or up to three side by side."""
    n_tongues = int(rng.choice([1, 2, 3], p=[0.66, 0.22, 0.12]))
    radius = rng.uniform(16.0, 34.0) * (1.0 if n_tongues == 1 else 0.8)
    above, below = 1.2 * radius, 2.8 * radius
    height_px = int(min(radius * rng.uniform(8.5, 16.0), room_px[0]))
    longest = height_px - above - below
    slant = np.tan(np.radians(rng.uniform(-9.0, 9.0)))
    sway = rng.uniform(0.0, 0.35) * radius
    gap = radius * rng.uniform(2.2, 3.4)
    one_wide = 2.0 * (1.9 * radius + sway) + abs(slant) * longest
    n_tongues = min(n_tongues, 1 + int((room_px[1] - one_wide) / gap))
    y, x = _grid(height_px, int(one_wide + gap * (n_tongues - 1)))
    x -= 0.5 * x.shape[1]

    thickness = np.float32(radius * rng.uniform(0.16, 0.3))
    phase, waves = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.4, 1.2)
    relief = np.zeros_like(x)
    for rank, place in enumerate(rng.permutation(n_tongues)):
        length = longest * (1.0 if rank == 0 else rng.uniform(0.45, 0.9))
        down = (y[:, :1] - np.float32(above)) / np.float32(length)  # 0 at the neck, 1 at the bulb
        course = np.clip(down, 0.0, 1.0)
        centre = gap * (place - 0.5 * (n_tongues - 1)) + slant * (course * length - longest / 2)
        centre += sway * np.sin(phase + 2.0 * np.pi * waves * course)
        tongue = _tongue(down, x - centre, neck=rng.uniform(0.5, 0.75), bulb=radius / length)
        relief = np.maximum(relief, thickness * tongue)
    relief = _soften(relief, radius_px=0.12 * radius)
    return Defect("drop", np.clip(relief / (0.35 * thickness), 0.0, 1.0), relief=relief)


def _tongue(down: np.ndarray, aside: np.ndarray, *, neck: float, bulb: float) -> np.ndarray:
    """Height of one tongue, about 1 at its bulb.

    Args:
        down: (height, 1), how far down it a row lies, 0 at its neck and 1 at the bulb's middle.
        aside: (height, width), pixels from the middle line of its course.
        neck: half width at the neck over the bulb's.
        bulb: the bulb's radius over the tongue's length.
    """
    course = np.clip(down, 0.0, 1.0)
    radius_px = bulb / float(down[1, 0] - down[0, 0])  # `down` grows by 1 over the length
    half_width = radius_px * (neck + (1.0 - neck) * course**3) * (1.0 + 0.25 * (1.0 - course) ** 4)
    beyond = np.maximum(down - 1.0, 0.0) / (1.05 * bulb)
    dome = np.clip(1.0 - (aside / half_width) ** 2 - beyond**2, 0.0, None) ** 1.5
    rise = np.clip((down + bulb) / 0.6, 0.0, 1.0)
    swelling = 0.5 + 0.2 * course + 0.5 * np.exp(-(((down - 1.0) / (1.5 * bulb)) ** 2))
    return (dome * swelling * rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)


def _draw_scratch(rng: np.random.Generator, room_px: tuple[int, int], luminance: float) -> Defect:
    """A thin groove along a bent line, in one to four strands, at times broken."""
    n_strands = int(rng.choice([1, 2, 3, 4], p=[0.6, 0.2, 0.12, 0.08]))
    length = rng.uniform(130.0, 520.0)
    n_steps = int(3.0 * length)
    along = np.linspace(-0.5, 0.5, n_steps)
    bow = rng.uniform(-0.22, 0.22) if rng.random() < 0.65 else 0.0
    strands = [_strand(rng, along, length, first=number == 0) for number in range(n_strands)]
    aside = np.stack([strand[0] for strand in strands]) + length * bow * (1.0 - 4.0 * along**2)
    share = np.stack([strand[1] for strand in strands])  # (n_strands, n_steps)
    bearing = rng.uniform(0.0, np.pi)
    x = np.cos(bearing) * length * along - np.sin(bearing) * aside
    y = np.sin(bearing) * length * along + np.cos(bearing) * aside

    margin = 14.0
    spare = (room_px[0] - 2.0 * margin) / np.ptp(y), (room_px[1] - 2.0 * margin) / np.ptp(x)
    scale = min(1.0, *spare)
    x, y = scale * (x - x.min()) + margin, scale * (y - y.min()) + margin
    shape = (int(y.max() + margin), int(x.max() + margin))
    width = np.full((n_strands, 1), 1.3)
    width[0] = rng.uniform(1.3, 3.2)
    area = share * width * scale * length / n_steps
    # Where the groove's flank faces the light it is bright, where it turns away it is dark.
    lightness = _line_noise(rng, n_steps, 7) + rng.choice([-1.1, 0.0, 1.1])
    groove = _stroke(shape, x, y, width, area)
    bright = _stroke(shape, x, y, width, area * np.clip(0.5 + 1.4 * lightness, 0.0, 1.0))

    opacity = np.float32(rng.uniform(0.65, 1.0))
    light = _grey(rng, 0.75, 1.3) if luminance > 0.35 else _grey(rng, 0.35, 0.9)
    return Defect(
        "scratch",
        groove,
        relief=np.float32(-rng.uniform(0.15, 0.5)) * _soften(groove, radius_px=0.9),
        covers=(
            Cover(opacity * np.maximum(groove - bright, 0.0), _grey(rng, 0.005, 0.03)),
            Cover(opacity * np.minimum(bright, groove), light),
        ),
        dulling=np.float32(0.85) * groove,
    )


def _strand(
    rng: np.random.Generator, along: np.ndarray, length: float, *, first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One strand's offset from the scratch's line in pixels, and its strength, at every step."""
    aside = rng.uniform(0.0, 1.6) * _line_noise(rng, along.size, 9)
    strength = np.clip(1.0 + 0.35 * _line_noise(rng, along.size, 12), 0.25, 1.6)
    if rng.random() < 0.4:  # the tool skipped
        strength *= np.clip(2.5 * (_line_noise(rng, along.size, 14) + 1.0), 0.0, 1.0)
    begin, end = -0.5, 0.5
    if not first:
        begin, end = np.sort(rng.uniform(-0.5, 0.5, 2))
        aside += rng.choice([-1.0, 1.0]) * rng.uniform(3.0, 11.0)
        aside += rng.uniform(-0.02, 0.02) * length * along
        strength *= rng.uniform(0.4, 0.9)
    strength *= np.sqrt(np.clip(np.minimum(along - begin, end - along) / 0.06, 0.0, 1.0))
    return aside, strength


def _draw_watermark(rng: np.random.Generator, room_px: tuple[int, int], luminance: float) -> Defect:
    """What one to four drops of water left when they dried: thin rings, flat, paler or darker."""
    radius = rng.uniform(26.0, 88.0)
    n_spots = int(rng.choice([1, 2, 3, 4], p=[0.55, 0.2, 0.15, 0.1]))
    half = int(min(radius * (1.55 if n_spots == 1 else 2.3) + 8.0, min(room_px) / 2 - 1))
    edge = np.zeros((2 * half, 2 * half), dtype=np.float32)
    inside = np.zeros_like(edge)
    for number in range(n_spots):
        size = min(radius, (half - 8.0) / 1.55) * (1.0 if number == 0 else rng.uniform(0.25, 0.6))
        reach = int(1.55 * size + 8.0)
        window = _spot_window(rng, half, reach, apart=0.0 if number == 0 else 0.6)
        rim, pool = _dried_spot(rng, size, reach)
        edge[window] = np.maximum(edge[window], rim)
        inside[window] = np.maximum(inside[window], pool)
    patchy = np.clip(1.0 + 0.4 * _cloud(rng, edge.shape, cell_px=radius * 0.6), 0.1, 1.6)
    pale = luminance < 0.3 if rng.random() < 0.85 else luminance < 0.12
    deposit = _grey(rng, 0.55, 0.8) if pale else _grey(rng, 0.05, 0.16)
    strength = rng.uniform(0.16, 0.4) * (1.0 if pale else 1.3)
    film = strength * (edge + rng.uniform(0.08, 0.4) * inside) * patchy
    stain = np.clip(film, 0.0, 0.8).astype(np.float32)
    extent = np.clip(edge, 0.0, 1.0)
    return Defect("watermark", extent, covers=(Cover(stain, deposit),), dulling=0.7 * stain)


def _draw_fingerprint(
    rng: np.random.Generator, room_px: tuple[int, int], luminance: float
) -> Defect:
    """Where somebody touched the panel: an oval of greasy ridges that bend around a whorl."""
    radius = rng.uniform(62.0, 96.0)
    half = int(min(1.45 * radius + 8.0, min(room_px) / 2 - 1))
    radius = min(radius, (half - 8.0) / 1.45)
    y, x = _grid(2 * half, 2 * half)
    y -= half
    x -= half
    turn = rng.uniform(0.0, np.pi)
    cos, sin = np.float32(np.cos(turn) / radius), np.float32(np.sin(turn) / radius)
    along, across = (cos * x + sin * y) / np.float32(1.3), cos * y - sin * x
    oval = np.sqrt(along**2 + across**2) + np.float32(0.06) * _cloud(rng, x.shape, cell_px=radius)
    touched = _step((1.0 - oval) / np.float32(0.08))
    # Ridges are level lines of the distance from the whorl, which lies off the middle.
    whorl = np.hypot(1.5 * (along - rng.uniform(-0.3, 0.3)), across - rng.uniform(-0.35, 0.35))
    bent = whorl + np.float32(0.07) * _cloud(rng, x.shape, cell_px=0.7 * radius)
    n_ridges = rng.uniform(5.0, 6.5)
    ridges = 0.5 + 0.5 * np.clip(1.8 * np.sin(2.0 * np.pi * n_ridges * bent), -1.0, 1.0)
    pressed = np.clip(0.85 + 0.3 * _cloud(rng, x.shape, cell_px=0.5 * radius), 0.2, 1.3)
    print_ = (ridges * touched * pressed).astype(np.float32)
    grease = _grey(rng, 0.55, 0.8) if luminance < 0.3 else _grey(rng, 0.05, 0.16)
    film = np.float32(rng.uniform(0.3, 0.5)) * np.clip(print_, 0.0, 1.0)
    extent = np.clip(print_, 0.0, 1.0)
    return Defect("fingerprint", extent, covers=(Cover(film, grease),), dulling=0.8 * film)


_DRAWERS: dict[str, Callable[[np.random.Generator, tuple[int, int], float], Defect]] = {
    "dirt": _draw_dirt,
    "drop": _draw_drop,
    "scratch": _draw_scratch,
    "watermark": _draw_watermark,
    "fingerprint": _draw_fingerprint,
}


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return y, x


def _grey(rng: np.random.Generator, darkest: float, lightest: float) -> tuple[float, float, float]:
    level, warmth = rng.uniform(darkest, lightest), rng.uniform(-0.08, 0.08)
    return (level * (1.0 + warmth), level, level * (1.0 - warmth))


def _spot_window(
    rng: np.random.Generator, half: int, reach: int, *, apart: float
) -> tuple[slice, slice]:
    """Window of edge twice `reach` in a patch of edge twice `half`.

    It lies between `apart` of the way to the patch's edge and all of it; 0 means in the middle.
    """
    away = rng.uniform(apart, 1.0) * (half - reach) if apart else 0.0
    bearing = rng.uniform(0.0, 2.0 * np.pi)
    top = half - reach + int(away * np.sin(bearing))
    left = half - reach + int(away * np.cos(bearing))
    return slice(top, top + 2 * reach), slice(left, left + 2 * reach)


def _nib(
    rng: np.random.Generator, size: float, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relief, inclusion and extent of one nib of radius `size`, on a patch of twice `reach`."""
    y, x = _grid(2 * reach, 2 * reach)
    y -= reach
    x -= reach
    turn, stretch = rng.uniform(0.0, np.pi), rng.uniform(1.0, 1.45)
    cos, sin = np.float32(np.cos(turn) / size), np.float32(np.sin(turn) / size)
    squared = ((cos * x + sin * y) / np.float32(stretch)) ** 2 + (cos * y - sin * x) ** 2
    bump = np.exp(-squared)
    halo = np.exp(-(((np.sqrt(squared) - np.float32(1.9)) / np.float32(0.5)) ** 2))
    height = size * rng.uniform(0.2, 0.38)
    relief = np.float32(height) * (bump - np.float32(rng.uniform(0.08, 0.2)) * halo)
    lumps = 1.0 + 0.45 * _cloud(rng, squared.shape, cell_px=max(0.6 * size, 3.0))
    coarse = np.float32(rng.uniform(0.25, 0.5))
    grain = np.clip(2.2 * np.exp(squared / -coarse) * lumps - 0.5, 0.0, 1.0)
    return relief, grain, np.exp(squared * np.float32(-0.5))


def _dried_spot(rng: np.random.Generator, size: float, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Rim and inside of one dried drop of mean radius `size`, on a patch of twice `reach`."""
    y, x = _grid(2 * reach, 2 * reach)
    y -= reach
    x -= reach
    turn, squeeze = rng.uniform(0.0, np.pi), rng.uniform(0.75, 1.0)
    u = np.float32(np.cos(turn)) * x + np.float32(np.sin(turn)) * y
    v = np.float32(np.cos(turn) / squeeze) * y - np.float32(np.sin(turn) / squeeze) * x
    bearings = np.linspace(-np.pi, np.pi, 721)
    contour = np.ones_like(bearings)
    raggedness = rng.uniform(0.12, 0.3)
    for wave in range(2, 14):
        shift = rng.uniform(0.0, 2.0 * np.pi)
        contour += (rng.normal(0.0, raggedness) / wave) * np.cos(wave * bearings + shift)
    contour = (size * np.clip(contour, 0.5, 1.5)).astype(np.float32)
    steps = ((np.arctan2(v, u) + np.float32(np.pi)) * np.float32(720 / (2 * np.pi))).astype(
        np.int32
    )
    depth = contour[steps] - np.sqrt(u * u + v * v)  # pixels inside the contour
    outer, inner = np.float32(rng.uniform(0.8, 1.8)), np.float32(rng.uniform(2.0, 6.5))
    within = _step(depth / outer)
    rim = np.exp(np.maximum(depth, 0.0) / -inner) * within
    if rng.random() < 0.4:  # it dried in two stages
        second = (depth - np.float32(rng.uniform(0.2, 0.45) * size)) / inner
        rim += np.float32(rng.uniform(0.3, 0.6)) * np.exp(-second * second)
    return rim, within


def _step(depth: np.ndarray) -> np.ndarray:
    return np.float32(0.5) + np.float32(0.5) * np.tanh(depth)


def _line_noise(rng: np.random.Generator, n_steps: int, n_knots: int) -> np.ndarray:
    """Noise along a line with standard deviation about 1, straight between its knots."""
    knots = rng.standard_normal(n_knots)
    return np.interp(np.linspace(0.0, n_knots - 1.0, n_steps), np.arange(n_knots), knots)


def _cloud(rng: np.random.Generator, shape: tuple[int, int], *, cell_px: float) -> np.ndarray:
    """Smooth noise with standard deviation about 1 and features of about `cell_px`."""
    height, width = shape
    cells = (max(int(height / cell_px), 3), max(int(width / cell_px), 3))
    grid = Image.fromarray(rng.standard_normal(cells, dtype=np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def _soften(relief: np.ndarray, *, radius_px: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(relief, max(radius_px, 0.8), mode="constant", truncate=3.0)


def _stroke(
    shape: tuple[int, int], x: np.ndarray, y: np.ndarray, width: np.ndarray, area: np.ndarray
) -> np.ndarray:
    """Cover of thin lines: every step spreads the area it stands for over the pixels near it.

    Args:
        shape: height and width of the patch.
        x: (n_lines, n_steps), column of every step.
        y: (n_lines, n_steps), row of every step.
        width: (n_lines, 1), width of each line in pixels.
        area: (n_lines, n_steps), square pixels that every step covers.
    """
    along_x, along_y = np.gradient(x, axis=1), np.gradient(y, axis=1)
    across = width / np.maximum(np.hypot(along_x, along_y), 1e-6)
    lanes = np.linspace(-0.4, 0.4, 5)[:, None, None]
    lane_x, lane_y = x - lanes * across * along_y, y + lanes * across * along_x
    left, top = np.floor(lane_x).astype(np.intp), np.floor(lane_y).astype(np.intp)
    right_part, lower_part = lane_x - left, lane_y - top
    cover = np.zeros(shape[0] * shape[1])
    for down, down_part in ((0, 1.0 - lower_part), (1, lower_part)):
        for right, part in ((0, 1.0 - right_part), (1, right_part)):
            pixels = (top + down) * shape[1] + left + right
            weights = area / len(lanes) * down_part * part
            cover += np.bincount(pixels.ravel(), weights.ravel(), minlength=cover.size)
    return np.clip(cover.reshape(shape), 0.0, 1.0).astype(np.float32)
