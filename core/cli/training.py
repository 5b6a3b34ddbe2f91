"""Classifiers: `finetune` trains one, `model` looks after those that there are."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_device
from core.cli.parser import (
    Commands,
    Handler,
    Parser,
    a_path,
    add_command,
    whole_number,
    wrong_usage,
)
from core.cli.session import Answer, Session, table
from core.errors import OperatorError
from core.jobs.configs import ExportModel, FineTune, ForecastTraining, ImportModel
from core.latent.backbones import BACKBONES
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
    _add_model_commands(commands)


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
            help=f"default: {PAPER.backbone}, or that of --start-from",
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
    from core.state import models

    with wrong_usage():
        _check(asked)
    workspace = session.open()
    values = recipe_values(workspace, asked)
    if asked.start_from:
        earlier = models.get_model(workspace, asked.start_from)
        with wrong_usage():
            values |= {"start_from": earlier.id, "backbone": _same_backbone(asked, earlier)}
    if asked.forecast:
        return _forecast(session.do(workspace, ForecastTraining(**values)))
    result = session.do(workspace, FineTune(**values, notes=asked.notes))
    right = (
        f"{_share(result['val_accuracy'])} of {result['n_validation']:,} validation images right"
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


def _add_model_commands(commands: Commands) -> None:
    group = add_command(commands, "model", None, summary="look after the models that were trained")
    verbs = group.add_subparsers(metavar="VERB", required=True)
    handlers: Mapping[str, tuple[Handler, str]] = {
        "list": (list_models, "list the models, newest first"),
        "show": (show_model, "all that is known of one model"),
        "promote": (promote_model, "put a model to work"),
        "rollback": (roll_back, "put the model to work again that was before"),
        "note": (note_model, "write down what to remember of a model"),
        "delete": (delete_model, "delete a model's files; never the promoted one's"),
        "export": (export_model, "write a model out, checked against torch"),
        "import": (import_model, "take in a classifier that was trained elsewhere"),
        "compare": (compare_models, "two models line by line"),
    }
    parsers = {
        verb: add_command(verbs, verb, run, summary=summary)
        for verb, (run, summary) in handlers.items()
    }
    for verb in ("show", "promote", "note", "delete", "export"):
        parsers[verb].add_argument("model", metavar="MODEL", help="id, number, newest or promoted")
    parsers["compare"].add_argument("models", metavar="MODEL", nargs=2)
    parsers["list"].add_argument(
        "--deleted", action="store_true", help="those too that were deleted"
    )
    for verb in ("promote", "rollback"):
        parsers[verb].add_argument("--reason", default="", metavar="TEXT", help="why")
    parsers["note"].add_argument("text", metavar="TEXT")
    parsers["export"].add_argument(
        "--format", choices=("onnx",), default="onnx", help="default: onnx"
    )
    parsers["export"].add_argument(
        "--to",
        type=a_path,
        metavar="FILE",
        help="where to (default: the workspace's folder exports)",
    )
    _add_import(parsers["import"])


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FILE", type=a_path, help="its state dict, head included")
    parser.add_argument("--backbone", choices=BACKBONES, required=True)
    parser.add_argument(
        "--classes",
        type=names,
        required=True,
        metavar="NAME,…",
        help="of its head, in the order of its rows",
    )
    parser.add_argument("--notes", default="", metavar="TEXT", help="what to remember of it")


def list_models(session: Session, asked: Namespace) -> Answer:
    """Models, newest first."""
    from core.analysis.models import mode_title
    from core.state import models

    workspace = session.open()
    found = models.list_models(workspace, with_deleted=asked.deleted)
    promoted = models.promoted(workspace)
    rows = [
        (
            model.id,
            "promoted" if promoted and model.id == promoted.id else "",
            mode_title(model.mode),
            _percent(model),
            model.created_at[:19],
            model.actor,
            model.start_from,
            "deleted" if model.deleted_at else model.notes.partition("\n")[0][:40],
        )
        for model in found
    ]
    heading = ("model", "", "trained", "accuracy", "made (UTC)", "by", "from", "notes")
    text = table([heading, *rows]) if rows else "No models yet."
    data = {
        "models": [asdict(model) for model in found],
        "promoted": promoted.id if promoted else None,
    }
    return Answer(data, text)


def show_model(session: Session, asked: Namespace) -> Answer:
    """One model with its lineage and promotions."""
    from core.analysis.models import lineage, origin, outcome, recipe_facts
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    ancestors = [each.id for each in lineage(workspace, model)[:-1]]
    promoted = models.promoted(workspace)
    promotions = [
        asdict(each) for each in models.list_promotions(workspace) if each.model_id == model.id
    ]
    is_promoted = promoted is not None and promoted.id == model.id
    data = {
        **asdict(model),
        "is_promoted": is_promoted,
        "lineage": ancestors,
        "descendants": [each.id for each in models.descendants(workspace, model.id)],
        "promotions": promotions,
        "weights_path": str(models.weights_path(workspace, model.id)),
    }
    facts = [*outcome(model), *recipe_facts(model), *origin(model)]
    lines = [
        f"{model.id}{', promoted' if is_promoted else ''}: {', '.join(model.classes)}",
        table(
            [("made", f"{model.created_at[:19]} by {model.actor}")]
            + ([("descends from", " → ".join(ancestors))] if ancestors else [])
            + [(fact.what, fact.value) for fact in facts]
        ),
        model.notes,
    ]
    return Answer(data, "\n".join(filter(None, lines)))


def promote_model(session: Session, asked: Namespace) -> Answer:
    """Put a model to work."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    done = models.promote(workspace, model.id, actor=session.actor, reason=asked.reason)
    return Answer(asdict(done), f"{model.id} is promoted.")


