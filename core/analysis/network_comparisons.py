"""What did several networks reach under one recipe? The paper's Table 2, of the images here."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.analysis.models import as_percent
from core.figures.evaluation import ComparedBackbone
from core.jobs.configs import CompareBackbones
from core.learning.evaluation import Estimate
from core.state import job_rows
from core.state.job_rows import Job
from core.state.workspace import Workspace

_N_JOBS = 300  # that are looked back upon


def list_comparisons(workspace: Workspace) -> list[Job]:
    """The jobs that have compared networks to their end, the newest first."""
    done = job_rows.list_jobs(workspace, statuses=("succeeded",), limit=_N_JOBS)
    return [job for job in done if job.kind == CompareBackbones.kind and job.result]


def compared_networks(job: Job) -> list[ComparedBackbone]:
    """The networks of a comparison, for its chart."""
    return [
        ComparedBackbone(
            title=row["title"],
            accuracy=_accuracy(row),
            epoch_seconds=row["epoch_seconds"],
            n_parameters=row["n_parameters"],
        )
        for row in _rows(job)
    ]


def comparison_table(job: Job) -> list[dict[str, Any]]:
    """A row a network, as a table shows it; shares and times as numbers."""
    return [
        {
            "network": row["title"],
            "accuracy": row["accuracy"],
            "95% interval": as_percent(_accuracy(row)),
            "seconds an epoch": row["epoch_seconds"],
            "million parameters": row["n_parameters"] / 1e6,
            "silhouette": row["silhouette"],
            "ARI": row["ari"],
            "weights": row["weights"],
            "model": row["model"],
        }
        for row in _rows(job)
    ]


def notices(job: Job) -> list[str]:
    """What everyone who sees the comparison must be told, each once."""
    return list(dict.fromkeys(row["notice"] for row in _rows(job) if row["notice"]))


def _rows(job: Job) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = (job.result or {})["rows"]
    return rows


def _accuracy(row: Mapping[str, Any]) -> Estimate:
    return Estimate(**row["accuracy_interval"])
