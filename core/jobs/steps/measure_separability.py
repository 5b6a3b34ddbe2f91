"""Measure how well clusters and classes are apart under every metric, a run for each labelling."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import MeasureSeparability
from core.jobs.context import JobContext
from core.jobs.steps.recording import Found, Report, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding, load_differing
from core.latent.metrics import MetricOptions
from core.state import runs
from core.state.knowledge import load_knowledge
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives other values
LABELS = "labels"


def run(context: JobContext, config: MeasureSeparability) -> Mapping[str, Any]:
    """Measure the labellings that were not measured before.

    Raises:
        OperatorError: there is no such run, a clustering is of other images, or no labelling has
            two groups that differ.
        ValueError: `binarise` is unknown.
    """
    embedding = get_embedding(context.workspace, config.embedding)
    done = measured_separabilities(
        context,
        embedding,
        clusterings=[runs.get_run(context.workspace, id) for id in config.clusterings],
        with_labels=config.with_labels,
        options=MetricOptions(config.binarise),
        seed=config.seed,
        report=context.report,
    )
    return {
        "runs": {name: each.id for name, each in done.items()},
        "scores": {name: scores_of(each) for name, each in done.items()},
        "best": {name: each.result["best"] for name, each in done.items()},
        "notes": _all_notes(done.values()),
    }


def _all_notes(separabilities: Iterable[Run]) -> list[str]:
    return list(dict.fromkeys(note for each in separabilities for note in each.result["notes"]))


def scores_of(separability: Run) -> dict[str, float | None]:
    """The silhouette by metric."""
    return {score["metric"]: score["value"] for score in separability.result["scores"]}


def measured_separabilities(
    context: JobContext,
    embedding: Run,
    *,
    clusterings: Sequence[Run],
    with_labels: bool,
    options: MetricOptions,
    seed: int,
    report: Report,
) -> dict[str, Run]:
    """The run of each labelling, by `labels` or the clustering's id; missing ones are computed.

    They are computed together, for labellings of the same images share their distances.

    Raises:
        OperatorError: a clustering is of other images, or no labelling has two groups that differ.
    """
    labellings, configs = _labellings(context, embedding, clusterings, with_labels)
    configs = {name: {**each, **asdict(options), "seed": seed} for name, each in configs.items()}
    ids = {
        name: analysis_id("separability", each, run=embedding.id, version=VERSION)
        for name, each in configs.items()
    }
    missing = {
        name: groups
        for name, groups in labellings.items()
        if runs.find_run(context.workspace, ids[name]) is None
    }
    found = _measure(context, embedding, missing, options, seed, report) if missing else {}
    done = {
        name: record(
            context,
            kind="separability",
            id=ids[name],
            parent=embedding,
            config=config,
            compute=partial(found.__getitem__, name),
        )
        for name, config in configs.items()
    }
    if all(each.result["best"] is None for each in done.values()):
        whys = {score["why"] for each in done.values() for score in each.result["scores"]}
        raise OperatorError(
            "No silhouette is defined.",
            " ".join(sorted(whys)),
            "Cluster the images, or label them.",
        )
    return done


def _labellings(
    context: JobContext, embedding: Run, clusterings: Sequence[Run], with_labels: bool
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
    """Group numbers of every image by labelling, and what names each labelling in its config."""
    from core.latent.separability import encode_labels

    ids = runs.load_array(context.workspace, embedding, "image_ids")
    labellings: dict[str, np.ndarray] = {}
    configs: dict[str, dict[str, Any]] = {}
    if with_labels:
        known = load_knowledge(context.workspace, ids)
        labellings[LABELS] = encode_labels(known.labels)
        configs[LABELS] = {"labels": known.digests["labels"]}
    for clustering in clusterings:
        is_one = clustering.kind == "clustering"
        of = runs.load_array(context.workspace, clustering, "image_ids") if is_one else ids[:0]
        if not np.array_equal(of, ids):
            raise OperatorError(
                f"{clustering.id} is no clustering of the images of {embedding.id}.",
                next_step="Choose a clustering of these features or of a map of them.",
            )
        labellings[clustering.id] = runs.load_array(context.workspace, clustering, "labels")
        configs[clustering.id] = {"clustering": clustering.id}
    if not labellings:
        raise OperatorError(
            "There is nothing to measure.", next_step="Choose a clustering, or the labels."
        )
    return labellings, configs


def _measure(
    context: JobContext,
    embedding: Run,
    labellings: Mapping[str, np.ndarray],
    options: MetricOptions,
    seed: int,
    report: Report,
) -> dict[str, Found]:
    from core.latent.separability import measure_separability

    vectors = load_differing(context.workspace, embedding)
    ids = runs.load_array(context.workspace, embedding, "image_ids")
    measured = measure_separability(
        vectors, labellings, options=options, seed=seed, on_progress=report
    )
    return {name: Found(ids, {}, asdict(each)) for name, each in measured.items()}
