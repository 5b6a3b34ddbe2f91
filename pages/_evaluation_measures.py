"""The view Measures: how often the model is right, what it confuses, and whether it knows."""

from __future__ import annotations

import numpy as np
import streamlit as st

from core import figures
from core.analysis.evaluations import (
    ModelEvaluation,
    Reliability,
    RoleMeasures,
    Temperature,
)
from core.state.models import Model
from core.state.workspace import Workspace
from pages._evaluated import choose_role, in_words, show_images, show_share
from pages._opened_cell import Cell, chart_key, open_cell, open_clicked, opened_cell
from pages._shared import counted, noted_metric, plain

_NO_TOOLS = {"displayModeBar": False}
_PAPER = "The paper, on its own 70 validation images: "


def show_measures(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    """The measures of one role, or the images of one cell of its confusion matrix."""
    cell = _opened(found)
    if cell:
        show_cell(workspace, model, found, cell)
        return
    role = choose_role(found)
    measures = found.by_role[role]
    show_headline(found, role, measures)
    left, right = st.columns(2)
    with left:
        st.subheader("What is taken for what", anchor=False)
        _show_confusion(found, role, None)
        st.caption("Choose a cell to see its images.")
    with right:
        st.subheader("Class by class", anchor=False)
        st.plotly_chart(
            figures.class_scores(measures.evaluation.classes),
            key="evaluation.classes",
            config=_NO_TOOLS,
        )
        st.caption(
            "Precision: of the images that were given this class, how many are of it. Recall: of "
            "the images of this class, how many were given it."
        )
    show_calibration(found, role, measures)


def show_headline(found: ModelEvaluation, role: str, measures: RoleMeasures) -> None:
    """The few values that a model is known by, and what they do not say."""
    evaluation, rule = measures.evaluation, found.rule.by_role.get(role)
    with st.container(horizontal=True):
        show_share(
            "Accuracy",
            evaluation.accuracy,
            help="Share of the images of the model's classes that were given the right one. "
            + _PAPER
            + "92.31% in its text, 100% in its Table 2.",
        )
        show_share(
            "Balanced accuracy",
            evaluation.balanced_accuracy,
            help="Mean of the classes' recalls: rare classes weigh as much as common ones.",
        )
        index = rule.adjusted_rand_index if rule else None
        noted_metric(
            "ARI of the clusters",
            "–" if index is None else f"{index:.3f}",
            f"n = {rule.n_labelled:,}" if rule else None,
            help="Adjusted Rand index of the paper's clustering and the labels: 1 where they say "
            "the same, about 0 by chance. " + _PAPER + "0.89.",
        )
        error = measures.calibration.after
        noted_metric(
            "Calibration error",
            _shown(error.expected_calibration_error),
            None
            if error.expected_by_chance is None
            else f"{error.expected_by_chance:.3f} by chance alone",
            help="Mean gap between how sure the model is, after its temperature, and how often it "
            "is right. 0 is best. So few images show the error by chance even of a model that is "
            "perfectly calibrated.",
        )
    st.caption(in_words(evaluation.accuracy, "Accuracy"))
    left_out = []
    if evaluation.n_other:
        left_out.append(
            f"{counted(evaluation.n_other, 'image')} with a label that is no class of the model"
        )
    if evaluation.n_unlabelled:
        left_out.append(f"{counted(evaluation.n_unlabelled, 'image')} without a label")
    if left_out:
        st.caption(
            f"Not in the accuracy: {' and '.join(left_out)}. The ARI counts every labelled image, "
            "those with such a label as one group."
        )
    for note in found.notes:
        st.caption(plain(note))


def show_cell(workspace: Workspace, model: Model, found: ModelEvaluation, cell: Cell) -> None:
    """The images of one cell, and the matrix to go on from there."""
    ids = found.cell_ids(cell.role, cell.label, cell.predicted)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "All measures",
            icon=":material/arrow_back:",
            key="evaluation.close_cell",
            on_click=open_cell,
            args=(None,),
        )
        title = f"{counted(len(ids), 'image')} labelled {cell.label}, given {cell.predicted}"
        st.subheader(plain(title), anchor=False)
    _show_confusion(found, cell.role, cell)
    rows = found.rows_of(ids)
    surest_first = ids[np.argsort(-found.confidences[rows], kind="stable")]
    show_images(
        workspace,
        model,
        found,
        surest_first,
        key="evaluation.cell",
        reason=f"labelled {cell.label}, given {cell.predicted}",
    )


def show_calibration(found: ModelEvaluation, role: str, measures: RoleMeasures) -> None:
    """Is the model as often right as it is sure?"""
    st.subheader("Does it know when it is wrong?", anchor=False)
    calibration = measures.calibration
    if not calibration.before.n:
        st.info("No image of these has a label that is a class of the model.")
        return
    left, right = st.columns([3, 2])
    with left:
        st.plotly_chart(
            figures.reliability_diagram(
                {"before temperature": calibration.before, "after": calibration.after}
            ),
            key="evaluation.reliability",
            config=_NO_TOOLS,
        )
    with right:
        st.markdown(_temperature(found.temperature))
        st.markdown(_sureness(calibration.after))
        if role == "validation":
            st.caption(
                "The temperature was fitted on these very images, by their likelihood: look at the "
                "test images for what it does to new ones. The calibration split is not looked at; "
                "it serves thresholds alone."
            )


def _temperature(temperature: Temperature) -> str:
    if temperature.why:
        return f"**Temperature {temperature.value:.2f}.** {temperature.why}"
    direction = (
        "the model was surer than it is right, and is softened"
        if temperature.value > 1
        else "the model was less sure than it is right, and is sharpened"
    )
    return (
        f"**Temperature {temperature.value:.2f}**, fitted on "
        f"{counted(temperature.n, 'validation image')}: {direction}. What it says of an image "
        "stays the same, only how sure it is changes."
    )


def _sureness(after: Reliability) -> str:
    if after.confidence is None or after.accuracy.value is None:
        return ""
    error, by_chance = after.expected_calibration_error, after.expected_by_chance
    verdict = (
        "That is about what so few images show by chance."
        if error is not None and by_chance is not None and error <= 1.5 * by_chance
        else "That is more than chance alone would show."
    )
    return (
        f"On average it is **{after.confidence:.1%} sure** and **{after.accuracy.value:.1%} "
        f"right**; the calibration error is {_shown(error)}, by chance {_shown(by_chance)}. "
        f"{verdict}"
    )


def _show_confusion(found: ModelEvaluation, role: str, cell: Cell | None) -> None:
    confusion = found.by_role[role].evaluation.confusion
    chosen = None
    if cell and cell.label in confusion.labels:
        chosen = (confusion.labels.index(cell.label), confusion.classes.index(cell.predicted))
    key = chart_key("confusion")
    st.plotly_chart(
        figures.confusion_matrix(
            confusion,
            carried=[
                [Cell(role, label, predicted).encode() for predicted in confusion.classes]
                for label in confusion.labels
            ],
            chosen=chosen,
        ),
        key=key,
        on_select=lambda: open_clicked(key),
        selection_mode="points",
        config=_NO_TOOLS,
    )


def _opened(found: ModelEvaluation) -> Cell | None:
    """The cell of the address, if this model has it."""
    cell = opened_cell()
    is_known = cell and cell.role in found.by_role and cell.predicted in found.classes
    return cell if is_known else None


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
