"""The latent space: `embed`, `project`, `cluster`, and the `runs` that come of them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.parser import Commands, Parser, UsageError, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session, table
from core.errors import OperatorError
from core.jobs.configs import ClusterImages, EmbedImages, ProjectEmbedding
from core.latent.backbones import BACKBONES
from core.latent.projection import METHODS as PROJECTIONS

if TYPE_CHECKING:
    from core.state.runs import Run
    from core.state.workspace import Workspace

_KINDS = ("embedding", "projection", "clustering")
_COMMAND_FOR = {"embedding": "embed", "projection": "project"}


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    embed = add_command(
        commands, "embed", embed_images, summary="compute the features of all images"
    )
    embed.add_argument(
        "--backbone", choices=BACKBONES, default="resnet50", help="default: resnet50"
    )
    embed.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="a state dict of your own for this backbone (default: the first that is found)",
    )
    embed.add_argument(
        "--device",
        type=_device,
        default="auto",
        help="auto (a GPU where there is one), cpu, mps, cuda or cuda:N",
    )

    project = add_command(
        commands, "project", project_embedding, summary="lay an embedding out on a plane"
    )
    project.add_argument("--method", choices=PROJECTIONS, default="umap", help="default: umap")
    _add_embedding(project)
    project.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    _add_parameters(project)

    cluster = add_command(commands, "cluster", cluster_images, summary="group images by k-means")
    cluster.add_argument("--method", choices=("kmeans",), default="kmeans", help="default: kmeans")
    cluster.add_argument(
        "--space",
        choices=("latent", "projection"),
        help="group by features (the default) or by places on a map",
    )
    which = cluster.add_mutually_exclusive_group()
    _add_embedding(which)
    which.add_argument(
        "--projection", metavar="RUN", help="id, or how it begins (default: the newest)"
    )
    number = cluster.add_mutually_exclusive_group()
    number.add_argument(
        "--k",
        type=whole_number(1),
        metavar="N",
        help="how many clusters (default: the k of the best silhouette)",
    )
    number.add_argument(
        "--largest",
        type=whole_number(2),
        default=12,
        metavar="N",
        help="the greatest k that is tried without --k (default: 12)",
    )
    cluster.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    runs = add_command(
        commands, "runs", list_runs, summary="list embeddings, projections and clusterings"
    )
    runs.add_argument("--kind", choices=_KINDS, help="of this kind alone")


def embed_images(session: Session, asked: Namespace) -> Answer:
    """Embed every image that these weights have not seen."""
    weights = str(asked.weights.expanduser().resolve()) if asked.weights else ""
    config = EmbedImages(backbone=asked.backbone, device=asked.device, weights=weights)
    result = session.do(session.open(), config)
    used = result["weights"]
    found = f"{used['source']} {used['file']}" if used["file"] else used["source"]
    lines = [
        f"{result['run']}: {result['n_images']:,} images, {result['n_features']:,} features each; "
        f"{result['n_reused']:,} known already, {result['images_per_second']:.1f} images a second.",
        f"Weights: {used['backbone']}, {found}, sha256 {used['sha256'][:16]}.",
    ]
    return Answer(result, "\n".join([*lines, *filter(None, [used["notice"]])]))


def project_embedding(session: Session, asked: Namespace) -> Answer:
    """Project an embedding by one method."""
    from core.latent.projection import ProjectionConfig

    names = {parameter.name for method in PROJECTIONS.values() for parameter in method.parameters}
    given = {name: getattr(asked, name) for name in sorted(names)}
    given = {name: value for name, value in given.items() if value is not None}
    with wrong_usage():
        ProjectionConfig(method=asked.method, seed=asked.seed, **given)
    workspace = session.open()
    config = ProjectEmbedding(
        embedding=_chosen(workspace, "embedding", asked.embedding).id,
        method=asked.method,
        parameters=tuple(given.items()),
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    line = (
        f"{result['run']}: {asked.method}, trustworthiness {_shown(result['trustworthiness'])}, "
        f"{result['seconds']:.1f} s."
    )
    return Answer(result, "\n".join([line, *result["notes"]]))


def cluster_images(session: Session, asked: Namespace) -> Answer:
    """Group the images of an embedding or of a projection."""
    from core.latent.clustering import KMeansConfig

    on_map = asked.space == "projection" or bool(asked.projection)
    if (on_map and asked.embedding) or (asked.space == "latent" and asked.projection):
        raise UsageError("--space says one thing, --embedding or --projection another.")
    with wrong_usage():
        KMeansConfig(n_clusters=asked.k or asked.largest, seed=asked.seed)
    workspace = session.open()
    chosen = (
        _chosen(workspace, "projection", asked.projection)
        if on_map
        else _chosen(workspace, "embedding", asked.embedding)
    )
    config = ClusterImages(
        run=chosen.id,
        method=asked.method,
        n_clusters=asked.k or 0,
        largest=asked.largest,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    line = (
        f"{result['run']}: {result['n_clusters']} clusters of {result['sizes']} images, "
        f"silhouette {_shown(result['silhouette'])}, "
        f"ARI against the labels {_shown(result['ari'])}."
    )
    return Answer(result, "\n".join([line, *result["notes"]]))


def list_runs(session: Session, asked: Namespace) -> Answer:
    """Runs, newest first."""
    from core.state import runs

    found = runs.list_runs(session.open(), asked.kind)
    rows = [
        (run.id, f"{run.n_images:,}", run.created_at[:19], run.parent_id, _described(run))
        for run in found
    ]
    heading = ("run", "images", "made (UTC)", "from", "by")
    text = table([heading, *rows]) if rows else "No runs yet."
    return Answer({"runs": [asdict(run) for run in found]}, text)


def _chosen(workspace: Workspace, kind: str, named: str | None) -> Run:
    """The run that was named, or the newest of its kind."""
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


def _described(run: Run) -> str:
    config = run.config
    if run.kind == "embedding":
        return f"{config['backbone']} ({run.result['weights']['source']} weights)"
    if run.kind == "projection":
        return f"{config['method']}, trustworthiness {_shown(run.result['trustworthiness'])}"
    return f"{config['method']}, {run.result['n_clusters']} clusters"


def _shown(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _add_embedding(parser: Any) -> None:
    parser.add_argument(
        "--embedding", metavar="RUN", help="id, or how it begins (default: the newest)"
    )


def _add_parameters(parser: Parser) -> None:
    """An option for every parameter of any method."""
    of_methods: dict[str, dict[str, Any]] = {}
    for method in PROJECTIONS.values():
        for parameter in method.parameters:
            of_methods.setdefault(parameter.name, {})[method.name] = parameter
    group = parser.add_argument_group("parameters of the methods")
    for name, by_method in of_methods.items():
        parameter = next(iter(by_method.values()))
        defaults = ", ".join(f"{method} {p.default}" for method, p in by_method.items())
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(parameter.default),
            choices=parameter.choices or None,
            metavar=None if parameter.choices else "N",
            help=f"{parameter.explanation} Defaults: {defaults}.",
        )


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise ArgumentTypeError(f"must be auto, cpu, mps, cuda or cuda:N, got {text!r}")
    return text
