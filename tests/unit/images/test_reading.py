"""Reading: any file becomes RGB by the stated rules, or is refused with its reason."""

import hashlib
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.images.quality import measure_quality
from core.images.reading import ImageRejected, load_for_import, read_image
from core.images.thumbnails import fit_within

MAX_PIXELS = 1_000_000
FORMATS = ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"]


def encode(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def photograph(width: int = 40, height: int = 30) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_with_header(width: int, height: int, *, bit_depth: int = 8, colour_type: int = 2) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    empty = chunk(b"IDAT", zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + empty + chunk(b"IEND", b"")


def reason_for(data: bytes, *, max_pixels: int = MAX_PIXELS) -> str:
    with pytest.raises(ImageRejected) as caught:
        read_image(data, max_pixels=max_pixels)
    return caught.value.reason


def colours(data: bytes) -> list[tuple[int, int, int]]:
    image = read_image(data, max_pixels=MAX_PIXELS)
    assert image.mode == "RGB"
    return [tuple(pixel) for row in np.asarray(image).tolist() for pixel in row]


# What is read


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_allowed_format_is_read_as_rgb(image_format: str) -> None:
    image = read_image(encode(photograph(), image_format), max_pixels=MAX_PIXELS)
    assert (image.mode, image.size) == ("RGB", (40, 30))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "tiff_deflate", "packbits"])
def test_compressed_tiffs_are_read(compression: str) -> None:
    data = encode(photograph(), "TIFF", compression=compression)
    assert read_image(data, max_pixels=MAX_PIXELS).size == (40, 30)


def test_an_image_of_one_pixel_is_read() -> None:
    assert colours(encode(Image.new("RGB", (1, 1), "red"), "PNG")) == [(255, 0, 0)]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_by_its_full_range(image_format: str) -> None:
    samples = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)  # 0, 1, 128 and 255 times 257
    data = encode(Image.fromarray(samples), image_format)
    assert [red for red, _, _ in colours(data)] == [0, 1, 128, 255]


def test_a_dark_16_bit_image_is_not_stretched() -> None:
    samples = np.array([[0, 2570]], dtype=np.uint16)
    assert colours(encode(Image.fromarray(samples), "PNG")) == [(0, 0, 0), (10, 10, 10)]


def test_16_bit_colour_and_16_bit_grey_agree() -> None:
    row = b"\x00" + struct.pack(">3H", 40000, 40000, 40000)
    colour = png_with_header(1, 1, bit_depth=16, colour_type=2)
    empty = zlib.compress(b"")
    full = zlib.compress(row)
    old = struct.pack(">I", len(empty)) + b"IDAT" + empty
    new = struct.pack(">I", len(full)) + b"IDAT" + full
    at = colour.index(old)
    end = at + len(old) + 4
    checksum = struct.pack(">I", zlib.crc32(b"IDAT" + full))
    colour = colour[:at] + new + checksum + colour[end:]
    grey = encode(Image.fromarray(np.array([[40000]], dtype=np.uint16)), "PNG")
    assert colours(colour) == colours(grey)


def test_floats_from_0_to_1_are_read() -> None:
    samples = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert [red for red, _, _ in colours(encode(Image.fromarray(samples), "TIFF"))] == [0, 128, 255]


@pytest.mark.parametrize("value", [-0.1, 1.5, 255.0, float("nan"), float("inf")])
def test_floats_of_unknown_scale_are_refused(value: float) -> None:
    samples = np.array([[0.5, value]], dtype=np.float32)
    assert "within 0..1" in reason_for(encode(Image.fromarray(samples), "TIFF"))


def test_whole_numbers_of_32_bits_beyond_16_are_refused() -> None:
    fits = encode(Image.fromarray(np.array([[0, 65535]], dtype=np.int32)), "TIFF")
    exceeds = encode(Image.fromarray(np.array([[0, 65536]], dtype=np.int32)), "TIFF")
    assert colours(fits) == [(0, 0, 0), (255, 255, 255)]
    assert "0..65536" in reason_for(exceeds)


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (220, 30, 30)).convert("CMYK")
    mean = np.asarray(read_image(encode(red, "JPEG", quality=95), max_pixels=MAX_PIXELS)).mean(
        (0, 1)
    )
    assert np.abs(mean - [220, 30, 30]).max() < 6


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (200, 0, 0, 255))
    assert colours(encode(image, "PNG")) == [(255, 255, 255), (200, 0, 0)]


