"""Take a classifier that was trained elsewhere into the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ImportModel, to_json
from core.jobs.context import JobContext
from core.jobs.steps.training import versions
from core.latent.backbones import get_backbone
from core.state import models, uploads
from core.vocabulary import RESERVED_LABELS, clean_label

MODE = "imported"


def run(context: JobContext, config: ImportModel) -> Mapping[str, Any]:
    """Read the state dict, check that it fits, and keep it as safetensors.

    Raises:
        OperatorError: the file cannot be read or does not fit, or the classes do not fit its head.
        ValueError: a class's name is no label.
    """
    from safetensors.torch import save_file

    from core.learning.networks import load_classifier

    workspace = context.workspace
    backbone = get_backbone(config.backbone)
    classes = _clean(config.classes)
    source = Path(config.source)
    if not source.is_file():
        raise OperatorError(f"There is no file {source}.", next_step="Check its name.")
    context.report(0.1, "Reading the file")
    network = load_classifier(source, backbone)
    n_rows = len(network.get_submodule(backbone.head).bias)  # type: ignore[arg-type]
    if n_rows != len(classes):
        raise OperatorError(
            f"Its head tells {n_rows} classes apart, {len(classes)} were named.",
            ", ".join(classes),
            "Name every class, in the order of the head's rows.",
        )
    context.report(0.6, "Adding it to the registry")
    with models.new_folder(workspace) as written:
        weights = written / models.WEIGHTS_FILE
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, weights)
        for name in ("train_ids", "validation_ids"):  # nobody here knows them
            np.save(written / f"{name}.npy", np.empty(0, np.int64), allow_pickle=False)
        with weights.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        parameters = list(network.parameters())
        model = models.add_model(
            workspace,
            written,
            backbone=backbone.name,
            mode=MODE,
            classes=classes,
            config={**to_json(config), "source": source.name},
            result={
                "classes": list(classes),
                "n_train": None,
                "n_validation": None,
                "val_accuracy": None,
                "history": [],
                "stopped": "",
                "n_parameters": sum(each.numel() for each in parameters),
                "versions": versions(),
                "warnings": [
                    "It was trained elsewhere: which images it has seen is not known, so its "
                    "accuracy on the images here may be better than it deserves."
                ],
            },
            weights_sha256=sha256,
            start_from=None,
            notes=config.notes,
            actor=context.job.actor,
            job_id=context.job.id,
        )
    if uploads.is_upload(workspace, source):
        uploads.discard(workspace, source)
    return {"model": model.id, "classes": list(classes), "sha256": sha256}


def _clean(names: tuple[str, ...]) -> tuple[str, ...]:
    cleaned = tuple(filter(None, (clean_label(name) for name in names)))
    if len(cleaned) != len(names) or len(set(cleaned)) != len(cleaned) or len(cleaned) < 2:
        raise OperatorError(
            "At least two classes with different names are needed.", ", ".join(names)
        )
    reserved = [name for name in cleaned if name in RESERVED_LABELS]
    if reserved:
        raise OperatorError(
            f"{reserved[0]} is said of images and cannot be a class.",
            next_step="Give the class another name.",
        )
    return cleaned
