"""What people decide in triage: recorded for good, however often it is sent and whoever was first.

Decisions are appended, never changed; taking one back is a row too. After each, `_settle` reads off
those of its item that stand what the item's state is and which label the image has of it:

    nobody has decided                   the item waits, the image has the label from before
    all who decided agree                their label, and the item is done once all wanted have
    they disagree, or one was too late   a conflict: the label from before, until a person settles
    someone has flagged it               it waits for a person who settles it

So the order in which two decisions arrive can change who is told of a conflict, never the outcome.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from core.errors import OperatorError
from core.state.catalog import add_classes
from core.state.change_log import (
    NewLabel,
    append_labels,
    as_label,
    close_batch,
    lock_images,
    open_batch,
    restore_batch,
)
from core.state.clock import now
from core.state.database import reading, writing
from core.state.schema import OPEN_STATES, batches, decisions, images, opinions, queue
from core.state.triage_queue import IS_PENDING, IS_UNSETTLED, LEASE_S, SAID, is_standing
from core.state.workspace import Workspace

KINDS = ("label", "skip", "flag")


@dataclass(frozen=True)
class Entry:
    """What a person did with one item.

    Attributes:
        log: name of the log that it stands in; a browser's tab has one.
        seq: its number there, from 1; the two together name it for good.
        kind: one of `KINDS`.
        label: the label that was given; None for `skip` and `flag`.
        seen: the label that the image had on the person's screen.
        seconds: from the moment the image was there; None where nobody measured.
        comment: why it was flagged, or anything else that was written.
    """

    log: str
    seq: int
    item_id: int
    kind: str
    label: str | None
    seen: str | None
    seconds: float | None = None
    comment: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of an entry.

    Attributes:
        standing: `saved`; `agreed`, where others had decided the same before; `conflict`, where
            others decided otherwise; `yours`, where the person had decided the item already and
            this changes nothing.
        told: a sentence for the person, or nothing.
        is_audit: the item was there to check an automatic label.
    """

    seq: int
    item_id: int
    standing: str
    told: str
    is_audit: bool = False


@dataclass(frozen=True)
class Decision:
    """One row of the log of decisions; see `core.state.schema.decisions`."""

    id: int
    item_id: int
    image_id: int
    image: str
    at: str
    actor: str
    kind: str
    opinion: int | None
    label: str | None
    old_label: str | None
    old_origin: str | None
    suggested: str | None
    model: str | None
    scores: Mapping[str, Any] | None
    seconds: float | None
    comment: str
    is_contested: bool
    standing: str
    item_kind: str
    reason: str
    truth: str | None
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True)
class Unsettled:
    """An item that a person has to settle.

    Attributes:
        state: `conflict` or `flagged`.
        label: the image's present label.
        said: what people said of it, the oldest first, without what was taken back.
    """

    item_id: int
    image_id: int
    image: str
    state: str
    label: str | None
    suggested: str | None
    said: tuple[Decision, ...]


def decide(workspace: Workspace, entry: Entry, *, actor: str) -> Outcome:
    """Record what a person did with an item; the same entry again changes nothing.

    Raises:
        OperatorError: there is no such item, or the label could be none.
        ValueError: the kind is unknown, or the label does not fit it.
    """
    if entry.kind not in KINDS or (entry.label is None) == (entry.kind == "label"):
        raise ValueError(f"a {entry.kind!r} cannot give the label {entry.label!r}")
    if entry.label is not None:
        entry = replace(entry, label=as_label(entry.label))
    with writing(workspace) as connection:
        item = _lock_item(connection, entry.item_id)  # before anything of it is read
        before = _find_entry(connection, entry.log, entry.seq)
        if before is not None:
            return Outcome(
                entry.seq, before.item_id, before.standing, before.told, item.kind == "audit"
            )
        mine = [each for each in _standing(connection, item.id) if each.actor == actor]
        if any(each.kind == "label" for each in mine):
            told = "You had decided this one already: that stands."
            _append(connection, item, entry, actor=actor, kind="ignored", told=told)
            return Outcome(entry.seq, item.id, "yours", told)
        for each in mine:
            if each.kind in ("skip", "flag"):  # and is decided after all
                _take_back(connection, item, each, entry=None, actor=actor)
        opinion = _opinion_for(connection, item.id, actor) if entry.kind == "label" else None
        decision = _append(
            connection,
            item,
            entry,
            actor=actor,
            kind=entry.kind,
            opinion=opinion.number if opinion else None,
            is_contested=_is_contested(connection, item, entry),
        )
        if opinion is not None:
            connection.execute(
                opinions.update()
                .where(opinions.c.id == opinion.id)
                .values(decision_id=decision, holder=actor)
            )
        _give_back(connection, item.id, actor)
        _settle(connection, item.id, actor=actor)
        return _conclude(connection, item.id, decision, entry)


