"""Apply a plan: the model labels what the plan leaves to it, people get the rest to judge.

Into the queue go also a share of the automatic labels, to measure their error, and images whose
label is known, to measure the people. Both stand there like any other image: the model's scores are
hidden for them, and for as many others. A plan that can promise nothing labels nothing: to apply it
sends all its images to people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.jobs.configs import ApplyTriage, DescribeQueue, PlanTriage
from core.jobs.context import JobContext
from core.jobs.steps import plan_triage
from core.jobs.steps.evaluate_model import embedding_by_model, evaluated
from core.jobs.steps.find_types import suggest_new
from core.jobs.steps.part_of_job import PartOfJob
from core.jobs.steps.recording import part
from core.jobs.steps.route_images import is_retired
from core.state import applications, catalog, model_roles, models, runs, triage_queue
from core.state.applications import NewApplication
from core.state.change_log import NewLabel
from core.state.knowledge import labelled_by_people
from core.state.model_roles import TEST, VALIDATION
from core.state.models import Model
from core.state.queue_rows import NewItem
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.audit import draw_audit
from core.triage.cards import Card, Labelled, make_cards
from core.triage.ordering import group_alike, mix_in
from core.triage.routing import SurenessScale

ORDERS = ("by_uncertainty", "by_novelty", "by_diversity")


@dataclass(frozen=True)
class _Plan:
    """A plan's run, and what it says of each image that it routes.

    Attributes:
        ids: int64 (n_routed,).
        is_auto: bool (n_routed,), whether the model labels the image.
        predicted: int (n_routed,), places of the classes; -1 where its cluster has none.
        probabilities: float (n_routed, n_classes).
        sureness: float (n_routed,), what the rule decided by; the confidence for the paper's.
        novelty: float (n_routed,), share of the reference images that are less far from all
            classes; None for the paper's rule.
    """

    run: Run
    model: Model
    ids: np.ndarray
    is_auto: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    sureness: np.ndarray
    novelty: np.ndarray | None


def run(context: JobContext, config: ApplyTriage) -> Mapping[str, Any]:
    """Apply one plan, in one transaction.

    Raises:
        OperatorError: the plan is of test images, is out of date, or stands already; or automatic
            labelling is paused.
    """
    workspace = context.workspace
    plan = _load(workspace, _plan_to_apply(context, config))
    context.report(0.6, "Drawing what people check")
    items = _items(context, config, plan)
    context.report(0.9, "Writing the labels")
    done = applications.apply(
        workspace,
        NewApplication(
            plan=plan.run.id,
            model=plan.model.id,
            rule=plan.run.config["rule"],
            max_error=plan.run.config["max_error"],
            delta=plan.run.config["delta"],
            options={
                "threshold": plan.run.result["threshold"],
                "error_bound": plan.run.result["error_bound"],
                **{k: v for k, v in asdict(config).items() if k not in ("plan", "max_error")},
            },
            labels=_labels(plan),
            items=items,
        ),
        actor=context.job.actor,
    )
    return {
        "application": done.id,
        "batch": done.batch_id,
        "plan": done.plan,
        "n_labelled": done.n_labelled,
        "n_queued": done.n_queued,
        "n_audited": done.n_audited,
    }


def describe_queue(context: JobContext, config: DescribeQueue) -> Mapping[str, Any]:
    """Say of images that wait, and that no model has looked at, what this one makes of them.

    Raises:
        OperatorError: there is no such model, or its weights do not fit.
    """
    workspace = context.workspace
    model = models.get_model(workspace, config.model)
    embedding = embedding_by_model(PartOfJob(context, 0.0, 0.6), model, device=config.device)
    evaluation = evaluated(context, model, embedding, seed=0, report=part(context.report, 0.6, 0.9))
    known = runs.load_array(workspace, embedding, "image_ids")
    rows = np.flatnonzero(np.isin(known, triage_queue.undescribed(workspace)))
    features = runs.load_array(workspace, embedding, "vectors", mapped=True)
    cards = make_cards(
        known[rows],
        np.asarray(features[rows]),
        runs.load_array(workspace, evaluation, "probabilities")[rows],
        model.classes,
        labelled_images(workspace, known, features),
        novelty=None,
        seed=0,
    )
    new_types = suggest_new(workspace, model.classes, embedding, np.asarray(features[rows]))
    described = [
        suggesting(card_item(image, card, model), new_type)
        for image, card, new_type in zip(known[rows].tolist(), cards, new_types, strict=True)
    ]
    triage_queue.describe(workspace, _group(workspace, described, known, features, seed=0))
    return {"model": model.id, "n_described": len(described)}


def _plan_to_apply(context: JobContext, config: ApplyTriage) -> str:
    """The plan that was named, or one like it for another promise."""
    if not config.max_error:
        return config.plan
    named = runs.get_run(context.workspace, config.plan)
    if named.config.get("max_error") == config.max_error:
        return named.id
    asked = PlanTriage(
        **{field: named.config[field] for field in ("model", "rule", "delta", "of", "seed")},
        max_error=config.max_error,
        average_flips=named.config.get("average_flips", False),  # plans of before knew none
    )
    made: str = plan_triage.run(PartOfJob(context, 0.0, 0.6), asked)["run"]
    return made


def _load(workspace: Workspace, plan_id: str) -> _Plan:
    done = runs.get_run(workspace, plan_id)
    if done.kind != "triage_plan":
        raise OperatorError(f"{done.id} is no plan of a triage.", next_step="Make one first.")
    if done.config["of"] != "unlabelled":
        raise OperatorError(
            "This plan is of test images, whose labels are known: it is there to be looked at.",
            next_step="Plan for the images without a label.",
        )
    model = models.get_model(workspace, done.config["model"])
    if done.config["rule"] == "risk":
        _refuse_stale(workspace, model, done)

    def load(name: str) -> np.ndarray:
        return runs.load_array(workspace, done, name)

    by_risk = done.config["rule"] == "risk"
    predicted = load("predicted")
    return _Plan(
        run=done,
        model=model,
        ids=load("image_ids"),
        is_auto=load("is_auto") & ~is_retired(workspace, model, predicted),
        predicted=predicted,
        probabilities=load("probabilities").astype(np.float64),
        sureness=load("sureness" if by_risk else "confidence"),
        novelty=SurenessScale(
            load("reference_confidence"), load("reference_familiarity")
        ).share_less_far(load("novelty"))
        if by_risk
        else None,
    )


def is_stale(workspace: Workspace, model: Model, done: Run) -> bool:
    """Whether the calibration images of a plan by risk, or their labels, have changed since."""
    ids = runs.load_array(workspace, runs.get_run(workspace, done.parent_id or ""), "image_ids")
    digest = plan_triage.calibration_digest(workspace, model, ids)
    return bool(digest != done.result["calibration_digest"])


def _refuse_stale(workspace: Workspace, model: Model, done: Run) -> None:
    if is_stale(workspace, model, done):
        raise OperatorError(
            "The calibration images have changed since this plan was made.",
            "What it promises was read off other labels.",
            "Plan again.",
        )


def _labels(plan: _Plan) -> list[NewLabel]:
    rows = np.flatnonzero(plan.is_auto)
    names = [plan.model.classes[place] for place in plan.predicted[rows].tolist()]
    reason = f"plan {plan.run.id}"
    return [
        NewLabel(image, name, model=plan.model.id, score=score, reason=reason)
        for image, name, score in zip(
            plan.ids[rows].tolist(), names, plan.sureness[rows].tolist(), strict=True
        )
    ]


def _items(context: JobContext, config: ApplyTriage, plan: _Plan) -> list[NewItem]:
    """What people get: what the plan leaves to them, and what is mixed in."""
    workspace = context.workspace
    embedding = runs.get_run(workspace, plan.run.parent_id or "")
    known = runs.load_array(workspace, embedding, "image_ids")
    features = runs.load_array(workspace, embedding, "vectors", mapped=True)
    labelled = labelled_images(workspace, known, features)
    left = np.flatnonzero(~plan.is_auto)
    of_left = np.asarray(features[_places(known, plan.ids[left])])
    new_types = suggest_new(workspace, plan.model.classes, embedding, of_left)
    audited = np.flatnonzero(plan.is_auto)
    audited = audited[draw_audit(len(audited), config.audit_share, config.seed)]
    ordinary = _ordinary(config, plan, left, of_left, labelled)
    context.report(0.8, "Drawing known images")
    gold = _draw_gold(workspace, config, plan.model, known, n=len(left))
    mixed_in = _mixed_in(config, plan, audited, gold, features, known, labelled, ordinary)
    shown = _hide(ordinary, n_hidden=len(mixed_in), seed=config.seed)
    # Those judged blind stay as the model sees them: a new type would tell them from the checked.
    shown = [
        item if item.is_blind else suggesting(item, new_type)
        for item, new_type in zip(shown, new_types, strict=True)
    ]
    items = shown + mixed_in
    return _group(workspace, items, known, features, seed=config.seed)


def _ordinary(
    config: ApplyTriage, plan: _Plan, left: np.ndarray, features: np.ndarray, labelled: Labelled
) -> list[NewItem]:
    cards = make_cards(
        plan.ids[left],
        features,
        plan.probabilities[left],
        plan.model.classes,
        labelled,
        novelty=None if plan.novelty is None else plan.novelty[left],
        seed=config.seed,
    )
    rng = np.random.default_rng([config.seed, 2])
    has_second = rng.random(len(left)) < config.second_share
    is_novel = _is_novel(plan, left)
    return [
        card_item(
            image,
            card,
            plan.model,
            kind="novel" if novel else "ambiguous",
            n_opinions=2 if second else 1,
            reason=f"left to people by plan {plan.run.id}",
        )
        for image, card, novel, second in zip(
            plan.ids[left].tolist(), cards, is_novel.tolist(), has_second.tolist(), strict=True
        )
    ]


def _is_novel(plan: _Plan, rows: np.ndarray) -> np.ndarray:
    if plan.novelty is None:
        return np.zeros(len(rows), bool)
    return is_novel(plan.sureness[rows], plan.probabilities[rows])


def is_novel(sureness: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Whether an image waits for how far it lies from all classes, not for a doubt between them."""
    confidence = probabilities.max(axis=1)  # one of the sureness's two factors
    return sureness / confidence < confidence


