"""What is exported and imported again is the same state, in every format, to the last digit."""

import csv
import hashlib
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.annotations import Box, Crop, Decision
from core.errors import Cancelled
from core.images.formats.exporters import EXPORT_FORMATS
from core.images.formats.importers import FORMATS
from core.jobs.configs import (
    AnalyseSpace,
    ClusterImages,
    EmbedImages,
    ExportImages,
    ImportImages,
    ProjectEmbedding,
)
from core.latent.backbones import Preprocessing
from core.latent.weights import ResolvedWeights
from core.settings import Settings
from core.state import annotations, catalog, database, exports, intake, labels, runs, upkeep
from core.state.cluster_names import cluster_names, name_cluster
from core.state.workspace import Workspace, create_workspace
from tests.samples import (
    colour_of,
    copy_template,
    do,
    fake_clustering,
    fake_embedding,
    fake_projection,
    import_folder,
    save_image,
    write_images,
)

SIZE = (32, 24)


def state_of(workspace: Workspace) -> dict[str, Any]:
    """All that a round trip keeps, by the hash of each image's file."""
    images = catalog.list_images(workspace, sort="oldest")
    ids = tuple(image.id for image in images)
    boxes, crops = annotations.list_boxes(workspace), annotations.list_crops(workspace)
    decisions = annotations.list_decisions(workspace)
    groups = exports.list_shot_groups(workspace, ids)
    reasons = exports.list_queue_reasons(workspace, ids)
    return {
        "classes": catalog.list_classes(workspace),
        "attributes": catalog.list_attributes(workspace),
        "images": {
            image.sha256: {
                "bytes": catalog.image_path(workspace, image).read_bytes(),
                "name": image.name,
                "label": (image.label, image.label_origin),
                "decisions": decisions.get(image.id, ()),
                "split": image.split,
                "excluded": image.excluded,
                "queued": reasons.get(image.id),
                "attributes": {
                    name: (type(value).__name__, value) for name, value in image.attributes.items()
                },
                "group": groups.get(image.id),
                "boxes": boxes.get(image.id, ()),
                "crop": crops.get(image.id),
            }
            for image in images
        },
    }


