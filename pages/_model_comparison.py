"""The view Compare: two models side by side, what is different first."""

import pandas as pd
import streamlit as st

from core.analysis.models import as_percent, compare_models, validation_accuracy
from core.state import models
from core.state.workspace import Workspace
from pages._models import choose_model
from pages._training_run import show_curves

_KEY = "fine_tuning.compare"


def show_comparison(workspace: Workspace) -> None:
    """Curves of both, then line by line what they are."""
    found = models.list_models(workspace)
    if len(found) < 2:
        with st.container(border=True):
            st.markdown("##### There are no two models to compare.")
            st.markdown("Train another in the view **Train**: same images, one setting changed.")
        return
    left, right = st.columns(2)
    with left:
        first = choose_model(found, "First", key=f"{_KEY}.first", index=1)
    with right:
        second = choose_model(found, "Second", key=f"{_KEY}.second")
    if first.id == second.id:
        st.info("Both are the same model: choose another.")
        return
    for column, model in zip(st.columns(2), (first, second), strict=True):
        with column:
            st.markdown(f"**{model.id}** · {as_percent(validation_accuracy(model))}")
            history = model.result.get("history", ())
            if history:
                best = model.result.get("best_epoch")
                show_curves(history, best_epoch=best, key=f"{_KEY}.{model.id}", is_narrow=True)
    lines = compare_models(first, second)
    all_of_it = st.toggle("Also what is the same", key=f"{_KEY}.all")
    rows = [line for line in lines if all_of_it or not line.is_same]
    st.dataframe(
        pd.DataFrame(
            [(line.what, line.first, line.second) for line in rows],
            columns=["", first.id, second.id],
        ),
        hide_index=True,
        key=f"{_KEY}.lines",
    )
