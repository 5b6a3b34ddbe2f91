"""Near-duplicates: shots of one thing are found through light, shift and JPEG, others are not."""

from collections.abc import Sequence
from io import BytesIO
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

from core.images.near_duplicates import (
    MIN_CORRELATION,
    NearDuplicates,
    find_near_duplicates,
    perceptual_hash,
)
from core.images.reading import read_image
from core.images.thumbnails import make_thumbnail

FEW_BITS = st.lists(st.integers(0, 3), max_size=5).map(lambda at: sum({1 << bit for bit in at}))


def picture(seed: int, *, size: tuple[int, int] = (240, 240)) -> Image.Image:
    """Blotches of every size on grey, others for each seed."""
    rng = np.random.default_rng(seed)
    grey = np.full((size[1], size[0]), 128.0)
    for side in (6, 12, 24):
        blotches = Image.fromarray(rng.integers(0, 256, (side, side), dtype=np.uint8))
        grey += np.asarray(blotches.resize(size, Image.Resampling.BICUBIC), float) / 4 - 32
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def search(images: Sequence[Image.Image]) -> NearDuplicates:
    thumbnails = [make_thumbnail(image) for image in images]
    return find_near_duplicates(
        [perceptual_hash(each) for each in thumbnails], thumbnails.__getitem__
    )


def rows_of(found: NearDuplicates) -> list[list[int]]:
    return [group.rows.tolist() for group in found.groups]


