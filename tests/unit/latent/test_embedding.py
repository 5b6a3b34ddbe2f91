"""Features come in the order of the files, whatever becomes of some of them on the way."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.errors import Cancelled, OperatorError
from core.latent import embedding as embedding_module
from core.latent.backbones import Preprocessing, build_network, get_backbone
from core.latent.embedding import (
    Chunk,
    FeatureExtractor,
    choose_device,
    embed_images,
    load_extractor,
)
from core.latent.weights import load_backbone, random_weights, resolve_weights

PREPROCESSING = Preprocessing(
    size_px=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bilinear"
)


MAX_PIXELS = 128 * 128


class MeanColour(nn.Module):
    """A backbone whose features the eye can check: the mean of each colour, normalised."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3))


class Unsteady(nn.Module):
    """A backbone that bfloat16 turns round: it rounds 257 to 256."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        difference = (torch.full_like(images, 257) - 256).mean(dim=(2, 3))
        return torch.cat([difference * 10, torch.ones_like(difference)], dim=1)


class FirstPixel(nn.Module):
    """A backbone that sees the upper left corner alone."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :, 0, 0]


@pytest.fixture
def extractor() -> FeatureExtractor:
    return make_extractor(MeanColour())


def make_extractor(network: nn.Module, n_features: int = 3, **options: bool) -> FeatureExtractor:
    return FeatureExtractor(
        network, preprocessing=PREPROCESSING, n_features=n_features, device="cpu", **options
    )


def grey_images(folder: Path, n: int) -> list[Path]:
    """File i is grey of level i."""
    files = []
    for level in range(n):
        files.append(folder / f"{level}.png")
        Image.new("RGB", (10, 6), (level, level, level)).save(files[-1])
    return files


def embed(files: list[Path], extractor: FeatureExtractor, **options):
    chunks: list[Chunk] = []
    report = embed_images(
        files, extractor, max_pixels=MAX_PIXELS, on_chunk=chunks.append, **options
    )
    return chunks, report


def test_features_are_those_of_the_normalised_image(tmp_path, extractor):
    path = tmp_path / "red.png"
    Image.new("RGB", (20, 20), (255, 0, 0)).save(path)
    chunks, _ = embed([path], extractor)
    np.testing.assert_allclose(chunks[0].features, [[2, -2, -2]])
    assert chunks[0].features.dtype == np.float32


def test_the_whole_image_is_seen_and_not_its_centre(tmp_path, extractor):
    pixels = np.zeros((8, 32, 3), dtype=np.uint8)
    pixels[:, :8] = 255  # a centre crop would see black alone
    path = tmp_path / "wide.png"
    Image.fromarray(pixels).save(path)
    chunks, _ = embed([path], extractor)
    np.testing.assert_allclose(chunks[0].features, np.full((1, 3), -1), atol=0.02)


def test_features_come_in_the_order_of_the_files(tmp_path, extractor):
    files = grey_images(tmp_path, 50)
    chunks, report = embed(files[::-1], extractor, batch_size=7, n_workers=3)
    levels = np.concatenate([chunk.features[:, 0] for chunk in chunks])
    assert (np.diff(levels) < 0).all()
    assert np.concatenate([chunk.indices for chunk in chunks]).tolist() == list(range(50))
    assert (report.n_embedded, report.failed) == (50, ())


def test_unreadable_images_are_reported_and_stop_nothing(tmp_path, extractor):
    files = grey_images(tmp_path, 6)
    files[1].write_bytes(b"")
    files[4].unlink()
    Image.new("RGB", (200, 100)).save(files[5])  # more pixels than allowed
    chunks, report = embed(files, extractor, batch_size=2)
    assert np.concatenate([chunk.indices for chunk in chunks]).tolist() == [0, 2, 3]
    assert [failed.index for failed in report.failed] == [1, 4, 5]
    assert all(failed.reason for failed in report.failed)
    assert tuple(failed for chunk in chunks for failed in chunk.failed) == report.failed


def test_a_run_in_which_nothing_can_be_read_says_so(tmp_path, extractor):
    chunks, report = embed([tmp_path / "none.png"] * 3, extractor)
    assert report.n_embedded == 0
    assert [failed.index for failed in report.failed] == [0, 1, 2]
    assert chunks[0].features.shape == (0, 3)


def test_no_images_are_no_chunks(extractor):
    chunks, report = embed([], extractor)
    assert (chunks, report.n_embedded, report.images_per_second) == ([], 0, 0.0)


def test_chunks_hold_whole_batches_and_at_most_512_rows(tmp_path, extractor):
    files = grey_images(tmp_path, 100) * 6
    chunks, _ = embed(files, extractor, batch_size=100)
    assert [len(chunk.indices) for chunk in chunks] == [500, 100]


