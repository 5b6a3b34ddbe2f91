"""Near-duplicates: which images are shots of the same thing, though no two bytes agree?

Both the hash and the comparison are defined on an image's thumbnail, so that an import and a search
years later agree to the bit, and no image is ever decoded twice.

Algorithm: images whose perceptual hashes differ in few bits are candidates. A hash of steel or
paint says little more than "a dark streak left of the middle", so each candidate pair is looked at:
the fine structure of both thumbnails must correlate after the best shift of a few pixels, and their
colour must agree. `docs/decisions/0011-near-duplicates.md` has the figures behind each constant.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from PIL import Image

# Of 64 bits. Unrelated hashes differ in 32 of them, shots shifted by 2 % in up to 16.
MAX_DISTANCE = 16
# Shots of one thing reach 0.83 and more on real data, others of the same class stay below 0.6.
MIN_CORRELATION = 0.65

_HASH_PX = 32
_PARTNERS_PER_IMAGE = 32
_ROWS_PER_BLOCK = 16  # of hashes: 13 MB against 100,000 others
_PAIRS_PER_BLOCK = 256
_PICTURES_PER_BLOCK = 64  # what is computed of them together stays in a processor's cache
_SIDE_PX = 64
_MAX_SHIFT_PX = 4  # 6 % of the picture
_SHADING_PX = 4.0  # what is broader than this is light, not structure
_LEAST_STRUCTURE = 0.4  # grey levels: less than this is what JPEG leaves of an even surface
_MAX_COLOUR_STEP = 10.0  # of mean Cb or Cr, 0..255; 10 % more light moves them by 5
_LEVELS_PER_DEVIATION = 24.0  # of structure kept as int8: clipped beyond 5.3 deviations


@dataclass(frozen=True)
class NearDuplicateGroup:
    """Images of one thing.

    Attributes:
        rows: int64 array (n_rows,), ascending, at least two.
        weakest: the lowest correlation that holds the group together, in
            [`MIN_CORRELATION`, 1]; 1 where all are the same picture.
    """

    rows: np.ndarray
    weakest: float


@dataclass(frozen=True)
class NearDuplicates:
    """What a search found, and what it left out.

    Attributes:
        groups: by their first row; no image is in two.
        n_not_compared: pairs of like hashes left unseen, since one of the two has many closer ones.
        n_cut: pairs found alike that are in different groups, since together they would be too
            large a group. Above 0, very many images look alike, as from a fixed camera: what
            belongs together is then better told by their names.
    """

    groups: tuple[NearDuplicateGroup, ...]
    n_not_compared: int
    n_cut: int


def perceptual_hash(thumbnail: bytes) -> str:
    """The hash of an image, as 16 hexadecimal digits; like pictures differ in few bits.

    It is `imagehash.phash` of the thumbnail, computed faster: the signs of the 64 lowest
    frequencies about their median. A mirrored or turned picture has another hash. An image without
    structure has one too, for which `find_near_duplicates` groups nothing.

    Args:
        thumbnail: as `thumbnails.make_thumbnail` returns it.
    """
    with Image.open(BytesIO(thumbnail)) as picture:
        picture.draft("L", None)  # JPEG holds luma apart: colours need not be decoded
        small = picture.convert("L").resize((_HASH_PX, _HASH_PX), Image.Resampling.LANCZOS)
    cosines = _lowest_cosines()
    # Rounded, for what the pixels do not hold must not have a sign by chance.
    strengths = (cosines @ np.asarray(small, float) @ cosines.T).round(6)  # (8, 8)
    ordered = np.sort(strengths, axis=None)
    return np.packbits(strengths > (ordered[31] + ordered[32]) / 2).tobytes().hex()


@cache
def _lowest_cosines() -> np.ndarray:
    """The eight lowest frequencies of a cosine transform: (8, n_px); 8 of n_px is all it takes."""
    frequencies, places = np.arange(8)[:, None], np.arange(_HASH_PX)
    return 2 * np.cos(np.pi * frequencies * (2 * places + 1) / (2 * _HASH_PX))


def find_near_duplicates(
    hashes: Sequence[str],
    load_thumbnail: Callable[[int], bytes],
    *,
    max_distance: int = MAX_DISTANCE,
    min_correlation: float = MIN_CORRELATION,
    on_progress: Callable[[float], None] = lambda share: None,
) -> NearDuplicates:
    """Group the images that show the same thing.

    Algorithm: of each image's candidates later in the list (hashes at most `max_distance` bits
    away; all pairs are tried) the `_PARTNERS_PER_IMAGE` closest are compared, earlier rows first
    among equals, for shots of one thing follow each other. Pairs alike are joined, the most alike
    first, as in Kruskal's algorithm, unless that would make a group larger than 5 % of the images
    (at least 10, at most 100): chains of chance likenesses cannot swallow a data set.

    The search takes n² steps of a nanosecond, the comparison n of some tens of microseconds. What
    is compared waits in a temporary file, 4 KB an image that has a candidate, so that memory stays
    flat. Equal input gives equal groups.

    Args:
        hashes: one of each image, from `perceptual_hash`.
        load_thumbnail: the thumbnail of a row; asked for once, in no particular order.
        max_distance: bits in which the hashes of candidates differ at most, in [0, 64].
        min_correlation: of the pictures' structure, in (0, 1], higher = more alike.
        on_progress: told the share done, in [0, 1]; what it raises ends the search.

    Raises:
        ValueError: a hash is not 16 hexadecimal digits, or an option is out of its range.
    """
    if not 0 <= max_distance <= 64:
        raise ValueError(f"max_distance must lie in [0, 64], got {max_distance}")
    if not 0 < min_correlation <= 1:
        raise ValueError(f"min_correlation must lie in (0, 1], got {min_correlation}")
    bits = np.array([_as_number(each) for each in hashes], np.uint64)
    pairs, n_not_compared = _candidates(bits, max_distance, lambda share: on_progress(0.2 * share))
    correlations = _correlations(
        pairs, load_thumbnail, lambda share: on_progress(0.2 + 0.8 * share)
    )
    alike = correlations >= min_correlation
    largest = max(10, min(100, len(bits) // 20))
    groups, n_cut = _joined(pairs[alike], correlations[alike], largest)
    return NearDuplicates(groups, n_not_compared, n_cut)


def _as_number(text: str) -> int:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != 8:
        raise ValueError(f"a perceptual hash has 16 hexadecimal digits, got {text!r}")
    return int.from_bytes(octets, "big")


def _candidates(
    bits: np.ndarray, max_distance: int, on_progress: Callable[[float], None]
) -> tuple[np.ndarray, int]:
    """Pairs of rows (n_pairs, 2), the lower first, and how many more have hashes as close."""
    n = len(bits)
    found = [np.empty((0, 2), np.int64)]
    n_left_out = 0
    for start in range(0, n, _ROWS_PER_BLOCK):
        block = bits[start : start + _ROWS_PER_BLOCK]
        distances = np.bitwise_count(block[:, None] ^ bits[None, start:])  # (n_block, n - start)
        close = distances <= max_distance
        close[np.tril_indices(len(block))] = False  # each pair once, none with itself
        for row in np.flatnonzero(close.any(axis=1)):
            partners = np.flatnonzero(close[row])
            nearest_first = np.argsort(distances[row, partners], kind="stable")
            kept = partners[nearest_first[:_PARTNERS_PER_IMAGE]]
            n_left_out += len(partners) - len(kept)
            found.append(np.column_stack([np.full(len(kept), start + row), start + kept]))
        # Row i meets the n - i rows after it.
        on_progress(1 - (1 - min(1.0, (start + len(block)) / n)) ** 2)
    return np.concatenate(found), n_left_out


def _correlations(
    pairs: np.ndarray,
    load_thumbnail: Callable[[int], bytes],
    on_progress: Callable[[float], None],
) -> np.ndarray:
    """How alike the pictures of each pair are: float32 (n_pairs,), in [0, 1], higher = more."""
    rows, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    colours = np.empty((len(rows), 2), np.float32)
    correlations = np.zeros(len(pairs), np.float32)
    with TemporaryFile() as file:  # 4 KB an image: memory stays flat however many there are
        structures = _Structures(file)
        for part in _slices(len(rows), _PICTURES_PER_BLOCK):
            described, colours[part] = _describe([load_thumbnail(int(row)) for row in rows[part]])
            structures.append(described)
            on_progress(0.5 * part.start / len(rows))
        steps = np.abs(colours[places[:, 0]] - colours[places[:, 1]]).max(axis=1, initial=0.0)
        of_one_colour = np.flatnonzero(steps <= _MAX_COLOUR_STEP)  # others agree with nothing
        for part in _slices(len(of_one_colour), _PAIRS_PER_BLOCK):
            chosen = of_one_colour[part]
            shown, at = np.unique(places[chosen], return_inverse=True)
            one, other = at.reshape(-1, 2).T
            correlations[chosen] = _correlate(structures.read(shown), one, other)
            on_progress(0.5 + 0.5 * part.stop / len(of_one_colour))
    on_progress(1.0)
    return correlations


class _Structures:
    """int8 (side, side) arrays in a file, by their place in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def append(self, structures: np.ndarray) -> None:
        self._file.write(structures.tobytes())

    def read(self, places: np.ndarray) -> np.ndarray:
        """int8 (n_places, side, side)."""
        n_bytes = _SIDE_PX * _SIDE_PX
        parts = []
        for place in places.tolist():
            self._file.seek(place * n_bytes)
            parts.append(self._file.read(n_bytes))
        return np.frombuffer(b"".join(parts), np.int8).reshape(-1, _SIDE_PX, _SIDE_PX)


