"""Answer images as they come in, by the promoted model and its plan, in a process that stays warm.

The network is loaded once and the plan's parts are fitted once; both are looked up anew at every
batch, and loaded anew where another model was promoted or another plan applied. An image that comes
alone is drawn for the audit, for a second opinion and to be judged blind by its own hash, so that
it does not matter with how many others it came, nor whether it is answered twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.jobs.context import JobContext
from core.jobs.steps.apply_triage import (
    card_item,
    is_novel,
    is_stale,
    labelled_images,
    suggesting,
)
from core.jobs.steps.embed_images import find_weights, runs_shaped_by, shaping_of, warm_extractor
from core.jobs.steps.evaluate_model import embedding_by_model
from core.jobs.steps.feature_chunks import Chunks
from core.jobs.steps.find_types import suggest_new
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.predict import temperature_of
from core.jobs.steps.route_images import Router
from core.latent.backbones import get_backbone
from core.settings import load_settings
from core.state import applications, models, runs
from core.state.applications import Application
from core.state.arrivals import AUTO, OPERATOR, Answer
from core.state.models import Model
from core.state.queue_rows import NewItem
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.cards import Card, Labelled, make_cards
from core.triage.ordering import group_alike

if TYPE_CHECKING:
    from PIL import Image

    from core.latent.embedding import FeatureExtractor
    from core.latent.weights import ResolvedWeights
    from core.learning.networks import Head

_CHECK_PLAN_EVERY_S = 30.0
_NOT_KNOWN = -1  # the number of an image that has none yet


@dataclass(frozen=True)
class Answered:
    """What is said of one file.

    Attributes:
        features: float32 (n_features,); None where no model is at work.
        probabilities: of the model's classes, in their order; empty where none is at work.
        nearest: ids of the nearest images that people have labelled, the nearest first.
    """

    answer: Answer
    features: np.ndarray | None = None
    probabilities: tuple[float, ...] = ()
    nearest: tuple[int, ...] = ()


@dataclass(frozen=True)
class _AtWork:
    """A model that is at work, with all that its answers take.

    Attributes:
        application: the one that stands, of this model; None where none does.
        embedding: of known images, whose features are shaped like those of new ones.
        margins: float64, ascending: how far apart the two surest classes of the images lie that the
            plan left to people; a new image finds its place in the order among them.
    """

    model: Model
    plan: Run | None
    application: Application | None
    embedding: Run
    weights: ResolvedWeights
    extractor: FeatureExtractor
    head: Head
    temperature: float
    router: Router
    labelled: Labelled
    margins: np.ndarray
    chunks: Chunks


@dataclass(frozen=True)
class Seen:
    """What a network has made of some files.

    Attributes:
        at_work: the model; None where none is at work, then nothing was looked at.
        rows: int64 (n_seen,), the files that could be read, by their places.
        features: float32 (n_seen, n_features).
        failed: why the others could not, by their places.
    """

    at_work: _AtWork | None
    n_files: int
    rows: np.ndarray
    features: np.ndarray
    failed: Mapping[int, str]


class Responder:
    """Answers files by what is at work now."""

    def __init__(self, context: JobContext, *, device: str = "auto") -> None:
        self._context, self._device = context, device
        self._workspace = context.workspace
        self._at_work: _AtWork | None = None
        self._key: tuple[object, ...] = ()
        self._is_stale, self._checked_at = False, -np.inf

    @property
    def application_id(self) -> int | None:
        """The application that labels what comes in."""
        done = self._at_work.application if self._at_work else None
        return done.id if done else None

    @property
    def model(self) -> Model | None:
        """The model that answers."""
        return self._at_work.model if self._at_work else None

    @property
    def why_people(self) -> str:
        """Why people get every image; empty where the model may label some."""
        if self._at_work is None:
            return "no model is promoted"
        if self._at_work.application is None:
            return f"no plan of {self._at_work.model.id} is applied"
        if self._is_stale:
            return "the calibration images have changed since the plan was made: plan again"
        pause = applications.current_pause(self._workspace)
        return "automatic labelling is paused" if pause is not None and pause.paused else ""

    def refresh(self) -> None:
        """Load what is at work now, where that is something else than before.

        Raises:
            OperatorError: the model, its weights or its plan cannot be read.
        """
        model = models.promoted(self._workspace)
        standing = applications.standing(self._workspace, model.id) if model else None
        plan = applications.plan_at_work(self._workspace, model.id) if model else None
        key = (model and model.id, standing and standing.id, plan and plan.id)
        if key != self._key:
            self._at_work = self._load(model, standing, plan) if model else None
            self._key, self._checked_at = key, -np.inf
        if time.monotonic() - self._checked_at > _CHECK_PLAN_EVERY_S:
            self._is_stale = (
                model is not None
                and plan is not None
                and plan.config["rule"] == "risk"
                and is_stale(self._workspace, model, plan)
            )
            self._checked_at = time.monotonic()

    def look(self, files: Sequence[Path | Image.Image]) -> Seen:
        """Run the network on some files, or images that are decoded: what takes the longest."""
        at_work = self._at_work
        if at_work is None or not files:
            return Seen(at_work, len(files), np.zeros(0, np.int64), np.zeros((0, 0)), {})
        from core.latent.embedding import Chunk, embed_images

        chunks: list[Chunk] = []
        done = embed_images(
            files,
            at_work.extractor,
            max_pixels=load_settings().max_image_pixels,
            on_chunk=chunks.append,
            n_workers=1 if len(files) == 1 else None,
        )
        return Seen(
            at_work,
            len(files),
            np.concatenate([chunk.indices for chunk in chunks]),
            np.concatenate([chunk.features for chunk in chunks]),
            {failure.index: failure.reason for failure in done.failed},
        )

    def say(self, seen: Seen, sha256s: Sequence[str]) -> list[Answered | str]:
        """What is said of files that were looked at, or why they could not be read.

        Args:
            sha256s: of their contents, in their order.
        """
        if seen.at_work is None:
            item = NewItem(_NOT_KNOWN, "came in while no model was at work")
            nothing = Answer(None, None, None, None, OPERATOR, None, None, item)
            return [Answered(nothing) for _ in range(seen.n_files)]
        said: list[Answered | str] = [seen.failed.get(row, "") for row in range(seen.n_files)]
        hashes = [sha256s[row] for row in seen.rows.tolist()]
        answers = self._answers(seen.at_work, seen.features, hashes)
        for row, each in zip(seen.rows.tolist(), answers, strict=True):
            said[row] = each
        return said

    def keep(self, image_ids: Sequence[int], answered: Sequence[Answered]) -> None:
        """Keep features where the next embedding finds them.

        Args:
            image_ids: of the images that were answered, in their order.
        """
        features = [each.features for each in answered if each.features is not None]
        if self._at_work is not None and features:
            self._at_work.chunks.add(image_ids, np.stack(features))

    def _load(self, model: Model, standing: Application | None, plan: Run | None) -> _AtWork:
        from core.learning.networks import load_head

        workspace = self._workspace
        average_flips = plan is not None and bool(plan.config.get("average_flips"))
        weights = find_weights(workspace, model.backbone, model=model.id)
        shaping = shaping_of(weights, average_flips=average_flips)
        embedding = self._embedding(model, plan, shaping, average_flips=average_flips)
        known = runs.load_array(workspace, embedding, "image_ids")
        vectors = runs.load_array(workspace, embedding, "vectors", mapped=True)
        return _AtWork(
            model=model,
            plan=plan,
            application=standing,
            embedding=embedding,
            weights=weights,
            extractor=warm_extractor(weights, self._device, average_flips),
            head=load_head(models.weights_path(workspace, model.id), get_backbone(model.backbone)),
            temperature=temperature_of(workspace, model, average_flips=average_flips),
            router=Router(workspace, model, plan),
            labelled=labelled_images(workspace, known, vectors),
            margins=_margins_left(workspace, plan),
            chunks=Chunks(workspace, shaping),
        )

    def _embedding(
        self, model: Model, plan: Run | None, shaping: dict[str, Any], *, average_flips: bool
    ) -> Run:
        """Features of known images, shaped like those of new ones: the plan's, else the newest."""
        if plan is not None and plan.parent_id:
            return runs.get_run(self._workspace, plan.parent_id)
        for done in runs_shaped_by(self._workspace, shaping):
            return done
        whole = PartOfJob(self._context, 0.0, 1.0)
        return embedding_by_model(whole, model, device=self._device, average_flips=average_flips)

    def _answers(
        self,
        at_work: _AtWork,
        features: np.ndarray,
        sha256s: Sequence[str],
    ) -> list[Answered]:
        from core.learning.calibration import softmax

        if not len(features):
            return []
        probabilities = softmax(at_work.head.logits(features), temperature=at_work.temperature)
        routes = at_work.router.route(features, probabilities)
        may_label = at_work.application is not None and not self._is_stale
        is_auto = routes.is_auto & may_label
        novel = (
            np.zeros(len(features), bool)
            if routes.sureness is None
            else is_novel(routes.sureness, probabilities)
        )
        cards = make_cards(
            np.full(len(features), _NOT_KNOWN),
            features,
            probabilities,
            at_work.model.classes,
            at_work.labelled,
            novelty=routes.novelty,
            seed=0,
        )
        checks = [
            _check(at_work, card, sha256) if auto else None
            for card, sha256, auto in zip(cards, sha256s, is_auto.tolist(), strict=True)
        ]
        new_types = suggest_new(self._workspace, at_work.model.classes, at_work.embedding, features)
        groups = _groups(features, cards, ~is_auto | [check is not None for check in checks])
        return [
            Answered(
                answer=Answer(
                    label=card.suggested,
                    confidence=float(probabilities[place].max()),
                    novelty=card.novelty,
                    sureness=None if routes.sureness is None else float(routes.sureness[place]),
                    route=AUTO if is_auto[place] else OPERATOR,
                    model=at_work.model.id,
                    plan=at_work.plan.id if at_work.plan else None,
                    item=_item(
                        at_work,
                        card,
                        sha256s[place],
                        new_types[place],
                        alike=groups.get(place),
                        kind="novel" if novel[place] else "ambiguous",
                        by_uncertainty=_place_among(at_work.margins, probabilities[place]),
                    ),
                    check=_in_group(checks[place], groups.get(place)),
                ),
                features=features[place],
                probabilities=tuple(probabilities[place].tolist()),
                nearest=card.nearest,
            )
            for place, card in enumerate(cards)
        ]


