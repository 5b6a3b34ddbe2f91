"""Why is this image in front of a person? One sentence, from what the model found.

Audited and known images are there to be judged like all others, so nothing here looks at why an
item was taken in, but for those that a person has picked.
"""

from collections.abc import Sequence
from typing import Protocol

from core.vocabulary import MULTIPLE, NOT_A_DEFECT, UNUSABLE

BLIND = "Judged blind: the scores appear after your decision."
FAR = 0.95  # from this share of nearer validation images, an image is far from all that is labelled
SURE = 0.8  # from this confidence, the second class is no alternative
_NAMES = {MULTIPLE: "Multiple defects", NOT_A_DEFECT: "Not a defect", UNUSABLE: "Unusable"}


class WaitingItem(Protocol):
    """What a sentence is made of; see `core.state.triage_queue.QueueItem`."""

    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def is_blind(self) -> bool: ...
    @property
    def opinion(self) -> int: ...
    @property
    def top(self) -> Sequence[tuple[str, float]]: ...
    @property
    def novelty(self) -> float | None: ...


def label_name(label: str) -> str:
    """A label as people read it; only the reserved ones read otherwise than they are stored."""
    return _NAMES.get(label, label)


def why_here(item: WaitingItem) -> str:
    """Why a person is asked, in a sentence or two that betray no check."""
    if item.is_blind:
        why = BLIND
    elif item.kind == "picked":
        why = f"Picked by hand: {item.reason}." if item.reason else "Picked by hand."
    elif item.novelty is not None and item.novelty >= FAR:
        nearest = f"; nearest to {label_name(item.top[0][0])}" if item.top else ""
        why = f"Far from everything labelled: farther than {_share(item.novelty)}{nearest}."
    else:
        why = f"Looks like {describe_scores(item.top)}." if item.top else "No model has seen it."
    return why if item.opinion == 1 else f"A second opinion is wanted. {why}"


def describe_scores(top: Sequence[tuple[str, float]]) -> str:
    """`scratch 0.54 and drop 0.41`; one class alone where the model is sure of it."""
    surest, *others = [f"{label_name(label)} {share:.2f}" for label, share in top]
    return surest if top[0][1] >= SURE or not others else f"{surest} and {others[0]}"


def _share(novelty: float) -> str:
    percent = int(100 * novelty)
    return "all validation images" if percent >= 100 else f"{percent}% of the validation images"
