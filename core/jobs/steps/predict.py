"""Predict image files that need not belong to the workspace; nothing of them is kept.

It runs in the worker that stays warm: the network of the last model asked about stays loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.images.formats.tree import list_tree
from core.jobs.configs import Predict
from core.jobs.context import JobContext
from core.jobs.steps.embed_images import find_weights, warm_extractor
from core.jobs.steps.evaluate_model import embedding_by_model
from core.jobs.steps.look_through import check_within
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import part
from core.jobs.steps.route_images import Router, Routes
from core.latent.backbones import get_backbone
from core.settings import load_settings
from core.state import applications, catalog, model_roles, models, runs
from core.state.arrivals import AUTO, OPERATOR
from core.state.catalog import ImageFilter
from core.state.knowledge import labelled_by_people
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace

if TYPE_CHECKING:
    from core.latent.embedding import Chunk
    from core.learning.prediction import Prediction


def run(context: JobContext, config: Predict) -> Mapping[str, Any]:
    """Predict files, in their order; folders are looked through.

    Raises:
        OperatorError: there is no such model, or there are no images.
    """
    from core.latent.embedding import embed_images

    workspace = context.workspace
    model = models.get_model(workspace, config.model)
    files, rejected = _files(config)
    plan = applications.plan_at_work(workspace, model.id)
    # The plan's sureness is of features like its own, and one network pass serves all.
    average_flips = plan is not None and bool(plan.config.get("average_flips"))
    embedding = embedding_by_model(
        PartOfJob(context, 0.0, 0.4), model, device=config.device, average_flips=average_flips
    )
    weights = find_weights(workspace, model.backbone, model=model.id)
    chunks: list[Chunk] = []
    done = embed_images(
        files,
        warm_extractor(weights, config.device, average_flips),
        max_pixels=load_settings().max_image_pixels,
        on_chunk=chunks.append,
        on_progress=part(context.report, 0.4, 0.95),
    )
    rejected += [{"path": str(files[each.index]), "reason": each.reason} for each in done.failed]
    features = np.concatenate([chunk.features for chunk in chunks])
    rows = np.concatenate([chunk.indices for chunk in chunks])
    known_ids = runs.load_array(workspace, embedding, "image_ids")
    temperature = temperature_of(workspace, model, average_flips=average_flips)
    predictions = _predictions(
        workspace, model, features, known_ids, embedding, temperature=temperature
    )
    probabilities = np.array([each.probabilities for each in predictions])
    routes = Router(workspace, model, plan).route(features, probabilities)
    return {
        "model": model.id,
        "plan": plan.id if plan else None,
        "n_predicted": len(predictions),
        "predictions": _told(
            workspace, predictions, routes, [files[row] for row in rows], known_ids
        ),
        "rejected": rejected,
        "temperature": temperature,
    }


def temperature_of(workspace: Workspace, model: Model, *, average_flips: bool = False) -> float:
    """What the newest evaluation of a model divides its logits by; 1 before the first.

    Args:
        average_flips: of features averaged over flips, whose logits are others.
    """
    for done in runs.list_runs(workspace, "evaluation"):
        is_alike = bool(done.config.get("average_flips")) == average_flips
        if done.config["model"] == model.id and is_alike:
            value: float = done.result["temperature"]["value"]
            return value
    return 1.0


def _predictions(
    workspace: Workspace,
    model: Model,
    features: np.ndarray,
    known_ids: np.ndarray,
    embedding: Run,
    *,
    temperature: float,
) -> list[Prediction]:
    from core.learning.networks import load_head
    from core.learning.prediction import predict_features

    # What a model labelled itself is no witness for what it says of another image.
    has_label = labelled_by_people(workspace, known_ids)
    vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
    roles = model_roles.image_roles(workspace, model, known_ids)
    is_trained = np.zeros(len(known_ids), bool)
    is_trained[roles.rows(model_roles.TRAIN)] = True
    rows = np.flatnonzero(has_label | is_trained)  # the others tell nobody anything of a new one
    found = predict_features(
        features,
        load_head(models.weights_path(workspace, model.id), get_backbone(model.backbone)),
        model.classes,
        temperature=temperature,
        known=np.asarray(vectors[rows]),
        is_trained=is_trained[rows],
    )
    return [_with_rows(each, rows) for each in found]


def _with_rows(prediction: Prediction, rows: np.ndarray) -> Prediction:
    """The same prediction, its neighbours named by their rows in the embedding."""
    nearest = tuple(replace(each, row=int(rows[each.row])) for each in prediction.nearest)
    return replace(prediction, nearest=nearest)


def _told(
    workspace: Workspace,
    predictions: list[Prediction],
    routes: Routes,
    files: list[Path],
    known_ids: np.ndarray,
) -> list[dict[str, Any]]:
    wanted = {int(known_ids[each.row]) for found in predictions for each in found.nearest}
    images = {
        image.id: image
        for image in catalog.list_images(workspace, ImageFilter(ids=tuple(sorted(wanted))))
    }
    return [
        {
            "path": str(file),
            "label": found.label,
            "confidence": found.confidence,
            "probabilities": list(found.probabilities),
            "novelty": found.novelty,
            "sureness": None if routes.sureness is None else float(routes.sureness[place]),
            "route": AUTO if routes.is_auto[place] else OPERATOR,
            "nearest": [
                {
                    "image": image.id,
                    "name": image.name,
                    "label": image.label,
                    "distance": each.distance,
                }
                for each in found.nearest
                if (image := images.get(int(known_ids[each.row]))) is not None
            ],
        }
        for place, (file, found) in enumerate(zip(files, predictions, strict=True))
    ]


def _files(config: Predict) -> tuple[list[Path], list[dict[str, str]]]:
    files: list[Path] = []
    rejected: list[dict[str, str]] = []
    for given in config.paths:
        path = Path(given)
        check_within(path, config.within)
        if path.is_dir():
            tree = list_tree(path)
            files += [file.path for file in tree.images]
            rejected += [
                {"path": str(path / each.path), "reason": each.reason} for each in tree.rejected
            ]
        elif path.is_file():
            files.append(path)
        else:
            rejected.append({"path": given, "reason": "There is no such file."})
    if not files:
        reason = rejected[0]["reason"] if rejected else ""
        raise OperatorError(
            "There are no images to predict.", reason, "Name image files, or folders of them."
        )
    return files, rejected