def groups_of_names(folder: Path) -> set[tuple[str, ...]]:
    """The groups found in a data set, each the names of its images."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    found = search([read_image(path, max_pixels=10**6) for path in paths])
    is_flat = folder.name == "neu-det"
    names = [path.name if is_flat else path.relative_to(folder).as_posix() for path in paths]
    return {tuple(sorted(names[row] for row in group.rows)) for group in found.groups}


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


def with_noise(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 5, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


CHANGES = {
    "saved again": as_jpeg,
    "smaller": lambda image: image.resize((216, 216)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "cut at the left and the top": lambda image: image.crop((5, 5, 240, 240)),
    "moved by a thirtieth": lambda image: ImageChops.offset(image, 8, 8),
    "a little blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "noisier": with_noise,
    "black and white": lambda image: image.convert("L").convert("RGB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_shot_of_the_same_thing_is_found(change: str) -> None:
    images = [picture(0), picture(1), picture(2), CHANGES[change](picture(1))]
    assert rows_of(search(images)) == [[1, 3]]


def test_a_mirrored_or_turned_picture_is_another_one() -> None:
    image = picture(0)
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert search([image, ImageOps.mirror(image), ImageOps.flip(image), turned]).groups == ()


def test_pictures_of_one_kind_are_not_duplicates_of_each_other() -> None:
    assert search([picture(seed) for seed in range(40)]).groups == ()


def test_pictures_that_share_less_than_half_are_not_duplicates_whatever_their_hashes() -> None:
    one, other = picture(0), picture(1)
    thumbnails = [make_thumbnail(each) for each in (one, Image.blend(one, other, 0.65))]
    hashes = [perceptual_hash(each) for each in thumbnails]
    found = find_near_duplicates(hashes, thumbnails.__getitem__, max_distance=64)
    assert found == NearDuplicates((), 0, 0)


def test_where_too_many_hashes_are_close_the_closest_are_compared() -> None:
    thumbnails = [make_thumbnail(picture(seed)) for seed in (*range(40), 0)]
    hashes = ["0" * 16, *["0" * 15 + "3"] * 39, "0" * 16]
    found = find_near_duplicates(hashes, thumbnails.__getitem__)
    assert rows_of(found) == [[0, 40]]
    assert found.n_not_compared == 8 + sum(max(0, 40 - row - 32) for row in range(1, 40))


def test_the_same_form_in_another_colour_is_another_thing() -> None:
    grey = np.asarray(picture(0), float)
    red, green = ((grey * tint).astype(np.uint8) for tint in ([1, 0.6, 0.6], [0.6, 1, 0.6]))
    assert search([Image.fromarray(red), Image.fromarray(green)]).groups == ()


def test_even_surfaces_are_no_duplicates_though_their_hashes_agree() -> None:
    blank = [Image.new("RGB", (64, 64), (level, level, level)) for level in range(100, 140)]
    hashes = {perceptual_hash(make_thumbnail(image)) for image in blank}
    assert len(hashes) == 1
    assert search(blank).groups == ()


def test_light_that_falls_alike_makes_no_duplicates() -> None:
    ramp = np.linspace(60, 200, 128)[:, None] + np.zeros((1, 128))
    rng = np.random.default_rng(0)
    shots = [
        Image.fromarray((ramp + rng.normal(0, 3, ramp.shape)).astype(np.uint8)).convert("RGB")
        for _ in range(12)
    ]
    assert search(shots).groups == ()


def test_a_group_tells_its_rows_in_order_and_its_weakest_likeness() -> None:
    images = [picture(0), with_noise(picture(1)), picture(2), picture(1), picture(0), picture(1)]
    first, second = search(images).groups
    assert (first.rows.tolist(), second.rows.tolist()) == ([0, 4], [1, 3, 5])
    assert first.rows.dtype == np.int64
    assert first.weakest == pytest.approx(1.0, abs=1e-4)
    assert MIN_CORRELATION <= second.weakest < first.weakest


def test_too_large_a_group_is_cut_at_its_weakest_likenesses_and_says_so() -> None:
    one = [picture(0) for _ in range(6)]
    other = [picture(0).filter(ImageFilter.GaussianBlur(3)) for _ in range(6)]
    found = search([*one, *other])
    assert rows_of(found) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert found.n_cut == 36  # each of the one with each of the other


def test_images_of_one_view_never_swallow_the_set() -> None:
    found = search([picture(0, size=(64, 64))] * 400)
    assert max(len(group.rows) for group in found.groups) <= 20  # 5 % of the images
    assert found.n_cut > 0
    assert found.n_not_compared == sum(max(0, 399 - row - 32) for row in range(400))


def test_few_images_are_all_compared_and_none_is_cut_off() -> None:
    found = search([picture(0)] * 10)
    assert rows_of(found) == [list(range(10))]
    assert (found.n_not_compared, found.n_cut) == (0, 0)


@given(hashes=st.lists(FEW_BITS, max_size=10), max_distance=st.integers(0, 4))
def test_where_pictures_agree_hashes_within_the_distance_are_joined(
    hashes: list[int], max_distance: int
) -> None:
    thumbnail = make_thumbnail(picture(0, size=(64, 64)))
    found = find_near_duplicates(
        [f"{each:016x}" for each in hashes], lambda row: thumbnail, max_distance=max_distance
    )
    expected = [{row} for row in range(len(hashes))]
    for one, other in combinations(range(len(hashes)), 2):
        if (hashes[one] ^ hashes[other]).bit_count() <= max_distance:
            merged = expected[one] | expected[other]
            for row in merged:
                expected[row] = merged
    groups = sorted({tuple(sorted(group)) for group in expected if len(group) > 1})
    assert [tuple(rows) for rows in rows_of(found)] == groups


def test_only_candidates_are_looked_at_and_each_once() -> None:
    asked: list[int] = []
    thumbnail = make_thumbnail(picture(0))

    def load(row: int) -> bytes:
        asked.append(row)
        return thumbnail

    hashes = ["0" * 16, "f" * 16, "0" * 15 + "1", "00000000ffffffff", "0" * 15 + "3"]
    assert rows_of(find_near_duplicates(hashes, load)) == [[0, 2, 4]]
    assert sorted(asked) == [0, 2, 4]


def test_no_images_and_one_image_have_no_duplicates() -> None:
    assert search([]) == NearDuplicates((), 0, 0)
    assert search([picture(0)]) == NearDuplicates((), 0, 0)


def test_progress_rises_to_the_end_and_may_end_the_search() -> None:
    thumbnails = [make_thumbnail(picture(seed)) for seed in (0, 1, 0)]
    hashes = [perceptual_hash(each) for each in thumbnails]
    shares: list[float] = []
    find_near_duplicates(hashes, thumbnails.__getitem__, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)

    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        find_near_duplicates(hashes, thumbnails.__getitem__, on_progress=stop)


def test_the_hash_is_imagehashs_of_the_thumbnail() -> None:
    thumbnail = make_thumbnail(picture(7))
    with Image.open(BytesIO(thumbnail)) as image:
        assert perceptual_hash(thumbnail) == str(imagehash.phash(image))
    assert perceptual_hash(thumbnail) == perceptual_hash(thumbnail)


@pytest.mark.parametrize("size", [(1, 1), (1, 128), (128, 1), (3, 2)])
def test_pictures_of_a_few_pixels_have_a_hash_and_are_compared(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (10, 200, 90))
    assert len(perceptual_hash(make_thumbnail(image))) == 16
    assert search([image, image]).groups == ()


@pytest.mark.parametrize("hash_", ["", "12", "g" * 16, "0" * 15, "0" * 17, "+" + "0" * 15])
def test_what_is_no_hash_is_refused_with_its_value(hash_: str) -> None:
    with pytest.raises(ValueError, match="16 hexadecimal digits"):
        find_near_duplicates([hash_], lambda row: b"")


@pytest.mark.parametrize("option", [{"max_distance": -1}, {"max_distance": 65}])
def test_a_distance_out_of_range_is_refused(option: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"max_distance must lie in \[0, 64\]"):
        find_near_duplicates([], lambda row: b"", **option)


@pytest.mark.parametrize("correlation", [0.0, -0.5, 1.1, float("nan")])
def test_a_correlation_out_of_range_is_refused(correlation: float) -> None:
    with pytest.raises(ValueError, match="min_correlation"):
        find_near_duplicates([], lambda row: b"", min_correlation=correlation)


@pytest.mark.real_data
def test_the_duplicates_of_xsdd_are_found_and_named(real_data: Path) -> None:
    groups = groups_of_names(real_data / "x-sdd")
    again = [*zip(range(2078, 2082), range(2082, 2086), strict=True)]
    again += zip(range(2205, 2210), range(2210, 2215), strict=True)
    same_picture = {(f"red_iron/{one}.jpg", f"red_iron/{other}.jpg") for one, other in again}
    assert same_picture <= groups
    # The rest are prints of one damaged roll, which returns with every turn.
    others = groups - same_picture
    assert {name.split("/")[0] for group in others for name in group} <= {"finishing_roll_printing"}


@pytest.mark.real_data
def test_the_shots_of_one_plate_in_neu_det_are_found_and_nothing_else(real_data: Path) -> None:
    assert groups_of_names(real_data / "neu-det") == {
        ("crazing_132.jpg", "crazing_134.jpg"),
        ("inclusion_125.jpg", "inclusion_88.jpg"),
        ("inclusion_151.jpg", "inclusion_162.jpg"),
        ("inclusion_188.jpg", "inclusion_210.jpg"),
        ("inclusion_235.jpg", "inclusion_245.jpg"),
        ("inclusion_60.jpg", "inclusion_62.jpg"),
        ("patches_101.jpg", "patches_105.jpg"),
        ("patches_189.jpg", "patches_193.jpg"),
        ("patches_199.jpg", "patches_201.jpg"),
        ("patches_2.jpg", "patches_5.jpg"),
        ("pitted_surface_171.jpg", "pitted_surface_292.jpg"),
        ("scratches_178.jpg", "scratches_185.jpg"),
    }
