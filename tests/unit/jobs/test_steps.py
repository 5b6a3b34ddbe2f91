"""What each kind of job leaves in the workspace, also when it is stopped half way."""

import hashlib
import json
import os
import signal
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled
from core.images.thumbnails import ThumbnailStore
from core.jobs import queue
from core.jobs.configs import (
    CheckFiles,
    ClusterImages,
    EmbedImages,
    ExportImages,
    GenerateImages,
    ImportImages,
    ProjectEmbedding,
)
from core.jobs.steps import embed_images
from core.jobs.worker import run_job
from core.latent.backbones import Preprocessing
from core.latent.weights import ResolvedWeights
from core.state import catalog, job_rows, labels, runs
from core.state.catalog import ImageFilter
from core.state.workspace import Workspace, create_workspace
from tests.samples import do, fake_embedding, import_folder, save_image, write_images
from tests.unit.jobs.conftest import wait_for, wait_until

BACKBONE, N_FEATURES = "mobilenet_v2", 1280


class FakeExtractor:
    """Features that tell which image they are of: its mean colour, and zeros."""

    preprocessing = Preprocessing(
        size_px=8, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear"
    )
    n_features = N_FEATURES
    device, dtype, cosine = "cpu", "float32", None
    settled = False  # every batch stays in the calling thread, in order

    def __init__(self) -> None:
        self.n_seen = 0
        self.before_batch: Callable[[int], None] = lambda n_seen: None

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.before_batch(self.n_seen)
        self.n_seen += len(pixels)
        features = np.zeros((len(pixels), N_FEATURES), np.float32)
        features[:, :3] = pixels.mean(axis=(1, 2))
        return features