def test_features_averaged_over_flips_are_the_mean_of_the_four_corners(monkeypatch) -> None:
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: False)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    once = make_extractor(FirstPixel())
    flips = [pixels, pixels[:, ::-1], pixels[:, :, ::-1], pixels[:, ::-1, ::-1]]
    expected = np.mean([once(np.ascontiguousarray(each)) for each in flips], axis=0)
    averaged = make_extractor(FirstPixel(), average_flips=True)(pixels)
    np.testing.assert_allclose(averaged, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size_px", "batches"), [(8, [16, 4]), (224, [16, 4]), (448, [4] * 5)])
def test_larger_images_go_through_the_network_fewer_at_a_time(
    tmp_path, monkeypatch, size_px, batches
):
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: False)
    seen: list[int] = []
    network = MeanColour()
    network.register_forward_hook(lambda module, images, features: seen.append(len(features)))
    extractor = FeatureExtractor(
        network,
        preprocessing=replace(PREPROCESSING, size_px=size_px),
        n_features=3,
        device="cpu",
    )
    embed(grey_images(tmp_path, 20), extractor)
    assert sorted(seen, reverse=True) == batches


def test_progress_ends_at_one_and_a_cancelled_run_stops(tmp_path, extractor):
    files = grey_images(tmp_path, 20)
    seen: list[float] = []

    def report(fraction: float, step: str) -> None:
        seen.append(fraction)
        if cancel and fraction >= 0.5:
            raise Cancelled

    cancel = False
    embed(files, extractor, batch_size=5, on_progress=report)
    assert seen == [0.25, 0.5, 0.75, 1.0]
    seen.clear()
    cancel = True
    with pytest.raises(Cancelled):
        embed(files, extractor, batch_size=5, on_progress=report)
    assert seen == [0.25, 0.5]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": 513}, {"n_workers": 0}])
def test_options_out_of_range_are_refused(extractor, options):
    with pytest.raises(ValueError, match="got"):
        embed([], extractor, **options)


def test_bfloat16_is_used_where_it_keeps_the_features(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: True)
    _, report = embed(grey_images(tmp_path, 3), make_extractor(MeanColour()))
    assert report.dtype == "bfloat16"
    assert report.cosine is not None
    assert report.cosine >= 0.999


def test_float32_is_used_where_bfloat16_changes_the_features(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: True)
    chunks, report = embed(grey_images(tmp_path, 3), make_extractor(Unsteady(), n_features=6))
    assert report.dtype == "float32"
    assert report.cosine is not None
    assert report.cosine < 0.999
    np.testing.assert_array_equal(chunks[0].features[0], [10, 10, 10, 1, 1, 1])


def test_without_bfloat16_nothing_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: False)
    _, report = embed(grey_images(tmp_path, 3), make_extractor(MeanColour()))
    assert (report.dtype, report.cosine) == ("float32", None)


def test_the_fast_network_gives_the_features_of_the_plain_one(monkeypatch):
    monkeypatch.setattr(embedding_module, "computes_bfloat16", lambda device: False)
    weights = random_weights("mobilenet_v2")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    fast = load_extractor(weights, device="cpu")(pixels)

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    images = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        plain = load_backbone(weights)(images).numpy()
    np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-4)


def test_a_network_without_batch_normalisation_runs_as_it_is():
    network = build_network(get_backbone("mobilenet_v2")).features[0][0]  # one convolution
    head = nn.Sequential(network, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    extractor = make_extractor(head, n_features=32)
    assert extractor(np.zeros((2, 8, 8, 3), dtype=np.uint8)).shape == (2, 32)


@pytest.mark.real_data
@pytest.mark.skipif("LACQUER_TEST_DATA" not in os.environ, reason="LACQUER_TEST_DATA is unset")
def test_features_of_real_defects_tell_their_classes_apart():
    data = Path(os.environ["LACQUER_TEST_DATA"])
    classes = sorted(path for path in (data / "x-sdd").iterdir() if path.is_dir())
    files = [path for folder in classes for path in sorted(folder.iterdir())[:15]]
    labels = np.array([path.parent.name for path in files])
    weights = resolve_weights("mobilenet_v2", weights_dirs=[data.parent / "weights"], offline=True)
    assert weights.source == "file"
    chunks, report = embed(files, load_extractor(weights, device="cpu"), batch_size=16)
    assert report.failed == ()

    features = np.concatenate([chunk.features for chunk in chunks])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    similarity = features @ features.T
    np.fill_diagonal(similarity, -1)
    correct = labels[similarity.argmax(axis=1)] == labels
    assert correct.mean() > 0.7  # chance is 1 in 7


@pytest.mark.parametrize("device", ["cuda:7", "no-such-device"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(OperatorError, match=device):
        choose_device(device)
