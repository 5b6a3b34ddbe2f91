"""The story's computations: which jobs it consists of, and which one comes next in a copy.

The demo does the same jobs when it makes the story's templates, so that what a visitor computes
live is what the finished template shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.errors import OperatorError
from core.jobs.configs import (
    CompareMaps,
    EmbedImages,
    EvaluateModel,
    FineTune,
    GroupStrange,
    ImportImages,
    JobConfig,
    PlanTriage,
)
from core.latent.backbones import BUNDLED
from core.state import catalog, job_rows, models, runs, story
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace

MAP = "pacmap"  # the plane of the paper's k-means; a third of the time that UMAP takes
PROMISE = 0.05
_EPOCHS = 20  # a minute or two on two cores, where the paper's 100 of a ResNet-50 take an hour


def read_features(backbone: str) -> FineTune:
    """The paper's other mode: a head alone, on features that nobody has tuned."""
    return FineTune(backbone=backbone, mode="head", epochs=30, learning_rate=0.01)


def fine_tune(backbone: str) -> FineTune:
    """The paper's fine-tuning, as much of it as fits into a minute or two on two cores.

    Of a large network the last block is trained, for what frozen layers see is computed once. The
    bundled one is small enough to be trained whole, and has to be: it is read at every depth, so
    its last block alone leaves most of the map where it was. The rates are above the paper's and
    fall along a cosine, for there are a fifth of its epochs.
    """
    is_small = backbone == BUNDLED
    return FineTune(
        backbone=backbone,
        mode="full" if is_small else "last_block",
        epochs=_EPOCHS,
        batch_size=16,
        learning_rate=0.005 if is_small else 0.02,
        schedule="cosine",
    )


def compare_maps(model: str) -> CompareMaps:
    """The map of the generic features, and the tuned ones laid over it."""
    return CompareMaps(model, method=MAP)


def plan(model: str) -> PlanTriage:
    """The price of every promise; on the features that are there, not averaged over flips."""
    return PlanTriage(model, max_error=PROMISE, average_flips=False)


def strictest_promise(costs: Iterable[tuple[float, float]], *, greatest: float) -> float:
    """The strictest promise, no stricter than the usual one, that lets a model label anything.

    Args:
        costs: of a plan: tolerated share of wrong labels and share of images that are labelled
            then, the strictest first.
        greatest: tolerated share that is still promised.

    Returns:
        The tolerated share; where nothing can be labelled, the usual one.
    """
    labelling = (error for error, share in costs if PROMISE <= error <= greatest and share)
    return next(labelling, PROMISE)


def take_arrivals(copy: Workspace) -> ImportImages:
    """What the line brings on the day when a defect appears that nobody has seen before."""
    folder = copy.path / story.ARRIVALS
    return ImportImages(source=str(folder), format="folder", split="keep", shown_as="the line")


def generic_embedding(copy: Workspace) -> Run | None:
    """The features by the weights that the fine-tuning begins with: the first that were made."""
    found = runs.list_runs(copy, "embedding")
    return found[-1] if found else None


def tuned_model(copy: Workspace) -> Model | None:
    """The newest model whose features are its own."""
    return next((each for each in models.list_models(copy) if each.mode != "head"), None)


def reading_model(copy: Workspace) -> Model | None:
    """The newest head on the generic features."""
    return next((each for each in models.list_models(copy) if each.mode == "head"), None)


def tuned_embedding(copy: Workspace, model: Model) -> Run | None:
    """The newest features by a model's weights."""
    found = runs.list_runs(copy, "embedding")
    own = model.weights_sha256
    return next((run for run in found if run.config.get("weights_sha256") == own), None)


def has_taken_arrivals(copy: Workspace) -> bool:
    """Whether the line has brought its late images."""
    source = take_arrivals(copy).source
    done = job_rows.list_jobs(copy, kinds=(ImportImages.kind,), statuses=("succeeded",))
    return any(job.config["source"] == source for job in done)


def next_job(copy: Workspace) -> JobConfig | None:
    """What a copy lacks once its model is tuned; None where nothing does, or a job has failed.

    Whoever opens a page of the story asks, so that what a closed tab left undone goes on.
    """
    model = tuned_model(copy)
    if model is None or job_rows.list_jobs(copy, statuses=job_rows.ACTIVE, limit=1):
        return None
    wanted = _next_wanted(copy, model)
    return None if wanted is None or _has_failed(copy, wanted) else wanted


def _next_wanted(copy: Workspace, model: Model) -> JobConfig | None:
    def has(kind: str) -> bool:
        return any(run.config["model"] == model.id for run in runs.list_runs(copy, kind))

    if not has("movement"):
        return compare_maps(model.id)
    if not has("evaluation"):  # the plan's confidences are by its temperature
        return EvaluateModel(model.id)
    if not has("triage_plan"):
        return plan(model.id)
    if not has_taken_arrivals(copy):
        return None
    embedding = tuned_embedding(copy, model)
    if embedding is None or embedding.n_images < catalog.count_images(copy):
        return EmbedImages(backbone=model.backbone, model=model.id)
    if not any(r.parent_id == embedding.id for r in runs.list_runs(copy, "novel_groups")):
        return GroupStrange(embedding.id)
    return None


def put_to_work(copy: Workspace, *, actor: str) -> None:
    """Promote the tuned model, unless it is at work already."""
    model = tuned_model(copy)
    if model is None or models.promoted(copy) is not None:
        return
    try:
        models.promote(copy, model.id, actor=actor, reason="the story's model")
    except OperatorError:  # another tab of this visitor was quicker
        return


def _has_failed(copy: Workspace, config: JobConfig) -> bool:
    newest = next(iter(job_rows.list_jobs(copy, kinds=(config.kind,), limit=1)), None)
    return newest is not None and newest.status in ("failed", "cancelled")
