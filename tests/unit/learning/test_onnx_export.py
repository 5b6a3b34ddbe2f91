"""A file for a plant's own system gives the numbers that torch gives, and says how to feed it.

Here are one network of each family of the registry, the larger families built small;
tests/benchmarks/bench_onnx.py exports the registry's own.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from core.errors import OperatorError
from core.latent.backbones import (
    BACKBONES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    build_network,
    load_preprocessing,
)
from core.latent.embedding import decode_into
from core.latent.random_network import draw_random_network
from core.latent.torch_setup import import_torchvision
from core.learning.onnx_export import export_onnx

SIZE = 64
CLASSES = ("dirt", "drop", "scratch", "Wasserfleck – süß")
TEMPERATURE = 1.7
PREPROCESSING = Preprocessing(SIZE, IMAGENET_MEAN, IMAGENET_STD, "bicubic")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class MeanColour(nn.Module):
    """The least there is: three features, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.mean(dim=(2, 3)))


def from_registry(name: str) -> nn.Module:
    backbone = BACKBONES[name]
    network = build_network(backbone)
    network.set_submodule(backbone.head, nn.Linear(backbone.n_features, len(CLASSES)))
    return network


def small_vit() -> nn.Module:
    return import_torchvision().models.VisionTransformer(
        image_size=SIZE,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=32,
        num_classes=len(CLASSES),
    )


def small_swin() -> nn.Module:
    return import_torchvision().models.SwinTransformer(
        patch_size=[4, 4],
        embed_dim=8,
        depths=[2, 2],
        num_heads=[2, 2],
        window_size=[4, 4],
        num_classes=len(CLASSES),
    )


def small_convnext() -> nn.Module:
    convnext = import_torchvision().models.convnext
    stages = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 1)]
    return convnext.ConvNeXt(stages, num_classes=len(CLASSES))


def some_pixels(n: int, *, seed: int = 0) -> np.ndarray:
    """Noise whose brightness and contrast differ from image to image."""
    rng = np.random.default_rng(seed)
    highest = rng.integers(64, 256, (n, 1, 1, 3))
    return rng.integers(0, highest, (n, SIZE, SIZE, 3)).astype(np.uint8)


def settle_batch_norm(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """The network in evaluation mode, its statistics taken from these images.

    With none of its own an untrained network lets its signal die away, and nothing could differ.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain average
    with torch.no_grad():
        network.train()(images)
    return network.eval().requires_grad_(False)


def as_input(pixels: np.ndarray, preprocessing: Preprocessing = PREPROCESSING) -> torch.Tensor:
    """What torchvision's own transforms make of resized pixels."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    functional = import_torchvision().transforms.functional
    return functional.normalize(images, preprocessing.mean, preprocessing.std)


def export(network: nn.Module, path: Path, *, head: str = "head", **changes):
    options = {
        "preprocessing": PREPROCESSING,
        "classes": CLASSES,
        "temperature": TEMPERATURE,
        "title": "mobilenet_v2-3",
        "sample_pixels": some_pixels(3),
    }
    return export_onnx(network.eval(), path, head=head, **(options | changes))


def run_file(path: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and features, as a plant's system would ask for them."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return tuple(session.run(["probabilities", "features"], {"pixels": pixels}))


@pytest.mark.parametrize(
    ("build", "head"),
    [
        pytest.param(partial(from_registry, "resnet18"), "fc", id="resnet"),
        pytest.param(partial(from_registry, "mobilenet_v2"), "classifier.1", id="mobilenet"),
        pytest.param(partial(from_registry, "efficientnet_b0"), "classifier.1", id="efficientnet"),
        pytest.param(partial(from_registry, "fasterrcnn_resnet50_fpn"), "head", id="pyramid"),
        pytest.param(small_convnext, "classifier.2", id="convnext"),
        pytest.param(small_vit, "heads.head", id="vit"),
        pytest.param(small_swin, "head", id="swin"),
    ],
)
def test_the_file_gives_torchs_numbers_for_any_number_of_images(
    build: Callable[[], nn.Module], head: str, tmp_path
):
    torch.manual_seed(0)
    network = settle_batch_norm(build(), as_input(some_pixels(4)))
    layer = network.get_submodule(head)
    nn.init.normal_(layer.weight, std=0.1)  # some heads begin at zero, where all images are alike
    path = tmp_path / "model.onnx"
    check = export(network, path, head=head)
    assert check.n_images == 3
    assert max(check.probabilities, check.features) <= 1e-4
    assert check.n_bytes == path.stat().st_size
    pixels = some_pixels(5, seed=1)
    with torch.inference_mode():
        expected = torch.softmax(network(as_input(pixels)) / TEMPERATURE, dim=1).numpy()
    probabilities, features = run_file(path, pixels)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-3  # or nothing was compared
    with torch.inference_mode():
        logits = layer(torch.from_numpy(features))
    np.testing.assert_allclose(torch.softmax(logits / TEMPERATURE, 1), probabilities, atol=1e-4)
    np.testing.assert_allclose(run_file(path, pixels[:1])[0], expected[:1], atol=1e-4)


def test_the_file_says_what_it_is_and_how_to_feed_it(tmp_path):
    path = tmp_path / "model.onnx"
    export(MeanColour(), path)
    model = onnx.load(path)
    assert {fact.key: json.loads(fact.value) for fact in model.metadata_props} == {
        "model": "mobilenet_v2-3",
        "classes": list(CLASSES),
        "temperature": TEMPERATURE,
        "preprocessing": {
            "size_px": SIZE,
            "resize": "whole image, aspect not kept",
            "interpolation": "bicubic",
            "antialias": True,
            "channels": "RGB",
        },
    }
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type) == ("pixels", "tensor(uint8)")
    assert pixels.shape == ["n_images", SIZE, SIZE, 3]
    assert [(output.name, output.shape) for output in session.get_outputs()] == [
        ("probabilities", ["n_images", len(CLASSES)]),
        ("features", ["n_images", 3]),
    ]
    assert {entry.version for entry in model.opset_import if not entry.domain} == {17}


class Drifting(MeanColour):
    """Gives something else each time, which no graph can."""

    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(images + self.calls)


class NoNumber(MeanColour):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images * float("nan"))