def roll_back(session: Session, asked: Namespace) -> Answer:
    """Go back to the model before."""
    from core.state import models

    done = models.roll_back(session.open(), actor=session.actor, reason=asked.reason)
    return Answer(asdict(done), f"{done.model_id} is promoted again.")


def note_model(session: Session, asked: Namespace) -> Answer:
    """Write notes; they take the place of what was there."""
    from core.state import models

    model = models.set_notes(session.open(), asked.model, asked.text)
    return Answer({"model": model.id, "notes": model.notes}, f"Noted of {model.id}.")


def delete_model(session: Session, asked: Namespace) -> Answer:
    """Delete a model."""
    from core.state import models

    model = models.delete_model(session.open(), asked.model, actor=session.actor)
    return Answer({"deleted": model.id}, f"{model.id} is deleted.")


def export_model(session: Session, asked: Namespace) -> Answer:
    """Write a model out."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    target = str(asked.to) if asked.to else ""
    result = session.do(workspace, ExportModel(model.id, target=target))
    written = result.get("file") or workspace.folder("exports") / result["archive"]
    return Answer(result, f"{model.id} is written to {written}.")


def import_model(session: Session, asked: Namespace) -> Answer:
    """Take a model in."""
    config = ImportModel(str(asked.path), asked.backbone, asked.classes, notes=asked.notes)
    result = session.do(session.open(), config)
    return Answer(result, f"{result['model']} is in the registry: {', '.join(asked.classes)}.")


def compare_models(session: Session, asked: Namespace) -> Answer:
    """Two models line by line."""
    from core.analysis import models as reading
    from core.state import models

    workspace = session.open()
    first, second = (models.get_model(workspace, name) for name in asked.models)
    lines = reading.compare_models(first, second)
    rows = [("" if line.is_same else "≠", line.what, line.first, line.second) for line in lines]
    data = {
        "models": [first.id, second.id],
        "val_accuracy": [each.result.get("val_accuracy") for each in (first, second)],
        "lines": [{**asdict(line), "is_same": line.is_same} for line in lines],
    }
    return Answer(data, table([("", "", first.id, second.id), *rows]))


def _percent(model: Model) -> str:
    n = model.result.get("n_validation")
    return f"{_share(model.result['val_accuracy'])} of {n:,}" if n else ""


def _share(value: float | None) -> str:
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
