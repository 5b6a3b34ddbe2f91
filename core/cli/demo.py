"""`demo`: synthetic paint defects, from images to a fine-tuned model, in one go."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.cli.parser import Commands, add_command, whole_number
from core.cli.session import Answer, Session
from core.cli.workspaces import delete
from core.errors import OperatorError
from core.jobs.configs import (
    ClusterImages,
    CompareMaps,
    EmbedImages,
    EvaluateModel,
    FineTune,
    GenerateImages,
    JobConfig,
    ProjectEmbedding,
    from_json,
)
from core.latent.backbones import BACKBONES

if TYPE_CHECKING:
    from core.state.workspace import Workspace

_N_CLUSTERS = 4  # as in the paper, whose images have four classes
_MAP = "pacmap"  # the plane of the paper's k-means; a third of the time that UMAP takes
_SMALLEST = "mobilenet_v2"
_EPOCHS = 10  # of the last block alone: half a minute, where the paper's 100 of all take an hour


def add_commands(commands: Commands) -> None:
    """Add this command."""
    demo = add_command(
        commands, "demo", make_demo, summary="make a workspace of synthetic paint defects"
    )
    demo.description = (
        "Make a workspace of synthetic paint defects: generated, embedded, laid out by PaCMAP "
        "and grouped by k-means with k = 4, as in the paper; then the last block is fine-tuned "
        f"for {_EPOCHS} epochs, the model evaluated, and its map laid over the one before. What "
        "is done already is not done again. The workspace is `demo` in LACQUER_HOME unless "
        "--workspace says otherwise."
    )
    demo.add_argument("--seed", type=whole_number(0), default=0, help="of the images (default: 0)")
    demo.add_argument(
        "--n",
        type=whole_number(1),
        default=344,
        help="how many images (default: 344, as in the paper)",
    )
    demo.add_argument(
        "--backbone",
        choices=BACKBONES,
        help="default: the paper's resnet50 where its weights are on this machine, else another "
        "whose weights are, else mobilenet_v2: a small download, and without a network random "
        "features in a fifth of resnet50's time",
    )
    demo.add_argument(
        "--reset", action="store_true", help="delete the demo's workspace first and make it anew"
    )


def make_demo(session: Session, asked: Namespace) -> Answer:
    """Make the demo, or see that it is made."""
    began = time.perf_counter()
    session = replace(session, folder=session.folder or session.settings.home / "demo")
    workspace = _open(session, asked)
    steps = _Steps(session, workspace)
    steps.do(GenerateImages(n_images=asked.n, seed=asked.seed))
    backbone = asked.backbone or steps.earlier_backbone() or _usual_backbone(session, workspace)
    embedded = steps.do(EmbedImages(backbone=backbone))
    projected = steps.do(ProjectEmbedding(embedding=embedded["run"], method=_MAP))
    clustered = steps.do(
        ClusterImages(run=embedded["run"], parameters=(("n_clusters", _N_CLUSTERS),))
    )
    tuned, line = _tune(workspace, steps, backbone)
    data = {
        "workspace": str(workspace.path),
        "n_images": embedded["n_images"],
        "seconds": round(time.perf_counter() - began, 2),
        "steps": steps.done,
        "backbone": backbone,
        "weights": embedded["weights"],
        "embedding": embedded["run"],
        "projection": projected["run"],
        "trustworthiness": projected["trustworthiness"],
        "clustering": clustered["run"],
        "ari": clustered["ari"],
        **tuned,
    }
    lines = [
        f"{data['n_images']:,} images in {workspace.path}, {data['seconds']:.0f} s.",
        line,
        *filter(None, [embedded["weights"]["notice"]]),
        "Look at them with `streamlit run app.py`.",
    ]
    return Answer(data, "\n".join(lines))


def _tune(workspace: Workspace, steps: _Steps, backbone: str) -> tuple[Mapping[str, Any], str]:
    """Fine-tune and evaluate: what came out, and a line about it; few images train nothing."""
    from core.jobs.training_set import choose_training_set, find_problems

    config = FineTune(backbone=backbone, mode="last_block", epochs=_EPOCHS)
    problems = find_problems(workspace, config, choose_training_set(workspace, config))
    if problems and problems[0].is_blocking:
        return {"model": None}, f"No model was trained. {problems[0].title}"
    trained = steps.do(config)
    measured = steps.do(EvaluateModel(trained["model"]))
    steps.do(CompareMaps(trained["model"], method=_MAP))
    found = {
        "model": trained["model"],
        "val_accuracy": trained["val_accuracy"],
        "ari_tuned": measured["ari"],
        "mixed_cluster_share": measured["mixed_cluster_share"],
    }
    n = trained["n_validation"]
    return found, f"{trained['model']} gets {trained['val_accuracy']:.0%} of {n} images right."


def _open(session: Session, asked: Namespace) -> Workspace:
    """The demo's workspace, empty or holding the very images that are asked for."""
    from core.state import catalog, job_rows
    from core.state.catalog import ImageFilter
    from core.vocabulary import SYNTHETIC

    workspace = session.open(create=True)
    n_synthetic = catalog.count_images(workspace, ImageFilter(attributes=(SYNTHETIC,)))
    if catalog.count_images(workspace) > n_synthetic:  # never deleted, never mixed
        raise OperatorError(
            f"{workspace.path} holds real images.",
            next_step="Give the demo a workspace of its own.",
        )
    if asked.reset:
        delete(workspace)
        return session.open(create=True)
    for job in job_rows.list_jobs(workspace):
        if job.kind == GenerateImages.kind and (job.config["n_images"], job.config["seed"]) != (
            asked.n,
            asked.seed,
        ):
            raise OperatorError(
                f"{workspace.path} holds {job.config['n_images']} images of seed "
                f"{job.config['seed']}.",
                next_step="Ask for these, add --reset to make others, or name another --workspace.",
            )
    return workspace