def runs_of(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Every run with its arrays, each row under the hash of its image; parents before children."""
    sha256s = {image.id: image.sha256 for image in catalog.list_images(workspace)}
    found = []
    for run in runs.list_runs(workspace):
        arrays = {
            file.stem: runs.load_array(workspace, run, file.stem)
            for file in runs.artefact_folder(workspace, run.id).iterdir()
        }
        images = [sha256s[image_id] for image_id in arrays.pop("image_ids").tolist()]
        centers = arrays.pop("centers", np.zeros(0)).tolist()
        rows = {
            sha256: {name: (str(array.dtype), array[i].tolist()) for name, array in arrays.items()}
            for i, sha256 in enumerate(images)
        }
        facts = (run.kind, dict(run.config), dict(run.result), run.n_images, run.actor)
        found.append((*facts, rows, centers))
    return sorted(found, key=lambda each: str(each[:2]))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rich workspace on SQLite, made once and closed for copying."""
    folder = tmp_path_factory.mktemp("rich")
    workspace = create_workspace(folder / "template", settings=Settings(home=folder))
    fill_richly(workspace, folder)
    database.drop(workspace)  # closes the connections
    return workspace.path


@pytest.fixture
def rich(template: Path, home: Path) -> Workspace:
    """A workspace with everything that could get lost on the way."""
    return copy_template(template, home / "rich")


def fill_richly(workspace: Workspace, folder: Path) -> None:
    """Fourteen images with everything that could get lost on the way."""
    save_image(folder / "line" / "dirt" / "000.png", colour_of("dirt", 0), size=SIZE)
    do(workspace, ImportImages(source=str(folder / "line"), split="keep"))
    import_id = intake.begin_import(
        workspace,
        source="/line",
        format="folder",
        options={},
        actor="tester",
        classes=["scratch", "oil, spot", "never seen"],
    )
    quirks: list[dict[str, Any]] = [
        {"name": "Fläche/ñ 漢字 1.png", "label": "oil, spot", "split": "train"},
        {"name": "=cmd|' /C calc'!A0.png", "label": "=1+1", "split": "validation"},
        {"name": "-3.png", "label": "-rust", "split": "test", "excluded": True},
        {"name": " leading.png", "label": "1", "split": "calibration"},
        {"name": "true.png", "label": "true", "split": None},
        {"name": "train.png", "label": "@home", "split": "train", "shot_group": "panel 7, left"},
        {"name": "x" * 200 + ".png", "label": "漢" * 80, "split": "train", "shot_group": "1"},
        {"name": "nobody.png", "label": None, "split": None, "queued": 'look: "again",\nplease'},
        {"name": "queued.png", "label": "not_a_defect", "split": "test", "queued": "drawn, 0042"},
        {"name": "same.png", "label": "multiple", "split": "train"},
        {"name": "sub/same.png", "label": "unusable", "split": "train"},
        {"name": "no split.png", "label": "'quoted'", "split": None},
        {"name": "names.png", "label": "null", "split": "train"},
    ]
    extras: list[dict[str, Any]] = [
        {"attributes": {"panel": "007", "gloss": 3.5, "count": 3, "flag": "true"}},
        {"attributes": {"panel": "1,5", "gloss": -1e-7, "note": 'say "hi",\r\nthen go; ok\t'}},
        {"attributes": {"panel": "7", "gloss": 3.0, "note": "=HYPERLINK(1)", "weird\u2028name": 1}},
        {
            "attributes": {
                "mixed": 1.5,
                "Path ": "p",
                "image": "other.jpg",
                "split ": 5.0,
                "id": "x",
            }
        },
        {"attributes": {"mixed": "n/a", "note": "'", "empty": "", "big": 2**60}},
        {"boxes": (Box("scratch", 0.1, 0.2, 20.3, 4.7), Box("oil, spot", 31.0, 23.0, 1.0, 1.0))},
        {"boxes": (Box("of boxes alone", 1 / 3, 2 / 3, 10 / 3, 7 / 3),)},
        {"boxes": (Box("scratch", 3, 3, 5, 5), Box("scratch", 3, 3, 5, 6))},
        {"crop": Crop("train/7.jpg", "a" * 64, 3, 4, 32, 24)},
        {
            "label": "dirt",
            "label_origin": "automatic",
            "decisions": (
                Decision("scratch", "automatic", "resnet50-a1", "2026-01-01T10:00:00.000Z", 0.625),
                Decision("dirt", "automatic", "resnet50-b2", "2026-01-02T10:00:00.000Z", 1 / 3),
            ),
        },
        {
            "label": "scratch",
            "label_origin": "human",
            "decisions": (
                Decision("dirt", "automatic", "resnet50-a1", "2026-01-01T10:00:00.000Z", 0.5),
                Decision("dirt", "human", "anna@example.com", "2026-01-02T10:00:00.000Z"),
                Decision("drop", "human", "Ben, „night“ shift", ""),
                Decision("scratch", "human", "anna@example.com", "2026-01-03T10:00:00.000Z"),
            ),
            "boxes": (Box("drop", 1, 2, 3, 4),),
        },
        {"label_origin": "imported"},
        {},
    ]
    for number, (quirk, extra) in enumerate(zip(quirks, extras, strict=True), start=1):
        quirk |= extra
        add(workspace, import_id, folder, number, **quirk)
    decide(workspace)


def add(workspace: Workspace, import_id: int, folder: Path, number: int, **facts: Any) -> None:
    """Put one image in, by the same door as an import."""
    file = save_image(folder / f"{number}.png", colour_of("drop", number), size=SIZE)
    location = Path("images", f"{number:03}.png")
    (workspace.path / location).write_bytes(file.read_bytes())
    new = intake.NewImage(
        source=f"/line/{facts['name']}",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        storage="copied",
        location=str(location),
        modified_ns=0,
        format="PNG",
        width=SIZE[0],
        height=SIZE[1],
        n_bytes=file.stat().st_size,
        **facts,
    )
    intake.add_images(workspace, import_id, [new])


def decide(workspace: Workspace) -> None:
    """What people do on the pages: decide, withdraw, exclude, queue, undo."""
    by_name = {image.name: image.id for image in catalog.list_images(workspace)}
    labels.relabel(workspace, [by_name["dirt/000.png"]], "drop", actor="Ada")
    labels.relabel(workspace, [by_name["dirt/000.png"], by_name["names.png"]], "dirt", actor="Ben")
    labels.relabel(workspace, [by_name["no split.png"]], None, actor="Ada")
    labels.relabel(workspace, [by_name["true.png"]], "dirt", actor="Ada")
    taken_back = labels.relabel(workspace, [by_name["true.png"]], "drop", actor="Ben")
    labels.undo(workspace, taken_back.id, actor="Ada")
    labels.set_queued(workspace, [by_name["-3.png"]], True, actor="Ada", reason="picked")
    labels.set_excluded(workspace, [by_name["same.png"]], True, actor="Ada")


def export(workspace: Workspace, target: Path, format: str) -> dict[str, Any]:
    job = do(workspace, ExportImages(format=format, target=str(target)))
    assert job.status == "succeeded", job.error
    assert job.result["missing"] == []
    return job.result


def take_in(path: Path, home: Path, *, format: str = "auto", name: str = "again") -> Workspace:
    """A fresh workspace with what the export holds; the import must succeed and refuse nothing."""
    other = create_workspace(home / name)
    job = do(other, ImportImages(source=str(path), format=format, split="keep"))
    assert job.status == "succeeded", job.error
    assert job.result["rejected"] == []
    return other


def assert_same(after: dict[str, Any], before: dict[str, Any]) -> None:
    """The states are equal; where they are not, the message names image and fact."""
    images = before["images"]
    assert [
        (image["name"], fact, after["images"].get(sha256, {}).get(fact), image[fact])
        for sha256, image in images.items()
        for fact in image
        if after["images"].get(sha256, {}).get(fact) != image[fact]
    ] == []
    assert after == before


def texts_of(folder: Path) -> dict[str, str]:
    """Tables and annotations by their path, to be the same after a second round."""
    files = [file for file in folder.rglob("*") if file.suffix in (".csv", ".json", ".xml")]
    return {str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in files}


def test_every_format_that_is_written_is_read() -> None:
    assert set(EXPORT_FORMATS) == {"folder", "csv", "parquet", "coco", "label-studio"}
    assert set(EXPORT_FORMATS) <= set(FORMATS)


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_what_is_exported_is_imported_to_the_same_state(
    format: str, rich: Workspace, tmp_path: Path, home: Path
) -> None:
    assert export(rich, tmp_path / "out", format)["n_exported"] == 14
    again = take_in(tmp_path / "out", home)
    assert_same(state_of(again), state_of(rich))
    assert upkeep.follow_changes(again) == []
    export(again, tmp_path / "second", format)
    assert texts_of(tmp_path / "second") == texts_of(tmp_path / "out")


def test_every_database_gives_the_same_state(
    workspace: Workspace, tmp_path: Path, home: Path
) -> None:
    fill_richly(workspace, tmp_path / "made")
    export(workspace, tmp_path / "out", "csv")
    assert_same(state_of(take_in(tmp_path / "out", home)), state_of(workspace))


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_an_archive_of_an_export_is_imported_to_the_same_state(
    format: str, rich: Workspace, home: Path
) -> None:
    archive = do(rich, ExportImages(format=format)).result["archive"]
    assert_same(state_of(take_in(rich.path / "exports" / archive, home)), state_of(rich))


def test_a_folder_export_read_as_plain_folders_has_its_labels_and_splits(
    rich: Workspace, tmp_path: Path, home: Path
) -> None:
    export(rich, tmp_path / "out", "folder")
    again = take_in(tmp_path / "out", home, format="folder")

    def facts(workspace: Workspace) -> dict[str, tuple[str | None, str | None]]:
        # A label that file systems do not take, or take for a hidden name, is written differently.
        found = catalog.list_images(workspace)
        return {i.sha256: (i.label, i.split) for i in found if len((i.label or "").encode()) < 120}

    assert facts(again).items() <= facts(rich).items()


def test_a_spreadsheet_shows_what_people_work_with_first(rich: Workspace, tmp_path: Path) -> None:
    export(rich, tmp_path / "out", "csv")
    with (tmp_path / "out" / "labels.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    own = [name for name in header if not name.startswith("lacquer:")]
    assert header[: len(own)] == own
    assert own[:3] == ["path", "label", "split"]
    formulas = [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]
    assert formulas == []
    assert all(float(cell) < 0 for row in rows for cell in row if cell.startswith("-"))


def test_a_label_that_was_edited_in_the_table_counts(
    rich: Workspace, tmp_path: Path, home: Path
) -> None:
    export(rich, tmp_path / "out", "csv")
    table = tmp_path / "out" / "labels.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (decided,) = [row for row in rows if row["lacquer:name"] == "dirt/000.png"]
    decided["label"] = "water"
    (noted,) = [row for row in rows if row["panel"] == "007"]
    noted["panel"] = "008"
    noted["gloss"] = ""
    with table.open("w", encoding="utf-8", newline="") as file:
        written = csv.DictWriter(file, list(rows[0]))
        written.writeheader()
        written.writerows(rows)
    again = take_in(tmp_path / "out", home)
    images = {image.name: image for image in catalog.list_images(again)}
    edited = images["dirt/000.png"]
    assert (edited.label, edited.label_origin) == ("water", "imported")
    assert edited.id not in annotations.list_decisions(again)
    assert images["Fläche/ñ 漢字 1.png"].attributes == {"panel": "008", "count": 3, "flag": "true"}
    assert upkeep.follow_changes(again) == []


# Other tools


def test_pandas_reads_both_tables_alike(rich: Workspace, tmp_path: Path) -> None:
    import pandas as pd

    export(rich, tmp_path / "csv", "csv")
    export(rich, tmp_path / "parquet", "parquet")
    text = pd.read_csv(tmp_path / "csv" / "labels.csv", keep_default_na=False)
    typed = pd.read_parquet(tmp_path / "parquet" / "labels.parquet")
    assert list(text.columns) == list(typed.columns)
    assert text["path"].tolist() == typed["path"].tolist()
    assert all((tmp_path / "parquet" / path).is_file() for path in typed["path"])
    assert typed["gloss"].dropna().tolist() == [3.5, -1e-7, 3.0]
    assert typed["lacquer:excluded"].sum() == 2


def test_coco_has_the_structure_that_other_tools_read(rich: Workspace, tmp_path: Path) -> None:
    tmp_path = tmp_path / "out"
    export(rich, tmp_path, "coco")
    files = sorted((tmp_path / "annotations").iterdir())
    assert [file.name for file in files] == [
        "instances_calibration.json",
        "instances_test.json",
        "instances_train.json",
        "instances_unassigned.json",
        "instances_validation.json",
    ]
    whole = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    categories = {entry["id"]: entry["name"] for entry in whole[0]["categories"]}
    assert list(categories)[:3] == [1, 2, 3]
    assert list(categories.values())[:4] == catalog.list_classes(rich)[:4]
    numbers = [image["id"] for part in whole for image in part["images"]]
    assert len(set(numbers)) == len(numbers) == 14
    drawn = []
    for part in whole:
        assert {entry["id"]: entry["name"] for entry in part["categories"]} == categories
        sizes = {image["id"]: (image["width"], image["height"]) for image in part["images"]}
        for image in part["images"]:
            with Image.open(tmp_path / "images" / image["file_name"]) as picture:
                assert picture.size == sizes[image["id"]]
        for entry in part["annotations"]:
            x, y, width, height = entry["bbox"]
            assert 0 <= x < x + width <= sizes[entry["image_id"]][0]
            assert 0 <= y < y + height <= sizes[entry["image_id"]][1]
            assert (entry["iscrowd"], entry["area"]) == (0, width * height)
            drawn.append(categories[entry["category_id"]])
    stored = annotations.list_boxes(rich).values()
    assert sorted(drawn) == sorted(box.label for boxes in stored for box in boxes)


def test_label_studio_gets_tasks_and_an_interface_that_knows_their_labels(
    rich: Workspace, tmp_path: Path
) -> None:
    export(rich, tmp_path / "out", "label-studio")
    tasks = json.loads((tmp_path / "out" / "label_studio.json").read_text(encoding="utf-8"))
    interface = ET.parse(tmp_path / "out" / "label_config.xml").getroot()
    tags = {tag.get("name"): tag for tag in interface if tag.get("name")}
    assert {name: tags[name].get("toName") for name in ("label", "boxes")} == {
        "label": "image",
        "boxes": "image",
    }
    allowed = {
        "choices": {choice.get("value") for choice in tags["label"]},
        "rectanglelabels": {label.get("value") for label in tags["boxes"]},
    }
    for task in tasks:
        served = task["data"]["image"]
        assert served.startswith("/data/local-files/?d=images/")
        for said in [*task["annotations"], *task["predictions"]]:
            for item in said["result"]:
                assert item["to_name"] == "image"
                assert set(item["value"][item["type"]]) <= allowed[item["type"]]
    of_name = {task["meta"]["lacquer"]["name"]: task for task in tasks}
    several = of_name["sub/same.png"]
    assert [entry["ground_truth"] for entry in several["annotations"]] == [False, True]
    assert several["annotations"][1]["completed_by"] == {"email": "anna@example.com"}
    assert several["predictions"][0]["model_version"] == "resnet50-a1"


# Runs


@pytest.fixture
def computed(rich: Workspace) -> Workspace:
    """With features, two maps and clusters, under ids that follow from no question."""
    embedding = fake_embedding(rich)
    for method in ("umap", "pca"):
        fake_projection(rich, embedding, method=method)
    fake_clustering(rich, embedding)
    return rich


def test_features_maps_and_clusters_come_back_with_their_parents(
    computed: Workspace, tmp_path: Path, home: Path
) -> None:
    (clustering,) = runs.list_runs(computed, "clustering")
    name_cluster(computed, clustering.id, 0, "long scratches")
    assert export(computed, tmp_path / "out", "parquet")["n_runs"] == 4
    again = take_in(tmp_path / "out", home)
    (restored,) = runs.list_runs(again, "clustering")
    assert cluster_names(again, restored.id) == {0: "long scratches"}
    assert runs_of(again) == runs_of(computed)
    assert_same(state_of(again), state_of(computed))
    for run in runs.list_runs(again):
        assert run.parent_id is None or runs.find_run(again, run.parent_id)
    twice = do(again, ImportImages(source=str(tmp_path / "out"), split="keep")).result
    assert (twice["n_imported"], len(runs.list_runs(again))) == (0, 4)
    name_cluster(again, restored.id, 0, "renamed here")
    do(again, ImportImages(source=str(tmp_path / "out"), split="keep"))
    assert cluster_names(again, restored.id) == {0: "renamed here"}


class Colours:
    """Features in place of a network's: the mean colour of each image."""

    preprocessing = Preprocessing(8, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear")
    n_features, device, dtype, cosine, settled = 1280, "cpu", "float32", None, False

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        features = np.zeros((len(pixels), self.n_features), np.float32)
        features[:, :3] = pixels.mean(axis=(1, 2))
        return features


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = ResolvedWeights(
        "mobilenet_v2", "mobilenet_v2", "file", Path("fake.pth"), sha256="f" * 64
    )
    monkeypatch.setattr("core.latent.weights.resolve_weights", lambda *_, **__: weights)
    monkeypatch.setattr("core.latent.embedding.load_extractor", lambda *_, **__: Colours())
    monkeypatch.setattr("core.latent.backbones.load_preprocessing", lambda _: Colours.preprocessing)


@pytest.mark.usefixtures("no_network")
def test_what_was_restored_is_not_computed_again(tmp_path: Path, home: Path) -> None:
    first = create_workspace(home / "first")
    import_folder(first, write_images(tmp_path / "line", n_per_class=2))
    computed = compute(first)
    export(first, tmp_path / "out", "parquet")
    again = take_in(tmp_path / "out", home)
    assert {run.id for run in runs.list_runs(again)} == set(computed)
    assert compute(again) == computed
    assert do(again, EmbedImages("mobilenet_v2")).result["n_reused"] == 6
    assert len(runs.list_runs(again)) == 4


def compute(workspace: Workspace) -> list[str]:
    """Features, a map, and clusters of both, by the real steps; their ids."""
    embedding = do(workspace, EmbedImages("mobilenet_v2")).result["run"]
    projection = do(workspace, ProjectEmbedding(embedding, "pca")).result["run"]
    clusters = do(workspace, ClusterImages(embedding, parameters=(("n_clusters", 2),))).result[
        "run"
    ]
    swept = do(workspace, ClusterImages(projection, sweep=True, largest=3)).result["run"]
    return [embedding, projection, clusters, swept]


def test_features_of_images_that_are_here_come_back_and_their_map_does_not(
    computed: Workspace, tmp_path: Path, home: Path
) -> None:
    export(computed, tmp_path / "out", "parquet")
    next((tmp_path / "out" / "images").glob("000003-*")).unlink()
    other = create_workspace(home / "other")
    job = do(other, ImportImages(source=str(tmp_path / "out"), split="keep"))
    (run,) = runs.list_runs(other)
    assert (run.kind, run.n_images) == ("embedding", 13)
    ids = runs.load_array(other, run, "image_ids").tolist()
    assert ids == catalog.image_ids(other).tolist()
    whole = runs_of(computed)
    rows = next(each[5] for each in whole if each[0] == "embedding")
    assert {sha: rows[sha] for sha in state_of(other)["images"]} == runs_of(other)[0][5]
    left_out = [each for each in job.result["rejected"] if not each["path"].startswith("images/")]
    assert len(left_out) == 3
    assert all("1 of its images are not in" in each["reason"] for each in left_out)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "projection"}, "no embedding"),
        ({"result": {"n_features": 4}}, "weights"),
        ({"config": []}, "what was asked"),
        ({"id": 7}, "no short text"),
        ({"result": {"n_features": 5, "weights": "as they were"}}, "5 features"),
        ({"result": {"n_features": 4, "weights": {"backbone": "lenet"}}}, "its asked"),
    ],
)
def test_a_run_that_pages_could_not_show_is_left_out_with_its_reason(
    change: dict[str, Any], reason: str, computed: Workspace, tmp_path: Path, home: Path
) -> None:
    import pyarrow.parquet as pq

    export(computed, tmp_path / "out", "parquet")
    (file,) = (tmp_path / "out" / "embeddings").iterdir()
    table = pq.read_table(file)
    said = json.loads(table.schema.metadata[b"lacquer"])
    if change.get("result", {}).get("weights") == "as they were":
        change["result"]["weights"] = said["result"]["weights"]
    changed = json.dumps({**said, **change}).encode()
    pq.write_table(table.replace_schema_metadata({b"lacquer": changed}), file)
    other = create_workspace(home / "other")
    job = do(other, ImportImages(source=str(tmp_path / "out"), split="keep"))
    assert job.status == "succeeded"
    assert (job.result["n_imported"], runs.list_runs(other)) == (14, [])
    assert reason in job.result["rejected"][0]["reason"]
    assert not list(other.folder("embeddings").iterdir())


