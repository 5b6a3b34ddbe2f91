"""Files as cameras, phones, scanners and people leave them, each with what is to become of it.

Most are small enough that the eye can see what is right. Those that Pillow writes too tidily are
put together by hand from the formats' own specifications.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageCms

Colour = tuple[int, int, int]

RED, GREEN, BLUE, GREY = (200, 40, 40), (40, 160, 40), (40, 40, 200), (128, 128, 128)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Taken:
    """The file is read.

    Attributes:
        format: what it is, whatever its name.
        size: width and height in pixels, upright.
        pixels: colours by place.
        tolerance: levels by which a colour may differ, for lossy formats.
        first_frame_only: whether more frames follow.
    """

    format: str
    size: tuple[int, int]
    pixels: Mapping[tuple[int, int], Colour] = field(default_factory=dict)
    tolerance: int = 0
    first_frame_only: bool = False


@dataclass(frozen=True)
class Refused:
    """The file is refused, with these words in the reason."""

    words: str


@dataclass(frozen=True)
class OddFile:
    """A file by its name, its bytes, and what is to become of it."""

    name: str
    data: bytes
    outcome: Taken | Refused


def odd_files() -> list[OddFile]:
    """All of them; no two have the same name or the same bytes."""
    return [*_jpegs(), *_pngs(), *_tiffs(), *_bmps(), *_gifs(), *_webps(), *_no_images()]


def quadrants(width: int = 64, height: int = 32) -> Image.Image:
    """Red and green above blue and grey: which way is up can be seen."""
    image = Image.new("RGB", (width, height), GREY)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


_QUADRANTS = {(16, 8): RED, (48, 8): GREEN, (16, 24): BLUE, (48, 24): GREY}


def _quadrants(image_format: str, *, tolerance: int = 0, frames: bool = False) -> Taken:
    return Taken(image_format, (64, 32), _QUADRANTS, tolerance, frames)


def _row(image_format: str, *colours: Colour | int, frames: bool = False) -> Taken:
    """An image of one row; a number stands for that grey."""
    pixels = {
        (x, 0): colour if isinstance(colour, tuple) else (colour,) * 3
        for x, colour in enumerate(colours)
    }
    return Taken(image_format, (len(colours), 1), pixels, first_frame_only=frames)


def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return exif


def _stored(upright: Image.Image, orientation: int) -> Image.Image:
    """The image as a camera stores it that was held in that orientation."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return upright.transpose(undo[orientation]) if orientation in undo else upright


# JPEG


def _jpegs() -> Iterator[OddFile]:
    read = _quadrants("JPEG", tolerance=8)
    plain = encode(quadrants(), "JPEG", quality=95)
    yield OddFile("jpeg-baseline.jpg", plain, read)
    yield OddFile(
        "jpeg-progressive.jpg", encode(quadrants(), "JPEG", quality=95, progressive=True), read
    )
    yield OddFile(
        "jpeg-restart-markers.jpg",
        encode(quadrants(), "JPEG", quality=95, restart_marker_blocks=1),
        read,
    )
    yield OddFile(
        "jpeg-full-chroma.jpg", encode(quadrants(), "JPEG", quality=95, subsampling=0), read
    )
    yield OddFile("jpeg-comment-of-60-kb.jpg", _with_segment(plain, 0xFE, bytes(60_000)), read)
    yield OddFile("jpeg-then-garbage.jpg", plain + b"\x00garbage" * 100, read)
    yield OddFile("jpeg-twice.jpg", plain + plain, read)
    yield OddFile("jpeg-named-png.png", encode(quadrants(), "JPEG", quality=94), read)
    yield OddFile(
        "jpeg-grey.jpg",
        encode(Image.new("L", (8, 8), 90), "JPEG"),
        Taken("JPEG", (8, 8), {(4, 4): (90, 90, 90)}),
    )
    yield OddFile(
        "jpeg-one-pixel.jpg",
        encode(Image.new("RGB", (1, 1), GREY), "JPEG"),
        Taken("JPEG", (1, 1), {(0, 0): GREY}, 2),
    )
    yield OddFile(
        "jpeg-strip.jpg",
        encode(Image.new("RGB", (10_000, 1), GREY), "JPEG"),
        Taken("JPEG", (10_000, 1), {(0, 0): GREY, (9999, 0): GREY}, 2),
    )
    yield from _jpegs_of_cmyk()
    yield from _jpegs_of_phones(plain, read)
    yield OddFile(
        "jpeg-arithmetic-coding.jpg",  # no data at all stands for mid-grey there
        _jpeg_of_grey_block(0xC9),
        Taken("JPEG", (8, 8), {(0, 0): GREY}),
    )
    yield OddFile("jpeg-200-megapixels.jpg", *_jpeg_of_200_megapixels())
    large = encode(quadrants(640, 320), "JPEG", quality=95)
    for share in (0.5, 0.9, 0.999):
        cut = large[: int(len(large) * share)]
        yield OddFile(f"jpeg-cut-at-{share:.1%}.jpg", cut, Refused("JPEG image is cut short"))
    yield OddFile("jpeg-without-its-end.jpg", plain[:-2], Refused("JPEG image is cut short"))
    yield OddFile("jpeg-cut-in-its-header.jpg", plain[:100], Refused("JPEG image is cut short"))
    yield OddFile("jpeg-without-anything.jpg", b"\xff\xd8\xff\xd9", Refused("gives no size"))
    yield OddFile("jpeg-lossless.jpg", _jpeg_of_grey_block(0xC3), Refused("JPEG image cannot"))
    yield OddFile("jpeg-of-12-bits.jpg", _jpeg_of_grey_block(0xC1, bits=12), Refused("12-bit"))
    yield OddFile(
        "jpeg-zero-wide.jpg", _jpeg_of_grey_block(0xC0, width=0), Refused("gives no size")
    )
    yield OddFile(
        "jpeg-65500-square.jpg",
        _jpeg_of_grey_block(0xC0, width=65_500, height=65_500),
        Refused("65500 x 65500 pixels"),
    )


