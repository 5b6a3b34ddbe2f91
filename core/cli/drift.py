"""`drift`: do new images still look like the calibration images?"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.cli.parser import Commands, add_command, whole_number
from core.cli.session import Answer, Session
from core.errors import OperatorError
from core.triage.drift import MIN_WINDOW, WINDOW
from core.triage.drift_wording import next_steps, verdict

if TYPE_CHECKING:
    import numpy as np

    from core.state.workspace import Workspace


def add_commands(commands: Commands) -> None:
    """Add this command."""
    command = add_command(
        commands, "drift", look_for_drift, summary="compare new images with the calibration images"
    )
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--since",
        type=whole_number(1),
        metavar="ARRIVAL",
        help="images of the inbox from this arrival on (default: the newest import)",
    )
    which.add_argument(
        "--import",
        dest="import_id",
        type=whole_number(1),
        metavar="ID",
        help="images of this import (default: the newest)",
    )
    command.add_argument(
        "--window",
        type=whole_number(MIN_WINDOW),
        default=WINDOW,
        metavar="N",
        help=f"images that are compared at once (default: {WINDOW})",
    )


def look_for_drift(session: Session, asked: Namespace) -> Answer:
    """Compare images window by window; nothing is recorded, and nothing is paused."""
    from core.jobs.steps.watch_drift import compare_images

    workspace = session.open()
    looked = compare_images(workspace, _ids(workspace, asked), window=asked.window)
    alarms = [each for each in looked if each.found.is_alarm]
    told = (alarms or looked)[-1].found
    data = {
        "is_alarm": bool(alarms),
        "n_windows": len(looked),
        "n_alarms": len(alarms),
        "verdict": verdict(told),
        "next_steps": list(next_steps(told)),
        "windows": [
            {"first": each.first, "last": each.last, **asdict(each.found)} for each in looked
        ],
    }
    lines = [
        f"{len(looked):,} windows of images, {len(alarms):,} with an alarm.",
        verdict(told),
        *(f"- {step}" for step in next_steps(told)),
    ]
    return Answer(data, "\n".join(lines), is_well=not alarms)


def _ids(workspace: Workspace, asked: Namespace) -> np.ndarray:
    import numpy as np

    from core.state import drift, intake

    if asked.since is not None:
        taken = drift.images_taken(workspace, first=asked.since)
        return np.array([each.image_id for each in taken], np.int64)
    done = intake.list_imports(workspace)
    number = asked.import_id or max((each.id for each in done), default=0)
    if number not in {each.id for each in done}:
        raise OperatorError(
            f"There is no import {number}." if number else "Nothing has been imported yet.",
            next_step="Import images on the page Dataset.",
        )
    return drift.images_of_import(workspace, number)