def _slices(n: int, n_per_slice: int) -> Iterator[slice]:
    for start in range(0, n, n_per_slice):
        yield slice(start, min(n, start + n_per_slice))


def _describe(thumbnails: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures' fine structure, int8 (n, side, side), and their mean Cb and Cr, float32 (n, 2).

    The shading is taken away and what is left is scaled to unit deviation, so that neither the
    light nor its strength counts. A picture without structure is all zeros.
    """
    planes = np.stack([_planes(thumbnail) for thumbnail in thumbnails])  # (n, side, side, 3)
    colours = planes[..., 1:].mean(axis=(1, 2), dtype=np.float32)
    luma = planes[..., 0].astype(np.float32)
    blur = _blur()
    # The edges fade out, for a shift takes them away on one side and brings others on the other.
    fade = np.sqrt(np.hanning(_SIDE_PX + 2)[1:-1]).astype(np.float32)
    structures = (luma - blur @ luma @ blur.T) * (fade * fade[:, None])
    structures -= structures.mean(axis=(1, 2), keepdims=True)
    deviations = structures.std(axis=(1, 2), keepdims=True)
    has_structure = deviations >= _LEAST_STRUCTURE
    scales = np.where(has_structure, _LEVELS_PER_DEVIATION / np.maximum(deviations, 1e-6), 0.0)
    return np.rint(structures * scales).clip(-127, 127).astype(np.int8), colours


def _planes(thumbnail: bytes) -> np.ndarray:
    """Luma, Cb and Cr of a picture: uint8 (side, side, 3)."""
    with Image.open(BytesIO(thumbnail)) as picture:
        picture.draft("YCbCr", None)
        whole = picture if picture.mode == "YCbCr" else picture.convert("YCbCr")
        small = whole.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX, reducing_gap=1.0)
    return np.asarray(small)


@cache
def _blur() -> np.ndarray:
    """What makes shading of a column of luma, as a product: float32 (side, side).

    As `scipy.ndimage.gaussian_filter`, which takes several times as long on pictures this small.
    """
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.eye(_SIDE_PX), _SHADING_PX, axis=0).astype(np.float32)


def _correlate(structures: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlations (n_pairs,) of two of them each at the best shift up to `_MAX_SHIFT_PX`.

    Algorithm: the product of two spectra is that of the correlation at every shift. Of its inverse
    only the few shifts wanted are computed, as two products of matrices, since a whole inverse
    takes three times as long.

    Args:
        structures: int8 (n, side, side).
        one: int (n_pairs,), the places in `structures` of the one.
        other: int (n_pairs,), those of the other.
    """
    from scipy.fft import rfft2

    values = structures.astype(np.float32)
    spectra = rfft2(values)  # (n, side, side // 2 + 1)
    products = spectra[one] * spectra[other].conj()
    down, across = _waves()
    at_shifts = ((down @ products) @ across).real  # (n_pairs, n_shifts, n_shifts)
    best = at_shifts.max(axis=(1, 2))
    lengths = np.sqrt(np.square(values).sum(axis=(1, 2)))
    norms = lengths[one] * lengths[other]
    return np.divide(best, norms, out=np.zeros_like(best), where=norms > 0).clip(0.0, 1.0)


@cache
def _waves() -> tuple[np.ndarray, np.ndarray]:
    """An inverse transform at the shifts wanted: complex64 (n_shifts, side), (half, n_shifts)."""
    shifts = np.arange(-_MAX_SHIFT_PX, _MAX_SHIFT_PX + 1)
    frequencies = np.arange(_SIDE_PX)
    down = np.exp(2j * np.pi * np.outer(shifts, frequencies) / _SIDE_PX) / _SIDE_PX**2
    # A real picture's spectrum is stored by half: what is left out counts by its mirror.
    half = np.arange(_SIDE_PX // 2 + 1)
    weights = np.where((half == 0) | (half == _SIDE_PX // 2), 1, 2)
    across = weights[:, None] * np.exp(2j * np.pi * np.outer(half, shifts) / _SIDE_PX)
    return down.astype(np.complex64), across.astype(np.complex64)


def _joined(
    pairs: np.ndarray, correlations: np.ndarray, largest: int
) -> tuple[tuple[NearDuplicateGroup, ...], int]:
    """Groups of at most `largest` rows, and how many pairs they cut."""
    group_of: dict[int, list[int]] = {}
    weakest: dict[int, float] = {}  # by the first row of the group's list, which stays the first
    for i in np.lexsort((pairs[:, 1], pairs[:, 0], -correlations)):
        one, other = pairs[i].tolist()
        into, joining = group_of.setdefault(one, [one]), group_of.setdefault(other, [other])
        if into is joining or len(into) + len(joining) > largest:
            continue
        if len(into) < len(joining):
            into, joining = joining, into
        into.extend(joining)
        for row in joining:
            group_of[row] = into
        weakest[into[0]] = float(correlations[i])  # pairs come the most alike first

    joined = {rows[0]: rows for rows in group_of.values()}
    head = np.zeros(int(pairs.max(initial=-1)) + 1, np.int64)
    for first, rows in joined.items():
        head[rows] = first
    groups = [
        NearDuplicateGroup(np.sort(np.array(rows, np.int64)), weakest[first])
        for first, rows in joined.items()
        if len(rows) > 1
    ]
    n_cut = int(np.count_nonzero(head[pairs[:, 0]] != head[pairs[:, 1]]))
    return tuple(sorted(groups, key=lambda group: int(group.rows[0]))), n_cut
