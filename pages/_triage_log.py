"""What the triage card sends: written as it comes, and answered.

The numbers of what has been written live in the session; should that be lost, a repeat changes
nothing, for `core.state.decisions` knows every entry by its log and number.
"""

from collections.abc import Iterable

import streamlit as st

from core import actions
from core.errors import OperatorError
from core.state import decisions, triage_queue
from core.state.decisions import Entry
from core.state.triage_queue import QueueItem
from core.state.workspace import Workspace
from core.triage.wording import describe_scores
from pages._access import require
from pages._shared import plain
from pages._triage_card import Told, TriageEntry, parse_alive, parse_log

_ACKED = "triage.acked"  # number of the last entry written, by the name of its log
_LATEST = "triage.latest"  # name of the log last received
_TOLD = "triage.told"  # what became of the last entries of that log
_ALIVE = "triage.alive_at"
_PACE = "triage.pace"  # decisions of this session, and the seconds they took
_SCORES = "triage.scores"  # of items judged blind, told after the decision
_N_TOLD = 100
_LONGEST_S = 60.0  # whoever looks longer was not at work all the time
_FEWEST_PACED = 5


def take_log(workspace: Workspace, key: str) -> None:
    """Write what has been decided since the last time; for use as a callback."""
    try:
        log, entries = parse_log(st.session_state[key].get("log"))
        actor = require("operator").name
    except (OperatorError, ValueError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    written = st.session_state.setdefault(_ACKED, {})
    if st.session_state.get(_LATEST) != log:
        st.session_state[_LATEST], st.session_state[_TOLD] = log, []
    for entry in entries:
        if entry.seq > written.get(log, 0):
            told = _write(workspace, log, entry, actor=actor)
            st.session_state[_TOLD] = [*st.session_state[_TOLD], told][-_N_TOLD:]
            written[log] = entry.seq


def keep_leases(workspace: Workspace, key: str) -> None:
    """Renew what is looked at; for use as a callback."""
    try:
        alive = parse_alive(st.session_state[key].get("alive"))
        actor = require("operator").name
    except (OperatorError, ValueError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return
    triage_queue.renew(workspace, alive.item_ids, actor=actor)
    st.session_state[_ALIVE] = alive.at


def last_written() -> tuple[str, int]:
    """Name of the log last received, and the number of its last entry that was written."""
    latest = st.session_state.get(_LATEST, "")
    return latest, st.session_state.get(_ACKED, {}).get(latest, 0)


def last_told() -> list[Told]:
    """What became of the last entries of that log."""
    told: list[Told] = st.session_state.get(_TOLD, [])
    return told


def last_alive() -> int:
    """When the browser last said that somebody is there, by its clock."""
    at: int = st.session_state.get(_ALIVE, 0)
    return at


def seconds_a_decision() -> float | None:
    """The pace of this session, once there is one."""
    n, seconds = st.session_state.get(_PACE, (0, 0.0))
    return seconds / n if n >= _FEWEST_PACED else None


def keep_for_later(items: Iterable[QueueItem]) -> None:
    """Remember what the model found of items that are judged blind."""
    scores = st.session_state.setdefault(_SCORES, {})
    scores.update({item.id: item.top for item in items if item.is_blind and item.top})


def _write(workspace: Workspace, log: str, entry: TriageEntry, *, actor: str) -> Told:
    """Do what one entry says."""
    if entry.kind == "undo":
        item_id = decisions.undo(workspace, actor=actor, log=log, seq=entry.seq, of=entry.of)
        nothing = "" if item_id else "Nothing of yours is left to take back."
        return Told(entry.seq, "returned", nothing, item_id)
    try:
        outcome = decisions.decide(
            workspace,
            Entry(
                log=log,
                seq=entry.seq,
                item_id=entry.item_id,
                kind=entry.kind,
                label=entry.label,
                seen=entry.seen,
                seconds=entry.seconds,
                comment=entry.comment,
            ),
            actor=actor,
        )
    except OperatorError as error:
        return Told(entry.seq, "refused", str(error))
    if outcome.is_audit:
        actions.watch_audit(workspace)
    _note_pace(entry)
    scores = st.session_state.get(_SCORES, {}).pop(entry.item_id, ())
    found = f"The model found: {describe_scores(scores)}." if scores else ""
    return Told(entry.seq, outcome.standing, " ".join(filter(None, (outcome.told, found))))


def _note_pace(entry: TriageEntry) -> None:
    n, seconds = st.session_state.get(_PACE, (0, 0.0))
    st.session_state[_PACE] = (n + 1, seconds + min(_LONGEST_S, entry.seconds or 0.0))
