"""The view Networks: several trained in turn under one recipe, as the paper's Table 2 does."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import figures, queries
from core.analysis.network_comparisons import (
    compared_networks,
    comparison_table,
    list_comparisons,
    notices,
)
from core.jobs.configs import CompareBackbones
from core.jobs.training_set import find_problems
from core.learning.recipe import PAPER, PAPERS_BACKBONES
from core.state import catalog
from core.state.job_rows import Job
from core.state.workspace import Workspace
from pages._recipe_form import choose_layers, choose_recipe
from pages._shared import counted, next_step, plain, submit
from pages._training_form import choose_images, show_problem

_KEY = "fine_tuning"


def show_networks(workspace: Workspace) -> None:
    """What the networks reached, and the form for another comparison."""
    done = list_comparisons(workspace)
    if done:
        _show_comparison(_choose(done))
    if not catalog.summarise(workspace).n_labelled:
        next_step(
            "There are no labelled images to train on yet.",
            page="dataset.py",
            label="Import or label images",
        )
        return
    st.subheader("New comparison", anchor=False)
    _show_form(workspace)


def _choose(done: list[Job]) -> Job:
    """The newest, until a person chooses another."""
    if len(done) == 1:
        return done[0]
    by_id = {job.id: job for job in done}
    chosen: int = st.selectbox(
        "Comparison",
        list(by_id),
        format_func=lambda id: f"job {id} · {(by_id[id].finished_at or '')[:16].replace('T', ' ')}",
        key=f"{_KEY}.networks.shown",
        width=320,
    )
    return by_id[chosen]


def _show_comparison(job: Job) -> None:
    for notice in notices(job):
        st.warning(plain(notice), icon=":material/info:")
    st.plotly_chart(
        figures.backbone_comparison(compared_networks(job)),
        key=f"{_KEY}.networks.chart",
        config={"displayModeBar": False},
    )
    st.dataframe(
        pd.DataFrame(comparison_table(job)),
        hide_index=True,
        column_config={
            "accuracy": st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0
            ),
            "seconds an epoch": st.column_config.NumberColumn(format="%.2f"),
            "million parameters": st.column_config.NumberColumn(format="%.1f"),
            "silhouette": st.column_config.NumberColumn(
                format="%.3f", help="Of the labels in the tuned features, by cosine."
            ),
            "ARI": st.column_config.NumberColumn(
                format="%.3f", help="Of k-means on the tuned features with the labels."
            ),
        },
        key=f"{_KEY}.networks.table",
    )
    result = job.result or {}
    st.caption(
        f"Accuracy is of {counted(result['n_validation'], 'validation image')}, after "
        f"{counted(result['epochs'], 'epoch')} at most; the time of an epoch is that of the "
        "training images. Every network is a model in the view Models."
    )


def _offer_families() -> None:
    """One click for all networks of a family."""
    with st.container(horizontal=True):
        for family, names in queries.backbone_families().items():
            if family != "others":
                st.button(
                    family[0].upper() + family[1:],
                    key=f"{_KEY}.networks.{family.lower().replace(' ', '_')}",
                    on_click=_choose_networks,
                    args=(names,),
                    help=", ".join(queries.backbone_titles()[name] for name in names),
                )


def _choose_networks(names: Sequence[str]) -> None:
    st.session_state[f"{_KEY}.networks.backbones"] = list(names)


def _show_form(workspace: Workspace) -> None:
    titles = queries.backbone_titles()
    network, images = st.columns([2, 3], gap="large")
    with network:
        st.markdown("##### 1 · Networks")
        _offer_families()
        backbones = st.multiselect(
            "Networks",
            list(titles),
            default=list(PAPERS_BACKBONES),
            format_func=titles.__getitem__,
            help="The paper's four, until you choose others. Each starts from its published "
            "weights and is trained in turn.",
            key=f"{_KEY}.networks.backbones",
        )
        mode = choose_layers()
    with images:
        st.markdown("##### 2 · Images")
        seed = int(st.session_state.get(f"{_KEY}.seed", 0))
        chosen, found = choose_images(workspace, seed=seed)
    st.markdown("##### 3 · Recipe, the same for all")
    recipe = choose_recipe(PAPER.backbone, mode)
    config = CompareBackbones(**vars(recipe), **vars(chosen), backbones=tuple(backbones))
    problems = [] if found is None else find_problems(workspace, config, found)
    for problem in problems:
        show_problem(problem)
    is_ready = found is not None and not any(problem.is_blocking for problem in problems)
    if st.button(
        f"Train and compare {counted(len(backbones), 'network')}",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not (is_ready and backbones),
        key=f"{_KEY}.networks.start",
    ):
        submit(workspace, config)
        st.rerun()
