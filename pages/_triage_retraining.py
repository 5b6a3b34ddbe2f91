"""What people have decided can be learned: the offer of the next fine-tuning."""

from __future__ import annotations

import streamlit as st

from core.analysis.retraining import News, base_model, read_news
from core.errors import OperatorError
from core.state.workspace import Workspace
from pages._shared import counted, go_to, plain

_KEY = "triage"


def offer_training(workspace: Workspace) -> None:
    """Say what a new training would learn, once that is enough to be worth it."""
    model = base_model(workspace)
    if model is None:
        return
    try:
        news = read_news(workspace, model)
    except OperatorError:
        return  # the model's snapshot is gone: what it has learned nobody knows
    if not news.is_worth_a_training:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(_describe(news))
        if st.button(
            "Fine-tune again",
            icon=":material/model_training:",
            key=f"{_KEY}.retrain",
            help="Shows what has changed, and trains on it.",
        ):
            go_to("fine_tuning.py", workspace, **{"fine_tuning.view": "Retrain"})


def _describe(news: News) -> str:
    parts = [f"{counted(len(news.added), 'image')} more to train on"]
    if news.n_relabelled:
        parts.append(f"{counted(news.n_relabelled, 'label')} corrected")
    if news.contradicted:
        parts.append(f"{len(news.contradicted):,} where it was wrong")
    if news.new_classes:
        names = ", ".join(f"{plain(name)} ({n:,})" for name, n in sorted(news.new_classes.items()))
        parts.append(f"new types: {names}")
    if news.n_calibrating:
        parts.append(f"{news.n_calibrating:,} drawn at random to calibrate by")
    decided = counted(news.n_decided, "decision")
    return (
        f":material/model_training: **{decided} since {plain(news.model.id)} was trained.** A new "
        f"training would have {'; '.join(parts)}."
    )
