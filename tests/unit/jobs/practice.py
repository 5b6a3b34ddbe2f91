"""Kinds of job that exist in tests only: steps that wait, fail, hang and die as they are told."""

import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import OperatorError
from core.jobs.configs import JobConfig
from core.jobs.context import JobContext

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Practice(JobConfig):
    """`do` names the function below; `file` is what it waits for or writes to."""

    kind = "practice"
    title = "Practice"

    do: str
    file: str = ""


@dataclass(frozen=True)
class PracticeNow(Practice):
    """The same on the other lane."""

    kind = "practice_now"
    lane = "interactive"


STEPS: dict[type[JobConfig], str] = {
    Practice: "tests.unit.jobs.practice:run",
    PracticeNow: "tests.unit.jobs.practice:run",
}


def run(context: JobContext, config: Practice) -> Mapping[str, Any]:
    return globals()[config.do](context, Path(config.file))


def count(context: JobContext, _: Path) -> Mapping[str, Any]:
    for number in range(4):
        context.report(number / 4, f"number {number}")
    log.info("counted to four")
    return {"counted": 4}


def refuse(context: JobContext, _: Path) -> Mapping[str, Any]:
    raise OperatorError("The camera is off.", "No answer on port 5.", "Switch it on.")


def stumble(context: JobContext, _: Path) -> Mapping[str, Any]:
    context.report(0.5, "half way")
    return context.job.config["a missing key"]


def return_what_is_no_json(context: JobContext, _: Path) -> Mapping[str, Any]:
    return {"value": object()}


def meet(context: JobContext, file: Path) -> Mapping[str, Any]:
    """Ends only when a job of the other lane is at work at the same time."""
    file.with_suffix(f".{context.job.lane}").touch()
    other = "batch" if context.job.lane == "interactive" else "interactive"
    while not file.with_suffix(f".{other}").exists():
        context.report(0.5, "waiting for the other lane")
        time.sleep(0.02)
    return {}


def wait(context: JobContext, _: Path) -> Mapping[str, Any]:
    while True:
        context.report(0.3, "waiting")
        time.sleep(0.02)


def hear_nothing(context: JobContext, _: Path) -> Mapping[str, Any]:
    context.report(0.3, "deaf")
    time.sleep(600)
    return {}


def go_on(context: JobContext, _: Path) -> Mapping[str, Any]:
    """Hangs at its first attempt, and ends at the next from where that one was."""
    checkpoint = context.folder / "checkpoint"
    if not checkpoint.exists():
        checkpoint.write_text("half")
        wait(context, checkpoint)
    return {"resumed_from": checkpoint.read_text()}


def die_unless_cured(context: JobContext, file: Path) -> Mapping[str, Any]:
    if not file.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def write_down(context: JobContext, file: Path) -> Mapping[str, Any]:
    """Says in a file when it begins and ends: jobs of one lane must not overlap."""
    for word in ("begins", "ends"):
        with file.open("a") as lines:
            lines.write(f"{context.job.id} {word}\n")
        time.sleep(0.01)
    return {}
