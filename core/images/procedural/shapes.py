"""Drawn pictures: leaves that cover one another, fractals, lit bodies, painted panels.

Each function returns a float32 array: (size, size) where it is a grey field of mean 0 and standard
deviation 1, (size, size, 3) in [0, 1] where it brings its own colours.
"""

import numpy as np
from PIL import Image, ImageDraw

from core.images.procedural.fields import band_noise, grid, power_noise, standardised

_FRACTAL_POINTS, _FRACTAL_STEPS, _FRACTAL_WARM_UP = 1500, 40, 12


def leaves(
    rng: np.random.Generator, size: int, *, smallest: float, power: float, kind: str
) -> np.ndarray:
    """Shapes of many sizes that cover one another until nothing shows of the ground.

    Args:
        smallest: radius, as a share of the picture's edge.
        power: of the law that sizes follow; the larger, the more small ones.
        kind: "disc", "box", "triangle" or "sliver".

    Source:
        Lee, Mumford & Huang (2001), "Occlusion models for natural images",
        doi:10.1023/A:1011109015675.
    """
    picture = Image.new("F", (size, size), 0.0)
    draw = ImageDraw.Draw(picture)
    n_shapes = int(min(500, 2.5 / smallest**1.4))
    low, high = smallest ** (1 - power), 0.35 ** (1 - power)
    radii = (low + rng.uniform(size=n_shapes) * (high - low)) ** (1 / (1 - power)) * size
    centres = rng.uniform(-0.05, 1.05, (n_shapes, 2)) * size
    greys = rng.normal(size=n_shapes)
    turns = rng.uniform(0, 2 * np.pi, n_shapes)
    corners = _outline(kind)
    for radius, centre, grey, turn in zip(radii, centres, greys, turns, strict=True):
        draw.polygon(_placed(corners, centre, radius, turn), fill=float(grey))
    return standardised(np.asarray(picture))


