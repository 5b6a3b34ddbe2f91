"""The view Before and after: two linked maps, how far each image moved, what came apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core import queries
from core.analysis.evaluations import (
    ModelEvaluation,
    Movement,
    Separation,
    movement_methods,
    newest_movement,
)
from core.jobs.configs import CompareMaps
from core.state import runs
from core.state.colourings import list_colourings
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._evaluated import show_images
from pages._map_view import clear_selection, draw_map, frame_of, selected_ids
from pages._shared import next_step, plain, submit, told_apart

_UNLIKE = 0.5  # share of the first map's spread that the second leaves unexplained
_SETS = {"validation": "validation", "all": "all"}


def show_maps(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    """Both maps side by side, or the button that draws them."""
    method = _choose_method(workspace, model)
    movement = newest_movement(workspace, model, method)
    if movement is None:
        next_step("These two maps have not been drawn yet: press “Draw both maps”.")
        return
    if movement.before is None or movement.after is None:
        next_step("One of the two maps has been deleted: draw both again.")
        return
    _show_measures(movement)
    embedding = runs.get_run(workspace, movement.run.parent_id or "")
    _show_pair(workspace, embedding, movement, movement.before, movement.after)
    _show_selected(workspace, model, found)


def _choose_method(workspace: Workspace, model: Model) -> str:
    """By which method the maps are drawn, and the button that draws them."""
    methods = {name: each[0] for name, each in queries.projection_methods().items()}
    drawn = movement_methods(workspace, model)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method: str = st.selectbox(
            "Method",
            list(methods),
            index=list(methods).index(drawn[0] if drawn else CompareMaps.method),
            format_func=lambda name: methods[name] + (" · drawn" if name in drawn else ""),
            key=f"evaluation.method.{model.id}",
            width=240,
        )
        if st.button(
            "Draw both maps",
            icon=":material/compare:",
            type="secondary" if method in drawn else "primary",
            help="The images by the weights that the model began with, and by its own; the second "
            "map is laid over the first. What has been computed already is used.",
            key="evaluation.draw",
        ):
            submit(workspace, CompareMaps(model.id, method=method))
            st.rerun()
    return method


def _show_measures(movement: Movement) -> None:
    """What training did to the space, measured on the features themselves."""
    rows = []
    for name, (before, after) in movement.separation.items():
        for measure, title in (
            ("silhouette", "silhouette, cosine"),
            ("adjusted_rand_index", "ARI of k-means"),
        ):
            rows.append(
                {
                    "measured on": f"{_SETS[name]}, {after.n_images:,}",
                    "measure": title,
                    "before": getattr(before, measure),
                    "after": getattr(after, measure),
                    "change": _change(before, after, measure),
                }
            )
    left, right = st.columns([3, 2])
    with left:
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "measured on": st.column_config.TextColumn(
                    width=120, help="Labelled images; those of no known class as one label."
                ),
                "measure": st.column_config.TextColumn(width=150),
                "before": st.column_config.NumberColumn(format="%.3f", width=76),
                "after": st.column_config.NumberColumn(format="%.3f", width=76),
                "change": st.column_config.NumberColumn(format="%+.3f", width=76),
            },
        )
    with right:
        st.markdown(_movement_in_words(movement))
        st.caption(
            "Measured on the features, not on the maps, which bend distances. All images hold "
            "those that the model has learned: the validation images say more."
        )
    for why in dict.fromkeys(each.why for pair in movement.separation.values() for each in pair):
        if why:
            st.caption(plain(why))


def _change(before: Separation, after: Separation, measure: str) -> float | None:
    values = [getattr(each, measure) for each in (before, after)]
    return None if None in values else values[1] - values[0]


def _movement_in_words(movement: Movement) -> str:
    if movement.median_movement is None or movement.disparity is None:
        return plain(movement.why)
    return (
        f"Half of the images moved by more than **{movement.median_movement:.2f}** of the first "
        f"map's radius. **{movement.disparity:.0%}** of its spread is not explained by the second: "
        "0% would be the same map, 100% one that has nothing in common with it."
    )


def _show_pair(
    workspace: Workspace, embedding: Run, movement: Movement, before: Run, after: Run
) -> None:
    titles = told_apart(list_colourings(workspace, embedding))
    colour_by = st.selectbox(
        "Colour by",
        list(titles),
        format_func=titles.__getitem__,
        key="evaluation.colour",
        width=320,
    )
    # The fit shrinks a map that has little in common with the first: it then has its own frame.
    is_alike = movement.disparity is not None and movement.disparity < _UNLIKE
    frame = frame_of(workspace, (before, after)) if is_alike else None
    pair: Sequence[tuple[str, str, Run]] = (
        ("before", "Before fine-tuning", before),
        ("after", "After, laid over it" if is_alike else "After, turned like it", after),
    )
    for column, (when, title, projection) in zip(st.columns(2), pair, strict=True):
        with column:
            draw_map(
                workspace,
                projection,
                colour_by,
                title=title,
                group=movement.run.id,
                height=480,
                key=f"evaluation.map.{when}",
                frame=frame,
            )


def _show_selected(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    ids = selected_ids(workspace)
    if not len(ids):
        st.caption(
            "Hover over a point to find the image on both maps. Draw a box or a lasso on either to "
            "select; Shift adds, Alt removes, Esc clears."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{len(ids):,} selected", anchor=False)
        if st.button("Clear", icon=":material/close:", key="evaluation.clear"):
            clear_selection()
            st.rerun()
    show_images(
        workspace,
        model,
        found,
        ids[np.isin(ids, found.ids)],
        key="evaluation.selected",
        reason="picked on the map before or after fine-tuning",
        order="as they were imported",
    )
