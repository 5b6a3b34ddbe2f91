"""What people have decided can be learned: the offer of the next fine-tuning."""

from __future__ import annotations

import streamlit as st

from core.analysis.retraining import News, read_news
from core.errors import OperatorError
from core.state import labels, models
from core.state.workspace import Workspace
from pages._shared import acting, changed, counted, go_to, plain

_KEY = "triage"


def offer_training(workspace: Workspace) -> None:
    """Say what a new training would learn, once that is enough to be worth it."""
    model = models.promoted(workspace) or next(iter(models.list_models(workspace)), None)
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
            help="Takes these images into training, then opens the form.",
        ):
            _take_in(workspace, news)


def _describe(news: News) -> str:
    parts = [f"{counted(len(news.added), 'image')} more to train on"]
    if news.n_relabelled:
        parts.append(f"{counted(news.n_relabelled, 'label')} corrected")
    if news.n_contradicted:
        parts.append(f"{news.n_contradicted:,} where it was wrong")
    if news.new_classes:
        names = ", ".join(f"{plain(name)} ({n:,})" for name, n in sorted(news.new_classes.items()))
        parts.append(f"new types: {names}")
    decided = counted(news.n_decided, "decision")
    return (
        f":material/model_training: **{decided} since {plain(news.model.id)} was trained.** A new "
        f"training would have {'; '.join(parts)}."
    )


def _take_in(workspace: Workspace, news: News) -> None:
    actor = acting("data scientist").name
    if news.without_split:
        batch = labels.set_split(workspace, news.without_split, "train", actor=actor)
        changed(workspace, batch, "Taken into training")
    go_to("fine_tuning.py", workspace, view="Train")
