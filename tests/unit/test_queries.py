"""What pages ask in between: neighbours, selections on a map, images that stand out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import queries
from core.errors import OperatorError
from core.latent.backbones import BUNDLED
from core.selection import MapSelection, SelectionStep
from core.settings import Settings
from core.state import catalog, labels, own_weights, runs, selections
from core.state.workspace import Workspace
from tests import samples


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.build_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def small(template: Path, home: Path) -> Workspace:
    """24 images, eight in each of three classes, on a grid of five columns."""
    return samples.copy_template(template, home / "small")


@pytest.fixture
def projection(small: Workspace) -> runs.Run:
    """The map that lays the images out row by row: image `ids[i]` at (i % 5, i // 5)."""
    return next(r for r in runs.list_runs(small, "projection") if r.config["method"] == "pca")


def resolve(workspace: Workspace, *steps: SelectionStep) -> list[int]:
    return queries.resolve_on_map(workspace, MapSelection(seq=1, steps=steps)).tolist()


def box(projection: runs.Run, *path: tuple[float, float], **more: object) -> SelectionStep:
    return SelectionStep("replace", "box", points=projection.id, path=path, **more)


def test_nearest_are_the_most_alike_and_the_image_itself_is_not_among_them(
    small: Workspace,
) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    by_id = {image.id: image for image in catalog.list_images(small)}
    found = queries.nearest_images(small, embedding, min(by_id), n_neighbors=7)
    assert {by_id[image_id].label for image_id, _ in found} == {by_id[min(by_id)].label}
    assert min(by_id) not in dict(found)
    distances = [distance for _, distance in found]
    assert distances == sorted(distances)


def test_there_are_no_more_neighbours_than_other_images(small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    image_id = int(catalog.image_ids(small)[0])
    assert len(queries.nearest_images(small, embedding, image_id, n_neighbors=1000)) == 23


@pytest.mark.parametrize("image_id", [0, 10_000])
def test_an_image_without_features_has_no_neighbours(image_id: int, small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    with pytest.raises(OperatorError, match="no features yet"):
        queries.nearest_images(small, embedding, image_id, n_neighbors=3)


def test_a_box_holds_the_images_drawn_in_it(small: Workspace, projection: runs.Run) -> None:
    ids = runs.load_array(small, projection, "image_ids").tolist()
    assert resolve(small, box(projection, (-0.5, -0.5), (1.5, 1.5))) == sorted(
        ids[i] for i in (0, 1, 5, 6)
    )


def test_hidden_categories_are_not_selected_as_they_are_now(
    small: Workspace, projection: runs.Run
) -> None:
    ids = runs.load_array(small, projection, "image_ids")
    labels.relabel(small, ids[:1].tolist(), "scratch", actor="Ada")
    version = f"{projection.id}/label@0-24"
    step = box(projection, (-1, -1), (9, 9), colours=version, hidden=(0, 1))  # dirt and drop
    left = resolve(small, step)
    assert set(catalog.column(small, np.array(left), "label")) == {"scratch"}
    assert len(left) == 9
    assert int(ids[0]) in left


def test_an_attribute_may_have_any_name(small: Workspace, projection: runs.Run) -> None:
    step = box(
        projection, (-1, -1), (9, 9), colours=f"{projection.id}/attribute:a/b@c@1", hidden=()
    )
    assert len(resolve(small, step)) == 24


def test_a_kept_selection_is_built_upon(small: Workspace, projection: runs.Run) -> None:
    ids = runs.load_array(small, projection, "image_ids").tolist()
    digest = selections.save_selection(small, np.array(ids[:3]))
    stored = SelectionStep("replace", "stored", stored=digest)
    more = SelectionStep("add", "ids", ids=(ids[9],))
    less = SelectionStep("remove", "ids", ids=(ids[0],))
    assert resolve(small, stored, more, less) == sorted([ids[1], ids[2], ids[9]])


def test_ids_that_are_no_images_here_are_dropped(small: Workspace) -> None:
    image_id = int(catalog.image_ids(small)[0])
    assert resolve(small, SelectionStep("replace", "ids", ids=(image_id, 2**31 - 1))) == [image_id]


def test_a_map_is_known_by_its_whole_id_alone(small: Workspace, projection: runs.Run) -> None:
    for name in ("", projection.id[:-1], projection.parent_id, "projection-nowhere"):
        with pytest.raises(OperatorError):
            resolve(
                small, SelectionStep("replace", "box", points=name, path=((0.0, 0.0), (9.0, 9.0)))
            )


def test_runs_are_described_in_words(small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    assert queries.describe_run(embedding).startswith("ResNet-50, resnet50-fake.pth · 24 images · ")
    described = {queries.describe_run(run) for run in runs.list_runs(small, "projection")}
    assert described == {"UMAP · trustworthiness 0.980", "PCA · trustworthiness 0.980"}
    clustering = runs.list_runs(small, "clustering")[0]
    assert queries.describe_run(clustering) == "K-means, k = 3 on the features"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"method": "dbscan", "space": "latent"}, "DBSCAN, 3 clusters on the features"),
        ({"method": "kmeans", "space": "projection"}, "K-means, k = 3 on the map"),
        (
            {"method": "hdbscan", "space": "latent", "components": 32.0},
            "HDBSCAN, 3 clusters on 32 components",
        ),
        (
            {"method": "agglomerative", "space": "latent", "components": 0.9},
            "Agglomerative, 3 clusters on 90% of the variance",
        ),
    ],
)
def test_a_clustering_is_described_by_method_and_space(
    config: dict[str, object], words: str, small: Workspace
) -> None:
    clustering = runs.list_runs(small, "clustering")[0]
    assert queries.describe_run(replace(clustering, config=config)) == words


