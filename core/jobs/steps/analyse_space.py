"""All of the unsupervised analysis of an embedding, each part kept as a run of its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import OperatorError
from core.jobs.configs import AnalyseSpace
from core.jobs.context import JobContext
from core.jobs.steps.build_graph import built_graph
from core.jobs.steps.find_anomalies import found_anomalies
from core.jobs.steps.find_label_errors import found_label_errors
from core.jobs.steps.measure_separability import measured_separabilities
from core.jobs.steps.read_layout import layout_read
from core.jobs.steps.recording import Report, part
from core.jobs.steps.spaces import get_embedding, load_differing
from core.latent.anomalies import AnomalyConfig
from core.latent.metrics import MetricOptions
from core.state import runs
from core.state.runs import Run


@dataclass(frozen=True)
class _Part:
    """One question of the analysis.

    Attributes:
        name: in the job's result.
        share: of the whole job's time at 10,000 images, about.
        answer: the runs that answer it, by name.
    """

    name: str
    share: float
    answer: Callable[[Report], Mapping[str, Run]]


def run(context: JobContext, config: AnalyseSpace) -> Mapping[str, Any]:
    """Answer every question that has an answer for these images, and say why the others have none.

    Raises:
        OperatorError: there is no such run, the images are all alike, or no question has an answer.
    """
    embedding = get_embedding(context.workspace, config.embedding)
    vectors = load_differing(context.workspace, embedding)
    clustering = _clustering(context, embedding, config.clustering)
    parts = (
        _Part(
            "graph",
            0.1,
            lambda report: {"graph": built_graph(context, embedding, vectors, report=report)[0]},
        ),
        _Part(
            "anomalies",
            0.15,
            lambda report: {
                "anomalies": found_anomalies(context, embedding, AnomalyConfig(), report=report)
            },
        ),
        _Part(
            "label_errors",
            0.1,
            lambda report: {
                "label_errors": found_label_errors(context, embedding, seed=0, report=report)
            },
        ),
        _Part(
            "layout",
            0.15,
            lambda report: {"layout": layout_read(context, embedding, seed=0, report=report)},
        ),
        _Part(
            "separability",
            0.5,
            lambda report: {
                f"separability of {name}": each
                for name, each in measured_separabilities(
                    context,
                    embedding,
                    clusterings=[clustering] if clustering else [],
                    with_labels=True,
                    options=MetricOptions(),
                    seed=0,
                    report=report,
                ).items()
            },
        ),
    )
    return _answer(context, parts)


def _answer(context: JobContext, parts: tuple[_Part, ...]) -> Mapping[str, Any]:
    began = time.perf_counter()
    answered: dict[str, str] = {}
    skipped: list[dict[str, str]] = []
    start = 0.0
    for each in parts:
        try:
            found = each.answer(part(context.report, start, start + each.share))
        except OperatorError as error:
            why = " ".join(filter(None, [error.title, error.detail, error.next_step]))
            skipped.append({"part": each.name, "why": why})
        else:
            answered |= {name: done.id for name, done in found.items()}
        start += each.share
    if not answered.keys() - {"graph"}:
        raise OperatorError(
            "These images cannot be analysed yet.",
            " ".join(dict.fromkeys(each["why"] for each in skipped)),
        )
    return {
        "runs": answered,
        "skipped": skipped,
        "seconds": round(time.perf_counter() - began, 3),
    }


def _clustering(context: JobContext, embedding: Run, asked: str) -> Run | None:
    """The clustering that was named, or the newest of these features."""
    if asked:
        return runs.get_run(context.workspace, asked)
    of_features = runs.list_runs(context.workspace, "clustering", parent_id=embedding.id)
    return of_features[0] if of_features else None
