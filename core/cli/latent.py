"""The latent space: `embed`, `project`, and the `runs` that come of them."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_device, add_embedding, chosen_run, shown
from core.cli.parser import Commands, Parser, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session, table
from core.jobs.configs import EmbedImages, ProjectEmbedding
from core.latent.backbones import BACKBONES, BUNDLED
from core.latent.projection import METHODS as PROJECTIONS
from core.learning.recipe import PAPER

if TYPE_CHECKING:
    from core.state.runs import Run

_KINDS = (
    "embedding",
    "projection",
    "clustering",
    "graph",
    "k_distances",
    "separability",
    "stability",
    "anomalies",
    "label_errors",
    "layout",
    "comparison",
    "evaluation",
    "movement",
    "triage_plan",
    "model_comparison",
    "novel_groups",
)


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    embed = add_command(
        commands, "embed", embed_images, summary="compute the features of all images"
    )
    embed.add_argument(
        "--backbone",
        choices=BACKBONES,
        help=f"default: {PAPER.backbone}; offline the first whose weights are on this machine, "
        f"else {BUNDLED}, which comes with the app",
    )
    embed.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="a state dict of your own for this backbone (default: the first that is found)",
    )
    add_device(embed)

    project = add_command(
        commands, "project", project_embedding, summary="lay an embedding out on a plane"
    )
    project.add_argument("--method", choices=PROJECTIONS, default="umap", help="default: umap")
    add_embedding(project)
    project.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    _add_parameters(project)

    runs = add_command(
        commands, "runs", list_runs, summary="list embeddings, projections, clusterings, analyses"
    )
    runs.add_argument("--kind", choices=_KINDS, help="of this kind alone")


def embed_images(session: Session, asked: Namespace) -> Answer:
    """Embed every image that these weights have not seen."""
    from core.queries import usual_backbone

    weights = str(asked.weights.expanduser().resolve()) if asked.weights else ""
    workspace = session.open()
    usual = PAPER.backbone if weights else usual_backbone(workspace, session.settings)
    backbone = asked.backbone or usual
    config = EmbedImages(backbone=backbone, device=asked.device, weights=weights)
    result = session.do(workspace, config)
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
        embedding=chosen_run(workspace, "embedding", asked.embedding).id,
        method=asked.method,
        parameters=tuple(given.items()),
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    line = (
        f"{result['run']}: {asked.method}, trustworthiness {shown(result['trustworthiness'])}, "
        f"{result['seconds']:.1f} s."
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


def _described(run: Run) -> str:
    config = run.config
    if run.kind == "embedding":
        by = run.result["weights"].get("model") or run.result["weights"]["backbone"]
        return f"{by} ({run.result['weights']['source']} weights)"
    if run.kind == "projection":
        return f"{config['method']}, trustworthiness {shown(run.result['trustworthiness'])}"
    if run.kind == "clustering":
        return f"{config['method']}, {run.result['n_clusters']} clusters"
    return run.kind.replace("_", " ")


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
