"""Classifiers: `finetune` trains one."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_device
from core.cli.parser import (
    Commands,
    Parser,
    a_path,
    add_command,
    whole_number,
    wrong_usage,
)
from core.cli.session import Answer, Session
from core.errors import OperatorError
from core.jobs.configs import FineTune, ForecastTraining
from core.latent.backbones import BACKBONES, BUNDLED
from core.learning.recipe import AUGMENTATIONS, CLASS_WEIGHTS, MODES, PAPER, SCHEDULES, Recipe

if TYPE_CHECKING:
    from core.state.models import Model
    from core.state.workspace import Workspace

_NO_AUGMENTATION = "none"


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    finetune = add_command(
        commands, "finetune", fine_tune, summary="train a classifier on the labelled images"
    )
    add_recipe(finetune)
    finetune.add_argument(
        "--start-from",
        metavar="MODEL",
        help="go on from an earlier model: its id, its number, newest or promoted (default: the "
        "network's published weights)",
    )
    finetune.add_argument("--notes", default="", metavar="TEXT", help="what to remember of it")
    finetune.add_argument(
        "--forecast",
        action="store_true",
        help="only measure a few steps and say how long all of it would take",
    )


def add_recipe(parser: Parser, *, with_backbone: bool = True) -> None:
    """The options that say how to train, and on which images; the paper's recipe by default.

    Args:
        with_backbone: also which network, and weights of one's own for it.
    """
    recipe = parser.add_argument_group("recipe")
    if with_backbone:
        recipe.add_argument(
            "--backbone",
            choices=BACKBONES,
            help=f"default: that of --start-from, else {PAPER.backbone}; offline the first whose "
            f"weights are on this machine, else {BUNDLED}, which comes with the app",
        )
        recipe.add_argument(
            "--weights",
            type=a_path,
            metavar="FILE",
            help="a state dict of your own to start from (default: the first that is found)",
        )
    recipe.add_argument(
        "--mode",
        choices=MODES,
        default=PAPER.mode,
        help=f"train every layer, the last block and the head, or the head (default: {PAPER.mode})",
    )
    for option, field, minimum, what in (
        ("--epochs", "epochs", 1, "passes over the training images"),
        ("--batch-size", "batch_size", 1, "images a step"),
        ("--patience", "patience", 0, "stop after so many epochs without a better one; 0 never"),
        ("--seed", "seed", 0, "of the head, the order of images and all draws"),
    ):
        default = getattr(PAPER, field)
        recipe.add_argument(
            option,
            dest=field,
            type=whole_number(minimum),
            default=default,
            metavar="N",
            help=f"{what} (default: {default})",
        )
    for option, field, what in (
        ("--lr", "learning_rate", "learning rate"),
        ("--momentum", "momentum", "of stochastic gradient descent, in [0, 1)"),
        ("--weight-decay", "weight_decay", "at least 0"),
        ("--label-smoothing", "label_smoothing", "share of the target that is spread, in [0, 1)"),
    ):
        default = getattr(PAPER, field)
        recipe.add_argument(
            option,
            dest=field,
            type=float,
            default=default,
            metavar="X",
            help=f"{what} (default: {default:g})",
        )
    for option, field, known, what in (
        ("--schedule", "schedule", SCHEDULES, "how the learning rate changes"),
        ("--class-weights", "class_weights", CLASS_WEIGHTS, "what the loss of an image counts"),
    ):
        default = getattr(PAPER, field)
        recipe.add_argument(
            option, dest=field, choices=known, default=default, help=f"{what} (default: {default})"
        )
    recipe.add_argument(
        "--augment",
        dest="augmentations",
        type=_augmentations,
        default=PAPER.augmentations,
        metavar="NAME,…",
        help=f"{', '.join(AUGMENTATIONS)}, or {_NO_AUGMENTATION} "
        f"(default: {','.join(PAPER.augmentations)})",
    )
    recipe.add_argument(
        "--freeze-batch-norm",
        action="store_true",
        help="keep all batch normalisation as it is; steadier with few images a batch",
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "--classes",
        type=names,
        default=(),
        metavar="NAME,…",
        help="the classes to tell apart (default: all that have training images)",
    )
    images.add_argument(
        "--per-class",
        type=_counts,
        default=(),
        metavar="N,…",
        help="draw so many training images of each of --classes; the rest of them validates "
        "(default: train on the split train, validate on validation)",
    )
    images.add_argument(
        "--exclude-anomalies",
        action="store_true",
        help="leave the images out of training that `anomalies` has found",
    )
    add_device(images)


def recipe_values(workspace: Workspace, asked: Namespace) -> dict[str, Any]:
    """What the options of `add_recipe` give to a config.

    Raises:
        OperatorError: anomalies are to be left out, and nothing has looked for any.
    """
    fields = (*asdict(PAPER), "classes", "per_class", "device")
    given = ((name, getattr(asked, name, None)) for name in fields)
    values = {name: value for name, value in given if value is not None}
    if getattr(asked, "weights", None):
        values["weights"] = str(asked.weights)
    if asked.exclude_anomalies:
        values["without_anomalies"] = _newest_anomalies(workspace)
    return values


def names(text: str) -> tuple[str, ...]:
    """A type for argparse: names with commas between, none twice."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise ArgumentTypeError(f"{text!r} holds an empty name")
    if len(set(found)) < len(found):
        raise ArgumentTypeError(f"{text!r} names one twice")
    return found


