"""The triage card: images decided by key, mouse or finger, one after the other or a group at once.

The component holds a leased batch and shows the next image without the server. What it decides
comes as a log, `{"log": name, "entries": [{"seq", "id", "kind", "label", "seen", "seconds",
"comment", "of"}]}`, which is sent whole until the entries are acknowledged: nothing in it is lost
or taken twice. While somebody is there it asks for leases to be renewed, `{"at", "ids"}`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from core.triage.wording import label_name
from pages._components import asset_url, ignore_change, register_component
from pages._decision_log import LARGEST, count, read_log
from pages._gallery import Badge

MAX_ITEMS = 48  # a batch, or a group of alike images
VIEWS = ("focus", "grid")
KINDS = ("label", "skip", "flag", "undo")
_COMMENT_LIMIT = 500


@dataclass(frozen=True)
class Guess:
    """A class, and how sure the model is of it, in [0, 1]."""

    text: str
    color: str
    p: float


@dataclass(frozen=True)
class Neighbour:
    """An image that people have labelled."""

    id: int
    text: str
    color: str


@dataclass(frozen=True)
class TriageItem:
    """One image to judge; its texts are never read as markup.

    Attributes:
        id: of the item, not of the image.
        seen: the label that the image has now.
        top: the likeliest classes; none where the item is to be judged blind.
        why: why it is here, in a sentence.
        nearest: the nearest labelled images.
    """

    id: int
    image_id: int
    title: str
    seen: str | None
    suggested: Badge | None
    is_blind: bool
    top: tuple[Guess, ...]
    why: str
    nearest: tuple[Neighbour, ...]
    opinion: int
    n_opinions: int


@dataclass(frozen=True)
class TriageLabel:
    """A label that can be given; `key` is a single character, or empty where it has none."""

    text: str
    color: str
    key: str = ""
    is_class: bool = True


@dataclass(frozen=True)
class TriageProgress:
    """`remaining` is how long the rest takes, in words, or empty."""

    n_done: int
    n_total: int
    remaining: str = ""


@dataclass(frozen=True)
class Told:
    """What became of an entry.

    Attributes:
        seq: its number.
        standing: `saved`, `agreed`, `conflict`, `yours`, `refused` or, of an undo, `returned`.
        text: a sentence for the person, or nothing.
        id: of an undo, the item that was given back.
    """

    seq: int
    standing: str
    text: str = ""
    id: int | None = None


@dataclass(frozen=True)
class MapSource:
    """A map of all images: addresses in the formats of `pages._latent_map`, and the colours."""

    points_url: str
    colours_url: str
    palette: tuple[str, ...]


@dataclass(frozen=True)
class Idle:
    """What is said where no image is left."""

    title: str
    text: str = ""


@dataclass(frozen=True)
class TriageEntry:
    """One entry of a log.

    Attributes:
        seq: its number in its log, from 1.
        item_id: the item that was on the screen; 0 for an undo that only the server knows.
        kind: one of `KINDS`.
        label: the label that was given, for `label` alone.
        seen: the label that the image had on the screen.
        seconds: from the moment the image was there.
        comment: why it was flagged.
        of: the number of the entry that an `undo` takes back, 0 for the person's last decision.
    """

    seq: int
    item_id: int
    kind: str
    label: str | None
    seen: str | None
    seconds: float | None
    comment: str
    of: int


@dataclass(frozen=True)
class Alive:
    """Somebody is there and looks at these items; without any, they want new ones."""

    at: int
    item_ids: tuple[int, ...]


_mount = register_component("triage")


def triage_card(
    items: Sequence[TriageItem],
    *,
    view: str,
    labels: Sequence[TriageLabel],
    examples: Mapping[str, Sequence[int]],
    progress: TriageProgress,
    idle: Idle,
    acked: tuple[str, int],
    told: Sequence[Told],
    place: str,
    thumbnail_url: str,
    preview_url: str,
    image_url: str,
    key: str,
    order: str = "",
    alive_at: int = 0,
    heat_url: str = "",
    map: MapSource | None = None,
    on_log: Callable[[], None] | None = None,
    on_alive: Callable[[], None] | None = None,
    on_explain: Callable[[int], None] | None = None,
) -> int | None:
    """Let a person decide on one image after the other, or on a group at once.

    Args:
        items: leased to the person, in their order; at most `MAX_ITEMS`.
        view: one of `VIEWS`; in `grid` the items are one group of alike images.
        labels: what can be given.
        examples: ids of a few images of each label.
        idle: what is said where no item is left.
        acked: name of the log last received, and the number of its last entry that was written.
        told: what became of the last entries of that log.
        place: tells the logs of a tab apart.
        thumbnail_url: address of a small image, with "{id}" for the image's id.
        preview_url: of a large one.
        image_url: of the whole image, shown as soon as it is there.
        order: of the items; another one shows its own first image at once.
        alive_at: the last `Alive.at` that was answered.
        heat_url: as in `pages._gallery`; empty where there is no model.
        map: where each image lies among all others.
        on_log: called before the rerun that a longer log causes; `parse_log` reads it.
        on_alive: likewise for leases to be renewed; `parse_alive` reads it.
        on_explain: called with an image's id when its heat map is wanted and is not there yet.

    Returns:
        The image that a person wants to see in the latent space, in the run that follows.

    Raises:
        ValueError: there are more items than that, or there is no such view.
    """
    if len(items) > MAX_ITEMS:
        raise ValueError(f"triage holds at most {MAX_ITEMS} images at once, got {len(items)}")
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, got {view!r}")
    ids = [item.image_id for item in items]

    def explain() -> None:
        wanted = st.session_state[key].get("explain")
        if on_explain is not None and isinstance(wanted, Mapping) and wanted.get("id") in ids:
            on_explain(wanted["id"])

    log, seq = acked
    result = _mount(
        key=key,
        data={
            "script_url": asset_url("triage/triage.js"),
            "style_url": asset_url("triage/triage.css"),
            "place": place,
            "view": view,
            "order": order,
            "items": [asdict(item) for item in items],
            "labels": [{**asdict(label), "name": label_name(label.text)} for label in labels],
            "examples": {label: list(some) for label, some in examples.items()},
            "progress": asdict(progress),
            "idle": asdict(idle),
            "acked": {"log": log, "seq": seq},
            "told": [asdict(each) for each in told],
            "alive_at": alive_at,
            "map": None if map is None else asdict(map),
            "thumbnail_url": thumbnail_url,
            "preview_url": preview_url,
            "image_url": image_url,
            "heat_url": heat_url,
        },
        on_log_change=on_log or ignore_change,
        on_alive_change=on_alive or ignore_change,
        on_explain_change=explain,
        on_open_map_change=ignore_change,
    )
    wanted = result.open_map
    return wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else None


def parse_log(value: Any) -> tuple[str, list[TriageEntry]]:
    """The name of a log and its entries in their order, as a browser sent them.

    Raises:
        ValueError: it is not what the component sends.
    """
    return read_log(value, _parse_entry)


def parse_alive(value: Any) -> Alive:
    """Who is there and looks at what, as a browser sent it.

    Raises:
        ValueError: it is not what the component sends.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("ids"), list):
        raise ValueError(f"what is looked at must be ids, got {value!r:.80}")
    if len(value["ids"]) > 4 * MAX_ITEMS:
        raise ValueError(f"nobody looks at {len(value['ids'])} images, as these ids would have it")
    return Alive(count(value.get("at")), tuple(count(each) for each in value["ids"]))


def _parse_entry(entry: Any) -> TriageEntry:
    if not isinstance(entry, Mapping) or entry.get("kind") not in KINDS:
        raise ValueError(f"an entry must be one of {', '.join(KINDS)}, got {entry!r:.80}")
    label, seen, comment = entry.get("label"), entry.get("seen"), entry.get("comment", "")
    if isinstance(label, str) != (entry["kind"] == "label"):
        raise ValueError(f"an entry names a label if it gives one, got {entry!r:.80}")
    if not (seen is None or isinstance(seen, str)) or not isinstance(comment, str):
        raise ValueError(f"an entry's texts must be texts, got {entry!r:.80}")
    return TriageEntry(
        seq=count(entry.get("seq")),
        item_id=count(entry.get("id")),
        kind=entry["kind"],
        label=label,
        seen=seen,
        seconds=_seconds(entry.get("seconds")),
        comment=comment[:_COMMENT_LIMIT],
        of=count(entry.get("of", 0)),
    )


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise ValueError(f"an entry's seconds must be a time, got {value!r:.80}")
    return float(value)
