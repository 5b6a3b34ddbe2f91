"""Training of the bundled backbone repeats from its seed, goes on where it ended, and learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.images.procedural import FLAW_CLASSES, GROUND_CLASSES, Pool, draw_picture
from core.latent.backbones import BACKBONES, BUNDLED, build_network
from core.latent.bundled import find_bundled, read_manifest, write_bundled
from core.learning.pretraining.statistics import N_LEVELS, N_STATISTICS, measure_statistics
from core.learning.pretraining.training import PretrainingConfig, train_backbone
from core.learning.pretraining.views import make_views

SMALL = replace(BACKBONES[BUNDLED], input_size_px=32)
CONFIG = PretrainingConfig(epochs=2, sizes_px=(32, 48), batch_size=8, held_out=0.2)


@pytest.fixture(scope="module")
def pool() -> Pool:
    drawn = [draw_picture(number, seed=1, size=48) for number in range(0, 200, 10)]
    pictures, grounds, flaws = zip(*drawn, strict=True)
    return Pool(np.stack(pictures), np.array(grounds), np.array(flaws))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_one_seed_ends_with_the_same_weights_whether_or_not_it_was_cut_off(
    pool: Pool, tmp_path: Path
) -> None:
    seen = []
    whole = train_backbone(
        SMALL, pool, CONFIG, checkpoint=tmp_path / "whole.pt", on_epoch=seen.append
    )
    assert [epoch.epoch for epoch in seen] == [1, 2]
    # A longer training goes on from a shorter one of the same kind.
    for epochs in (1, 2):
        resumed = train_backbone(
            SMALL, pool, replace(CONFIG, epochs=epochs), checkpoint=tmp_path / "cut.pt"
        )
    assert same(whole, resumed)
    assert (whole["spread"] >= 0.01).all()
    other = replace(CONFIG, seed=1)
    assert not same(whole, train_backbone(SMALL, pool, other, checkpoint=tmp_path / "other.pt"))
    with pytest.raises(ValueError, match="belongs to another training"):
        train_backbone(SMALL, pool, other, checkpoint=tmp_path / "whole.pt")


def test_the_network_learns_what_it_is_shown(pool: Pool, tmp_path: Path) -> None:
    seen = []
    config = replace(CONFIG, epochs=8, sizes_px=(32,), lr=0.01)
    train_backbone(SMALL, pool, config, checkpoint=tmp_path / "c.pt", on_epoch=seen.append)
    losses = [epoch.loss for epoch in seen]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


def test_views_follow_from_the_generator_and_stay_pictures(pool: Pool) -> None:
    pictures = torch.from_numpy(pool.pictures)
    first, again, other = (
        make_views(pictures, size_px=40, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    assert first.shape == (len(pool), 3, 40, 40)
    assert 0 <= first.min() < first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_statistics_tell_contrast_direction_and_colour() -> None:
    ramp = torch.arange(64).remainder(16) / 16
    upright = ramp.expand(1, 3, 64, 64)
    views = torch.cat([upright, upright.transpose(2, 3), upright * 0.25, upright * 1.0])
    views[3, 0] *= 0.5
    found = measure_statistics(views)
    assert found.shape == (4, N_STATISTICS)
    assert found.isfinite().all()
    energy, direction, red = 0, 1, N_LEVELS * 7
    assert found[0, direction] > 0.9
    assert found[1, direction] < -0.9
    assert found[0, energy] - found[2, energy] == pytest.approx(2 * np.log(4), abs=0.1)
    assert found[3, red] == pytest.approx(found[0, red].item() / 2)


def test_a_flat_view_has_statistics_too() -> None:
    assert measure_statistics(torch.full((1, 3, 48, 48), 0.5)).isfinite().all()


def test_what_is_written_is_half_as_large_named_by_its_hash_and_loads(tmp_path: Path) -> None:
    backbone = BACKBONES[BUNDLED]
    state = dict(build_network(backbone).state_dict())
    training_log = tmp_path / "log.jsonl"
    training_log.write_text("{}\n")
    path = write_bundled(
        tmp_path / "out", state, backbone, seed=0, n_pictures=9, epochs=1,
        training_log=training_log,
    )  # fmt: skip
    assert find_bundled(tmp_path / "out")[0] == path
    n_values = sum(tensor.numel() for tensor in state.values() if tensor.is_floating_point())
    assert 2 * n_values <= path.stat().st_size < 2 * n_values + 20_000
    manifest = read_manifest(tmp_path / "out")
    assert (manifest["backbone"], manifest["n_pictures"]) == (BUNDLED, 9)
    assert manifest["preprocessing"]["size_px"] == backbone.input_size_px


def test_there_is_a_task_for_each_class() -> None:
    from core.learning.pretraining.tasks import Tasks

    told = Tasks(SMALL).eval()(torch.zeros(1, 3, 32, 32))
    assert told.grounds.shape == (1, len(GROUND_CLASSES))
    assert told.flaws.shape == (1, len(FLAW_CLASSES))
    assert told.statistics.shape == (1, N_STATISTICS)
