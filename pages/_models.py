"""The view Models: every version that was trained or taken in, and the one that is opened."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.analysis.models import describe_model, model_table
from core.state import models
from core.state.models import Model
from core.state.workspace import Workspace
from pages._import_model import offer_import
from pages._opened_model import show_model

_KEY = "fine_tuning"


def show_models(workspace: Workspace) -> None:
    """The table, and below it the model that is opened."""
    found = models.list_models(workspace)
    if not found:
        with st.container(border=True):
            st.markdown("##### There is no model yet.")
            st.markdown("Train one in the view **Train**, or take one in that you have.")
            offer_import(workspace)
        return
    promoted = models.promoted(workspace)
    show_table(found, promoted.id if promoted else None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        opened = choose_model(found, "Open", key=f"{_KEY}.model")
        offer_import(workspace)
    show_model(workspace, opened, promoted=promoted)


def show_table(found: Sequence[Model], promoted: str | None) -> None:
    """A row a model; a click on one opens it."""
    opened = st.session_state.get(f"{_KEY}.model", "")
    # A key of its own for each opened model: the click has done its work, and marks no row.
    key = f"{_KEY}.models.{opened}"

    def open_row() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            st.session_state[f"{_KEY}.model"] = found[rows[0]].id

    st.dataframe(
        pd.DataFrame(model_table(found, promoted=promoted)),
        hide_index=True,
        column_config={
            "promoted": st.column_config.CheckboxColumn(help="The model that is at work."),
            "accuracy": st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0, help="On n validation images."
            ),
            "n": st.column_config.NumberColumn(format="localized"),
            "from": st.column_config.TextColumn(help="The model that it began with."),
        },
        on_select=open_row,
        selection_mode="single-row",
        key=key,
    )


def choose_model(found: Sequence[Model], label: str, *, key: str, index: int = 0) -> Model:
    """One of the models, the newest if nobody has chosen."""
    by_id = {model.id: model for model in found}
    if st.session_state.get(key) not in (None, *by_id):
        del st.session_state[key]  # deleted since
    chosen = st.selectbox(
        label,
        list(by_id),
        index=min(index, len(by_id) - 1),
        format_func=lambda id: describe_model(by_id[id]),
        key=key,
        bind="query-params",
        width=420,
    )
    return by_id[chosen]
