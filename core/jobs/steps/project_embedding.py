"""Lay an embedding out on a plane, and keep the plane as a run."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ProjectEmbedding
from core.jobs.context import JobContext
from core.jobs.steps.run_ids import projection_id
from core.state import runs

VERSION = 1  # part of every run's id: raise it when the same input gives another layout


def run(context: JobContext, config: ProjectEmbedding) -> Mapping[str, Any]:
    """Project one embedding; the same question asked again costs nothing.

    Raises:
        OperatorError: there is no such embedding, or the method finds no layout.
        ValueError: a parameter is unknown or out of range.
    """
    from core.latent.projection import ProjectionConfig, project

    workspace = context.workspace
    embedding = runs.get_run(workspace, config.embedding)
    if embedding.kind != "embedding":
        raise OperatorError(f"{embedding.id} is no embedding.", next_step="Choose one that is.")
    parameters: dict[str, Any] = dict(config.parameters)
    asked = ProjectionConfig(method=config.method, seed=config.seed, **parameters)
    settings = {name: value for name, value in asdict(asked).items() if value is not None}
    run_id = projection_id(settings, embedding=embedding.id, version=VERSION)
    done = runs.find_run(workspace, run_id)
    if done is None:
        vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
        result = project(vectors, asked, on_progress=context.report)
        with runs.new_artefact(workspace, "projection", run_id) as folder:
            np.save(folder / "coordinates.npy", result.coordinates, allow_pickle=False)
            ids = runs.load_array(workspace, embedding, "image_ids")
            np.save(folder / "image_ids.npy", ids, allow_pickle=False)
        done = runs.add_run(
            workspace,
            id=run_id,
            kind="projection",
            parent_id=embedding.id,
            config=settings,
            result={
                "trustworthiness": result.trustworthiness,
                "trustworthiness_n": result.trustworthiness_n,
                "trustworthiness_neighbors": result.trustworthiness_neighbors,
                "seconds": round(result.seconds, 3),
                "notes": list(result.notes),
            },
            n_images=len(result.coordinates),
            actor=context.job.actor,
            job_id=context.job.id,
        )
    return {"run": done.id, "method": config.method, **done.result}
