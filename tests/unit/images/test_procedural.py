"""Generated pictures follow from their seed, differ by class, and show no defect of the demo."""

from pathlib import Path

import numpy as np
import pytest

from core.images.procedural import (
    FLAW_CLASSES,
    FLAW_KINDS,
    GROUND_CLASSES,
    draw_picture,
    make_pool,
)
from core.images.procedural.flaws import add_flaw
from core.images.procedural.grounds import draw_ground
from core.images.synthetic.defects import DEFECT_CLASSES

SIZE = 48


def test_a_picture_follows_from_its_seed_and_number_alone() -> None:
    first, again = (draw_picture(7, seed=3, size=SIZE) for _ in range(2))
    assert first[1:] == again[1:]
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.array_equal(first[0], draw_picture(7, seed=4, size=SIZE)[0])
    assert not np.array_equal(first[0], draw_picture(7 + len(GROUND_CLASSES), seed=3, size=SIZE)[0])


def test_consecutive_pictures_go_through_all_grounds() -> None:
    n = len(GROUND_CLASSES)
    assert n > 200
    assert len(set(GROUND_CLASSES)) == n
    for number in (0, 5, n - 1, n, n + 5):
        assert draw_picture(number, seed=0, size=SIZE)[1] == number % n


@pytest.mark.parametrize("ground", GROUND_CLASSES[:: len(GROUND_CLASSES) // 12])
def test_a_ground_is_a_coloured_picture_that_shows_something(ground: str) -> None:
    picture = draw_ground(ground, np.random.default_rng(1), SIZE)
    assert (picture.shape, picture.dtype) == ((SIZE, SIZE, 3), np.float32)
    assert 0 <= picture.min() < picture.max() <= 1


@pytest.mark.parametrize("flaw", FLAW_CLASSES[1:])
def test_every_flaw_changes_its_ground(flaw: str) -> None:
    rng = np.random.default_rng(2)
    ground = np.full((SIZE, SIZE, 3), 0.5, dtype=np.float32)
    flawed = add_flaw(flaw, ground, rng)
    assert flawed.shape == ground.shape
    assert 0 <= flawed.min() <= flawed.max() <= 1
    assert np.abs(flawed - ground).max() > 0.02


def test_no_flaw_leaves_the_picture_as_it_is() -> None:
    ground = np.full((SIZE, SIZE, 3), 0.5, dtype=np.float32)
    assert add_flaw(FLAW_CLASSES[0], ground, np.random.default_rng(0)) is ground


def test_no_flaw_is_a_class_of_the_demo() -> None:
    assert len(set(FLAW_KINDS)) == len(FLAW_KINDS)
    for kind in FLAW_KINDS:
        assert not any(name in kind or kind in name for name in DEFECT_CLASSES)


def test_a_pool_holds_the_pictures_whoever_draws_them_and_is_drawn_once(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, n_pictures=3, seed=5, size=SIZE, n_processes=1)
    assert len(pool) == 3
    for number in range(3):
        picture, ground, flaw = draw_picture(number, seed=5, size=SIZE)
        np.testing.assert_array_equal(pool.pictures[number], picture)
        assert (pool.grounds[number], pool.flaws[number]) == (ground, flaw)
    drawn = (tmp_path / "pictures.npy").stat().st_mtime_ns
    make_pool(tmp_path, n_pictures=3, seed=5, size=SIZE, n_processes=1)
    assert (tmp_path / "pictures.npy").stat().st_mtime_ns == drawn


@pytest.mark.parametrize(("number", "seed", "size"), [(-1, 0, 64), (0, -1, 64), (0, 0, 16)])
def test_a_picture_that_cannot_be_drawn_is_refused(number: int, seed: int, size: int) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        draw_picture(number, seed=seed, size=size)
