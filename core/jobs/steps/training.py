"""Training one model: what fine-tuning, its forecast and the comparison of backbones share.

Pixels and activations are kept in the job's folder until the job ends; a run that was cut off makes
them again where they are missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from core.errors import Cancelled, OperatorError
from core.images.reading import ImageRejected
from core.jobs.configs import (
    CompareBackbones,
    EmbedImages,
    FineTune,
    ForecastTraining,
    to_json,
)
from core.jobs.context import JobContext
from core.jobs.steps import embed_images
from core.jobs.steps.recording import Report, part
from core.jobs.training_progress import TrainingProgress, save_progress
from core.jobs.training_set import TrainingSet, check, choose_training_set
from core.latent.backbones import Preprocessing, get_backbone, load_preprocessing
from core.settings import PROJECT_ROOT, load_settings
from core.state import catalog, models, runs
from core.state.catalog import ImageFilter
from core.state.models import Model
from core.state.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from core.latent.weights import ResolvedWeights
    from core.learning.fine_tuning import Examples, Training
    from core.learning.inputs import ActivationInputs, Inputs, PixelInputs

TrainingJob = FineTune | ForecastTraining | CompareBackbones
Asked = TypeVar("Asked", bound=TrainingJob)

VERSION = 1  # part of a checkpoint's question: raise it when the same recipe gives another model
_ROOM_BYTES = 2_000_000_000  # that stay free beside the activations
_PIXELS, _ACTIVATIONS = "pixels", "activations"  # folders of what is kept while it runs
_PREPARED = 0.1  # share of the progress that preparing takes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A training that can begin.

    Attributes:
        network: the whole classifier.
        trained: the part of it that the inputs go through.
        seconds: for reading images and computing what frozen layers see.
        is_cached: whether the frozen layers have been computed once and for all.
    """

    network: nn.Module
    trained: nn.Module
    train: Examples
    validation: Examples | None
    device: str
    seconds: float
    is_cached: bool


def settle(workspace: Workspace, config: Asked) -> tuple[Asked, TrainingSet, tuple[str, ...]]:
    """The config with its backbone, the images it means now, and warnings.

    Raises:
        OperatorError: something speaks against the training.
    """
    if config.start_from:
        earlier = models.get_model(workspace, config.start_from)
        config = replace(config, start_from=earlier.id, backbone=earlier.backbone)
    get_backbone(config.backbone)
    catalog.set_conditions(workspace, catalog.check_files(workspace))
    chosen = choose_training_set(workspace, config)
    return config, chosen, check(workspace, config, chosen)


def starting_weights(workspace: Workspace, config: Asked) -> tuple[Asked, ResolvedWeights]:
    """What the network begins with, and the config of the network that runs.

    Where weights are nowhere to be found, that is the bundled backbone.

    Raises:
        OperatorError: the model or the file is gone, or does not fit; or backbones are compared,
            and one of them has no weights.
    """
    weights = embed_images.find_weights(
        workspace, config.backbone, file=config.weights, model=config.start_from
    )
    if weights.backbone == config.backbone:
        return config, weights
    if isinstance(config, CompareBackbones):
        raise OperatorError(
            f"No weights of {get_backbone(config.backbone).title} were found.",
            "A comparison trains each network from weights of its own: the bundled one must not "
            "stand in for another.",
            "Place a weights file in the workspace's weights folder, go online once, or leave "
            "this network out.",
        )
    return replace(config, backbone=weights.backbone), weights


