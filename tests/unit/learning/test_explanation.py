"""A heat map lies where the evidence is, in the picture as it was before it was resized."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from core.latent.backbones import (
    BACKBONES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Backbone,
    Preprocessing,
    build_network,
    load_preprocessing,
    normalise,
)
from core.latent.embedding import FeatureExtractor, decode_into
from core.latent.torch_setup import import_torchvision
from core.learning.explanation import COLOURS, heat_map, overlay_png
from core.palette import SCORE_COLOURS

WIDTH, HEIGHT = 300, 120
BLOB_X, BLOB_Y = 232, 31  # its centre: right of the middle, above it
SIZE = 64
PREPROCESSING = Preprocessing(
    size_px=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bilinear"
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class BrightCNN(nn.Module):
    """Class 0 is for brightness above the grey middle, class 1 against it; cells of 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 1, 4, stride=4), nn.ReLU(inplace=True))
        self.fc = nn.Linear(1, 2)
        nn.init.constant_(self.features[0].weight, 1 / 48)
        nn.init.zeros_(self.features[0].bias)
        set_head(self.fc, torch.tensor([1.0]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(images).mean(dim=(2, 3)))


def bright_vit() -> nn.Module:
    """torchvision's transformer, its class token attending to all patches alike.

    Each patch is three numbers: its brightness, one, and nothing; so layer normalisation leaves
    the brighter patches a larger first number.
    """
    vit = import_torchvision().models.VisionTransformer(
        image_size=SIZE,
        patch_size=8,
        num_layers=1,
        num_heads=1,
        hidden_dim=3,
        mlp_dim=3,
        num_classes=2,
    )
    for parameter in vit.parameters():
        nn.init.zeros_(parameter)
    block = vit.encoder.layers.encoder_layer_0
    with torch.no_grad():
        vit.conv_proj.weight[0] = 1 / (3 * 8 * 8)
        vit.conv_proj.bias[1] = 1
        block.self_attention.in_proj_weight[6:] = torch.eye(3)  # values; queries and keys are 0
        block.self_attention.out_proj.weight.copy_(torch.eye(3))
        for norm in (block.ln_1, block.ln_2, vit.encoder.ln):
            norm.weight.fill_(1)
    set_head(vit.heads.head, torch.tensor([1.0, 0.0, 0.0]))
    return vit


def set_head(head: nn.Linear, direction: torch.Tensor) -> None:
    """Class 0 for the direction, class 1 against it."""
    head.weight.data = torch.stack([direction, -direction])
    nn.init.zeros_(head.bias)


def write_blob(path: Path) -> Path:
    """A grey picture, wider than high, with a bright spot."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = ((x - BLOB_X) ** 2 + (y - BLOB_Y) ** 2) < 8**2
    picture = np.where(inside[..., None], np.uint8([250, 240, 200]), np.uint8([90, 90, 90]))
    Image.fromarray(picture).save(path)
    return path


def read_resized(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """Pixels as an embedding and a training read them."""
    pixels = np.empty((preprocessing.size_px, preprocessing.size_px, 3), np.uint8)
    decode_into(pixels, path, preprocessing, max_pixels=WIDTH * HEIGHT)
    return pixels


@pytest.mark.parametrize(
    ("network", "layer", "cell_px"),
    [
        pytest.param(BrightCNN, "features", 4, id="cnn"),
        pytest.param(bright_vit, "encoder.layers.encoder_layer_0.ln_1", 8, id="vit"),
    ],
)
def test_the_overlay_is_strongest_where_the_picture_has_the_evidence(
    network, layer, cell_px, tmp_path
):
    pixels = read_resized(write_blob(tmp_path / "blob.png"), PREPROCESSING)
    explained = heat_map(
        network().eval(), pixels, layer=layer, preprocessing=PREPROCESSING, class_index=0
    )
    assert explained.shape == (SIZE, SIZE)
    assert explained.dtype == np.float32
    overlay = Image.open(io.BytesIO(overlay_png(explained, width=WIDTH, height=HEIGHT)))
    stretched = np.asarray(overlay.getchannel("A").resize((WIDTH, HEIGHT), Image.Resampling.BOX))
    y, x = (places.mean() for places in np.nonzero(stretched == stretched.max()))
    assert abs(x - BLOB_X) <= cell_px / SIZE * WIDTH / 2
    assert abs(y - BLOB_Y) <= cell_px / SIZE * HEIGHT / 2


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_every_backbone_points_at_the_evidence(backbone: Backbone, tmp_path):
    size = 224  # the pyramid's own 448 would show the same, four times as slowly
    preprocessing = replace(load_preprocessing(backbone), size_px=size)
    pixels = read_resized(write_blob(tmp_path / "blob.png"), preprocessing)
    network = classifier_of_blobs(backbone, pixels, preprocessing)
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(pixels)[None], preprocessing))
    seen = []
    network.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))
    explained = heat_map(
        network,
        pixels,
        layer=backbone.heat_map_layer,
        preprocessing=preprocessing,
        class_index=0,
    )
    # Taking the layer's output apart and putting it together changes nothing behind it.
    torch.testing.assert_close(seen, [logits], rtol=1e-4, atol=1e-4)
    assert explained.shape == (size, size)
    assert explained.min() >= 0
    assert explained.max() == pytest.approx(1)
    x, y, reach = BLOB_X * size // WIDTH, BLOB_Y * size // HEIGHT, size // 14
    around = np.zeros((size, size), dtype=bool)
    around[y - reach : y + reach, x - reach : x + reach] = True
    # Cells are coarse and a network that never trained is no expert: twice as much is enough, and
    # nowhere as much where a map that is flipped or turned would have it.
    inside = explained[around].mean()
    assert inside > 2 * explained[~around].mean()
    for turned in (explained[::-1], explained[:, ::-1], explained[::-1, ::-1], explained.T):
        assert inside > turned[around].mean()


def classifier_of_blobs(
    backbone: Backbone, pixels: np.ndarray, preprocessing: Preprocessing
) -> nn.Module:
    """A network that never trained, under a head that asks for what the blob adds to its features.

    Batch normalisation takes its statistics from the two pictures, with and without the blob: with
    none of its own an untrained network lets its signal die away.
    """
    torch.manual_seed(0)
    network = build_network(backbone).requires_grad_(False)
    blank = np.full_like(pixels, 90)
    images = torch.cat([as_input(blank, preprocessing), as_input(pixels, preprocessing)])
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        if norms:
            for norm in norms:
                norm.train().momentum = None  # the plain average
            network(images)
        without, with_blob = network.eval()(images)
    added = with_blob - without
    added -= without * (added @ without) / (without @ without)
    head = nn.Linear(backbone.n_features, 2).requires_grad_(False)
    set_head(head, added / added.norm())
    network.set_submodule(backbone.head, head)
    return network


def as_input(pixels: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """What torchvision's own transforms make of resized pixels."""
    functional = import_torchvision().transforms.functional
    image = functional.to_tensor(pixels)
    return functional.normalize(image, preprocessing.mean, preprocessing.std)[None]


def test_the_map_is_of_the_class_that_is_asked_about(tmp_path):
    pixels = read_resized(write_blob(tmp_path / "blob.png"), PREPROCESSING)
    against = heat_map(
        BrightCNN().eval(), pixels, layer="features", preprocessing=PREPROCESSING, class_index=1
    )
    assert not against.any()  # brightness speaks against it everywhere


@pytest.mark.parametrize("class_index", [-1, 2])
def test_a_class_that_the_network_does_not_know_is_refused(class_index):
    network = BrightCNN().eval()
    with pytest.raises(ValueError, match=rf"must lie in \[0, 2\), got {class_index}"):
        heat_map(
            network,
            np.zeros((SIZE, SIZE, 3), np.uint8),
            layer="features",
            preprocessing=PREPROCESSING,
            class_index=class_index,
        )
    assert not network.features._forward_hooks  # nothing of it stays on the network


def test_the_network_sees_what_an_embedding_gives_it():
    seen = []

    class Watched(BrightCNN):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return super().forward(images)

    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    preprocessing = Preprocessing(SIZE, IMAGENET_MEAN, IMAGENET_STD, "bilinear")
    heat_map(Watched().eval(), pixels, layer="features", preprocessing=preprocessing, class_index=0)
    extractor = FeatureExtractor(
        BrightCNN().eval(), preprocessing=preprocessing, n_features=2, device="cpu"
    )
    torch.testing.assert_close(seen[0], as_input(pixels, preprocessing))
    torch.testing.assert_close(
        seen[0], extractor.normalise(pixels[None]).float(), rtol=0, atol=0.02
    )


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        pytest.param(640, 480, (64, 48), id="larger than the map"),
        pytest.param(30, 20, (30, 20), id="smaller than the map"),
        pytest.param(20, 4000, (1, 64), id="a thread"),
    ],
)
def test_the_overlay_has_the_aspect_of_the_image_and_no_more_pixels_than_the_map(
    width, height, size
):
    png = overlay_png(np.zeros((64, 64), np.float32), width=width, height=height)
    overlay = Image.open(io.BytesIO(png))
    assert (overlay.format, overlay.mode, overlay.size) == ("PNG", "RGBA", size)


def test_no_evidence_is_transparent_and_more_of_it_is_less_so():
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    overlay = np.asarray(Image.open(io.BytesIO(overlay_png(ramp, width=64, height=64))))
    opacity = overlay[0, :, 3].astype(int)
    assert opacity[0] == 0
    assert np.all(np.diff(opacity) > 0)
    assert 128 < opacity[-1] < 255  # the image shows through everywhere
    assert tuple(overlay[0, -1, :3]) == tuple(bytes.fromhex(SCORE_COLOURS[-1].removeprefix("#")))


def test_evidence_has_the_colours_that_scores_have_on_the_pages():
    assert COLOURS == SCORE_COLOURS