def test_every_kind_of_run_has_words(small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    for kind in runs.KINDS[3:]:
        assert "24 images" in queries.describe_run(replace(embedding, kind=kind))


def test_the_usual_network_is_the_papers_and_offline_one_that_is_here(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = Settings(home=tmp_path, offline=True, weights_dir=tmp_path / "placed")
    assert queries.usual_backbone(small, replace(offline, offline=False)) == "resnet50"
    assert queries.usual_backbone(small, offline) == BUNDLED
    cache = tmp_path / "cache"
    monkeypatch.setenv("TORCH_HOME", str(cache))
    (cache / "hub" / "checkpoints").mkdir(parents=True)
    (cache / "hub" / "checkpoints" / "swin_t-704ceda3.pth").touch()
    assert queries.usual_backbone(small, offline) == "swin_t"
    (tmp_path / "placed").mkdir()
    (tmp_path / "placed" / "resnet34-ours.pth").touch()
    assert queries.usual_backbone(small, offline) == "resnet34"
    (own_weights.folder(small) / "resnet50-line-4.pth").touch()
    assert queries.usual_backbone(small, offline) == "resnet50"


def test_features_of_random_weights_say_so(small: Workspace, tmp_path: Path) -> None:
    samples.save_image(tmp_path / "more" / "new.png", (250, 250, 250))
    samples.import_folder(small, tmp_path / "more")
    random = samples.fake_embedding(small, notice="No weights were found.")
    assert "random weights" in queries.describe_run(random)


def test_features_by_a_model_of_ours_carry_its_name(small: Workspace) -> None:
    embedding = runs.list_runs(small, "embedding")[0]
    weights = {**embedding.result["weights"], "source": "model", "model": "resnet50-2"}
    tuned = replace(embedding, result={**embedding.result, "weights": weights})
    assert queries.describe_run(tuned).startswith("resnet50-2 · 24 images · ")


def test_the_report_knows_every_image_and_what_came_twice(small: Workspace, tmp_path: Path) -> None:
    samples.save_image(tmp_path / "more" / "black.png", (0, 0, 0))
    samples.save_image(tmp_path / "more" / "twin.png", (0, 0, 0))
    samples.import_folder(small, tmp_path / "more")
    black = catalog.list_images(small)[0].id
    facts = queries.dataset_facts(small)
    assert facts.images.ids.tolist() == catalog.image_ids(small).tolist()
    assert facts.classes == tuple(samples.CLASSES)
    assert facts.images.ids[facts.flagged["too_dark"].rows].tolist() == [black]
    assert [Path(path).name for path in facts.duplicates[black]] == ["black.png", "twin.png"]
    assert facts.conflicts == {}


def test_a_clustering_is_listed_with_the_ari_of_its_job(small: Workspace) -> None:
    clusterings = runs.list_runs(small, "clustering")
    rows = queries.clustering_table(small, clusterings)
    assert len(rows) == len(clusterings) > 0
    for row, run in zip(rows, clusterings, strict=True):
        assert row["clustering"] == queries.describe_run(run)
        assert row["silhouette"] == run.result["silhouette"]
        assert row["ARI"] is None  # made without a job here
