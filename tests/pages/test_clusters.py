"""The page of clusters: what is made, what a click opens, and what a label for a cluster does."""

import json

import numpy as np
import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from core.jobs.configs import (
    AnalyseSpace,
    ClusterImages,
    JobConfig,
    MeasureKDistances,
    MeasureSeparability,
    MeasureStability,
    from_json,
)
from core.jobs.steps import config_class
from core.latent.metrics import METRICS
from core.state import catalog, job_rows, labels, runs
from core.state.cluster_names import cluster_names, name_cluster
from core.state.colourings import list_colourings
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.pages.conftest import OpenPage, checked, choose, click, send, shown_ids, texts

PAGE = "clusters_and_anomalies"
GALLERY = f"{PAGE}.opened.gallery"


def embedding_of(workspace: Workspace) -> runs.Run:
    return runs.list_runs(workspace, "embedding")[0]


def clustering_of(workspace: Workspace) -> runs.Run:
    return runs.list_runs(workspace, "clustering")[0]


def submitted(workspace: Workspace) -> list[JobConfig]:
    """What the jobs that wait were asked, in their order."""
    jobs = sorted(job_rows.list_jobs(workspace, statuses=("queued",)), key=lambda job: job.id)
    return [from_json(config_class(job.kind), dict(job.config)) for job in jobs]


def open_clusters(open_page: OpenPage, *opened: object, **query: str) -> AppTest:
    """The view, with what is given opened of a clustering: (run, cluster) or (…, label)."""
    if opened:
        query |= {"shown": json.dumps(opened), "clustering": str(opened[0])}
    return open_page(PAGE, **query)


def charts(at: AppTest) -> dict[str, dict]:
    """The charts that are shown, by name, as plotly's JSON."""
    return {
        chart.proto.id.split(f"{PAGE}.")[1].rstrip("0123456789").rstrip("."): json.loads(
            chart.proto.spec
        )
        for chart in at.get("plotly_chart")
    }


def click_chart(at: AppTest, name: str, carried: object) -> AppTest:
    """Click what carries this; AppTest drives no charts itself."""
    (shown,) = [c for c in at.get("plotly_chart") if f"{PAGE}.{name}." in c.proto.id]
    selection = {"points": [{"customdata": carried}], "point_indices": [0], "box": [], "lasso": []}
    states = at._tree.get_widget_states()
    value = json.dumps({"selection": selection})
    states.widgets.append(WidgetState(id=shown.proto.id, string_value=value))
    return checked(at._run(states))


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def frames(at: AppTest) -> list:
    return [frame.value for frame in at.dataframe]


def ids_labelled(workspace: Workspace, label: str) -> list[int]:
    return catalog.image_ids(workspace, catalog.ImageFilter(labels=(label,))).tolist()


def test_without_features_the_page_leads_to_them(open_page: OpenPage, home, tmp_path) -> None:
    workspace = create_workspace(home / "bare", name="Bare")
    at = open_page(PAGE)
    assert [link.label for link in at.page_link] == ["Import images"]
    samples.import_folder(workspace, samples.write_images(tmp_path / "images", n_per_class=2))
    at = open_page(PAGE)
    assert [link.label for link in at.page_link] == ["Embed the images"]


def test_one_click_asks_for_everything(open_page: OpenPage, small: Workspace) -> None:
    runs.delete_run(small, clustering_of(small).id)
    embedding = embedding_of(small)
    at = open_page(PAGE)
    assert "No clustering yet" in texts(at)
    click(at, f"{PAGE}.analyse")
    assert submitted(small) == [
        ClusterImages(embedding.id, parameters=(("n_clusters", 4),)),
        AnalyseSpace(embedding.id),
    ]


def test_a_clustering_that_is_there_is_not_made_again(
    open_page: OpenPage, small: Workspace
) -> None:
    click(open_page(PAGE), f"{PAGE}.analyse")
    assert submitted(small) == [AnalyseSpace(embedding_of(small).id)]


