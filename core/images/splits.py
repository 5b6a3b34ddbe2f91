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
    fixed: Sequence[str | None] | None = None,
) -> list[str]:
    """Draw a split for every image that has none, each label shared out by `ratios`.

    Algorithm: groups (single images where `groups` is None) are shuffled, the largest first, and
    each goes to the split that its labels lack most. Without groups this is the largest-remainder
    method within each label: every label's count in every split is less than one image off its
    share. What a label leaves undecided goes to the split furthest below its overall share, so
    that tiny classes do not all fall into the same one.

    A group with a fixed image follows it. Where its fixed images are in several splits, the group
    leaks already: what was learned from, or chosen by, an earlier split of `SPLITS` is asked again
    in a later one. Its other images then go to the earliest of them, which adds none to those
    asked again.

    Args:
        labels: label of each image; None (no label) is shared out like a label of its own.
        ratios: split -> weight; only splits with a positive weight are drawn. The shares are of
            all images, also the fixed ones.
        seed: the same seed, labels, groups and fixed splits give the same splits.
        groups: name of each image's group; no group is divided that `fixed` does not divide.
        fixed: split that an image has already and keeps; None for those to be drawn.

    Returns:
        A split for each image.

    Raises:
        ValueError: an unknown split, a weight that is negative or not finite, no positive weight,
            or `groups` or `fixed` of another length than `labels`.
    """
    shares = {split: share for split, share in _shares(ratios).items() if share > 0}
    if fixed is not None:
        _check_splits("fixed", fixed, len(labels))
    members = _members(groups, len(labels))
    order = np.random.default_rng(seed).permutation(len(members))
    largest_first = sorted((members[i] for i in order), key=len, reverse=True)

    assigned: list[str | None] = [None] * len(labels) if fixed is None else list(fixed)
    undecided = [rows for rows in largest_first if not _follow_fixed(rows, assigned)]

    n_of_label = Counter(labels)
    lacking = {
        split: {label: n * share for label, n in n_of_label.items()}
        for split, share in shares.items()
    }
    lacking_overall = {split: len(labels) * share for split, share in shares.items()}
    for label, split in zip(labels, assigned, strict=True):
        if split in shares:
            lacking[split][label] -= 1
            lacking_overall[split] -= 1

    for rows in undecided:
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
    return [split for split in assigned if split is not None]  # all are


def split_off_calibration(
    labels: Sequence[str | None],
    splits: Sequence[str | None],
    groups: Sequence[str] | None = None,
    *,
    share: float = 0.5,
    seed: int,
) -> list[str | None]:
    """Move a part of validation into calibration, where the source brings none.

    It is drawn as by `assign_splits`: each label shared out, no group divided. A group that has an
    image in another split stays where it is, for thresholds must not be set on what was trained on.

    Args:
        labels: label of each image.
        splits: split of each image; None for images without one.
        groups: name of each image's group.
        share: of validation's images to move, in (0, 1).
        seed: the same seed, labels, splits and groups move the same images.

    Returns:
        A split for each image: the one it had, or calibration instead of validation.

    Raises:
        ValueError: `share` is out of its range, a split is unknown, or the lengths differ.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), got {share}")
    _check_splits("splits", splits, len(labels))
    validation = [row for row, split in enumerate(splits) if split == "validation"]
    stays = {
        row
        for rows in _members(groups, len(labels))
        if any(splits[row] not in ("validation", None) for row in rows)
        for row in rows
    }
    drawn = assign_splits(
        [labels[row] for row in validation],
        ratios={"validation": 1 - share, "calibration": share},
        seed=seed,
        groups=None if groups is None else [groups[row] for row in validation],
        fixed=["validation" if row in stays else None for row in validation],
    )
    moved = dict(zip(validation, drawn, strict=True))
    return [moved.get(row, split) for row, split in enumerate(splits)]


def _members(groups: Sequence[str] | None, n_images: int) -> list[list[int]]:
    """Rows of each group, in the order of their first; of each image where there are no groups."""
    if groups is None:
        return [[row] for row in range(n_images)]
    if len(groups) != n_images:
        raise ValueError(f"groups has {len(groups)} entries for {n_images} labels")
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    return list(members.values())


def _follow_fixed(rows: Sequence[int], assigned: list[str | None]) -> bool:
    """Give a group's undecided images the earliest split of its others; False if all are free."""
    decided = {assigned[row] for row in rows}
    earliest = next((split for split in SPLITS if split in decided), None)
    if earliest is None:
        return False
    for row in rows:
        assigned[row] = assigned[row] or earliest
    return True


def _check_splits(name: str, splits: Sequence[str | None], n_images: int) -> None:
    if len(splits) != n_images:
        raise ValueError(f"{name} has {len(splits)} entries for {n_images} labels")
    unknown = sorted({split for split in splits if split is not None} - set(SPLITS))
    if unknown:
        raise ValueError(f"splits are {', '.join(SPLITS)}, got {unknown[0]!r}")


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
