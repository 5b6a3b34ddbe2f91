import csv
import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.images.synthetic import (
    DEFECT_CLASSES,
    MULTIPLE,
    DefectBox,
    contact_sheet,
    plan_dataset,
    plan_line_images,
    plan_training_images,
    render_image,
    render_panel,
    write_dataset,
    write_plan,
)
from core.images.synthetic.defects import Defect, draw_defect
from core.images.synthetic.panel import Panel, draw_panel
from core.images.synthetic.radiance import defect_light, draw_scene, panel_light

LABELS = (*DEFECT_CLASSES, MULTIPLE)
ROOM_PX = (632, 632)


def _inside(boxes: tuple[DefectBox, ...], size: int) -> np.ndarray:
    inside = np.zeros((size, size), dtype=bool)
    for box in boxes:
        inside[box.y : box.y + box.height, box.x : box.x + box.width] = True
    return inside


def _changed(label: str, seed: int, size: int) -> tuple[np.ndarray, tuple[DefectBox, ...]]:
    picture, boxes = render_image(label, seed=seed, size=size)
    return (picture != render_panel(seed=seed, size=size)).any(axis=2), boxes


def _draw(label: str, seed: int, room_px: tuple[int, int] = ROOM_PX) -> Defect:
    return draw_defect(label, np.random.default_rng(seed), room_px=room_px, luminance=0.2)


# One picture


@pytest.mark.parametrize("label", LABELS)
def test_the_same_seed_gives_the_same_bytes(label: str) -> None:
    first, first_boxes = render_image(label, seed=11)
    second, second_boxes = render_image(label, seed=11)
    assert first.tobytes() == second.tobytes()
    assert first_boxes == second_boxes
    assert first.shape == (640, 640, 3)
    assert first.dtype == np.uint8


def test_another_seed_gives_another_panel() -> None:
    assert np.mean(render_panel(seed=1) != render_panel(seed=2)) > 0.5


def test_seeds_reach_as_far_as_plans_draw_them() -> None:
    assert render_panel(seed=2**63 - 1, size=32).shape == (32, 32, 3)


@pytest.mark.parametrize("size", [640, 224])
@pytest.mark.parametrize("label", LABELS)
def test_all_that_a_defect_changes_lies_in_its_boxes(label: str, size: int) -> None:
    for seed in range(2):
        changed, boxes = _changed(label, seed, size)
        assert not changed[~_inside(boxes, size)].any()
        for box in boxes:
            assert changed[_inside((box,), size)].any()
            assert min(box.x, box.y, box.width, box.height) >= 0
            assert max(box.x + box.width, box.y + box.height) <= size


@pytest.mark.parametrize("label", DEFECT_CLASSES)
def test_a_box_is_no_larger_than_what_it_holds(label: str) -> None:
    changed, (box,) = _changed(label, 5, 640)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[-1] - rows[0] >= box.height - 6
    assert columns[-1] - columns[0] >= box.width - 6


@pytest.mark.parametrize("label", DEFECT_CLASSES)
def test_one_label_means_one_box_with_that_label(label: str) -> None:
    _, boxes = render_image(label, seed=4, size=32)
    assert [box.label for box in boxes] == [label]


def test_multiple_means_two_or_three_classes_apart_from_one_another() -> None:
    numbers = set()
    for seed in range(8):
        _, boxes = render_image(MULTIPLE, seed=seed)
        labels = [box.label for box in boxes]
        assert set(labels) <= set(DEFECT_CLASSES)
        assert len(set(labels)) == len(labels)
        assert _inside(boxes, 640).sum() == sum(box.width * box.height for box in boxes)
        numbers.add(len(boxes))
    assert numbers == {2, 3}


@pytest.mark.parametrize("label", DEFECT_CLASSES)
def test_a_defect_can_be_seen(label: str) -> None:
    for seed in range(3):
        picture, boxes = render_image(label, seed=seed)
        change = picture.astype(int) - render_panel(seed=seed)
        strongest = np.percentile(np.abs(change).max(axis=2)[_inside(boxes, 640)], 99.5)
        assert strongest >= 8.0


# What makes each class what it is


