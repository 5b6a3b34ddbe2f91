"""The views Queue and Grid of triage: what people decide, one image or one group at a time.

Each run of a fragment writes what has been decided, leases what comes next and answers; none of it
grows with the queue.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from urllib.parse import urlencode

import streamlit as st

from core.errors import OperatorError
from core.palette import RESERVED_MARKS, UNKNOWN_COLOUR, category_colour, class_colour
from core.routes import PREFIX
from core.state import catalog, decisions, models, runs, triage_cards, triage_queue
from core.state.colourings import Category, colour
from core.state.decisions import Entry
from core.state.runs import Run
from core.state.triage_queue import Progress, QueueItem
from core.state.workspace import Workspace
from core.triage.wording import describe_scores, why_here
from core.vocabulary import MULTIPLE, NOT_A_DEFECT, RESERVED_LABELS, UNUSABLE
from pages._access import current_person, require
from pages._evaluated import heat_maps
from pages._gallery import Badge
from pages._images import Heat
from pages._map_view import show_on_maps
from pages._shared import acting, as_duration, counted, image_urls, next_step, plain
from pages._triage_card import (
    Guess,
    Idle,
    MapSource,
    Neighbour,
    Told,
    TriageEntry,
    TriageItem,
    TriageLabel,
    TriageProgress,
    parse_alive,
    parse_log,
    triage_card,
)

_KEY = "triage"
_ACKED = f"{_KEY}.acked"  # number of the last entry written, by the name of its log
_LATEST = f"{_KEY}.latest"  # name of the log last received
_TOLD = f"{_KEY}.told"  # what became of the last entries of that log
_ALIVE = f"{_KEY}.alive_at"
_PACE = f"{_KEY}.pace"  # decisions of this session, and the seconds they took
_SCORES = f"{_KEY}.scores"  # of items judged blind, told after the decision
_MAP_VERSION = f"{_KEY}.map_version"
BATCH = 24  # three seconds of the fastest keys
_N_TOLD = 100
_N_EXAMPLES = 7
_LONGEST_S = 60.0  # whoever looks longer was not at work all the time
_FEWEST_PACED = 5
_RESERVED_KEYS = {MULTIPLE: "m", NOT_A_DEFECT: "x", UNUSABLE: "u"}
_ORDERS = {
    "uncertainty": ("Unsure first", "What the model is least sure of comes first."),
    "novelty": ("Strange first", "What lies farthest from everything labelled comes first."),
    "diversity": (
        "Diverse",
        "Each next image is unlike those before: few decisions cover all that there is.",
    ),
    "oldest": ("Oldest first", "What has waited longest comes first."),
}


@dataclass(frozen=True)
class _Labels:
    """The classes in the order of their colours, and all that can be given."""

    order: Sequence[str]

    def badge(self, label: str) -> Badge:
        return Badge(label, self.colour(label))

    def colour(self, label: str) -> str:
        return class_colour(label, self.order)

    @property
    def keys(self) -> list[TriageLabel]:
        """The first nine classes have digits, reserved labels letters."""
        classes = [
            TriageLabel(name, self.colour(name), str(number) if number < 10 else "")
            for number, name in enumerate(self.order, start=1)
        ]
        reserved = [
            TriageLabel(name, self.colour(name), _RESERVED_KEYS[name], is_class=False)
            for name in RESERVED_LABELS
        ]
        return [*classes, *reserved]


def show_queue(workspace: Workspace) -> None:
    """One image large after the other."""
    if _is_ready(workspace):
        st.fragment(_show_focus)(workspace)


def show_grid(workspace: Workspace) -> None:
    """One group of alike images after the other, each confirmed at once."""
    if _is_ready(workspace):
        st.fragment(_show_group)(workspace)


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


def _is_ready(workspace: Workspace) -> bool:
    """Whether something is or was in the queue, for a person whose name is known."""
    person = current_person()
    now = triage_queue.progress(workspace, actor=person.name if person else "")
    if not now.n_pending + now.n_decided + now.n_to_settle:
        next_step("Nothing waits for a person yet.")
        st.markdown(
            "Plan the automatic labels: what the model is unsure of comes here. On every other "
            "page, “Send to triage” puts picked images into the queue."
        )
        st.button(
            "Plan the automatic labels",
            type="primary",
            icon=":material/auto_awesome:",
            key=f"{_KEY}.to_plan",
            on_click=st.session_state.update,
            args=({f"{_KEY}.view": "Automatic"},),
        )
        return False
    if person is None:
        st.markdown(f"**{counted(now.n_pending, 'image')}** to judge.")
        if st.button("Begin", type="primary", key=f"{_KEY}.begin"):
            acting()  # keys that fall into a dialog would be lost
        return False
    return True


def _show_focus(workspace: Workspace) -> None:
    actor = acting().name
    with st.container(horizontal=True, vertical_alignment="center"):
        order = st.segmented_control(
            "Order",
            list(_ORDERS),
            default="uncertainty",
            required=True,
            format_func=lambda order: _ORDERS[order][0],
            label_visibility="collapsed",
            key=f"{_KEY}.order",
            bind="query-params",
            on_change=_begin_anew,
            args=(workspace, actor),
        )
        st.caption(_ORDERS[order][1])
        again = st.container(width="content")
    items = triage_queue.lease(workspace, actor=actor, n=BATCH, order=order)
    now = triage_queue.progress(workspace, actor=actor)
    with again:
        _offer_skipped(workspace, now, actor)
    _show_card(workspace, items, now, actor, view="focus", order=order, idle=_idle(now))


def _show_group(workspace: Workspace) -> None:
    actor = acting().name
    items = triage_queue.lease_alike(workspace, actor=actor)
    now = triage_queue.progress(workspace, actor=actor)
    idle = Idle(
        "No group of alike images is left.",
        "What remains is judged one by one, in the view Queue." if now.n_pending else "",
    )
    _show_card(workspace, items, now, actor, view="grid", order="", idle=idle)


def _offer_skipped(workspace: Workspace, now: Progress, actor: str) -> None:
    if now.n_skipped:
        st.button(
            f"Ask again of {now.n_skipped:,} skipped",
            icon=":material/replay:",
            key=f"{_KEY}.ask_again",
            on_click=_ask_again,
            args=(workspace, actor),
        )


def _begin_anew(workspace: Workspace, actor: str) -> None:
    """Another order begins with its own first images."""
    triage_queue.release(workspace, actor=actor)


def _ask_again(workspace: Workspace, actor: str) -> None:
    decisions.ask_again(workspace, actor=actor)


def _show_card(
    workspace: Workspace,
    items: Sequence[QueueItem],
    now: Progress,
    actor: str,
    *,
    view: str,
    order: str,
    idle: Idle,
) -> None:
    labels = _Labels(catalog.list_classes(workspace))
    urls, key = image_urls(workspace), f"{_KEY}.{view}"
    heat = _heat_of(workspace, items)
    projection = next(iter(runs.list_runs(workspace, "projection")), None)
    wanted = triage_card(
        _as_shown(workspace, items, labels),
        view=view,
        labels=labels.keys,
        examples=_examples(workspace, workspace.uid, tuple(label.text for label in labels.keys)),
        progress=TriageProgress(now.n_decided, now.n_decided + now.n_pending, _remaining(now)),
        idle=idle,
        acked=_acked(),
        told=st.session_state.get(_TOLD, ()),
        place=f"{workspace.uid}.{actor}",
        thumbnail_url=urls["thumbnail_url"],
        preview_url=urls["preview_url"],
        image_url=urls["preview_url"].replace("/preview/", "/image/"),
        key=key,
        order=order,
        alive_at=st.session_state.get(_ALIVE, 0),
        heat_url=heat.url if heat else "",
        map=_map_of(workspace, projection) if projection and view == "focus" else None,
        on_log=partial(take_log, workspace, key),
        on_alive=partial(keep_leases, workspace, key),
        on_explain=heat.explain if heat else None,
    )
    if wanted is not None and projection and any(item.image_id == wanted for item in items):
        show_on_maps(workspace, runs.get_run(workspace, projection.parent_id or ""), [wanted])


def _as_shown(
    workspace: Workspace, items: Sequence[QueueItem], labels: _Labels
) -> list[TriageItem]:
    """Items as the browser gets them: of those judged blind without what the model found."""
    near = {image_id for item in items for image_id in item.nearest}
    known = triage_cards.labels_of(workspace, near) if near else {}
    scores = st.session_state.setdefault(_SCORES, {})
    scores.update({item.id: item.top for item in items if item.is_blind and item.top})
    return [
        TriageItem(
            id=item.id,
            image_id=item.image_id,
            title=PurePath(item.title).name,  # folders are often named by the class
            seen=item.seen,
            suggested=labels.badge(item.suggested) if item.suggested else None,
            is_blind=item.is_blind,
            top=()
            if item.is_blind
            else tuple(Guess(name, labels.colour(name), share) for name, share in item.top),
            why=why_here(item),
            nearest=tuple(
                Neighbour(each, known[each], labels.colour(known[each]))
                for each in item.nearest
                if each in known
            ),
            opinion=item.opinion,
            n_opinions=item.n_opinions,
        )
        for item in items
    ]


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
    _note_pace(entry)
    scores = st.session_state.get(_SCORES, {}).pop(entry.item_id, ())
    found = f"The model found: {describe_scores(scores)}." if scores else ""
    return Told(entry.seq, outcome.standing, " ".join(filter(None, (outcome.told, found))))


def _note_pace(entry: TriageEntry) -> None:
    n, seconds = st.session_state.get(_PACE, (0, 0.0))
    st.session_state[_PACE] = (n + 1, seconds + min(_LONGEST_S, entry.seconds or 0.0))


def _remaining(now: Progress) -> str:
    """How long the rest takes at this session's pace, once there is one."""
    n, seconds = st.session_state.get(_PACE, (0, 0.0))
    if n < _FEWEST_PACED or not now.n_pending:
        return ""
    minutes = math.ceil(now.n_pending * seconds / n / 60)
    return f"about {as_duration(60 * minutes)}" if minutes > 1 else "about a minute"


