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
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from PIL import Image

# Of 64 bits. Unrelated hashes differ in 32 of them, shots shifted by 2 % in up to 16.
MAX_DISTANCE = 16
# Shots of one thing reach 0.83 and more on real data, others of the same class stay below 0.6.
MIN_CORRELATION = 0.65

_PARTNERS_PER_IMAGE = 32
_ROWS_PER_BLOCK = 16  # of hashes: 13 MB against 100,000 others
_PAIRS_PER_BLOCK = 256
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

    It is `imagehash.phash` of the thumbnail: the signs of the 64 lowest frequencies about their
    median. A mirrored or turned picture has another hash. An image without structure has one too,
    for which `find_near_duplicates` groups nothing.

    Args:
        thumbnail: as `thumbnails.make_thumbnail` returns it.
    """
    import imagehash

    with Image.open(BytesIO(thumbnail)) as picture:
        picture.draft("L", None)  # JPEG holds luma apart: colours need not be decoded
        return str(imagehash.phash(picture))


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
    correlations = np.empty(len(pairs), np.float32)
    with TemporaryFile() as file:  # 4 KB an image: memory stays flat however many there are
        structures = _Structures(file)
        for place, row in enumerate(rows):
            structure, colours[place] = _describe(load_thumbnail(int(row)))
            structures.append(structure)
            if place % _PAIRS_PER_BLOCK == 0:
                on_progress(0.5 * place / len(rows))
        for part in _slices(len(pairs)):
            one, other = places[part].T
            same_colour = np.abs(colours[one] - colours[other]).max(axis=1) <= _MAX_COLOUR_STEP
            best = _correlate(structures.read(one), structures.read(other))
            correlations[part] = np.where(same_colour, best, 0.0)
            on_progress(0.5 + 0.5 * part.stop / len(pairs))
    return correlations


class _Structures:
    """int8 (side, side) arrays in a file, by their place in it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def append(self, structure: np.ndarray) -> None:
        self._file.write(structure.tobytes())

    def read(self, places: np.ndarray) -> np.ndarray:
        """int8 (n_places, side, side)."""
        n_bytes = _SIDE_PX * _SIDE_PX
        parts = []
        for place in places.tolist():
            self._file.seek(place * n_bytes)
            parts.append(self._file.read(n_bytes))
        return np.frombuffer(b"".join(parts), np.int8).reshape(-1, _SIDE_PX, _SIDE_PX)


def _slices(n: int) -> Iterator[slice]:
    for start in range(0, n, _PAIRS_PER_BLOCK):
        yield slice(start, min(n, start + _PAIRS_PER_BLOCK))


def _describe(thumbnail: bytes) -> tuple[np.ndarray, np.ndarray]:
    """A picture's fine structure, int8 (side, side), and its mean Cb and Cr.

    The shading is taken away and what is left is scaled to unit deviation, so that neither the
    light nor its strength counts. A picture without structure is all zeros.
    """
    from scipy.ndimage import gaussian_filter

    with Image.open(BytesIO(thumbnail)) as picture:
        picture.draft("YCbCr", None)
        small = picture.convert("YCbCr").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    planes = np.asarray(small, np.float32)
    luma, colour = planes[..., 0], planes[..., 1:].mean(axis=(0, 1))
    # The edges fade out, for a shift takes them away on one side and brings others on the other.
    fade = np.sqrt(np.hanning(_SIDE_PX + 2)[1:-1]).astype(np.float32)
    structure = (luma - gaussian_filter(luma, _SHADING_PX)) * fade * fade[:, None]
    structure -= structure.mean()
    deviation = float(structure.std())
    if deviation < _LEAST_STRUCTURE:
        return np.zeros(luma.shape, np.int8), colour
    scaled = np.rint(structure * (_LEVELS_PER_DEVIATION / deviation))
    return scaled.clip(-127, 127).astype(np.int8), colour


def _correlate(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlation (n,) of structures (n, side, side) at the best shift up to `_MAX_SHIFT_PX`."""
    from scipy.fft import irfft2, rfft2

    a, b = ones.astype(np.float32), others.astype(np.float32)
    at_every_shift = irfft2(rfft2(a) * rfft2(b).conj(), s=a.shape[1:])  # (n, side, side)
    shifts = np.arange(-_MAX_SHIFT_PX, _MAX_SHIFT_PX + 1)
    best = at_every_shift[:, shifts[:, None], shifts].max(axis=(1, 2))
    norms = np.sqrt(np.square(a).sum(axis=(1, 2)) * np.square(b).sum(axis=(1, 2)))
    return np.divide(best, norms, out=np.zeros_like(best), where=norms > 0).clip(0.0, 1.0)


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
