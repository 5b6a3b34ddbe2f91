"""The triage queue: which image does a person get next, and who holds which?

An opinion on an item is leased to one person for a while, and the lease is renewed while that
person looks; one that has run out is anybody's. No person is given two opinions of one item, nor an
item that they have passed over. Leases only spare people double work: what a decision does is
settled in `core.state.decisions`, whoever held the item.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.database import is_one_of, reading, writing
from core.state.queue_rows import NewItem, describe_items, is_open
from core.state.schema import decisions, images, opinions, queue
from core.state.workspace import Workspace
from core.vocabulary import ORDERS

KINDS = ("picked", "ambiguous", "novel", "audit", "gold")
LEASE_S = 120.0
SAID = ("label", "skip", "flag", "settle")  # kinds of decisions that say something of an item
# Literal, for SQLite takes an index over some states only where it can see their names.
IS_PENDING = queue.c.state == sa.literal_column("'pending'")
IS_DECIDED = queue.c.state == sa.literal_column("'decided'")
IS_UNSETTLED = sa.literal_column("queue.state IN ('conflict', 'flagged')", sa.Boolean)
_PLACES = {
    "uncertainty": queue.c.by_uncertainty,
    "novelty": queue.c.by_novelty,
    "diversity": queue.c.by_diversity,
    "oldest": queue.c.added_at,
}


@dataclass(frozen=True)
class QueueItem:
    """An image to judge, and what there is to know of it.

    Attributes:
        title: the image's name.
        opinion: number of the opinion that is leased, from 1.
        n_opinions: how many are wanted.
        seen: the image's present label.
        suggested: the label that the model suggests; None where no model has looked at it.
        is_blind: the model's scores, and why the image is here, are told only after the decision.
        top: up to three classes with their confidences in [0, 1], the surest first.
        novelty: share of the validation images that are less far from all classes, in [0, 1].
        nearest: ids of the nearest images that people have labelled, the nearest first.
        kind: one of `KINDS`; not to be shown before the decision.
        alike: number of its group of alike images.
    """

    id: int
    image_id: int
    title: str
    opinion: int
    n_opinions: int
    seen: str | None
    suggested: str | None
    is_blind: bool
    top: tuple[tuple[str, float], ...]
    novelty: float | None
    nearest: tuple[int, ...]
    kind: str
    reason: str
    model: str | None
    added_at: str
    alike: int | None


@dataclass(frozen=True)
class Progress:
    """How far the queue is, as one person sees it.

    Attributes:
        n_pending: items that still want an opinion.
        n_decided: items decided since the oldest of the pending ones came in.
        n_leased_by_others: opinions that others look at now.
        n_skipped: pending items that this person has passed over.
        n_to_settle: items on which people disagree, or that one has flagged.
    """

    n_pending: int
    n_decided: int
    n_leased_by_others: int
    n_skipped: int
    n_to_settle: int


def lease(
    workspace: Workspace, *, actor: str, n: int, order: str = "uncertainty"
) -> list[QueueItem]:
    """Items for a person to judge: those that they hold already, then the next ones.

    Args:
        n: at most so many.
        order: one of `ORDERS`, of those that are new to the person.

    Raises:
        ValueError: there is no such order.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")
    now = time.time()
    with writing(workspace) as connection:
        held = _renew_held(connection, actor, now)
        if len(held) < n:
            wanted = _free_opinions(connection, actor, now)
            ordered = wanted.order_by(_PLACES[order], queue.c.id)
            held += _take(connection, ordered.limit(n - len(held)), actor, now)
        return _items(connection, held[:n])


def lease_alike(workspace: Workspace, *, actor: str, limit: int = 48) -> list[QueueItem]:
    """One group of alike images that are suggested one label; none where all groups are done.

    What the person holds besides is given back.
    """
    now = time.time()
    with writing(workspace) as connection:
        held = _renew_held(connection, actor, now)
        holding = _items(connection, held)
        group = next(((i.alike, i.suggested) for i in holding if i.alike is not None), None)
        if group is None:
            free = _free_opinions(connection, actor, now, queue.c.alike, queue.c.suggested)
            found = connection.execute(
                free.where(queue.c.alike.is_not(None))
                .order_by(queue.c.by_uncertainty, queue.c.id)
                .limit(1)
            ).first()
            group = (found.alike, found.suggested) if found else None
        ours = [item for item in holding if group and (item.alike, item.suggested) == group]
        kept = {item.id for item in ours}
        _give_back(connection, actor, [item.id for item in holding if item.id not in kept])
        if group is None:
            return []
        opinion_of = {item: opinion for opinion, item in _pairs(connection, held).items()}
        opinions_held = [opinion_of[item.id] for item in ours]
        more = (
            _free_opinions(connection, actor, now)
            .where(queue.c.alike == group[0], queue.c.suggested == group[1])
            .order_by(queue.c.by_uncertainty, queue.c.id)
            .limit(max(0, limit - len(ours)))
        )
        return _items(connection, opinions_held + _take(connection, more, actor, now))


