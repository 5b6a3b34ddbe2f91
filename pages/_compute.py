"""What the latent space is computed from: embed, draw a map; and what clustering said."""

import pandas as pd
import streamlit as st

from core import figures, queries
from core.errors import OperatorError
from core.jobs.configs import EmbedImages, ProjectEmbedding
from core.settings import PROJECT_ROOT, load_settings
from core.state import catalog, own_weights, runs
from core.state.colourings import clusterings_of
from core.state.runs import Run
from core.state.workspace import Workspace
from pages._parameters import parameter_input
from pages._shared import acting, plain, show_error, submit, told_apart


def show_compute(workspace: Workspace, embedding: Run | None) -> None:
    """Features and maps, folded away once there is something to see, and the way to clusters."""
    has_map = embedding and runs.list_runs(workspace, "projection", parent_id=embedding.id)
    with st.expander("Compute", icon=":material/tune:", expanded=not has_map):
        embed, project, cluster = st.columns(3)
        with embed:
            _embed(workspace, embedding)
        with project:
            _project(workspace, embedding)
        with cluster:
            _cluster(workspace, embedding)


def show_clusterings(workspace: Workspace, embedding: Run) -> None:
    """Every clustering of these features with its measures, and the newest sweep of k."""
    clusterings = clusterings_of(workspace, embedding)
    if not clusterings:
        return
    with st.expander(f"Clusterings ({len(clusterings)})", icon=":material/bar_chart:"):
        st.dataframe(
            pd.DataFrame(queries.clustering_table(workspace, clusterings)),
            hide_index=True,
            column_config={
                "silhouette": st.column_config.NumberColumn(format="%.3f"),
                "ARI": st.column_config.NumberColumn(
                    format="%.3f",
                    help="Adjusted Rand index against the labels as they were when it was made: "
                    "0 is chance, 1 is the same grouping.",
                ),
            },
            key="latent_space.clusterings",
        )
        swept = [run for run in clusterings if run.result["sweep"]]
        if swept:
            _show_sweep(swept[0])


def _show_sweep(clustering: Run) -> None:
    sweep, chosen = clustering.result["sweep"], clustering.result["n_clusters"]
    silhouettes, elbow = figures.sweep_of_k(sweep["rows"], chosen=chosen)
    left, right = st.columns(2)
    left.plotly_chart(silhouettes, key="latent_space.silhouettes")
    right.plotly_chart(elbow, key="latent_space.elbow")
    st.caption(
        f"The sweep chose k = {chosen}: the best silhouette is at k = "
        f"{sweep['best_silhouette_k']}, the elbow of the inertia at k = {sweep['elbow_k']}. "
        "Neither knows what a defect is: look at the images."
    )


def _embed(workspace: Workspace, embedding: Run | None) -> None:
    st.markdown("##### 1 · Features")
    titles = queries.backbone_titles()
    usual = queries.usual_backbone(workspace, load_settings())
    backbone = st.selectbox(
        "Network",
        list(titles),
        index=list(titles).index(usual),
        format_func=titles.__getitem__,
        key="latent_space.backbone",
    )
    st.caption("Its penultimate layer; images that it has seen already cost nothing.")
    weights = _weights(workspace, backbone)
    if st.button(
        "Embed the images",
        type="secondary" if embedding else "primary",
        key="latent_space.embed",
    ):
        submit(workspace, EmbedImages(backbone=backbone, weights=weights))
        st.rerun()
    if embedding:
        n_missing = catalog.count_images(workspace) - embedding.n_images
        if n_missing > 0:
            st.caption(f":orange[{n_missing:,} images have no such features yet.]")


def _weights(workspace: Workspace, backbone: str) -> str:
    """The file of one's own to embed with; empty for what is found by itself."""
    choice, key = st.container(), f"latent_space.weights.{backbone}"
    names = own_weights.list_weights(workspace, backbone)
    with st.popover("Own weights", icon=":material/upload_file:"):
        _add_weights(workspace, backbone, key, len(names))
        for name in names:
            _show_weights(workspace, backbone, key, name)
    if not names:
        return ""
    return choice.selectbox(
        "Weights", ["", *names], format_func=lambda name: name or "Found by itself", key=key
    )


def _add_weights(workspace: Workspace, backbone: str, key: str, n_files: int) -> None:
    """Keep an uploaded file and choose it; the next number of files has an empty uploader."""
    file = st.file_uploader(
        "A state dict of this network, whatever its number of classes",
        type=[suffix.lstrip(".") for suffix in own_weights.SUFFIXES],
        key=f"{key}.upload.{n_files}",
    )
    if not st.button("Add", disabled=file is None, key=f"{key}.add") or file is None:
        return
    acting("data scientist")
    max_bytes = load_settings().max_upload_mb * 1_000_000
    try:
        added = own_weights.add_weights(workspace, backbone, file.name, file, max_bytes=max_bytes)
    except OperatorError as error:
        show_error(error)
        return
    st.session_state[key] = added
    st.rerun()


def _show_weights(workspace: Workspace, backbone: str, key: str, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(name))
        if st.button(
            "", icon=":material/delete:", type="tertiary", help="Remove", key=f"{key}.remove.{name}"
        ):
            acting("data scientist")
            own_weights.remove_weights(workspace, backbone, name)
            st.session_state.pop(key, None)
            st.rerun()


def _project(workspace: Workspace, embedding: Run | None) -> None:
    st.markdown("##### 2 · Map")
    methods = queries.projection_methods()
    method = st.selectbox(
        "Method",
        list(methods),
        index=list(methods).index("umap"),
        format_func=lambda name: methods[name][0],
        key="latent_space.method",
    )
    _, shows, parameters = methods[method]
    st.caption(shows)
    with st.popover("Parameters", icon=":material/settings:"):
        values = {p.name: parameter_input(p, f"latent_space.{method}.{p.name}") for p in parameters}
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="latent_space.seed")
    if st.button(
        "Draw the map",
        type="primary" if embedding else "secondary",
        disabled=embedding is None,
        key="latent_space.project",
    ):
        assert embedding is not None  # the button is disabled without one
        config = ProjectEmbedding(embedding.id, method, tuple(values.items()), int(seed))
        submit(workspace, config)
        st.rerun()


def _cluster(workspace: Workspace, embedding: Run | None) -> None:
    st.markdown("##### 3 · Clusters")
    st.caption(
        "K-means, DBSCAN, HDBSCAN and agglomerative clustering, on the features or on a map, are "
        "made and judged on a page of their own. The clusters colour the map here."
    )
    if embedding is None:
        return
    embeddings = {run.id: run for run in runs.list_runs(workspace, "embedding")}
    titles = told_apart({id: queries.describe_run(run) for id, run in embeddings.items()})
    st.page_link(
        PROJECT_ROOT / "pages" / "clusters_and_anomalies.py",
        label="Cluster the images",
        icon=":material/bubble_chart:",
        query_params={  # a select box stands in the address by the text it shows
            "clusters_and_anomalies.features": titles[embedding.id]
        },
    )