@pytest.mark.parametrize("label", DEFECT_CLASSES)
@pytest.mark.parametrize("room_px", [ROOM_PX, (248, 300), (300, 248)])
def test_a_defect_fits_its_room(label: str, room_px: tuple[int, int]) -> None:
    for seed in range(25):
        height, width = _draw(label, seed, room_px).shape
        assert height <= room_px[0]
        assert width <= room_px[1]


def test_dirt_is_raised_and_has_something_in_it() -> None:
    for seed in range(10):
        dirt = _draw("dirt", seed)
        assert dirt.relief is not None
        assert dirt.relief.max() > 2.0 * -dirt.relief.min() > 0.0
        assert dirt.covers[0].share.max() > 0.4


def test_a_drop_is_swollen_and_thickest_towards_its_lower_end() -> None:
    for seed in range(10):
        drop = _draw("drop", seed)
        assert drop.relief is not None
        assert drop.relief.min() >= 0.0
        thickness = drop.relief.max(axis=1)
        assert thickness.argmax() > len(thickness) / 2
        assert not drop.covers


def test_a_scratch_is_long_and_thin() -> None:
    for seed in range(10):
        groove = _draw("scratch", seed).extent
        length = np.hypot(*groove.shape)
        assert length > 100.0
        assert groove.sum() / length < 12.0  # mean width in pixels, all strands together


def test_a_watermark_moves_no_reflection() -> None:
    scene = draw_scene(np.random.default_rng(3))
    watermark = _draw("watermark", 3)
    assert watermark.relief is None
    bare = dataclasses.replace(watermark, covers=(), dulling=None)
    height, width = watermark.shape
    below = panel_light(scene)[:, 50 : 50 + height, 60 : 60 + width]
    np.testing.assert_array_equal(defect_light(scene, bare, top=50, left=60), below)


@pytest.mark.parametrize("label", ["dirt", "drop"])
def test_relief_alone_moves_the_reflection(label: str) -> None:
    scene = draw_scene(np.random.default_rng(3))
    bare = dataclasses.replace(_draw(label, 3), covers=(), dulling=None)
    height, width = bare.shape
    below = panel_light(scene)[:, 50 : 50 + height, 60 : 60 + width]
    assert np.abs(defect_light(scene, bare, top=50, left=60) - below).max() > 0.05


# The background must not tell the class


def _clear_crop(
    picture: np.ndarray, boxes: tuple[DefectBox, ...], rng: np.random.Generator
) -> np.ndarray:
    """A crop of 128 pixels without defect, the first free one of places drawn at random."""
    inside = _inside(boxes, len(picture))
    while True:
        top, left = rng.integers(0, len(picture) - 128, 2)
        if not inside[top : top + 128, left : left + 128].any():
            return picture[top : top + 128, left : left + 128]


def _background_features(crop: np.ndarray) -> np.ndarray:
    shown = crop / 255.0
    grey = shown.mean(axis=2)
    small = np.asarray(Image.fromarray(crop).resize((6, 6), Image.Resampling.BOX)) / 255.0
    slopes = [np.abs(np.diff(grey, axis=axis, n=order)) for axis in (0, 1) for order in (1, 2)]
    statistics = [*shown.mean(axis=(0, 1)), *shown.std(axis=(0, 1))]
    statistics += [value for slope in slopes for value in (slope.mean(), slope.std())]
    return np.concatenate([statistics, small.ravel()])