def test_a_transparent_palette_colour_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert colours(encode(image, "PNG", transparency=0)) == [(255, 255, 255), (40, 50, 60)]


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_black_and_white_and_grey_are_read(mode: str) -> None:
    assert colours(encode(Image.new(mode, (1, 1), 0).convert(mode), "PNG"))[0] in {
        (0, 0, 0),
        (255, 255, 255),
    }


def test_a_lab_tiff_is_refused() -> None:
    assert "Lab" in reason_for(encode(Image.new("LAB", (2, 2)), "TIFF"))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied_once(image_format: str, orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), "black")
    upright.paste("white", (0, 0, 8, 8))  # a mark in the corner at the top left
    undo = {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }[orientation]
    stored = upright
    for step in undo:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encode(stored, image_format, exif=exif), max_pixels=MAX_PIXELS)
    assert image.size == (32, 16)
    assert image.getpixel((2, 2))[0] > 200
    assert image.getpixel((29, 13))[0] < 50
    assert image.getexif().get(0x0112) in {None, 1}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_lose_the_image() -> None:
    data = encode(photograph(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\xff\xff")
    assert read_image(data, max_pixels=MAX_PIXELS).size == (40, 30)


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_read_and_said_so(image_format: str, tmp_path: Path) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    path = tmp_path / "frames"
    path.write_bytes(encode(red, image_format, save_all=True, append_images=[blue]))
    facts, image = load_for_import(path, max_pixels=MAX_PIXELS)
    assert facts.first_frame_only
    assert image.getpixel((4, 4))[0] > 200


def test_a_single_frame_is_not_called_the_first(tmp_path: Path) -> None:
    for image_format in FORMATS:
        path = tmp_path / image_format
        path.write_bytes(encode(photograph(), image_format))
        assert not load_for_import(path, max_pixels=MAX_PIXELS)[0].first_frame_only


# What is refused


def test_an_empty_file_is_refused() -> None:
    assert "empty" in reason_for(b"")


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_cut_in_half_is_refused(image_format: str) -> None:
    data = encode(photograph(200, 200), image_format)
    assert image_format in reason_for(data[: len(data) // 2])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("image_format", FORMATS)
def test_a_header_alone_is_refused(image_format: str) -> None:
    assert image_format in reason_for(encode(photograph(), image_format)[:20])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"this is a shopping list\n", "text"),
        ("für später".encode(), "text"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"<?xml version='1.0'?><annotation/>", "XML"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "a HEIC photograph"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "a video"),
        (bytes(4096), "nothing but zero bytes"),
        (b"\x07\x80\xfe\xffgarbage", "unknown data"),
    ],
)
def test_the_reason_names_what_was_found_instead(data: bytes, found: str) -> None:
    assert found in reason_for(data)


def test_a_huge_size_is_refused_from_the_header_alone() -> None:
    reason = reason_for(png_with_header(60_000, 60_000), max_pixels=300_000_000)
    assert "megapixels" in reason


def test_the_limit_counts_pixels_and_the_reason_names_the_size() -> None:
    data = encode(photograph(40, 30), "PNG")
    assert read_image(data, max_pixels=1200).size == (40, 30)
    assert "40 x 30" in reason_for(data, max_pixels=1199)


def test_pillows_own_limit_neither_warns_nor_refuses_what_is_allowed() -> None:
    wide = encode(Image.new("1", (20_000, 9_500)), "PNG")  # 190 megapixels: Pillow's refusal
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(wide, max_pixels=200_000_000).size == (20_000, 9_500)
    assert "megapixels" in reason_for(wide, max_pixels=100_000_000)


def test_pillows_own_limit_is_never_lowered() -> None:
    read_image(encode(photograph(), "PNG"), max_pixels=250_000_000)
    read_image(encode(photograph(), "PNG"), max_pixels=5_000)
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS >= 250_000_000


def test_a_limit_below_one_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="got 0"):
        read_image(b"", max_pixels=0)


def missing(path: Path) -> None:
    assert not path.exists()


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def sparse_giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)


@pytest.mark.parametrize(
    ("make", "found"),
    [(missing, "not there"), (folder, "not a file"), (pipe, "not a file"), (sparse_giant, "MB")],
)
def test_what_is_no_readable_file_is_refused_at_once(
    make: Callable[[Path], None], found: str, tmp_path: Path
) -> None:
    path = tmp_path / "image.jpg"
    make(path)
    with pytest.raises(ImageRejected, match=found):
        read_image(path, max_pixels=MAX_PIXELS)


