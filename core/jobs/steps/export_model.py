"""Write a model out as ONNX for a plant's own system, checked against torch on its own images."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.images.reading import ImageRejected
from core.jobs.configs import ExportModel
from core.jobs.context import JobContext
from core.jobs.steps.predict import temperature_of
from core.latent.backbones import Preprocessing, get_backbone, load_preprocessing
from core.settings import load_settings
from core.state import catalog, models
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace

_N_SAMPLES = 16


def run(context: JobContext, config: ExportModel) -> Mapping[str, Any]:
    """Export one model.

    Raises:
        OperatorError: there is no such model, its file cannot be written, or the exported network
            does not compute what torch computes.
    """
    from core.learning.networks import load_classifier
    from core.learning.onnx_export import export_onnx

    workspace = context.workspace
    model = models.get_model(workspace, config.model)
    backbone = get_backbone(model.backbone)
    preprocessing = load_preprocessing(backbone)
    context.report(0.0, "Loading the model")
    network = load_classifier(models.weights_path(workspace, model.id), backbone)
    context.report(0.2, "Reading images to try it on")
    samples = _samples(workspace, preprocessing)
    target = Path(config.target) if config.target else None
    path = target or workspace.folder("exports") / f"{model.id}.onnx"
    context.report(0.3, "Writing and checking")
    temperature = temperature_of(workspace, model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check = export_onnx(
            network,
            path,
            head=backbone.head,
            preprocessing=preprocessing,
            classes=model.classes,
            temperature=temperature,
            title=model.id,
            sample_pixels=samples,
        )
    except OSError as error:
        raise OperatorError(f"{path} cannot be written.", str(error.strerror or error)) from error
    return {
        "model": model.id,
        **({"file": str(path)} if target else {"archive": path.name}),
        "temperature": temperature,
        "check": asdict(check),
    }


def _samples(workspace: Workspace, preprocessing: Preprocessing) -> np.ndarray:
    """Some images of the workspace as the network takes them; noise where there are none."""
    from core.latent.embedding import decode_image

    size, max_pixels = preprocessing.size_px, load_settings().max_image_pixels
    found: list[np.ndarray] = []
    chosen = ImageFilter(condition="ok")
    for image in catalog.list_images(workspace, chosen, sort="oldest", limit=4 * _N_SAMPLES):
        path = catalog.image_path(workspace, image)
        with suppress(ImageRejected):
            found.append(decode_image(path, preprocessing, max_pixels=max_pixels))
        if len(found) == _N_SAMPLES:
            break
    if not found:
        noise = np.random.default_rng(0).integers(0, 256, (4, size, size, 3))
        return noise.astype(np.uint8)
    return np.stack(found)
