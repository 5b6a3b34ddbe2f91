"""Draw the latent space before and after fine-tuning, the second map laid over the first.

The aligned map is a projection of its own beside the plain one: the same shape, turned, mirrored,
moved and scaled, so that an image is found again at a glance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import CompareMaps, EmbedImages, ProjectEmbedding
from core.jobs.context import JobContext
from core.jobs.steps import embed_images, project_embedding
from core.jobs.steps.evaluate_model import embedding_by_model
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import Found, record
from core.jobs.steps.run_ids import analysis_id, projection_id
from core.state import model_roles, models, runs
from core.state.knowledge import load_knowledge
from core.state.model_roles import VALIDATION
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace

VERSION = 1  # part of every run's id: raise it when the same input gives other maps
ALIGNED_NOTE = (
    "Turned, mirrored, moved and scaled to lie over the map before fine-tuning; its shape is as it "
    "was drawn."
)


@dataclass(frozen=True)
class _Side:
    """One of the two latent spaces."""

    embedding: Run
    projection: Run


def run(context: JobContext, config: CompareMaps) -> Mapping[str, Any]:
    """Draw both maps and say how far each image moved; what is there already is used.

    Raises:
        OperatorError: there is no such model, the weights that it began with are gone, or the
            method finds no layout.
        ValueError: there is no such method.
    """
    model = models.get_model(context.workspace, config.model)
    embeddings = {
        "before": _embedding_before(PartOfJob(context, 0.0, 0.3), model),
        "after": embedding_by_model(PartOfJob(context, 0.3, 0.5), model, device="auto"),
    }
    before, after = (
        _Side(embedding, _projection(PartOfJob(context, start, start + 0.2), embedding, config))
        for start, embedding in ((0.5, embeddings["before"]), (0.7, embeddings["after"]))
    )
    context.report(0.9, "Laying one map over the other")
    done = _moved(context, model, before, after, seed=config.seed)
    return {"run": done.id, **done.result}


def _embedding_before(context: JobContext, model: Model) -> Run:
    """The features of all images by the weights that the model began with.

    Raises:
        OperatorError: those weights are gone, or others stand in their place.
    """
    workspace = context.workspace
    if model.start_from:
        return embedding_by_model(
            context, models.get_model(workspace, model.start_from), device="auto"
        )
    asked = EmbedImages(backbone=model.backbone, weights=model.config.get("weights", ""))
    embedding, told = embed_images.embed(context, asked, context.report)
    began_with = model.result.get("weights", {}).get("sha256")
    if began_with and told["weights"]["sha256"] != began_with:
        raise OperatorError(
            f"The weights that {model.id} began with are no longer here.",
            f"Others stand in their place (sha256 {told['weights']['sha256'][:16]}, not "
            f"{began_with[:16]}).",
            "Put the file back into the workspace's folder weights.",
        )
    return embedding


def _projection(context: JobContext, embedding: Run, config: CompareMaps) -> Run:
    asked = ProjectEmbedding(embedding.id, method=config.method, seed=config.seed)
    return runs.get_run(context.workspace, project_embedding.run(context, asked)["run"])


def _moved(context: JobContext, model: Model, before: _Side, after: _Side, *, seed: int) -> Run:
    """The run that says how far each image moved, on the labels and roles as they are."""
    ids = runs.load_array(context.workspace, after.embedding, "image_ids")
    known = load_knowledge(context.workspace, ids)
    roles = model_roles.image_roles(context.workspace, model, ids)
    config = {
        "model": model.id,
        "before": before.projection.id,
        "after": after.projection.id,
        "labels": known.digests["labels"],
        "roles": roles.digest,
        "seed": seed,
    }

    def compute() -> Found:
        from core.learning.evaluation import unite_unknown

        labels = unite_unknown(known.labels, model.classes)
        return _find(context, model, before, after, labels, roles.rows(VALIDATION), seed)

    return record(
        context,
        kind="movement",
        id=analysis_id("movement", config, run=after.embedding.id, version=VERSION),
        parent=after.embedding,
        config=config,
        compute=compute,
    )


def _find(
    context: JobContext,
    model: Model,
    before: _Side,
    after: _Side,
    labels: Sequence[str | None],
    validation_rows: np.ndarray,
    seed: int,
) -> Found:
    """Lay the second map over the first, and measure both latent spaces.

    Args:
        labels: of the images of `after`, in the order of its rows.
        validation_rows: of these rows, those that validate.
    """
    from core.learning.movement import align_map

    workspace = context.workspace
    # An image that was imported while this ran is on one map alone.
    ids, *rows = np.intersect1d(
        runs.load_array(workspace, before.embedding, "image_ids"),
        runs.load_array(workspace, after.embedding, "image_ids"),
        assume_unique=True,
        return_indices=True,
    )
    first, second = (
        runs.load_array(workspace, side.projection, "coordinates")[chosen]
        for side, chosen in zip((before, after), rows, strict=True)
    )
    alignment = align_map(first, second)
    aligned = _record_aligned(context, before, after, ids, alignment.aligned.astype(np.float32))
    sets = {VALIDATION: np.isin(rows[1], validation_rows), "all": np.ones(len(ids), bool)}
    separation = {
        name: {
            when: _separation(
                workspace, side, chosen[inside], [labels[row] for row in rows[1][inside]], seed
            )
            for when, side, chosen in zip(("before", "after"), (before, after), rows, strict=True)
        }
        for name, inside in sets.items()
    }
    movement = alignment.movement
    nowhere = np.full(len(ids), np.nan)
    result = {
        "model": model.id,
        "method": before.projection.config["method"],
        "before": before.projection.id,
        "after": aligned.id,
        "median_movement": None if movement is None else float(np.median(movement)),
        "disparity": alignment.disparity,
        "is_mirrored": alignment.is_mirrored,
        "why": alignment.why,
        "separation": separation,
    }
    arrays = {"movement": (nowhere if movement is None else movement).astype(np.float32)}
    return Found(ids, arrays, result)


def _separation(
    workspace: Workspace, side: _Side, rows: np.ndarray, labels: Sequence[str | None], seed: int
) -> dict[str, Any]:
    """How far a latent space holds the labels of some of its images apart."""
    from core.learning.movement import measure_separation

    vectors = runs.load_array(workspace, side.embedding, "vectors", mapped=True)
    return asdict(measure_separation(vectors[rows], labels, seed=seed))


def _record_aligned(
    context: JobContext, before: _Side, after: _Side, ids: np.ndarray, places: np.ndarray
) -> Run:
    """The second map in the first's coordinates, as a map of the model's features."""
    plain = after.projection
    config = {**plain.config, "aligned_to": before.projection.id}
    return record(
        context,
        kind="projection",
        id=projection_id(config, embedding=after.embedding.id, version=VERSION),
        parent=after.embedding,
        config=config,
        compute=lambda: Found(
            ids,
            {"coordinates": places},
            {**plain.result, "notes": [*plain.result["notes"], ALIGNED_NOTE]},
        ),
    )
