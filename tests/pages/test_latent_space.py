"""The map: what it is given, what a selection on it means, and what follows from it."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.configs import EmbedImages, ProjectEmbedding, to_json
from core.state import catalog, job_rows, labels, runs, selections
from core.state.workspace import Workspace, create_workspace
from tests import samples
from tests.pages.conftest import (
    OpenPage,
    checked,
    click,
    component_data,
    send,
    shown_ids,
    texts,
)

MAP, GALLERY = "latent_space.points.left", "latent_space.gallery"


@pytest.fixture
def projection(small: Workspace) -> runs.Run:
    """The map that lays the images out row by row: image `ids[i]` at (i % 5, i // 5)."""
    return next(r for r in runs.list_runs(small, "projection") if r.config["method"] == "pca")


def open_map(open_page: OpenPage, projection: runs.Run, **query: str) -> AppTest:
    return open_page("latent_space", latent_space__map__left=projection.id, **query)


def draw_box(
    at: AppTest, projection: runs.Run, *corners: tuple[float, float], seq: int = 1, **more: object
) -> AppTest:
    """What the browser sends when a person has drawn a box."""
    step = {"op": "replace", "kind": "box", "points": projection.id, "path": corners, **more}
    return send(at, MAP, selection={"seq": seq, "points": projection.id, "ops": [step]})


def selected(at: AppTest) -> list[int]:
    """Ids below the map, as its gallery shows them, ascending."""
    return sorted(shown_ids(at, GALLERY))


def test_the_map_is_given_addresses_and_a_legend_and_no_points(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    data = component_data(open_map(open_page, projection), MAP)
    assert data["points_url"] == f"lacquer/{small.uid}/points/{projection.id}"
    assert data["version"] == projection.id
    assert [(entry["name"], entry["count"]) for entry in data["legend"]] == [
        ("dirt", 8),
        ("drop", 8),
        ("scratch", 8),
    ]
    assert len({entry["color"] for entry in data["legend"]}) == 3
    assert data["selection"] is None


def test_a_box_selects_what_lies_in_it_and_the_gallery_shows_it(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    ids = runs.load_array(small, projection, "image_ids").tolist()
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    assert selected(at) == sorted(ids[i] for i in (0, 1, 5, 6))
    assert "4 selected" in texts(at)
    assert component_data(at, MAP)["selection"]["seq"] == 1


def test_a_selection_is_found_again_by_its_address(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    again = open_page("latent_space", **at.query_params)
    assert selected(again) == selected(at)
    stored = component_data(again, MAP)["selection"]
    assert stored["version"] == at.query_params["selected"]
    assert stored["seq"] is None


def test_a_selection_outlives_a_visit_to_another_page(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    digest = at.query_params["selected"]
    at.query_params.clear()  # as links between pages do
    checked(at.switch_page("dataset.py").run())
    at.query_params.clear()
    checked(at.switch_page("latent_space.py").run())
    assert len(selected(at)) == 4
    assert at.query_params["selected"] == digest


def test_hidden_categories_are_not_selected(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = open_map(open_page, projection)
    colours = component_data(at, MAP)["colours_version"]
    draw_box(at, projection, (-1, -1), (9, 9), colours=colours, hidden=[0, 2])
    shown = np.array(selected(at))
    assert catalog.column(small, shown, "label") == ["drop"] * 8


def test_a_selection_is_acted_on_and_stays(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    ids = selected(at)
    click(at, "latent_space.act.triage")
    queued = catalog.image_ids(small, catalog.ImageFilter(queued=True)).tolist()
    assert queued == ids == selected(at)
    assert labels.list_changes(small)[0].reason == "picked on the map"
    send(at, GALLERY, selection=ids[:1])  # picked within the selection: that one alone
    click(at, "latent_space.act.exclude")
    assert catalog.image_ids(small, catalog.ImageFilter(excluded=True)).tolist() == ids[:1]


def test_clearing_selects_nothing(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    click(at, "latent_space.clear")
    assert "selected" not in at.query_params
    assert component_data(at, MAP)["selection"] is None
    assert [each.key for each in at.get("bidi_component")] == [MAP, "shared.cookie"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"seq": 1, "ops": "all"},
        {"seq": 1, "ops": [{"op": "replace", "kind": "ids", "ids": ["1; DROP TABLE images"]}]},
        {"seq": 1, "ops": [{"op": "replace", "kind": "box", "path": [[0, 0]]}]},
        {"seq": 1, "ops": [{"op": "replace", "kind": "stored", "selection": "../../lacquer.db"}]},
        {
            "seq": 1,
            "ops": [
                {
                    "op": "replace",
                    "kind": "box",
                    "points": "projection-nowhere",
                    "path": [[0, 0], [1, 1]],
                }
            ],
        },
    ],
)
def test_a_selection_that_no_map_makes_is_told_and_selects_nothing(
    value: object, open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = send(open_map(open_page, projection), MAP, selection=value)
    assert at.toast
    assert "selected" not in at.query_params


def test_a_kept_selection_that_is_gone_is_told(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("latent_space", selected="0" * 32)
    assert "no longer kept" in at.toast[0].value
    assert "selected" not in at.query_params


def test_two_maps_share_one_selection(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = open_map(open_page, projection, latent_space__two="true")
    draw_box(at, projection, (-0.5, -0.5), (1.5, 1.5))
    left, right = (
        component_data(at, f"latent_space.points.{place}") for place in ("left", "right")
    )
    assert left["version"] != right["version"]
    assert left["group"] == right["group"]
    assert left["selection"] == right["selection"]


def test_maps_that_are_described_alike_can_both_be_chosen(
    open_page: OpenPage, small: Workspace
) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    samples.fake_projection(small, embedding, method="umap", seed=1)
    at = open_page("latent_space")
    shown = set()
    for title in at.selectbox(key="latent_space.map.left").options:
        at.selectbox(key="latent_space.map.left").select(title)
        shown.add(component_data(checked(at.run()), MAP)["version"])
    assert shown == {run.id for run in runs.list_runs(small, "projection")}


def test_colours_follow_a_change_at_once(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    before = component_data(at, MAP)
    click(at, "latent_space.act.unlabel")
    after = component_data(at, MAP)
    assert after["colours_version"] != before["colours_version"]
    assert after["version"] == before["version"]
    assert after["legend"][-1]["name"] == "none"
    assert after["legend"][-1]["count"] == 4


def test_the_same_images_in_two_workspaces_have_the_labels_of_their_own(
    open_page: OpenPage, small: Workspace, home: Path
) -> None:
    twin = samples.copy_template(small.path, home / "twin")
    ids = catalog.image_ids(small).tolist()
    labels.relabel(small, ids[:1], "scratch", actor="Ada")
    labels.relabel(twin, ids[:1], "drop", actor="Ada")
    counts = []
    for workspace in (small, twin):
        data = component_data(open_page("latent_space", ws=workspace.uid), MAP)
        counts.append({entry["name"]: entry["count"] for entry in data["legend"]})
    assert counts == [{"dirt": 7, "drop": 8, "scratch": 9}, {"dirt": 7, "drop": 9, "scratch": 8}]


def test_every_colouring_can_be_chosen_whatever_its_name(
    open_page: OpenPage, small: Workspace, tmp_path: Path
) -> None:
    samples.save_image(tmp_path / "more" / "a.png", (3, 2, 1))
    (tmp_path / "more" / "labels.csv").write_text("path,Fläche & <Rand>?#%\na.png,ja\n")
    samples.import_folder(small, tmp_path / "more")
    samples.compute_all(small)
    names = open_page("latent_space").selectbox(key="latent_space.colour.left").options
    assert len(names) > 10
    at = open_page("latent_space")
    for title in names:
        at.selectbox(key="latent_space.colour.left").select(title)
        assert component_data(checked(at.run()), MAP)["kind"] in ("category", "score")
        if "Rand" in title:
            asked = parse_qs(urlsplit(component_data(at, MAP)["colours_url"]).query)
            assert asked["by"] == ["attribute:Fläche & <Rand>?#%"]


def test_the_neighbours_of_an_image_are_shown_nearest_first(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    at = draw_box(open_map(open_page, projection), projection, (-0.5, -0.5), (1.5, 1.5))
    image_id = selected(at)[0]
    send(at, GALLERY, similar={"seq": 1, "id": image_id})
    similar = "latent_space.similar_images.gallery"
    found = shown_ids(at, similar)
    assert len(found) == 23
    assert image_id not in found
    nearest = catalog.column(small, np.array(found[:7]), "label")
    assert set(nearest) == {catalog.get_image(small, image_id).label}
    send(at, similar, similar={"seq": 2, "id": found[0]})
    assert image_id in shown_ids(at, similar)
    click(at, "latent_space.close_similar")
    assert similar not in [each.key for each in at.get("bidi_component")]


def test_an_image_without_features_is_told_and_can_be_embedded(
    open_page: OpenPage, small: Workspace, tmp_path: Path
) -> None:
    samples.save_image(tmp_path / "more" / "new.png", (250, 250, 250))
    samples.import_folder(small, tmp_path / "more")
    new = catalog.list_images(small)[0].id
    digest = selections.save_selection(small, np.array([new]))
    at = open_page("latent_space", selected=digest)
    send(at, GALLERY, similar={"seq": 1, "id": new})
    assert "no features yet" in at.error[0].value.replace("\\", "")
    assert at.button(key="latent_space.embed")


def test_the_sweep_is_shown(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("latent_space")
    assert [e.label for e in at.expander if e.label == "Clusterings (1)"]
    assert [e.value for e in at.caption if "The sweep chose k = 3" in e.value]


def test_what_is_computed_is_what_was_chosen(open_page: OpenPage, small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    at = open_page("latent_space")
    at.selectbox(key="latent_space.backbone").select("ResNet-34")
    click(at, "latent_space.embed")
    at.selectbox(key="latent_space.method").select("PCA")
    checked(at.run())
    at.number_input(key="latent_space.seed").set_value(7)
    click(at, "latent_space.project")
    asked = [job.config for job in reversed(job_rows.list_jobs(small, statuses=("queued",)))]
    assert asked[0] == to_json(EmbedImages(backbone="resnet34"))
    assert (asked[1]["method"], asked[1]["seed"]) == ("pca", 7)
    assert set(asked[1]) == set(to_json(ProjectEmbedding(embedding.id)))


def test_clusters_are_made_on_their_own_page(open_page: OpenPage, small: Workspace) -> None:
    at = open_page("latent_space")
    links = [link.proto for link in at.get("page_link")]
    (link,) = [link for link in links if link.label == "Cluster the images"]
    assert link.page == "clusters_and_anomalies"
    assert "clusters_and_anomalies.features=" in link.query_string


def test_the_page_opens_with_features_that_have_a_map(
    open_page: OpenPage, small: Workspace, projection: runs.Run
) -> None:
    ids = catalog.image_ids(small)
    newest = samples.keep_embedding(small, ids, np.eye(len(ids), dtype=np.float32))
    assert runs.list_runs(small, "embedding")[0].id == newest.id != projection.parent_id
    at = open_page("latent_space")
    assert at.selectbox(key="latent_space.features").value == projection.parent_id
    assert component_data(at, MAP)["points_url"]


def test_before_any_features_the_page_offers_to_compute_them(
    open_page: OpenPage, home: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(home / "bare", name="Bare")
    samples.import_folder(workspace, samples.write_images(tmp_path / "line", n_per_class=1))
    at = open_page("latent_space")
    assert at.button(key="latent_space.project").disabled
    assert "Cluster the images" not in [link.proto.label for link in at.get("page_link")]
    click(at, "latent_space.embed")
    assert job_rows.list_jobs(workspace)[0].kind == "embed"


def test_features_of_a_random_network_are_marked(
    open_page: OpenPage, home: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(home / "bare", name="Bare")
    samples.import_folder(workspace, samples.write_images(tmp_path / "line", n_per_class=1))
    samples.fake_embedding(workspace, notice="These features come from a random network.")
    at = open_page("latent_space")
    assert "random network" in at.warning[0].value
    assert "No map has been drawn" in texts(at)
