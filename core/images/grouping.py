"""Groups: which images must stay in one split, since they show one panel or one and the same thing?

A grouping names the group of each image, None for an image that stands alone.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

from core.images.name_patterns import picked_by_pattern
from core.images.splits import DEFAULT_RATIOS
from core.vocabulary import SPLITS


@dataclass(frozen=True)
class GroupSizes:
    """What to know about groups before splits are drawn from them.

    Attributes:
        n_images: all of them.
        n_groups: an image that stands alone is a group too.
        n_grouped: images that share their group with another.
        smallest, median, largest: images in a group; 0 where there are no images.
        n_oversized: groups larger than the smallest split is meant to be. They alone make the
            splits uneven.
    """

    n_images: int
    n_groups: int
    n_grouped: int
    smallest: int
    median: int
    largest: int
    n_oversized: int

    @property
    def largest_share(self) -> float:
        """Share of the images that the largest group holds, in [0, 1]."""
        return self.largest / self.n_images if self.n_images else 0.0


@dataclass(frozen=True)
class StraddlingGroup:
    """A group with images in several splits.

    Attributes:
        group: its name.
        rows: its images that have a split, ascending.
        n_by_split: images in each split that has some, in the order of `SPLITS`.
    """

    group: str
    rows: tuple[int, ...]
    n_by_split: Mapping[str, int]


def group_by_pattern(names: Sequence[str], pattern: str) -> list[str | None]:
    """Group images by a part of their path, such as `panel_(\\d+)`.

    Args:
        names: path of each image within its source, with forward slashes.
        pattern: a regular expression, matched anywhere in the path. Its groups name the image's
            group, the whole match does where it has none.

    Returns:
        The group of each image; None where the pattern does not match, or matches nothing.

    Raises:
        ValueError: the pattern is empty, too long, no regular expression, or takes too long.
    """
    return picked_by_pattern(names, pattern)


def group_by_attribute(values: Sequence[object]) -> list[str | None]:
    """Group images by a column: by its text, so that 3, 3.0 and " 3" are one group.

    Returns:
        The group of each image; None where the value is missing (None, NaN or blank).
    """
    return [_as_text(value) for value in values]


def group_by_rows(n_images: int, groups: Iterable[Iterable[int]]) -> list[str | None]:
    """Group images by lists of their rows, such as those of near-duplicates.

    Raises:
        ValueError: a row is not in [0, n_images), or is in two groups.
    """
    grouping: list[str | None] = [None] * n_images
    for number, rows in enumerate(groups, start=1):
        for row in rows:
            if not 0 <= row < n_images:
                raise ValueError(f"a row must lie in [0, {n_images}), got {row}")
            if grouping[row] is not None:
                raise ValueError(f"row {row} is in two groups")
            grouping[row] = f"alike {number}"
    return grouping


def joined_groups(*groupings: Sequence[str | None]) -> list[str]:
    """Groups that no grouping divides: images that share a group in any of them share one.

    Returns:
        The group of each image, named after its first image's first group, or after its row where
        it stands alone. Different groups have different names.

    Raises:
        ValueError: no grouping is given, or they differ in length.
    """
    lengths = {len(grouping) for grouping in groupings}
    if len(lengths) != 1:
        raise ValueError(f"groupings must be of one length, got {sorted(lengths)}")
    n_images = lengths.pop()
    parent = list(range(n_images))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for grouping in groupings:
        first_of: dict[str, int] = {}
        for row, group in enumerate(grouping):
            if group is not None:
                one, other = root(first_of.setdefault(group, row)), root(row)
                parent[max(one, other)] = min(one, other)  # the root is the first image

    name_of: dict[int, str] = {}
    taken: set[str] = set()
    for row in range(n_images):
        if root(row) == row:
            named = (grouping[row] for grouping in groupings if grouping[row] is not None)
            name = next(named, None) or f"image {row}"
            while name in taken:
                name = f"{name} ({row})"
            taken.add(name)
            name_of[row] = name
    return [name_of[root(row)] for row in range(n_images)]


def straddling(
    groups: Sequence[str | None], splits: Sequence[str | None]
) -> tuple[StraddlingGroup, ...]:
    """The groups that have images in more than one split, the largest first.

    Args:
        groups: group of each image; None straddles nothing.
        splits: split of each image; images without one are not counted.

    Raises:
        ValueError: the two differ in length.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, (group, split) in enumerate(zip(groups, splits, strict=True)):
        if group is not None and split is not None:
            rows_of[group].append(row)
    found = []
    for group, rows in rows_of.items():
        counts = Counter(splits[row] for row in rows)
        if len(counts) > 1:
            n_by_split = {split: counts[split] for split in SPLITS if counts[split]}
            found.append(StraddlingGroup(group, tuple(rows), n_by_split))
    return tuple(sorted(found, key=lambda each: (-len(each.rows), each.rows)))


def describe_groups(
    groups: Sequence[str], *, ratios: Mapping[str, float] = DEFAULT_RATIOS
) -> GroupSizes:
    """Count the groups and tell how large they are against the smallest split of `ratios`.

    Args:
        groups: group of each image, from `joined_groups`.
        ratios: split -> weight, as for `assign_splits`; splits of weight 0 are left out.
    """
    sizes = sorted(Counter(groups).values())
    smallest_split = min((weight for weight in ratios.values() if weight > 0), default=0.0)
    room = len(groups) * smallest_split / (sum(ratios.values()) or 1.0)
    return GroupSizes(
        n_images=len(groups),
        n_groups=len(sizes),
        n_grouped=sum(size for size in sizes if size > 1),
        smallest=sizes[0] if sizes else 0,
        median=median_low(sizes) if sizes else 0,
        largest=sizes[-1] if sizes else 0,
        n_oversized=sum(size > max(1.0, room) for size in sizes),
    )


def _as_text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None
