"""The registry is data that a page can list, and says the truth about each network."""

import subprocess
import sys
from typing import Any

import pytest

from core.latent.backbones import (
    BACKBONES,
    BUNDLED,
    FAMILIES,
    Backbone,
    build_network,
    get_backbone,
    load_preprocessing,
    published_url,
)
from core.latent.torch_setup import import_torchvision
from core.latent.weights import load_backbone, random_weights
from core.learning.recipe import PAPERS_BACKBONES

EVERY_BACKBONE = pytest.mark.parametrize(
    "backbone", BACKBONES.values(), ids=lambda backbone: backbone.name
)
CHECKED_NUMERICALLY = ("resnet18", "efficientnet_b0", "convnext_tiny", "vit_b_16", "swin_t")
PYRAMID = BACKBONES["fasterrcnn_resnet50_fpn"]


def test_every_network_is_of_one_family() -> None:
    named = [name for names in FAMILIES.values() for name in names]
    assert sorted(named) == sorted(BACKBONES)
    assert FAMILIES["the paper's"] == PAPERS_BACKBONES


def test_the_registry_loads_without_torch():
    code = "import sys, core.latent.backbones, core.latent.weights, core.latent.embedding\n"
    code += "import core.latent.projection, core.latent.clustering\n"
    code += "heavy = {'torch', 'torchvision', 'umap', 'pacmap', 'sklearn', 'scipy', 'numba'}\n"
    code += "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_torchvision_imports_beside_this_torch_and_again():
    assert import_torchvision() is import_torchvision()
    assert hasattr(import_torchvision().models, "resnet50")


def test_an_unknown_backbone_is_refused_by_name():
    with pytest.raises(ValueError, match=r"one of resnet50.*got 'resnet51'"):
        get_backbone("resnet51")


@EVERY_BACKBONE
def test_a_network_gives_as_many_features_as_its_entry_says(backbone):
    import torch

    with torch.device("meta"):  # shapes without weights: VGG16 has 138 million
        size = backbone.input_size_px
        features = build_network(backbone).eval()(torch.zeros(2, 3, size, size))
    assert features.shape == (2, backbone.n_features)


@EVERY_BACKBONE
def test_no_layer_that_stays_runs_after_the_first_of_the_last_block(backbone):
    import torch

    ran: list[str] = []
    with torch.device("meta"):
        network = build_network(backbone).eval()
        owners = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
        for name, module in network.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
        size = backbone.input_size_px
        network(torch.zeros(1, 3, size, size))
    # An attention's last projection is used by its parent without being run.
    assert all(name in ran or name.rpartition(".")[0] in ran for name in owners)
    in_block = [f"{name}.".startswith(_as_layers(backbone)) for name in ran if name in owners]
    first = in_block.index(True)
    assert first > 0
    assert all(in_block[first:])


def _as_layers(backbone: Backbone) -> tuple[str, ...]:
    return tuple(f"{prefix}." for prefix in backbone.last_block)


@EVERY_BACKBONE
def test_the_last_block_names_whole_layers_and_is_a_part_of_the_network(backbone):
    import torch

    with torch.device("meta"):
        network = build_network(backbone)
    names = [name for name, _ in network.named_parameters()]
    by_prefix = [name for name in names if name.startswith(backbone.last_block)]
    assert by_prefix == [name for name in names if name.startswith(_as_layers(backbone))]
    assert all(network.get_submodule(prefix) is not None for prefix in backbone.last_block)


@pytest.mark.parametrize(
    "backbone",
    [backbone for backbone in BACKBONES.values() if backbone.weights],
    ids=lambda backbone: backbone.name,
)
def test_preprocessing_is_that_of_the_published_weights(backbone):
    preprocessing = load_preprocessing(backbone)
    published = import_torchvision().models.get_weight(backbone.weights).transforms()
    assert preprocessing.size_px == backbone.input_size_px
    if backbone.name != "fasterrcnn_resnet50_fpn":  # whose detector resizes and normalises itself
        assert [preprocessing.size_px] == published.crop_size
        assert preprocessing.mean == tuple(published.mean)
        assert preprocessing.std == tuple(published.std)
        assert preprocessing.interpolation == published.interpolation.value
    assert published_url(backbone).startswith("https://download.pytorch.org/models/")