@pytest.fixture
def extractor(monkeypatch: pytest.MonkeyPatch) -> FakeExtractor:
    """What every embedding uses instead of a network."""
    fake = FakeExtractor()
    weights = ResolvedWeights(BACKBONE, BACKBONE, "file", Path("fake.pth"), sha256="f" * 64)
    monkeypatch.setattr("core.latent.weights.resolve_weights", lambda *_, **__: weights)
    monkeypatch.setattr("core.latent.embedding.load_extractor", lambda *_, **__: fake)
    monkeypatch.setattr("core.latent.backbones.load_preprocessing", lambda _: fake.preprocessing)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in each of three classes."""
    return write_images(tmp_path / "line", n_per_class=2)


def counts(result: dict) -> tuple[int, int, int, int]:
    """(imported, duplicates, known, refused)."""
    return (
        result["n_imported"],
        result["n_duplicates"],
        result["n_known"],
        len(result["rejected"]),
    )


def by_name(workspace: Workspace) -> dict[str, catalog.Image]:
    return {image.name: image for image in catalog.list_images(workspace)}


# Import


def test_an_import_takes_in_pictures_labels_and_facts(workspace: Workspace, folder: Path) -> None:
    result = import_folder(workspace, folder).result
    assert counts(result) == (6, 0, 0, 0)
    assert result["classes"] == {"dirt": 2, "drop": 2, "scratch": 2}
    assert sum(result["splits"].values()) == 6
    thumbnails = ThumbnailStore(workspace.path / "thumbnails.db")
    for name, image in by_name(workspace).items():
        assert name.startswith(f"{image.label}/")
        assert image.label_origin == "imported"
        file = catalog.image_path(workspace, image)
        assert file.read_bytes() == (folder / name).read_bytes()
        assert image.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert thumbnails.get(image.sha256)
    ids, quality = catalog.quality_table(workspace)
    assert len(ids) == 6
    assert (quality["brightness"] > 0).all()
    assert not list((workspace.path / "images").glob(".incoming*"))


def test_importing_again_takes_in_only_what_is_new(workspace: Workspace, folder: Path) -> None:
    import_folder(workspace, folder)
    assert counts(import_folder(workspace, folder).result) == (0, 0, 6, 0)
    save_image(folder / "drop" / "new.png", (9, 9, 9))
    save_image(folder / "drop" / "000.png", (8, 8, 8))  # other content under a known path
    assert counts(import_folder(workspace, folder).result) == (2, 0, 5, 0)
    assert catalog.count_images(workspace) == 8


def test_a_content_that_comes_twice_is_one_image_with_its_first_label(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    copy = folder / "scratch" / "copy.png"
    copy.write_bytes((folder / "dirt" / "000.png").read_bytes())
    assert counts(import_folder(workspace, folder).result) == (6, 1, 0, 0)
    again = tmp_path / "again" / "drop" / "other.png"
    again.parent.mkdir(parents=True)
    again.write_bytes(copy.read_bytes())
    assert counts(import_folder(workspace, tmp_path / "again").result) == (0, 1, 0, 0)
    image = by_name(workspace)["dirt/000.png"]
    assert (image.label, image.label_origin) == ("dirt", "imported")
    assert catalog.list_duplicates(workspace) == [
        (image.id, (f"{folder}/dirt/000.png", f"{folder}/scratch/copy.png", str(again)))
    ]


def test_one_bad_file_is_listed_and_stops_nothing(workspace: Workspace, folder: Path) -> None:
    (folder / "dirt" / "empty.png").touch()
    (folder / "dirt" / "text.png").write_text("no image")
    cut = folder / "dirt" / "cut.png"
    cut.write_bytes((folder / "dirt" / "000.png").read_bytes()[:60])
    (folder / "dirt" / "out.png").symlink_to("/etc/hostname")
    result = import_folder(workspace, folder).result
    assert counts(result) == (6, 0, 0, 4)
    refused = dict(catalog.list_rejections(workspace, result["import_id"]))
    assert set(refused) == {f"dirt/{name}.png" for name in ("empty", "text", "cut", "out")}
    assert all(refused.values())
    assert catalog.list_imports(workspace)[0].n_rejected == 4


def test_an_empty_folder_is_an_import_of_nothing(workspace: Workspace, tmp_path: Path) -> None:
    assert counts(import_folder(workspace, tmp_path).result) == (0, 0, 0, 0)


def test_a_source_that_is_not_there_is_told(workspace: Workspace, tmp_path: Path) -> None:
    job = do(workspace, ImportImages(source=str(tmp_path / "nowhere")))
    assert job.status == "failed"
    assert "nowhere" in job.error["title"]


def test_a_table_brings_labels_splits_and_attributes(workspace: Workspace, folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "path,label,split,line,mm\n"
        "dirt/000.png,crater,train,A,1.5\n"
        "drop/000.png,,test,,2\n"
        "missing.png,dirt,train,A,3\n"
    )
    result = import_folder(workspace, folder).result
    assert counts(result) == (2, 0, 0, 1)
    images = by_name(workspace)
    crater, bare = images["dirt/000.png"], images["drop/000.png"]
    assert (crater.label, crater.split) == ("crater", "train")
    assert crater.attributes == {"line": "A", "mm": 1.5}
    assert (bare.label, bare.split, bare.attributes) == (None, "test", {"mm": 2.0})
    assert catalog.list_attributes(workspace) == {"line": "text", "mm": "number"}


@pytest.mark.parametrize(
    ("rule", "train", "elsewhere"),
    [
        ("keep", {"train"}, {None}),
        ("auto", {"train"}, {"train", "validation", "calibration", "test"}),
        ("0/0/0/1", {"test"}, {"test"}),
    ],
)
def test_the_rule_for_splits_is_kept(
    rule: str, train: set, elsewhere: set, workspace: Workspace, tmp_path: Path
) -> None:
    write_images(tmp_path / "line" / "train", n_per_class=4)
    for number in range(20):
        save_image(tmp_path / "line" / "crater" / f"{number}.png", (number, 200, 200))
    import_folder(workspace, tmp_path / "line", split=rule)
    found: dict[str, set] = {"train": set(), "crater": set()}
    for name, image in by_name(workspace).items():
        found[name.partition("/")[0]].add(image.split)
    assert found == {"train": train, "crater": elsewhere}


def test_a_rule_that_is_none_is_refused_before_anything_is_imported(
    workspace: Workspace, folder: Path
) -> None:
    job = do(workspace, ImportImages(source=str(folder), split="half/half"))
    assert job.status == "failed"
    assert catalog.count_images(workspace) == 0


def test_referenced_files_stay_where_they_are(workspace: Workspace, folder: Path) -> None:
    result = do(workspace, ImportImages(source=str(folder), reference=True)).result
    assert counts(result) == (6, 0, 0, 0)
    image = by_name(workspace)["dirt/000.png"]
    assert catalog.image_path(workspace, image) == folder / "dirt" / "000.png"
    assert not list((workspace.path / "images").rglob("*.png"))


def test_a_zip_is_imported_like_the_folder_in_it_and_the_upload_deleted(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    upload = tmp_path / "0815.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, Path("panels", file.relative_to(folder)))
        archive.writestr("../escaped.png", b"x")
        archive.writestr("panels/dirt/text.png", b"no image")
    config = ImportImages(source=str(upload), shown_as="panels.zip", is_upload=True)
    job = do(workspace, config)
    assert counts(job.result) == (6, 0, 0, 2)
    assert set(by_name(workspace)) == {
        file.relative_to(folder).as_posix() for file in folder.rglob("*.png")
    }
    assert catalog.list_imports(workspace)[0].source == "panels.zip"
    assert not upload.exists()
    assert not (queue.job_folder(workspace, job.id) / "unpacked").exists()
    assert not list(tmp_path.rglob("escaped.png"))


def test_an_archive_cannot_be_left_in_place_and_is_kept_for_another_try(
    workspace: Workspace, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    config = ImportImages(source=str(tmp_path / "a.zip"), reference=True, is_upload=True)
    assert do(workspace, config).status == "failed"
    assert (tmp_path / "a.zip").exists()


def test_an_import_whose_worker_is_killed_goes_on_and_counts_each_image_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_images(tmp_path / "line", n_per_class=600, classes=["drop"])
    for number in range(600):
        save_image(tmp_path / "line" / "dirt" / f"{number}.png", (number // 256, 0, number % 256))
    twin = tmp_path / "line" / "drop" / "twin.png"
    twin.write_bytes((tmp_path / "line" / "dirt" / "0.png").read_bytes())
    (tmp_path / "line" / "dirt" / "0-bad.png").write_text("no image")
    job = queue.submit(workspace, ImportImages(source=str(tmp_path / "line")), actor="Ada")
    wait_until(lambda: catalog.count_images(workspace) > 0)
    os.kill(job_rows.get_job(workspace, job.id).pid, signal.SIGKILL)
    n_before = catalog.count_images(workspace)
    assert n_before < 1200
    job = wait_for(workspace, job, "succeeded")
    assert job.attempts == 2
    assert counts(job.result) == (1200, 1, 0, 1)
    done = catalog.list_imports(workspace)
    assert len(done) == 1
    assert (done[0].n_imported, done[0].n_duplicates) == (1200, 1)
    assert (done[0].n_known, done[0].n_rejected) == (0, 1)
    assert catalog.count_images(workspace) == 1200
    assert catalog.count_images(workspace, ImageFilter(splits=(None,))) == 0
    assert len(ThumbnailStore(workspace.path / "thumbnails.db")) == 1200


# Generate


def test_a_generated_data_set_has_splits_and_says_what_it_is(workspace: Workspace) -> None:
    result = do(workspace, GenerateImages(n_images=6, seed=3)).result
    assert result["n_imported"] == 6
    assert {i.attributes["origin"] for i in catalog.list_images(workspace)} == {"synthetic"}
    again = do(workspace, GenerateImages(n_images=6, seed=3)).result
    assert counts(again) == (0, 0, 6, 0)


def test_beside_real_images_generated_ones_join_the_training_split_alone(
    workspace: Workspace, folder: Path
) -> None:
    import_folder(workspace, folder)
    refused = do(workspace, GenerateImages(n_images=2))
    assert refused.status == "failed"
    assert refused.error["title"] == "This workspace holds real images."
    assert catalog.count_images(workspace) == 6
    done = do(workspace, GenerateImages(n_images=2, training_only=True))
    assert done.status == "succeeded"
    synthetic = ImageFilter(attributes=(("origin", "synthetic"),))
    assert [image.split for image in catalog.list_images(workspace, synthetic)] == ["train"] * 2
    assert not (queue.job_folder(workspace, done.id) / "generated").exists()


# Embed


def test_each_image_has_the_features_of_its_own_file(
    workspace: Workspace, folder: Path, extractor: FakeExtractor
) -> None:
    import_folder(workspace, folder)
    result = do(workspace, EmbedImages(BACKBONE)).result
    assert (result["n_images"], result["n_embedded"], result["n_reused"]) == (6, 6, 0)
    assert result["n_features"] == N_FEATURES
    assert result["weights"]["source"] == "file"
    assert_features_match(workspace, result["run"])


def test_what_was_embedded_before_is_reused(
    workspace: Workspace, folder: Path, extractor: FakeExtractor
) -> None:
    import_folder(workspace, folder)
    first = do(workspace, EmbedImages(BACKBONE)).result
    again = do(workspace, EmbedImages(BACKBONE)).result
    assert (again["run"], extractor.n_seen) == (first["run"], 6)
    save_image(folder / "drop" / "new.png", (200, 10, 90))
    import_folder(workspace, folder)
    grown = do(workspace, EmbedImages(BACKBONE)).result
    assert (grown["n_images"], grown["n_embedded"], grown["n_reused"]) == (7, 1, 6)
    assert grown["run"] != first["run"]
    assert extractor.n_seen == 7
    assert_features_match(workspace, grown["run"])


def test_a_cancelled_embedding_keeps_its_chunks_for_the_next(
    workspace: Workspace, tmp_path: Path, extractor: FakeExtractor
) -> None:
    import_folder(workspace, write_images(tmp_path / "line", n_per_class=200))

    def cancel_late(n_seen: int) -> None:
        if n_seen >= 544:
            raise Cancelled

    extractor.before_batch = cancel_late
    job = do(workspace, EmbedImages(BACKBONE))
    assert job.status == "cancelled"
    assert runs.list_runs(workspace, "embedding") == []
    extractor.before_batch = lambda n_seen: None
    job_rows.requeue(workspace, job.id)
    result = run_job(workspace, job.id).result
    assert (result["n_images"], result["n_reused"]) == (600, 512)
    assert_features_match(workspace, result["run"])
    assert not list((workspace.path / "embeddings").glob(".partial*"))


def test_an_embedding_killed_between_its_files_and_its_row_is_stored_by_the_next(
    workspace: Workspace, folder: Path, extractor: FakeExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_folder(workspace, folder)
    with monkeypatch.context() as dying:
        dying.setattr(embed_images.runs, "add_run", lambda *_, **__: 1 / 0)
        assert do(workspace, EmbedImages(BACKBONE)).status == "failed"
    assert len(list((workspace.path / "embeddings").glob("embedding-*"))) == 1
    assert runs.list_runs(workspace, "embedding") == []
    result = do(workspace, EmbedImages(BACKBONE)).result
    assert (result["n_embedded"], result["n_reused"], extractor.n_seen) == (0, 6, 6)
    assert_features_match(workspace, result["run"])


def test_an_image_that_cannot_be_read_any_more_is_listed_and_left_out(
    workspace: Workspace, folder: Path, extractor: FakeExtractor
) -> None:
    import_folder(workspace, folder)
    broken = by_name(workspace)["drop/001.png"]
    file = catalog.image_path(workspace, broken)
    file.write_bytes(b"x" * file.stat().st_size)
    result = do(workspace, EmbedImages(BACKBONE)).result
    assert [failed["image"] for failed in result["failed"]] == [broken.id]
    assert result["n_images"] == 5
    assert_features_match(workspace, result["run"])


def test_referenced_files_that_changed_or_went_are_left_out(
    workspace: Workspace, folder: Path, extractor: FakeExtractor
) -> None:
    do(workspace, ImportImages(source=str(folder), reference=True))
    (folder / "dirt" / "000.png").unlink()
    save_image(folder / "drop" / "000.png", (1, 2, 3), size=(9, 9))
    result = do(workspace, EmbedImages(BACKBONE)).result
    assert result["n_images"] == 4
    conditions = {name: image.condition for name, image in by_name(workspace).items()}
    assert conditions["dirt/000.png"] == "missing"
    assert conditions["drop/000.png"] == "changed"


def test_without_images_there_is_nothing_to_embed(
    workspace: Workspace, extractor: FakeExtractor
) -> None:
    job = do(workspace, EmbedImages(BACKBONE))
    assert (job.status, job.error["title"]) == ("failed", "There are no images to embed.")


# Project and cluster


@pytest.fixture
def embedded(workspace: Workspace, tmp_path: Path) -> runs.Run:
    """Features of 24 images in three colours."""
    import_folder(workspace, write_images(tmp_path / "line"))
    return fake_embedding(workspace)


def test_a_projection_places_every_image_and_is_made_once(
    workspace: Workspace, embedded: runs.Run
) -> None:
    job = do(workspace, ProjectEmbedding(embedded.id, "pca", seed=1))
    run = runs.get_run(workspace, job.result["run"])
    assert run.parent_id == embedded.id
    assert runs.load_array(workspace, run, "coordinates").shape == (24, 2)
    ids = runs.load_array(workspace, run, "image_ids")
    np.testing.assert_array_equal(ids, runs.load_array(workspace, embedded, "image_ids"))
    again = do(workspace, ProjectEmbedding(embedded.id, "pca", seed=1))
    assert again.result["run"] == run.id
    assert len(runs.list_runs(workspace, "projection")) == 1


@pytest.mark.parametrize(
    "config",
    [
        ProjectEmbedding("embedding-nowhere", "pca"),
        ProjectEmbedding("embedding-", "nonsense"),
        ProjectEmbedding("embedding-", "umap", (("n_neighbors", -1),)),
        ClusterImages("embedding-nowhere"),
        ClusterImages("embedding-", method="nonsense"),
        ClusterImages("embedding-", n_clusters=1000),
    ],
)
def test_a_question_that_makes_no_sense_fails_with_words(
    config: ProjectEmbedding | ClusterImages, workspace: Workspace, embedded: runs.Run
) -> None:
    job = do(workspace, config)
    assert job.status == "failed"
    assert job.error["title"]
    assert len(runs.list_runs(workspace)) == 1


def test_clusters_of_three_colours_are_the_classes(
    workspace: Workspace, embedded: runs.Run
) -> None:
    job = do(workspace, ClusterImages(embedded.id, n_clusters=3))
    assert job.result["ari"] == 1.0
    assert sorted(job.result["sizes"]) == [8, 8, 8]
    run = runs.get_run(workspace, job.result["run"])
    assert run.parent_id == embedded.id
    assert len(runs.load_array(workspace, run, "labels")) == 24


def test_a_sweep_finds_their_number_and_agreement_follows_the_labels(
    workspace: Workspace, embedded: runs.Run
) -> None:
    swept = do(workspace, ClusterImages(embedded.id, largest=5)).result
    assert swept["n_clusters"] == 3
    assert [row["k"] for row in swept["sweep"]["rows"]] == [2, 3, 4, 5]
    ids = catalog.image_ids(workspace, ImageFilter(labels=("dirt",)))
    labels.relabel(workspace, ids, "drop", actor="Ada")
    again = do(workspace, ClusterImages(embedded.id, largest=5)).result
    assert again["run"] == swept["run"]
    assert again["ari"] < swept["ari"] == 1.0


# Check and export


def test_a_check_counts_the_files_by_condition(workspace: Workspace, folder: Path) -> None:
    do(workspace, ImportImages(source=str(folder), reference=True))
    (folder / "dirt" / "000.png").unlink()
    save_image(folder / "drop" / "000.png", (1, 2, 3), size=(9, 9))
    result = do(workspace, CheckFiles()).result
    assert result == {"n_updated": 2, "ok": 4, "missing": 1, "changed": 1}
    save_image(folder / "dirt" / "000.png", (1, 2, 3))
    assert do(workspace, CheckFiles()).result["missing"] == 0


@pytest.mark.parametrize("format", ["folder", "csv"])
def test_what_is_exported_can_be_imported_again(
    format: str, workspace: Workspace, folder: Path, tmp_path: Path, home: Path
) -> None:
    (folder / "labels.csv").write_text(
        "path,label,split,line\n"
        "dirt/000.png,dirt,train,A\n"
        "dirt/001.png,Fläche & Rand,validation,\n"
        "drop/000.png,,test,B\n"
        "drop/001.png,drop,,\n"
        "scratch/000.png,,,\n"
    )
    import_folder(workspace, folder, split="keep")
    labels.relabel(workspace, [by_name(workspace)["dirt/000.png"].id], "scratch", actor="Ada")
    target = tmp_path / "out"
    result = do(workspace, ExportImages(format=format, target=str(target))).result
    assert (result["n_exported"], result["missing"]) == (5, [])
    other = create_workspace(home / "other")
    import_folder(other, target, split="keep")

    def facts(of: Workspace) -> dict:
        return {i.sha256: (i.label, i.split) for i in catalog.list_images(of)}

    assert facts(other) == facts(workspace)
    if format == "csv":
        lines = {i.sha256: i.attributes.get("line") for i in catalog.list_images(other)}
        assert lines == {i.sha256: i.attributes.get("line") for i in catalog.list_images(workspace)}


def test_a_parquet_table_has_the_same_rows(
    workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    import pandas as pd

    import_folder(workspace, folder)
    do(workspace, ExportImages(format="parquet", target=str(tmp_path / "out")))
    table = pd.read_parquet(tmp_path / "out" / "labels.parquet")
    assert Counter(table["label"]) == {"dirt": 2, "drop": 2, "scratch": 2}
    assert all((tmp_path / "out" / path).is_file() for path in table["path"])


def test_an_archive_holds_every_image_and_nothing_is_left_beside_it(
    workspace: Workspace, folder: Path
) -> None:
    import_folder(workspace, folder)
    catalog.image_path(workspace, by_name(workspace)["dirt/000.png"]).unlink()
    job = do(workspace, ExportImages())
    assert [lost["path"] for lost in job.result["missing"]] == ["dirt/000.png"]
    with zipfile.ZipFile(workspace.path / "exports" / job.result["archive"]) as archive:
        assert len(archive.namelist()) == job.result["n_exported"] == 5
    assert [file.name for file in (workspace.path / "exports").iterdir()] == [job.result["archive"]]
    assert not (queue.job_folder(workspace, job.id) / "export").exists()


def test_an_export_overwrites_nothing(workspace: Workspace, folder: Path) -> None:
    import_folder(workspace, folder)
    job = do(workspace, ExportImages(target=str(folder)))
    assert job.status == "failed"
    assert "not empty" in job.error["title"]


@pytest.mark.parametrize("label", ["..up", "a:b", "CON:", "x" * 80])
def test_a_label_cannot_lead_an_export_elsewhere(
    label: str, workspace: Workspace, folder: Path, tmp_path: Path
) -> None:
    import_folder(workspace, folder)
    labels.relabel(workspace, catalog.image_ids(workspace).tolist(), label, actor="Ada")
    target = tmp_path / "below" / "out"
    assert do(workspace, ExportImages(target=str(target))).result["n_exported"] == 6
    assert len(list(target.rglob("*.png"))) == 6
    assert {path.name for path in (tmp_path / "below").iterdir()} == {"out"}


def test_results_are_json(workspace: Workspace, folder: Path) -> None:
    results = [import_folder(workspace, folder).result, do(workspace, CheckFiles()).result]
    assert all(json.loads(json.dumps(result)) == result for result in results)


def assert_features_match(workspace: Workspace, run_id: str) -> None:
    """Row i of the vectors is the colour of image `image_ids[i]`."""
    from PIL import Image

    run = runs.get_run(workspace, run_id)
    ids = runs.load_array(workspace, run, "image_ids")
    vectors = runs.load_array(workspace, run, "vectors")
    assert (np.diff(ids) > 0).all()
    for image_id, vector in list(zip(ids.tolist(), vectors, strict=True))[
        :: max(1, len(ids) // 20)
    ]:
        file = catalog.image_path(workspace, catalog.get_image(workspace, image_id))
        with Image.open(file) as picture:
            np.testing.assert_allclose(vector[:3], picture.convert("RGB").getpixel((0, 0)), atol=1)
