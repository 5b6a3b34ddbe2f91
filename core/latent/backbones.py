"""Which networks turn an image into a feature vector, and what does each expect of its input?

The registry is plain data, so that a page lists the backbones without loading torch; the functions
below it load torch and torchvision when they are called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.latent.torch_setup import import_torchvision

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Backbone:
    """One network of torchvision, cut before its last linear layer.

    Attributes:
        name: how it is called here, on the command line and in file names of weights.
        title: how a page calls it.
        builder: torchvision's function that builds it.
        weights: member of torchvision's weights enumerations that it is published with.
        n_features: length of its penultimate feature vector.
        input_size_px: side of the square that the whole image is resized to.
        head: dotted name of its last linear layer; an identity in its place leaves the penultimate
            features, a new linear layer makes a classifier.
        last_block: prefixes of the parameters that `last_block` fine-tuning trains besides the
            head; everything before the first of them stays as it is.
    """

    name: str
    title: str
    builder: str
    weights: str
    n_features: int
    input_size_px: int
    head: str
    last_block: tuple[str, ...]


@dataclass(frozen=True)
class Preprocessing:
    """From an RGB image to the network's input: resized whole, scaled to [0, 1], normalised.

    Published presets resize the shorter side and crop the centre, which would cut defects at the
    border off; as in the paper, the whole image is resized to a square instead.

    Attributes:
        size_px: side of the square.
        mean: mean of red, green and blue, in [0, 1].
        std: standard deviation of red, green and blue, in [0, 1].
        interpolation: Pillow's name of the filter; Pillow always filters against aliasing.
    """

    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str


# IMAGENET1K_V1 throughout: the weights of the paper's recipe, and the better frozen features. The
# V2 weights of ResNet-50 and MobileNet-V2 were trained with label smoothing and mixup, which raise
# ImageNet accuracy and make the penultimate features transfer worse (Kornblith et al. 2021, "Why do
# better loss functions lead to less transferable features?").
BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="resnet50",
            title="ResNet-50",
            builder="resnet50",
            weights="ResNet50_Weights.IMAGENET1K_V1",
            n_features=2048,
            input_size_px=224,
            head="fc",
            last_block=("layer4",),
        ),
        Backbone(
            name="resnet34",
            title="ResNet-34",
            builder="resnet34",
            weights="ResNet34_Weights.IMAGENET1K_V1",
            n_features=512,
            input_size_px=224,
            head="fc",
            last_block=("layer4",),
        ),
        Backbone(
            name="mobilenet_v2",
            title="MobileNet-V2",
            builder="mobilenet_v2",
            weights="MobileNet_V2_Weights.IMAGENET1K_V1",
            n_features=1280,
            input_size_px=224,
            head="classifier.1",
            last_block=("features.17", "features.18"),
        ),
        Backbone(
            name="vgg16",
            title="VGG16",
            builder="vgg16",
            weights="VGG16_Weights.IMAGENET1K_V1",
            n_features=4096,
            input_size_px=224,
            head="classifier.6",
            last_block=("features.24", "features.26", "features.28", "classifier"),
        ),
    )
}


def get_backbone(name: str) -> Backbone:
    """The registry's entry of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        known = ", ".join(BACKBONES)
        raise ValueError(f"backbone must be one of {known}, got {name!r}") from None


def build_network(backbone: Backbone) -> nn.Module:
    """The untrained network, its head replaced by an identity: (n, 3, h, w) → (n, n_features)."""
    from torch import nn

    network = import_torchvision().models.get_model(backbone.builder, weights=None)
    network.set_submodule(backbone.head, nn.Identity())
    return network


def published_url(backbone: Backbone) -> str:
    """Where torchvision publishes the weights; the file's name ends in its hash's first digits."""
    return str(_published_weights(backbone).url)


def load_preprocessing(backbone: Backbone) -> Preprocessing:
    """The input that the published weights were trained for, less their centre crop."""
    preset = _published_weights(backbone).transforms()
    return Preprocessing(
        size_px=preset.crop_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def _published_weights(backbone: Backbone) -> Any:
    return import_torchvision().models.get_weight(backbone.weights)