def train_model(
    context: JobContext,
    config: FineTune | CompareBackbones,
    report: Report,
    *,
    folder: Path,
    notes: str = "",
) -> Model:
    """Train a model and add it to the registry; a cancelled one as far as it has come.

    Args:
        config: how to train, and on what.
        report: of this training's own part of the job.
        folder: for what is kept until the end.

    Raises:
        OperatorError: something speaks against it, or the loss grew beyond all numbers.
        Cancelled: a person asked it to stop; the best so far has been added, if an epoch was done.
    """
    from core.learning.fine_tuning import NotFiniteError, fine_tune, load_best, load_training

    workspace = context.workspace
    report(0.0, "Choosing images")
    config, chosen, warnings = settle(workspace, config)
    config, weights = starting_weights(workspace, config)
    question = _question(config, chosen, weights)
    checkpoints = folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    prepared = prepare(
        context, config, chosen, weights, lambda f, step: report(_PREPARED * f, step), folder=folder
    )
    progress = TrainingProgress(
        backbone=config.backbone,
        epochs=(),
        best_epoch=None,
        n_epochs=config.epochs,
        n_train=len(chosen.train_ids),
        n_validation=len(chosen.validation_ids),
        caching_seconds=prepared.seconds,
    )
    save_progress(workspace, context.job.id, progress)

    def on_epoch(training: Training) -> None:
        save_progress(workspace, context.job.id, progress.after(training))

    def on_step(epoch: int, fraction: float) -> None:
        share = (epoch - 1 + fraction) / config.epochs
        report(_PREPARED + (1 - _PREPARED) * share, f"Epoch {epoch} of {config.epochs}")

    def register(training: Training, stopped: str) -> Model:
        result = _result(config, chosen, weights, prepared, training, stopped, warnings)
        return _register(context, config, chosen, prepared.network, result, notes=notes)

    try:
        training = fine_tune(
            prepared.trained,
            prepared.train,
            prepared.validation,
            config,
            n_classes=len(chosen.classes),
            device=prepared.device,
            checkpoints=checkpoints,
            question=question,
            on_epoch=on_epoch,
            on_step=on_step,
        )
    except Cancelled:
        training = load_training(checkpoints)
        if training.epochs:
            load_best(prepared.trained, checkpoints)
            register(training, "cancelled")
        raise
    except NotFiniteError:
        raise OperatorError(
            "The loss grew beyond all numbers.",
            f"A learning rate of {config.learning_rate:g} is too high for {config.backbone} here.",
            "Start again with a tenth of it.",
        ) from None
    return register(training, "early" if len(training.epochs) < config.epochs else "")


def prepare(
    context: JobContext,
    config: TrainingJob,
    chosen: TrainingSet,
    weights: ResolvedWeights,
    report: Report,
    *,
    folder: Path,
) -> Prepared:
    """Build the classifier and bring its images into the form that its trained part takes."""
    import torch

    from core.latent.embedding import choose_device
    from core.learning.fine_tuning import Examples
    from core.learning.networks import build_classifier, copy_head_rows, freeze, load_head

    backbone = get_backbone(weights.backbone)
    device = choose_device(config.device)
    began = time.perf_counter()
    network = build_classifier(weights, len(chosen.classes), seed=config.seed)
    if config.start_from:
        earlier = models.get_model(context.workspace, config.start_from)
        head = load_head(models.weights_path(context.workspace, earlier.id), backbone)
        copy_head_rows(network, backbone, head, classes=chosen.classes, known=earlier.classes)
    freeze(network, backbone, config.mode)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    has_validation = len(chosen.validation_ids) > 0
    if config.mode == "head":
        trained, is_cached = network.get_submodule(backbone.head), True
        inputs: Sequence[Inputs] = _features(context, config, chosen, device, report)
    else:
        trained, inputs, is_cached = _from_pixels(
            context, config, chosen, network, report, folder=folder, device=device
        )
    return Prepared(
        network=network,
        trained=trained,
        train=Examples(inputs[0], chosen.train_targets),
        validation=Examples(inputs[1], chosen.validation_targets) if has_validation else None,
        device=device,
        seconds=time.perf_counter() - began,
        is_cached=is_cached,
    )


