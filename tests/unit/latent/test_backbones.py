"""The registry is data that a page can list, and says the truth about each network."""

import subprocess
import sys

import pytest

from core.latent.backbones import (
    BACKBONES,
    build_network,
    get_backbone,
    load_preprocessing,
    published_url,
)
from core.latent.torch_setup import import_torchvision


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


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_a_network_gives_as_many_features_as_its_entry_says(backbone):
    import torch

    with torch.device("meta"):  # shapes without weights: VGG16 has 138 million
        size = backbone.input_size_px
        features = build_network(backbone).eval()(torch.zeros(2, 3, size, size))
    assert features.shape == (2, backbone.n_features)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_everything_from_the_last_block_on_is_the_last_block(backbone):
    import torch

    with torch.device("meta"):
        names = [name for name, _ in build_network(backbone).named_parameters()]
    in_block = [name.startswith(backbone.last_block) for name in names]
    first = in_block.index(True)
    assert first > 0
    assert all(in_block[first:])


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda backbone: backbone.name)
def test_preprocessing_is_that_of_the_published_weights(backbone):
    preprocessing = load_preprocessing(backbone)
    assert preprocessing.size_px == backbone.input_size_px
    assert preprocessing.mean == (0.485, 0.456, 0.406)
    assert preprocessing.std == (0.229, 0.224, 0.225)
    assert preprocessing.interpolation == "bilinear"
    assert published_url(backbone).startswith("https://download.pytorch.org/models/")
