"""Clusters: `cluster`, the `k-distances` that a reach is read from, and their `stability`."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any

from core.cli.choosing import add_cluster_run, add_embedding, chosen_run, shown
from core.cli.parser import Commands, UsageError, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session
from core.jobs.configs import ClusterImages, MeasureKDistances, MeasureStability
from core.latent.clustering_methods import METHODS, make_config

if TYPE_CHECKING:
    from core.state.runs import Run
    from core.state.workspace import Workspace

_OPTION_FOR = {"n_clusters": "k"}  # where it differs from the parameter's name


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    cluster = add_command(
        commands, "cluster", cluster_images, summary="group images that are alike"
    )
    cluster.add_argument("--method", choices=METHODS, default="kmeans", help="default: kmeans")
    _add_space(cluster)
    cluster.add_argument(
        "--largest",
        type=whole_number(2),
        metavar="N",
        help="kmeans: the greatest k that is tried without --k (default: 12)",
    )
    cluster.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    _add_parameters(cluster)

    reach = add_command(
        commands,
        "k-distances",
        measure_k_distances,
        summary="measure how far neighbours are, for a reach (eps) of DBSCAN",
    )
    _add_space(reach)
    reach.add_argument(
        "--min-samples", type=whole_number(2), default=5, help="of DBSCAN (default: 5)"
    )
    metric = next(p for p in METHODS["dbscan"].parameters if p.name == "metric")
    reach.add_argument(
        "--metric",
        choices=metric.choices,
        default=metric.default,
        help=f"default: {metric.default}",
    )
    reach.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    stability = add_command(
        commands,
        "stability",
        measure_stability,
        summary="repeat a clustering with other seeds and on other draws of the images",
    )
    add_cluster_run(stability)
    stability.add_argument(
        "--runs",
        type=whole_number(2),
        default=5,
        metavar="N",
        help="over seeds, and as many over draws (default: 5)",
    )
    stability.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")


def cluster_images(session: Session, asked: Namespace) -> Answer:
    """Group the images of an embedding or of a projection."""
    names = {parameter.name for method in METHODS.values() for parameter in method.parameters}
    given = {name: getattr(asked, _OPTION_FOR.get(name, name)) for name in sorted(names)}
    given = {name: value for name, value in given.items() if value is not None}
    sweep = asked.method == "kmeans" and "n_clusters" not in given
    if asked.largest and not sweep:
        raise UsageError("--largest is for k-means without --k.")
    with wrong_usage():
        make_config(asked.method, given, seed=asked.seed)
    workspace = session.open()
    config = ClusterImages(
        run=_space(workspace, asked).id,
        method=asked.method,
        parameters=tuple(given.items()),
        components=asked.components,
        sweep=sweep,
        largest=asked.largest or ClusterImages.largest,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    line = (
        f"{result['run']}: {result['n_clusters']} clusters of {result['sizes']} images, "
        f"{result['n_noise']:,} noise, silhouette {shown(result['silhouette'])}, "
        f"ARI against the labels {shown(result['ari'])}."
    )
    return Answer(result, "\n".join([line, *result["notes"]]))


def measure_k_distances(session: Session, asked: Namespace) -> Answer:
    """Measure the k-distance plot of an embedding or a projection."""
    workspace = session.open()
    config = MeasureKDistances(
        run=_space(workspace, asked).id,
        min_samples=asked.min_samples,
        metric=asked.metric,
        components=asked.components,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    found = "has no knee" if result["eps"] is None else f"turns upward at {result['eps']:.4g}"
    return Answer(result, f"{result['run']}: the {asked.metric} curve {found}.")


def measure_stability(session: Session, asked: Namespace) -> Answer:
    """Measure whether a clustering comes out again."""
    workspace = session.open()
    clustering = chosen_run(workspace, "clustering", asked.cluster_run)
    config = MeasureStability(clustering.id, n_runs=asked.runs, seed=asked.seed)
    result = session.do(workspace, config)
    lines = [
        f"{name}: ARI {spread['mean']:.3f} ({spread['low']:.3f} to {spread['high']:.3f})"
        for name, spread in (("Seeds", result["seeds"]), ("Draws", result["resamples"]))
        if spread
    ]
    return Answer(
        result, "\n".join([f"{result['run']}: {clustering.id}", *lines, *result["notes"]])
    )


def _space(workspace: Workspace, asked: Namespace) -> Run:
    """The embedding or the projection whose images are compared."""
    on_map = asked.space == "projection" or bool(asked.projection)
    if (on_map and asked.embedding) or (asked.space == "latent" and asked.projection):
        raise UsageError("--space says one thing, --embedding or --projection another.")
    if on_map and asked.components:
        raise UsageError("--components are of features, a map has none.")
    if on_map:
        return chosen_run(workspace, "projection", asked.projection)
    return chosen_run(workspace, "embedding", asked.embedding)


def _add_space(parser: Any) -> None:
    parser.add_argument(
        "--space",
        choices=("latent", "projection"),
        help="compare features (the default) or places on a map",
    )
    which = parser.add_mutually_exclusive_group()
    add_embedding(which)
    which.add_argument(
        "--projection", metavar="RUN", help="id, or how it begins (default: the newest)"
    )
    parser.add_argument(
        "--components",
        type=_components,
        default=0.0,
        metavar="N",
        help="so many principal components of the features, or a share of the variance below 1 "
        "(default: 0, the features as they are)",
    )


def _add_parameters(parser: Any) -> None:
    """An option for every parameter of any method."""
    of_methods: dict[str, dict[str, Any]] = {}
    for method in METHODS.values():
        for parameter in method.parameters:
            of_methods.setdefault(parameter.name, {})[method.name] = parameter
    group = parser.add_argument_group("parameters of the methods")
    for name, by_method in of_methods.items():
        parameter = next(iter(by_method.values()))
        defaults = ", ".join(f"{method} {p.default}" for method, p in by_method.items())
        own = {
            "n_clusters": "kmeans sweeps k, agglomerative 4",
            "eps": "dbscan the knee of the k-distances",
        }
        group.add_argument(
            f"--{_OPTION_FOR.get(name, name).replace('_', '-')}",
            type=type(parameter.default),
            choices=parameter.choices or None,
            metavar=None if parameter.choices else "N",
            help=f"{parameter.explanation} Defaults: {own.get(name, defaults)}.",
        )


def _components(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no number") from None
    if not (0 <= value < 1 or value == int(value) >= 1):
        raise ArgumentTypeError(f"must be a share below 1 or a whole number, got {text}")
    return value
