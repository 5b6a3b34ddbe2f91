"""Previews: what would come of an import's choices, told before anything is taken.

They are computed on what a look through the source has found. Files that turn out damaged or known
already, and near-duplicates, which are kept together, change the numbers a little.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from core.images.crops import crop_box
from core.images.grouping import group_by_attribute, group_by_pattern, joined_groups, straddling
from core.images.splits import DEFAULT_RATIOS, assign_splits, parse_ratios
from core.images.thumbnails import make_preview
from core.jobs.findings import Findings, Picture
from core.state import intake
from core.state.workspace import Workspace

WIDEST_MARGIN = 1.0  # of a crop, as a share of the box's longer side
_PREVIEW_SIDE_PX = 320


@dataclass(frozen=True)
class SplitPreview:
    """What an import would bring.

    Attributes:
        rows: (label, split, n_images).
        n_straddling: groups of shots that would have images in several splits.
    """

    rows: tuple[tuple[str | None, str | None, int], ...]
    n_straddling: int


def group_shots(findings: Findings, group_by: str) -> list[str | None]:
    """The group of each image by this rule; None where it stands alone.

    Args:
        group_by: as `ImportImages.group_by` has it.

    Raises:
        ValueError: it is no column, and no regular expression that ends in time.
    """
    if not group_by:
        return list(findings.groups)
    if group_by in findings.attributes:
        return group_by_attribute(findings.attributes[group_by])
    return group_by_pattern(findings.names, group_by)


def preview_splits(
    workspace: Workspace,
    findings: Findings,
    *,
    split: str,
    groups: Sequence[str | None],
    boxes: bool,
    seed: int = 0,
) -> SplitPreview:
    """The splits that an import with these choices would give, beside what is here already.

    Args:
        split: as `ImportImages.split` has it.
        groups: of each image, from `group_shots`.
        boxes: one crop a box instead of whole images.

    Raises:
        ValueError: `split` is no rule for splits.
    """
    labels, given, shots = _rows(findings, groups, boxes=boxes)
    splits: Sequence[str | None] = given
    if split != "keep":
        here = [row for row in intake.split_rows(workspace) if row.split]
        all_shots = [*(row.shot_group for row in here), *shots]
        fixed = given if split == "auto" else [None] * len(labels)
        splits = assign_splits(
            [*(row.label for row in here), *labels],
            ratios=DEFAULT_RATIOS if split == "auto" else parse_ratios(split),
            seed=seed,
            groups=joined_groups(all_shots) if any(all_shots) else None,
            fixed=[*(row.split for row in here), *fixed],
        )[len(here) :]
    counts = Counter(zip(labels, splits, strict=True))
    return SplitPreview(
        rows=tuple((label, chosen, n) for (label, chosen), n in counts.items()),
        n_straddling=len(straddling(shots, splits)) if any(shots) else 0,
    )


def preview_crops(findings: Findings, *, margin: float) -> list[Picture]:
    """Some boxes as they would be cut out with this margin.

    Args:
        margin: share of the box's longer side, in [0, `WIDEST_MARGIN`].
    """
    crops = []
    for each in findings.surroundings:
        with Image.open(BytesIO(each.jpeg), formats=("JPEG",)) as picture:
            cut, _, _ = crop_box(picture, each.box, margin=margin, source="", source_sha256="")
            jpeg = make_preview(cut, side=_PREVIEW_SIDE_PX)
        crops.append(Picture(each.box.label, each.box.label, None, jpeg))
    return crops


def _rows(
    findings: Findings, groups: Sequence[str | None], *, boxes: bool
) -> tuple[list[str | None], list[str | None], list[str | None]]:
    """Label, split and group of each image that would come: of each file, or of each box."""
    if not boxes:
        return list(findings.labels), list(findings.splits), list(groups)
    files = [row for row, drawn in enumerate(findings.boxes) for _ in drawn]
    return (
        [label for drawn in findings.boxes for label in drawn],
        [findings.splits[row] for row in files],
        # The crops of one image show one surface.
        [groups[row] or findings.names[row] for row in files],
    )
