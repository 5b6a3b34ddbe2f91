"""What does a faultless car-paint panel look like under inspection light?

The clear coat is a mirror: at each pixel it shows the point (s, t) of a distant row of strip
lights. Where s and t lie follows from the body's curvature, from orange peel and, with a defect,
from the slopes of its relief. Below the clear coat lies the base coat, solid or metallic. All of it
is drawn in linear light; a camera with vignette, blur and noise then makes the picture.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

FRAME_PX = 640

_TILE_PX = 1024
_LIGHT_ROOM = 2.5  # the light tables reach from -2.5 to 2.5 frame widths
_LIGHT_STEPS = 8192
_CLEAR_COAT = 0.05  # reflectance at normal incidence of a coat with refractive index 1.5
_EXPOSURE = 1.6

_SOLID_COLOURS = (
    "#e9e9e6",  # white
    "#101113",  # black
    "#a3121a",  # red
    "#17386f",  # blue
    "#8d9397",  # traffic grey
    "#d8b12a",  # yellow
    "#27433a",  # green
    "#d9d3c3",  # cream
)
_METALLIC_COLOURS = (
    "#b4b8bb",  # silver
    "#55595e",  # graphite
    "#1f4a86",  # blue
    "#7b1420",  # red
    "#8a6a4c",  # bronze
    "#2c5a56",  # teal
    "#202226",  # black
    "#cfcfca",  # pearl white
)


@dataclass(frozen=True)
class Panel:
    """All that is drawn by chance about one faultless panel, its light and its camera.

    Attributes:
        colour: linear reflectance of the base coat, red, green, blue in [0, 1].
        flop: how much brighter the base coat is near a reflected light; 0 for solid paint.
        flake: contrast of the metallic flake; 0 for solid paint.
        flake_tile: which of the flake textures, 0 (fine) to 2 (coarse).
        mottle: contrast of the slow unevenness of the base coat.
        peel: how far orange peel moves the reflection, root mean square in frame widths.
        peel_tile: which of the peel textures, 0 (short waves) to 2 (long waves).
        turn: direction in which the lights follow one another, in radians.
        zoom: frame widths of the light room that the panel shows.
        bend: curvature of the body in s (xx, yy, xy) and in t (xx, yy, xy).
        crease: angle, offset, width and height of a body line; height 0 for none.
        wobble: height of the body's slow unevenness in s.
        strips: centre, half width and brightness of each strip light in s.
        strip_softness: width of a reflected strip's edge.
        strip_ends: where the strips begin and end in t.
        light: colour of the strips, red, green, blue.
        ambient: irradiance of the base coat.
        room: brightness of the room around the strips, and its gradients along s and t.
        key: direction from which the key light comes, (x, y) with length 1, y downwards.
        vignette: share of the light lost in the corners, in [0, 1).
        vignette_centre: where none is lost, x and y in [-0.5, 0.5].
        blur: weight of the neighbouring pixels on each side, in [0, 0.25].
        noise: standard deviation of the camera noise, as a share of full scale.
        texture_seed: seeds where the textures are cut from their tiles.
    """

    colour: tuple[float, float, float]
    flop: float
    flake: float
    flake_tile: int
    mottle: float
    peel: float
    peel_tile: int
    turn: float
    zoom: float
    bend: tuple[float, ...]
    crease: tuple[float, float, float, float]
    wobble: float
    strips: tuple[tuple[float, float, float], ...]
    strip_softness: float
    strip_ends: tuple[float, float]
    light: tuple[float, float, float]
    ambient: float
    room: tuple[float, float, float]
    key: tuple[float, float]
    vignette: float
    vignette_centre: tuple[float, float]
    blur: float
    noise: float
    texture_seed: int

    @property
    def luminance(self) -> float:
        """Brightness of the base coat in [0, 1], by the weights of Rec. 709."""
        red, green, blue = self.colour
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True)
class Surface:
    """The panel's fields at every pixel, each a float32 array (height, width).

    Attributes:
        s: where across the strip lights the reflection looks, in frame widths.
        t: where along the strip lights the reflection looks, in frame widths.
        pigment: brightness of the base coat around 1, from flake and mottle.
        falloff: share of the light that the lens lets through.
    """

    s: np.ndarray
    t: np.ndarray
    pigment: np.ndarray
    falloff: np.ndarray


@dataclass(frozen=True)
class LightTables:
    """What the light room holds, each a float32 array over equal steps of s or t.

    Attributes:
        strips: light of the strips that the clear coat reflects, over s.
        room: light of the room around them that it reflects, over s.
        body: light that the base coat below gives back where it is white, over s.
        ends: share of the strips that has not ended, over t.
    """

    strips: np.ndarray
    room: np.ndarray
    body: np.ndarray
    ends: np.ndarray


def draw_panel(rng: np.random.Generator) -> Panel:
    """Draw a panel, its light and its camera; nothing here knows of defects."""
    metallic = bool(rng.random() < 0.6)
    colours = _METALLIC_COLOURS if metallic else _SOLID_COLOURS
    colour = _linear_colour(colours[rng.integers(len(colours))])
    colour = np.clip(colour * rng.uniform(0.85, 1.15) * rng.uniform(0.94, 1.06, 3), 0.004, 0.85)

    angle = rng.uniform(0.0, 2.0 * np.pi)
    spacing = rng.uniform(0.32, 0.75)
    first = rng.uniform(0.0, spacing)
    half_width = rng.uniform(0.025, 0.075)
    brightness = rng.uniform(9.0, 22.0)
    n_strips = int(rng.integers(1, 5))
    centres = first + spacing * (np.arange(n_strips) - rng.integers(0, n_strips))
    strips = tuple(
        (float(centre), half_width * rng.uniform(0.85, 1.15), brightness * rng.uniform(0.8, 1.1))
        for centre in centres
    )
    warmth = rng.uniform(-0.06, 0.06)
    has_crease = rng.random() < 0.25
    key_angle = np.radians(rng.uniform(-130.0, -50.0))  # from above, within 40 degrees
    return Panel(
        colour=(float(colour[0]), float(colour[1]), float(colour[2])),
        flop=rng.uniform(0.5, 1.1) if metallic else rng.uniform(0.0, 0.08),
        flake=rng.uniform(0.10, 0.26) if metallic else 0.0,
        flake_tile=int(rng.integers(3)),
        mottle=rng.uniform(0.01, 0.04) if metallic else rng.uniform(0.0, 0.015),
        peel=rng.uniform(0.002, 0.011),
        peel_tile=int(rng.integers(3)),
        turn=angle,
        zoom=rng.uniform(0.6, 1.2),
        bend=tuple(float(curvature) for curvature in rng.normal(0.0, 0.35, 6)),
        crease=(
            rng.uniform(0.0, 2.0 * np.pi),
            rng.uniform(-0.35, 0.35),
            rng.uniform(0.06, 0.16),
            rng.choice([-1.0, 1.0]) * rng.uniform(0.08, 0.22) if has_crease else 0.0,
        ),
        wobble=rng.uniform(0.004, 0.022),
        strips=strips,
        strip_softness=rng.uniform(0.006, 0.022),
        strip_ends=(-rng.uniform(0.3, 2.0), rng.uniform(0.3, 2.0)),
        light=(1.0 + warmth, 1.0, 1.0 - warmth),
        ambient=rng.uniform(0.42, 0.8),
        room=(rng.uniform(0.2, 0.9), rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7)),
        key=(float(np.cos(key_angle)), float(np.sin(key_angle))),
        vignette=rng.uniform(0.05, 0.3),
        vignette_centre=(rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1)),
        blur=rng.uniform(0.05, 0.22),
        noise=rng.uniform(0.004, 0.013),
        texture_seed=int(rng.integers(2**32)),
    )


def lay_surface(panel: Panel) -> Surface:
    """Work out the panel's fields at every pixel of the frame."""
    rng = np.random.default_rng(panel.texture_seed)
    x = (np.arange(FRAME_PX, dtype=np.float32) / FRAME_PX - 0.5)[None, :]
    y = x.T
    across, along = np.float32(np.cos(panel.turn)), np.float32(np.sin(panel.turn))
    sxx, syy, sxy, txx, tyy, txy = (np.float32(value) for value in panel.bend)
    zoom = np.float32(panel.zoom)

    s = (x * (zoom * across + sxx * x)) + (y * (zoom * along + syy * y))
    t = (x * (txx * x - zoom * along)) + (y * (zoom * across + tyy * y))
    xy = x * y
    s += sxy * xy
    t += txy * xy

    angle, offset, width, height = panel.crease
    if height:
        towards = np.float32(np.cos(angle) / width) * x + np.float32(np.sin(angle) / width) * y
        towards -= np.float32(offset / width)
        s += np.float32(height) * np.tanh(towards, out=towards)
    s += _slow_noise(rng, cells=6) * np.float32(panel.wobble)

    peel_x, peel_y = _cut(rng, *_peel_tiles(panel.peel_tile))
    across, along = np.float32(panel.peel) * across, np.float32(panel.peel) * along
    s += across * peel_x
    s += along * peel_y
    t += across * peel_y
    t -= along * peel_x

    pigment = _slow_noise(rng, cells=16) * np.float32(panel.mottle) + np.float32(1.0)
    if panel.flake:
        (flake,) = _cut(rng, _flake_tile(panel.flake_tile))
        pigment += np.float32(panel.flake) * flake

    centre_x, centre_y = panel.vignette_centre
    loss = np.float32(2.0 * panel.vignette)
    off_x, off_y = x - np.float32(centre_x), y - np.float32(centre_y)
    falloff = (1.0 - loss * off_x**2) - loss * off_y**2
    return Surface(s, t, pigment, falloff)