@pytest.mark.parametrize("eps", [0.05, 1e-6])
def test_noise_comes_back_as_noise_also_where_there_is_nothing_else(
    eps: float, computed: Workspace, tmp_path: Path, home: Path
) -> None:
    (embedding,) = runs.list_runs(computed, "embedding")
    parameters = (("eps", eps), ("min_samples", 2), ("metric", "euclidean"))
    result = do(computed, ClusterImages(embedding.id, "dbscan", parameters)).result
    assert result["n_noise"] > 0
    assert do(computed, AnalyseSpace(embedding.id)).status == "succeeded"
    export(computed, tmp_path / "out", "parquet")
    again = take_in(tmp_path / "out", home)
    clusters = {}
    for workspace in (computed, again):
        (run,) = [r for r in runs.list_runs(workspace, "clustering") if "eps" in r.config]
        ids = runs.load_array(workspace, run, "image_ids")
        shas = {image.id: image.sha256 for image in catalog.list_images(workspace)}
        labels = runs.load_array(workspace, run, "labels").tolist()
        clusters[workspace] = dict(zip((shas[id] for id in ids.tolist()), labels, strict=True))
        is_far = np.isnan(runs.load_array(workspace, run, "distances"))
        np.testing.assert_array_equal(is_far, np.array(labels) < 0)
    assert clusters[again] == clusters[computed]
    assert {"examples", "k_distances"}.isdisjoint(run.result)
    assert {run.kind for run in runs.list_runs(again)} == {"embedding", "projection", "clustering"}