def fractal_code(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maps of fractal `number`: matrices (n, 2, 2), shifts (n, 2), their shares (n,)."""
    rng = np.random.default_rng([20250911, number])
    n_maps = int(rng.integers(2, 6))
    turn, twist = rng.uniform(-np.pi, np.pi, (2, n_maps))
    scales = rng.uniform(0.25, 0.85, (n_maps, 2)) * rng.choice([-1, 1], (n_maps, 2))
    matrices = np.stack(
        [
            _rotation(a) @ np.diag(scale) @ _rotation(b)
            for a, b, scale in zip(turn, twist, scales, strict=True)
        ]
    )
    shifts = rng.uniform(-1.0, 1.0, (n_maps, 2))
    shares = np.abs(np.linalg.det(matrices)) + 0.02
    return matrices, shifts, shares / shares.sum()


def fractal(rng: np.random.Generator, size: int, *, number: int) -> np.ndarray:
    """The attractor of an iterated function system, a little different each time.

    Source:
        Kataoka et al. (2020), "Pre-training without natural images",
        doi:10.1007/978-3-030-69544-6_35.
    """
    matrices, shifts, shares = fractal_code(number)
    matrices = matrices * rng.uniform(0.93, 1.05, (len(matrices), 1, 1))
    shifts = shifts + rng.normal(0, 0.04, shifts.shape)
    points = rng.uniform(-0.5, 0.5, (_FRACTAL_POINTS, 2))
    seen = []
    for step in range(_FRACTAL_WARM_UP + _FRACTAL_STEPS):
        chosen = rng.choice(len(shares), _FRACTAL_POINTS, p=shares)
        points = np.einsum("nij,nj->ni", matrices[chosen], points) + shifts[chosen]
        if step >= _FRACTAL_WARM_UP:
            seen.append(points)
    cloud = np.concatenate(seen)
    low, high = np.quantile(cloud, [0.01, 0.99], axis=0)
    cloud = (cloud - (low + high) / 2) / max(float((high - low).max()), 1e-3)
    cloud = cloud @ _rotation(rng.uniform(0, 2 * np.pi)).T
    cloud = cloud * rng.uniform(0.6, 1.2) + 0.5 + rng.uniform(-0.15, 0.15, 2)
    density, _, _ = np.histogram2d(cloud[:, 0], cloud[:, 1], bins=size, range=[[0, 1], [0, 1]])
    return standardised(np.log1p(density) ** rng.uniform(0.5, 1.0))


def bodies(rng: np.random.Generator, size: int, *, n_bodies: int, kind: str) -> np.ndarray:
    """A scene: lit and textured bodies, with shadows, on a ground under a sky; it has colours.

    Args:
        n_bodies: how many.
        kind: "disc", "box", "triangle", "sliver" or "mixed".
    """
    along, _ = grid(size, rng.normal(np.pi / 2, 0.1))
    horizon = rng.uniform(-0.5, 0.3)
    above = 1 / (1 + np.exp(np.clip((along - horizon) * rng.uniform(15, 120), -30, 30)))
    colours = rng.uniform(0.1, 0.95, (2, 3))
    picture = above[..., None] * colours[0] + (1 - above[..., None]) * colours[1]
    picture += 0.06 * power_noise(rng, size, slope=rng.uniform(0.6, 1.8))[..., None]
    light = rng.uniform(0, 2 * np.pi)
    for _ in range(n_bodies):
        outline = _outline(str(rng.choice(_OUTLINES)) if kind == "mixed" else kind)
        centre = rng.uniform(0.05, 0.95, 2) * size
        radius = size * rng.uniform(0.06, 0.38) * (3 / (n_bodies + 2)) ** 0.5
        corners = _placed(outline, centre, radius, rng.uniform(0, 2 * np.pi))
        shape = _mask(size, corners)
        shift = radius * rng.uniform(0.05, 0.35)
        fallen = (np.cos(light) * shift, np.sin(light) * shift)
        shadow = _mask(size, [(x + fallen[0], y + fallen[1]) for x, y in corners])
        picture *= 1 - 0.5 * np.clip(shadow - shape, 0, 1)[..., None]
        slope, _ = grid(size, light + np.pi)
        shade = 1 + rng.uniform(0.2, 1.5) * (slope - (slope * shape).sum() / (shape.sum() + 1))
        if rng.random() < 0.5:
            texture = band_noise(rng, size, frequency=rng.uniform(4, 30), bandwidth=0.7)
            shade = shade + rng.uniform(0.03, 0.2) * texture
        if rng.random() < 0.3:  # a gleam
            edge = np.exp(-0.5 * ((slope - rng.uniform(-0.3, 0.3)) / rng.uniform(0.01, 0.06)) ** 2)
            shade = shade + rng.uniform(0.2, 0.8) * edge
        body = rng.uniform(0.05, 0.95, 3) * shade[..., None]
        picture += shape[..., None] * (body - picture)
    return np.clip(picture, 0, 1).astype(np.float32)


def panel(
    rng: np.random.Generator, size: int, *, peel: float, flake: float, n_lamps: int
) -> np.ndarray:
    """Varnished paint that mirrors lamps, with orange peel; it has colours.

    Args:
        peel: how far the peel bends what is mirrored, 0 for a flat varnish.
        flake: how much metal flake glitters in the paint.
        n_lamps: bright bars that are mirrored.
    """
    waves = band_noise(rng, size, frequency=rng.uniform(9, 26), bandwidth=0.4)
    along, across = grid(size, rng.uniform(0, np.pi))
    along = along + np.float32(0.02 * peel) * waves
    light = 0.5 + rng.uniform(-0.6, 0.6) * along + rng.uniform(-0.4, 0.4) * across
    light = light + np.float32(0.03 * peel) * np.gradient(waves, axis=0)
    colour = rng.uniform(0.03, 0.8, 3) if rng.random() < 0.7 else np.full(3, rng.uniform(0.03, 0.9))
    glitter = flake * band_noise(rng, size, frequency=size / 3, bandwidth=0.5)
    picture = colour * (light * (1 + glitter))[..., None]
    for _ in range(n_lamps):
        width = rng.uniform(0.015, 0.09)
        lamp = np.exp(-(np.abs((along - rng.uniform(-0.5, 0.5)) / width) ** 3))
        picture = picture + rng.uniform(0.15, 0.6) * lamp[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)


_OUTLINES = ("disc", "box", "triangle", "sliver")


def _outline(kind: str) -> np.ndarray:
    """Corners (n, 2) of a shape within the unit circle."""
    if kind == "sliver":
        return np.array([[-1, -0.12], [1, -0.12], [1, 0.12], [-1, 0.12]])
    n_corners = {"disc": 16, "box": 4, "triangle": 3}[kind]
    turns = np.arange(n_corners) * 2 * np.pi / n_corners
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def _placed(
    corners: np.ndarray, centre: np.ndarray, radius: float, turn: float
) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in centre + radius * corners @ _rotation(turn).T]


def _mask(size: int, corners: list[tuple[float, float]]) -> np.ndarray:
    """Where a polygon lies, float32 (size, size) in [0, 1]."""
    picture = Image.new("L", (size, size), 0)
    ImageDraw.Draw(picture).polygon(corners, fill=255)
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