def settle(
    workspace: Workspace, item_id: int, label: str, *, actor: str, log: str, seq: int = 1
) -> Outcome:
    """End a conflict, or judge what was flagged: this label stands, whatever was said before.

    Raises:
        OperatorError: there is no such item, or the label could be none.
    """
    entry = Entry(log, seq, item_id, "settle", as_label(label), None)
    with writing(workspace) as connection:
        item = _lock_item(connection, item_id)
        before = _find_entry(connection, log, seq)
        if before is None:
            for earlier in _standing(connection, item.id):
                if earlier.kind == "settle":
                    _take_back(connection, item, earlier, entry=None, actor=actor)
            _append(connection, item, entry, actor=actor, kind="settle")
            _settle(connection, item.id, actor=actor)
        return Outcome(seq, item.id, "saved", "")


def undo(workspace: Workspace, *, actor: str, log: str, seq: int, of: int = 0) -> int | None:
    """Take a decision back and give its item to the person again; the same undo again does nothing.

    Args:
        log, seq: name this undo.
        of: number of the entry in the same log that is taken back; 0 for the newest of this
            person that stands.

    Returns:
        The item's id; None where there is nothing to take back.
    """
    with writing(workspace) as connection:
        done = _find_entry(connection, log, seq)
        if done is not None:
            return done.item_id if done.undoes else None
        found = _entry_to_undo(connection, actor, log, of)
        if found is None:
            return None
        item = _lock_item(connection, found.item_id)
        if _find_entry(connection, log, seq) is not None:
            return item.id  # the same undo came twice at once
        if not any(each.id == found.id for each in _standing(connection, item.id)):
            return None  # somebody was faster
        entry = Entry(log, seq, item.id, "undo", None, None)
        _take_back(connection, item, found, entry=entry, actor=actor)
        _settle(connection, item.id, actor=actor)
        _lease_again(connection, item.id, actor)
        return item.id


def take_back_label(workspace: Workspace, batch_id: int, *, actor: str) -> None:
    """Take back every decision behind the label that a batch gave.

    Raises:
        OperatorError: the batch is no label of triage, or has been taken back already.
    """
    with writing(workspace) as connection:
        item_id = connection.execute(
            sa.select(queue.c.id).where(queue.c.label_batch_id == batch_id)
        ).scalar()
        if item_id is None:
            raise OperatorError("This decision has been taken back already.")
        item = _lock_item(connection, item_id)
        for each in _standing(connection, item_id):
            _take_back(connection, item, each, entry=None, actor=actor)
        _settle(connection, item_id, actor=actor)


def ask_again(workspace: Workspace, *, actor: str) -> int:
    """Ask a person of everything again that they passed over; returns how many items that are."""
    with writing(workspace) as connection:
        query = (
            sa.select(decisions)
            .join(queue, queue.c.id == decisions.c.item_id)
            .where(
                decisions.c.actor == actor, decisions.c.kind == "skip", is_standing(), IS_PENDING
            )
            .order_by(decisions.c.item_id)
        )
        skipped = list(connection.execute(query))
        for each in skipped:
            item = _lock_item(connection, each.item_id)
            _take_back(connection, item, each, entry=None, actor=actor)
        return len(skipped)


