"""Models at work: `compare` backbones under one recipe, `predict` image files."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from core.cli.choosing import add_device, add_model
from core.cli.parser import Commands, add_command, wrong_usage
from core.cli.session import Answer, Session, table
from core.cli.training import add_recipe, names, recipe_values
from core.jobs.configs import CompareBackbones, Predict
from core.latent.backbones import BACKBONES, get_backbone
from core.learning.recipe import PAPERS_BACKBONES


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    compare = add_command(
        commands, "compare", compare_backbones, summary="train several networks by one recipe"
    )
    compare.add_argument(
        "--backbones",
        type=names,
        default=PAPERS_BACKBONES,
        metavar="A,B,C",
        help=f"of {', '.join(BACKBONES)} (default: the paper's, {','.join(PAPERS_BACKBONES)})",
    )
    add_recipe(compare, with_backbone=False)

    predict = add_command(
        commands, "predict", predict_images, summary="say what a model makes of image files"
    )
    predict.add_argument("paths", nargs="+", metavar="PATH", help="image files, or folders of them")
    add_model(predict, default="promoted")
    add_device(predict)


def compare_backbones(session: Session, asked: Namespace) -> Answer:
    """Table 2: a row a network."""
    with wrong_usage():
        for name in asked.backbones:
            get_backbone(name)
    workspace = session.open()
    config = CompareBackbones(backbones=asked.backbones, **recipe_values(workspace, asked))
    result = session.do(workspace, config)
    heading = ("network", "model", "accuracy", "95%", "epoch", "parameters", "silhouette", "from")
    rows = [_row(row) for row in result["rows"]]
    notices = dict.fromkeys(row["notice"] for row in result["rows"] if row["notice"])
    n = f"Accuracy is of {result['n_validation']:,} validation images."
    return Answer(result, "\n".join([table([heading, *rows]), n, *notices]))


def predict_images(session: Session, asked: Namespace) -> Answer:
    """A row an image."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    paths = tuple(str(Path(path).expanduser().resolve()) for path in asked.paths)
    result = session.do(workspace, Predict(model.id, paths, device=asked.device))
    rows = [
        (each["path"], each["label"], f"{each['confidence']:.3f}", each["route"], _nearest(each))
        for each in result["predictions"]
    ]
    lines = [table([("image", "label", "confidence", "route", "nearest"), *rows])]
    lines += [f"{each['path']}: {each['reason']}" for each in result["rejected"]]
    return Answer(result, "\n".join(lines))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    interval = row["accuracy_interval"]
    is_known = row["accuracy"] is not None
    return (
        row["title"],
        row["model"],
        f"{row['accuracy']:.1%}" if is_known else "not defined",
        f"{interval['low']:.1%} to {interval['high']:.1%}" if is_known else "",
        f"{row['epoch_seconds']:.2f} s",
        f"{row['n_parameters']:,}",
        "" if row["silhouette"] is None else f"{row['silhouette']:.3f}",
        row["weights"],
    )


def _nearest(prediction: dict[str, Any]) -> str:
    found = prediction["nearest"][:1]
    return "".join(f"{each['name']} ({each['label'] or 'no label'})" for each in found)
