"""Regions: two sets are chosen and compared; the layout of classes and splits is told."""

from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from core.analysis.comparisons import list_comparisons, read_comparison
from core.jobs.configs import CompareSets, ReadLayout, from_json
from core.jobs.worker import run_job
from core.state import catalog, job_rows, labels, selections
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace
from tests import samples
from tests.pages.conftest import OpenPage, checked, click, texts
from tests.slips import N_PER_CLASS, Slips

PAGE = "clusters_and_anomalies"
KEY = f"{PAGE}.regions"
Analysed = tuple[Workspace, Slips]


def open_view(open_page: OpenPage, **options: Any) -> AppTest:
    return open_page(PAGE, clusters_and_anomalies__view="Regions", **options)


def select(at: AppTest, key: str, value: Any) -> AppTest:
    return checked(at.selectbox(key=f"{KEY}.{key}").select(value).run())


def select_many(at: AppTest, key: str, *values: Any) -> AppTest:
    return checked(at.multiselect(key=f"{KEY}.{key}").set_value(list(values)).run())


def compared(workspace: Workspace) -> CompareSets:
    """Do what the page has submitted, and return what it asked."""
    (job,) = job_rows.list_jobs(workspace, statuses=("queued",))
    assert run_job(workspace, job.id).status == "succeeded"
    config = from_json(CompareSets, dict(job.config))
    assert isinstance(config, CompareSets)
    return config


def test_a_class_is_compared_with_all_others_in_words(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    at = open_view(open_page)
    assert at.button(key=f"{KEY}.compare").disabled
    select_many(at, "first.labels", "dirt")
    click(at, f"{KEY}.compare")
    config = compared(workspace)
    dirt = catalog.image_ids(workspace, ImageFilter(labels=("dirt",)))
    assert (config.first_name, config.second_name) == ("dirt", "all other images")
    assert selections.load_selection(workspace, config.first).tolist() == dirt.tolist()
    rest = np.setdiff1d(slips.ids, dirt)
    assert selections.load_selection(workspace, config.second).tolist() == rest.tolist()
    at = open_view(open_page)
    assert "The two sets differ in the full latent space" in texts(at)
    assert "picked by eye on a map" in texts(at)
    figures = {metric.label: metric.value for metric in at.metric}
    assert figures["Effect"] in ("large", "nearly complete")


def test_a_label_within_a_split_is_a_set(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, _ = analysed
    at = select_many(open_view(open_page), "first.labels", "dirt", "drop")
    select_many(at, "first.splits", "train")
    chosen = ImageFilter(labels=("dirt", "drop"), splits=("train",))
    n_images = catalog.count_images(workspace, chosen)
    assert f"**{n_images} images**: dirt or drop in train" in texts(at)


def test_images_of_both_sets_count_to_the_first_alone(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, _ = analysed
    at = select_many(open_view(open_page), "first.labels", "dirt")
    select(at, "second.kind", "Labels and splits")
    select_many(at, "second.splits", "train")
    both = catalog.count_images(workspace, ImageFilter(labels=("dirt",), splits=("train",)))
    assert f"{both} images in both: counted to the first set alone" in texts(at)
    click(at, f"{KEY}.compare")
    config = compared(workspace)
    second = selections.load_selection(workspace, config.second)
    assert "dirt" not in catalog.column(workspace, second, "label")


def test_clusters_are_sets(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, slips = analysed
    clustering = samples.fake_clustering(workspace, slips.embedding)
    at = select(open_view(open_page), "first.kind", "Clusters")
    select_many(at, f"first.clusters.{clustering.id}", 0)
    assert f"**{N_PER_CLASS} images**: cluster 0" in texts(at)


def test_a_selection_on_the_map_is_compared_with_the_rest(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    samples.fake_projection(workspace, slips.embedding)
    digest = selections.save_selection(workspace, np.array(slips.ids[:N_PER_CLASS]))
    at = open_page("latent_space", selected=digest)
    click(at, f"{KEY}.with_rest")
    assert at.header[0].value == "Clusters and anomalies"
    assert at.selectbox(key=f"{KEY}.first.selection").value == digest
    assert at.selectbox(key=f"{KEY}.second.kind").value == "All other images"
    at = checked(at.switch_page(f"{PAGE}.py").run())  # AppTest forgets where it was led
    click(at, f"{KEY}.compare")
    assert compared(workspace).first == digest


def test_two_selections_are_compared_with_each_other(
    open_page: OpenPage, analysed: Analysed
) -> None:
    workspace, slips = analysed
    samples.fake_projection(workspace, slips.embedding)
    first, second = (
        selections.save_selection(workspace, np.array(slips.ids[start : start + 20]))
        for start in (0, 30)
    )
    at = open_page("latent_space", selected=first)
    assert at.button(key=f"{KEY}.with_kept").disabled
    click(at, f"{KEY}.keep")
    at.session_state["latent_space.selection"] = (second, None)
    checked(at.run())
    click(at, f"{KEY}.with_kept")
    at = checked(at.switch_page(f"{PAGE}.py").run())  # AppTest forgets where it was led
    click(at, f"{KEY}.compare")
    config = compared(workspace)
    assert (config.first, config.second) == (first, second)


def test_earlier_comparisons_can_be_opened_again(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, slips = analysed
    for start in (0, N_PER_CLASS):
        first, second = slips.ids[start : start + 12], slips.ids[start + 12 : start + 24]
        config = CompareSets(
            slips.embedding.id,
            selections.save_selection(workspace, np.array(first)),
            selections.save_selection(workspace, np.array(second)),
            f"from {start}",
            "the others",
        )
        assert samples.do(workspace, config).status == "succeeded"
    newest, earlier = list_comparisons(workspace, slips.embedding)
    assert len(read_comparison(workspace, earlier).first) == 12
    at = open_view(open_page)
    assert list(at.dataframe[0].value["first"]) == [
        run.config["first_name"] for run in (newest, earlier)
    ]
    assert newest.config["first_name"] in texts(at)


def test_the_layout_is_told_in_charts_and_sentences(
    open_page: OpenPage, analysed: Analysed
) -> None:
    at = open_view(open_page)
    names = [chart.proto.id for chart in at.get("plotly_chart")]
    assert [
        next(name for name in names if f"{KEY}.{chart}" in name)
        for chart in ("spreads", "purity", "separability", "shifts")
    ]
    assert "Hardest: **" in texts(at)
    assert "lies no farther from training" in texts(at)


def test_a_layout_of_other_labels_says_so(open_page: OpenPage, analysed: Analysed) -> None:
    workspace, slips = analysed
    labels.relabel(workspace, slips.ids[:3], "drop", actor="Ada")
    at = open_view(open_page)
    assert "Labels or splits have changed since this was measured" in texts(at)
    click(at, f"{PAGE}.layout.again")
    (job,) = job_rows.list_jobs(workspace, statuses=("queued",))
    assert job.kind == ReadLayout.kind


def test_without_a_layout_there_is_one_button_that_makes_it(
    open_page: OpenPage, small: Workspace
) -> None:
    at = open_view(open_page)
    click(at, f"{PAGE}.layout.make")
    (job,) = job_rows.list_jobs(small, statuses=("queued",))
    assert job.kind == ReadLayout.kind