@pytest.mark.filterwarnings("ignore")
@given(data=st.binary(max_size=200), start=st.sampled_from(FORMATS))
def test_hostile_bytes_are_refused_and_nothing_else_is_raised(data: bytes, start: str) -> None:
    head = encode(photograph(4, 4), start)[:40]
    with suppress(ImageRejected):
        read_image(head + data, max_pixels=10_000)


@pytest.mark.filterwarnings("ignore")
@given(
    position=st.integers(0, 10_000),
    value=st.integers(0, 255),
    start=st.sampled_from(FORMATS),
    side=st.sampled_from([None, 4]),
)
def test_a_flipped_byte_is_read_or_refused(
    position: int, value: int, start: str, side: int | None
) -> None:
    data = bytearray(encode(photograph(8, 8), start))
    data[position % len(data)] = value
    with suppress(ImageRejected):
        assert load_for_import(bytes(data), max_pixels=10_000, side=side)[1].mode == "RGB"


# What is known of it


def test_a_png_named_jpg_is_taken_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "scratch.jpg"
    path.write_bytes(encode(photograph(), "PNG"))
    facts, _ = load_for_import(path, max_pixels=MAX_PIXELS)
    assert facts.format == "PNG"


def test_the_facts_are_of_the_file_and_the_size_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(photograph(40, 30), "JPEG", exif=exif)
    path = tmp_path / "phone.jpg"
    path.write_bytes(data)
    facts, image = load_for_import(path, max_pixels=MAX_PIXELS)
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert (facts.width, facts.height) == image.size == (30, 40)
    assert (facts.format, facts.n_bytes) == ("JPEG", len(data))


# What is small enough for the caller


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_shrunk_while_decoding_keeps_its_true_size_in_the_facts(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photograph(1400, 700), "JPEG", exif=exif)
    facts, small = load_for_import(data, max_pixels=MAX_PIXELS, side=320)
    assert (facts.width, facts.height) == ((1400, 700) if orientation == 1 else (700, 1400))
    assert small.size == ((320, 160) if orientation == 1 else (160, 320))


@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "BMP"])
def test_what_is_no_jpeg_is_shrunk_as_by_fit_within(image_format: str) -> None:
    data = encode(photograph(640, 480), image_format)
    _, small = load_for_import(data, max_pixels=MAX_PIXELS, side=320)
    whole = fit_within(read_image(data, max_pixels=MAX_PIXELS), side=320)
    assert small.tobytes() == whole.tobytes()


@pytest.mark.parametrize("size", [(319, 200), (5000, 1), (639, 3), (1, 1)])
def test_no_image_becomes_smaller_than_it_must(size: tuple[int, int]) -> None:
    _, small = load_for_import(encode(photograph(*size), "JPEG"), max_pixels=MAX_PIXELS, side=320)
    assert max(small.size) == min(max(size), 320)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("width", [640, 1280, 2560])
def test_a_shrunk_jpeg_measures_like_the_whole_one(mode: str, width: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (width // 16, width // 16, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, width), Image.Resampling.BICUBIC)
    data = encode(picture.convert(mode), "JPEG", quality=90)
    _, small = load_for_import(data, max_pixels=10_000_000, side=320)
    of_small = measure_quality(small)
    of_whole = measure_quality(read_image(data, max_pixels=10_000_000))
    assert of_small.brightness == pytest.approx(of_whole.brightness, abs=0.01)
    assert of_small.contrast == pytest.approx(of_whole.contrast, abs=0.01)
    assert of_small.saturation == pytest.approx(of_whole.saturation, abs=0.01)
    assert of_small.sharpness == pytest.approx(of_whole.sharpness, rel=0.1)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("n_missing", [1, 2, 10, 1000, 20_000])
def test_a_jpeg_cut_short_is_found_at_any_size(progressive: bool, n_missing: int) -> None:
    data = encode(photograph(640, 640), "JPEG", progressive=progressive)[:-n_missing]
    for side in (None, 320, 160, 80):
        with pytest.raises(ImageRejected, match="cut short"):
            load_for_import(data, max_pixels=MAX_PIXELS, side=side)


def test_a_side_below_one_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="got 0"):
        load_for_import(b"", max_pixels=1, side=0)


def test_many_threads_read_the_same_pixels() -> None:
    data = encode(photograph(), "TIFF")
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: read_image(data, max_pixels=MAX_PIXELS), range(64)))
    assert len({image.tobytes() for image in images}) == 1
