"""Recording: how does the answer to a question become a run, and is it there already?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.jobs.context import JobContext
from core.state import runs
from core.state.runs import Run

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Found:
    """What a computation gave.

    Attributes:
        image_ids: int64 (n,), ascending: of the images that it is about.
        arrays: by name.
        result: JSON values.
    """

    image_ids: np.ndarray
    arrays: Mapping[str, np.ndarray]
    result: Mapping[str, Any]


def record(
    context: JobContext,
    *,
    kind: str,
    id: str,
    parent: Run,
    config: Mapping[str, Any],
    compute: Callable[[], Found],
) -> Run:
    """The run of this id: the one that is there, or what `compute` finds now."""
    workspace = context.workspace
    done = runs.find_run(workspace, id)
    if done is not None:
        return done
    found = compute()
    with runs.new_artefact(workspace, kind, id) as folder:
        for name, array in {"image_ids": found.image_ids, **found.arrays}.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return runs.add_run(
        workspace,
        id=id,
        kind=kind,
        parent_id=parent.id,
        config=config,
        result=found.result,
        n_images=len(found.image_ids),
        actor=context.job.actor,
        job_id=context.job.id,
    )


def part(report: Report, start: float, end: float) -> Report:
    """A report of a part of a job: its 0 is the job's `start`, its 1 the job's `end`."""
    return lambda fraction, step: report(start + (end - start) * fraction, step)