def test_other_tools_read_a_runs_table_with_one_line(computed: Workspace, tmp_path: Path) -> None:
    import pandas as pd

    export(computed, tmp_path / "out", "parquet")
    (embedding,) = runs.list_runs(computed, "embedding")
    features = pd.read_parquet(tmp_path / "out" / "embeddings" / f"{embedding.id}.parquet")
    vectors = runs.load_array(computed, embedding, "vectors")
    np.testing.assert_array_equal(np.stack(features["embedding"]), vectors)
    labels_table = pd.read_parquet(tmp_path / "out" / "labels.parquet")
    assert labels_table.merge(features, on="path").shape[0] == 14


# Interruptions


def test_a_file_that_is_missing_is_listed_and_the_rest_is_written(
    rich: Workspace, tmp_path: Path, home: Path
) -> None:
    lost = catalog.list_images(rich, sort="oldest")[3]
    catalog.image_path(rich, lost).unlink()
    result = do(rich, ExportImages(format="coco", target=str(tmp_path / "out"))).result
    assert [each["path"] for each in result["missing"]] == [lost.name]
    assert catalog.count_images(take_in(tmp_path / "out", home)) == result["n_exported"] == 13


def test_a_cancelled_export_leaves_no_archive(
    rich: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Cancelled

    monkeypatch.setattr("core.jobs.steps.export_images._pack", stop)
    assert do(rich, ExportImages(format="csv")).status == "cancelled"
    assert not list(rich.folder("exports").iterdir())
    monkeypatch.undo()
    assert do(rich, ExportImages(format="csv")).result["n_exported"] == 14


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_an_empty_workspace_is_exported(format: str, tmp_path: Path, home: Path) -> None:
    empty = create_workspace(home / "empty")
    assert export(empty, tmp_path / "out", format)["n_exported"] == 0