def _draw_gold(
    workspace: Workspace, config: ApplyTriage, model: Model, known: np.ndarray, *, n: int
) -> list[tuple[int, str]]:
    """Images of known classes, labelled by people, that the model has not learned from."""
    roles = model_roles.image_roles(workspace, model, known)
    rows = np.concatenate([roles.rows(VALIDATION), roles.rows(TEST)])
    rows = rows[labelled_by_people(workspace, known[rows])]
    labels = catalog.column(workspace, known[rows], "label")
    fit = [
        (image, label)
        for image, label in zip(known[rows].tolist(), labels, strict=True)
        if label in model.classes
    ]
    rng = np.random.default_rng([config.seed, 3])
    n_drawn = min(len(fit), round(config.gold_share * n))
    return [fit[place] for place in rng.choice(len(fit), n_drawn, replace=False)] if fit else []


def _mixed_in(
    config: ApplyTriage,
    plan: _Plan,
    audited: np.ndarray,
    gold: Sequence[tuple[int, str]],
    features: np.ndarray,
    known: np.ndarray,
    labelled: Labelled,
    ordinary: Sequence[NewItem],
) -> list[NewItem]:
    """Audited and known images, at places that tell nobody what they are."""
    truths = [plan.model.classes[place] for place in plan.predicted[audited].tolist()]
    ids = plan.ids[audited].tolist() + [image for image, _ in gold]
    if not ids:
        return []
    # A known image is suggested what it is: nothing else of the model's is shown of either kind.
    n_classes = len(plan.model.classes)
    of_gold = np.eye(n_classes)[[plan.model.classes.index(label) for _, label in gold]]
    cards = make_cards(
        np.array(ids),
        np.asarray(features[_places(known, np.array(ids))]),
        np.concatenate([plan.probabilities[audited], of_gold.reshape(-1, n_classes)]),
        plan.model.classes,
        labelled,
        novelty=None,
        seed=config.seed,
    )
    kinds = ["audit"] * len(audited) + ["gold"] * len(gold)
    places = {
        order: mix_in(
            np.array([getattr(item, order) for item in ordinary]), len(ids), config.seed + number
        ).tolist()
        for number, order in enumerate(ORDERS)
    }
    return [
        card_item(
            image,
            card,
            plan.model,
            kind=kind,
            truth=truth,
            is_blind=True,
            reason=f"left to people by plan {plan.run.id}",
            **{order: places[order][number] for order in ORDERS},
        )
        for number, (image, card, kind, truth) in enumerate(
            zip(ids, cards, kinds, [*truths, *(label for _, label in gold)], strict=True)
        )
    ]