def renew(workspace: Workspace, item_ids: Iterable[int], *, actor: str) -> int:
    """Keep what a person looks at for another while; returns how many they still held."""
    with writing(workspace) as connection:
        done = connection.execute(
            opinions.update()
            .where(
                opinions.c.holder == actor,
                opinions.c.decision_id.is_(None),
                is_one_of(connection, opinions.c.item_id, item_ids),
            )
            .values(leased_until=time.time() + LEASE_S)
        )
        return done.rowcount


def release(workspace: Workspace, *, actor: str, item_ids: Collection[int] | None = None) -> int:
    """Give back what a person holds, or some of it; returns how many there were."""
    with writing(workspace) as connection:
        return _give_back(connection, actor, item_ids)


def progress(workspace: Workspace, *, actor: str) -> Progress:
    """How far the queue is."""
    pending = sa.select(sa.func.count()).select_from(queue).where(IS_PENDING)
    oldest = sa.select(sa.func.min(queue.c.added_at)).where(IS_PENDING).scalar_subquery()
    newest = sa.select(sa.func.max(queue.c.added_at)).where(IS_DECIDED).scalar_subquery()
    decided = (
        sa.select(sa.func.count())
        .select_from(queue)
        .where(IS_DECIDED, queue.c.added_at >= sa.func.coalesce(oldest, newest))
    )
    others = (
        sa.select(sa.func.count())
        .select_from(opinions)
        .where(
            opinions.c.decision_id.is_(None),
            opinions.c.holder.is_not(None),
            opinions.c.holder != actor,
            opinions.c.leased_until >= time.time(),
        )
    )
    skipped = (
        sa.select(sa.func.count(sa.distinct(decisions.c.item_id)))
        .join(queue, queue.c.id == decisions.c.item_id)
        .where(decisions.c.actor == actor, decisions.c.kind == "skip", is_standing(), IS_PENDING)
    )
    unsettled = sa.select(sa.func.count()).select_from(queue).where(IS_UNSETTLED)
    parts = (pending, decided, others, skipped, unsettled)
    with reading(workspace) as connection:
        counts = connection.execute(sa.select(*(each.scalar_subquery() for each in parts))).one()
    return Progress(*counts)


def item_of(workspace: Workspace, image_id: int) -> int:
    """The item by which an image waits, or else waited last.

    Raises:
        OperatorError: it never has.
    """
    query = (
        sa.select(queue.c.id)
        .where(queue.c.image_id == image_id)
        .order_by(sa.case((is_open(), 0), else_=1), queue.c.id.desc())
        .limit(1)
    )
    with reading(workspace) as connection:
        found = connection.execute(query).scalar()
    if found is None:
        raise OperatorError(
            f"Image {image_id} is not in the queue.",
            next_step="Send it to triage first, from any page that shows it.",
        )
    return found


def first_free_group(workspace: Workspace) -> int:
    """A number that no group of alike images that waits has, nor any above it."""
    query = sa.select(sa.func.max(queue.c.alike)).where(IS_PENDING)
    with reading(workspace) as connection:
        newest = connection.execute(query).scalar()
    return 0 if newest is None else newest + 1


def undescribed(workspace: Workspace) -> list[int]:
    """Ids of the images that wait and that no model has looked at."""
    with reading(workspace) as connection:
        return list(connection.execute(_undescribed()).scalars())


def has_undescribed(workspace: Workspace) -> bool:
    """Whether an image waits that no model has looked at."""
    with reading(workspace) as connection:
        return connection.execute(_undescribed().limit(1)).first() is not None


def describe(workspace: Workspace, items: Sequence[NewItem]) -> None:
    """Say of images that wait what a model has found out about them."""
    with writing(workspace) as connection:
        describe_items(connection, items)


def is_standing(rows: sa.FromClause = decisions) -> sa.ColumnElement[bool]:
    """Whether a decision has not been taken back."""
    undoing = decisions.alias()
    return ~sa.exists().where(undoing.c.undoes == rows.c.id)


def _undescribed() -> sa.Select:
    return sa.select(queue.c.image_id).where(
        IS_PENDING, sa.literal_column("queue.facts IS NULL", sa.Boolean)
    )


