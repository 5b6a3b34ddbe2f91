"""Quality flags: what is blank, dark, blurred, tiny or unlike the others is named, and no more."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from core.images.quality import (
    QUALITY_MEASURES,
    SHAPE_MEASURES,
    measure_quality,
)
from core.images.quality_flags import (
    MIN_IMAGES_TO_COMPARE,
    QUALITY_FLAGS,
    Flagged,
    flag_quality,
    flag_shapes,
)


def noise(seed: int = 0, *, deviation: float = 30.0) -> Image.Image:
    samples = np.random.default_rng(seed).normal(128, deviation, (64, 64, 1))
    grey = samples.clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(grey, 3, axis=2))


def flags_of(images: list[Image.Image]) -> list[tuple[int, str]]:
    measured = [asdict(measure_quality(image)) for image in images]
    return named(flag_quality({m.name: column(measured, m.name) for m in QUALITY_MEASURES}))


def column(measured: list[dict[str, float]], name: str) -> np.ndarray:
    return np.array([each[name] for each in measured], float)


def shapes_of(*sizes: tuple[int, int]) -> list[tuple[int, str]]:
    widths, heights = np.array(sizes).T
    return named(flag_shapes(widths, heights))


def named(flagged: tuple[Flagged, ...]) -> list[tuple[int, str]]:
    return [(int(row), each.flag.name) for each in flagged for row in np.flatnonzero(each.rows)]


def test_every_flag_is_described_and_given() -> None:
    table = {measure.name: np.zeros(1) for measure in QUALITY_MEASURES}
    given_flags = [*flag_quality(table), *flag_shapes(np.ones(1), np.ones(1))]
    assert [each.flag for each in given_flags] == list(QUALITY_FLAGS.values())
    measures = {measure.name for measure in (*QUALITY_MEASURES, *SHAPE_MEASURES)}
    assert {flag.measure for flag in QUALITY_FLAGS.values()} <= measures | {None}


def test_ordinary_images_are_not_flagged() -> None:
    assert flags_of([noise(seed) for seed in range(30)]) == []


def test_dark_bright_and_blank_images_are_flagged() -> None:
    images = [Image.new("RGB", (64, 64), shade) for shade in ("black", "grey", "white")]
    assert flags_of(images) == [
        (0, "nearly_uniform"),
        (1, "nearly_uniform"),
        (2, "nearly_uniform"),
        (0, "too_dark"),
        (2, "too_bright"),
    ]


def test_glare_over_most_of_an_image_is_flagged_though_the_rest_is_dark() -> None:
    glare = Image.new("RGB", (64, 64), "white")
    glare.paste("black", (0, 0, 25, 64))
    assert flags_of([glare]) == [(0, "mostly_white")]


def test_the_one_blurred_image_of_a_set_is_flagged() -> None:
    images = [noise(seed, deviation=25 + seed % 7) for seed in range(30)]
    images[17] = images[17].filter(ImageFilter.GaussianBlur(2))
    assert flags_of(images) == [(17, "blurred")]


def test_a_small_set_says_nothing_of_blur() -> None:
    images = [noise(seed) for seed in range(MIN_IMAGES_TO_COMPARE - 1)]
    images[0] = images[0].filter(ImageFilter.GaussianBlur(2))
    assert flags_of(images) == []


def test_a_flag_begins_where_its_limits_say() -> None:
    table = {measure.name: np.full(40, 0.3) for measure in QUALITY_MEASURES}
    table["sharpness"] = 10 ** np.linspace(2, 3, 40)
    table["sharpness"][7] = 1.0
    for each in flag_quality(table):
        values = table[each.flag.measure or ""]
        low = -np.inf if each.below is None else each.below
        high = np.inf if each.above is None else each.above
        assert each.rows.tolist() == ((values < low) | (values > high)).tolist()


def test_what_was_not_measured_has_no_flag_and_moves_no_threshold() -> None:
    table = {measure.name: np.full(30, np.nan) for measure in QUALITY_MEASURES}
    assert named(flag_quality(table)) == []


def test_measures_of_different_lengths_are_refused() -> None:
    table = {measure.name: np.zeros(3) for measure in QUALITY_MEASURES}
    table["contrast"] = np.zeros(2)
    with pytest.raises(ValueError, match="differ in length"):
        flag_quality(table)


def test_one_size_among_many_alike_is_odd() -> None:
    assert shapes_of(*[(640, 480)] * 99, (641, 480)) == [(99, "odd_size")]


def test_two_cameras_are_both_usual() -> None:
    assert shapes_of(*[(640, 480)] * 50, *[(800, 600)] * 50) == []


def test_where_sizes_vary_freely_none_is_odd() -> None:
    assert shapes_of(*[(640 + n, 480 + n) for n in range(60)]) == []


def test_a_strip_among_photographs_has_an_odd_shape() -> None:
    sizes = [(640 + 7 * n, 480) for n in range(40)]
    assert shapes_of(*sizes, (640, 90)) == [(40, "odd_shape")]
    assert shapes_of(*sizes, (90, 640)) == [(40, "odd_shape")]


def test_a_border_cut_off_does_not_make_a_shape_odd() -> None:
    assert shapes_of(*[(640, 480)] * 10, *[(640, 400)] * 10, *[(700, 480)] * 10) == []


def test_pictures_of_both_orientations_are_usual() -> None:
    assert shapes_of(*[(640, 480)] * 15, *[(480, 640)] * 15) == []


def test_a_handful_of_images_says_nothing_of_shapes_but_tiny_is_tiny() -> None:
    assert shapes_of((640, 480), (640, 20), (31, 31), (32, 32)) == [(1, "tiny"), (2, "tiny")]


@given(
    arrays(np.int64, st.tuples(st.integers(0, 40), st.just(2)), elements=st.integers(1, 100_000))
)
def test_any_sizes_can_be_judged(sizes: np.ndarray) -> None:
    for each in flag_shapes(sizes[:, 0], sizes[:, 1]):
        assert each.rows.shape == (len(sizes),)
        assert each.rows.dtype == bool
        assert each.rows.sum() < max(1, len(sizes)) or each.flag.name == "tiny"