def test_a_change_of_labels_is_told_and_measured_again(
    open_page: OpenPage, small: Workspace
) -> None:
    samples.do(small, AnalyseSpace(embedding_of(small).id))
    at = open_page(PAGE)
    assert at.button(key=f"{PAGE}.analyse").label == "Analyse everything"
    labels.relabel(small, ids_labelled(small, "dirt")[:3], "drop", actor="Ada")
    at = open_page(PAGE)
    assert at.button(key=f"{PAGE}.analyse").label == "Measure again"
    assert "have changed since" in texts(at)


def test_a_clustering_is_measured_against_the_labels_as_they_are_now(
    open_page: OpenPage, small: Workspace
) -> None:
    found = metrics(open_page(PAGE))
    assert (found["ARI"], found["AMI"], found["Homogeneity"]) == ("1.000", "1.000", "1.000")
    labels.relabel(small, ids_labelled(small, "dirt"), "drop", actor="Ada")
    found = metrics(open_page(PAGE))
    assert found["Homogeneity"] == "1.000"
    assert float(found["ARI"]) < 0.7


def test_without_labels_there_is_nothing_to_agree_with(
    open_page: OpenPage, small: Workspace
) -> None:
    labels.relabel(small, catalog.image_ids(small).tolist(), None, actor="Ada")
    at = open_page(PAGE)
    assert metrics(at)["ARI"] == "–"
    assert "nothing to agree with" in texts(at)
    assert charts(at)["labels"]["data"][0]["y"] == ["unlabelled"] * 3
    assert set(frames(at)[-1]["mostly"]) == {"no labels"}