def _features(
    context: JobContext, config: TrainingJob, chosen: TrainingSet, device: str, report: Report
) -> tuple[ActivationInputs, ActivationInputs]:
    """The features of an embedding by the same weights; what is missing of it is computed."""
    import torch

    from core.learning.inputs import ActivationInputs

    asked = EmbedImages(
        backbone=config.backbone,
        device=config.device,
        weights=config.weights,
        model=config.start_from,
    )
    embedded, _ = embed_images.embed(context, asked, report)
    ids = runs.load_array(context.workspace, embedded, "image_ids")
    vectors = runs.load_array(context.workspace, embedded, "vectors", mapped=True)
    found = []
    for wanted in (chosen.train_ids, chosen.validation_ids):
        if not np.isin(wanted, ids).all():
            raise OperatorError(
                "Some of these images could not be embedded.",
                next_step="Look at the embedding's job on the page Activity, and mend or exclude "
                "the images.",
            )
        features = torch.from_numpy(np.array(vectors[np.searchsorted(ids, wanted)]))
        found.append(ActivationInputs([features[None]], device=device))
    return found[0], found[1]


def _from_pixels(
    context: JobContext,
    config: TrainingJob,
    chosen: TrainingSet,
    network: nn.Module,
    report: Report,
    *,
    folder: Path,
    device: str,
) -> tuple[nn.Module, Sequence[Inputs], bool]:
    from core.learning.fine_tuning import autocast
    from core.learning.inputs import PixelInputs, cache_activations
    from core.learning.networks import cut_before_last_block

    backbone = get_backbone(config.backbone)
    preprocessing = load_preprocessing(backbone)
    pixels = _pixels(context, chosen, preprocessing, part(report, 0.0, 0.4))
    augmentations = config.applied_augmentations
    inputs = tuple(
        PixelInputs(each, preprocessing, augmentations=augmentations, device=device)
        for each in pixels
    )
    if config.mode == "full" or not config.caches_activations:
        return network, inputs, False
    cut = cut_before_last_block(network, backbone)
    n_views = 2 if augmentations else 1
    needed = _activation_bytes(cut.frozen, inputs[0], device) * (
        n_views * len(inputs[0]) + len(inputs[1])
    )
    if needed + _ROOM_BYTES > shutil.disk_usage(folder).free:
        log.warning("no room for %.1f GB of activations: every epoch computes them", needed / 1e9)
        return network, inputs, False
    cached = []
    for place, each in enumerate(inputs):
        where = folder / f"{_ACTIVATIONS}-{place}"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        cached.append(
            cache_activations(
                cut.frozen,
                each,
                with_mirrored=n_views == 2 and place == 0,
                folder=where,
                autocast=lambda: autocast(device),
                device=device,
                on_progress=part(report, 0.4 + 0.3 * place, 0.7 + 0.3 * place),
            )
            if len(each)
            else each
        )
    return cut.trained, tuple(cached), True


def _activation_bytes(frozen: nn.Module, inputs: PixelInputs, device: str) -> int:
    """What the frozen layers give for one view of one image."""
    import torch

    from core.learning.fine_tuning import autocast

    with torch.inference_mode(), autocast(device):
        found = frozen(*inputs.batch(np.arange(1), None))
    return sum(tensor.numel() * tensor.element_size() for tensor in found)


