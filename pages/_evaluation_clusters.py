"""The view Mixed cluster: the paper's way to tell what goes to the operator, and what it costs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.analysis.evaluations import ClusterContent, ModelEvaluation, RuleMeasure
from core.state.models import Model
from core.state.workspace import Workspace
from pages._evaluated import choose_role, show_images, show_share
from pages._shared import counted, next_step, noted_metric, plain

_ROLES = {"validation": "Validation", "test": "Test"}
_OPERATOR, _AUTO = "by the operator", "by its name"


def show_rule(workspace: Workspace, model: Model, found: ModelEvaluation) -> None:
    """K-means with one cluster more than classes, as in the paper's section 5.3."""
    st.caption(
        f"K-means with k = {len(found.classes) + 1}, one more than there are classes, on the tuned "
        "features of the validation images. Each cluster is called after the class that most of "
        "its images have; the least pure goes to the operator whole, the others are labelled by "
        "their names. Test images go by the nearest centre."
    )
    if found.rule.why:
        next_step(plain(found.rule.why))
        return
    role = choose_role(found, among=_ROLES)
    measure = found.rule.by_role.get(role)
    if measure is None:
        st.info("No image has this role.")
        return
    _show_shares(measure)
    for note in measure.notes:
        st.caption(f":orange[:material/info: {plain(note)}]")
    cluster = _choose_cluster(measure, role)
    _show_cluster(workspace, model, found, role, cluster)


def _show_shares(measure: RuleMeasure) -> None:
    with st.container(horizontal=True):
        show_share(
            "To the operator",
            measure.operator_share,
            help="Share of the images that lie in the mixed cluster, or in one without a name. The "
            "paper: 11% of its validation images, 3 of its 34 test images.",
        )
        show_share(
            "Wrong among the rest",
            measure.auto_error,
            help="Of the images labelled automatically, how many have another label. A label that "
            "is no class of the model counts as wrong. The rule promises no such share: a "
            "threshold on a calibrated risk does.",
        )
        index = measure.adjusted_rand_index
        noted_metric(
            "ARI",
            "–" if index is None else f"{index:.3f}",
            f"n = {measure.n_labelled:,}",
            help="Of clusters and labels, all labels that the model does not know as one. The "
            "paper: 0.89 on its validation images.",
        )


def _choose_cluster(measure: RuleMeasure, role: str) -> ClusterContent:
    """A row a cluster; the mixed one is shown until another is chosen."""
    rows = [
        {
            "cluster": each.number,
            "name": "mixed" if each.is_mixed else each.name or "no name",
            "images": each.n_images,
            "purity": each.purity.value,
            "labelled": _OPERATOR if each.is_mixed or each.name is None else _AUTO,
            "what is in it": ", ".join(f"{label} {n:,}" for label, n in each.labels) or "no label",
        }
        for each in measure.clusters
    ]
    chosen = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "cluster": st.column_config.NumberColumn(width="small"),
            "name": st.column_config.TextColumn(width=180),
            "images": st.column_config.NumberColumn(width="small"),
            "purity": st.column_config.ProgressColumn(
                min_value=0.0,
                max_value=1.0,
                format="percent",
                help="Share of its labelled images that have its name.",
            ),
            "labelled": st.column_config.TextColumn(width=110),
            "what is in it": st.column_config.TextColumn(width="large"),
        },
        on_select="rerun",
        selection_mode="single-row",
        key=f"evaluation.clusters.{role}",
    )
    st.caption("Choose a row to see its images.")
    if chosen.selection.rows:
        return measure.clusters[chosen.selection.rows[0]]
    return measure.clusters[measure.mixed if measure.mixed is not None else 0]


def _show_cluster(
    workspace: Workspace,
    model: Model,
    found: ModelEvaluation,
    role: str,
    cluster: ClusterContent,
) -> None:
    called = "the mixed cluster" if cluster.is_mixed else f"cluster {cluster.number}"
    called += f" ({cluster.name})" if cluster.name and not cluster.is_mixed else ""
    title = f"{counted(cluster.n_images, 'image')} in {called}"
    st.subheader(plain(title), anchor=False)
    ids = found.cluster_ids(role, cluster.number)
    least_sure_first = ids[found.confidences[found.rows_of(ids)].argsort(kind="stable")]
    show_images(
        workspace,
        model,
        found,
        least_sure_first,
        key="evaluation.cluster",
        reason=f"in {called} of {model.id}",
        order="the least sure first",
    )
