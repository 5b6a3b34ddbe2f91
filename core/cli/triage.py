"""Who labels what: `triage plan`."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any

from core.cli.choosing import add_device, add_model
from core.cli.parser import Commands, add_command, whole_number
from core.cli.session import Answer, Session
from core.jobs.configs import TRIAGE_IMAGES, TRIAGE_RULES, PlanTriage


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    group = add_command(
        commands, "triage", None, summary="decide which images the model labels, and which people"
    )
    verbs = group.add_subparsers(metavar="VERB", required=True)
    plan = add_command(verbs, "plan", plan_triage, summary="say who would label what, at what risk")
    add_model(plan, default="promoted")
    plan.add_argument(
        "--rule",
        choices=TRIAGE_RULES,
        default="risk",
        help="risk: thresholds that keep a promise; cluster: the paper's mixed cluster "
        "(default: risk)",
    )
    plan.add_argument(
        "--max-error",
        type=_share,
        default=0.05,
        metavar="X",
        help="tolerated share of wrong automatic labels, in (0, 1) (default: 0.05)",
    )
    plan.add_argument(
        "--delta",
        type=_share,
        default=0.05,
        metavar="X",
        help="chance that the promise fails, in (0, 1) (default: 0.05)",
    )
    plan.add_argument(
        "--of",
        choices=TRIAGE_IMAGES,
        default="unlabelled",
        help="the images without a label, or those of the split test as if they had none "
        "(default: unlabelled)",
    )
    add_device(plan)
    plan.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")


def plan_triage(session: Session, asked: Namespace) -> Answer:
    """Plan a triage; nothing is changed."""
    from core.state import models

    workspace = session.open()
    model = models.get_model(workspace, asked.model)
    config = PlanTriage(
        model.id,
        rule=asked.rule,
        max_error=asked.max_error,
        delta=asked.delta,
        of=asked.of,
        device=asked.device,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    return Answer(result, "\n".join(_lines(result)))


def _lines(plan: Mapping[str, Any]) -> list[str]:
    n = plan["n_auto"] + plan["n_queue"]
    lines = [
        f"{plan['run']}: of {n:,} images {plan['model']} would label {plan['n_auto']:,} "
        f"({plan['auto_share']:.1%}); {plan['n_queue']:,} go to people."
    ]
    promised = f"at most {plan['max_error']:.1%} wrong, but for a chance of {plan['delta']:.1%}"
    if plan["rule"] == "cluster":
        lines.append("The paper's rule promises no error.")
    elif plan["feasible"]:
        lines.append(
            f"Promised: {promised}, for images like the {plan['n_calibration']:,} calibration "
            f"images; of these it accepts {plan['n_accepted']:,}, {plan['n_wrong']:,} wrongly."
        )
    else:
        needed = plan["n_needed"]
        lines.append(
            f"Nothing can be promised ({promised}) from {plan['n_calibration']:,} calibration "
            + (f"images; about {needed:,} like these would do." if needed else "images.")
        )
    if (error := plan.get("auto_error")) and error["value"] is not None:
        lines.append(
            f"By the labels of the test images {error['value']:.1%} of the automatic ones are "
            f"wrong ({error['low']:.1%} to {error['high']:.1%}, n = {error['n']:,})."
        )
    return lines


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 < value < 1:
        raise ArgumentTypeError(f"must lie in (0, 1), got {text}")
    return value