def _hide(items: list[NewItem], *, n_hidden: int, seed: int) -> list[NewItem]:
    """Judge as many ordinary images blind as there are others that have to be."""
    rng = np.random.default_rng([seed, 4])
    hidden = set(rng.choice(len(items), min(n_hidden, len(items)), replace=False).tolist())
    return [replace(item, is_blind=place in hidden) for place, item in enumerate(items)]


def card_item(image: int, card: Card, model: Model, **more: Any) -> NewItem:
    """The place in the queue of an image with this card; `more` are further columns."""
    columns: dict[str, Any] = {
        "reason": "",
        "suggested": card.suggested,
        "facts": {
            "top": [[name, round(share, 4)] for name, share in card.top],
            "novelty": None if card.novelty is None else round(card.novelty, 4),
            "nearest": list(card.nearest),
        },
        "model": model.id,
        "by_uncertainty": card.by_uncertainty,
        "by_novelty": card.by_novelty,
        "by_diversity": card.by_diversity,
    }
    return NewItem(image, **(columns | more))


def suggesting(item: NewItem, new_type: str | None) -> NewItem:
    """A type that the model does not know goes before what it takes an image for."""
    return item if new_type is None else replace(item, suggested=new_type)


def labelled_images(workspace: Workspace, known: np.ndarray, features: np.ndarray) -> Labelled:
    """Images that people have labelled, whoever trained on them."""
    rows = np.flatnonzero(labelled_by_people(workspace, known))
    return Labelled(known[rows], np.asarray(features[rows]))


def _places(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rows of images in an embedding, whose ids ascend."""
    return np.searchsorted(known, ids)


def _group(
    workspace: Workspace,
    items: Sequence[NewItem],
    known: np.ndarray,
    features: np.ndarray,
    *,
    seed: int,
) -> list[NewItem]:
    """The same items in groups of alike ones, what is mixed in among those that it is like."""
    if not items:
        return []
    rows = _places(known, np.array([item.image_id for item in items]))
    groups = group_alike(np.asarray(features[rows]), [item.suggested for item in items], seed=seed)
    first = triage_queue.first_free_group(workspace)
    return [
        replace(item, alike=first + group)
        for item, group in zip(items, groups.tolist(), strict=True)
    ]