def features_of(context: JobContext, model: Model, image_ids: np.ndarray) -> np.ndarray:
    """Features of images, made like those of the plan that a model works by.

    What was computed when they came in is taken; only what is missing is computed.

    Args:
        image_ids: int64 (n_images,), of images that are in the workspace.

    Returns:
        float32 (n_images, n_features), in their order.

    Raises:
        OperatorError: the weights cannot be read, or an image cannot.
    """
    workspace = context.workspace
    plan = applications.plan_at_work(workspace, model.id)
    average_flips = plan is not None and bool(plan.config.get("average_flips"))
    weights = find_weights(workspace, model.backbone, model=model.id)
    shaping = shaping_of(weights, average_flips=average_flips)
    found = np.full(
        (len(image_ids), get_backbone(model.backbone).n_features), np.nan, dtype=np.float32
    )
    stored = [
        (runs.load_array(workspace, done, "image_ids"), done)
        for done in runs_shaped_by(workspace, shaping)
    ]
    parts = [
        *Chunks(workspace, shaping).load(),
        *((ids, runs.load_array(workspace, done, "vectors", mapped=True)) for ids, done in stored),
    ]
    for ids, features in parts:
        order = np.argsort(ids)
        places = np.searchsorted(ids, image_ids, sorter=order).clip(max=max(len(ids) - 1, 0))
        if len(ids):
            rows = order[places]
            is_there = ids[rows] == image_ids
            found[is_there] = features[rows[is_there]]
    is_missing = np.isnan(found).any(axis=1)
    if is_missing.any():
        done = embedding_by_model(
            PartOfJob(context, 0.0, 1.0), model, device="auto", average_flips=average_flips
        )
        ids = runs.load_array(workspace, done, "image_ids")
        vectors = runs.load_array(workspace, done, "vectors", mapped=True)
        there = is_missing & np.isin(image_ids, ids)
        found[there] = vectors[np.searchsorted(ids, image_ids[there])]
    return found


