"""How a source is to be taken in, with what will come of each choice beside it."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from core.images.splits import parse_ratios
from core.jobs.configs import ImportImages
from core.jobs.findings import Findings, Picture
from core.jobs.previews import (
    WIDEST_MARGIN,
    SplitPreview,
    group_shots,
    preview_crops,
    preview_splits,
)
from core.report.counts import tabulate
from core.state import catalog
from core.state.job_rows import Job
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS, SPLITS
from pages._import_findings import as_table, findings_of, show_tiles
from pages._shared import counted, plain

_SPLIT_RULES = {
    "auto": "Keep the source's; draw one where there is none",
    "keep": "Keep the source's; none where there is none",
    "draw": "Draw all anew, stratified by class",
}
_ALONE, _BY_SOURCE, _BY_COLUMN, _BY_PATTERN = "alone", "source", "column", "pattern"
_WHY_GROUPS = (
    "Shots of one panel are nearly the same picture. With one in training and another in test, the "
    "test asks for what was learned by heart, and its accuracy is a lie. The paper's own data set "
    "holds such near-duplicates."
)
_AS_DRAWN = (
    "Images that look alike are kept together, with the whole of their groups: where groups are "
    "large, that moves many."
)
_AS_GIVEN = (
    "The source's splits stay as they are, also where images of several look alike: the report "
    "names those and mends it."
)
_N_EXAMPLES = 4


def choose_import(
    workspace: Workspace, look: Job, findings: Findings
) -> tuple[ImportImages | None, int]:
    """Splits, groups of shots, crops, where the files stay; with what will come of it.

    Returns:
        The import as chosen, None while a choice has no meaning yet; and how many images it brings.
    """
    with st.container(border=True):
        st.markdown("##### How to take them in")
        left, right = st.columns(2, gap="large")
        with left:
            margin = _choose_crops(look, findings)
            split = _choose_split(look)
            group_by, groups = _choose_groups(workspace, look, findings)
            reference = _choose_reference(look, is_cut=margin is not None)
        if split is None or group_by is None:
            return None, 0
        with right:
            n_images = _show_consequences(
                workspace, look, split=split, group_by=group_by, groups=groups, margin=margin
            )
    config = ImportImages(
        source=look.config["source"],
        format=findings.format,
        split=split,
        reference=reference,
        crops="whole" if margin is None else "boxes",
        crop_margin=ImportImages.crop_margin if margin is None else margin,
        group_by=group_by,
        shown_as=look.config["shown_as"],
        within=look.config["within"],
    )
    return config, n_images


def _choose_crops(look: Job, findings: Findings) -> float | None:
    """The margin of the crops; None where images are taken whole."""
    if not findings.n_boxes:
        return None
    crops = st.radio(
        "What becomes an image",
        ("whole", "boxes"),
        format_func={"whole": "Each file, whole", "boxes": "Each box, cut out"}.__getitem__,
        captions=[
            f"{counted(findings.n_images, 'image')}; several classes on one make it multiple",
            f"{counted(findings.n_boxes, 'crop')}: small defects on large panels keep their pixels",
        ],
        key=f"dataset.crops.{look.id}",
    )
    if crops == "whole":
        return None
    if findings.n_without_boxes:
        st.caption(f"{counted(findings.n_without_boxes, 'image')} without a box will be refused.")
    return st.slider(
        "Margin around a box",
        0.0,
        WIDEST_MARGIN,
        ImportImages.crop_margin,
        0.05,
        help="A share of the box's longer side.",
        key=f"dataset.margin.{look.id}",
    )


def _choose_split(look: Job) -> str | None:
    """The rule for splits; None while the numbers given for a draw are no shares."""
    rule = st.selectbox(
        "Splits",
        list(_SPLIT_RULES),
        format_func=_SPLIT_RULES.__getitem__,
        key=f"dataset.rule.{look.id}",
    )
    if rule != "draw":
        return rule
    shares = st.text_input(
        "Training / validation / calibration / test",
        value="70/10/10/10",
        help="Calibration sets the thresholds of triage, and nothing else.",
        key=f"dataset.shares.{look.id}",
    )
    try:
        parse_ratios(shares or "")
    except ValueError as error:
        st.error(plain(str(error)))
        return None
    return shares


def _choose_groups(
    workspace: Workspace, look: Job, findings: Findings
) -> tuple[str | None, Sequence[str | None]]:
    """The rule and the groups that it makes; None for the rule while it is none."""
    options = {
        _BY_SOURCE if any(findings.groups) else _ALONE: "As the source says"
        if any(findings.groups)
        else "Nothing: each image by itself",
        **({_BY_COLUMN: "The same value in a column"} if findings.attributes else {}),
        _BY_PATTERN: "The same part of the file's path",
    }
    rule = st.selectbox(
        "Keep together: shots of one thing",
        list(options),
        format_func=options.__getitem__,
        key=f"dataset.group_rule.{look.id}",
    )
    st.caption(_WHY_GROUPS)
    group_by: str | None = ""
    if rule == _BY_COLUMN:
        group_by = st.selectbox(
            "Column", list(findings.attributes), key=f"dataset.group_column.{look.id}"
        )
    elif rule == _BY_PATTERN:
        group_by = st.text_input(
            "Pattern",
            placeholder=r"panel-(\d+)",
            help="A regular expression. What stands in its parentheses names the group; without "
            "any, all that it matches does.",
            key=f"dataset.group_pattern.{look.id}",
        )
        step = max(1, findings.n_images // _N_EXAMPLES)
        st.caption("Paths here:")
        st.code("\n".join(findings.names[::step][:_N_EXAMPLES]), language=None)
        if not group_by:
            st.caption("Type the part of the path that shots of one thing have in common.")
            return None, ()
    try:
        groups = _groups(workspace, workspace.uid, look, look.id, group_by or "")
    except ValueError as error:
        st.error(plain(str(error)))
        return None, ()
    if group_by or any(groups):
        st.markdown(_describe(groups))
    return group_by, groups


def _choose_reference(look: Job, *, is_cut: bool) -> bool:
    if look.config["is_upload"] or look.config["source"].lower().endswith(".zip"):
        return False
    return (
        st.checkbox(
            "Leave the files where they are",
            disabled=is_cut,
            help="Nothing is copied. They are shown as missing or changed when they are moved or "
            "edited later. Crops are always files of their own.",
            key=f"dataset.reference.{look.id}",
        )
        and not is_cut
    )


def _show_consequences(
    workspace: Workspace,
    look: Job,
    *,
    split: str,
    group_by: str,
    groups: Sequence[str | None],
    margin: float | None,
) -> int:
    """What would come of it; how many images."""
    findings = findings_of(workspace, look)
    n_here = catalog.count_images(workspace)
    preview = _splits(
        workspace, workspace.uid, look, look.id, n_here, split, group_by, margin is not None, groups
    )
    classes = [name for name in findings.classes if name not in RESERVED_LABELS]
    table = tabulate(preview.rows, classes=classes)
    st.markdown("**What will come of it**")
    st.dataframe(as_table(table), key="dataset.preview")
    by_split = dict(zip(table.splits, table.counts.sum(axis=0).tolist(), strict=True))
    total = sum(by_split.values())
    parts = [f"{split or 'no split'} **{n:,}** ({n / total:.0%})" for split, n in by_split.items()]
    st.markdown(" · ".join(parts))
    none_for = [split for split in SPLITS if split not in by_split]
    if none_for:
        st.caption(f"None will be for: {', '.join(none_for)}.")
    if preview.n_straddling:
        st.warning(
            f"In several splits of the source: {counted(preview.n_straddling, 'group')} of shots. "
            "Draw all anew to keep them together.",
            icon=":material/call_split:",
        )
    alike = _AS_DRAWN if _is_drawn(findings, split) else _AS_GIVEN
    st.caption(f"Exact duplicates are taken once, and damaged files are refused. {alike}")
    if margin is not None:
        st.markdown("**Some crops with this margin**")
        show_tiles(_crops(workspace, look, margin), n_columns=6)
    return total


def _is_drawn(findings: Findings, split: str) -> bool:
    """Whether any image is given its split by a draw."""
    return split not in ("auto", "keep") or (split == "auto" and None in findings.splits)


def _describe(groups: Sequence[str | None]) -> str:
    sizes = Counter(group for group in groups if group is not None)
    if not sizes:
        return "No image belongs to a group by this rule: each stands by itself."
    (largest, most), smallest = sizes.most_common(1)[0], min(sizes.values())
    span = f"{smallest:,} to {most:,} images" if smallest < most else counted(most, "image")
    text = f"**{counted(len(sizes), 'group')}** of {span}; the largest: {plain(largest)}."
    alone = len(groups) - sizes.total()
    return text + (f" In none, each by itself: {counted(alone, 'image')}." if alone else "")


def _crops(workspace: Workspace, look: Job, margin: float) -> list[Picture]:
    return preview_crops(findings_of(workspace, look), margin=margin)


@st.cache_data(max_entries=20, show_spinner="Grouping the images")
def _groups(
    _workspace: Workspace, uid: str, _look: Job, job_id: int, group_by: str
) -> list[str | None]:
    return group_shots(findings_of(_workspace, _look), group_by)


@st.cache_data(max_entries=50, show_spinner="Drawing the splits")
def _splits(
    _workspace: Workspace,
    uid: str,
    _look: Job,
    job_id: int,
    n_here: int,
    split: str,
    group_by: str,
    boxes: bool,
    _groups: Sequence[str | None],
) -> SplitPreview:
    findings = findings_of(_workspace, _look)
    return preview_splits(_workspace, findings, split=split, groups=_groups, boxes=boxes)
