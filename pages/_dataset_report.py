"""The report on a data set: what is wrong with it, charts of it, and the images behind each.

Nothing is opened at first: the findings and every chart are seen at a glance. A finding or a bar
opens its images; what is open stands in the page's address, as what its images have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core import actions, figures, queries
from core.jobs.configs import CheckFiles, FindNearDuplicates
from core.report.copies import common_folder, list_copies, list_look_alikes
from core.report.counts import count_labels, count_sizes, count_values
from core.report.facts import MEASURES, Facts
from core.report.findings import Finding, find_problems
from core.report.subsets import (
    CameTwice,
    HasFlag,
    HasLookAlikes,
    HasOtherSize,
    HasSize,
    InCell,
    InConflict,
    InRange,
    LooksLike,
    Subset,
    decode,
    describe,
    encode,
    explain,
    ids_of,
    join,
)
from core.state import labels
from core.state.catalog import ImageFilter
from core.state.image_table import image_table_version
from core.state.workspace import Workspace
from pages._images import image_actions, paged_gallery
from pages._shared import acting, changed, image_urls, plain, submit

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MAX_ROWS = 200  # of a table of files
_OPENED = "shown"  # in the page's address
_VISITS = "dataset.report.visits"
_UNUSED_TOOLS = ["zoom2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d", "toImage"]
_MARKS = {
    "error": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
    "info": ":blue[:material/info:]",
}


def show_report(workspace: Workspace) -> None:
    """Findings and charts, or the images of what is opened."""
    facts = _facts(workspace, workspace.uid, image_table_version(workspace))
    try:
        opened = decode(st.query_params.get(_OPENED, ""))
    except ValueError:
        opened = ()
        st.toast("This link names nothing that the report knows.", icon=":material/error:")
    with_excluded = _ask_about_excluded(facts)
    if opened:
        show_opened(workspace, facts, opened, with_excluded=with_excluded)
        return
    if facts.images.is_excluded.all() and not with_excluded:
        st.info("Every image is excluded: there is nothing to look at.")
    else:
        show_findings(find_problems(facts, with_excluded=with_excluded))
        show_labels(facts, with_excluded=with_excluded)
        show_measures(facts, with_excluded=with_excluded)
    show_duplicates(workspace, facts)
    show_look_alikes(workspace, facts)
    show_files(workspace)


def show_findings(findings: Sequence[Finding]) -> None:
    """A line a finding: what is wrong, which opens its images, and what to do about it."""
    st.subheader("What to look at", anchor=False)
    if not findings:
        st.success(
            "Nothing stands out: every class is in every split, and no image is blurred, blank, "
            "lost or of an odd size.",
            icon=":material/check_circle:",
        )
    with st.container(gap="xxsmall"):
        for place, finding in enumerate(findings):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    f"{_MARKS[finding.severity]} **{plain(finding.text)}** "
                    ":gray[:material/chevron_right:]",
                    type="tertiary",
                    width="content",
                    key=f"dataset.report.finding.{place}",
                    help="Show the images",
                    on_click=open_images,
                    args=(finding.subset,),
                )
                st.caption(finding.advice)


def show_labels(facts: Facts, *, with_excluded: bool) -> None:
    """Balance of the classes, and whether the splits share them alike."""
    rows = count_labels(facts, with_excluded=with_excluded)
    left, right = st.columns(2)
    with left:
        st.subheader("Images by class", anchor=False)
        _chart("by_class", figures.images_by_class(rows, classes=facts.classes))
    with right:
        st.subheader("Labels by split", anchor=False)
        _chart("by_split", figures.labels_by_split(rows, classes=facts.classes))


def show_measures(facts: Facts, *, with_excluded: bool) -> None:
    """How the images differ as pictures; flagged ones in another colour."""
    st.subheader("Image quality", anchor=False)
    st.caption(
        "Click a bar to see its images. Orange: images that are flagged; a dotted line stands "
        "where that begins."
    )
    columns = st.columns(3)
    for place, measure in enumerate(MEASURES):
        with columns[place % 3]:
            counted = count_values(facts, measure, with_excluded=with_excluded)
            if counted.counts.any():
                _chart(measure, figures.histogram(counted, height=210))
            else:
                st.caption(f"{counted.measure.title}: no image has been measured.")
    with columns[len(MEASURES) % 3]:
        sizes = count_sizes(facts, with_excluded=with_excluded)
        _chart("sizes", figures.image_sizes(sizes, height=210))


def show_duplicates(workspace: Workspace, facts: Facts) -> None:
    """Files with the same bytes: one image here, however many paths it came from."""
    st.subheader("Exact duplicates", anchor=False)
    copies = list_copies(facts)
    if not copies:
        st.markdown("No file came twice.")
        return
    order = " Those whose files were given different labels stand first." * bool(facts.conflicts)
    st.markdown(f"Each of these images came from several files and is kept once.{order}")
    shown = copies[:MAX_ROWS]
    if len(copies) > len(shown):
        st.caption(f"The first {len(shown):,} of them:")
    folder = common_folder(path for each in shown for path in each.paths)
    thumbnail = image_urls(workspace)["thumbnail_url"]
    table = pd.DataFrame(
        {
            "image": [thumbnail.format(id=each.image_id) for each in shown],
            "different labels": [list(each.labels) for each in shown],
            "files": [[path.removeprefix(folder) for path in each.paths] for each in shown],
        }
    )
    st.dataframe(
        table if facts.conflicts else table.drop(columns="different labels"),
        hide_index=True,
        row_height=56,
        column_config={
            "image": st.column_config.ImageColumn(width=80),
            "different labels": st.column_config.ListColumn(width="medium"),
            "files": st.column_config.ListColumn(f"files below {folder}", width="large"),
        },
        key="dataset.duplicates",
    )


def show_look_alikes(workspace: Workspace, facts: Facts) -> None:
    """Groups of images that look alike, though their bytes differ; a row opens one."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Near-duplicates", anchor=False)
        if st.button("Search again", icon=":material/search:", key="dataset.find_alike"):
            submit(workspace, FindNearDuplicates())
            st.rerun()
    groups = list_look_alikes(facts)
    if not groups:
        st.markdown("No two images look alike.")
        return
    st.markdown(
        "Images whose structure and colour agree. Shots of one thing in training and in test make "
        "the test's accuracy a lie: a draw of splits keeps each group together. Groups in several "
        "splits stand first."
    )
    shown = groups[:MAX_ROWS]
    if len(groups) > len(shown):
        st.caption(f"The first {len(shown):,} of {len(groups):,}:")
    thumbnail = image_urls(workspace)["thumbnail_url"]
    table = pd.DataFrame(
        {
            "one": [thumbnail.format(id=each.image_ids[0]) for each in shown],
            "another": [thumbnail.format(id=each.image_ids[1]) for each in shown],
            "images": [len(each.image_ids) for each in shown],
            "splits": [list(each.splits) for each in shown],
            "labels": [list(each.labels) for each in shown],
        }
    )
    key = _key("look_alikes")

    def open_row() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            open_images((LooksLike(shown[rows[0]].image_ids[0]),))

    st.dataframe(
        table,
        hide_index=True,
        row_height=56,
        column_config={
            "one": st.column_config.ImageColumn("", width=80),
            "another": st.column_config.ImageColumn("", width=80),
            "images": st.column_config.NumberColumn(width="small"),
            "splits": st.column_config.ListColumn(width="medium"),
            "labels": st.column_config.ListColumn(width="medium"),
        },
        on_select=open_row,
        selection_mode="single-row",
        key=key,
    )