def _probe_hits(features: np.ndarray, answers: np.ndarray) -> int:
    """How many answers a linear probe gets right on folds that it was not fitted on."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)
    return int((cross_val_predict(probe, features, answers, cv=folds) == answers).sum())


def test_the_background_alone_does_not_tell_the_class() -> None:
    from scipy.stats import binom

    rng = np.random.default_rng(0)
    n_images = 120
    answers = np.arange(n_images) % len(DEFECT_CLASSES)
    features, metallic = [], []
    for seed, answer in enumerate(answers):
        picture, boxes = render_image(DEFECT_CLASSES[answer], seed=seed)
        features.append(_background_features(_clear_crop(picture, boxes, rng)))
        metallic.append(_panel_of(seed).flake > 0.0)

    hits = _probe_hits(np.array(features), answers)
    # A guesser would have more hits once in a thousand such tests, and fewer likewise.
    chance = binom(n_images, 1.0 / len(DEFECT_CLASSES))
    assert chance.ppf(0.001) <= hits <= chance.ppf(0.999)

    # The same probe on the same crops does find what the background tells.
    kinds = np.array(metallic)
    majority = max(kinds.mean(), 1.0 - kinds.mean())
    assert _probe_hits(np.array(features), kinds) > binom(n_images, majority).ppf(0.999)


def _panel_of(seed: int) -> Panel:
    return draw_panel(np.random.default_rng([seed, 0]))


def test_the_panel_is_the_same_under_every_label() -> None:
    panel = render_panel(seed=21)
    for label in LABELS:
        picture, boxes = render_image(label, seed=21)
        outside = ~_inside(boxes, 640)
        np.testing.assert_array_equal(picture[outside], panel[outside])


# Plans


def test_the_papers_counts_are_met() -> None:
    counts = plan_dataset(344).counts()
    assert {split: sum(labels.values()) for split, labels in counts.items()} == {
        "train": 240,
        "validation": 70,
        "calibration": 0,
        "test": 34,
    }
    train = counts["train"]
    assert (train["dirt"], train["drop"], train["scratch"]) == (36, 83, 82)
    assert train["watermark"] + train[MULTIPLE] == 39
    for split in ("validation", "test"):
        assert set(counts[split]) == set(LABELS)
        ambiguous = counts[split]["watermark"] + counts[split][MULTIPLE]
        assert ambiguous / sum(counts[split].values()) == pytest.approx(0.11, abs=0.02)


@given(n_images=st.integers(1, 1000))
def test_any_number_keeps_the_proportions(n_images: int) -> None:
    plan = plan_dataset(n_images)
    assert len(plan) == n_images
    assert len({image.name for image in plan}) == n_images
    paper = Counter((image.split, image.label) for image in plan_dataset(344))
    counts = Counter((image.split, image.label) for image in plan)
    for cell, share in paper.items():
        assert abs(counts[cell] - n_images * share / 344) < 1.0


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    many = {image.name: image for image in plan_dataset(344)}
    few = plan_dataset(60)
    assert all(many[image.name] == image for image in few)


def test_no_two_images_share_a_seed() -> None:
    plans = (
        plan_dataset(344),
        plan_dataset(344, seed=1),
        plan_training_images(344, seed=0),
        plan_line_images(344),
        plan_line_images(344, seed=1),
    )
    seeds = [image.seed for plan in plans for image in plan]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_images_to_add_go_to_training_alone() -> None:
    plan = plan_training_images(7, classes=("scratch", "watermark"))
    assert {image.split for image in plan} == {"train"}
    assert plan.counts()["train"] == {"scratch": 4, "watermark": 3}


def test_planned_images_stay_what_they_have_always_been() -> None:
    planned = {image.name: image.seed for image in plan_dataset(344)}
    assert planned["train/dirt/dirt_0001.jpg"] == 2_440_950_710_608_614_359
    assert plan_training_images(1).images[0].seed == 3_894_860_796_657_900_692


@given(n_images=st.integers(1, 500))
def test_a_line_brings_images_to_calibrate_by_and_as_many_that_nobody_has_labelled(
    n_images: int,
) -> None:
    counts = plan_line_images(n_images).counts()
    validation = plan_dataset(344).counts()["validation"]
    assert {split for split, labels in counts.items() if labels} <= {"calibration", None}
    for split, n_half in (("calibration", (n_images + 1) // 2), (None, n_images // 2)):
        labels = counts.get(split, {})
        assert sum(labels.values()) == n_half
        for label, share in validation.items():
            assert abs(labels.get(label, 0) - n_half * share / 70) < 1.0


def test_the_names_of_unlabelled_images_tell_nothing_and_their_order_mixes_the_classes() -> None:
    images = plan_line_images(160).images
    known, unknown = images[:80], images[80:]
    assert all(image.name.startswith(f"calibration/{image.label}/") for image in known)
    assert [image.name for image in unknown] == [f"line_{n:04d}.jpg" for n in range(1, 81)]
    labels = [image.label for image in unknown]
    assert set(labels[:40]) >= set(DEFECT_CLASSES[:3])
    # Sorted by class, 4 neighbours would differ; in a random order two thirds do.
    assert sum(a != b for a, b in itertools.pairwise(labels)) > 40
    assert labels != [image.label for image in plan_line_images(160, seed=1)][80:]


# Files


def test_a_data_set_is_written_with_a_folder_a_class_below_a_folder_a_split(
    tmp_path: Path,
) -> None:
    reports: list[tuple[int, int]] = []
    plan = write_dataset(
        tmp_path, n_images=8, seed=3, on_progress=lambda done, total: reports.append((done, total))
    )
    assert reports == [(done, 8) for done in range(1, 9)]
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")}
    assert files == {image.name for image in plan}
    assert "train/dirt/dirt_0001.jpg" in files
    with Image.open(tmp_path / "train/dirt/dirt_0001.jpg") as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (640, 640), "RGB")


def test_the_annotations_have_a_row_a_box(tmp_path: Path) -> None:
    plan = write_dataset(tmp_path, n_images=8)
    with (tmp_path / "annotations.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "image": image.name,
            "split": image.split,
            "label": image.label,
            "seed": str(image.seed),
            "defect": box.label,
            "x": str(box.x),
            "y": str(box.y),
            "width": str(box.width),
            "height": str(box.height),
        }
        for image in plan
        for box in image.boxes
    ]


def test_only_the_annotations_tell_what_an_unlabelled_image_shows(tmp_path: Path) -> None:
    plan = write_plan(plan_line_images(5, seed=3), tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")}
    assert files == {image.name for image in plan}
    assert {"line_0001.jpg", "line_0002.jpg"} < files
    with (tmp_path / "annotations.csv").open(newline="", encoding="utf-8") as file:
        told = {(row["image"], row["split"], row["label"]) for row in csv.DictReader(file)}
    assert told == {(image.name, image.split or "", image.label) for image in plan}


def test_the_bytes_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    plan = plan_training_images(6, seed=5)
    alone = write_plan(plan, tmp_path / "alone")
    together = write_plan(plan, tmp_path / "together", n_workers=3)
    assert alone == together
    for image in plan:
        written = [(tmp_path / run / image.name).read_bytes() for run in ("alone", "together")]
        assert written[0] == written[1]


def test_what_progress_raises_ends_the_writing(tmp_path: Path) -> None:
    def stop_at_two(done: int, total: int) -> None:
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        write_dataset(tmp_path, n_images=40, on_progress=stop_at_two)
    assert len(list(tmp_path.rglob("*.jpg"))) < 6
    assert not (tmp_path / "annotations.csv").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_contact_sheet_fills_row_by_row() -> None:
    dark, light = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
    sheet = np.asarray(contact_sheet([dark, light, dark], columns=2, cell_px=10))
    assert sheet.shape == (32, 32, 3)
    assert [sheet[y, x, 0] for y, x in ((9, 9), (9, 23), (23, 9), (23, 23))] == [0, 200, 0, 255]


# Mistakes


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: render_image("rust", seed=0), "rust"),
        (lambda: render_image("dirt", seed=-1), "-1"),
        (lambda: render_image("dirt", seed=0, size=31), "31"),
        (lambda: render_panel(seed=0, size=641), "641"),
        (lambda: plan_dataset(0), "0"),
        (lambda: plan_dataset(10, seed=-2), "-2"),
        (lambda: plan_training_images(3, classes=()), r"\[\]"),
        (lambda: plan_training_images(3, classes=("dirt", "dirt")), "dirt"),
        (lambda: plan_training_images(3, classes=("rust",)), "rust"),
        (lambda: plan_line_images(0), "0"),
        (lambda: plan_line_images(2, seed=-1), "-1"),
        (lambda: write_dataset(Path("nowhere"), n_images=1, quality=0), "0"),
        (lambda: write_dataset(Path("nowhere"), n_images=1, quality=96), "96"),
        (lambda: write_dataset(Path("nowhere"), n_images=1, n_workers=0), "0"),
        (lambda: contact_sheet([]), "none"),
        (lambda: contact_sheet([np.zeros((8, 8, 3), np.uint8)], columns=0), "0"),
    ],
)
def test_a_mistake_is_named_with_its_value(mistake, said: str) -> None:
    with pytest.raises(ValueError, match=f"got .*{said}"):
        mistake()