def _jpegs_of_cmyk() -> Iterator[OddFile]:
    inks = quadrants().convert("CMYK")
    read = _quadrants("JPEG", tolerance=8)
    adobe = encode(inks, "JPEG", quality=95)
    yield OddFile("jpeg-cmyk-adobe.jpg", adobe, read)
    yield OddFile("jpeg-cmyk-without-marker.jpg", _without_segment(adobe, 0xEE), read)
    # Adobe's YCCK: the inverted inks as if they were RGB, in YCbCr; the last byte of the marker
    # tells it from CMYK. Pillow inverts what it writes.
    channels = ImageChops.invert(quadrants()).convert("YCbCr").split()
    inverted = [ImageChops.invert(channel) for channel in channels]
    ycck = Image.merge("CMYK", [*inverted, Image.new("L", inks.size, 0)])
    data = bytearray(encode(ycck, "JPEG", quality=95))
    at = data.index(b"Adobe")
    data[at + 11] = 2
    yield OddFile("jpeg-ycck.jpg", bytes(data), read)


def _jpegs_of_phones(plain: bytes, read: Taken) -> Iterator[OddFile]:
    for orientation in range(1, 9):
        stored = _stored(quadrants(), orientation)
        data = encode(stored, "JPEG", quality=95, exif=_exif(orientation))
        yield OddFile(f"jpeg-orientation-{orientation}.jpg", data, read)
    yield OddFile(
        "jpeg-orientation-99.jpg", encode(quadrants(), "JPEG", quality=95, exif=_exif(99)), read
    )
    broken = b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\xff\xff"
    yield OddFile("jpeg-damaged-exif.jpg", _with_segment(plain, 0xE1, broken), read)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield OddFile(
        "jpeg-colour-profile.jpg",
        encode(quadrants(), "JPEG", quality=95, icc_profile=profile),
        read,
    )
    yield OddFile(
        "jpeg-damaged-colour-profile.jpg",
        encode(quadrants(), "JPEG", quality=95, icc_profile=b"no profile"),
        read,
    )
    preview = quadrants(32, 16).transpose(Image.Transpose.ROTATE_180)
    yield OddFile(
        "jpeg-with-a-preview-behind.jpg",
        encode(quadrants(), "MPO", quality=95, save_all=True, append_images=[preview]),
        read,
    )


def _with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def _without_segment(jpeg: bytes, marker: int) -> bytes:
    at = jpeg.index(bytes((0xFF, marker)))
    (length,) = struct.unpack_from(">H", jpeg, at + 2)
    return jpeg[:at] + jpeg[at + 2 + length :]


def _jpeg_of_grey_block(
    frame: int, *, bits: int = 8, width: int = 8, height: int = 8, scan: bytes = b""
) -> bytes:
    """A grey JPEG put together from its segments; `frame` is the kind of its coding."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    # One code each: 0 stands for "no change of the mean" and for "no more coefficients".
    no_change = bytes((0x00, 1, *[0] * 15, 0))
    no_more = bytes((0x10, 1, *[0] * 15, 0))
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xDB, bytes((0, *[1] * 64))),
            segment(frame, struct.pack(">BHHBBBB", bits, height, width, 1, 1, 0x11, 0)),
            segment(0xC4, no_change + no_more),
            segment(0xDA, bytes((1, 1, 0x00, 0, 63, 0))),
            scan,
            b"\xff\xd9",
        )
    )


def _jpeg_of_200_megapixels() -> tuple[bytes, Taken]:
    width, height = 16_320, 12_288
    n_blocks = (width // 8) * (height // 8)
    # Two bits a block, both zero: a mean that does not change from mid-grey, and nothing more.
    data = _jpeg_of_grey_block(0xC0, width=width, height=height, scan=bytes(n_blocks // 4))
    return data, Taken("JPEG", (width, height), {(0, 0): GREY, (width - 1, height - 1): GREY})


# PNG


def png(
    width: int,
    height: int,
    rows: bytes,
    *,
    bits: int = 8,
    colour_type: int = 2,
    interlaced: bool = False,
    before: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """A PNG from its rows, each with its filter byte; `before` are chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def _row_of_16_bits(*samples: int) -> bytes:
    return b"\x00" + struct.pack(f">{len(samples)}H", *samples)


_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6


