"""The view Retrain: what has changed since the model at work, a new training, old beside new."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core import queries
from core.analysis.model_comparisons import newest_comparison
from core.analysis.models import describe_model, mode_title
from core.analysis.retraining import News, base_model, read_news, retraining_config, take_over
from core.errors import OperatorError
from core.jobs.configs import FineTune
from core.jobs.training_set import choose_training_set, find_problems
from core.state import catalog, models
from core.state.models import MAX_NOTES, Model
from core.state.workspace import Workspace
from pages._access import require
from pages._images import ranked_gallery
from pages._models import choose_model
from pages._paired_models import show_paired
from pages._promotion import offer_promotion, say_what_follows
from pages._shared import (
    acting,
    capital,
    changed,
    counted,
    noted_metric,
    plain,
    show_error,
    submit,
)
from pages._training_form import show_problem
from pages._training_run import show_trainings

_KEY = "fine_tuning.retrain"
_SAME = "the same network"


def show_retraining(workspace: Workspace) -> None:
    """From what is new to the model that takes over."""
    base = base_model(workspace)
    if base is None:
        with st.container(border=True):
            st.markdown("##### There is no model yet that could be trained again.")
            st.markdown("Train the first in the view **Train**.")
        return
    try:
        news = read_news(workspace, base)
    except OperatorError as error:
        show_error(error)
        return
    say_what_follows(workspace, base)
    st.subheader(f"Since {plain(base.id)} was trained", anchor=False)
    _show_news(workspace, news)
    show_trainings(workspace)
    _offer_training(workspace, news)
    _show_candidates(workspace, base)


def _show_news(workspace: Workspace, news: News) -> None:
    if news.is_empty:
        st.info("Nothing has changed: a new training would learn the same.", icon=":material/done:")
        return
    with st.container(horizontal=True):
        noted_metric("To train on", f"{len(news.added):,}", "images more")
        noted_metric("Corrected", f"{news.n_relabelled:,}", "labels that it learned")
        noted_metric("It was wrong about", f"{len(news.contradicted):,}", "by what people say")
        noted_metric(
            "To calibrate by",
            f"{news.n_calibrating:,}",
            "drawn at random",
            help="The checked automatic labels, and as large a random share of what people judged "
            "besides: together a random sample of all that came. Thresholds are read off it, so no "
            "model may learn from it.",
        )
    rows = _changes(news)
    if rows:
        st.dataframe(
            pd.DataFrame(rows, columns=["what", "label", "images"]),
            hide_index=True,
            key=f"{_KEY}.changes",
        )
    ids = [image for image, _, _ in news.relabelled]
    ids += [image for image in news.contradicted if image not in set(ids)]
    there = np.array(ids, np.int64)
    there = there[np.isin(there, catalog.image_ids(workspace))]
    if len(there):
        was = {image: old for image, old, _ in news.relabelled}
        with st.expander(f"What was corrected or contradicted · {len(there):,}"):
            ranked_gallery(
                workspace,
                there,
                key=f"{_KEY}.images",
                order="the corrected first",
                remarks_for=lambda shown: [
                    f"Learned as {was[i]}." if i in was else "The model suggested another label."
                    for i in shown
                ],
            )


def _changes(news: News) -> list[tuple[str, str, int]]:
    relabels: dict[str, int] = {}
    for _, old, new in news.relabelled:
        text = f"{old} → {new or 'no label'}"
        relabels[text] = relabels.get(text, 0) + 1
    return [
        *(("new type", name, n) for name, n in news.new_classes.items()),
        *(("type without images", name, 0) for name in news.lost_classes),
        *(("corrected", text, n) for text, n in relabels.items()),
        *(("more to train on", name, n) for name, n in news.added_by_class.items()),
    ]


def _offer_training(workspace: Workspace, news: News) -> None:
    base = news.model
    titles = {_SAME: f"The same: {queries.backbone_titles().get(base.backbone, base.backbone)}"}
    titles |= {
        name: title
        for name, title in queries.backbone_titles_by_family().items()
        if name != base.backbone
    }
    with st.container(border=True):
        st.markdown("##### Train again, by the same recipe")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox(
                "Network", list(titles), format_func=titles.__getitem__, key=f"{_KEY}.backbone"
            )
            goes_on = chosen == _SAME and (
                st.segmented_control(
                    "Starts from",
                    ["The published weights", base.id],
                    default="The published weights",
                    required=True,
                    key=f"{_KEY}.start.{base.id}",
                )
                == base.id
            )
        config = retraining_config(
            news, backbone=base.backbone if chosen == _SAME else chosen, goes_on=goes_on
        )
        st.caption(
            f"{capital(mode_title(config.mode))}, {counted(config.epochs, 'epoch')} at a rate of "
            f"{config.learning_rate:g}. The view Train has every setting."
        )
        _start(workspace, news, config)


def _start(workspace: Workspace, news: News, config: FineTune) -> None:
    taken = f"Takes {counted(len(news.splits), 'judged image')} over first; that can be undone."
    if st.button(
        "Take over and train" if news.splits else "Train again",
        type="primary",
        icon=":material/model_training:",
        key=f"{_KEY}.train",
        help=taken if news.splits else None,
    ):
        acting("data scientist")
        batch = take_over(workspace, news, actor=require("data scientist").name)
        if batch is not None:
            changed(workspace, batch, "Taken over")
        try:
            problems = find_problems(workspace, config, choose_training_set(workspace, config))
        except OperatorError as error:
            show_error(error)
            return
        blocking = [each for each in problems if each.is_blocking]
        for problem in blocking:
            show_problem(problem)
        if not blocking:
            submit(workspace, config)
            st.rerun()


def _show_candidates(workspace: Workspace, base: Model) -> None:
    """The models made since, beside the one at work."""
    at_work = models.promoted(workspace)
    later = [each for each in models.list_models(workspace) if each.number > base.number]
    if at_work is None or not later:
        return
    st.subheader(f"In the place of {plain(at_work.id)}?", anchor=False)
    new = choose_model(later, "New model", key=f"{_KEY}.new")
    try:
        compared = newest_comparison(workspace, at_work, new)
    except OperatorError as error:
        show_error(error)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        offer_promotion(workspace, new, at_work, compared, key=_KEY)
        _keep_the_old(workspace, new)
    if compared is None:
        st.caption(
            f"{plain(describe_model(new))} has not been compared with {plain(at_work.id)} yet."
        )
        return
    show_paired(workspace, compared, key=f"{_KEY}.paired.{compared.run.id}")


def _keep_the_old(workspace: Workspace, new: Model) -> None:
    with st.popover("Keep the old one", icon=":material/edit_note:"):
        st.markdown("Write down what is wrong with the new one; it stays in the registry.")
        notes = st.text_area("Notes", new.notes, max_chars=MAX_NOTES, key=f"{_KEY}.notes.{new.id}")
        if st.button("Keep the notes", disabled=notes == new.notes, key=f"{_KEY}.keep"):
            acting("data scientist")
            models.set_notes(workspace, new.id, notes or "")
            st.rerun()
