"""What models are worth and what they look at: `evaluate`, `explain`."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_device, add_model
from core.cli.parser import Commands, a_path, add_command, whole_number
from core.cli.session import Answer, Session, table
from core.errors import OperatorError
from core.jobs.configs import EvaluateModel, ExplainImage

if TYPE_CHECKING:
    from core.state.workspace import Workspace


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    evaluate = add_command(
        commands, "evaluate", evaluate_model, summary="measure what a model gets right, and more"
    )
    add_model(evaluate)
    add_device(evaluate)
    evaluate.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    explain = add_command(
        commands, "explain", explain_image, summary="draw where in an image a model looks"
    )
    explain.add_argument(
        "image", metavar="IMAGE", help="its number, or its name where only one has it"
    )
    add_model(explain)
    explain.add_argument("--label", default="", help="the class to explain (default: the given)")
    explain.add_argument(
        "--out", type=a_path, metavar="FILE", help="a PNG to write (default: kept in the workspace)"
    )


def evaluate_model(session: Session, asked: Namespace) -> Answer:
    """Evaluate one model."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    config = EvaluateModel(model.id, device=asked.device, seed=asked.seed)
    result = session.do(workspace, config)
    rows = [
        ("", "accuracy", "balanced", "calibration error", "images"),
        *[_row(role, each) for role, each in result["by_role"].items() if _n_images(each)],
    ]
    lines = [f"{result['run']}: {model.id}", table(rows), _rule_in_words(result["clustering"])]
    return Answer(result, "\n".join([*filter(None, lines), *result["notes"]]))


def explain_image(session: Session, asked: Namespace) -> Answer:
    """Draw the heat map of one image."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    config = ExplainImage(model.id, _image_id(workspace, asked.image), asked.label)
    result = dict(session.do(workspace, config))
    kept = workspace.path / result["file"]
    if asked.out:
        try:
            shutil.copyfile(kept, asked.out)
        except OSError as error:
            raise OperatorError(
                f"{asked.out} cannot be written.",
                str(error.strerror or error),
                "Choose another place.",
            ) from error
    result["file"] = str(asked.out or kept)
    return Answer(result, f"{result['file']}: where {model.id} sees {result['label']}.")


def _image_id(workspace: Workspace, named: str) -> int:
    from core.state import catalog

    if named.isascii() and named.isdigit():
        return int(named[:9])
    found = [image.id for image in catalog.list_images(workspace) if image.name == named]
    if len(found) != 1:
        raise OperatorError(
            f"{'No' if not found else 'More than one'} image is called {named!r}.",
            next_step="Give its number.",
        )
    return found[0]


def _n_images(measured: Mapping[str, Any]) -> int:
    n_images: int = measured["evaluation"]["n_images"]
    return n_images


def _row(role: str, measured: Mapping[str, Any]) -> tuple[str, ...]:
    evaluation, calibration = measured["evaluation"], measured["calibration"]
    before, after = (
        _decimals(calibration[when]["expected_calibration_error"]) for when in ("before", "after")
    )
    return (
        role,
        _share(evaluation["accuracy"]),
        _share(evaluation["balanced_accuracy"]),
        f"{after} (before temperature {before})",
        f"{evaluation['n_images']:,}",
    )


def _share(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "not defined"
    low, high = 100 * estimate["low"], 100 * estimate["high"]
    return f"{100 * estimate['value']:.1f}% ({low:.1f} to {high:.1f}, n = {estimate['n']:,})"


def _decimals(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _rule_in_words(rule: Mapping[str, Any]) -> str:
    if rule["why"]:
        return f"No mixed cluster: {rule['why']}"
    return "\n".join(
        f"{role}: {_share(each['operator_share'])} to the operator, wrong among the rest "
        f"{_share(each['auto_error'])}, ARI {_decimals(each['adjusted_rand_index'])}"
        for role, each in rule["by_role"].items()
    )
