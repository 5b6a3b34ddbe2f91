"""Reading: is this file an image, and what are its pixels?

Files are hostile until decoded. The format is told by the content, never by the name; the size is
read from the header and checked before any pixel is decoded; what cannot be read right is refused
with a reason that a person understands.

Whatever the file holds becomes 8-bit RGB by the rules of `core.images.samples`; the EXIF
orientation is applied, an unreadable EXIF block meaning "as stored"; of an animation or a
multi-page file the first frame is read, and `ImageFacts` says so. docs/image-files.md tells all of
it to those who bring the files.
"""

import hashlib
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from PIL import ExifTags, Image, ImageFile, TiffImagePlugin
from PIL import WebPImagePlugin as WebPImagePlugin  # registers WebP

from core.images.budget import Budget
from core.images.samples import UnreadSamples, describe_tiff_samples, to_8_bits
from core.images.signatures import describe_content, sniff_format
from core.images.thumbnails import fit_within

# Uncompressed 16-bit colour takes 6 bytes a pixel; the rest is room for metadata.
_BYTES_PER_PIXEL = 8
_BYTES_OF_METADATA = 64_000_000

# One photograph of 200 megapixels, or sixteen of a phone's twelve. A pixel takes 4 bytes decoded,
# up to three times that while it is turned or laid over white.
_PIXELS_AT_ONCE = 200_000_000

# Pillow allocates images in blocks. Blocks below 32 MB, glibc's largest threshold for memory of
# their own, would stay with the thread that freed them: eight threads that decode a 200-megapixel
# image one after the other then hold 2.6 GB, and 0.45 GB like this.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined]

_JPEG_SCALES = (8, 4, 2)

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}

_pillow_limit_lock = Lock()
_decoding = Budget(_PIXELS_AT_ONCE)


class ImageRejected(Exception):
    """A file that is not taken as an image; `reason` says why in one plain sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image file once it was read and decoded.

    Attributes:
        sha256: hash of the file's bytes, 64 hexadecimal digits.
        format: what the content is, whatever the name says: JPEG, PNG, BMP, GIF, TIFF or WEBP.
        width: in pixels, after the EXIF orientation.
        height: in pixels, after the EXIF orientation.
        n_bytes: size of the file.
        first_frame_only: whether the file holds further frames or pages, which were not read.
    """

    sha256: str
    format: str
    width: int
    height: int
    n_bytes: int
    first_frame_only: bool


def read_image(source: Path | bytes, *, max_pixels: int) -> Image.Image:
    """Decode a file or its bytes, fully, as RGB by the rules above.

    Args:
        source: the file, or its content.
        max_pixels: images with more are refused before they are decoded.

    Raises:
        ImageRejected: the file cannot be read, or its content is no image that can be read right.
        ValueError: `max_pixels` is not positive.
    """
    data = source if isinstance(source, bytes) else read_file(source, max_pixels=max_pixels)
    return _decode(data, max_pixels=max_pixels).rgb


def load_for_import(
    source: Path | bytes, *, max_pixels: int, side: int | None = None
) -> tuple[ImageFacts, Image.Image]:
    """Read a file once: hash it, decode it, and return its facts with the decoded image.

    Hashing and decoding release the interpreter's lock, so threads scale over the cores. However
    many they are, no more than some 200 million pixels are being decoded at once.

    Algorithm: where a small image is enough, a JPEG image is decoded at half, a quarter or an
    eighth of its size, by leaving out the finer cosines of each block. All of its data is read and
    checked the same, but a photograph of 640 pixels takes half the time, and one of 200 megapixels
    the memory of 3. Sharpness comes out a little higher than from the averages of whole pixels: by
    1 % in the median of photographs at half their size, 17 % at a quarter, 5 % at an eighth, and at
    most 62 %, where it spans three orders of magnitude; brightness and contrast agree within 0.02.

    Args:
        source: the file, or its content.
        max_pixels: images with more are refused before they are decoded.
        side: the longer side that is enough for the caller, in pixels: the image returned is shrunk
            to it as by `fit_within`. None for every pixel.

    Raises:
        ImageRejected, ValueError: as `read_image`; or `side` is not positive.
    """
    data = source if isinstance(source, bytes) else read_file(source, max_pixels=max_pixels)
    decoded = _decode(data, max_pixels=max_pixels, side=side)
    facts = ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        format=decoded.format,
        width=decoded.size[0],
        height=decoded.size[1],
        n_bytes=len(data),
        first_frame_only=decoded.first_frame_only,
    )
    return facts, decoded.rgb


