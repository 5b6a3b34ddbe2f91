"""Which classes of ground are there, and how does a field become a coloured picture?

A class is a family together with a cell of its parameters; within the cell each picture draws its
own values. Neighbouring cells differ by little on purpose: telling scale, grain, density and
sharpness apart is what the network is to learn.
"""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from core.images.procedural import fields, shapes

Draw = Callable[[np.random.Generator, int], np.ndarray]

N_FRACTALS = 48
_SCALES = (4.0, 7.0, 12.0, 20.0, 34.0)  # cycles over the picture's edge


def draw_ground(name: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """A picture of one of `GROUND_CLASSES`: float32 (size, size, 3) in [0, 1]."""
    drawn = _CLASSES[name](rng, size)
    return drawn if drawn.ndim == 3 else _coloured(rng, drawn)


def _near(rng: np.random.Generator, value: float) -> float:
    """A value within a quarter of an octave."""
    return float(value * 2.0 ** rng.uniform(-0.25, 0.25))


def _noises() -> Iterator[tuple[str, Draw]]:
    for slope, stretch in product((0.3, 0.8, 1.3, 1.9), (1.0, 3.0, 10.0)):
        yield (
            f"power noise, slope {slope}, stretch {stretch:g}",
            lambda rng, size, a=slope, b=stretch: fields.power_noise(  # type: ignore[misc]
                rng,
                size,
                slope=a + rng.uniform(-0.15, 0.15),
                stretch=b if b == 1.0 else _near(rng, b),
                angle=rng.uniform(0, np.pi),
            ),
        )
    for scale, harden in product(_SCALES, (0.0, 1.5, 8.0)):
        yield (
            f"spots at scale {scale:g}, hardened {harden:g}",
            lambda rng, size, a=scale, b=harden: _hardened(  # type: ignore[misc]
                rng, fields.band_noise(rng, size, frequency=_near(rng, a), bandwidth=0.25), b
            ),
        )
    for scale, spread, harden in product(_SCALES, (0.12, 0.35), (0.0, 4.0)):
        yield (
            f"stripes at scale {scale:g}, spread {spread}, hardened {harden:g}",
            lambda rng, size, a=scale, b=spread, c=harden: _hardened(  # type: ignore[misc]
                rng,
                fields.band_noise(
                    rng,
                    size,
                    frequency=_near(rng, a),
                    bandwidth=0.3,
                    spread=b,
                    angle=rng.uniform(0, np.pi),
                ),
                c,
            ),
        )
    for scale, sharp in product(_SCALES[:4], (True, False)):
        yield (
            f"{'creases' if sharp else 'cushions'} at scale {scale:g}",
            lambda rng, size, a=scale, b=sharp: fields.ridges(  # type: ignore[misc]
                rng, size, frequency=_near(rng, a), octaves=int(rng.integers(1, 5)), sharp=b
            ),
        )
    for scale, bend in product(_SCALES[:4], (0.02, 0.06, 0.15)):
        yield (
            f"marble at scale {scale:g}, bent {bend}",
            lambda rng, size, a=scale, b=bend: fields.warped_noise(  # type: ignore[misc]
                rng, size, frequency=_near(rng, a), bend=_near(rng, b)
            ),
        )


def _patterns() -> Iterator[tuple[str, Draw]]:
    for shape, scale, warp in product(("sine", "square", "saw", "line"), _SCALES[:4], (0.0, 0.35)):
        yield (
            f"{shape} grating at scale {scale:g}, warped {warp}",
            lambda rng, size, a=shape, b=scale, c=warp: fields.grating(  # type: ignore[misc]
                rng,
                size,
                frequency=_near(rng, b),
                angle=rng.uniform(0, 2 * np.pi),
                shape=a,
                warp=c,
            ),
        )
    for scale, apart in product(_SCALES[:4], (0.4, np.pi / 2)):
        yield (
            f"plaid at scale {scale:g}, crossing at {apart:.1f}",
            lambda rng, size, a=scale, b=apart: _plaid(rng, size, a, b),  # type: ignore[misc]
        )
    for kind, n_cells, regular in product(
        ("flat", "edges", "domes", "shards"), (20, 80, 320), (0.0, 0.9)
    ):
        yield (
            f"{n_cells} {'regular' if regular else 'irregular'} cells, {kind}",
            lambda rng, size, a=kind, b=n_cells, c=regular: fields.cells(  # type: ignore[misc]
                rng, size, n_cells=round(_near(rng, b)), kind=a, regular=c
            ),
        )
    for kind, n_spots, radius in product(
        ("bump", "pit", "dash", "gabor"), (15, 60, 250), (0.014, 0.035)
    ):
        yield (
            f"{n_spots} {kind}s of {radius}",
            lambda rng, size, a=kind, b=n_spots, c=radius: fields.splats(  # type: ignore[misc]
                rng, size, n_spots=round(_near(rng, b)), radius=_near(rng, c), kind=a
            ),
        )
    for n_rows, aspect, offset in product((5, 9, 16), (1.0, 2.4), (0.0, 0.5)):
        yield (
            f"{n_rows} rows of tiles, aspect {aspect}, offset {offset}",
            lambda rng, size, a=n_rows, b=aspect, c=offset: fields.tiles(  # type: ignore[misc]
                rng, size, n_rows=round(_near(rng, a)), aspect=_near(rng, b), offset=c
            ),
        )


def _drawings() -> Iterator[tuple[str, Draw]]:
    for kind, smallest, power in product(
        ("disc", "box", "triangle", "sliver"), (0.02, 0.05), (1.5, 3.0)
    ):
        yield (
            f"leaves, {kind}, from {smallest} by {power}",
            lambda rng, size, a=kind, b=smallest, c=power: shapes.leaves(  # type: ignore[misc]
                rng, size, smallest=_near(rng, b), power=c, kind=a
            ),
        )
    for number in range(N_FRACTALS):
        yield (
            f"fractal {number}",
            lambda rng, size, a=number: shapes.fractal(rng, size, number=a),  # type: ignore[misc]
        )
    for kind, (fewest, most) in product(
        ("disc", "box", "triangle", "sliver", "mixed"), ((1, 2), (3, 6), (9, 16))
    ):
        yield (
            f"{fewest} to {most} bodies, {kind}",
            lambda rng, size, a=kind, b=fewest, c=most: shapes.bodies(  # type: ignore[misc]
                rng, size, n_bodies=int(rng.integers(b, c + 1)), kind=a
            ),
        )
    for peel, flake, n_lamps in product((0.0, 1.0, 3.0), (0.0, 0.12), (0, 2)):
        yield (
            f"panel, peel {peel:g}, flake {flake}, {n_lamps} lamps",
            lambda rng, size, a=peel, b=flake, c=n_lamps: shapes.panel(  # type: ignore[misc]
                rng, size, peel=_near(rng, a), flake=_near(rng, b), n_lamps=c
            ),
        )


_CLASSES: dict[str, Draw] = {**dict(_noises()), **dict(_patterns()), **dict(_drawings())}
GROUND_CLASSES = tuple(_CLASSES)


def _hardened(rng: np.random.Generator, field: np.ndarray, steepness: float) -> np.ndarray:
    """Grey values pushed to two sides of a threshold; steepness 0 leaves them."""
    if not steepness:
        return field
    return fields.standardised(np.tanh(steepness * (field - np.float32(rng.normal(0, 0.5)))))


def _plaid(rng: np.random.Generator, size: int, scale: float, apart: float) -> np.ndarray:
    angle, shape = rng.uniform(0, np.pi), str(rng.choice(["sine", "square", "line"]))
    first, second = (
        fields.grating(rng, size, frequency=_near(rng, scale), angle=turned, shape=shape)
        for turned in (angle, angle + apart)
    )
    return fields.standardised(first * second if rng.random() < 0.5 else first + second)


def _coloured(rng: np.random.Generator, field: np.ndarray) -> np.ndarray:
    """Grey, tinted or many-coloured, of more or less contrast, lit evenly or from one side."""
    size = field.shape[0]
    manner = rng.random()
    contrast = 2.0 ** rng.uniform(-5.0, -1.6)
    middle = rng.uniform(0.15, 0.85)
    if manner < 0.35:
        picture = np.repeat((middle + contrast * field)[..., None], 3, axis=2)
    elif manner < 0.65:
        tint = np.clip(rng.normal(1.0, 0.2, 3), 0.4, 1.6)
        picture = (middle + contrast * field)[..., None] * tint
    else:
        share = 1 / (1 + np.exp(-np.clip(rng.uniform(0.6, 2.5) * field, -20, 20)))[..., None]
        ends = rng.uniform(0.0, 1.0, (2, 3))
        picture = ends[0] * share + ends[1] * (1 - share)
    if rng.random() < 0.35:  # grain on top of the pattern
        grain = fields.power_noise(rng, size, slope=rng.uniform(0.0, 1.5))
        picture = picture + (2.0 ** rng.uniform(-7, -4)) * grain[..., None]
    if rng.random() < 0.4:
        along, _ = fields.grid(size, rng.uniform(0, 2 * np.pi))
        picture = picture * (1 + rng.uniform(0.1, 0.8) * along)[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)
