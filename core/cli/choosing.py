"""Which run does a command mean: the one that was named, or the newest?"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from core.errors import OperatorError

if TYPE_CHECKING:
    from core.state.runs import Run
    from core.state.workspace import Workspace

_COMMAND_FOR = {
    "embedding": "embed",
    "projection": "project",
    "clustering": "cluster",
    "triage_plan": "triage plan",
}


def add_embedding(parser: Any) -> None:
    """The option that names an embedding."""
    parser.add_argument(
        "--embedding", metavar="RUN", help="id, or how it begins (default: the newest)"
    )


def add_cluster_run(parser: Any) -> None:
    """The option that names a clustering."""
    parser.add_argument(
        "--cluster-run",
        metavar="RUN",
        help="the clustering, by its id or how it begins (default: the newest)",
    )


def add_model(parser: Any, *, default: str | None = None) -> None:
    """The option that names a model; it must be given where there is no default."""
    known = "its id, its number, newest or promoted"
    parser.add_argument(
        "--model",
        default=default,
        required=default is None,
        metavar="MODEL",
        help=f"{known} (default: {default})" if default else known,
    )


def add_device(parser: Any) -> None:
    """The option that says where to compute."""
    parser.add_argument(
        "--device",
        type=_device,
        default="auto",
        help="auto (a GPU where there is one), cpu, mps, cuda or cuda:N",
    )


def chosen_run(workspace: Workspace, kind: str, named: str | None) -> Run:
    """The run that was named, or the newest of its kind.

    Raises:
        OperatorError: there is none, or what was named is of another kind.
    """
    from core.state import runs

    if named:
        run = runs.get_run(workspace, named)
        if run.kind != kind:
            raise OperatorError(
                f"{run.id} is no {kind}.",
                next_step=f"`python -m core runs --kind {kind}` lists them.",
            )
        return run
    newest = runs.list_runs(workspace, kind)
    if not newest:
        raise OperatorError(
            f"There is no {kind} yet.",
            next_step=f"Run `python -m core {_COMMAND_FOR[kind]}` first.",
        )
    return newest[0]


def embedding_below(workspace: Workspace, clustering: Run) -> Run:
    """The embedding that a clustering, of features or of a map of them, goes back to."""
    from core.state import runs

    run = clustering
    while run.parent_id is not None:
        run = runs.get_run(workspace, run.parent_id)
    return run


def shown(value: float | None) -> str:
    """A measure as people read it."""
    return "not defined" if value is None else f"{value:.3f}"


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise ArgumentTypeError(f"must be auto, cpu, mps, cuda or cuda:N, got {text!r}")
    return text
