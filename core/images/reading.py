"""Reading: is this file an image, and what are its pixels?

Files are hostile until decoded. The format is told by the content, never by the name; the size is
read from the header and checked before any pixel is decoded; what cannot be read right is refused
with a reason that a person understands.

Whatever the file holds becomes 8-bit RGB by these rules:

- The EXIF orientation is applied; an unreadable EXIF block means "as stored".
- Samples of 16 bits keep their high byte: the full range 0..65535 becomes 0..255, within one level
  of dividing by 257, so that grey and colour, PNG and TIFF agree. Images are never stretched to
  their own minimum and maximum, which would make a dark image and a bright one look alike.
- Whole numbers of 32 bits are read as 16-bit samples where all lie in 0..65535; floating-point
  samples are read where all lie in 0..1. Beyond that the scale is unknown and the image refused.
- Transparency is laid over white, as most viewers show it.
- CMYK and YCbCr are converted by Pillow's formulas; embedded colour profiles are not applied.
- Of an animation or a multi-page file the first frame is read, and `ImageFacts` says so.
"""

import hashlib
import stat
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
from PIL import (
    ExifTags,
    Image,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

# Imported to be registered: Pillow would otherwise load all of its plugins to find these two.
_PILLOW_FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "GIF",
    TiffImagePlugin.TiffImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
)

# Uncompressed 16-bit colour takes 6 bytes a pixel; the rest is room for metadata.
_BYTES_PER_PIXEL = 8
_BYTES_OF_METADATA = 64_000_000

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_IMAGE_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)

_OTHER_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%!PS", "a PostScript document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
)

_pillow_limit_lock = Lock()


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
        max_pixels: images with more are refused before they are decoded; decoding takes 4 bytes
            a pixel.

    Raises:
        ImageRejected: the file cannot be read, or its content is no image that can be read right.
        ValueError: `max_pixels` is not positive.
    """
    data = source if isinstance(source, bytes) else _read_bytes(source, max_pixels=max_pixels)
    image, _, _ = _decode(data, max_pixels=max_pixels)
    return image


def load_for_import(path: Path, *, max_pixels: int) -> tuple[ImageFacts, Image.Image]:
    """Read a file once: hash it, decode it, and return its facts with the decoded image.

    Hashing and decoding release the interpreter's lock, so threads scale over the cores.

    Raises:
        ImageRejected, ValueError: as `read_image`.
    """
    data = _read_bytes(path, max_pixels=max_pixels)
    image, image_format, first_frame_only = _decode(data, max_pixels=max_pixels)
    facts = ImageFacts(
        sha256=hashlib.sha256(data).hexdigest(),
        format=image_format,
        width=image.width,
        height=image.height,
        n_bytes=len(data),
        first_frame_only=first_frame_only,
    )
    return facts, image


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
    Image.preinit()
    # Not Image.open: its limit is one on decoding, and one for the whole process.
    open_image, _ = Image.OPEN[image_format]
    image = open_image(file, "")
    if min(image.size) < 1:
        raise ImageRejected(f"the image has no pixels ({image.width} x {image.height})")
    # A TIFF image's size is the upright one already. PNG's own getexif would decode the pixels.
    if image_format != "TIFF":
        with suppress(Exception):  # a damaged EXIF block means "as stored"
            if Image.Image.getexif(image).get(ExifTags.Base.Orientation) in {5, 6, 7, 8}:
                return image.height, image.width
    return image.size


def sniff_format(head: bytes) -> str | None:
    """The image format that a file's first 16 bytes announce, or None for anything else."""
    for signature, image_format in _IMAGE_SIGNATURES:
        if head.startswith(signature):
            return image_format
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return None


def describe_content(data: bytes) -> str:
    """What a file that is no readable image seems to be, as words for a reason: "text"."""
    for signature, description in _OTHER_SIGNATURES:
        if data.startswith(signature):
            return description
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}:
            return "a HEIC photograph"
        return "an AVIF image" if brand in {b"avif", b"avis"} else "a video"
    head = data[:512]
    if not head.strip(b"\x00"):
        return "nothing but zero bytes"
    text = head.decode("utf-8", "ignore")
    is_text = len(text.encode()) > len(head) - 4 and all(
        c.isprintable() or c.isspace() for c in text
    )
    if not is_text:
        return "unknown data"
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if "<svg" in start:
        return "an SVG drawing"
    return "XML" if start.startswith("<?xml") else "text"


def _read_bytes(path: Path, *, max_pixels: int) -> bytes:
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


def _decode(data: bytes, *, max_pixels: int) -> tuple[Image.Image, str, bool]:
    """The RGB image, its format, and whether it is only the first of several frames."""
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, got {max_pixels}")
    if not data:
        raise ImageRejected("the file is empty (0 bytes)")
    image_format = sniff_format(data[:16])
    if image_format is None:
        raise ImageRejected(f"the content is {describe_content(data)}, not an image that is read")

    _raise_pillow_limit(max_pixels)
    try:
        image = Image.open(BytesIO(data), formats=_PILLOW_FORMATS)
        _check_size(image.width, image.height, max_pixels)
        # A phone's JPEG may carry previews behind it (MPO): those are no frames of its own.
        first_frame_only = image_format != "JPEG" and getattr(image, "is_animated", False)
        image.load()
        _check_size(image.width, image.height, max_pixels)
        orientation = _orientation(image)
        rgb = _to_rgb(image)
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
    except ImageRejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageRejected(
            f"the image has more than the {max_pixels / 1e6:,.1f} megapixels allowed"
        ) from None
    except MemoryError:
        raise ImageRejected("there is not enough memory to decode the image") from None
    except UnidentifiedImageError:
        raise ImageRejected(
            f"the file starts like a {image_format} image, but its header is damaged or cut short"
        ) from None
    # Decoders fed with hostile bytes raise nearly anything; one bad file must not stop a batch.
    except Exception as error:
        found = "is cut short" if "truncated" in str(error) else f"is damaged ({error})"
        raise ImageRejected(f"the {image_format} image {found}") from error
    rgb.info = {}
    return rgb, image_format, first_frame_only


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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_whole_numbers(np.asarray(image)).convert("RGB")
    if image.mode == "F":
        return _from_floats(np.asarray(image)).convert("RGB")
    if image.mode == "LAB":
        raise ImageRejected("the image is in the Lab colour space, which is not read")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        rgb = Image.new("RGB", rgba.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        return rgb
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_whole_numbers(samples: np.ndarray) -> Image.Image:
    lowest, highest = int(samples.min()), int(samples.max())
    if lowest < 0 or highest > 65535:
        raise ImageRejected(
            f"the samples lie in {lowest}..{highest}; whole numbers are read within 0..65535"
        )
    return Image.fromarray((samples >> 8).astype(np.uint8))


def _from_floats(samples: np.ndarray) -> Image.Image:
    lowest, highest = float(samples.min()), float(samples.max())
    if not (lowest >= 0.0 and highest <= 1.0):
        raise ImageRejected(
            f"the samples lie in {lowest:g}..{highest:g}; floating-point samples are read within "
            "0..1"
        )
    return Image.fromarray((samples * 255.0 + 0.5).astype(np.uint8))