def show_files(workspace: Workspace) -> None:
    """Whether the files are still where they were."""
    st.subheader("Files", anchor=False)
    if st.button("Check all files now", icon=":material/fact_check:", key="dataset.check"):
        submit(workspace, CheckFiles(), role="operator")
        st.rerun()


def show_opened(workspace: Workspace, facts: Facts, opened: Subset, *, with_excluded: bool) -> None:
    """The images of a subset, the chart it was found on, and what can be done with them."""
    ids = ids_of(facts, opened, with_excluded=with_excluded)
    images = "1 image" if len(ids) == 1 else f"{len(ids):,} images"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "All findings",
            icon=":material/arrow_back:",
            key="dataset.report.close",
            on_click=open_images,
            args=((),),
        )
        st.subheader(plain(f"{images} {describe(opened)}"), anchor=False)
    for line in explain(facts, opened):
        st.caption(line)
    show_chart_of(workspace, facts, opened, with_excluded=with_excluded)
    if not len(ids):
        st.info(
            "No image is left here: they were excluded, relabelled or moved.",
            icon=":material/check_circle:",
        )
        return
    actions = st.container()
    picked, _ = paged_gallery(workspace, ImageFilter(ids=tuple(ids.tolist())), key="dataset.report")
    with actions:
        act_on_opened(workspace, facts, ids.tolist(), picked.selected, opened)


def act_on_opened(
    workspace: Workspace,
    facts: Facts,
    ids: Sequence[int],
    picked: Sequence[int],
    opened: Subset,
) -> None:
    """Exclude, relabel or move all images that are open, or those picked in the gallery."""
    reason = f"found in the report {describe(opened)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        is_mended = mend_splits(workspace, facts, opened)
        whole = st.toggle(f"Act on all {len(ids):,} images", key="dataset.report.whole")
        # what a finding about splits shows has nothing wrong but its split
        if not is_mended and st.button(
            f"Exclude all {len(ids):,}",
            icon=":material/block:",
            key="dataset.report.exclude_all",
            help="Leave these images out of training, in one step that can be undone.",
        ):
            batch = labels.set_excluded(workspace, ids, True, actor=acting().name, reason=reason)
            changed(workspace, batch, "Excluded from training")
            st.rerun()
    image_actions(
        workspace,
        ids if whole else picked,
        key="dataset.report",
        what=reason,
        queue_reason=reason,
    )