def _usual_backbone(session: Session, workspace: Workspace) -> str:
    from core.doctor import find_weights

    for name in BACKBONES:  # the paper's first
        if find_weights(workspace, session.settings, name) != "random":
            return name
    return _SMALLEST


class _Steps:
    """The steps of the demo, each done once however often the demo is asked for."""

    def __init__(self, session: Session, workspace: Workspace) -> None:
        self._session = session
        self._workspace = workspace
        self.done: list[Mapping[str, Any]] = []

    def do(self, config: JobConfig) -> Mapping[str, Any]:
        """The result of a job, of an earlier one where it is still there."""
        began = time.perf_counter()
        earlier = self._earlier(config)
        if earlier:
            sys.stderr.write(f"{config.title}: done before\n")
        result = earlier or self._session.do(self._workspace, config)
        seconds = round(time.perf_counter() - began, 2)
        self.done.append({"step": config.kind, "seconds": seconds, "done_before": bool(earlier)})
        return result

    def earlier_backbone(self) -> str | None:
        """The backbone of the newest embedding that is there."""
        from core.state import runs

        found = runs.list_runs(self._workspace, "embedding")
        return found[0].config["backbone"] if found else None

    def _earlier(self, config: JobConfig) -> Mapping[str, Any] | None:
        from core.state import catalog, job_rows

        n_images = catalog.count_images(self._workspace)
        for job in job_rows.list_jobs(self._workspace, statuses=("succeeded",)):
            if job.kind == config.kind and from_json(type(config), dict(job.config)) == config:
                result = {"job": job.id, **(job.result or {})}
                if self._is_there(result, n_images):
                    return result
        return None

    def _is_there(self, result: Mapping[str, Any], n_images: int) -> bool:
        """Whether what a job has made is still there, of as many images as there are."""
        from core.state import models, runs

        if "run" in result:
            run = runs.find_run(self._workspace, result["run"])
            return run is not None and run.n_images == n_images
        if "model" in result:
            known = {model.id for model in models.list_models(self._workspace)}
            return result["model"] in known
        return n_images > 0
