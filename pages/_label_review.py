"""The review of doubtful labels: one image large after the other, judged by key or mouse.

The component holds a batch and shows the next image without the server. What it decides comes as a
log, `{"log": name, "entries": [{"seq", "id", "kind", "label", "seen", "of"}]}`, which is sent
whole until the entries are acknowledged: nothing in it is lost or taken twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pages._components import asset_url, ignore_change, register_component
from pages._decision_log import count, read_log
from pages._gallery import Badge

MAX_ITEMS = 40  # a batch: a few seconds of the fastest keys
KINDS = ("accept", "keep", "label", "skip", "undo")


@dataclass(frozen=True)
class ReviewItem:
    """One doubtful label; its texts are never read as markup.

    Attributes:
        given: the label that the image has.
        suggested: the label that is more likely.
        score: in [0, 1], higher = more likely mislabelled.
        like_given: ids of the nearest images with the given label.
        like_suggested: ids of the nearest images with the suggested one.
    """

    id: int
    title: str
    given: Badge
    suggested: Badge
    score: float
    like_given: tuple[int, ...]
    like_suggested: tuple[int, ...]


@dataclass(frozen=True)
class LabelKey:
    """A label that can be given; `key` is a single character, or empty for the mouse alone."""

    text: str
    color: str
    key: str = ""


@dataclass(frozen=True)
class ReviewEntry:
    """One decision.

    Attributes:
        seq: its number in its log, from 1.
        image_id: the image that was on the screen.
        kind: one of `KINDS`.
        label: the label that was chosen; None for `skip` and `undo`.
        seen: the label that the image had on the screen; None for `undo`.
        of: the number of the entry that an `undo` takes back, else 0.
    """

    seq: int
    image_id: int
    kind: str
    label: str | None
    seen: str | None
    of: int


_mount = register_component("label_review")


def label_review(
    items: Sequence[ReviewItem],
    *,
    labels: Sequence[LabelKey],
    n_looked: int,
    n_total: int,
    acked: tuple[str, int],
    place: str,
    thumbnail_url: str,
    preview_url: str,
    key: str,
    on_log: Callable[[], None] | None = None,
) -> None:
    """Show the first of the images, and let a person decide on one after the other.

    Args:
        items: at most `MAX_ITEMS`, in their order; those decided are not among them.
        labels: what can be given.
        n_looked: images of the review that were looked at, as far as is acknowledged.
        n_total: images of the review.
        acked: name of the log last received, and the number of its last entry that was written.
        place: tells the logs of a tab apart.
        thumbnail_url: address of a small image, with "{id}" for the image's id.
        preview_url: of a large one.
        on_log: called before the rerun that a longer log causes; `parse_log` reads it.

    Raises:
        ValueError: there are more items than that.
    """
    if len(items) > MAX_ITEMS:
        raise ValueError(f"a review holds at most {MAX_ITEMS} images at once, got {len(items)}")
    log, seq = acked
    _mount(
        key=key,
        data={
            "script_url": asset_url("label_review/label_review.js"),
            "style_url": asset_url("label_review/label_review.css"),
            "items": [asdict(item) for item in items],
            "labels": [asdict(label) for label in labels],
            "n_looked": n_looked,
            "n_total": n_total,
            "acked": {"log": log, "seq": seq},
            "place": place,
            "thumbnail_url": thumbnail_url,
            "preview_url": preview_url,
        },
        on_log_change=on_log or ignore_change,
    )


def parse_log(value: Any) -> tuple[str, list[ReviewEntry]]:
    """The name of a log and its entries in their order, as a browser sent them.

    Raises:
        ValueError: it is not what the component sends.
    """
    return read_log(value, _parse_entry)


def _parse_entry(entry: Any) -> ReviewEntry:
    if not isinstance(entry, Mapping) or entry.get("kind") not in KINDS:
        raise ValueError(f"an entry must be one of {', '.join(KINDS)}, got {entry!r:.80}")
    kind = entry["kind"]
    label, seen = entry.get("label"), entry.get("seen")
    if kind in ("accept", "keep", "label") and not (
        isinstance(label, str) and isinstance(seen, str)
    ):
        raise ValueError(f"a decision names two labels, got {entry!r:.80}")
    return ReviewEntry(
        seq=count(entry.get("seq")),
        image_id=count(entry.get("id")),
        kind=kind,
        label=label,
        seen=seen,
        of=count(entry.get("of", 0)),
    )
