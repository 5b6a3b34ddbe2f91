"""What the latent space tells: silhouettes, anomalies, label errors, layout, two sets, or all."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.cli.choosing import add_cluster_run, add_embedding, chosen_run, embedding_below, shown
from core.cli.parser import Commands, UsageError, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session, table
from core.errors import OperatorError
from core.jobs.configs import (
    AnalyseSpace,
    CompareSets,
    FindAnomalies,
    FindLabelErrors,
    MeasureSeparability,
    ReadLayout,
)
from core.latent.anomalies import PARAMETERS as ANOMALY_PARAMETERS
from core.latent.anomalies import TITLES, AnomalyConfig
from core.latent.metrics import BINARISATIONS

if TYPE_CHECKING:
    import numpy as np

    from core.state.runs import Run
    from core.state.workspace import Workspace

_SHOWN = 20  # rows of a list that people read


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    silhouette = add_command(
        commands,
        "silhouette",
        measure_silhouettes,
        summary="measure how well clusters, or labels, are apart under all metrics",
    )
    which = silhouette.add_mutually_exclusive_group()
    add_cluster_run(which)
    which.add_argument("--labels", action="store_true", help="of the labels instead of clusters")
    add_embedding(silhouette)
    silhouette.add_argument(
        "--binarise",
        choices=BINARISATIONS,
        default="nonzero",
        help="when a feature is active for a boolean metric (default: nonzero)",
    )
    silhouette.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    anomalies = add_command(
        commands, "anomalies", find_anomalies, summary="find images that are unlike the others"
    )
    add_embedding(anomalies)
    for parameter in ANOMALY_PARAMETERS:
        anomalies.add_argument(
            f"--{parameter.name.replace('_', '-')}",
            type=type(parameter.default),
            default=parameter.default,
            metavar="N",
            help=f"{parameter.explanation} (default: {parameter.default})",
        )

    errors = add_command(
        commands, "label-errors", find_label_errors, summary="rank labels by how likely wrong"
    )
    add_embedding(errors)
    errors.add_argument(
        "--limit", type=whole_number(1), metavar="N", help="list so many (default: all)"
    )
    errors.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    layout = add_command(
        commands,
        "layout",
        read_layout,
        summary="tell how classes lie, and how far the splits are from training",
    )
    add_embedding(layout)
    layout.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    compare = add_command(
        commands,
        "compare-sets",
        compare_sets,
        summary="test whether two sets of images differ in the full latent space",
    )
    for name in ("first", "second"):
        compare.add_argument(
            name,
            metavar=name.upper(),
            help="label:NAME, split:NAME, cluster:NUMBER or ids:1,2,3",
        )
    add_embedding(compare)
    add_cluster_run(compare)
    compare.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")

    analyse = add_command(
        commands,
        "analyse",
        analyse_space,
        summary="answer all of the unsupervised analysis that is not answered yet",
    )
    add_embedding(analyse)
    add_cluster_run(analyse)


def measure_silhouettes(session: Session, asked: Namespace) -> Answer:
    """Measure one labelling under every metric."""
    from core.analysis.separabilities import read_separability
    from core.state import runs

    workspace = session.open()
    if asked.labels:
        embedding = chosen_run(workspace, "embedding", asked.embedding)
        clusterings: tuple[str, ...] = ()
    else:
        clustering = chosen_run(workspace, "clustering", asked.cluster_run)
        embedding = (
            chosen_run(workspace, "embedding", asked.embedding)
            if asked.embedding
            else embedding_below(workspace, clustering)
        )
        clusterings = (clustering.id,)
    config = MeasureSeparability(
        embedding.id,
        clusterings=clusterings,
        with_labels=asked.labels,
        binarise=asked.binarise,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    ((of, run_id),) = result["runs"].items()
    found = read_separability(runs.get_run(workspace, run_id))
    data = {
        "job": result["job"],
        "run": run_id,
        "of": of,
        "scores": {score.metric: score.value for score in found.scores},
        "intervals": {score.metric: [score.low, score.high] for score in found.scores},
        "undefined": {score.metric: score.why for score in found.scores if score.why},
        "best": found.best,
        "n_groups": found.n_groups,
        "n_counted": found.n_counted,
        "n_measured": found.n_measured,
        "n_draws": found.n_draws,
        "notes": list(found.notes),
    }
    rows = [(score.metric, shown(score.value), score.why) for score in found.ranked]
    return Answer(data, "\n".join([f"{run_id}: {of}", table(rows), *found.notes]))


def find_anomalies(session: Session, asked: Namespace) -> Answer:
    """Find anomalies by every method."""
    from core.analysis.anomalies import read_anomalies
    from core.state import runs

    values = {parameter.name: getattr(asked, parameter.name) for parameter in ANOMALY_PARAMETERS}
    with wrong_usage():
        AnomalyConfig(**values)
    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    result = session.do(workspace, FindAnomalies(embedding.id, **values))
    found = read_anomalies(workspace, runs.get_run(workspace, result["run"]))
    together = found.together("dbscan", "isolation", {})
    above = {method: found.ids_above(method).tolist() for method in found.by_method}
    data = {
        "job": result["job"],
        "run": result["run"],
        "dbscan": above["dbscan"],
        "isolation_forest": above["isolation"],
        "union": together.either.tolist(),
        "both": together.both.tolist(),
        "knn": above["knn"],
        "density": above["density"],
        "thresholds": dict(found.thresholds),
        "notes": list(found.notes),
    }
    lines = [f"{result['run']}:"]
    lines += [f"{TITLES[method]}: {_listed(ids)}" for method, ids in above.items()]
    lines += [f"{name}: {_listed(data[key])}" for name, key in _TOGETHER.items()]
    return Answer(data, "\n".join([*lines, *found.notes]))


_TOGETHER = {"DBSCAN or Isolation Forest": "union", "Both": "both"}


def find_label_errors(session: Session, asked: Namespace) -> Answer:
    """Rank the labels."""
    from core.analysis.label_errors import read_label_errors
    from core.state import catalog, runs

    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    result = session.do(workspace, FindLabelErrors(embedding.id, seed=asked.seed))
    found = read_label_errors(workspace, runs.get_run(workspace, result["run"]))
    names = {image.id: image.name for image in catalog.list_images(workspace)}
    ranked = []
    for place in range(min(len(found), asked.limit or len(found))):
        label = found[place]
        ranked.append(
            {
                "image": label.image_id,
                "name": names.get(label.image_id),
                "given": label.given,
                "suggested": label.suggested,
                "score": label.score,
                "is_issue": label.is_issue,
                "is_settled": label.is_settled,
            }
        )
    rows = [
        (each["image"], each["name"], each["given"], each["suggested"], f"{each['score']:.3f}")
        for each in ranked[:_SHOWN]
    ]
    line = (
        f"{result['run']}: {result['n_issues']:,} of {result['n_judged']:,} labels are probably "
        "wrong; the likeliest first."
    )
    heading = ("image", "name", "given", "suggested", "score")
    return Answer(
        {**result, "ranked": ranked}, "\n".join([line, table([heading, *rows]), *found.notes])
    )


def read_layout(session: Session, asked: Namespace) -> Answer:
    """Read the layout of the classes and the splits."""
    from core.analysis import layouts
    from core.state import runs

    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    result = session.do(workspace, ReadLayout(embedding.id, seed=asked.seed))
    found = layouts.read_layout(workspace, runs.get_run(workspace, result["run"]))
    data = {
        "job": result["job"],
        "run": result["run"],
        "classes": [asdict(each) for each in found.classes],
        "separability": None if found.separability is None else _gaps_as_null(found.separability),
        "shifts": [asdict(each) for each in found.shifts],
        "n_neighbors": found.n_neighbors,
        "notes": list(found.notes),
    }
    of_classes = [("class", "images", "spread", "purity", "by chance")]
    of_classes += [
        (c.label, f"{c.n_images:,}", shown(c.spread), shown(c.purity), shown(c.by_chance))
        for c in found.classes
    ]
    of_splits = [("split", "images", "median distance", "AUC", "shifted")]
    of_splits += [
        (s.split, f"{s.n_images:,}", shown(s.quantiles[2]), shown(s.auc), _yes(s.is_shifted))
        for s in found.shifts
    ]
    lines = [f"{result['run']}:", table(of_classes), table(of_splits), *found.notes]
    return Answer(data, "\n".join(lines))


def compare_sets(session: Session, asked: Namespace) -> Answer:
    """Compare two sets of images."""
    from core.analysis.comparisons import read_comparison
    from core.state import runs, selections

    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    first = _named_set(workspace, embedding, asked.first, asked)
    second = _named_set(workspace, embedding, asked.second, asked)
    config = CompareSets(
        embedding.id,
        first=selections.save_selection(workspace, first),
        second=selections.save_selection(workspace, second),
        first_name=asked.first,
        second_name=asked.second,
        seed=asked.seed,
    )
    result = session.do(workspace, config)
    test = read_comparison(workspace, runs.get_run(workspace, result["run"])).test
    return Answer({**result, "verdict": test.verdict}, "\n".join([test.verdict, *test.caveats]))


def analyse_space(session: Session, asked: Namespace) -> Answer:
    """Answer every question about a latent space."""
    workspace = session.open()
    embedding = chosen_run(workspace, "embedding", asked.embedding)
    clustering = (
        chosen_run(workspace, "clustering", asked.cluster_run).id if asked.cluster_run else ""
    )
    result = session.do(workspace, AnalyseSpace(embedding.id, clustering))
    lines = [f"{name}: {run_id}" for name, run_id in result["runs"].items()]
    lines += [f"Not answered: {each['part']}. {each['why']}" for each in result["skipped"]]
    lines.append("`stability` repeats a clustering over seeds and resamples.")
    return Answer(result, "\n".join(lines))


def _named_set(workspace: Workspace, embedding: Run, name: str, asked: Namespace) -> np.ndarray:
    """Ids of the images of an embedding that `label:dirt`, `cluster:2` and so on name."""
    import numpy as np

    from core.state import catalog, runs

    kind, _, value = name.partition(":")
    ids = runs.load_array(workspace, embedding, "image_ids")
    if kind in ("label", "split"):
        values = catalog.column(workspace, ids, kind)
        chosen = ids[np.array([each == value for each in values], bool)]
    elif kind == "cluster":
        clustering = chosen_run(workspace, "clustering", asked.cluster_run)
        places = runs.load_array(workspace, clustering, "labels")
        of = runs.load_array(workspace, clustering, "image_ids")
        chosen = of[places == _number(name, value)]
    elif kind == "ids":
        chosen = np.array([_number(name, each) for each in value.split(",")], np.int64)
    else:
        raise UsageError(
            f"A set is label:NAME, split:NAME, cluster:NUMBER or ids:1,2,3, got {name!r}."
        )
    if not len(chosen):
        raise OperatorError(
            f"No image of {embedding.id} is in {name!r}.",
            next_step="Name a set that has images with features.",
        )
    return chosen


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} in {name!r} is no whole number.") from None


def _gaps_as_null(values: np.ndarray) -> list[list[float | None]]:
    import numpy as np

    return [[None if np.isnan(value) else value for value in row] for row in values.tolist()]


def _listed(ids: list[int]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return f"{len(ids):,} images: {', '.join(map(str, ids[:_SHOWN]))}{more}" if ids else "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
