"""Splits: which images train, which choose, which calibrate, which are only reported on?"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from core.vocabulary import SPLITS

# The paper's 240/70/34 images are 70/20/10. Training and test keep their shares; calibration, which
# serves thresholds alone, takes half of validation's.
DEFAULT_RATIOS: Mapping[str, float] = {
    "train": 0.7,
    "validation": 0.1,
    "calibration": 0.1,
    "test": 0.1,
}

_SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "cal": "calibration",
    "calib": "calibration",
    "calibration": "calibration",
    "test": "test",
    "testing": "test",
}


def split_named(name: str) -> str | None:
    """The split that a folder or a table calls `name`, in any case, or None."""
    return _SPLIT_NAMES.get(name.strip().casefold())


def parse_ratios(text: str) -> dict[str, float]:
    """Read `T/V/C/S` (train/validation/calibration/test) or `T/V/S`, which has no calibration.

    The numbers are weights: "70/15/0/15", "0.7/0.15/0/0.15" and "14/3/0/3" are the same.

    Returns:
        Shares of all four splits, in [0, 1], that sum to 1.

    Raises:
        ValueError: not three or four numbers, or one is negative or not finite, or all are 0.
    """
    parts = text.split("/")
    if len(parts) == 3:
        parts.insert(2, "0")
    if len(parts) != 4:
        raise ValueError(
            "a split must be three or four numbers, train/validation[/calibration]/test, "
            f"got {text!r}"
        )
    try:
        weights = [float(part) for part in parts]
    except ValueError:
        raise ValueError(f"a split must be numbers such as 70/10/10/10, got {text!r}") from None
    return _shares(dict(zip(SPLITS, weights, strict=True)))


def assign_splits(
    labels: Sequence[str | None],
    *,
    ratios: Mapping[str, float] = DEFAULT_RATIOS,
    seed: int,
    groups: Sequence[str] | None = None,
) -> list[str]:
    """Draw a split for every image, each label shared out by `ratios`.

    Algorithm: groups (single images where `groups` is None) are shuffled, the largest first, and
    each goes to the split that its labels lack most. Without groups this is the largest-remainder
    method within each label: every label's count in every split is less than one image off its
    share. What a label leaves undecided goes to the split furthest below its overall share, so
    that tiny classes do not all fall into the same one.

    Args:
        labels: label of each image; None (no label) is shared out like a label of its own.
        ratios: split -> weight; only splits with a positive weight are drawn. To split
            calibration off validation, pass validation's labels with these two weights.
        seed: the same seed, labels and groups give the same splits.
        groups: name of each image's group; a group is never divided between splits.

    Returns:
        A split for each image.

    Raises:
        ValueError: an unknown split, a weight that is negative or not finite, no positive weight,
            or `groups` of another length than `labels`.
    """
    shares = {split: share for split, share in _shares(ratios).items() if share > 0}
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"groups has {len(groups)} entries for {len(labels)} labels")

    members: dict[object, list[int]] = defaultdict(list)
    for row, group in enumerate(range(len(labels)) if groups is None else groups):
        members[group].append(row)
    shuffled = list(members.values())
    order = np.random.default_rng(seed).permutation(len(shuffled))
    largest_first = sorted((shuffled[i] for i in order), key=len, reverse=True)

    n_of_label = Counter(labels)
    lacking = {
        split: {label: n * share for label, n in n_of_label.items()}
        for split, share in shares.items()
    }
    lacking_overall = {split: len(labels) * share for split, share in shares.items()}

    assigned = [""] * len(labels)
    for rows in largest_first:
        counts = Counter(labels[row] for row in rows)
        need: dict[str, tuple[float, float]] = {}
        for split in shares:
            of_labels = sum(n * lacking[split][c] / n_of_label[c] for c, n in counts.items())
            need[split] = (round(of_labels, 9), lacking_overall[split])
        chosen = max(need, key=need.__getitem__)
        for row in rows:
            assigned[row] = chosen
        for label, n in counts.items():
            lacking[chosen][label] -= n
        lacking_overall[chosen] -= len(rows)
    return assigned


def _shares(ratios: Mapping[str, float]) -> dict[str, float]:
    unknown = sorted(set(ratios) - set(SPLITS))
    if unknown:
        raise ValueError(f"splits are {', '.join(SPLITS)}, got {unknown[0]!r}")
    for split, weight in ratios.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"the weight of {split} must be 0 or more, got {weight}")
    total = math.fsum(ratios.values())
    if not (total > 0 and math.isfinite(total)):
        raise ValueError(f"the weights of a split must have a positive sum, got {dict(ratios)}")
    return {split: weight / total for split, weight in ratios.items()}