def _idle(now: Progress) -> Idle:
    """What is said when nothing is left for this person, and what to do."""
    settle = "Some images wait to be settled: see the view To settle." if now.n_to_settle else ""
    if not now.n_pending:
        return Idle("All done.", settle or "Everything in the queue has been decided.")
    if now.n_skipped == now.n_pending:
        return Idle("Only what you skipped is left.", "Ask for it again with the button above.")
    if now.n_leased_by_others:
        return Idle(
            "Others are at the last images.",
            "What they leave comes here by itself, within minutes.",
        )
    return Idle(
        "Nothing is left for you.", "What remains wants a second opinion, by another person."
    )


def _acked() -> tuple[str, int]:
    latest = st.session_state.get(_LATEST, "")
    return latest, st.session_state.get(_ACKED, {}).get(latest, 0)


def _heat_of(workspace: Workspace, items: Sequence[QueueItem]) -> Heat | None:
    """Heat maps by the model that suggests, while it is there."""
    named = next((item.model for item in items if item.model), None)
    if named is None:
        return None
    try:
        return heat_maps(workspace, models.get_model(workspace, named))
    except OperatorError:
        return None  # deleted since


def _map_of(workspace: Workspace, projection: Run) -> MapSource:
    """The newest map, coloured by the labels as they were when this session came here."""
    if _MAP_VERSION not in st.session_state:
        st.session_state[_MAP_VERSION] = catalog.fingerprint(workspace)
    version = st.session_state[_MAP_VERSION]
    address = f"{PREFIX.lstrip('/')}/{workspace.uid}"
    return MapSource(
        f"{address}/points/{projection.id}",
        f"{address}/colours/{projection.id}?{urlencode({'by': 'label', 'v': version})}",
        _palette(workspace, workspace.uid, projection.id, version),
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _palette(_workspace: Workspace, uid: str, projection: str, version: str) -> tuple[str, ...]:
    ids = runs.load_array(_workspace, runs.get_run(_workspace, projection), "image_ids")
    return tuple(_colour_of(entry) for entry in colour(_workspace, ids, "label").categories)


def _colour_of(entry: Category) -> str:
    if entry.place is None:
        return RESERVED_MARKS.get(entry.name, (UNKNOWN_COLOUR, ""))[0]
    return category_colour(entry.place)


@st.cache_data(ttl=300, max_entries=32, show_spinner=False)
def _examples(_workspace: Workspace, uid: str, labels: tuple[str, ...]) -> Mapping[str, list[int]]:
    return triage_cards.examples_of(_workspace, labels, n=_N_EXAMPLES)
