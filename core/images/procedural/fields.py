"""Grey textures: noise of many spectra, gratings, cells, tiles.

Each function returns a float32 array (size, size) of mean 0 and standard deviation 1, drawn from
`rng`. Frequencies are in cycles over the picture's edge, angles in radians.
"""

import numpy as np


def standardised(field: np.ndarray) -> np.ndarray:
    """The field with mean 0 and standard deviation 1; a flat one stays 0."""
    centred = field - field.mean()
    return (centred / max(float(centred.std()), 1e-6)).astype(np.float32)


def grid(size: int, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in [-0.5, 0.5) along and across a direction, float32 arrays (size, size)."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / np.float32(size) - np.float32(0.5)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def power_noise(
    rng: np.random.Generator,
    size: int,
    *,
    slope: float,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> np.ndarray:
    """Noise whose amplitude falls as frequency to the power of -slope.

    Args:
        slope: 0 is white noise, 1 resembles photographs, 2 clouds.
        stretch: how much longer its grain is along `angle` than across, at least 1.
        angle: direction of the grain.
    """
    along, across = _frequencies(size, angle)
    radius = np.hypot(along * np.float32(stretch), across)
    radius[0, 0] = 1.0
    return _filtered(rng, size, np.maximum(radius, 1.0) ** np.float32(-slope))


def band_noise(
    rng: np.random.Generator,
    size: int,
    *,
    frequency: float,
    bandwidth: float,
    spread: float = np.pi,
    angle: float = 0.0,
) -> np.ndarray:
    """Noise of one scale: a ring of the spectrum, or a part of it.

    Args:
        frequency: the middle of the band.
        bandwidth: standard deviation of the logarithm of frequency, in octaves.
        spread: standard deviation of direction; pi or more for every direction.
        angle: direction across the stripes.
    """
    along, across = _frequencies(size, angle)
    radius = np.maximum(np.hypot(along, across), 0.5)
    gain = np.exp(-0.5 * (np.log2(radius / np.float32(frequency)) / np.float32(bandwidth)) ** 2)
    if spread < np.pi:
        turn = np.arctan2(across, along)
        turn = (turn + np.float32(np.pi / 2)) % np.float32(np.pi) - np.float32(np.pi / 2)
        gain = gain * np.exp(-0.5 * (turn / np.float32(spread)) ** 2)
    return _filtered(rng, size, gain)


def ridges(
    rng: np.random.Generator, size: int, *, frequency: float, octaves: int, sharp: bool
) -> np.ndarray:
    """Octaves of noise folded at zero: creases where it is sharp, cushions where it is not."""
    total = np.zeros((size, size), dtype=np.float32)
    for octave in range(octaves):
        layer = np.abs(
            band_noise(rng, size, frequency=frequency * 2.0**octave, bandwidth=0.5)
        ) * np.float32(0.6**octave)
        total += -layer if sharp else layer
    return standardised(total)


def grating(
    rng: np.random.Generator,
    size: int,
    *,
    frequency: float,
    angle: float,
    shape: str,
    warp: float = 0.0,
) -> np.ndarray:
    """Parallel bars.

    Args:
        frequency: bars over the picture's edge.
        angle: direction across the bars.
        shape: "sine", "square" or "saw", or "line" for thin bars on a wide ground.
        warp: how far noise bends the bars, in bars.
    """
    along, _ = grid(size, angle)
    phase = along * np.float32(frequency) + np.float32(rng.uniform())
    if warp:
        phase = phase + np.float32(warp) * power_noise(rng, size, slope=2.2)
    place = phase % np.float32(1.0)
    if shape == "sine":
        return standardised(np.sin(2 * np.pi * place))
    if shape == "square":
        return standardised(np.tanh(8 * np.sin(2 * np.pi * place)))
    if shape == "saw":
        return standardised(place)
    if shape == "line":
        return standardised(np.exp(-0.5 * ((place - 0.5) / 0.09) ** 2))
    raise ValueError(f"shape must be sine, square, saw or line, got {shape!r}")


def warped_noise(
    rng: np.random.Generator, size: int, *, frequency: float, bend: float
) -> np.ndarray:
    """Noise read at places that other noise has moved: marble, smoke, flow."""
    source = band_noise(rng, size, frequency=frequency, bandwidth=0.9)
    shift = [np.float32(bend * size) * power_noise(rng, size, slope=2.0) for _ in ("down", "right")]
    rows, columns = np.indices((size, size), dtype=np.float32)
    return standardised(_read(source, rows + shift[0], columns + shift[1]))


def cells(
    rng: np.random.Generator, size: int, *, n_cells: int, kind: str, regular: float
) -> np.ndarray:
    """Cells around points.

    Args:
        n_cells: about how many.
        kind: "flat" (a grey each), "edges", "domes", or "shards" (a slope each).
        regular: 0 for points anywhere, 1 for a lattice.
    """
    from scipy.spatial import KDTree

    side = max(2, round(n_cells**0.5))
    lattice = (np.indices((side + 2, side + 2)).reshape(2, -1).T - 0.5) / side
    jitter = rng.uniform(-0.5, 0.5, lattice.shape) / side * (1.0 - 0.85 * regular) * 2.0
    points = lattice + jitter
    where = np.indices((size, size)).reshape(2, -1).T / size
    distances, nearest = KDTree(points).query(where, k=2)
    if kind == "flat":
        field = rng.normal(size=len(points))[nearest[:, 0]]
    elif kind == "edges":
        field = np.minimum((distances[:, 1] - distances[:, 0]) * side, rng.uniform(0.1, 0.3))
    elif kind == "domes":
        field = -distances[:, 0]
    elif kind == "shards":
        slopes = rng.normal(size=(len(points), 2))
        inside = (where - points[nearest[:, 0]]) * side
        field = (inside * slopes[nearest[:, 0]]).sum(axis=1)
    else:
        raise ValueError(f"kind must be flat, edges, domes or shards, got {kind!r}")
    return standardised(field.reshape(size, size))


def splats(
    rng: np.random.Generator, size: int, *, n_spots: int, radius: float, kind: str
) -> np.ndarray:
    """One stamp at many places, each of its own strength.

    Args:
        n_spots: how many.
        radius: of the stamp, as a share of the picture's edge.
        kind: "bump", "pit" (a bump in a trough), "dash" or "gabor", the latter two turned one way.
    """
    angle = rng.uniform(0.0, np.pi)
    along, across = (part / np.float32(radius) for part in grid(size, angle))
    squared = along**2 + across**2
    if kind == "bump":
        stamp = np.exp(-0.5 * squared)
    elif kind == "pit":
        stamp = (1.0 - 0.5 * squared) * np.exp(-0.5 * squared)
    elif kind == "dash":
        stamp = np.exp(-0.5 * ((along / 3.0) ** 2 + (across / 0.5) ** 2))
    elif kind == "gabor":
        stamp = np.cos(2.5 * along) * np.exp(-0.5 * (squared / 2.5))
    else:
        raise ValueError(f"kind must be bump, pit, dash or gabor, got {kind!r}")
    impulses = np.zeros((size, size), dtype=np.float32)
    rows, columns = rng.integers(0, size, (2, n_spots))
    np.add.at(impulses, (rows, columns), rng.uniform(0.4, 1.0, n_spots).astype(np.float32))
    spectrum = np.fft.rfft2(impulses) * np.fft.rfft2(np.fft.ifftshift(stamp))
    return standardised(np.fft.irfft2(spectrum, s=(size, size)))


def tiles(
    rng: np.random.Generator, size: int, *, n_rows: int, aspect: float, offset: float
) -> np.ndarray:
    """Bricks with joints between them, each of a grey of its own.

    Args:
        n_rows: over the picture's edge.
        aspect: of a brick, width by height.
        offset: by which each row is pushed, as a share of a brick.
    """
    along, across = grid(size, float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.08)))
    row = np.floor(across * n_rows + 50)
    place = along * n_rows / aspect + 50 + offset * row
    column = np.floor(place)
    greys = rng.normal(size=(128, 128))
    shade = greys[row.astype(int) % 128, column.astype(int) % 128]
    down = across * n_rows + 50 - row
    inside = np.minimum(
        np.minimum(place - column, column + 1 - place) * aspect, np.minimum(down, 1 - down)
    )
    joint = np.clip(inside / rng.uniform(0.06, 0.15), 0.0, 1.0)
    return standardised(rng.uniform(0.2, 0.8) * shade + 2.0 * joint)


def _frequencies(size: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Cycles over the edge along and across a direction, for `rfft2`."""
    y = np.fft.fftfreq(size, 1 / size).astype(np.float32)[:, None]
    x = np.fft.rfftfreq(size, 1 / size).astype(np.float32)[None, :]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def _filtered(rng: np.random.Generator, size: int, gain: np.ndarray) -> np.ndarray:
    """White noise through a filter of its spectrum."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * gain
    spectrum[0, 0] = 0.0
    return standardised(np.fft.irfft2(spectrum, s=(size, size)))


def _read(field: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The field at places between its pixels, which repeats beyond its edges; bilinear."""
    size = field.shape[0]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    top, left, below, beside = (part % size for part in (top, left, top + 1, left + 1))
    return (1 - down) * ((1 - right) * field[top, left] + right * field[top, beside]) + down * (
        (1 - right) * field[below, left] + right * field[below, beside]
    )
