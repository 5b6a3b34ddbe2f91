"""How an image comes into the triage queue and goes out of it, in the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.state.clock import now
from core.state.database import is_one_of
from core.state.schema import OPEN_STATES, opinions, queue


@dataclass(frozen=True)
class NewItem:
    """An image that a person shall judge.

    Attributes:
        kind: why it waits: picked, ambiguous, novel, audit or gold.
        is_blind: what the model says of it is told only after the decision.
        n_opinions: how many people shall judge it, each without the other.
        suggested: the label that a model suggests.
        truth: of an audited image its automatic label, of a gold one the known label.
        facts: what the card shows besides; see `core.state.triage_queue.QueueItem`.
        alike: number of its group of alike images.
        by_uncertainty, by_novelty, by_diversity: its places in the orders of work, in [0, 1],
            lower first.
    """

    image_id: int
    reason: str
    kind: str = "picked"
    is_blind: bool = False
    n_opinions: int = 1
    suggested: str | None = None
    truth: str | None = None
    facts: Mapping[str, Any] | None = None
    model: str | None = None
    application_id: int | None = None
    alike: int | None = None
    by_uncertainty: float = 1.0
    by_novelty: float = 1.0
    by_diversity: float = 1.0


def is_open() -> sa.ColumnElement[bool]:
    """Whether a person is still needed for an item."""
    return queue.c.state.in_(OPEN_STATES)


def add_items(connection: sa.Connection, items: Sequence[NewItem], *, actor: str) -> None:
    """Put images into the queue; none of them may wait there already."""
    if not items:
        return
    at = now()
    before = connection.execute(sa.select(sa.func.max(queue.c.id))).scalar() or 0
    connection.execute(
        queue.insert(),
        [{**vars(each), "state": "pending", "added_at": at, "added_by": actor} for each in items],
    )
    numbers = sa.union_all(sa.select(sa.literal(1).label("n")), sa.select(sa.literal(2))).subquery()
    ours = is_one_of(connection, queue.c.image_id, [each.image_id for each in items])
    connection.execute(
        opinions.insert().from_select(
            ["item_id", "number"],
            sa.select(queue.c.id, numbers.c.n).where(
                queue.c.id > before,
                queue.c.state == "pending",
                ours,
                numbers.c.n <= queue.c.n_opinions,
            ),
        )
    )


def withdraw_items(connection: sa.Connection, image_ids: Iterable[int]) -> int:
    """Take images out of the queue again, whoever looks at them; returns how many were in it."""
    ids = list(image_ids)
    if not ids:
        return 0
    done = connection.execute(
        queue.update()
        .where(is_one_of(connection, queue.c.image_id, ids), is_open())
        .values(state="withdrawn")
    )
    return done.rowcount


def describe_items(connection: sa.Connection, items: Sequence[NewItem]) -> None:
    """Say of images that wait already what a model has found out about them."""
    if not items:
        return
    told = ("suggested", "facts", "model", "alike", "by_uncertainty", "by_novelty", "by_diversity")
    connection.execute(
        queue.update()
        .where(
            queue.c.image_id == sa.bindparam("waiting"),
            sa.or_(*(queue.c.state == state for state in OPEN_STATES)),  # no IN with many rows
        )
        .values({name: sa.bindparam(f"new_{name}", type_=queue.c[name].type) for name in told}),
        [
            {"waiting": each.image_id} | {f"new_{name}": getattr(each, name) for name in told}
            for each in items
        ],
    )
