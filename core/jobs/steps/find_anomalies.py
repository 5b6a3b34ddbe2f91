"""Score how unlike the others each image is, by four methods."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from core.jobs.configs import FindAnomalies
from core.jobs.context import JobContext
from core.jobs.steps.build_graph import built_graph
from core.jobs.steps.recording import Found, Report, part, record
from core.jobs.steps.run_ids import analysis_id
from core.jobs.steps.spaces import get_embedding, load_differing
from core.latent.anomalies import AnomalyConfig, combine
from core.state import runs
from core.state.runs import Run

VERSION = 1  # part of every run's id: raise it when the same input gives other scores


def run(context: JobContext, config: FindAnomalies) -> Mapping[str, Any]:
    """Score the images of one embedding.

    Raises:
        OperatorError: there is no such embedding, it has fewer than three images, or they are all
            alike.
        ValueError: a parameter is out of range.
    """
    embedding = get_embedding(context.workspace, config.embedding)
    asked = AnomalyConfig(**{f.name: getattr(config, f.name) for f in fields(AnomalyConfig)})
    done = found_anomalies(context, embedding, asked, report=context.report)
    return {"run": done.id, **done.result}


def found_anomalies(
    context: JobContext, embedding: Run, asked: AnomalyConfig, *, report: Report
) -> Run:
    """The run that keeps these scores, computed where it is not there yet.

    Raises:
        OperatorError: there are fewer than three images, or they are all alike.
    """
    config = asdict(asked)

    def compute() -> Found:
        from core.latent.anomalies import (
            N_COMPONENTS,
            SURROUNDINGS_METRIC,
            find_anomalies,
            n_surroundings,
        )
        from core.latent.reduction import reduce_vectors

        vectors = load_differing(context.workspace, embedding)
        graph_run, graph = built_graph(context, embedding, vectors, report=part(report, 0.0, 0.4))
        surroundings_run, surroundings = built_graph(
            context,
            embedding,
            reduce_vectors(vectors, n_components=N_COMPONENTS),
            report=part(report, 0.4, 0.7),
            n_neighbors=n_surroundings(len(vectors)),
            metric=SURROUNDINGS_METRIC,
            space={"rooted_components": N_COMPONENTS},
        )
        report(0.7, "Scoring the images")
        found = find_anomalies(vectors, graph, asked, surroundings=surroundings)
        above = {method: scores.rows_above() for method, scores in found.items()}
        paper = combine(above["dbscan"], above["isolation"])
        result = {
            "thresholds": {method: scores.threshold for method, scores in found.items()},
            "n_above": {method: len(rows) for method, rows in above.items()},
            "n_union": len(paper.either),
            "n_both": len(paper.both),
            "graph": graph_run.id,
            "surroundings": surroundings_run.id,
            "notes": list(dict.fromkeys([graph.note, surroundings.note])),
        }
        arrays = {f"scores_{method}": scores.scores for method, scores in found.items()}
        return Found(runs.load_array(context.workspace, embedding, "image_ids"), arrays, result)

    return record(
        context,
        kind="anomalies",
        id=analysis_id("anomalies", config, run=embedding.id, version=VERSION),
        parent=embedding,
        config=config,
        compute=compute,
    )