@pytest.mark.parametrize("network", [Drifting, NoNumber])
def test_a_file_that_computes_something_else_is_refused_and_none_is_left(network, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"an earlier export")
    with pytest.raises(OperatorError, match=r"0\.0001 is allowed\. Nothing was written"):
        export(network(), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"an earlier export"


def test_an_export_leaves_the_network_and_torch_as_they_were(tmp_path):
    network, path = small_vit(), tmp_path / "model.onnx"
    export(network, path, head="heads.head")
    assert list(tmp_path.iterdir()) == [path]
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_an_export_needs_an_image_to_try(tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        export(MeanColour(), tmp_path / "model.onnx", sample_pixels=some_pixels(0))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature, tmp_path):
    with pytest.raises(ValueError, match=f"above 0, got {temperature}"):
        export(MeanColour(), tmp_path / "model.onnx", temperature=temperature)


@pytest.mark.real_data
def test_both_agree_on_real_images(real_data: Path, tmp_path):
    backbone = BACKBONES["mobilenet_v2"]
    preprocessing = load_preprocessing(backbone)
    pixels = read_some(real_data / "x-sdd", preprocessing, n=40)
    network = draw_random_network(backbone, seed=0)
    torch.manual_seed(0)
    network.set_submodule(backbone.head, nn.Linear(backbone.n_features, len(CLASSES)))
    path = tmp_path / "model.onnx"
    check = export(
        network, path, head=backbone.head, preprocessing=preprocessing, sample_pixels=pixels
    )
    assert check.n_images == 40
    assert max(check.probabilities, check.features) <= 1e-4
    probabilities, features = run_file(path, pixels)
    with torch.inference_mode():
        logits = network(as_input(pixels, preprocessing))
    np.testing.assert_allclose(probabilities, torch.softmax(logits / TEMPERATURE, 1), atol=1e-4)
    assert features.std(axis=0).mean() > 0.01  # the images differ for the network too


def read_some(folder: Path, preprocessing: Preprocessing, *, n: int) -> np.ndarray:
    """Pixels of images spread over all folders: uint8 (n, size, size, 3)."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png", ".bmp"))
    pixels = np.empty((n, preprocessing.size_px, preprocessing.size_px, 3), np.uint8)
    for row, file in enumerate(files[:: len(files) // n][:n]):
        decode_into(pixels[row], file, preprocessing, max_pixels=10_000_000)
    return pixels