def read_file(path: Path, *, max_pixels: int) -> bytes:
    """The content of a file that may be an image, refused unread where it is too large for one.

    Raises:
        ImageRejected: it cannot be read, or has more bytes than any image of `max_pixels`.
    """
    max_bytes = _BYTES_PER_PIXEL * max_pixels + _BYTES_OF_METADATA
    try:
        status = path.stat()
        # Opening a pipe or a device would wait for ever.
        if not stat.S_ISREG(status.st_mode):
            raise ImageRejected("this is not a file")
        if status.st_size > max_bytes:
            raise ImageRejected(
                f"the file has {status.st_size / 1e6:,.0f} MB, too many for an image of at most "
                f"{max_pixels / 1e6:,.0f} megapixels"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageRejected("the file is not there") from None
    except OSError as error:
        raise ImageRejected(f"the file cannot be read ({error.strerror or error})") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, after the EXIF orientation, from the header alone.

    Nothing is decoded, so no limit on pixels applies, and the rest of the file may be damaged.

    Raises:
        ImageRejected: the file cannot be read, or does not start like an image that can.
    """
    try:
        # Opening a pipe or a device would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageRejected("this is not a file")
        with path.open("rb") as file:
            image_format = sniff_format(file.read(16))
            if image_format is None:
                raise ImageRejected("the file does not start like an image")
            file.seek(0)
            return _size_from_header(file, image_format)
    except ImageRejected:
        raise
    # Hostile bytes make a header's reader raise nearly anything, as they do a decoder.
    except Exception as error:
        raise ImageRejected(f"the header cannot be read ({error})") from error


def _size_from_header(file: BinaryIO, image_format: str) -> tuple[int, int]:
    image = _open(file, image_format)
    if min(image.size) < 1:
        raise ImageRejected(f"the image has no pixels ({image.width} x {image.height})")
    # A TIFF image's size is the upright one already. PNG's own getexif would decode the pixels.
    if image_format != "TIFF":
        with suppress(Exception):  # a damaged EXIF block means "as stored"
            if Image.Image.getexif(image).get(ExifTags.Base.Orientation) in _SIDEWAYS:
                return image.height, image.width
    return image.size


@dataclass(frozen=True)
class _Decoded:
    """An upright RGB image, its size before it was shrunk, and whether more frames follow it."""

    format: str
    rgb: Image.Image
    size: tuple[int, int]
    first_frame_only: bool


def _format_of(data: bytes) -> str:
    if not data:
        raise ImageRejected("the file is empty (0 bytes)")
    image_format = sniff_format(data[:16])
    if image_format is None:
        raise ImageRejected(f"the content is {describe_content(data)}, not an image that is read")
    return image_format


def _decode(data: bytes, *, max_pixels: int, side: int | None = None) -> _Decoded:
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, got {max_pixels}")
    if side is not None and side < 1:
        raise ValueError(f"side must be at least 1 pixel, got {side}")
    image_format = _format_of(data)
    _raise_pillow_limit(max_pixels)
    try:
        image = _open(BytesIO(data), image_format)
        _check_size(image.width, image.height, max_pixels)
        # A phone's JPEG may carry previews behind it (MPO): those are no frames of its own.
        first_frame_only = image_format != "JPEG" and getattr(image, "is_animated", False)
        stored_size = image.size
        n_pixels = image.width * image.height
        if image_format == "JPEG" and side is not None:
            n_pixels = _reduce_jpeg(image, side)
        with _decoding.take(n_pixels):
            image.load()
            if image_format in {"TIFF", "GIF"}:  # turned by Pillow; grown by a frame's overhang
                stored_size = image.size
                _check_size(*stored_size, max_pixels)
            orientation = _orientation(image)
            eight_bits = to_8_bits(image, png_bits=data[24] if image_format == "PNG" else None)
            if side is not None:
                eight_bits = fit_within(eight_bits, side=side)
            if orientation in _TRANSPOSE:
                eight_bits = eight_bits.transpose(_TRANSPOSE[orientation])
            rgb = eight_bits.convert("RGB") if eight_bits.mode != "RGB" else eight_bits
    except ImageRejected:
        raise
    except UnreadSamples as error:
        raise ImageRejected(f"the {image_format} image is not read: {error}") from None
    except MemoryError:
        raise ImageRejected("there is not enough memory to decode the image") from None
    # Decoders fed with hostile bytes raise nearly anything; one bad file must not stop a batch.
    except Exception as error:
        found = "is cut short" if _is_cut_short(error) else f"cannot be decoded ({error})"
        raise ImageRejected(f"the {image_format} image {found}") from error
    rgb.info = {}
    size = stored_size[::-1] if orientation in _SIDEWAYS else stored_size
    return _Decoded(image_format, rgb, size, first_frame_only)


def _open(file: BinaryIO, image_format: str) -> ImageFile.ImageFile:
    """Pillow's image of a format, with its header read.

    Not by Image.open: it swallows why a header cannot be read, and refuses by one limit for the
    whole process.
    """
    Image.preinit()
    open_image, _ = Image.OPEN[image_format]
    try:
        return open_image(file, "")
    except Exception as error:
        if image_format == "TIFF" and "unknown pixel mode" in str(error):
            samples = describe_tiff_samples(_tiff_tags(file))
            raise ImageRejected(f"the TIFF image is not read: it has {samples}") from None
        if _is_cut_short(error):
            raise ImageRejected(f"the {image_format} image is cut short") from error
        if any(words in str(error) for words in ("not identified", "Missing dimensions")):
            raise ImageRejected(
                f"the {image_format} image's header gives no size: it is damaged or cut short"
            ) from error
        raise ImageRejected(
            f"the file starts like a {image_format} image, but cannot be read as one ({error})"
        ) from error


def _is_cut_short(error: Exception) -> bool:
    """Whether Pillow's complaint comes to this: there is too little to read."""
    complaint = str(error).lower()
    return isinstance(error.__cause__, struct.error) or any(
        words in complaint for words in ("truncated", "cannot load this image", "unexpected end")
    )


def _tiff_tags(file: BinaryIO) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The tags of a TIFF file's first page."""
    file.seek(0)
    head = file.read(8)
    if head.startswith(b"II+"):  # BigTIFF
        head += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _reduce_jpeg(image: ImageFile.ImageFile, side: int) -> int:
    """Have an image decoded as small as `side` allows; the pixels that this takes in memory."""
    stored = image.width * image.height
    longest = max(image.size)
    scale = next((scale for scale in _JPEG_SCALES if longest // scale >= side), 1)
    if scale > 1:
        image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    # The coefficients of a progressive image are all held until its last scan.
    return stored if "progressive" in image.info else image.width * image.height


def _raise_pillow_limit(max_pixels: int) -> None:
    """Keep Pillow's process-wide limit from being the lower one.

    The limit here is checked by `_check_size`, for each call; Pillow's own is left as a second
    net (it refuses at twice its value) and is only ever raised, so that threads cannot undo each
    other's.
    """
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        with _pillow_limit_lock:
            Image.MAX_IMAGE_PIXELS = max(max_pixels, Image.MAX_IMAGE_PIXELS)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageRejected(f"the image has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageRejected(
            f"the image has {width} x {height} pixels, more than the "
            f"{max_pixels / 1e6:,.1f} megapixels allowed"
        )


def _orientation(image: Image.Image) -> int | None:
    # TIFF images have been turned by Pillow when they were loaded, and their tag is gone.
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # noqa: BLE001 - a damaged EXIF block is no reason to lose the image
        return None
