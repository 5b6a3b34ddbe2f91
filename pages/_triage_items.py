"""What stands on the triage card: items as the browser gets them, labels, examples, the map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlencode

import streamlit as st

from core.palette import RESERVED_MARKS, UNKNOWN_COLOUR, category_colour, class_colour
from core.state import catalog, runs, triage_cards
from core.state.colourings import Category, colour
from core.state.runs import Run
from core.state.triage_queue import QueueItem
from core.state.workspace import Workspace
from core.triage.wording import why_here
from core.vocabulary import RESERVED_KEYS
from pages._gallery import Badge
from pages._shared import routes_of
from pages._triage_card import Guess, MapSource, Neighbour, TriageItem, TriageLabel

_MAP_VERSION = "triage.map_version"
N_NEAREST = 5
_N_EXAMPLES = 7  # one more than is shown: the image itself is none


@dataclass(frozen=True)
class Labels:
    """What can be given: the types, in the order of their colours, and the reserved labels.

    Attributes:
        order: every type there is or was: their places are their colours.
        key_of: the key that gives a type, by its name; only what can be given.
    """

    order: Sequence[str]
    key_of: Mapping[str, str]

    def badge(self, label: str) -> Badge:
        """A label in its colour."""
        return Badge(label, self.colour(label))

    def colour(self, label: str) -> str:
        """The colour of a label."""
        return class_colour(label, self.order)

    @property
    def keys(self) -> list[TriageLabel]:
        """Types have digits or keys of their own, reserved labels letters."""
        classes = [TriageLabel(name, self.colour(name), key) for name, key in self.key_of.items()]
        reserved = [
            TriageLabel(name, self.colour(name), key, is_class=False)
            for name, key in RESERVED_KEYS.items()
        ]
        return [*classes, *reserved]


def as_shown(workspace: Workspace, items: Sequence[QueueItem], labels: Labels) -> list[TriageItem]:
    """Items as the browser gets them: of those judged blind without what the model found."""
    near = {image_id for item in items for image_id in item.nearest}
    known = triage_cards.labels_of(workspace, near) if near else {}
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
            )[:N_NEAREST],
            opinion=item.opinion,
            n_opinions=item.n_opinions,
        )
        for item in items
    ]


def map_of(workspace: Workspace, projection: Run) -> MapSource:
    """The newest map, coloured by the labels as they were when this session came here."""
    if _MAP_VERSION not in st.session_state:
        st.session_state[_MAP_VERSION] = catalog.fingerprint(workspace)
    version = st.session_state[_MAP_VERSION]
    address = routes_of(workspace)
    return MapSource(
        f"{address}/points/{projection.id}",
        f"{address}/colours/{projection.id}?{urlencode({'by': 'label', 'v': version})}",
        _palette(workspace, workspace.uid, projection.id, version),
    )


def examples_of(workspace: Workspace, labels: Labels) -> Mapping[str, list[int]]:
    """Ids of a few images of each label: the label book, a few minutes old at most."""
    return _examples(workspace, workspace.uid, tuple(label.text for label in labels.keys))


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
