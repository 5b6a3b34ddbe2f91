"""What each kind of job leaves in the workspace, also when it is stopped half way."""

import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import Cancelled
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


def test_a_generated_data_set_has_splits_and_says_what_it_is(workspace: Workspace) -> None:
    result = do(workspace, GenerateImages(n_images=6, seed=3)).result
    assert result["n_imported"] == 6
    assert {i.attributes["origin"] for i in catalog.list_images(workspace)} == {"synthetic"}
    again = do(workspace, GenerateImages(n_images=6, seed=3)).result
    assert counts(again) == (0, 0, 6, 0)


def test_a_line_brings_images_to_calibrate_by_and_others_without_a_label(
    workspace: Workspace,
) -> None:
    assert do(workspace, GenerateImages(n_images=6, seed=3)).status == "succeeded"
    result = do(workspace, GenerateImages(n_images=6, seed=3, of_line=True)).result
    assert result["n_imported"] == 6
    known = catalog.list_images(workspace, ImageFilter(splits=("calibration",)))
    assert len(known) == 3
    assert all(image.label for image in known)
    unknown = catalog.list_images(workspace, ImageFilter(labels=(None,)))
    assert {image.name for image in unknown} == {f"line_{n:04d}.jpg" for n in range(1, 4)}
    assert all(image.split is None for image in unknown)


def test_beside_real_images_generated_ones_join_the_training_split_alone(
    workspace: Workspace, folder: Path
) -> None:
    import_folder(workspace, folder)
    refused = do(workspace, GenerateImages(n_images=2))
    assert refused.status == "failed"
    assert refused.error["title"] == "This workspace holds real images."
    assert do(workspace, GenerateImages(n_images=2, of_line=True)).error == refused.error
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


def test_features_averaged_over_flips_are_kept_apart_from_the_others(
    workspace: Workspace, folder: Path, extractor: FakeExtractor
) -> None:
    import_folder(workspace, folder)
    first = do(workspace, EmbedImages(BACKBONE)).result
    averaged = do(workspace, EmbedImages(BACKBONE, average_flips=True)).result
    assert averaged["run"] != first["run"]
    assert (averaged["n_embedded"], averaged["n_reused"]) == (6, 0)
    assert do(workspace, EmbedImages(BACKBONE, average_flips=True)).result["n_embedded"] == 0
    assert "average_flips" not in runs.get_run(workspace, first["run"]).config


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
        ClusterImages("embedding-", parameters=(("n_clusters", 1000),)),
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
    job = do(workspace, ClusterImages(embedded.id, parameters=(("n_clusters", 3),)))
    assert job.result["ari"] == 1.0
    assert sorted(job.result["sizes"]) == [8, 8, 8]
    run = runs.get_run(workspace, job.result["run"])
    assert run.parent_id == embedded.id
    assert len(runs.load_array(workspace, run, "labels")) == 24


def test_a_sweep_finds_their_number_and_agreement_follows_the_labels(
    workspace: Workspace, embedded: runs.Run
) -> None:
    swept = do(workspace, ClusterImages(embedded.id, sweep=True, largest=5)).result
    assert swept["n_clusters"] == 3
    assert [row["k"] for row in swept["sweep"]["rows"]] == [2, 3, 4, 5]
    ids = catalog.image_ids(workspace, ImageFilter(labels=("dirt",)))
    labels.relabel(workspace, ids, "drop", actor="Ada")
    again = do(workspace, ClusterImages(embedded.id, sweep=True, largest=5)).result
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
        images = [name for name in archive.namelist() if name.endswith(".png")]
    assert len(images) == job.result["n_exported"] == 5
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
