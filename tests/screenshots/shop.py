"""The workspace that the pictures show: the demo, and what a week of work leaves behind.

It is made once; what was left half done is made anew.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from core.images.synthetic import DatasetPlan, plan_line_images, write_plan
from core.images.synthetic.dataset import ANNOTATIONS
from core.jobs.configs import CompareMaps
from core.settings import PROJECT_ROOT
from core.state.workspace import open_workspace
from tests.samples import do

PERSON = "Ada"  # who has done it all, but for what Grace judges
_N_OF_CAMERA = 48  # so many images come in by the inbox
_SEED_OF_CAMERA = 7  # other images than the demo's
_DEFINITIONS = {
    "dirt": "A speck or fibre under the clear coat; it casts a shadow when lit from the side.",
    "drop": "A run or sag of paint with a rounded lower edge, longer than it is wide.",
    "scratch": "A thin bright line through the clear coat, straight or slightly curved.",
    "watermark": "A pale ring or patch left by dried water; nothing can be felt.",
}
_PEOPLE = {PERSON: 9, "Grace": 5}  # how many images each judges in the queue


def make(home: Path) -> Path:
    """Make the workspace in this folder of workspaces where it is missing; the folder."""
    finished = home / ".pictured"
    if finished.exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    demo = _command(home, "demo")
    recipe = ("--backbone", demo["backbone"], "--mode", "head", "--epochs", "30")
    _command(home, "finetune", *recipe, "--notes", "The head alone, for comparison")
    for name, definition in _DEFINITIONS.items():
        _command(home, "types", "define", name, "--definition", definition)
    _let_arrive(home, home / "camera-1")
    for person, n_images in _PEOPLE.items():
        _judge(home, person, n_images)
    _measure_again(home, demo)
    finished.touch()
    return home


def _measure_again(home: Path, demo: Mapping[str, str]) -> None:
    """Compute anew what holds no longer now that images have come and labels have changed."""
    _command(home, "embed", "--backbone", demo["backbone"])
    _command(home, "evaluate", "--model", demo["model"])
    done = do(
        open_workspace(home / "demo"), CompareMaps(demo["model"], method="pacmap"), actor=PERSON
    )
    if done.status != "succeeded":
        raise RuntimeError(f"The maps were not drawn: {done.error}")
    _command(home, "cluster", "--k", "5")  # one more than there are classes, as in the paper
    _command(home, "analyse")
    _command(home, "types", "strange")


def _let_arrive(home: Path, camera: Path) -> None:
    """Write images into a camera's folder and take them in."""
    plan = plan_line_images(2 * _N_OF_CAMERA, seed=_SEED_OF_CAMERA)
    of_camera = DatasetPlan(plan.seed, tuple(image for image in plan if image.split is None))
    write_plan(of_camera, camera)
    (camera / ANNOTATIONS).unlink()  # which no camera writes
    _command(home, "watch", str(camera), "--once")


def _judge(home: Path, person: str, n_images: int) -> None:
    """Let somebody take the model's word for some images, as people mostly do."""
    waiting = _command(home, "triage", "next", "-n", str(n_images), person=person)
    for item in waiting["items"]:
        label = item["suggested"] or "multiple"
        _command(home, "triage", "decide", str(item["image"]), label, person=person)


def _command(home: Path, *words: str, person: str = PERSON) -> dict:
    """What a command of the command line answers, given in somebody's name.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "core", *words, "--as", person, "--json"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "LACQUER_HOME": str(home), "LACQUER_WORKSPACE": str(home / "demo")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"`python -m core {' '.join(words)}` failed, as it says above.")
    return json.loads(done.stdout)