def _pngs() -> Iterator[OddFile]:
    plain = encode(quadrants(), "PNG")
    read = _quadrants("PNG")
    yield OddFile("png-plain.png", plain, read)
    yield OddFile("png-named-jpg.jpg", encode(quadrants(), "PNG", compress_level=1), read)
    yield OddFile("png-then-garbage.png", plain + b"garbage", read)
    yield OddFile("png-palette.png", encode(quadrants().quantize(4), "PNG"), read)
    yield OddFile(
        "png-orientation-6.png",
        encode(_stored(quadrants(), 6), "PNG", exif=_exif(6)),
        read,
    )
    yield OddFile(
        "png-animated.png",
        encode(quadrants(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        _quadrants("PNG", frames=True),
    )
    yield OddFile(
        "png-one-pixel-interlaced.png",
        png(1, 1, b"\x00" + bytes(RED), interlaced=True),
        _row("PNG", RED),
    )
    yield OddFile(
        "png-strip.png",
        encode(Image.new("RGB", (1, 10_000), RED), "PNG"),
        Taken("PNG", (1, 10_000), {(0, 9999): RED}),
    )
    yield from _pngs_of_few_bits()
    yield from _pngs_of_16_bits()
    yield from _pngs_with_transparency()
    yield from _damaged_and_hostile_pngs(plain)


def _pngs_of_few_bits() -> Iterator[OddFile]:
    yield OddFile(
        "png-1-bit.png", png(2, 1, b"\x00\x40", bits=1, colour_type=_GREY), _row("PNG", 0, 255)
    )
    yield OddFile(
        "png-2-bit.png",
        png(4, 1, b"\x00\x1b", bits=2, colour_type=_GREY),
        _row("PNG", 0, 85, 170, 255),
    )
    yield OddFile(
        "png-4-bit.png", png(2, 1, b"\x00\x8f", bits=4, colour_type=_GREY), _row("PNG", 136, 255)
    )


def _pngs_of_16_bits() -> Iterator[OddFile]:
    yield OddFile(
        "png-16-bit-grey.png",
        png(4, 1, _row_of_16_bits(0, 257, 32896, 65535), bits=16, colour_type=_GREY),
        _row("PNG", 0, 1, 128, 255),
    )
    yield OddFile(
        "png-16-bit-dark.png",
        png(2, 1, _row_of_16_bits(0, 2570), bits=16, colour_type=_GREY),
        _row("PNG", 0, 10),
    )
    yield OddFile(
        "png-16-bit-of-which-12-mean-something.png",
        png(
            2,
            1,
            _row_of_16_bits(0x8008, 0xFFFF),
            bits=16,
            colour_type=_GREY,
            before=[(b"sBIT", b"\x0c")],
        ),
        _row("PNG", 128, 255),
    )
    yield OddFile(
        "png-16-bit-colour.png",
        png(2, 1, _row_of_16_bits(40000, 257, 65535, 0, 511, 512), bits=16),
        _row("PNG", (156, 1, 255), (0, 1, 2)),
    )
    yield OddFile(
        "png-16-bit-colour-and-alpha.png",
        png(
            2,
            1,
            _row_of_16_bits(40000, 257, 0, 65535, 40000, 257, 0, 0),
            bits=16,
            colour_type=_RGBA,
        ),
        _row("PNG", (156, 1, 0), WHITE),
    )
    yield OddFile(
        "png-16-bit-grey-and-alpha.png",
        png(2, 1, _row_of_16_bits(40000, 65535, 40000, 0), bits=16, colour_type=_GREY_ALPHA),
        _row("PNG", 156, WHITE),
    )


def _pngs_with_transparency() -> Iterator[OddFile]:
    clear_red = png(2, 1, b"\x00" + bytes((*RED, 0, *RED, 255)), colour_type=_RGBA)
    yield OddFile("png-alpha.png", clear_red, _row("PNG", WHITE, RED))
    yield OddFile(
        "png-half-transparent.png",
        png(1, 1, b"\x00" + bytes((0, 0, 0, 128)), colour_type=_RGBA),
        _row("PNG", 127),
    )
    yield OddFile(
        "png-grey-and-alpha.png",
        png(2, 1, b"\x00\x32\x00\x32\xff", colour_type=_GREY_ALPHA),
        _row("PNG", WHITE, 50),
    )
    colours = (b"PLTE", bytes((*RED, *GREEN, *BLUE)))
    for name, alphas, expected in (
        ("one-clear-colour", b"\x00", (WHITE, GREEN, BLUE)),
        ("alphas", b"\xff\x00\x80", (RED, WHITE, (147, 147, 227))),
    ):
        yield OddFile(
            f"png-palette-with-{name}.png",
            png(
                3,
                1,
                b"\x00\x00\x01\x02",
                colour_type=_PALETTE,
                before=[colours, (b"tRNS", alphas)],
            ),
            _row("PNG", *expected),
        )
    for name, bits, colour_type, row, key, expected in (
        ("1-bit", 1, _GREY, b"\x00\x40", (0,), (WHITE, WHITE)),
        ("2-bit", 2, _GREY, b"\x00\x1b", (1,), (0, WHITE, 170, 255)),
        ("grey", 8, _GREY, b"\x00\x32\x33", (50,), (WHITE, 51)),
        ("16-bit", 16, _GREY, _row_of_16_bits(40000, 40001), (40000,), (WHITE, 156)),
        ("colour", 8, _RGB, b"\x00" + bytes((*RED, *GREEN)), RED, (WHITE, GREEN)),
        (
            "16-bit-colour",
            16,
            _RGB,
            _row_of_16_bits(40000, 0, 0, 0, 40000, 0),
            (40000, 0, 0),
            (WHITE, (0, 156, 0)),
        ),
    ):
        yield OddFile(
            f"png-clear-{name}.png",
            png(
                len(expected),
                1,
                row,
                bits=bits,
                colour_type=colour_type,
                before=[(b"tRNS", struct.pack(f">{len(key)}H", *key))],
            ),
            _row("PNG", *expected),
        )


def _damaged_and_hostile_pngs(plain: bytes) -> Iterator[OddFile]:
    yield OddFile("png-cut-at-half.png", plain[: len(plain) // 2], Refused("cut short"))
    at = plain.index(b"IDAT")
    yield OddFile(
        "png-wrong-checksum.png",
        plain[: at + 8] + bytes((plain[at + 8] ^ 1,)) + plain[at + 9 :],
        Refused("PNG image cannot be decoded"),
    )
    yield OddFile(
        "png-without-pixels.png",
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)),
        Refused("PNG image is cut short"),
    )
    yield OddFile("png-zero-wide.png", png(0, 4, bytes(4)), Refused("gives no size"))
    yield OddFile(
        "png-of-an-iphone-app.png",  # Apple's own variant: no zlib header, blue before red
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"CgBI", b"\x50\x00\x20\x02")
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"\x00" + bytes(RED[::-1]))[2:-4])
        + _chunk(b"IEND", b""),
        Refused("PNG image cannot be decoded"),
    )
    rows = zlib.compressobj(9)
    row = bytes(50_000 // 8 + 1)
    zeros = b"".join(rows.compress(row) for _ in range(1000)) + rows.flush()
    bomb = [
        (b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)),
        (b"IDAT", zeros),
    ]
    yield OddFile(
        "png-50000-square.png",
        b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in bomb),
        Refused("50000 x 50000 pixels"),
    )
    yield OddFile(
        "png-200-megapixels.png",
        png(20_000, 10_000, bytes(10_000 * (20_000 // 8 + 1)), bits=1, colour_type=_GREY),
        Taken("PNG", (20_000, 10_000), {(0, 0): BLACK, (19_999, 9_999): BLACK}),
    )
    text = zlib.compress(bytes(8_000_000))
    yield OddFile(
        "png-text-of-8-mb.png",
        png(1, 1, b"\x00" + bytes(GREEN), before=[(b"zTXt", b"Comment\x00\x00" + text)]),
        Refused("MAX_TEXT_CHUNK"),
    )


# TIFF

_BYTE, _SHORT, _LONG, _DOUBLE, _LONG8 = 1, 3, 4, 12, 16
_CODES = {_BYTE: "B", _SHORT: "H", _LONG: "I", _DOUBLE: "d", _LONG8: "Q"}
_KINDS = {"u": 1, "i": 2, "f": 3}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _IS_RGB, _IS_PALETTE = 0, 1, 2, 3
_MAX_SAMPLE_VALUE, _S_MAX_SAMPLE_VALUE = 281, 341

Tag = tuple[int, int, Sequence[float]]  # number, type, values


def tiff(
    samples: np.ndarray,
    *,
    order: str = "<",
    bits: int | None = None,
    packed: bytes | None = None,
    photometric: int | None = None,
    big: bool = False,
    more: Sequence[Tag] = (),
    without: Sequence[int] = (),
) -> bytes:
    """A TIFF in one uncompressed strip, put together by hand.

    Args:
        samples: (height, width) or (height, width, n_samples); their dtype is the file's.
        order: "<" or ">", the byte order.
        bits: of a sample, where they are fewer than the dtype's; `packed` then holds the pixels.
        photometric: what a sample means; black is zero, or RGB, if None.
        big: whether to write BigTIFF.
        more: further tags; one that is there already is replaced.
        without: tags that are left out.
    """
    height, width, n_samples = (*samples.shape, 1)[:3]
    data = packed or samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    if photometric is None:
        photometric = _BLACK_IS_ZERO if n_samples == 1 else _IS_RGB
    start = 16 if big else 8
    tags: dict[int, tuple[int, Sequence[float]]] = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits or samples.itemsize * 8] * n_samples),
        259: (_SHORT, [1]),
        262: (_SHORT, [photometric]),
        273: (_LONG, [start]),
        277: (_SHORT, [n_samples]),
        278: (_LONG, [height]),
        279: (_LONG, [len(data)]),
        339: (_SHORT, [_KINDS[samples.dtype.kind]] * n_samples),
        **{tag: (kind, values) for tag, kind, values in more},
    }
    tags = {tag: value for tag, value in tags.items() if tag not in without}
    data += bytes(-len(data) % 8)
    offset = "Q" if big else "I"
    room = 8 if big else 4
    directory_at = start + len(data)
    values_at = directory_at + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    directory = struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
    values_data = b""
    for tag, (kind, values) in sorted(tags.items()):
        value = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        if len(value) > room:
            at = values_at + len(values_data)
            values_data += value
            value = struct.pack(f"{order}{offset}", at)
        directory += struct.pack(f"{order}HH{offset}", tag, kind, len(values))
        directory += value.ljust(room, b"\x00")
    directory += struct.pack(f"{order}{offset}", 0)
    mark = b"II" if order == "<" else b"MM"
    version = struct.pack(f"{order}HHH", 43, 8, 0) if big else struct.pack(f"{order}H", 42)
    head = mark + version + struct.pack(f"{order}{offset}", directory_at)
    return head + data + directory + values_data