def _margins_left(workspace: Workspace, plan: Run | None) -> np.ndarray:
    if plan is None:
        return np.zeros(0)
    left = ~runs.load_array(workspace, plan, "is_auto")
    return np.sort(_margins(runs.load_array(workspace, plan, "probabilities")[left]))


def _margins(probabilities: np.ndarray) -> np.ndarray:
    surest = np.sort(probabilities.astype(np.float64), axis=1)[:, ::-1]
    return surest[:, 0] - surest[:, 1:2].sum(axis=1)


def _place_among(margins: np.ndarray, probabilities: np.ndarray) -> float:
    """Place in the order by uncertainty, in [0, 1]: the share of images that are less sure."""
    margin = float(_margins(probabilities[None])[0])
    return float(np.searchsorted(margins, margin) / len(margins)) if len(margins) else margin


def _item(at_work: _AtWork, card: Card, sha256: str, new_type: str | None, **more: Any) -> NewItem:
    """The place in the queue of an image that people get."""
    options = at_work.application.options if at_work.application else {}
    has_second = _drawn(at_work, sha256, "second opinion") < options.get("second_share", 0.0)
    by = f"plan {at_work.plan.id}" if at_work.plan else at_work.model.id
    by_novelty = {} if card.novelty is None else {"by_novelty": 1.0 - card.novelty}
    item = card_item(
        _NOT_KNOWN,
        card,
        at_work.model,
        reason=f"left to people by {by}",
        n_opinions=2 if has_second else 1,
        is_blind=_drawn(at_work, sha256, "blind") < _blind_share(at_work),
        **(by_novelty | more),
    )
    # Judged blind, it stays as the model sees it: a new type would tell it from the checked.
    return item if item.is_blind else suggesting(item, new_type)


