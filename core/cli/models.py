"""The registry of models: `model` lists, compares, promotes, exports and deletes them."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.cli.choosing import add_device
from core.cli.parser import Commands, Handler, a_path, add_command
from core.cli.session import Answer, Session, table
from core.cli.training import as_share, names
from core.jobs.configs import CompareModels, ExportModel, ImportModel
from core.latent.backbones import BACKBONES

if TYPE_CHECKING:
    from core.jobs.promotion import Promoted
    from core.state.models import Model


def add_commands(commands: Commands) -> None:
    """Add these commands."""
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
        "compare-on-test": (
            compare_on_test,
            "two models on the same test images: better, worse, or no difference shown",
        ),
    }
    parsers = {
        verb: add_command(verbs, verb, run, summary=summary)
        for verb, (run, summary) in handlers.items()
    }
    for verb in ("show", "promote", "note", "delete", "export"):
        parsers[verb].add_argument("model", metavar="MODEL", help="id, number, newest or promoted")
    parsers["compare"].add_argument("models", metavar="MODEL", nargs=2)
    for name in ("old", "new"):
        parsers["compare-on-test"].add_argument(name, metavar=name.upper(), help="a model")
    add_device(parsers["compare-on-test"])
    parsers["promote"].add_argument(
        "--overrule",
        metavar="REASON",
        help="although it is worse than the model at work beyond chance, or cannot be compared "
        "with it; some words that say why",
    )
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
    """Put a model to work, once it has been compared with the one that is."""
    from core.jobs import promotion
    from core.state import model_comparisons, models

    workspace = session.open()
    model, at_work = models.get_model(workspace, asked.model), models.promoted(workspace)
    is_new = at_work is not None and at_work.id != model.id
    if at_work is not None and is_new and asked.overrule is None:
        _, is_measured = model_comparisons.standing(workspace, at_work, model)
        if not is_measured:
            session.do(workspace, CompareModels(at_work.id, model.id))
    done = promotion.promote(
        workspace,
        model.id,
        actor=session.actor,
        reason=asked.reason if asked.overrule is None else asked.overrule,
        overrule=asked.overrule is not None,
    )
    return _promoted(done, f"{model.id} is promoted.")


def roll_back(session: Session, asked: Namespace) -> Answer:
    """Go back to the model before."""
    from core.jobs import promotion

    done = promotion.roll_back(session.open(), actor=session.actor, reason=asked.reason)
    return _promoted(done, f"{done.promotion.model_id} is promoted again.")


def _promoted(done: Promoted, text: str) -> Answer:
    job = done.recalibration
    if job is not None:
        text += f" Job {job.id} plans the triage with it, under the promise that stands."
    return Answer({**asdict(done.promotion), "recalibration": job.id if job else None}, text)


def compare_on_test(session: Session, asked: Namespace) -> Answer:
    """Two models on the same test images."""
    from core.state import models

    workspace = session.open()
    old, new = (models.get_model(workspace, name) for name in (asked.old, asked.new))
    result = session.do(workspace, CompareModels(old.id, new.id, device=asked.device))
    both, difference = result["both"], result["both"]["difference"]
    rows = [
        (
            each["name"],
            each["n"],
            as_share(each["old_recall"]["value"]),
            as_share(each["new_recall"]["value"]),
            f"+{each['n_gained']} -{each['n_lost']}",
        )
        for each in result["classes"]
    ]
    headline = f"{new.id} against {old.id}: {result['verdict']}"
    if difference["value"] is not None:
        headline += (
            f"; {100 * difference['value']:+.1f} points of accuracy "
            f"({100 * difference['low']:+.1f} to {100 * difference['high']:+.1f}) on "
            f"{both['n']:,} test images of classes that both know"
        )
    heading = ("class", "images", old.id, new.id, "won, lost")
    return Answer(result, "\n".join([f"{headline}.", table([heading, *rows]), *result["notes"]]))


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
    return f"{as_share(model.result['val_accuracy'])} of {n:,}" if n else ""
