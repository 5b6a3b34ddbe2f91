"""The view Clusters: make clusterings, judge one against labels and luck, look into its clusters.

A cell of the table of labels against clusters, a bar of the sizes and a row of the list of clusters
open their images (`pages._cluster_images`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core import figures, queries
from core.analysis.clusterings import (
    ClusterGallery,
    ContingencyTable,
    cluster_examples,
    read_agreement,
    read_contingency,
)
from core.latent.agreement import Agreement
from core.latent.clustering_methods import METHODS
from core.state import catalog, runs
from core.state.cluster_names import cluster_names
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._cluster_images import show_opened
from pages._make_clustering import CHOSEN, show_maker
from pages._opened_cluster import Opened, chart_key, open_clicked, open_images, opened_of
from pages._shared import counted, image_urls, next_step, plain, told_apart
from pages._stability import show_choice, show_stability

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_KEY = "clusters_and_anomalies"
_NO_TOOLS = {"displayModeBar": False}
MAX_SHOWN = 40  # clusters in a chart or list: the largest
N_THUMBNAILS = 6

_MEANINGS = {
    "Silhouette": "How much nearer the images are to their own cluster than to the next: -1 to 1, "
    "higher is better apart. Euclidean; the view Distances has all metrics.",
    "ARI": "Adjusted Rand index: which pairs of images are together, in clusters and in labels. "
    "1 is the same grouping, about 0 is chance.",
    "AMI": "Adjusted mutual information: what the cluster tells of the label. 1 is everything, "
    "about 0 is chance; small classes weigh more than in the ARI.",
    "Homogeneity": "0 to 1: 1 where every cluster holds one label. It rises with the number of "
    "clusters, so compare it at the same number.",
}


def show_clusters(workspace: Workspace, embedding: Run) -> None:
    """The clusterings of these features, and the chosen one of them."""
    clusterings = {run.id: run for run in clusterings_of(workspace, embedding)}
    if not clusterings:
        show_maker(workspace, embedding, expanded=True)
        next_step("No clustering yet: make one above, or press “Analyse everything”.")
        return
    titles = told_apart({id: queries.describe_run(run) for id, run in clusterings.items()})
    clustering = choose_clustering(clusterings, titles)
    version = catalog.fingerprint(workspace)
    opened = opened_of(clustering.id)
    table = _contingency(workspace, workspace.uid, clustering.id, version)
    names = cluster_names(workspace, clustering.id)
    if opened:
        show_opened(
            workspace,
            embedding,
            clustering,
            opened,
            table,
            name=names.get(opened.cluster, ""),
            show_chart=lambda: _show_table(clustering, table, names, opened),
        )
        return
    show_list(workspace, clusterings, version)
    show_maker(workspace, embedding, expanded=False)
    show_measures(workspace, clustering, version)
    show_sizes_and_labels(clustering, table, names)
    show_examples(workspace, clustering, table, names)
    show_stability(workspace, clustering)
    show_choice(workspace, clustering)


def choose_clustering(clusterings: Mapping[str, Run], titles: Mapping[str, str]) -> Run:
    """The clustering that the address names; the newest, until a person chooses."""
    key = _choice_key(clusterings)
    named = st.query_params.get(CHOSEN, "")
    if st.session_state.get(key) not in clusterings:
        st.session_state[key] = named if named in clusterings else next(iter(clusterings))
    chosen = st.selectbox(
        "Clustering",
        list(clusterings),
        format_func=titles.__getitem__,
        key=key,
        on_change=lambda: _choose(key, st.session_state[key]),
        width=520,
    )
    return clusterings[chosen]


def show_list(workspace: Workspace, clusterings: Mapping[str, Run], version: str) -> None:
    """Every clustering with its measures, now; a row chooses one."""
    key = chart_key("clusterings")

    def choose() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            _choose(_choice_key(clusterings), list(clusterings)[rows[0]])

    with st.expander(f"All clusterings ({len(clusterings)})", icon=":material/table_rows:"):
        rows = []
        for run in clusterings.values():
            agreed = _agreement(workspace, workspace.uid, run.id, version)
            rows.append(
                {
                    "method": METHODS[run.config["method"]].title,
                    "on": _space(run),
                    "settings": _settings(run),
                    "clusters": run.result["n_clusters"],
                    "noise": run.result.get("n_noise", 0),
                    "silhouette": run.result["silhouette"],
                    "ARI": agreed.adjusted_rand_index,
                    "AMI": agreed.adjusted_mutual_information,
                    "homogeneity": agreed.homogeneity,
                    "made": run.created_at[:16].replace("T", " "),
                }
            )
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "settings": st.column_config.TextColumn(width="medium"),
                **{
                    name: st.column_config.NumberColumn(format="%.3f", help=_MEANINGS[meaning])
                    for name, meaning in (
                        ("silhouette", "Silhouette"),
                        ("ARI", "ARI"),
                        ("AMI", "AMI"),
                        ("homogeneity", "Homogeneity"),
                    )
                },
            },
            on_select=choose,
            selection_mode="single-row",
            key=key,
        )
        st.caption("Against the labels as they are now. Choose a row to look at it.")


def show_measures(workspace: Workspace, clustering: Run, version: str) -> None:
    """The chosen clustering in numbers, and what they mean."""
    agreed = _agreement(workspace, workspace.uid, clustering.id, version)
    measures = {
        "Silhouette": clustering.result["silhouette"],
        "ARI": agreed.adjusted_rand_index,
        "AMI": agreed.adjusted_mutual_information,
        "Homogeneity": agreed.homogeneity,
    }
    with st.container(horizontal=True):
        st.metric("Clusters", f"{clustering.result['n_clusters']:,}", border=True)
        n_noise = clustering.result.get("n_noise", 0)
        st.metric("Noise", f"{n_noise:,}", border=True, help="Images that belong to no cluster.")
        for name, value in measures.items():
            shown = "–" if value is None else f"{value:.3f}"
            st.metric(name, shown, border=True, help=_MEANINGS[name])
    if agreed.adjusted_rand_index is None:
        st.caption("Fewer than two images have a label: there is nothing to agree with.")
    else:
        st.caption(
            "ARI, AMI and homogeneity compare the clusters with the labels of "
            f"{counted(agreed.n, 'image')}: 1 is full agreement, 0 of ARI and AMI what chance "
            "gives. Higher means that the clusters find what people labelled, not that the labels "
            "are right."
        )
    for note in clustering.result.get("notes", ()):
        st.caption(plain(note))


def show_sizes_and_labels(
    clustering: Run, table: ContingencyTable, names: Mapping[int, str]
) -> None:
    """How large the clusters are, and which labels lie in them."""
    sizes = clustering.result["sizes"]
    left, right = st.columns([1, 2]) if len(sizes) <= figures.FEW else (st.container(),) * 2
    with left:
        st.subheader("Sizes", anchor=False)
        n_noise = clustering.result.get("n_noise", 0)
        _chart(
            "sizes",
            figures.cluster_sizes(
                [
                    (_title(number, names), size, Opened(clustering.id, number).encode())
                    for number, size in enumerate(sizes[:MAX_SHOWN])
                ],
                n_images=clustering.n_images,
                noise=(n_noise, Opened(clustering.id, -1).encode()) if n_noise else None,
            ),
        )
        if len(sizes) > MAX_SHOWN:
            st.caption(f"The {MAX_SHOWN} largest of {len(sizes):,} clusters.")
    with right:
        st.subheader("Labels in each cluster", anchor=False)
        _show_table(clustering, table, names, None)


def show_examples(
    workspace: Workspace, clustering: Run, table: ContingencyTable, names: Mapping[int, str]
) -> None:
    """A row a cluster: its name, its commonest label and the images at its centre."""
    st.subheader("What is in each cluster", anchor=False)
    shown = cluster_examples(workspace, clustering)[:MAX_SHOWN]
    if not shown:
        st.info("No image belongs to a cluster.")
        return
    st.caption("The images nearest to each centre. Choose a row to see more, name it or label it.")
    thumbnail = image_urls(workspace)["thumbnail_url"]
    rows = [
        {
            "cluster": each.cluster,
            "name": names.get(each.cluster, ""),
            "images": each.size,
            "mostly": _mostly(table, each),
            **{
                f"centre {place + 1}": thumbnail.format(id=image_id)
                for place, image_id in enumerate(each.centre[:N_THUMBNAILS])
            },
        }
        for each in shown
    ]
    key = chart_key("examples")

    def open_row() -> None:
        chosen = st.session_state[key].selection.rows
        if chosen:
            open_images(Opened(clustering.id, shown[chosen[0]].cluster))

    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        row_height=64,
        column_config={
            "cluster": st.column_config.NumberColumn(width="small"),
            "name": st.column_config.TextColumn(width="small"),
            "images": st.column_config.NumberColumn(width="small"),
            "mostly": st.column_config.TextColumn(width="medium"),
            **{
                f"centre {place + 1}": st.column_config.ImageColumn("", width=70)
                for place in range(N_THUMBNAILS)
            },
        },
        on_select=open_row,
        selection_mode="single-row",
        key=key,
    )


def _show_table(
    clustering: Run, table: ContingencyTable, names: Mapping[int, str], opened: Opened | None
) -> None:
    """Labels against clusters; a cell opens its images."""
    share_of = st.segmented_control(
        "Shade by share of",
        ("cluster", "label"),
        default="cluster",
        required=True,
        format_func=lambda whole: f"Share of the {whole}",
        label_visibility="collapsed",
        key=f"{_KEY}.share_of",
    )
    shown = [each for each in table.clusters if each >= 0][:MAX_SHOWN]
    shown += [-1] if -1 in table.clusters else []
    chosen = None
    if opened and opened.in_cell and opened.cluster in shown and opened.label in table.labels:
        chosen = (table.labels.index(opened.label), shown.index(opened.cluster))
    _chart(
        "labels",
        figures.contingency_map(
            table.counts[:, [table.clusters.index(each) for each in shown]],
            labels=table.labels,
            clusters=[_title(cluster, names) for cluster in shown],
            carried=[
                [Opened(clustering.id, cluster, True, label).encode() for cluster in shown]
                for label in table.labels
            ],
            share_of=share_of,
            chosen=chosen,
        ),
    )
    if len(shown) < len(table.clusters):
        st.caption(f"The {MAX_SHOWN} largest of {len(table.clusters):,} clusters.")
    st.caption("Click a cell to see its images. The stronger its colour, the larger the share.")


def _choice_key(clusterings: Mapping[str, Run]) -> str:
    """A new one with every new clustering, which is then shown unless the address names another."""
    return f"{_KEY}.clustering.{next(iter(clusterings))}"


def _choose(key: str, clustering: str) -> None:
    st.session_state[key] = st.query_params[CHOSEN] = clustering
    open_images(None)


def _chart(name: str, figure: Figure) -> None:
    key = chart_key(name)
    st.plotly_chart(
        figure,
        key=key,
        on_select=lambda: open_clicked(key),
        selection_mode="points",
        config=_NO_TOOLS,
    )


def _title(cluster: int, names: Mapping[int, str]) -> str:
    number = "noise" if cluster < 0 else str(cluster)
    return f"{number} · {names[cluster]}" if cluster in names else number


def _mostly(table: ContingencyTable, gallery: ClusterGallery) -> str:
    """The commonest label of a cluster and its share of the labelled images there."""
    counts = table.counts[:, table.clusters.index(gallery.cluster)]
    known = {label: n for label, n in zip(table.labels, counts.tolist(), strict=True) if label}
    n_known = sum(known.values())
    if not n_known:
        return "no labels"
    label = max(known, key=known.__getitem__)
    return f"{label} · {known[label] / n_known:.0%}"


def _settings(run: Run) -> str:
    """What the method was told, as far as the other columns do not say it."""
    told = [each.name for each in METHODS[run.config["method"]].parameters]
    shown = [name for name in (*told, "seed") if name in run.config and name != "n_clusters"]
    values = {name: run.config[name] for name in shown}
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _space(run: Run) -> str:
    components = run.config.get("components", 0)
    if run.config["space"] != "latent":
        return "a map"
    return f"{components:g} components" if components else "features"


@st.cache_data(max_entries=64, show_spinner=False)
def _agreement(_workspace: Workspace, uid: str, clustering: str, version: str) -> Agreement:
    return read_agreement(_workspace, runs.get_run(_workspace, clustering))


@st.cache_resource(max_entries=8, show_spinner=False)
def _contingency(
    _workspace: Workspace, uid: str, clustering: str, version: str
) -> ContingencyTable:
    return read_contingency(_workspace, runs.get_run(_workspace, clustering))