def _free_opinions(
    connection: sa.Connection, actor: str, now: float, *columns: sa.ColumnElement
) -> sa.Select:
    """Opinions that this person may be given, one an item; their ids, or other columns."""
    other = opinions.alias("other")
    said = decisions.alias("said")
    is_free = sa.or_(opinions.c.holder.is_(None), opinions.c.leased_until < now)
    is_mine = sa.exists().where(
        other.c.item_id == opinions.c.item_id,
        other.c.holder == actor,
        sa.or_(other.c.decision_id.is_not(None), other.c.leased_until >= now),
    )
    comes_later = sa.exists().where(
        other.c.item_id == opinions.c.item_id,
        other.c.number < opinions.c.number,
        other.c.decision_id.is_(None),
        sa.or_(other.c.holder.is_(None), other.c.leased_until < now),
    )
    is_said = sa.exists().where(
        said.c.item_id == queue.c.id,
        said.c.actor == actor,
        said.c.kind.in_(SAID),
        is_standing(said),
    )
    query = (
        sa.select(*(columns or (opinions.c.id,)))
        .select_from(queue.join(opinions, opinions.c.item_id == queue.c.id))
        .where(
            IS_PENDING, opinions.c.decision_id.is_(None), is_free, ~is_mine, ~comes_later, ~is_said
        )
    )
    if connection.dialect.name == "postgresql":
        return query.with_for_update(of=opinions, skip_locked=True)
    return query  # SQLite lets one writer in at a time: there is nothing to skip


def _take(connection: sa.Connection, wanted: sa.Select, actor: str, now: float) -> list[int]:
    """Lease opinions; their ids in the order that was wanted."""
    ids = list(connection.execute(wanted).scalars())
    if ids:
        connection.execute(
            opinions.update()
            .where(is_one_of(connection, opinions.c.id, ids))
            .values(holder=actor, leased_until=now + LEASE_S)
        )
    return ids


def _renew_held(connection: sa.Connection, actor: str, now: float) -> list[int]:
    """Opinions that a person holds, the longest held last asked for; their leases begin anew."""
    mine = (
        sa.select(opinions.c.id)
        .join(queue, queue.c.id == opinions.c.item_id)
        .where(opinions.c.holder == actor, opinions.c.decision_id.is_(None), IS_PENDING)
        .order_by(opinions.c.leased_until.desc(), queue.c.by_uncertainty, queue.c.id)
    )
    if connection.dialect.name == "postgresql":
        mine = mine.with_for_update(of=opinions)
    return _take(connection, mine, actor, now)


def _give_back(connection: sa.Connection, actor: str, item_ids: Collection[int] | None) -> int:
    mine = [opinions.c.holder == actor, opinions.c.decision_id.is_(None)]
    if item_ids is not None:
        mine.append(is_one_of(connection, opinions.c.item_id, item_ids))
    done = connection.execute(opinions.update().where(*mine).values(holder=None, leased_until=None))
    return done.rowcount


def _pairs(connection: sa.Connection, opinion_ids: Iterable[int]) -> dict[int, int]:
    """The item of every opinion."""
    query = sa.select(opinions.c.id, opinions.c.item_id).where(
        is_one_of(connection, opinions.c.id, opinion_ids)
    )
    return {row.id: row.item_id for row in connection.execute(query)}


def _items(connection: sa.Connection, opinion_ids: list[int]) -> list[QueueItem]:
    """The items of some opinions, in their order."""
    query = (
        sa.select(opinions.c.id.label("opinion_id"), opinions.c.number, queue, images.c.name)
        .add_columns(images.c.label)
        .join(queue, queue.c.id == opinions.c.item_id)
        .join(images, images.c.id == queue.c.image_id)
        .where(is_one_of(connection, opinions.c.id, opinion_ids))
    )
    by_opinion = {row.opinion_id: row for row in connection.execute(query)}
    return [_item(by_opinion[each]) for each in opinion_ids if each in by_opinion]


def _item(row: sa.Row) -> QueueItem:
    facts = row.facts or {}
    return QueueItem(
        id=row.id,
        image_id=row.image_id,
        title=row.name,
        opinion=row.number,
        n_opinions=row.n_opinions,
        seen=row.label,
        suggested=row.suggested,
        is_blind=row.is_blind,
        top=tuple((name, share) for name, share in facts.get("top", ())),
        novelty=facts.get("novelty"),
        nearest=tuple(facts.get("nearest", ())),
        kind=row.kind,
        reason=row.reason,
        model=row.model,
        added_at=row.added_at,
        alike=row.alike,
    )