def expose(linear: np.ndarray) -> np.ndarray:
    """Turn linear light into display values in [0, 1], with a film's soft shoulder."""
    shown = np.exp(linear * np.float32(-_EXPOSURE))
    np.subtract(np.float32(1.0), shown, out=shown)
    return np.sqrt(shown, out=shown)


def photograph(linear: np.ndarray, panel: Panel) -> np.ndarray:
    """Take the picture: blur of the lens, exposure, noise of the sensor.

    Args:
        linear: float32 array (3, height, width), linear light; it is blurred in place.
        panel: whose camera to use.

    Returns:
        uint8 array (height, width, 3), red, green, blue.
    """
    rng = np.random.default_rng([panel.texture_seed, 1])
    height, width = linear.shape[1:]
    picture = np.empty((height, width, 3), dtype=np.uint8)
    for channel, light in enumerate(linear):
        _blur(light, panel.blur)
        shown = expose(light)
        shown *= np.float32(255.0)
        (noise,) = _cut(rng, _noise_tile())
        shown += np.float32(255.0 * panel.noise) * noise
        np.clip(shown, 0.0, 255.0, out=shown)
        picture[..., channel] = shown
    return picture


def light_tables(panel: Panel) -> LightTables:
    """Tabulate the panel's lights once, to be looked up at every pixel."""
    place = np.linspace(-_LIGHT_ROOM, _LIGHT_ROOM, _LIGHT_STEPS)
    strips = np.zeros_like(place)
    glow = np.zeros_like(place)
    for centre, half_width, brightness in panel.strips:
        away = np.abs(place - centre)
        inside = 0.5 + 0.5 * np.tanh((half_width - away) / panel.strip_softness)
        haze = 0.07 * np.exp(-np.maximum(away - half_width, 0.0) / 0.07)
        strips += brightness * (inside + haze)
        glow += np.exp(-0.5 * (away / 0.3) ** 2)
    level, along_s, _ = panel.room
    room = level * (1.0 + along_s * np.tanh(1.5 * place)) + 0.12 * np.sin(5.0 * place)
    body = panel.ambient * (0.75 + 0.25 * glow * (1.0 + 3.0 * panel.flop)) / (1.0 + panel.flop)
    start, end = panel.strip_ends
    ends = 0.25 * (1.0 + np.tanh((place - start) / 0.03)) * (1.0 + np.tanh((end - place) / 0.03))
    return LightTables(
        strips=(_CLEAR_COAT * strips).astype(np.float32),
        room=(_CLEAR_COAT * np.maximum(room, 0.05)).astype(np.float32),
        body=body.astype(np.float32),
        ends=ends.astype(np.float32),
    )