def _of(dtype: str, *samples: float) -> np.ndarray:
    return np.array([samples], dtype=dtype)


def _tiffs() -> Iterator[OddFile]:
    picture = np.asarray(quadrants())
    read = _quadrants("TIFF")
    yield OddFile("tiff-little-endian.tif", tiff(picture), read)
    yield OddFile("tiff-big-endian.tif", tiff(picture, order=">"), read)
    yield OddFile("tiff-bigtiff.tif", tiff(picture, big=True), read)
    yield OddFile(
        "tiff-bigtiff-big-endian.tif", tiff(picture, order=">", big=True), Refused("a BigTIFF")
    )
    for compression in ("tiff_lzw", "tiff_deflate", "packbits", "zstd"):
        data = encode(quadrants(), "TIFF", compression=compression)
        yield OddFile(f"tiff-{compression.removeprefix('tiff_')}.tif", data, read)
    yield OddFile(
        "tiff-jpeg.tif",
        encode(quadrants(), "TIFF", compression="jpeg", quality=95),
        _quadrants("TIFF", tolerance=8),
    )
    stripes = Image.fromarray(np.array([[False, True] * 8], dtype=bool))
    for compression in ("group3", "group4"):
        yield OddFile(
            f"tiff-fax-{compression}.tif",
            encode(stripes, "TIFF", compression=compression),
            _row("TIFF", *[0, 255] * 8),
        )
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1)).tobytes()
    offsets = [8 + number * 64 * 32 for number in range(3)]
    planar: list[Tag] = [
        (284, _SHORT, [2]),
        (273, _LONG, offsets),
        (279, _LONG, [64 * 32] * 3),
    ]
    yield OddFile("tiff-plane-after-plane.tif", tiff(picture, packed=planes, more=planar), read)
    yield OddFile("tiff-tiled.tif", _tiled(picture), read)
    yield OddFile(
        "tiff-pages.tif",
        encode(quadrants(), "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]),
        _quadrants("TIFF", frames=True),
    )
    yield OddFile(
        "tiff-orientation-8.tif", encode(_stored(quadrants(), 8), "TIFF", exif=_exif(8)), read
    )
    yield OddFile("tiff-one-pixel.tif", tiff(_of("u1", 77)), _row("TIFF", 77))
    yield from _tiffs_of_few_bits()
    yield from _tiffs_of_16_bits()
    yield from _tiffs_of_32_bits_and_floats()
    yield from _tiffs_of_other_colours()
    yield from _damaged_and_misleading_tiffs(picture)


def _tiled(picture: np.ndarray) -> bytes:
    tiles = [picture[y : y + 16, x : x + 16] for y in (0, 16) for x in range(0, 64, 16)]
    n_bytes = 16 * 16 * 3
    places: list[Tag] = [
        (322, _LONG, [16]),
        (323, _LONG, [16]),
        (324, _LONG, [8 + number * n_bytes for number in range(len(tiles))]),
        (325, _LONG, [n_bytes] * len(tiles)),
    ]
    packed = b"".join(tile.tobytes() for tile in tiles)
    return tiff(picture, packed=packed, more=places, without=(273, 278, 279))


def _tiffs_of_few_bits() -> Iterator[OddFile]:
    bits = np.zeros((1, 8), np.uint8)
    for name, photometric, expected in (
        ("black-is-zero", _BLACK_IS_ZERO, (0, 255)),
        ("white-is-zero", _WHITE_IS_ZERO, (255, 0)),
    ):
        yield OddFile(
            f"tiff-1-bit-{name}.tif",
            tiff(bits, bits=1, packed=b"\x55", photometric=photometric),
            _row("TIFF", *expected * 4),
        )
    yield OddFile(
        "tiff-white-is-zero.tif",
        tiff(_of("u1", 0, 55, 255), photometric=_WHITE_IS_ZERO),
        _row("TIFF", 255, 200, 0),
    )
    yield OddFile("tiff-signed-8-bit.tif", tiff(_of("i1", -1, 5)), Refused("signed"))


def _tiffs_of_16_bits() -> Iterator[OddFile]:
    full = _of("u2", 0, 257, 32896, 65535)
    yield OddFile("tiff-16-bit.tif", tiff(full), _row("TIFF", 0, 1, 128, 255))
    yield OddFile("tiff-16-bit-big-endian.tif", tiff(full, order=">"), _row("TIFF", 0, 1, 128, 255))
    yield OddFile(
        "tiff-16-bit-white-is-zero.tif",
        tiff(full, photometric=_WHITE_IS_ZERO),
        _row("TIFF", 255, 254, 127, 0),
    )
    for compression in ("tiff_lzw", "tiff_deflate"):
        yield OddFile(
            f"tiff-16-bit-{compression.removeprefix('tiff_')}.tif",
            encode(Image.fromarray(full), "TIFF", compression=compression),
            _row("TIFF", 0, 1, 128, 255),
        )
    twelve = _of("u2", 0, 16, 2048, 4095)
    yield OddFile("tiff-12-in-16-bit-unsaid.tif", tiff(twelve), _row("TIFF", 0, 0, 8, 15))
    for name, tag in (("max", _MAX_SAMPLE_VALUE), ("smax", _S_MAX_SAMPLE_VALUE)):
        for order in "<>":
            yield OddFile(
                f"tiff-12-in-16-bit-by-{name}-{'little' if order == '<' else 'big'}.tif",
                tiff(twelve, order=order, more=[(tag, _SHORT, [4095])]),
                _row("TIFF", 0, 1, 128, 255),
            )
    yield OddFile(
        "tiff-10-in-16-bit-as-a-fraction.tif",
        tiff(_of("u2", 0, 4, 1023), more=[(_S_MAX_SAMPLE_VALUE, _DOUBLE, [1023.0])]),
        _row("TIFF", 0, 1, 255),
    )
    yield OddFile(
        "tiff-12-in-16-bit-and-more.tif",
        tiff(_of("u2", 0, 5000), more=[(_MAX_SAMPLE_VALUE, _SHORT, [4095])]),
        Refused("0..5000, not within 0..4095"),
    )
    yield OddFile(
        "tiff-16-bit-with-its-highest-sample.tif",
        tiff(_of("u2", 0, 3071), more=[(_MAX_SAMPLE_VALUE, _SHORT, [3071])]),
        _row("TIFF", 0, 11),
    )
    yield OddFile(
        "tiff-12-bit-packed.tif",
        tiff(np.zeros((1, 2), np.uint16), bits=12, packed=b"\x80\x0f\xff"),
        _row("TIFF", 128, 255),
    )
    colour = np.array([[[40000, 257, 65535], [0, 511, 512]]], dtype=np.uint16)
    for order, name in (("<", "little"), (">", "big")):
        yield OddFile(
            f"tiff-16-bit-colour-{name}-endian.tif",
            tiff(colour, order=order),
            _row("TIFF", (156, 1, 255), (0, 1, 2)),
        )
    yield OddFile(
        "tiff-12-in-16-bit-colour.tif",
        tiff(colour >> 4, more=[(_MAX_SAMPLE_VALUE, _SHORT, [4095] * 3)]),
        Refused("12 bits in 16"),
    )
    yield OddFile("tiff-signed-16-bit.tif", tiff(_of("i2", 0, 128, 32767)), _row("TIFF", 0, 1, 255))
    yield OddFile("tiff-signed-16-bit-negative.tif", tiff(_of("i2", -5, 9)), Refused("-5..9"))


def _tiffs_of_32_bits_and_floats() -> Iterator[OddFile]:
    yield OddFile("tiff-32-bit.tif", tiff(_of("u4", 0, 256, 65535)), _row("TIFF", 0, 1, 255))
    yield OddFile(
        "tiff-signed-32-bit.tif",
        tiff(_of("i4", 0, 512, 65535), order=">"),
        _row("TIFF", 0, 2, 255),
    )
    yield OddFile("tiff-32-bit-beyond-16.tif", tiff(_of("u4", 0, 65536)), Refused("0..65536"))
    for order, name in (("<", "little"), (">", "big")):
        yield OddFile(
            f"tiff-float-{name}-endian.tif",
            tiff(_of("f4", 0.0, 0.5, 1.0), order=order),
            _row("TIFF", 0, 128, 255),
        )
    yield OddFile(
        "tiff-float-white-is-zero.tif",
        tiff(_of("f4", 0.0, 1.0), photometric=_WHITE_IS_ZERO),
        _row("TIFF", 255, 0),
    )
    for name, value in (("255", 255.0), ("nan", float("nan")), ("infinity", float("inf"))):
        yield OddFile(
            f"tiff-float-{name}.tif", tiff(_of("f4", 0.5, value)), Refused("not within 0..1")
        )
    yield OddFile("tiff-float-negative.tif", tiff(_of("f4", -0.1, 1)), Refused("-0.1..1"))
    yield OddFile(
        "tiff-float-64.tif",
        tiff(_of("f8", 0, 1)),
        Refused("64-bit floating-point samples, 1 a pixel"),
    )
    yield OddFile(
        "tiff-float-16.tif",
        tiff(_of("f2", 0, 1)),
        Refused("16-bit floating-point samples, 1 a pixel"),
    )
    pixel = np.array([[[0.1, 0.2, 0.3]]], dtype=np.float32)
    yield OddFile(
        "tiff-float-colour.tif", tiff(pixel), Refused("32-bit floating-point samples, 3 a pixel")
    )
    yield OddFile(
        "tiff-64-bit.tif",
        tiff(_of("u8", 0, 1)),
        Refused("64-bit unsigned whole samples, 1 a pixel"),
    )


def _tiffs_of_other_colours() -> Iterator[OddFile]:
    inks = quadrants().convert("CMYK")
    yield OddFile("tiff-cmyk.tif", encode(inks, "TIFF"), _quadrants("TIFF", tolerance=1))
    yield OddFile("tiff-lab.tif", encode(Image.new("LAB", (2, 2)), "TIFF"), Refused("Lab"))
    palette = np.zeros((256, 3), np.uint16)
    palette[:2] = RED, GREEN
    for name, scale in (("16", 257), ("8", 1)):
        yield OddFile(
            f"tiff-palette-of-{name}-bits.tif",
            tiff(
                _of("u1", 1, 0),
                photometric=_IS_PALETTE,
                more=[(320, _SHORT, (palette.T.ravel() * scale).tolist())],
            ),
            _row("TIFF", GREEN, RED),
        )
    yield OddFile(
        "tiff-alpha.tif",
        tiff(np.array([[[*RED, 0], [*RED, 255]]], np.uint8), more=[(338, _SHORT, [2])]),
        _row("TIFF", WHITE, RED),
    )
    yield OddFile(
        "tiff-alpha-multiplied-in.tif",
        tiff(np.array([[[0, 0, 0, 0], [100, 20, 20, 127]]], np.uint8), more=[(338, _SHORT, [1])]),
        _row("TIFF", WHITE, (228, 148, 148)),
    )
    yield OddFile(
        "tiff-grey-and-alpha.tif",
        tiff(
            np.array([[[50, 0], [50, 255]]], np.uint8),
            photometric=_BLACK_IS_ZERO,
            more=[(338, _SHORT, [2])],
        ),
        _row("TIFF", WHITE, 50),
    )
    yield OddFile(
        "tiff-grey-and-alpha-multiplied-in.tif",
        tiff(
            np.array([[[0, 0], [50, 255]]], np.uint8),
            photometric=_BLACK_IS_ZERO,
            more=[(338, _SHORT, [1])],
        ),
        _row("TIFF", WHITE, 50),
    )
    yield OddFile(
        "tiff-fourth-sample-of-no-meaning.tif",
        tiff(np.array([[[*RED, 9], [*GREEN, 9]]], np.uint8), more=[(338, _SHORT, [0])]),
        _row("TIFF", RED, GREEN),
    )


def _damaged_and_misleading_tiffs(picture: np.ndarray) -> Iterator[OddFile]:
    compressed = encode(quadrants(640, 320), "TIFF", compression="tiff_lzw")
    yield OddFile("tiff-cut-at-half.tif", compressed[: len(compressed) // 2], Refused("cut short"))
    plain = tiff(picture)
    yield OddFile("tiff-directory-beyond-its-end.tif", plain[:2000], Refused("cut short"))
    yield OddFile("tiff-zero-wide.tif", tiff(np.zeros((1, 0), np.uint8)), Refused("no size"))
    yield OddFile(
        "tiff-of-a-raw-camera.tif",
        tiff(picture, more=[(50706, _BYTE, [1, 4, 0, 0])]),
        Refused("camera's raw file"),
    )
    yield OddFile(
        "tiff-preview-of-another-image.tif",
        tiff(picture, more=[(254, _LONG, [1])]),
        Refused("camera's raw file"),
    )
    yield OddFile(
        "tiff-of-a-sensors-mosaic.tif",
        tiff(_of("u2", 1, 2, 3), photometric=32803),
        Refused("photometric interpretation 32803"),
    )
    yield OddFile(
        "tiff-60000-square.tif",
        tiff(picture, more=[(256, _LONG, [60_000]), (257, _LONG, [60_000])]),
        Refused("60000 x 60000 pixels"),
    )


# BMP


def bmp(
    width: int,
    height: int,
    bits: int,
    pixels: bytes,
    *,
    compression: int = 0,
    palette: Sequence[Colour] = (),
    masks: Sequence[int] = (),
) -> bytes:
    """A Windows bitmap from its rows, bottom row first; a negative height has the top row first."""
    extra = b"".join(struct.pack("<I", mask) for mask in masks)
    extra += b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 2835,
                       2835, len(palette), 0)  # fmt: skip
    start = 14 + len(info) + len(extra)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + info + extra + pixels


def _bmps() -> Iterator[OddFile]:
    palette = (RED, GREEN, BLUE)
    yield OddFile("bmp-24-bit.bmp", encode(quadrants(), "BMP"), _quadrants("BMP"))
    yield OddFile("bmp-8-bit.bmp", encode(quadrants().quantize(4), "BMP"), _quadrants("BMP"))
    yield OddFile(
        "bmp-1-bit.bmp",
        bmp(2, 1, 1, b"\x40\x00\x00\x00", palette=(BLACK, WHITE)),
        _row("BMP", 0, 255),
    )
    yield OddFile(
        "bmp-4-bit.bmp",
        bmp(2, 1, 4, b"\x12\x00\x00\x00", palette=palette),
        _row("BMP", GREEN, BLUE),
    )
    yield OddFile(
        "bmp-run-lengths-of-8-bits.bmp",
        bmp(3, 1, 8, b"\x02\x01\x01\x00\x00\x00\x00\x01", compression=1, palette=palette),
        _row("BMP", GREEN, GREEN, RED),
    )
    yield OddFile(
        "bmp-run-lengths-of-4-bits.bmp",
        bmp(3, 1, 4, b"\x03\x12\x00\x00\x00\x01", compression=2, palette=palette),
        _row("BMP", GREEN, BLUE, GREEN),
    )
    full_red, full_green = 0x1F << 11, 0x3F << 5
    yield OddFile(
        "bmp-16-bit-565.bmp",
        bmp(2, 1, 16, struct.pack("<HH", full_red, full_green), compression=3,
            masks=(0xF800, 0x07E0, 0x001F)),
        _row("BMP", (255, 0, 0), (0, 255, 0)),
    )  # fmt: skip
    yield OddFile(
        "bmp-16-bit-555.bmp",
        bmp(2, 1, 16, struct.pack("<HH", 0x1F << 10, 0x1F)),
        _row("BMP", (255, 0, 0), (0, 0, 255)),
    )
    yield OddFile(
        "bmp-32-bit.bmp",  # the fourth byte has no meaning
        bmp(2, 1, 32, bytes((*RED[::-1], 0, *GREEN[::-1], 255))),
        _row("BMP", RED, GREEN),
    )
    top_down = bmp(1, -2, 24, bytes((*RED[::-1], 0, *GREEN[::-1], 0)))
    yield OddFile(
        "bmp-top-row-first.bmp", top_down, Taken("BMP", (1, 2), {(0, 0): RED, (0, 1): GREEN})
    )
    old = struct.pack("<IHHHH", 12, 1, 1, 1, 24) + bytes((*BLUE[::-1], 0))
    yield OddFile(
        "bmp-of-os2.bmp", struct.pack("<2sIHHI", b"BM", 30, 0, 0, 26) + old, _row("BMP", BLUE)
    )
    yield OddFile("bmp-cut.bmp", encode(quadrants(), "BMP")[:3000], Refused("BMP image is cut"))
    yield OddFile("bmp-50000-square.bmp", bmp(50_000, 50_000, 1, b""), Refused("50000 x 50000"))
    yield OddFile("bmp-that-is-text.bmp", b"BMW, Audi and Opel", Refused("BMP image is cut short"))


# GIF and WebP


def gif(canvas: tuple[int, int], frame: tuple[int, int, int, int], pixels: bytes) -> bytes:
    """A GIF of one frame (left, top, width, height) in two colours; `pixels` is its LZW data."""
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes((*RED, *GREEN))
    block = bytes((2, len(pixels))) + pixels + b"\x00"
    return head + b"," + struct.pack("<HHHHB", *frame, 0) + block + b";"


def _gifs() -> Iterator[OddFile]:
    still = encode(quadrants(), "GIF")
    yield OddFile("gif-still.gif", still, _quadrants("GIF"))
    yield OddFile(
        "gif-animated.gif",
        encode(quadrants(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        _quadrants("GIF", frames=True),
    )
    clear = Image.new("P", (2, 1))
    clear.putpalette((*RED, *GREEN))
    clear.putpixel((1, 0), 1)
    yield OddFile("gif-clear.gif", encode(clear, "GIF", transparency=0), _row("GIF", WHITE, GREEN))
    one_pixel = b"\x4c\x01"  # clear, colour 1, end: 3 bits each
    yield OddFile("gif-one-pixel.gif", gif((1, 1), (0, 0, 1, 1), one_pixel), _row("GIF", GREEN))
    yield OddFile(
        "gif-frame-beyond-its-canvas.gif",
        gif((1, 1), (1, 0, 1, 1), one_pixel),
        Taken("GIF", (2, 1), {(1, 0): GREEN}),
    )
    yield OddFile("gif-cut.gif", still[: len(still) // 2], Refused("cut short"))
    yield OddFile("gif-without-frames.gif", still[:13] + b";", Refused("no more images"))


def _webps() -> Iterator[OddFile]:
    read = _quadrants("WEBP", tolerance=10)
    yield OddFile("webp-lossy.webp", encode(quadrants(), "WEBP", quality=95), read)
    lossless = encode(quadrants(), "WEBP", lossless=True)
    yield OddFile("webp-lossless.webp", lossless, _quadrants("WEBP"))
    clear = Image.new("RGBA", (2, 1), (*RED, 0))
    clear.putpixel((1, 0), (*RED, 255))
    yield OddFile("webp-alpha.webp", encode(clear, "WEBP", lossless=True), _row("WEBP", WHITE, RED))
    yield OddFile(
        "webp-animated.webp",
        encode(
            quadrants(),
            "WEBP",
            lossless=True,
            save_all=True,
            append_images=[Image.new("RGB", (64, 32))],
        ),
        _quadrants("WEBP", frames=True),
    )
    yield OddFile(
        "webp-orientation-3.webp",
        encode(_stored(quadrants(), 3), "WEBP", lossless=True, exif=_exif(3)),
        _quadrants("WEBP"),
    )
    yield OddFile("webp-cut.webp", lossless[:-20], Refused("cannot be read as one"))


# What is no image that is read, whatever its name says


def _no_images() -> Iterator[OddFile]:
    for name, data, words in (
        ("empty.jpg", b"", "empty"),
        ("zeros.png", bytes(4096), "nothing but zero bytes"),
        ("page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        ("list.jpg", b"dirt, drop, scratch\n", "text"),
        ("scan.tif", b"%PDF-1.7\n", "a PDF document"),
        ("photo.jpg", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC photograph"),
        ("photo.webp", b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avif", "an AVIF image"),
        ("photo.jpeg", b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        ("photo.png", b"\xff\x0a\xfa\x1f", "a JPEG XL image"),
        ("photo.bmp", b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        ("clip.gif", b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isom", "a video"),
        ("layers.tif", b"8BPS\x00\x01", "a Photoshop document"),
        ("render.tif", b"v/1\x01\x02\x00\x00\x00", "an OpenEXR image"),
        ("icon.bmp", b"\x00\x00\x01\x00\x01\x00\x10\x10", "an icon"),
        ("x-ray.tif", bytes(128) + b"DICM", "a DICOM image"),
        ("pictures.jpg", b"PK\x03\x04\x14\x00", "a zip archive"),
        ("noise.jpg", b"\x07\x80\xfe\xff\x00\x13", "unknown data"),
    ):
        yield OddFile(name, data, Refused(words))
