"""What is there comes back in every run; what one run made up does not."""

import numpy as np
import pytest

from core.latent import stability
from core.latent.clustering_methods import (
    METHODS,
    AgglomerativeConfig,
    DBSCANConfig,
    HDBSCANConfig,
    KMeansConfig,
)
from core.latent.stability import measure_stability, sweep_bands


@pytest.fixture
def blobs() -> np.ndarray:
    """Groups of 30 around three corners of a square of side 10."""
    corners = np.repeat([[1, 1], [10, 1], [1, 10]], 30, axis=0)
    return corners + np.random.default_rng(0).normal(0, 0.4, (90, 2))


def test_groups_that_are_there_come_back_whatever_the_seed(blobs):
    found = measure_stability(blobs, KMeansConfig(n_clusters=3))
    assert found.seeds.mean == found.resamples.mean == pytest.approx(1.0)
    assert (found.n_clusters, found.n_images, found.notes) == ((3, 3), 90, ())
    assert len(found.seeds.values) == 5 * 4 / 2


def test_groups_that_are_not_there_do_not():
    cloud = np.random.default_rng(0).normal(size=(150, 30))
    found = measure_stability(cloud, KMeansConfig(n_clusters=6, n_init=1))
    for spread in (found.seeds, found.resamples):
        assert spread.low <= spread.mean <= spread.high < 0.5
    assert found == measure_stability(cloud, KMeansConfig(n_clusters=6, n_init=1))


@pytest.mark.parametrize("config", [DBSCANConfig(), HDBSCANConfig(), AgglomerativeConfig()])
def test_a_method_without_a_seed_is_resampled_only(config, blobs):
    found = measure_stability(blobs, config)
    assert found.seeds is None
    assert found.resamples.high <= 1
    assert "takes no seed" in found.notes[0]


def test_every_method_has_a_stability(blobs):
    for method in METHODS.values():
        assert measure_stability(blobs, method.config(), n_runs=2).resamples is not None


def test_agreeing_that_all_is_noise_is_said(blobs):
    found = measure_stability(blobs, DBSCANConfig(eps=1e-9))
    assert found.n_clusters == (0, 0)
    assert "agree on nothing" in found.notes[-1]


def test_three_images_are_not_resampled():
    found = measure_stability(np.eye(3), KMeansConfig(n_clusters=2))
    assert found.resamples is None
    assert found.seeds is not None
    assert "3 image(s) are too few" in found.notes[0]


def test_a_large_set_is_measured_on_some_and_says_so(blobs, monkeypatch):
    monkeypatch.setattr(stability, "STABILITY_LIMIT", 40)
    steps = []
    found = measure_stability(
        blobs, DBSCANConfig(eps=0.05), n_runs=2, on_progress=lambda *step: steps.append(step)
    )
    assert found.n_images == 40
    assert found.notes[:2] == (
        "Measured on 40 of 90 images, drawn at random.",
        "These lie thinner than all do, so more of them are noise.",
    )
    assert steps == [(0.0, "Resample 1 of 2"), (0.5, "Resample 2 of 2")]


def test_bands_are_best_at_the_k_that_is_there(blobs):
    bands = sweep_bands(blobs, [4, 2, 3, 3, 200])
    assert [row.k for row in bands] == [2, 3, 4]
    assert max(bands, key=lambda row: row.silhouette.mean).k == 3
    assert max(bands, key=lambda row: row.stability.mean).k == 3
    assert len(bands[0].silhouette.values) == 5


def test_bands_of_degenerate_images_are_empty_or_undefined():
    assert sweep_bands(np.eye(3), [2]) == ()
    (row,) = sweep_bands(np.ones((10, 2)), [3])
    assert row.silhouette is None
    (row,) = sweep_bands(np.eye(10), [1])
    assert (row.silhouette, row.stability.mean) == (None, 1.0)


def test_one_run_shows_no_stability(blobs):
    with pytest.raises(ValueError, match="n_runs must be at least 2, got 1"):
        measure_stability(blobs, KMeansConfig(), n_runs=1)
    with pytest.raises(ValueError, match="n_runs must be at least 2, got 1"):
        sweep_bands(blobs, [2], n_runs=1)
    with pytest.raises(ValueError, match="ks must be at least 1, got 0"):
        sweep_bands(blobs, [0, 2])