def look_up(place: np.ndarray, *tables: np.ndarray) -> list[np.ndarray]:
    """Read light tables at places in the light room; beyond its ends, their last values."""
    per_width = _LIGHT_STEPS / (2.0 * _LIGHT_ROOM)
    steps = place * np.float32(per_width)
    steps += np.float32(_LIGHT_STEPS / 2)
    nearest = steps.astype(np.intp)
    return [np.take(table, nearest, mode="clip") for table in tables]


def _linear_colour(code: str) -> np.ndarray:
    channels = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return channels**2.2


def _blur(light: np.ndarray, weight: float) -> None:
    """Let each pixel share light with its neighbours, down and then across, in place.

    A pixel reaches its eight neighbours and no further, and no light is lost at the edges.
    """
    for before, after in ((light[:-1], light[1:]), (light[:, :-1], light[:, 1:])):
        shared = after - before
        shared *= np.float32(weight)
        before += shared
        after -= shared


def _slow_noise(rng: np.random.Generator, *, cells: int) -> np.ndarray:
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    smooth = Image.fromarray(grid).resize((FRAME_PX, FRAME_PX), Image.Resampling.BICUBIC)
    return np.asarray(smooth)


def _cut(rng: np.random.Generator, *tiles: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut the same frame out of each tile."""
    top, left = rng.integers(0, _TILE_PX - FRAME_PX, 2)
    return tuple(tile[top : top + FRAME_PX, left : left + FRAME_PX] for tile in tiles)


# The textures are made once a process: a random frame of a large tile is as good as a new texture
# and costs nothing.


@cache
def _peel_tiles(which: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (x, y) of orange peel, long waves and short ones, each with root mean square 1."""
    rng = np.random.default_rng([which, 101])
    fy = np.fft.fftfreq(_TILE_PX)[:, None]
    fx = np.fft.rfftfreq(_TILE_PX)[None, :]
    octaves = np.log2(np.maximum(np.hypot(fx, fy), 1e-9))
    short_share = (1.0, 0.5, 0.2)[which]
    passed = sum(
        share * wavelength_px * np.exp(-0.5 * ((octaves + np.log2(wavelength_px)) / 0.45) ** 2)
        for wavelength_px, share in ((26.0, 1.0), (10.0, short_share))
    )
    waves = np.fft.rfft2(rng.standard_normal((_TILE_PX, _TILE_PX))) * passed
    slope_x, slope_y = np.fft.irfft2(waves * 1j * fx), np.fft.irfft2(waves * 1j * fy)
    scale = np.sqrt(np.mean(slope_x**2))
    return (slope_x / scale).astype(np.float32), (slope_y / scale).astype(np.float32)


@cache
def _flake_tile(which: int) -> np.ndarray:
    """Flake texture with mean 0 and standard deviation 1, skewed towards rare bright flakes."""
    rng = np.random.default_rng([which, 102])
    fy = np.fft.fftfreq(_TILE_PX)[:, None]
    fx = np.fft.rfftfreq(_TILE_PX)[None, :]
    radius_px = (0.45, 0.7, 1.0)[which]
    softness = np.exp(-2.0 * (np.pi * radius_px) ** 2 * (fx**2 + fy**2))
    flakes = np.exp(1.1 * rng.standard_normal((_TILE_PX, _TILE_PX)))
    texture = np.fft.irfft2(np.fft.rfft2(flakes) * softness)
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


@cache
def _noise_tile() -> np.ndarray:
    rng = np.random.default_rng([0, 103])
    return rng.standard_normal((_TILE_PX, _TILE_PX), dtype=np.float32)
