"""The view Mistakes: where the model is wrong and sure of it, and where it looks."""

from __future__ import annotations

import streamlit as st

from core.analysis.evaluations import ModelEvaluation
from core.state.models import Model
from core.state.workspace import Workspace
from pages._evaluated import choose_role, show_images
from pages._shared import counted

_PREDICTED = "The class given"
_WRONG, _UNKNOWN = "Given a wrong class", "Of no class that the model knows"


def show_mistakes(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    """Images of one role that were given a wrong class, the surest first."""
    role = choose_role(found)
    rows = {_WRONG: found.mistakes(role), _UNKNOWN: found.unknown(role)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Which",
            list(rows),
            default=_WRONG,
            required=True,
            format_func=lambda kind: f"{kind} · {len(rows[kind]):,}",
            label_visibility="collapsed",
            key="evaluation.kind",
        )
        label = st.selectbox(
            "Heat map for",
            [_PREDICTED, *found.classes],
            help="Grad-CAM: where in the image the evidence for this class lies, to the model. It "
            "shows a place, not the outline of a defect.",
            key=f"evaluation.explain.{model.id}",
            width=240,
        )
    if not len(rows[kind]):
        st.info(_praise(kind, int(found.has_role(role).sum())), icon=":material/check_circle:")
        return
    st.caption(
        "Enlarge an image (double click, or Enter) for its heat map and probabilities; “Find "
        "similar” there shows its neighbours. A mistake may be the label's: relabel it here."
    )
    show_images(
        workspace,
        model,
        found,
        found.ids[rows[kind]],
        key=f"evaluation.mistakes.{role}",
        reason=f"a mistake of {model.id}",
        order="the surest mistakes first" if kind == _WRONG else "the surest first",
        label="" if label == _PREDICTED else label,
    )


def _praise(kind: str, n_images: int) -> str:
    if kind == _UNKNOWN:
        return "Every labelled image is of a class that the model knows."
    return f"None of {counted(n_images, 'image')} was given a wrong class."
