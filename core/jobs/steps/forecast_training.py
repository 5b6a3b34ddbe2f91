"""Measure a few steps of a training on some of its images, and say how long all will take."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from core.jobs.configs import ForecastTraining
from core.jobs.context import JobContext
from core.jobs.steps.embed_images import told_weights
from core.jobs.steps.recording import part
from core.jobs.steps.training import (
    kept_for_resuming,
    prepare,
    settle,
    starting_weights,
)
from core.jobs.training_set import TrainingSet
from core.latent.backbones import get_backbone, load_preprocessing
from core.learning.pixels import n_bytes

_FEW_IMAGES = 48
_MOST_VALIDATION = 16


def run(context: JobContext, config: ForecastTraining) -> Mapping[str, Any]:
    """Forecast time and disk.

    Raises:
        OperatorError: something speaks against the training.
    """
    with kept_for_resuming(context):
        return _forecast(context, config)


def _forecast(context: JobContext, config: ForecastTraining) -> Mapping[str, Any]:
    from core.learning.fine_tuning import computes_in
    from core.learning.forecast import measure_pace

    context.report(0.0, "Choosing images")
    config, chosen, warnings = settle(context.workspace, config)
    config, weights = starting_weights(context.workspace, config)
    folder = context.folder / "training"
    folder.mkdir(exist_ok=True)
    sample = _sample(chosen, max(_FEW_IMAGES, config.batch_size), config.seed)
    context.report(0.1, "Measuring how images are prepared")
    prepared = prepare(
        context, config, sample, weights, part(context.report, 0.1, 0.5), folder=folder
    )
    began = time.perf_counter()
    context.report(0.5, "Measuring a few steps")
    pace = measure_pace(
        prepared.trained,
        prepared.train,
        prepared.validation,
        config,
        n_classes=len(chosen.classes),
        device=prepared.device,
    )
    n_train, n_validation = len(chosen.train_ids), len(chosen.validation_ids)
    epoch_seconds = pace.epoch_seconds(n_train, n_validation, config.batch_size)
    share = (n_train + n_validation) / max(1, len(sample.train_ids) + len(sample.validation_ids))
    # Features of an embedding that is there cost nothing more; else its images are embedded first.
    caching_seconds = prepared.seconds * (1.0 if config.mode == "head" else share)
    is_from_pixels = config.mode != "head"
    preprocessing = load_preprocessing(get_backbone(config.backbone))
    pixel_bytes = n_bytes(n_train + n_validation, preprocessing) if is_from_pixels else 0
    parameter_bytes = sum(4 * each.numel() for each in prepared.network.parameters())
    activation_bytes = sum(path.stat().st_size for path in folder.rglob("activations-*.bin"))
    notes = list(warnings)
    if config.mode == "last_block" and not prepared.is_cached:
        notes.append(
            "With these augmentations the frozen layers are computed anew in every epoch: only the "
            "horizontal flip can be cached."
        )
    return {
        "seconds": caching_seconds + epoch_seconds * config.epochs,
        "caching_seconds": caching_seconds,
        "epoch_seconds": epoch_seconds,
        "step_seconds": pace.step_seconds,
        "measuring_seconds": time.perf_counter() - began,
        "n_train": n_train,
        "n_validation": n_validation,
        "disk_bytes": pixel_bytes + 4 * parameter_bytes + int(activation_bytes * share),
        "caches": prepared.is_cached,
        "device": prepared.device,
        "dtype": computes_in(prepared.device),
        "weights": told_weights(weights),
        "notes": notes,
    }


def _sample(chosen: TrainingSet, n_train: int, seed: int) -> TrainingSet:
    """Some of the images, drawn with the seed: for a whole batch at least."""
    rng = np.random.default_rng(seed)
    train = np.sort(rng.permutation(len(chosen.train_ids))[:n_train])
    validation = np.sort(rng.permutation(len(chosen.validation_ids))[:_MOST_VALIDATION])
    return replace(
        chosen,
        train_ids=chosen.train_ids[train],
        train_targets=chosen.train_targets[train],
        validation_ids=chosen.validation_ids[validation],
        validation_targets=chosen.validation_targets[validation],
    )