def list_decisions(
    workspace: Workspace,
    *,
    actor: str | None = None,
    item_id: int | None = None,
    kinds: Sequence[str] = (),
    since: str = "",
    limit: int | None = None,
) -> list[Decision]:
    """Decisions, the newest first, those taken back and those who took them back among them.

    Args:
        kinds: only these; all where none is named.
        since: ISO 8601 in UTC; only what was decided then or later.
    """
    undoing = decisions.alias("undoing")
    query = (
        sa.select(
            decisions.c.id,
            decisions.c.item_id,
            decisions.c.image_id,
            images.c.name.label("image"),
            decisions.c.at,
            decisions.c.actor,
            decisions.c.kind,
            decisions.c.opinion,
            decisions.c.label,
            decisions.c.old_label,
            decisions.c.old_origin,
            decisions.c.suggested,
            decisions.c.model,
            decisions.c.scores,
            decisions.c.seconds,
            decisions.c.comment,
            decisions.c.is_contested,
            decisions.c.standing,
            queue.c.kind.label("item_kind"),
            queue.c.reason,
            queue.c.truth,
            decisions.c.undoes,
            undoing.c.id.label("undone_by"),
        )
        .join(queue, queue.c.id == decisions.c.item_id)
        .join(images, images.c.id == decisions.c.image_id)
        .outerjoin(undoing, undoing.c.undoes == decisions.c.id)
        .order_by(decisions.c.id.desc())
        .limit(limit)
    )
    if actor is not None:
        query = query.where(decisions.c.actor == actor)
    if item_id is not None:
        query = query.where(decisions.c.item_id == item_id)
    if kinds:
        query = query.where(decisions.c.kind.in_(kinds))
    if since:
        query = query.where(decisions.c.at >= since)
    with reading(workspace) as connection:
        return [Decision(**row._asdict()) for row in connection.execute(query)]


def list_unsettled(workspace: Workspace, *, limit: int = 10) -> list[Unsettled]:
    """What a person has to settle, the oldest first."""
    query = (
        sa.select(
            queue.c.id, queue.c.image_id, images.c.name, queue.c.state, images.c.label,
            queue.c.suggested,
        )
        .join(images, images.c.id == queue.c.image_id)
        .where(IS_UNSETTLED)
        .order_by(queue.c.id)
        .limit(limit)
    )  # fmt: skip
    with reading(workspace) as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        log = list_decisions(workspace, item_id=row.id)
        said = tuple(each for each in reversed(log) if each.kind in SAID and each.undone_by is None)
        found.append(Unsettled(*row, said=said))
    return found


def _lock_item(connection: sa.Connection, item_id: int) -> sa.Row:
    """The item, held until the transaction ends: two decisions on it follow each other."""
    query = sa.select(queue).where(queue.c.id == item_id).with_for_update()
    item = connection.execute(query).one_or_none()
    if item is None:
        raise OperatorError(f"There is no item number {item_id} in the queue.")
    return item


def _find_entry(connection: sa.Connection, log: str, seq: int) -> sa.Row | None:
    query = sa.select(decisions).where(decisions.c.log == log, decisions.c.seq == seq)
    return connection.execute(query).one_or_none()


def _standing(connection: sa.Connection, item_id: int) -> list[sa.Row]:
    """What has been said of an item and not been taken back, the oldest first."""
    query = (
        sa.select(decisions)
        .where(decisions.c.item_id == item_id, decisions.c.kind.in_(SAID), is_standing())
        .order_by(decisions.c.id)
    )
    return list(connection.execute(query))


def _opinion_for(connection: sa.Connection, item_id: int, actor: str) -> sa.Row | None:
    """The opinion that a decision of this person gives: the one they hold, else one that is open.

    None where all that were wanted have been given: then the decision comes too late.
    """
    is_mine = sa.case((opinions.c.holder == actor, 0), else_=1)
    is_held = sa.case((opinions.c.leased_until >= time.time(), 1), else_=0)
    query = (
        sa.select(opinions)
        .where(opinions.c.item_id == item_id, opinions.c.decision_id.is_(None))
        .order_by(is_mine, is_held, opinions.c.number)
        .limit(1)
    )
    return connection.execute(query).first()