def fine_tune(session: Session, asked: Namespace) -> Answer:
    """Train a classifier, or only forecast it."""
    from core.queries import usual_backbone
    from core.state import models

    with wrong_usage():
        _check(asked)
    workspace = session.open()
    values = recipe_values(workspace, asked)
    if asked.start_from:
        earlier = models.get_model(workspace, asked.start_from)
        with wrong_usage():
            values |= {"start_from": earlier.id, "backbone": _same_backbone(asked, earlier)}
    elif not asked.backbone and not asked.weights:
        values["backbone"] = usual_backbone(workspace, session.settings)
    if asked.forecast:
        return _forecast(session.do(workspace, ForecastTraining(**values)))
    result = session.do(workspace, FineTune(**values, notes=asked.notes))
    right = (
        f"{as_share(result['val_accuracy'])} of {result['n_validation']:,} validation images right"
    )
    text = [
        f"{result['model']}: {right}, after epoch {result['best_epoch']} of {result['epochs']}; "
        f"{result['epoch_seconds']:.2f} s an epoch on {result['device']}.",
        *filter(None, [result["weights"]["notice"], *result["warnings"]]),
    ]
    return Answer(result, "\n".join(text))


def _forecast(result: Mapping[str, Any]) -> Answer:
    cached = ", the frozen layers computed once" if result["caches"] else ""
    text = [
        f"About {_duration(result['seconds'])}: {result['epoch_seconds']:.1f} s an epoch{cached}, "
        f"{result['n_train']:,} images to train on and {result['n_validation']:,} to validate on, "
        f"{result['disk_bytes'] / 1e6:,.0f} MB of disk, on {result['device']}.",
        *result["notes"],
    ]
    return Answer(result, "\n".join(text))


def _check(asked: Namespace) -> None:
    """What is wrong with the options, before a workspace is looked for."""
    Recipe(**{name: getattr(asked, name) for name in asdict(PAPER) if name != "backbone"})
    if asked.per_class and len(asked.per_class) != len(asked.classes):
        raise ValueError(
            f"--per-class needs a number for each of --classes, got {len(asked.per_class)} for "
            f"{len(asked.classes)}"
        )
    if asked.start_from and asked.weights:
        raise ValueError("--start-from and --weights exclude one another")


def _same_backbone(asked: Namespace, earlier: Model) -> str:
    if asked.backbone not in (None, earlier.backbone):
        raise ValueError(f"{earlier.id} is no {asked.backbone}")
    return earlier.backbone


def _newest_anomalies(workspace: Workspace) -> str:
    """The newest search for anomalies in the newest features that no model of ours has made."""
    from core.state import runs

    embeddings = [
        run
        for run in runs.list_runs(workspace, "embedding")
        if run.result["weights"]["source"] != "model"
    ]
    if not embeddings:
        raise OperatorError(
            "There are no features to look for anomalies in.",
            next_step="Run `python -m core embed`, then `python -m core anomalies`.",
        )
    found = runs.list_runs(workspace, "anomalies", parent_id=embeddings[0].id)
    if not found:
        raise OperatorError(
            f"Nothing has looked for anomalies in {embeddings[0].id} yet.",
            next_step="Run `python -m core anomalies` first.",
        )
    return found[0].id


def as_share(value: float | None) -> str:
    """A share in per cent."""
    return "nothing" if value is None else f"{value:.1%}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _augmentations(text: str) -> tuple[str, ...]:
    if text == _NO_AUGMENTATION:
        return ()
    found = names(text)
    for name in found:
        if name not in AUGMENTATIONS:
            known = ", ".join([*AUGMENTATIONS, _NO_AUGMENTATION])
            raise ArgumentTypeError(f"must be among {known}, got {name!r}")
    return found


def _counts(text: str) -> tuple[int, ...]:
    read = whole_number(1)
    return tuple(read(part) for part in text.split(","))
