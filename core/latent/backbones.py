"""Which networks turn an image into a feature vector, and what does each expect of its input?

The registry is plain data, so that a page lists the backbones without loading torch; the functions
below it load torch and torchvision when they are called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from core.latent.torch_setup import import_torchvision

if TYPE_CHECKING:
    import torch
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """One network of torchvision, cut before its last linear layer.

    Attributes:
        name: how it is called here, on the command line and in file names of weights.
        title: how a page calls it.
        builder: torchvision's name of the model, and its function that builds it; of the one that
            comes with the app, a name of ours.
        weights: member of torchvision's weights enumerations that it is published with; empty for
            the one that comes with the app.
        n_features: length of its penultimate feature vector.
        input_size_px: side of the square that the whole image is resized to.
        head: dotted name of its last linear layer; an identity in its place leaves the penultimate
            features, a new linear layer makes a classifier.
        last_block: prefixes of the parameters that `last_block` fine-tuning trains besides the
            head; every layer that runs before the first of them stays as it is, and none that
            stays runs after it.
        heat_map_layer: dotted name of the layer whose output shows where the evidence for a class
            lies: the last that still knows places and is read with a gradient. Of CNNs that is the
            last convolutional block, of Swin the channels-first copy of its last patches, of a
            pyramid its levels. Of ViT it is what the last attention reads: afterwards only the
            class token counts.
        interpolation: Pillow's name of the filter that its training images were resized with.
        mean: of red, green and blue, in [0, 1], by which its input is normalised.
        std: standard deviation of red, green and blue, likewise.
        built_by: `module:class` of ours, where torchvision's builder makes more than the features
            need.
        unused: prefixes of the keys in its weights files that belong to parts not built here.
        old_names: (pattern, replacement) of the keys that older files of weights name otherwise;
            torchvision's own loading translates the same ones.
    """

    name: str
    title: str
    builder: str
    weights: str
    n_features: int
    input_size_px: int
    head: str
    last_block: tuple[str, ...]
    heat_map_layer: str
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    built_by: str = ""
    unused: tuple[str, ...] = ()
    old_names: tuple[tuple[str, str], ...] = ()


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


# The one that comes with the app, in `assets/backbone`: what runs where no weights are found.
BUNDLED = "lacquer_resnet"

# How people tell the networks apart when they choose; every one of the registry is in one group.
FAMILIES = {
    "the paper's": ("resnet50", "mobilenet_v2", "vgg16", "resnet34"),
    "modern CNNs": ("convnext_tiny", "efficientnet_b0"),
    "vision transformers": ("vit_b_16", "swin_t"),
    "others": ("resnet18", "fasterrcnn_resnet50_fpn"),
    "bundled": (BUNDLED,),
}

# IMAGENET1K_V1 for every classifier: the weights of the paper's recipe, and the better frozen
# features. The V2 weights of ResNet-50 and MobileNet-V2 were trained with label smoothing and
# mixup, which raise ImageNet accuracy and make the penultimate features transfer worse (Kornblith
# et al. 2021, "Why do better loss functions lead to less transferable features?"). Of the
# transformers and ConvNeXt nothing older than such a recipe is published.
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
            heat_map_layer="layer4",
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
            heat_map_layer="layer4",
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
            heat_map_layer="features.18",
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
            heat_map_layer="features.29",
        ),
        Backbone(
            name="resnet18",
            title="ResNet-18",
            builder="resnet18",
            weights="ResNet18_Weights.IMAGENET1K_V1",
            n_features=512,
            input_size_px=224,
            head="fc",
            last_block=("layer4",),
            heat_map_layer="layer4",
        ),
        Backbone(
            name="efficientnet_b0",
            title="EfficientNet-B0",
            builder="efficientnet_b0",
            weights="EfficientNet_B0_Weights.IMAGENET1K_V1",
            n_features=1280,
            input_size_px=224,
            head="classifier.1",
            last_block=("features.7", "features.8"),
            heat_map_layer="features.8",
            interpolation="bicubic",
        ),
        Backbone(
            name="convnext_tiny",
            title="ConvNeXt-Tiny",
            builder="convnext_tiny",
            weights="ConvNeXt_Tiny_Weights.IMAGENET1K_V1",
            n_features=768,
            input_size_px=224,
            head="classifier.2",
            last_block=("features.7", "classifier"),
            heat_map_layer="features.7",
        ),
        Backbone(
            name="vit_b_16",
            title="ViT-B/16",
            builder="vit_b_16",
            weights="ViT_B_16_Weights.IMAGENET1K_V1",
            n_features=768,
            input_size_px=224,
            head="heads.head",
            last_block=("encoder.layers.encoder_layer_11", "encoder.ln"),
            heat_map_layer="encoder.layers.encoder_layer_11.ln_1",
            old_names=((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3.")),
        ),
        Backbone(
            name="swin_t",
            title="Swin-T",
            builder="swin_t",
            weights="Swin_T_Weights.IMAGENET1K_V1",
            n_features=768,
            input_size_px=224,
            head="head",
            last_block=("features.7", "norm"),
            heat_map_layer="permute",
            interpolation="bicubic",
        ),
        # Published for a shorter side of 800; see `core.latent.feature_pyramid` for the size here.
        Backbone(
            name="fasterrcnn_resnet50_fpn",
            title="Faster R-CNN's feature pyramid",
            builder="fasterrcnn_resnet50_fpn",
            weights="FasterRCNN_ResNet50_FPN_Weights.COCO_V1",
            n_features=1024,
            input_size_px=448,
            head="head",
            last_block=("backbone.body.layer4", "backbone.fpn"),
            heat_map_layer="backbone.fpn",
            built_by="core.latent.feature_pyramid:FeaturePyramid",
            unused=("rpn.", "roi_heads."),
            old_names=(
                (r"\.fpn\.(inner|layer)_blocks\.(\d)\.(weight|bias)$", r".fpn.\1_blocks.\2.0.\3"),
            ),
        ),
        # Ours, trained by `core.learning.pretraining`; its weights lie in `assets/backbone`.
        Backbone(
            name=BUNDLED,
            title="Bundled ResNet-10",
            builder="lacquer_resnet",
            weights="",
            n_features=960,
            input_size_px=224,
            head="head",
            last_block=("layer4",),
            heat_map_layer="levels",
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            built_by="core.latent.levels_network:LevelsNetwork",
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

    if backbone.built_by:
        module, _, network_class = backbone.built_by.partition(":")
        network = getattr(import_module(module), network_class)()
    else:
        network = import_torchvision().models.get_model(backbone.builder, weights=None)
    network.set_submodule(backbone.head, nn.Identity())
    return network


def published_url(backbone: Backbone) -> str:
    """Where torchvision publishes the weights; the file's name ends in its hash's first digits.

    Raises:
        ValueError: the backbone comes with the app and is published nowhere.
    """
    if not backbone.weights:
        raise ValueError(f"the weights of {backbone.name} are not published: they are bundled")
    return str(import_torchvision().models.get_weight(backbone.weights).url)


def load_preprocessing(backbone: Backbone) -> Preprocessing:
    """The input that its weights were trained for, less the centre crop of published ones."""
    return Preprocessing(
        size_px=backbone.input_size_px,
        mean=backbone.mean,
        std=backbone.std,
        interpolation=backbone.interpolation,
    )


def normalise(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """The network's input of RGB pixels that are resized already, on their device.

    Args:
        pixels: uint8 (n, size, size, 3).

    Returns:
        float32 (n, 3, size, size).
    """
    import torch

    mean = torch.tensor(preprocessing.mean, device=pixels.device)
    std = torch.tensor(preprocessing.std, device=pixels.device)
    return (pixels.float() * (1 / (255 * std)) - mean / std).permute(0, 3, 1, 2)


def current_names(backbone: Backbone, key: str) -> str:
    """The name that a key of an older weights file has in the network that is built now."""
    for pattern, replacement in backbone.old_names:
        key = re.sub(pattern, replacement, key)
    return key
