"""The view Distances: are groups apart, and does the answer depend on the metric? Table 1 here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from core import figures, queries
from core.analysis.separabilities import MeasuredLabelling, list_separabilities
from core.jobs.configs import MeasureSeparability
from core.latent.metrics import BINARISATIONS, METRICS
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._shared import counted, plain, submit, told_apart

_KEY = "clusters_and_anomalies.distances"
LABELS = "labels"  # no clustering is called so
MAX_COMPARED = 5  # groupings in one chart
_PAPER = "the paper's data"


def show_distances(workspace: Workspace, embedding: Run) -> None:
    """The silhouette of labellings of these features under all metrics."""
    clusterings = clusterings_of(workspace, embedding)
    titles = told_apart(
        {LABELS: "Labels", **{run.id: queries.describe_run(run) for run in clusterings}}
    )
    binarise, with_paper = _choose_options()
    measured = {
        each.clustering.id if each.clustering else LABELS: each
        for each in list_separabilities(workspace, embedding, binarise=binarise)
    }
    there = [name for name in titles if name in measured]
    chosen = st.multiselect(
        "Compare",
        list(titles),
        default=there[:2] or list(titles)[:2],
        max_selections=MAX_COMPARED,
        format_func=titles.__getitem__,
        key=f"{_KEY}.compared",
        bind="query-params",
    )
    _offer_measuring(workspace, embedding, chosen, measured, binarise)
    shown = {titles[name]: measured[name] for name in chosen if name in measured}
    if shown:
        show_scores(shown, with_paper=with_paper)
        show_table(shown)


def show_scores(shown: Mapping[str, MeasuredLabelling], *, with_paper: bool) -> None:
    """The chart, the best of each labelling in words, and what must be known to read it."""
    for title, each in shown.items():
        st.markdown(_best(title, each))
    separabilities = {title: each.separability for title, each in shown.items()}
    st.plotly_chart(
        figures.silhouettes_by_metric(separabilities, with_paper=with_paper),
        key=f"{_KEY}.chart",
        config={"displayModeBar": False},
    )
    notes = dict.fromkeys(note for each in separabilities.values() for note in each.notes)
    st.caption(
        "The silhouette of an image says how much nearer it is to its own group than to the next: "
        "1 is well apart, 0 between two groups, below 0 nearer to another. "
        + " ".join(plain(note) for note in notes)
    )
    if with_paper:
        st.caption(
            "Grey marks: Table 1 of the paper, for its own 240 images under ResNet-50. They are a "
            "reference for the pattern (squared Euclidean, cosine and correlation highest), not a "
            "mark to reach."
        )


def show_table(shown: Mapping[str, MeasuredLabelling]) -> None:
    """Every value beside its metric's meaning, and the way to take them along."""
    table = pd.DataFrame(
        {
            "metric": [metric.title for metric in METRICS.values()],
            "what it tells": [metric.tells for metric in METRICS.values()],
            **{
                title: [each.separability[metric].value for metric in METRICS]
                for title, each in shown.items()
            },
            _PAPER: [figures.PAPER_TABLE_1[metric] for metric in METRICS],
        }
    )
    with st.expander("What each metric tells, and all values", icon=":material/table_chart:"):
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            column_config={
                "metric": st.column_config.TextColumn(width="medium"),
                "what it tells": st.column_config.TextColumn(width="large"),
                **{
                    name: st.column_config.NumberColumn(format="%.4f", width="small")
                    for name in (*shown, _PAPER)
                },
            },
            key=f"{_KEY}.table",
        )
    st.download_button(
        "Download as CSV",
        lambda: _as_csv(shown),
        file_name="silhouettes.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"{_KEY}.csv",
    )


def _choose_options() -> tuple[str, bool]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        binarise = st.segmented_control(
            "Active features, for boolean metrics",
            list(BINARISATIONS),
            default="nonzero",
            required=True,
            format_func={"nonzero": "Not 0", "median": "Above the median"}.__getitem__,
            help=" ".join(f"“{name}”: {what}." for name, what in BINARISATIONS.items()),
            key=f"{_KEY}.binarise",
            bind="query-params",
        )
        with_paper = st.toggle("Show the paper's Table 1 beside", key=f"{_KEY}.with_paper")
    return binarise, with_paper


def _offer_measuring(
    workspace: Workspace,
    embedding: Run,
    chosen: Sequence[str],
    measured: Mapping[str, MeasuredLabelling],
    binarise: str,
) -> None:
    """A button for those chosen that were never measured, or whose labels have changed since."""
    wanted = [name for name in chosen if name not in measured or not measured[name].is_current]
    if not wanted:
        return
    is_stale = LABELS in wanted and LABELS in measured
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        told = "Labels have changed since they were measured." if is_stale else ""
        n_new = len(wanted) - is_stale
        told += f" {n_new} of the chosen groupings not measured yet." if n_new else ""
        st.markdown(f":material/history: {told.strip()}")
        if st.button(
            "Measure again" if is_stale and not n_new else "Measure",
            type="primary",
            key=f"{_KEY}.measure",
        ):
            clusterings = tuple(name for name in wanted if name != LABELS)
            submit(
                workspace,
                MeasureSeparability(
                    embedding.id,
                    clusterings=clusterings,
                    with_labels=LABELS in wanted,
                    binarise=binarise,
                ),
            )
            st.rerun()


def _best(title: str, labelling: MeasuredLabelling) -> str:
    """The highest silhouette of a grouping in words."""
    measured = labelling.separability
    if measured.best is None:
        whys = dict.fromkeys(score.why for score in measured.scores)
        return f"**{plain(title)}**: no silhouette is defined. {plain(' '.join(whys))}"
    score = measured[measured.best]
    interval = f" ({score.low:.3f} to {score.high:.3f})" if measured.n_draws > 1 else ""
    return (
        f"**{plain(title)}**, {counted(measured.n_groups, 'group')}: best under "
        f"**{METRICS[score.metric].title}** with {score.value:.3f}{interval}; "
        f"Euclidean {_number(measured['euclidean'].value)}."
    )


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _as_csv(shown: Mapping[str, MeasuredLabelling]) -> bytes:
    """A row for each labelling and metric."""
    rows = [
        {"grouping": title, "binarise": each.separability.options.binarise, **asdict(score)}
        for title, each in shown.items()
        for score in each.separability.scores
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode()