def test_the_feature_pyramid_gets_the_input_that_its_detector_normalises_to():
    import torch

    with torch.device("meta"):
        transform = a_detector().transform
    preprocessing = load_preprocessing(PYRAMID)
    assert preprocessing.mean == tuple(transform.image_mean)
    assert preprocessing.std == tuple(transform.image_std)
    assert preprocessing.interpolation == "bilinear"
    assert preprocessing.size_px % 32 == 0  # so that every level lies exactly upon the next


@pytest.mark.parametrize("name", CHECKED_NUMERICALLY)
def test_features_are_what_the_last_linear_layer_reads(name):
    import torch

    backbone = get_backbone(name)
    network = load_backbone(random_weights(name))
    head = {"weight": torch.randn(3, backbone.n_features), "bias": torch.randn(3)}
    state = network.state_dict() | {f"{backbone.head}.{key}": head[key] for key in head}
    with torch.device("meta"):
        whole = import_torchvision().models.get_model(backbone.builder, num_classes=3)
    whole.load_state_dict(state, assign=True)
    images = torch.rand(2, 3, backbone.input_size_px, backbone.input_size_px)
    with torch.inference_mode():
        features = network(images)
        logits = torch.nn.functional.linear(features, **head)
        torch.testing.assert_close(whole.eval()(images), logits)
        assert torch.equal(network(images), features)
    assert features.shape == (2, backbone.n_features)
    assert not network.training
    assert features.std() > 0.01  # neither vanished nor exploded on the way
    assert not torch.allclose(features[0], features[1])


def test_features_of_a_pyramid_are_the_averages_of_its_levels():
    import torch

    detector = a_detector().eval()
    with torch.device("meta"):
        network = build_network(PYRAMID).eval()
    network.load_state_dict(detector.state_dict(), strict=False, assign=True)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        features = network(images)
        levels = detector.backbone(images)
    assert [level.shape[-1] for level in levels.values()] == [16, 8, 4, 2, 1]
    of_levels = features.split(256, dim=1)
    for level, of_level in zip(list(levels.values())[:4], of_levels, strict=True):
        torch.testing.assert_close(of_level, level.mean(dim=(2, 3)))


def test_the_bundled_network_joins_averages_and_maxima_of_its_stages_and_is_published_nowhere():
    import torch

    bundled = get_backbone(BUNDLED)
    network = build_network(bundled).eval()
    seen = []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        stage.register_forward_hook(lambda *passed: seen.append(passed[-1]))
    images = torch.rand(2, 3, 64, 64)
    features = network(images)
    assert [stage.shape[-1] for stage in seen] == [16, 8, 4, 2]
    pooled = [s.mean(dim=(2, 3)) for s in seen] + [s.amax(dim=(2, 3)) for s in seen]
    torch.testing.assert_close(features, torch.cat(pooled, dim=1))
    network.centre.fill_(1.0)
    network.spread.fill_(2.0)
    torch.testing.assert_close(network(images), (features - 1) / 2)
    with pytest.raises(ValueError, match="are bundled"):
        published_url(bundled)


def test_of_a_detector_only_the_pyramid_is_built_and_its_head_can_be_a_classifier():
    import torch
    from torch import nn

    with torch.device("meta"):
        network = build_network(PYRAMID)
        assert [name for name, _ in network.named_children()] == ["backbone", "head"]
        assert all(parameter.requires_grad for parameter in network.parameters())
        network.set_submodule(PYRAMID.head, nn.Linear(PYRAMID.n_features, 3))
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def a_detector() -> Any:
    """Torchvision's whole Faster R-CNN, for three classes."""
    models = import_torchvision().models
    return models.get_model(PYRAMID.builder, weights=None, weights_backbone=None, num_classes=3)
