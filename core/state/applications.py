"""Plans that are carried out: a model's labels, given in one transaction and taken back in one.

With the labels goes the queue: what the plan leaves to people, the share of the automatic labels
that people check, and images whose label is known. A label that a person gave is never touched,
neither when a plan is applied nor when it is reverted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.application_batches import (
    growing_batch,
    restore_batches,
    standing_batches,
    wanted,
    withdraw_checks,
)
from core.state.change_log import NewLabel, append_labels, close_batch, open_batch
from core.state.clock import now
from core.state.database import reading, writing
from core.state.queue_rows import NewItem, add_items
from core.state.runs import Run, find_run, list_runs
from core.state.schema import (
    application_batches,
    applications,
    changes,
    decisions,
    images,
    pauses,
    queue,
)
from core.state.triage_queue import IS_PENDING, is_standing
from core.state.workspace import Workspace


@dataclass(frozen=True)
class NewApplication:
    """What a plan does when it is applied.

    Attributes:
        plan: id of the run that says who labels what.
        model: id of the model.
        rule: `risk` or `cluster`.
        max_error: the promised share of wrong labels, in (0, 1).
        delta: chance that the promise fails, in (0, 1).
        options: what was chosen besides, as JSON.
        labels: those of the model, with its scores.
        items: for the queue.
    """

    plan: str
    model: str
    rule: str
    max_error: float
    delta: float
    options: Mapping[str, Any]
    labels: Sequence[NewLabel]
    items: Sequence[NewItem]


@dataclass(frozen=True)
class Application:
    """A plan that was applied; see `core.state.schema.applications`."""

    id: int
    at: str
    actor: str
    plan: str
    model: str
    rule: str
    max_error: float
    delta: float
    options: Mapping[str, Any]
    batch_id: int
    n_labelled: int
    n_queued: int
    n_audited: int
    reverted_at: str | None
    reverted_by: str | None


@dataclass(frozen=True)
class Reverted:
    """What taking an application back did; the `n_kept` images had been decided by people since."""

    n_restored: int
    n_kept: int
    n_withdrawn: int


@dataclass(frozen=True)
class CheckedLabel:
    """An automatic label that a person has checked.

    Attributes:
        at: when, ISO 8601 in UTC.
        automatic: the model's label.
        decided: the person's.
    """

    at: str
    image_id: int
    application_id: int
    model: str
    automatic: str
    decided: str


@dataclass(frozen=True)
class DecidedImage:
    """An image of an application that people have judged.

    Attributes:
        was_checked: to check an automatic label; else the plan had left it to people.
        plan: of the application.
        audit_share: of the automatic labels that its people check, in [0, 1].
    """

    image_id: int
    sha256: str
    split: str | None
    was_checked: bool
    plan: str
    audit_share: float


@dataclass(frozen=True)
class Pause:
    """Whether automatic labelling rests, since when, and why."""

    at: str
    actor: str
    paused: bool
    reason: str
    evidence: Mapping[str, Any]


def resumed_at(pause: Pause | None) -> str:
    """When a person let automatic labelling go on; empty where it rests, or always went on."""
    return pause.at if pause is not None and not pause.paused else ""


def apply(workspace: Workspace, asked: NewApplication, *, actor: str) -> Application:
    """Give the model's labels and fill the queue, all of it or nothing.

    Images that got a label since the plan was made keep it. Those that wait in the queue already
    stay there, and are told there what the model says of them.

    Raises:
        OperatorError: automatic labelling is paused, or this plan stands already.
    """
    with writing(workspace) as connection:
        _refuse_if_paused(connection)
        _refuse_if_standing(connection, asked.plan)
        labels, items = wanted(connection, asked.labels, asked.items)
        batch_id = open_batch(connection, action="auto_label", actor=actor, detail=_detail(asked))
        append_labels(connection, batch_id, labels, origin="automatic")
        close_batch(connection, batch_id)
        row = {
            "at": now(),
            "actor": actor,
            **{key: value for key, value in vars(asked).items() if key not in ("labels", "items")},
            "batch_id": batch_id,
            "n_labelled": len(labels),
            "n_queued": len(items),
            "n_audited": sum(each.kind == "audit" for each in items),
        }
        application_id = connection.execute(
            applications.insert().values(row).returning(applications.c.id)
        ).scalar_one()
        add_items(
            connection,
            [replace(each, application_id=application_id) for each in items],
            actor=actor,
        )
        return _get(connection, application_id)


def may_extend(connection: sa.Connection, application_id: int) -> bool:
    """Whether an application may label further images now; it is held until the transaction ends.

    It may not once it was reverted, nor while automatic labelling is paused.
    """
    reverted_at = connection.execute(
        sa.select(applications.c.reverted_at)
        .where(applications.c.id == application_id)
        .with_for_update()
    ).scalar_one()
    newest = _newest_pause(connection)
    return reverted_at is None and not (newest is not None and newest.paused)


def extend(
    connection: sa.Connection,
    application_id: int,
    labels: Sequence[NewLabel],
    items: Sequence[NewItem],
    *,
    actor: str,
) -> None:
    """Label and queue, by an application that stands, what has come in since, in the caller's
    transaction.

    What comes in within an hour is one batch, so that the log of changes stays readable. Images
    that have a label keep it, and those that wait in the queue stay there, as in `apply`.

    Raises:
        OperatorError: the application is reverted, or automatic labelling is paused.
    """
    if labels and not may_extend(connection, application_id):
        raise OperatorError(f"Application {application_id} may label nothing now.")
    labels, items = wanted(connection, labels, items)
    if labels:
        batch_id = growing_batch(
            connection,
            application_id,
            detail=_detail(_get(connection, application_id)) | {"application": application_id},
            actor=actor,
        )
        append_labels(connection, batch_id, labels, origin="automatic")
        close_batch(connection, batch_id)
    add_items(
        connection, [replace(each, application_id=application_id) for each in items], actor=actor
    )
    connection.execute(
        applications.update()
        .where(applications.c.id == application_id)
        .values(
            n_labelled=applications.c.n_labelled + len(labels),
            n_queued=applications.c.n_queued + len(items),
            n_audited=applications.c.n_audited + sum(each.kind == "audit" for each in items),
        )
    )


def revert(workspace: Workspace, application_id: int, *, actor: str) -> Reverted:
    """Take a model's labels back, where no person has decided since, and what was to check them.

    What the plan left to people stays in the queue.

    Raises:
        OperatorError: there is no such application, or it is reverted already.
    """
    with writing(workspace) as connection:
        _hold(connection, application_id)
        done = _get(connection, application_id)
        if done.reverted_at:
            raise OperatorError(f"Application {application_id} has been reverted already.")
        return _revert(connection, done, actor=actor)


def revert_batch(workspace: Workspace, batch_id: int, *, actor: str) -> Reverted:
    """Revert the application that began with a batch of labels; or, of one that came in later,
    this batch alone: the application stands on.

    Raises:
        OperatorError: the batch belongs to none, or it is reverted already.
    """
    with reading(workspace) as connection:
        found = connection.execute(
            sa.select(applications.c.id).where(applications.c.batch_id == batch_id)
        ).scalar()
        extended = connection.execute(
            sa.select(application_batches.c.application_id).where(
                application_batches.c.batch_id == batch_id
            )
        ).scalar()
    if found is not None:
        return revert(workspace, found, actor=actor)
    if extended is None:
        raise OperatorError(f"Change {batch_id} is no batch of automatic labels.")
    with writing(workspace) as connection:
        _hold(connection, extended)
        if not standing_batches(connection, [batch_id]):
            raise OperatorError("This change has been undone already.")
        labelled = sa.select(changes.c.image_id).where(changes.c.batch_id == batch_id)
        withdrawn = withdraw_checks(connection, extended, queue.c.image_id.in_(labelled))
        n_restored, n_kept = restore_batches(connection, [batch_id], actor=actor)
        return Reverted(n_restored, n_kept, withdrawn)


def list_applications(workspace: Workspace, *, limit: int | None = None) -> list[Application]:
    """Applied plans, the newest first, reverted ones among them."""
    query = sa.select(applications).order_by(applications.c.id.desc()).limit(limit)
    with reading(workspace) as connection:
        return [Application(**row._asdict()) for row in connection.execute(query)]


def standing(workspace: Workspace, model: str) -> Application | None:
    """The plan of this model that was applied last and not reverted; None where there is none."""
    found = (
        each
        for each in list_applications(workspace)
        if each.model == model and not each.reverted_at
    )
    return next(found, None)


def plan_at_work(workspace: Workspace, model: str) -> Run | None:
    """The plan that a model works by: the one applied last, else the newest that promises any."""
    applied = standing(workspace, model)
    if applied is not None:
        return find_run(workspace, applied.plan)
    for run in list_runs(workspace, "triage_plan"):
        asked = run.config
        if (asked["model"], asked["rule"]) == (model, "risk") and run.result["feasible"]:
            return run
    return None


def list_checked(workspace: Workspace, *, model: str | None = None) -> list[CheckedLabel]:
    """Automatic labels that people have checked, in the order of their decisions.

    Of an item on which people disagreed, what settled it counts; while none has, it is left out.

    Args:
        model: only labels of this model.
    """
    newest = (
        sa.select(sa.func.max(decisions.c.id))
        .where(
            decisions.c.item_id == queue.c.id,
            decisions.c.kind.in_(("label", "settle")),
            is_standing(),
        )
        .correlate(queue)
        .scalar_subquery()
    )
    query = (
        sa.select(
            decisions.c.at,
            queue.c.image_id,
            queue.c.application_id,
            queue.c.model,
            queue.c.truth.label("automatic"),
            decisions.c.label.label("decided"),
        )
        .select_from(queue.join(decisions, decisions.c.id == newest))
        .where(queue.c.kind == "audit", queue.c.state.in_(("decided", "pending", "withdrawn")))
        .order_by(decisions.c.id)
    )
    if model is not None:
        query = query.where(queue.c.model == model)
    with reading(workspace) as connection:
        return [CheckedLabel(**row._asdict()) for row in connection.execute(query)]


def list_decided(workspace: Workspace) -> list[DecidedImage]:
    """Images of standing applications that people have judged, by image.

    Known images that were mixed in are none of the stream, and left out.
    """
    query = (
        sa.select(
            queue.c.image_id,
            images.c.sha256,
            images.c.split,
            queue.c.kind,
            applications.c.plan,
            applications.c.options,
        )
        .join(images, images.c.id == queue.c.image_id)
        .join(applications, applications.c.id == queue.c.application_id)
        .where(
            queue.c.state == "decided",
            queue.c.kind.in_(("ambiguous", "novel", "audit")),
            applications.c.reverted_at.is_(None),
            images.c.label_origin == "human",
        )
        .order_by(queue.c.image_id, queue.c.id)
    )
    with reading(workspace) as connection:
        found = {
            row.image_id: DecidedImage(
                image_id=row.image_id,
                sha256=row.sha256,
                split=row.split,
                was_checked=row.kind == "audit",
                plan=row.plan,
                audit_share=float(row.options.get("audit_share", 0.0)),
            )
            for row in connection.execute(query)
        }
    return list(found.values())


def count_unchecked(workspace: Workspace) -> int:
    """Audited images that wait for a person."""
    query = sa.select(sa.func.count()).select_from(queue).where(IS_PENDING, queue.c.kind == "audit")
    with reading(workspace) as connection:
        return connection.execute(query).scalar_one()


def current_pause(workspace: Workspace) -> Pause | None:
    """The newest word on whether automatic labelling rests; None where it never has."""
    with reading(workspace) as connection:
        return _newest_pause(connection)


def pause(
    workspace: Workspace, reason: str, *, actor: str, evidence: Mapping[str, Any] | None = None
) -> None:
    """Let automatic labelling rest; where it rests already the first reason stays.

    Raises:
        OperatorError: no reason is given.
    """
    if not reason.strip():
        raise OperatorError("Say why automatic labelling is to rest.")
    _turn(workspace, True, reason.strip(), actor=actor, evidence=evidence or {})


def resume(workspace: Workspace, reason: str, *, actor: str) -> None:
    """Let automatic labelling go on.

    Raises:
        OperatorError: no reason is given.
    """
    if not reason.strip():
        raise OperatorError("Say why automatic labelling may go on.")
    _turn(workspace, False, reason.strip(), actor=actor, evidence={})


def _turn(
    workspace: Workspace, paused: bool, reason: str, *, actor: str, evidence: Mapping[str, Any]
) -> None:
    with writing(workspace) as connection:
        newest = _newest_pause(connection)
        if (newest is not None and newest.paused) == paused:
            return
        connection.execute(
            pauses.insert().values(
                at=now(), actor=actor, paused=paused, reason=reason, evidence=dict(evidence)
            )
        )


def _newest_pause(connection: sa.Connection) -> Pause | None:
    columns = [pauses.c[name] for name in ("at", "actor", "paused", "reason", "evidence")]
    row = connection.execute(
        sa.select(*columns).order_by(pauses.c.id.desc()).limit(1)
    ).one_or_none()
    return None if row is None else Pause(**row._asdict())


def _refuse_if_paused(connection: sa.Connection) -> None:
    newest = _newest_pause(connection)
    if newest is not None and newest.paused:
        raise OperatorError(
            "Automatic labelling is paused.",
            newest.reason,
            "Look at the audit on the page Triage, then let it go on there.",
        )


def _refuse_if_standing(connection: sa.Connection, plan: str) -> None:
    standing = connection.execute(
        sa.select(applications.c.id).where(
            applications.c.plan == plan, applications.c.reverted_at.is_(None)
        )
    ).scalar()
    if standing is not None:
        raise OperatorError(
            "This plan has been applied already.",
            f"It is application {standing}.",
            "Plan again for what has come since, or revert that one.",
        )


def _revert(connection: sa.Connection, done: Application, *, actor: str) -> Reverted:
    later = connection.execute(
        sa.select(application_batches.c.batch_id)
        .where(application_batches.c.application_id == done.id)
        .order_by(application_batches.c.batch_id.desc())
    ).scalars()
    # The newest first, as brackets close.
    standing = standing_batches(connection, [*later, done.batch_id])
    n_restored, n_kept = restore_batches(connection, standing, actor=actor)
    withdrawn = withdraw_checks(connection, done.id)
    connection.execute(
        applications.update()
        .where(applications.c.id == done.id)
        .values(reverted_at=now(), reverted_by=actor)
    )
    return Reverted(n_restored, n_kept, withdrawn)


def _detail(plan: NewApplication | Application) -> dict[str, Any]:
    """What a batch of labels tells of the plan that gave them."""
    return {name: getattr(plan, name) for name in ("plan", "model", "rule", "max_error", "delta")}


def _hold(connection: sa.Connection, application_id: int) -> None:
    """Two people who take it back at once follow each other."""
    connection.execute(
        sa.select(applications.c.id).where(applications.c.id == application_id).with_for_update()
    )


def _get(connection: sa.Connection, application_id: int) -> Application:
    row = connection.execute(
        sa.select(applications).where(applications.c.id == application_id)
    ).one_or_none()
    if row is None:
        raise OperatorError(f"There is no application number {application_id}.")
    return Application(**row._asdict())
