"""Two models side by side on the same test images: the verdict, by class, image by image."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core import figures
from core.analysis.model_comparisons import (
    BETTER,
    NO_DIFFERENCE,
    WORSE,
    PairedMeasure,
    PairedModels,
)
from core.analysis.models import as_percent
from core.state import catalog
from core.state.workspace import Workspace
from pages._images import ranked_gallery
from pages._shared import counted, noted_metric, plain

_LOOKS = {
    BETTER: (st.success, ":material/trending_up:", "is better than"),
    NO_DIFFERENCE: (st.info, ":material/trending_flat:", "shows no difference from"),
    WORSE: (st.error, ":material/trending_down:", "is worse beyond chance than"),
}
_TABS = {"better": "Better", "worse": "Worse", "both wrong": "Both wrong"}


def show_paired(workspace: Workspace, paired: PairedModels, *, key: str) -> None:
    """All that the comparison says.

    Args:
        key: that the keys of these widgets begin with.
    """
    _show_verdict(paired)
    for note in paired.found.notes:
        st.caption(f":orange[:material/info: {plain(note)}]")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("##### Right, by class")
        st.plotly_chart(
            figures.recall_by_class(paired.found.classes, old=paired.old, new=paired.new),
            key=f"{key}.classes",
            config={"displayModeBar": False},
        )
    with right:
        st.markdown("##### What changed")
        st.plotly_chart(
            figures.confusion_change(paired.found.old_confusion, paired.found.new_confusion),
            key=f"{key}.confusion",
            config={"displayModeBar": False},
        )
        st.caption("Images more or fewer in each cell. Blue is better, vermilion is worse.")
    _show_images(workspace, paired, key=key)


def _show_verdict(paired: PairedModels) -> None:
    both = paired.found.both
    show, icon, words = _LOOKS[paired.found.verdict]
    show(
        f"**{paired.new} {words} {paired.old}**, on {counted(both.n, 'test image')} of the classes "
        f"that both know and that neither has seen: {both.n_gained:,} better, {both.n_lost:,} "
        "worse.",
        icon=icon,
    )
    if not paired.is_current:
        st.warning(
            "Test images or their labels have changed since: compare again.",
            icon=":material/history:",
        )
    with st.container(horizontal=True):
        _show_difference(both)
        _show_pair("Accuracy", both.old_accuracy.value, both.new_accuracy.value)
        _show_pair("Balanced accuracy", both.old_balanced.value, both.new_balanced.value)
        new_only = paired.found.new_only
        if new_only.n:
            noted_metric(
                "New classes",
                as_percent(new_only.new_accuracy),
                f"of {counted(new_only.n, 'image')}; the old one knows none",
            )


def _show_difference(both: PairedMeasure) -> None:
    difference = both.difference
    if difference.value is None or difference.low is None or difference.high is None:
        noted_metric("Difference", "–", "there are no such images")
        return
    noted_metric(
        "Difference",
        f"{100 * difference.value:+.1f} points",
        f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
        help="Accuracy of the new model less that of the old one on the same images, with its 95% "
        f"interval. Chance alone would make it so much worse with probability {both.p_worse:.2g}, "
        f"so much better with {both.p_better:.2g} (exact McNemar test).",
    )


def _show_pair(title: str, old: float | None, new: float | None) -> None:
    if old is not None and new is not None:
        noted_metric(title, f"{new:.1%}", f"{old:.1%} before")


def _show_images(workspace: Workspace, paired: PairedModels, *, key: str) -> None:
    there = catalog.image_ids(workspace)
    ids = {outcome: paired.with_outcome(outcome) for outcome in _TABS}
    ids = {outcome: each[np.isin(each, there)] for outcome, each in ids.items()}
    outcome: str = st.segmented_control(
        "Images",
        list(_TABS),
        default="worse" if len(ids["worse"]) else "better",
        required=True,
        format_func=lambda outcome: f"{_TABS[outcome]} · {len(ids[outcome]):,}",
        key=f"{key}.outcome",
    )
    if not len(ids[outcome]):
        st.caption("There is no such image.")
        return
    ranked_gallery(
        workspace,
        ids[outcome],
        key=f"{key}.images.{outcome}",
        order="in the order they came in",
        remarks_for=paired.remarks,
    )