def _pixels(
    context: JobContext, chosen: TrainingSet, preprocessing: Preprocessing, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """The training images and the validation images, decoded once a job."""
    from core.learning.pixels import load_pixels

    kept = context.folder / _PIXELS
    kept.mkdir(exist_ok=True)
    found = []
    for place, ids in enumerate((chosen.train_ids, chosen.validation_ids)):
        images = catalog.list_images(
            context.workspace, ImageFilter(ids=tuple(ids.tolist())), sort="oldest"
        )
        contents = hashlib.sha256("".join(image.sha256 for image in images).encode()).hexdigest()
        name = f"{contents[:16]}-{preprocessing.size_px}-{preprocessing.interpolation}.npy"
        try:
            pixels = load_pixels(
                [catalog.image_path(context.workspace, image) for image in images],
                kept / name,
                preprocessing,
                max_pixels=load_settings().max_image_pixels,
                on_progress=part(report, 0.5 * place, 0.5 + 0.5 * place),
            )
        except ImageRejected as error:
            raise OperatorError(
                "An image can no longer be read.",
                error.reason,
                "Run `python -m core doctor`, or exclude the image.",
            ) from error
        found.append(pixels)
    return found[0], found[1]


@contextmanager
def kept_for_resuming(context: JobContext) -> Iterator[None]:
    """Leave a job's folder as small as its end allows.

    A training that ends well leaves its log and its progress; one that is stopped or fails leaves
    its checkpoints too, for it may go on. Pixels and activations can always be made again.
    """
    try:
        yield
    except (Cancelled, OperatorError):
        for cached in (context.folder / _PIXELS, *context.folder.glob(f"*/{_ACTIVATIONS}-*")):
            shutil.rmtree(cached, ignore_errors=True)
        raise
    for path in context.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _question(config: TrainingJob, chosen: TrainingSet, weights: ResolvedWeights) -> str:
    """All that the weights of an epoch depend on."""
    asked = {
        name: value
        for name, value in to_json(config).items()
        if name not in ("notes", "device", "backbones", "epochs", "patience")
    }
    if config.schedule != "constant":  # its rates depend on where it ends
        asked["epochs"] = config.epochs
    text = json.dumps([VERSION, asked, chosen.sha256, weights.sha256], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _register(
    context: JobContext,
    config: TrainingJob,
    chosen: TrainingSet,
    network: nn.Module,
    result: Mapping[str, Any],
    *,
    notes: str,
) -> Model:
    from safetensors.torch import save_file

    with models.new_folder(context.workspace) as written:
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, written / models.WEIGHTS_FILE)
        np.save(written / "train_ids.npy", chosen.train_ids, allow_pickle=False)
        np.save(written / "validation_ids.npy", chosen.validation_ids, allow_pickle=False)
        with (written / models.WEIGHTS_FILE).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return models.add_model(
            context.workspace,
            written,
            backbone=config.backbone,
            mode=config.mode,
            classes=chosen.classes,
            config=to_json(config),
            result=result,
            weights_sha256=sha256,
            start_from=config.start_from or None,
            notes=notes,
            actor=context.job.actor,
            job_id=context.job.id,
        )


def _result(
    config: TrainingJob,
    chosen: TrainingSet,
    weights: ResolvedWeights,
    prepared: Prepared,
    training: Training,
    stopped: str,
    warnings: Sequence[str],
) -> Mapping[str, Any]:
    from core.learning.fine_tuning import computes_in

    best = training.best
    assert best is not None  # at least one epoch is done
    parameters = list(prepared.network.parameters())
    return {
        "val_accuracy": best.validation_accuracy,
        "val_loss": best.validation_loss,
        "best_epoch": best.epoch,
        "epochs": len(training.epochs),
        "n_epochs": config.epochs,
        "epoch_seconds": sum(epoch.seconds for epoch in training.epochs) / len(training.epochs),
        "caching_seconds": prepared.seconds,
        "caches": prepared.is_cached,
        "history": [asdict(epoch) for epoch in training.epochs],
        "n_train": len(chosen.train_ids),
        "n_validation": len(chosen.validation_ids),
        "classes": list(chosen.classes),
        "stopped": stopped,
        "weights": embed_images.told_weights(weights),
        "device": prepared.device,
        "dtype": computes_in(prepared.device),
        "warnings": list(warnings),
        "data_set": {
            "sha256": chosen.sha256,
            "train": dict(chosen.n_train_by_class),
            "validation": dict(chosen.n_validation_by_class),
            "n_anomalies_left_out": chosen.n_anomalies,
            "n_multiple_left_out": chosen.n_multiple,
        },
        "versions": versions(),
        "n_parameters": sum(each.numel() for each in parameters),
        "n_trained_parameters": sum(each.numel() for each in parameters if each.requires_grad),
    }


def versions() -> Mapping[str, str | None]:
    """What the result may depend on beside the config: libraries and the state of the code."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("torch", "torchvision", "numpy", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {**found, "training": str(VERSION), "git": _git_revision()}


def _git_revision() -> str | None:
    """The revision of this checkout, marked where files differ from it; None outside of one."""
    if not (PROJECT_ROOT / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
