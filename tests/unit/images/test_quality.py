"""Quality: the measures order images as the eye does."""

from dataclasses import asdict, fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from core.images.quality import QUALITY_MEASURES, ImageQuality, measure_quality


def noise(seed: int = 0, *, side: int = 128, deviation: float = 30.0) -> Image.Image:
    samples = np.random.default_rng(seed).normal(128, deviation, (side, side, 1))
    grey = samples.clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(grey, 3, axis=2))


def test_black_and_white_are_the_ends_of_brightness() -> None:
    black = measure_quality(Image.new("RGB", (64, 64), "black"))
    white = measure_quality(Image.new("RGB", (64, 64), "white"))
    assert (black.brightness, black.dark_share, black.bright_share) == (0.0, 1.0, 0.0)
    assert (white.brightness, white.dark_share, white.bright_share) == (1.0, 0.0, 1.0)


def test_half_black_half_white_has_all_the_contrast_there_is() -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste("white", (32, 0, 64, 64))
    assert measure_quality(image).contrast == pytest.approx(1.0)
    assert measure_quality(Image.new("RGB", (64, 64), "grey")).contrast == pytest.approx(0.0)


def test_the_sharpness_of_one_bright_pixel_is_the_variance_of_the_laplacian() -> None:
    image = Image.new("RGB", (5, 5), "black")
    image.putpixel((2, 2), (100, 100, 100))
    laplacian = [0, 100, 0, 100, -400, 100, 0, 100, 0]
    assert measure_quality(image).sharpness == pytest.approx(np.var(laplacian))


def test_blur_lowers_sharpness_at_every_size() -> None:
    for side in (64, 320, 640):
        sharp = noise(side=side)
        blurred = sharp.filter(ImageFilter.GaussianBlur(3))
        assert measure_quality(blurred).sharpness < measure_quality(sharp).sharpness / 10


def test_red_is_saturated_and_grey_is_not() -> None:
    assert measure_quality(Image.new("RGB", (8, 8), "red")).saturation == pytest.approx(1.0)
    assert measure_quality(Image.new("RGB", (8, 8), "grey")).saturation == 0.0


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    pixels=st.integers(0, 2**32 - 1),
)
def test_every_measure_stays_in_its_range(width: int, height: int, pixels: int) -> None:
    samples = np.random.default_rng(pixels).integers(0, 256, (height, width, 3), dtype=np.uint8)
    quality = asdict(measure_quality(Image.fromarray(samples)))
    for measure in QUALITY_MEASURES:
        lowest, highest = measure.range
        assert quality[measure.name] >= lowest
        assert highest is None or quality[measure.name] <= highest + 1e-12


def test_every_measure_is_described() -> None:
    described = [measure.name for measure in QUALITY_MEASURES]
    assert described == [field.name for field in fields(ImageQuality)]
