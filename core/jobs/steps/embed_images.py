"""Embed every image once: what these weights have seen already is taken from earlier runs.

Chunks are kept as they come, under a name made of all that shapes a feature, so that a killed or
cancelled run loses at most 512 images, whoever starts the next one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import EmbedImages
from core.jobs.context import JobContext
from core.jobs.steps.feature_chunks import Chunks
from core.jobs.steps.recording import Report, part
from core.jobs.steps.run_ids import embedding_id
from core.settings import Settings, load_settings
from core.state import catalog, models, own_weights, runs
from core.state.catalog import Image, ImageFilter
from core.state.runs import Run
from core.state.workspace import Workspace

if TYPE_CHECKING:
    from core.latent.embedding import EmbeddingReport, FeatureExtractor
    from core.latent.weights import ResolvedWeights

VERSION = 1  # part of every run's id: raise it when the same input gives other features


def run(context: JobContext, config: EmbedImages) -> Mapping[str, Any]:
    """Bring the features of all readable images together in one run, and tell of it.

    Raises:
        OperatorError: there are no images, none can be read, or the weights do not fit.
    """
    done, told = embed(context, config, context.report)
    return {"run": done.id, "n_images": done.n_images, **told}


def embed(
    context: JobContext, config: EmbedImages, report: Report
) -> tuple[Run, Mapping[str, Any]]:
    """The run that holds the features of all readable images, and what there is to tell of it now.

    Raises:
        OperatorError: there are no images, none can be read, or the weights do not fit.
    """
    from core.latent.backbones import get_backbone

    workspace = context.workspace
    report(0.0, "Looking for weights")
    weights = find_weights(
        workspace,
        config.backbone,
        file=config.weights,
        model=config.model,
        on_progress=part(report, 0.0, 0.05),
    )
    images = _readable_images(workspace)
    backbone = get_backbone(weights.backbone)
    shaping = shaping_of(weights, average_flips=config.average_flips)
    kept = Chunks(workspace, shaping)
    earlier = runs_shaped_by(workspace, shaping)
    known = _known_ids(workspace, earlier) | kept.ids()
    new = [image for image in images if image.id not in known]
    embedded_now = _embed(context, config, weights, new, kept, report)
    failed = {new[failure.index].id: failure.reason for failure in embedded_now.failed}
    embedded = [image for image in images if image.id not in failed]
    if not embedded:
        raise OperatorError(
            "No image could be read.", next_step="Check the files on the page Dataset."
        )
    report(0.96, "Storing the features")
    result = {
        "n_features": backbone.n_features,
        "n_reused": len(embedded) - embedded_now.n_embedded,
        "n_embedded": embedded_now.n_embedded,
        "images_per_second": round(embedded_now.images_per_second, 2),
        "device": embedded_now.device,
        "dtype": embedded_now.dtype,
        "failed": [{"image": image_id, "reason": why} for image_id, why in failed.items()],
        "weights": {
            **told_weights(weights),
            "model": config.model or None,
        },
    }
    done = _store(context, embedded, shaping, result, earlier, kept)
    kept.clear(runs.load_array(workspace, done, "image_ids"))
    return done, result


def shaping_of(weights: ResolvedWeights, *, average_flips: bool) -> dict[str, Any]:
    """All that shapes a feature, as the config of its run holds it."""
    from core.latent.backbones import get_backbone, load_preprocessing

    return {
        "backbone": weights.backbone,
        "weights_sha256": weights.sha256,
        "preprocessing": asdict(load_preprocessing(get_backbone(weights.backbone))),
        "version": VERSION,
        # Named only where it is so, for the ids of runs from before it could be.
        **({"average_flips": True} if average_flips else {}),
    }


def runs_shaped_by(workspace: Workspace, shaping: Mapping[str, Any]) -> list[Run]:
    """The embeddings whose features were shaped alike, the newest first."""
    return [
        done
        for done in runs.list_runs(workspace, "embedding")
        if done.config == json.loads(json.dumps(shaping))
    ]


@lru_cache(maxsize=1)
def warm_extractor(weights: ResolvedWeights, device: str, average_flips: bool) -> FeatureExtractor:
    """The network of the last weights that were asked for, which stays loaded."""
    from core.latent.embedding import load_extractor

    return load_extractor(weights, device=device, average_flips=average_flips)


def find_weights(
    workspace: Workspace,
    backbone: str,
    *,
    file: str = "",
    model: str = "",
    on_progress: Callable[[float, str], None] | None = None,
) -> ResolvedWeights:
    """The weights that a job asks for: a model's, a file's, or the first in the usual order.

    Raises:
        OperatorError: there is no such model or file, or it does not fit.
    """
    from core.latent.weights import model_weights, resolve_weights

    if model:
        found = models.get_model(workspace, model)
        path = models.weights_path(workspace, found.id)
        return model_weights(found.backbone, path, found.weights_sha256)
    settings = load_settings()
    return resolve_weights(
        backbone,
        file=own_weights.folder(workspace) / file if file else None,
        weights_dirs=weights_folders(workspace, settings),
        offline=settings.offline,
        on_progress=on_progress,
    )


def told_weights(weights: ResolvedWeights) -> dict[str, Any]:
    """What a result says of the weights that ran."""
    return {
        "asked": weights.asked_backbone,
        "backbone": weights.backbone,
        "source": weights.source,
        "sha256": weights.sha256,
        "file": weights.path.name if weights.path else None,
        "notice": weights.notice,
    }


def weights_folders(workspace: Workspace, settings: Settings) -> list[Path]:
    """Where a person may place weights, in the order in which they are looked through."""
    return [own_weights.folder(workspace), *filter(None, [settings.weights_dir])]


def _embed(
    context: JobContext,
    config: EmbedImages,
    weights: ResolvedWeights,
    new: Sequence[Image],
    kept: Chunks,
    report: Report,
) -> EmbeddingReport:
    from core.latent.embedding import EmbeddingReport, embed_images, load_extractor

    if not new:  # and no network to load
        return EmbeddingReport(0, (), device="none", dtype="none", cosine=None, seconds=0.0)
    return embed_images(
        [catalog.image_path(context.workspace, image) for image in new],
        load_extractor(weights, device=config.device, average_flips=config.average_flips),
        max_pixels=load_settings().max_image_pixels,
        on_chunk=lambda chunk: kept.add([new[i].id for i in chunk.indices], chunk.features),
        on_progress=part(report, 0.05, 0.95),
    )


def _readable_images(workspace: Workspace) -> list[Image]:
    # A referenced file that was changed is no longer the image that its labels are about.
    catalog.set_conditions(workspace, catalog.check_files(workspace))
    images = catalog.list_images(workspace, ImageFilter(condition="ok"), sort="oldest")
    if not images:
        raise OperatorError(
            "There are no images to embed.", next_step="Import some on the page Dataset."
        )
    return images


def _known_ids(workspace: Workspace, earlier: Sequence[Run]) -> set[int]:
    return {i for done in earlier for i in runs.load_array(workspace, done, "image_ids").tolist()}


def _store(
    context: JobContext,
    embedded: Sequence[Image],
    shaping: Mapping[str, Any],
    result: Mapping[str, Any],
    earlier: Sequence[Run],
    kept: Chunks,
) -> Run:
    workspace = context.workspace
    ids = np.array([image.id for image in embedded], dtype=np.int64)  # ascending
    run_id = embedding_id(shaping, [image.sha256 for image in embedded], ids)
    if found := runs.find_run(workspace, run_id):
        return found
    with runs.new_artefact(workspace, "embedding", run_id) as folder:
        shape = (len(ids), result["n_features"])
        vectors = np.lib.format.open_memmap(
            folder / "vectors.npy", mode="w+", dtype=np.float32, shape=shape
        )
        for done in earlier:
            old_ids = runs.load_array(workspace, done, "image_ids")
            old = runs.load_array(workspace, done, "vectors", mapped=True)
            _place(vectors, ids, old_ids, old)
        for chunk_ids, features in kept.load():
            _place(vectors, ids, chunk_ids, features)
        vectors.flush()
        np.save(folder / "image_ids.npy", ids, allow_pickle=False)
    return runs.add_run(
        workspace,
        id=run_id,
        kind="embedding",
        parent_id=None,
        config=shaping,
        result=result,
        n_images=len(ids),
        actor=context.job.actor,
        job_id=context.job.id,
    )


def _place(vectors: np.ndarray, ids: np.ndarray, some: np.ndarray, features: np.ndarray) -> None:
    """Copy the features of `some` images to their rows; row i of `vectors` is image `ids[i]`."""
    wanted = np.isin(some, ids)
    vectors[np.searchsorted(ids, some[wanted])] = features[wanted]