def _is_contested(connection: sa.Connection, item: sa.Row, entry: Entry) -> bool:
    """Whether a person has labelled the image elsewhere since this one began to look at it."""
    if entry.kind != "label":
        return False
    image = connection.execute(
        sa.select(images.c.label, images.c.label_origin).where(images.c.id == item.image_id)
    ).one()
    if image.label_origin != "human" or image.label in (entry.seen, entry.label):
        return False
    return item.label_batch_id is None  # else it is this item's own label: others decided it


def _append(
    connection: sa.Connection,
    item: sa.Row,
    entry: Entry,
    *,
    actor: str,
    kind: str,
    told: str = "",
    opinion: int | None = None,
    is_contested: bool = False,
    undoes: int | None = None,
) -> int:
    image = connection.execute(
        sa.select(images.c.label, images.c.label_origin).where(images.c.id == item.image_id)
    ).one()
    row = {
        "item_id": item.id,
        "image_id": item.image_id,
        "at": now(),
        "actor": actor,
        "kind": kind,
        "opinion": opinion,
        "label": entry.label,
        "old_label": image.label,
        "old_origin": image.label_origin,
        "suggested": item.suggested,
        "model": item.model,
        "scores": {k: v for k, v in (item.facts or {}).items() if k != "nearest"} or None,
        "seconds": entry.seconds,
        "comment": entry.comment,
        "is_contested": is_contested,
        "standing": "yours" if kind == "ignored" else "saved",
        "told": told,
        "log": entry.log,
        "seq": entry.seq,
        "undoes": undoes,
    }
    return connection.execute(decisions.insert().values(row).returning(decisions.c.id)).scalar_one()


def _take_back(
    connection: sa.Connection, item: sa.Row, said: sa.Row, *, entry: Entry | None, actor: str
) -> None:
    """Record that something said of an item is taken back, and open its opinion again."""
    entry = entry or Entry(f"undo of {said.id}", 1, item.id, "undo", None, None)
    _append(connection, item, entry, actor=actor, kind="undo", undoes=said.id)
    connection.execute(
        opinions.update()
        .where(opinions.c.decision_id == said.id)
        .values(decision_id=None, holder=None, leased_until=None)
    )


def _entry_to_undo(connection: sa.Connection, actor: str, log: str, of: int) -> sa.Row | None:
    query = sa.select(decisions).where(
        decisions.c.actor == actor, decisions.c.kind.in_(KINDS), is_standing()
    )
    if of:
        query = query.where(decisions.c.log == log, decisions.c.seq == of)
    return connection.execute(query.order_by(decisions.c.id.desc()).limit(1)).first()


def _give_back(connection: sa.Connection, item_id: int, actor: str) -> None:
    connection.execute(
        opinions.update()
        .where(
            opinions.c.item_id == item_id,
            opinions.c.holder == actor,
            opinions.c.decision_id.is_(None),
        )
        .values(holder=None, leased_until=None)
    )


def _lease_again(connection: sa.Connection, item_id: int, actor: str) -> None:
    """Give an item back to the person who took a decision on it back, before all they hold."""
    opinion = _opinion_for(connection, item_id, actor)
    if opinion is not None:
        connection.execute(
            opinions.update()
            .where(opinions.c.id == opinion.id)
            .values(holder=actor, leased_until=time.time() + LEASE_S + 1)
        )


def _settle(connection: sa.Connection, item_id: int, *, actor: str) -> None:
    """Bring an item's state, and the label that it gives its image, to what stands."""
    item = _lock_item(connection, item_id)
    said = _standing(connection, item_id)
    state, label, by = _verdict(item, said)
    if state in OPEN_STATES and item.state not in OPEN_STATES:
        _withdraw_others(connection, item)
    if state != item.state:
        connection.execute(queue.update().where(queue.c.id == item.id).values(state=state))
    _give_label(connection, item, label, by, actor=actor)


def _verdict(item: sa.Row, said: Sequence[sa.Row]) -> tuple[str, str | None, sa.Row | None]:
    """The state of an item, the label that its image has of it, and whose decision that is."""
    settled = next((each for each in reversed(said) if each.kind == "settle"), None)
    if settled is not None:
        return "decided", settled.label, settled
    if any(each.kind == "flag" for each in said):
        return "flagged", None, None
    given = [each for each in said if each.kind == "label"]
    if given and item.kind == "gold":
        return "decided", None, None  # its label is known: only the person is looked at
    if not given:
        return ("withdrawn" if item.state == "withdrawn" else "pending"), None, None
    if any(each.is_contested for each in given) or len({each.label for each in given}) > 1:
        return "conflict", None, None
    if item.state == "withdrawn":
        return "withdrawn", given[0].label, given[0]
    is_done = len(given) >= item.n_opinions
    return ("decided" if is_done else "pending"), given[0].label, given[0]