def _groups(features: np.ndarray, cards: Sequence[Card], is_queued: np.ndarray) -> dict[int, int]:
    """Groups of alike images among those that people get, by their rows."""
    rows = np.flatnonzero(is_queued)
    if not len(rows):
        return {}
    suggested = [cards[row].suggested for row in rows.tolist()]
    groups = group_alike(features[rows], suggested, seed=0)
    return dict(zip(rows.tolist(), groups.tolist(), strict=True))


def _in_group(item: NewItem | None, alike: int | None) -> NewItem | None:
    return None if item is None else replace(item, alike=alike)


def _check(at_work: _AtWork, card: Card, sha256: str) -> NewItem | None:
    """What people check of the automatic labels, at places that tell nobody what it is."""
    assert at_work.application is not None
    share = at_work.application.options.get("audit_share", 0.0)
    if _drawn(at_work, sha256, "audit") >= share:
        return None
    orders = ("by_uncertainty", "by_novelty", "by_diversity")
    return card_item(
        _NOT_KNOWN,
        card,
        at_work.model,
        kind="audit",
        truth=card.suggested,
        is_blind=True,
        reason=f"left to people by plan {at_work.application.plan}",
        **{order: _drawn(at_work, sha256, order) for order in orders},
    )


def _blind_share(at_work: _AtWork) -> float:
    """Of what people get, so that there are as many blind images as audited ones."""
    if at_work.application is None or at_work.plan is None:
        return 0.0
    auto = at_work.plan.result["auto_share"]
    share = at_work.application.options.get("audit_share", 0.0)
    return min(1.0, share * auto / (1.0 - auto)) if auto < 1 else 1.0


def _drawn(at_work: _AtWork, sha256: str, what: str) -> float:
    """A number in [0, 1) that is drawn by the application's seed and the image's content."""
    done = at_work.application
    seed = (done.plan, done.options.get("seed", 0)) if done else ("", 0)
    digest = hashlib.sha256(f"{seed} {what} {sha256}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
