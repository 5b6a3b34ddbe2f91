"""Arrivals: every file that came in from a line, what was answered, and what became of it.

One file is one transaction: its image, its label or its place in the queue, and its row here are
there together or not at all, so that a process which is killed leaves nothing half done.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from core.state import applications
from core.state.change_log import NewLabel
from core.state.clock import now
from core.state.database import insert_new, reading, writing
from core.state.intake import NewImage, store_images
from core.state.queue_rows import NewItem, add_items
from core.state.schema import arrivals, queue
from core.state.triage_queue import IS_PENDING
from core.state.workspace import Workspace

DROPPED = "dropped"  # the source of what came through the browser
AUTO, OPERATOR = "auto", "operator"


@dataclass(frozen=True)
class Answer:
    """What a model says of a file, and what that comes to.

    Attributes:
        label: the most probable class; None where no model is at work.
        confidence: its probability, in [0, 1].
        novelty: share of the reference images that are less far from all classes, in [0, 1].
        sureness: what the plan decides by, in [0, 1].
        route: `auto` where the model may label it, else `operator`.
        model: id; None where none is at work.
        plan: id of the run; None where the model has none.
        item: for the queue, where people get it; its image is not known yet.
        check: for the queue, where people check the automatic label.
    """

    label: str | None
    confidence: float | None
    novelty: float | None
    sureness: float | None
    route: str
    model: str | None
    plan: str | None
    item: NewItem
    check: NewItem | None = None


@dataclass(frozen=True)
class NewArrival:
    """A file that came in.

    Attributes:
        changed_at: when it last changed, in seconds since the epoch.
        image: what it holds; None where it is refused.
        answer: None where it is refused.
        reason: why it is refused.
    """

    path: str
    fingerprint: str
    changed_at: float
    image: NewImage | None = None
    answer: Answer | None = None
    reason: str = ""


@dataclass(frozen=True)
class Arrival:
    """A file that came in; see `core.state.schema.arrivals`."""

    id: int
    at: str
    source: str
    path: str
    fingerprint: str
    sha256: str | None
    status: str
    reason: str
    image_id: int | None
    label: str | None
    confidence: float | None
    novelty: float | None
    sureness: float | None
    route: str | None
    model: str | None
    plan: str | None
    seconds: float | None


@dataclass(frozen=True)
class Summary:
    """What came in since some time.

    Attributes:
        n_taken: images that were new.
        n_known: files whose content was there already.
        n_refused: files that are no readable images.
        n_auto: of those taken, labelled by the model.
        slowest_s: 95th percentile of the seconds from the last change to the answer; None where
            nothing was taken.
    """

    n_taken: int
    n_known: int
    n_refused: int
    n_auto: int
    slowest_s: float | None


def take(
    workspace: Workspace,
    source: str,
    found: Sequence[NewArrival],
    *,
    import_id: int,
    application_id: int | None,
    actor: str,
) -> list[Arrival]:
    """Take files in with what was answered, all of them or none; one that is there already is left.

    A content that is in the workspace is `known`: it gets no further label and no place in the
    queue. Where the application was reverted or automatic labelling paused since the answer, people
    get the image.

    Args:
        source: the watched folder, or `DROPPED`.
        application_id: whose plan labels; None where no plan is applied.

    Returns:
        The rows of these files, in their order.
    """
    if not found:
        return []
    with writing(workspace) as connection:
        there = _rows(connection, source, found)
        fresh = [each for each in found if (each.path, each.fingerprint) not in there]
        taken = [each.image for each in fresh if each.image]
        ids, new = store_images(connection, import_id, taken) if taken else ({}, frozenset())
        may_label = application_id is not None and applications.may_extend(
            connection, application_id
        )
        answered: dict[str, Answer] = {}  # by sha256; of two files with one content the first
        for each in fresh:
            if each.image and each.answer and each.image.sha256 in new:
                answered.setdefault(each.image.sha256, _settled(each.answer, may_label))
        _act(connection, answered, ids, application_id if may_label else None, actor=actor)
        left = dict(answered)
        rows = [_row(source, each, ids, left) for each in fresh]
        if rows:
            insert_new(connection, arrivals, rows)
        done = _rows(connection, source, found)
    return [done[each.path, each.fingerprint] for each in found]


def settled(workspace: Workspace, source: str) -> list[tuple[str, str]]:
    """(path, fingerprint) of every file that came from a source."""
    query = sa.select(arrivals.c.path, arrivals.c.fingerprint).where(arrivals.c.source == source)
    with reading(workspace) as connection:
        return [(path, fingerprint) for path, fingerprint in connection.execute(query)]


def list_taken(
    workspace: Workspace, source: str | None = None, *, after: int = 0, limit: int | None = None
) -> list[Arrival]:
    """Images that were taken, in the order in which they came.

    Args:
        source: None for all.
        after: only those with a larger id.
    """
    where = [arrivals.c.status == "taken", arrivals.c.id > after]
    if source is not None:
        where.append(arrivals.c.source == source)
    query = sa.select(arrivals).where(*where).order_by(arrivals.c.id).limit(limit)
    with reading(workspace) as connection:
        return [Arrival(**row._asdict()) for row in connection.execute(query)]


def list_newest(
    workspace: Workspace, *, statuses: Sequence[str] = (), limit: int = 50
) -> list[Arrival]:
    """Files that came in, the newest first."""
    query = sa.select(arrivals).order_by(arrivals.c.id.desc()).limit(limit)
    if statuses:
        query = query.where(arrivals.c.status.in_(statuses))
    with reading(workspace) as connection:
        return [Arrival(**row._asdict()) for row in connection.execute(query)]


def get_arrival(workspace: Workspace, arrival_id: int) -> Arrival | None:
    """One file that came in; None where there is none of this number."""
    query = sa.select(arrivals).where(arrivals.c.id == arrival_id)
    with reading(workspace) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Arrival(**row._asdict())


def newest_id(workspace: Workspace) -> int:
    """The largest number of an arrival; 0 before the first."""
    with reading(workspace) as connection:
        return connection.execute(sa.select(sa.func.max(arrivals.c.id))).scalar() or 0


def summarise(
    workspace: Workspace, *, since: str = "", after: int = 0, source: str | None = None
) -> Summary:
    """Count what came in.

    Args:
        since: a time as `core.state.clock` writes it; empty for all.
        after: only arrivals with a larger id.
        source: None for all.
    """
    where = [arrivals.c.at >= since, arrivals.c.id > after]
    if source is not None:
        where.append(arrivals.c.source == source)
    by_status = (
        sa.select(arrivals.c.status, arrivals.c.route, sa.func.count())
        .where(*where)
        .group_by(arrivals.c.status, arrivals.c.route)
    )
    taken = [*where, arrivals.c.status == "taken", arrivals.c.seconds.is_not(None)]
    with reading(workspace) as connection:
        counts = {(status, route): n for status, route, n in connection.execute(by_status)}
        n_timed = connection.execute(
            sa.select(sa.func.count()).select_from(arrivals).where(*taken)
        ).scalar_one()
        slowest = connection.execute(
            sa.select(arrivals.c.seconds)
            .where(*taken)
            .order_by(arrivals.c.seconds)
            .limit(1)
            .offset(max(0, -(-95 * n_timed // 100) - 1))
        ).scalar()

    def n(status: str) -> int:
        return sum(count for (each, _), count in counts.items() if each == status)

    return Summary(n("taken"), n("known"), n("refused"), counts.get(("taken", AUTO), 0), slowest)


def count_by_minute(workspace: Workspace, *, since: str) -> Mapping[str, int]:
    """Images taken in each minute, by its time to the minute, such as `2026-01-31T12:00`."""
    minute = sa.func.substr(arrivals.c.at, 1, 16)
    query = (
        sa.select(minute, sa.func.count())
        .where(arrivals.c.at >= since, arrivals.c.status == "taken")
        .group_by(minute)
        .order_by(minute)
    )
    with reading(workspace) as connection:
        return dict(connection.execute(query).all())


def _settled(answer: Answer, may_label: bool) -> Answer:
    """The answer as it is carried out."""
    if answer.route == AUTO and not may_label:
        return replace(answer, route=OPERATOR, check=None)
    return answer


def _act(
    connection: sa.Connection,
    answered: Mapping[str, Answer],
    ids: Mapping[str, int],
    application_id: int | None,
    *,
    actor: str,
) -> None:
    """Give the labels, and put into the queue what people get."""
    labels, items = [], []
    for sha256, answer in answered.items():
        image_id = ids[sha256]
        if answer.route == AUTO:
            reason = f"plan {answer.plan}"
            labels.append(
                NewLabel(
                    image_id, answer.label, model=answer.model, score=answer.sureness, reason=reason
                )
            )
        item = answer.check if answer.route == AUTO else answer.item
        if item:
            items.append(replace(item, image_id=image_id))
    items = _with_free_groups(connection, items)
    if application_id is not None:
        applications.extend(connection, application_id, labels, items, actor=actor)
    else:
        add_items(connection, items, actor=actor)


def _with_free_groups(connection: sa.Connection, items: Sequence[NewItem]) -> list[NewItem]:
    """Their groups of alike images, numbered from the first number that is free."""
    newest = connection.execute(sa.select(sa.func.max(queue.c.alike)).where(IS_PENDING)).scalar()
    first = 0 if newest is None else newest + 1
    return [
        item if item.alike is None else replace(item, alike=first + item.alike) for item in items
    ]


def _rows(
    connection: sa.Connection, source: str, found: Sequence[NewArrival]
) -> dict[tuple[str, str], Arrival]:
    """The rows that there are of these files."""
    query = sa.select(arrivals).where(
        arrivals.c.source == source, arrivals.c.path.in_({each.path for each in found})
    )
    wanted = {(each.path, each.fingerprint) for each in found}
    return {
        (row.path, row.fingerprint): Arrival(**row._asdict())
        for row in connection.execute(query)
        if (row.path, row.fingerprint) in wanted
    }


def _row(
    source: str, each: NewArrival, ids: Mapping[str, int], left: dict[str, Answer]
) -> dict[str, object]:
    """The row of a file; the first of a new content takes its answer out of `left`."""
    told = ("label", "confidence", "novelty", "sureness", "route", "model", "plan")
    answer = left.pop(each.image.sha256, None) if each.image else None
    status = "refused" if each.image is None else "known" if answer is None else "taken"
    return {
        "at": now(),
        "source": source,
        "path": each.path,
        "fingerprint": each.fingerprint,
        "sha256": each.image.sha256 if each.image else None,
        "status": status,
        "reason": each.reason,
        "image_id": ids[each.image.sha256] if each.image else None,
        "seconds": max(0.0, time.time() - each.changed_at) if answer else None,
        **{name: getattr(answer, name, None) for name in told},
    }