def _withdraw_others(connection: sa.Connection, item: sa.Row) -> None:
    """An image waits once: an item that opens again takes the place of a newer one."""
    connection.execute(
        queue.update()
        .where(
            queue.c.image_id == item.image_id,
            queue.c.id != item.id,
            queue.c.state.in_(OPEN_STATES),
        )
        .values(state="withdrawn")
    )


def _give_label(
    connection: sa.Connection,
    item: sa.Row,
    label: str | None,
    by: sa.Row | None,
    *,
    actor: str,
) -> None:
    given = _label_given(connection, item)
    if given == label:
        return
    lock_images(connection, [item.image_id])
    batch_id = None
    if item.label_batch_id is not None:
        restore_batch(connection, item.label_batch_id, actor=actor)
    if label is not None and by is not None:
        add_classes(connection, [label])
        batch_id = open_batch(
            connection, action="decide", actor=by.actor, detail={"label": label, "item": item.id}
        )
        new = NewLabel(
            item.image_id,
            label,
            model=item.model,
            score=_score(item, label),
            seconds=by.seconds,
            reason=item.reason,
        )
        append_labels(connection, batch_id, [new], origin="human")
        close_batch(connection, batch_id)
    connection.execute(queue.update().where(queue.c.id == item.id).values(label_batch_id=batch_id))


def _label_given(connection: sa.Connection, item: sa.Row) -> str | None:
    """The label that the item's decisions have given its image so far."""
    if item.label_batch_id is None:
        return None
    query = sa.select(batches.c.detail).where(batches.c.id == item.label_batch_id)
    label: str = connection.execute(query).scalar_one()["label"]
    return label


def _score(item: sa.Row, label: str) -> float | None:
    """How sure the model was of this label, where that is known."""
    return next((share for name, share in (item.facts or {}).get("top", ()) if name == label), None)


def _conclude(connection: sa.Connection, item_id: int, decision_id: int, entry: Entry) -> Outcome:
    """Say what became of an entry, and keep what was said: a repeat hears the same."""
    item = connection.execute(sa.select(queue).where(queue.c.id == item_id)).one()
    said = _standing(connection, item_id)
    own = next(each for each in said if each.id == decision_id)
    others = [each for each in said if each.id != decision_id and each.kind != "skip"]
    standing = "saved"
    if entry.kind == "label" and item.state == "conflict":
        standing = "conflict"
    elif entry.kind == "label" and any(each.label == entry.label for each in others):
        standing = "agreed"
    told = _sentence(item, own, others, standing)
    connection.execute(
        decisions.update().where(decisions.c.id == decision_id).values(standing=standing, told=told)
    )
    return Outcome(entry.seq, item_id, standing, told, is_audit=item.kind == "audit")


def _sentence(item: sa.Row, own: sa.Row, others: Sequence[sa.Row], standing: str) -> str:
    """What a person is told after the decision."""
    if own.kind != "label":
        return ""
    if standing == "conflict":
        if own.is_contested and not others:
            return "Somebody labelled it elsewhere meanwhile: it waits to be settled."
        names = " and ".join(f"{each.actor} decided {each.label}" for each in others if each.label)
        return f"{names or 'Others decided otherwise'}: it waits to be settled."
    if item.kind == "audit":
        same = own.label == item.truth
        return f"An audit: the model had labelled it {item.truth}" + (
            ", as you did." if same else ", and was wrong by your word."
        )
    if item.kind == "gold":
        same = own.label == item.truth
        return f"A known image: it is {item.truth}" + (", as you said." if same else ".")
    if standing == "agreed":
        late = "" if own.opinion else " before you"
        return f"{others[0].actor} decided the same{late}."
    return ""