def mend_splits(workspace: Workspace, facts: Facts, opened: Subset) -> bool:
    """What a finding about splits offers to do about it, in one step that can be undone.

    Returns:
        Whether these images are such a finding's. Once it is mended, the whole report is shown.
    """
    if opened == (HasLookAlikes("splits"),):
        if st.button(
            "Keep each group in one split",
            type="primary",
            icon=":material/call_merge:",
            key="dataset.report.unite",
            help="Each group goes where its earliest image stands: training before test.",
        ):
            batch = actions.unite_look_alikes(workspace, actor=acting("data scientist").name)
            changed(workspace, batch, "Moved to one split each")
            open_images(())
            st.rerun()
        return True
    has_calibration = "calibration" in facts.images.splits.names
    if opened == (InCell("*", "validation"),) and not has_calibration:
        if st.button(
            "Make half of them the calibration split",
            type="primary",
            icon=":material/call_split:",
            key="dataset.report.calibrate",
            help="Each class alike, shots of one thing kept together.",
        ):
            batch = actions.split_off_calibration(workspace, actor=acting("data scientist").name)
            changed(workspace, batch, "Moved to calibration")
            open_images(())
            st.rerun()
        return True
    return False


def show_chart_of(
    workspace: Workspace, facts: Facts, opened: Subset, *, with_excluded: bool
) -> None:
    """The chart that the subset belongs to, with its bars marked, to go on from there."""
    part = opened[0]
    measure = _measure_of(facts, opened)
    if measure:
        counted = count_values(facts, measure, with_excluded=with_excluded)
        _chart(measure, figures.histogram(counted, height=250, chosen=opened), ranges=True)
        if isinstance(part, InRange):
            choose_range(counted.edges.tolist(), part)
    elif isinstance(part, InCell):
        rows = count_labels(facts, with_excluded=with_excluded)
        _chart("by_class", figures.images_by_class(rows, classes=facts.classes, chosen=opened))
    elif isinstance(part, HasSize | HasOtherSize | HasFlag):
        sizes = count_sizes(facts, with_excluded=with_excluded)
        _chart("sizes", figures.image_sizes(sizes, height=250, chosen=opened))
    elif isinstance(part, CameTwice | InConflict):
        show_duplicates(workspace, facts)
    elif isinstance(part, HasLookAlikes):
        show_look_alikes(workspace, facts)


def choose_range(edges: Sequence[float], chosen: InRange) -> None:
    """Handles under a histogram, to widen or narrow the range that is open."""
    key, write = _key("range"), MEASURES[chosen.measure].format.format
    ends = {write(end): end for end in (*edges, chosen.low, chosen.high)}  # each text once
    if write(chosen.low) == write(chosen.high):
        return
    st.select_slider(
        "Range",
        sorted(ends.values()),
        value=(chosen.low, chosen.high),
        format_func=write,
        label_visibility="collapsed",
        key=key,
        on_change=lambda: _open_range(chosen.measure, *st.session_state[key]),
    )


def _open_range(measure: str, low: float, high: float) -> None:
    if low < high:  # both handles on one edge hold nothing
        open_images((InRange(measure, low, high),))


def open_images(subset: Subset) -> None:
    """Show these images, or the report as a whole where there are none, from the next run on."""
    st.session_state[_VISITS] = st.session_state.get(_VISITS, 0) + 1
    for name in ("page", "whole", "sort"):  # chosen for other images
        st.session_state.pop(f"dataset.report.{name}", None)
    if subset:
        st.query_params[_OPENED] = encode(subset)
    else:
        st.query_params.pop(_OPENED, None)


def _chart(name: str, figure: Figure, *, ranges: bool = False) -> None:
    """A chart whose bars open their images; with `ranges`, a box over several bars does too."""
    key = _key(name)
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: _open_clicked(key),
        selection_mode=("points", "box") if ranges else "points",
        config={"displayModeBar": ranges, "modeBarButtonsToRemove": _UNUSED_TOOLS},
    )


def _key(name: str) -> str:
    """A key that is new whenever other images are open, so that a widget starts from these."""
    return f"dataset.report.{name}.{st.session_state.get(_VISITS, 0)}"


def _open_clicked(key: str) -> None:
    try:
        points = st.session_state[key].selection.points
        clicked = join([decode(point["customdata"]) for point in points if "customdata" in point])
    except (TypeError, ValueError):
        return  # no bar of ours
    if clicked:
        open_images(clicked)


@st.cache_resource(max_entries=4, show_spinner=False)
def _facts(_workspace: Workspace, uid: str, version: str) -> Facts:
    return queries.dataset_facts(_workspace)


def _ask_about_excluded(facts: Facts) -> bool:
    n_excluded = int(facts.images.is_excluded.sum())
    return bool(n_excluded) and st.toggle(
        f"Count excluded images too ({n_excluded:,})",
        key="dataset.report.excluded",
        bind="query-params",
    )


def _measure_of(facts: Facts, opened: Subset) -> str | None:
    part = opened[0]
    if isinstance(part, HasFlag):
        return facts.flagged[part.name].flag.measure
    return part.measure if isinstance(part, InRange) else None