def test_a_cell_opens_its_images_and_the_address_keeps_them(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(PAGE)
    cells = charts(at)["labels"]["data"][0]
    place = next(
        i for i, text in enumerate(cells["hovertext"]) if "dirt" in text and "8 im" in text
    )
    click_chart(at, "labels", cells["customdata"][place])
    assert sorted(shown_ids(at, GALLERY)) == ids_labelled(small, "dirt")
    run, cluster, label = json.loads(at.query_params["shown"])
    assert (run, label) == (clustering_of(small).id, "dirt")
    again = open_clusters(open_page, run, cluster, label)
    assert sorted(shown_ids(again, GALLERY)) == ids_labelled(small, "dirt")
    click(again, f"{PAGE}.opened.close")
    assert "shown" not in again.query_params
    assert "sizes" in charts(again)


def test_a_bar_opens_the_whole_cluster(open_page: OpenPage, small: Workspace) -> None:
    run = clustering_of(small)
    at = open_page(PAGE)
    click_chart(at, "sizes", charts(at)["sizes"]["data"][0]["customdata"][1])
    assert "8 images in cluster 1" in texts(at)
    clusters = runs.load_array(small, run, "labels")
    inside = set(runs.load_array(small, run, "image_ids")[clusters == 1].tolist())
    assert set(shown_ids(at, f"{PAGE}.opened.centre.gallery")) == inside
    choose(at, f"{PAGE}.opened.which", "All")
    assert set(shown_ids(at, GALLERY)) == inside


@pytest.mark.parametrize(
    "forged", ["", "no json", "[1, 2]", '["x"]', '["x", 1, 2]', '["x", true]', 7, None, "[]"]
)
def test_a_forged_click_or_link_opens_nothing(
    forged: object, open_page: OpenPage, small: Workspace
) -> None:
    at = click_chart(open_page(PAGE), "sizes", forged)
    assert "shown" not in at.query_params
    assert "sizes" in charts(open_page(PAGE, shown=str(forged)))


def test_what_is_open_of_another_clustering_is_not_shown(
    open_page: OpenPage, small: Workspace
) -> None:
    run = clustering_of(small).id
    samples.do(small, ClusterImages(embedding_of(small).id, parameters=(("n_clusters", 2),)))
    at = open_page(PAGE, shown=json.dumps([run, 0]))
    assert "sizes" in charts(at)
    assert metrics(at)["Clusters"] == "2"


def test_a_cluster_is_labelled_in_one_change_that_is_undone_in_one(
    open_page: OpenPage, small: Workspace
) -> None:
    run = clustering_of(small)
    before = catalog.column(small, catalog.image_ids(small), "label")
    at = open_clusters(open_page, run.id, 0)
    at.selectbox(key=f"{PAGE}.opened.label").select("drop")
    checked(at.run())
    assert at.button(key=f"{PAGE}.opened.label_all").label == "Label 8 images as drop"
    click(at, f"{PAGE}.opened.label_all")
    inside = runs.load_array(small, run, "labels") == 0
    ids = runs.load_array(small, run, "image_ids")[inside]
    assert catalog.column(small, ids, "label") == ["drop"] * 8
    batch = labels.list_batches(small)[0]
    assert batch.actor == "Ada"
    assert labels.list_changes(small)[0].reason == "labelled as a cluster: in cluster 0"
    click(at, f"shared.undo.{batch.id}")
    assert catalog.column(small, catalog.image_ids(small), "label") == before


def test_a_label_chosen_for_one_cluster_is_not_kept_for_the_next(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_clusters(open_page, clustering_of(small).id, 0)
    at.selectbox(key=f"{PAGE}.opened.label").select("drop")
    click(checked(at.run()), f"{PAGE}.opened.close")
    click_chart(at, "sizes", charts(at)["sizes"]["data"][0]["customdata"][1])
    assert at.selectbox(key=f"{PAGE}.opened.label").value is None
    assert at.button(key=f"{PAGE}.opened.label_all").disabled


def test_only_the_unlabelled_are_labelled_where_that_is_chosen(
    open_page: OpenPage, small: Workspace
) -> None:
    run = clustering_of(small)
    inside = runs.load_array(small, run, "labels") == 0
    ids = runs.load_array(small, run, "image_ids")[inside]
    labels.relabel(small, ids[:3].tolist(), None, actor="Ada")
    kept = catalog.column(small, ids[3:], "label")
    at = open_clusters(open_page, run.id, 0)
    at.toggle(key=f"{PAGE}.opened.only_unlabelled").set_value(True)
    at.selectbox(key=f"{PAGE}.opened.label").select("scratch")
    click(checked(at.run()), f"{PAGE}.opened.label_all")
    assert catalog.column(small, ids, "label") == ["scratch"] * 3 + kept


def test_images_picked_among_the_examples_are_acted_on(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_clusters(open_page, clustering_of(small).id, 2)
    wanted = shown_ids(at, f"{PAGE}.opened.furthest.gallery")[:2]
    send(at, f"{PAGE}.opened.furthest.gallery", selection=wanted)
    click(at, f"{PAGE}.opened.act.exclude")
    excluded = catalog.image_ids(small, catalog.ImageFilter(excluded=True))
    assert excluded.tolist() == sorted(wanted)


def test_a_cluster_is_named_and_called_so_everywhere(open_page: OpenPage, small: Workspace) -> None:
    run = clustering_of(small).id
    at = open_clusters(open_page, run, 0)
    key = f"{PAGE}.opened.name.{run}.0"
    checked(at.text_input(key=key).set_value("<b>long</b> ones").run())
    assert cluster_names(small, run) == {0: "<b>long</b> ones"}
    assert "in cluster 0 (<b>long</b> ones)" in texts(at).replace("\\", "")
    click(at, f"{PAGE}.opened.close")
    assert list(frames(at)[-1]["name"]) == ["<b>long</b> ones", "", ""]
    assert "&lt;b>long" in json.dumps(charts(at)["sizes"])


def test_naming_asks_who_it_is_first(open_page: OpenPage, small: Workspace) -> None:
    run = clustering_of(small).id
    at = open_page(PAGE, person=None, shown=json.dumps([run, 0]))
    checked(at.text_input(key=f"{PAGE}.opened.name.{run}.0").set_value("long").run())
    assert at.text_input(key="shared.dialog.name")
    assert cluster_names(small, run) == {}


def test_a_name_lasts_until_another_is_given(open_page: OpenPage, small: Workspace) -> None:
    run = clustering_of(small).id
    name_cluster(small, run, 1, "old")
    at = open_clusters(open_page, run, 1)
    box = at.text_input(key=f"{PAGE}.opened.name.{run}.1")
    assert box.value == "old"
    checked(box.set_value("").run())
    assert cluster_names(small, run) == {}


def test_a_cluster_leads_to_the_map_in_its_colours(open_page: OpenPage, small: Workspace) -> None:
    run = clustering_of(small)
    at = open_clusters(open_page, run.id, 0)
    (link,) = [each for each in at.page_link if each.label == "Show on the map"]
    assert "latent_space" in link.proto.page
    title = list_colourings(small, embedding_of(small))[f"cluster:{run.id}"]
    map_page = open_page("latent_space", latent_space__colour__left=title)
    assert map_page.selectbox(key="latent_space.colour.left").value == f"cluster:{run.id}"


def test_the_newest_clustering_is_shown_until_a_person_chooses(
    open_page: OpenPage, small: Workspace
) -> None:
    old = clustering_of(small)
    at = open_page(PAGE)
    samples.do(small, ClusterImages(embedding_of(small).id, parameters=(("n_clusters", 2),)))
    new = clustering_of(small)
    checked(at.run())
    assert metrics(at)["Clusters"] == "2"
    (box,) = [s for s in at.selectbox if s.key == f"{PAGE}.clustering.{new.id}"]
    checked(box.select_index(1).run())
    assert metrics(at)["Clusters"] == "3"
    assert at.query_params["clustering"] == old.id
    assert metrics(open_page(PAGE, clustering=old.id))["Clusters"] == "3"
    assert len(frames(at)[0]) == 2


def test_k_means_is_asked_as_it_was_chosen(open_page: OpenPage, small: Workspace) -> None:
    embedding = embedding_of(small)
    at = open_page(PAGE)
    click(at, f"{PAGE}.make.start")
    checked(at.toggle(key=f"{PAGE}.make.sweep").set_value(False).run())
    assert at.number_input(key=f"{PAGE}.make.k").value == 4  # a cluster more than classes
    at.number_input(key=f"{PAGE}.make.seed").set_value(7)
    at.selectbox(key=f"{PAGE}.make.space").select_index(1)
    checked(at.run())
    at.number_input(key=f"{PAGE}.make.components").set_value(3.0)
    click(at, f"{PAGE}.make.start")
    assert submitted(small) == [
        ClusterImages(embedding.id, parameters=(("n_init", 10),), sweep=True),
        ClusterImages(
            embedding.id, parameters=(("n_clusters", 4), ("n_init", 10)), components=3.0, seed=7
        ),
    ]


def test_a_map_is_clustered_with_a_warning(open_page: OpenPage, small: Workspace) -> None:
    at = open_page(PAGE)
    assert "the picture's" not in texts(at)
    at.selectbox(key=f"{PAGE}.make.space").select_index(2)
    assert "Distances on a map are the picture's" in texts(checked(at.run()))
    click(at, f"{PAGE}.make.start")
    (config,) = submitted(small)
    assert runs.get_run(small, config.run).kind == "projection"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("hdbscan", (("min_cluster_size", 10), ("min_samples", 5), ("metric", "cosine"))),
        (
            "agglomerative",
            (
                ("n_clusters", 4),
                ("max_distance", 0.0),
                ("linkage", "ward"),
                ("metric", "euclidean"),
            ),
        ),
        ("dbscan", (("min_samples", 5), ("metric", "cosine"))),
    ],
)
def test_every_method_is_asked_with_its_parameters(
    method: str, parameters: tuple, open_page: OpenPage, small: Workspace
) -> None:
    at = open_page(PAGE)
    at.selectbox(key=f"{PAGE}.make.method").set_value(method)
    click(checked(at.run()), f"{PAGE}.make.start")
    assert submitted(small) == [
        ClusterImages(embedding_of(small).id, method=method, parameters=parameters)
    ]


def test_the_reach_of_dbscan_is_read_from_the_knee(open_page: OpenPage, small: Workspace) -> None:
    embedding = embedding_of(small)
    at = open_page(PAGE)
    at.selectbox(key=f"{PAGE}.make.method").set_value("dbscan")
    checked(at.run())
    assert at.number_input(key=f"{PAGE}.make.dbscan.eps.").value is None
    click(at, f"{PAGE}.make.dbscan.measure")
    assert submitted(small) == [MeasureKDistances(embedding.id)]
    job = samples.do(small, MeasureKDistances(embedding.id))
    found = job.result["run"]
    checked(at.run())
    assert at.number_input(key=f"{PAGE}.make.dbscan.eps.{found}").value == job.result["eps"]
    assert "make.dbscan.curve" in charts(at)


def test_noise_is_counted_and_opened(open_page: OpenPage, small: Workspace) -> None:
    embedding = embedding_of(small)
    parameters = (("eps", 1e-9), ("min_samples", 5), ("metric", "euclidean"))
    samples.do(small, ClusterImages(embedding.id, method="dbscan", parameters=parameters))
    at = open_page(PAGE)
    assert (metrics(at)["Clusters"], metrics(at)["Noise"]) == ("0", "24")
    assert "All images are noise" in texts(at)
    assert "No image belongs to a cluster" in texts(at)
    click_chart(at, "sizes", charts(at)["sizes"]["data"][0]["customdata"][0])
    assert len(shown_ids(at, GALLERY)) == 24
    assert "24 images in noise" in texts(at)


def test_stability_is_told_in_a_sentence(open_page: OpenPage, small: Workspace) -> None:
    embedding = embedding_of(small)
    made = samples.do(small, ClusterImages(embedding.id, sweep=True, largest=4)).result["run"]
    at = open_page(PAGE)
    assert "One lucky run proves nothing" in texts(at)
    click(at, f"{PAGE}.stability")
    assert submitted(small) == [MeasureStability(made)]
    samples.do(small, MeasureStability(made))
    at = open_page(PAGE)
    assert "Over 5 seeds the clusterings agree with **ARI 1.00** (1.00 to 1.00)" in texts(at)
    assert {"spreads", "silhouettes", "agreed", "elbow"} <= set(charts(at))


def test_the_silhouette_stands_under_all_metrics(open_page: OpenPage, small: Workspace) -> None:
    embedding = embedding_of(small)
    at = open_page(PAGE, clusters_and_anomalies__view="Distances")
    click(at, f"{PAGE}.distances.measure")
    asked = MeasureSeparability(embedding.id, clusterings=(clustering_of(small).id,))
    assert submitted(small) == [asked]
    samples.do(small, asked)
    at = open_page(PAGE, clusters_and_anomalies__view="Distances")
    figure = charts(at)["distances.chart"]
    assert [len(trace["y"]) for trace in figure["data"]] == [18, 18]
    table = frames(at)[0]
    assert len(table) == 18
    assert list(table.columns[:3]) == ["metric", "what it tells", "Labels"]
    assert "compare runs under one metric" in texts(at)
    assert "active where it is not 0" in texts(at)
    is_known = np.isfinite(table["Labels"].astype(float)).to_numpy()
    boolean = [metric.boolean for metric in METRICS.values()]
    assert is_known.tolist() == [not each for each in boolean]  # no feature is ever 0 here
    assert any("All images are equal" in text for text in figure["data"][0]["hovertext"])


def test_one_grouping_is_bars_with_the_paper_beside(open_page: OpenPage, small: Workspace) -> None:
    samples.do(small, MeasureSeparability(embedding_of(small).id))
    at = open_page(PAGE, clusters_and_anomalies__view="Distances")
    assert at.multiselect(key=f"{PAGE}.distances.compared").value == ["labels"]
    assert charts(at)["distances.chart"]["data"][0]["type"] == "bar"
    checked(at.toggle(key=f"{PAGE}.distances.with_paper").set_value(True).run())
    assert charts(at)["distances.chart"]["data"][-1]["name"] == "the paper's data"
    assert "its own 240 images" in texts(at)


def test_another_binarisation_is_measured_apart(open_page: OpenPage, small: Workspace) -> None:
    samples.do(small, MeasureSeparability(embedding_of(small).id))
    at = open_page(PAGE, clusters_and_anomalies__view="Distances")
    choose(at, f"{PAGE}.distances.binarise", "median")
    click(at, f"{PAGE}.distances.measure")
    (config,) = submitted(small)
    assert config.binarise == "median"


def test_values_of_labels_that_changed_are_said_to_be_old(
    open_page: OpenPage, small: Workspace
) -> None:
    samples.do(small, MeasureSeparability(embedding_of(small).id))
    labels.relabel(small, ids_labelled(small, "dirt")[:3], "drop", actor="Ada")
    at = open_page(PAGE, clusters_and_anomalies__view="Distances")
    assert "Labels have changed since they were measured" in texts(at)
    click(at, f"{PAGE}.distances.measure")
    assert submitted(small) == [MeasureSeparability(embedding_of(small).id)]
