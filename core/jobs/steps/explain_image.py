"""Compute the heat map that shows where a model looks in one image.

It runs in the worker that stays warm: the network of the last models asked about stays loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.images.reading import ImageRejected
from core.jobs.configs import ExplainImage
from core.jobs.context import JobContext
from core.latent.backbones import Preprocessing, get_backbone, load_preprocessing, normalise
from core.settings import load_settings
from core.state import catalog, models
from core.state.catalog import Image
from core.state.files import replace_file
from core.state.heat_maps import heat_map_path
from core.state.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

_KEPT_NETWORKS = 2  # a VGG16 takes half a gigabyte


def run(context: JobContext, config: ExplainImage) -> Mapping[str, Any]:
    """Explain one image for one class, and say which class that was.

    Raises:
        OperatorError: there is no such model or image, the image cannot be read, or the model knows
            no such class.
    """
    from core.learning.explanation import heat_map, overlay_png

    workspace = context.workspace
    model = models.get_model(workspace, config.model)
    image = catalog.get_image(workspace, config.image)
    if config.label and config.label not in model.classes:
        raise OperatorError(
            f"{model.id} knows no class {config.label!r}.",
            next_step=f"Choose one of {', '.join(model.classes)}.",
        )
    context.report(0.0, "Loading the model")
    backbone = get_backbone(model.backbone)
    network = _load_network(
        models.weights_path(workspace, model.id), model.weights_sha256, backbone.name
    )
    preprocessing = load_preprocessing(backbone)
    pixels = _pixels(workspace, image, preprocessing)
    label = config.label or model.classes[_predicted(network, pixels, preprocessing)]
    path = heat_map_path(workspace, model, image, config.label)
    if not path.is_file():
        context.report(0.5, "Looking at the image")
        heat = heat_map(
            network,
            pixels,
            layer=backbone.heat_map_layer,
            preprocessing=preprocessing,
            class_index=model.classes.index(label),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, overlay_png(heat, width=image.width, height=image.height))
    return {
        "model": model.id,
        "image": image.id,
        "label": label,
        "file": str(path.relative_to(workspace.path)),
    }


@lru_cache(maxsize=_KEPT_NETWORKS)
def _load_network(weights: Path, sha256: str, backbone: str) -> nn.Module:
    # By hash too: in a workspace made anew a model may have the name of another.
    from core.learning.networks import load_classifier

    return load_classifier(weights, get_backbone(backbone))


def _pixels(workspace: Workspace, image: Image, preprocessing: Preprocessing) -> np.ndarray:
    """The whole image at the network's size: uint8 (size, size, 3).

    Raises:
        OperatorError: its file is gone, changed or damaged.
    """
    from core.latent.embedding import decode_image

    conditions = catalog.check_files(workspace, catalog.ImageFilter(ids=(image.id,)))
    condition = conditions.get(image.id, image.condition)
    if condition != "ok":
        raise OperatorError(
            f"The file of {image.name} is {condition}.",
            next_step="Put it back, then check the files on the page Dataset.",
        )
    path = catalog.image_path(workspace, image)
    try:
        return decode_image(path, preprocessing, max_pixels=load_settings().max_image_pixels)
    except ImageRejected as error:
        raise OperatorError(f"{image.name} cannot be read.", error.reason) from error


def _predicted(network: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing) -> int:
    import torch

    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(pixels)[None], preprocessing))
    return int(logits[0].argmax())
