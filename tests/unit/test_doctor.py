"""The doctor: what it finds, what it mends, and what it leaves alone."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.doctor import Finding, examine
from core.images.thumbnails import ThumbnailStore
from core.jobs import queue, worker
from core.jobs.configs import (
    AnalyseSpace,
    CheckFiles,
    ClusterImages,
    ImportImages,
    MeasureKDistances,
    MeasureStability,
)
from core.settings import load_settings
from core.state import catalog, job_rows, labels, models, runs
from core.state.catalog import ImageFilter
from core.state.database import writing
from core.state.job_rows import Owner
from core.state.schema import images
from core.state.workspace import Workspace, create_workspace
from tests.blobs import add_blobs
from tests.samples import do

DEAD_PID = 2**22 + 1  # above the greatest pid of Linux


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images of one class."""
    (tmp_path / "photos" / "dirt").mkdir(parents=True)
    for number in range(2):
        picture = Image.new("RGB", (16, 16), (100 * number, 50, 50))
        picture.save(tmp_path / "photos" / "dirt" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def filled(workspace: Workspace, photos: Path) -> Workspace:
    """A workspace with these two images, ids 1 and 2."""
    config = ImportImages(source=str(photos))
    worker.run_job(workspace, queue.submit(workspace, config, actor="Ada", start=False).id)
    return workspace


def look(workspace: Workspace, *, thorough: bool = False) -> list[Finding]:
    return examine(workspace, load_settings(), thorough=thorough)


def file_of(workspace: Workspace, image_id: int) -> Path:
    return catalog.image_path(workspace, catalog.get_image(workspace, image_id))


def add_run(workspace: Workspace, kind: str, parent: str | None = None) -> str:
    run_id = runs.run_id(kind, {"parent": parent})
    values = np.zeros((2, 2), np.float32)
    names = {"embedding": ["vectors"], "projection": ["coordinates"]}[kind]
    with runs.new_artefact(workspace, kind, run_id) as folder:
        for name in [*names, "image_ids"]:
            np.save(folder / f"{name}.npy", values)
    runs.add_run(
        workspace,
        id=run_id,
        kind=kind,
        parent_id=parent,
        config={},
        result={},
        n_images=2,
        actor="Ada",
        job_id=None,
    )
    return run_id


def make_old(path: Path) -> None:
    two_days_ago = time.time() - 2 * 86_400
    for file in [*path.rglob("*"), path]:
        os.utime(file, (two_days_ago, two_days_ago))


def test_a_sound_workspace_has_no_findings(filled: Workspace) -> None:
    add_run(filled, "projection", add_run(filled, "embedding"))
    assert look(filled, thorough=True) == []


def test_a_missing_copy_comes_back_from_its_source(filled: Workspace) -> None:
    before = file_of(filled, 1).read_bytes()
    file_of(filled, 1).unlink()
    (finding,) = look(filled)
    assert finding.mended
    assert file_of(filled, 1).read_bytes() == before
    assert catalog.count_images(filled, ImageFilter(condition="ok")) == 2


def test_a_missing_copy_without_its_source_is_left(filled: Workspace, photos: Path) -> None:
    file_of(filled, 1).unlink()
    (photos / "dirt" / "0.png").unlink()
    (finding,) = look(filled)
    assert not finding.mended
    assert str(file_of(filled, 1)) in finding.next_step
    assert catalog.get_image(filled, 1).condition == "missing"


def test_a_changed_source_is_no_source(filled: Workspace, photos: Path) -> None:
    file_of(filled, 1).unlink()
    (photos / "dirt" / "0.png").write_bytes((photos / "dirt" / "1.png").read_bytes())
    assert [finding.mended for finding in look(filled)] == [False]


def test_only_a_thorough_look_sees_bytes_that_have_changed(filled: Workspace) -> None:
    file = file_of(filled, 2)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert look(filled) == []
    (finding,) = look(filled, thorough=True)
    assert (finding.check, finding.mended) == ("images", True)
    assert file.with_name(f"{file.name}.damaged").read_bytes() == bytes(content)
    assert look(filled, thorough=True) == []


def test_missing_thumbnails_are_made(filled: Workspace) -> None:
    for file in filled.path.glob("thumbnails.db*"):
        file.unlink()
    (finding,) = look(filled)
    assert (finding.check, finding.mended) == ("thumbnails", True)
    sha256s = [image.sha256 for image in catalog.list_images(filled)]
    assert ThumbnailStore(filled.path / "thumbnails.db").missing(sha256s) == []


def test_a_run_without_its_folder_goes_with_what_came_of_it(filled: Workspace) -> None:
    embedding = add_run(filled, "embedding")
    add_run(filled, "projection", embedding)
    for file in runs.artefact_folder(filled, embedding).iterdir():
        file.unlink()
    (finding,) = [found for found in look(filled) if found.check == "runs"]
    assert finding.mended
    assert "with 1 that came of it" in finding.problem
    assert runs.list_runs(filled) == []


def test_a_truncated_array_is_found(filled: Workspace) -> None:
    embedding = add_run(filled, "embedding")
    vectors = runs.artefact_folder(filled, embedding) / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes()[:-4])
    assert [finding.check for finding in look(filled)] == ["runs"]


def test_a_job_of_a_dead_process_is_interrupted(workspace: Workspace) -> None:
    from core.jobs.processes import HOST

    job = queue.submit(workspace, CheckFiles(), actor="Ada", start=False)
    job_rows.claim(workspace, job.id, Owner(HOST, DEAD_PID, 0.0))
    (finding,) = look(workspace)
    assert f"job run {job.id}" in finding.next_step
    assert job_rows.get_job(workspace, job.id).status == "interrupted"


def test_columns_follow_the_latest_change_again(filled: Workspace) -> None:
    labels.relabel(filled, [1], "scratch", actor="Ada")
    labels.set_split(filled, [1], "test", actor="Ada")
    labels.set_excluded(filled, [2], True, actor="Ada")
    assert look(filled) == []
    with writing(filled) as connection:
        connection.execute(images.update().values(label="drop", split=None, excluded=False))
    found = {finding.problem.split()[1]: finding for finding in look(filled)}
    assert set(found) == {"label", "split", "excluded"}
    assert all(finding.mended for finding in found.values())
    first, second = (catalog.get_image(filled, image_id) for image_id in (1, 2))
    assert (first.label, first.label_origin, first.split) == ("scratch", "human", "test")
    assert (second.label, second.excluded) == ("drop", True)  # its label was never changed


def test_an_undone_change_is_no_disagreement(filled: Workspace) -> None:
    batch = labels.relabel(filled, [1], "scratch", actor="Ada")
    labels.undo(filled, batch.id, actor="Ada")
    assert look(filled) == []


def test_what_dead_processes_left_is_removed(filled: Workspace) -> None:
    left = [
        filled.folder("images", "ab", ".0123.png"),
        filled.folder("embeddings", f".embedding-0.host.{DEAD_PID}"),
        filled.folder("projections", f".projection-0.host.{DEAD_PID}.replaced"),
        filled.folder("jobs", "1", "unpacked"),
    ]
    make_old(left[0])
    findings = look(filled)
    assert len(findings) == 4
    assert not any(folder.exists() for folder in left)


def test_what_a_living_process_writes_stays(filled: Workspace) -> None:
    kept = [
        filled.folder("images", "ab", ".0123.png"),
        filled.folder("embeddings", f".embedding-0.host.{os.getpid()}"),
        filled.folder("embeddings", ".partial-0123"),
        filled.folder("embeddings", "embedding-without-a-row"),
    ]
    assert look(filled) == []
    assert all(folder.exists() for folder in kept)


def test_features_of_an_old_unfinished_run_go_unless_a_job_may_want_them(
    filled: Workspace,
) -> None:
    partial = filled.folder("embeddings", ".partial-0123")
    (partial / "chunk.npz").write_bytes(b"")
    make_old(partial)
    job = queue.submit(filled, CheckFiles(), actor="Ada", start=False)
    assert look(filled) == []
    queue.cancel(filled, job.id)
    assert [finding.check for finding in look(filled)] == ["leftovers"]
    assert not partial.exists()


def test_analyses_are_looked_at_and_go_where_an_array_is_gone(home: Path) -> None:
    workspace = create_workspace(home / "one")
    embedding = add_blobs(workspace).embedding.id
    k3 = ClusterImages(embedding, parameters=(("n_clusters", 3),))
    clustering = do(workspace, k3).result["run"]
    for config in (
        AnalyseSpace(embedding),
        MeasureKDistances(embedding),
        MeasureStability(clustering, n_runs=2),
    ):
        assert do(workspace, config).status == "succeeded"
    runs_before = runs.list_runs(workspace)
    assert "runs" not in {finding.check for finding in look(workspace)}
    assert runs.list_runs(workspace) == runs_before
    (layout,) = runs.list_runs(workspace, "layout")
    (runs.artefact_folder(workspace, layout.id) / "centroids.npy").unlink()
    (found,) = [finding for finding in look(workspace) if finding.check == "runs"]
    assert layout.id in found.problem
    assert runs.list_runs(workspace, "layout") == []


def add_model(workspace: Workspace) -> Path:
    """A model whose row tells its files truly; its folder."""
    content = b"weights"
    with models.new_folder(workspace) as written:
        (written / models.WEIGHTS_FILE).write_bytes(content)
        for name in ("train_ids", "validation_ids"):
            np.save(written / f"{name}.npy", np.array([1]))
        model = models.add_model(
            workspace,
            written,
            backbone="resnet18",
            mode="head",
            classes=("dirt", "drop"),
            config={},
            result={},
            weights_sha256=hashlib.sha256(content).hexdigest(),
            start_from=None,
            notes="",
            actor="Ada",
            job_id=None,
        )
    return models.folder(workspace, model.id)


def test_models_whose_files_are_gone_or_changed_are_reported(filled: Workspace) -> None:
    missing, damaged, whole, unknown = (add_model(filled) for _ in range(4))
    (missing / models.WEIGHTS_FILE).unlink()
    (damaged / models.WEIGHTS_FILE).write_bytes(b"weighty")
    (unknown / "train_ids.npy").unlink()
    findings = look(filled)
    assert [(each.check, each.mended) for each in findings] == [("models", False)] * 3
    told = " ".join(each.problem for each in findings)
    assert f"weights of {missing.name} are missing" in told
    assert f"weights of {damaged.name} are damaged" in told
    assert f"train_ids.npy of {unknown.name} cannot be read" in told
    assert whole.name not in told
    assert len(models.list_models(filled)) == 4  # a person decides


def test_a_model_that_was_deleted_is_not_missed(filled: Workspace) -> None:
    models.delete_model(filled, add_model(filled).name, actor="Ada")
    assert look(filled) == []


def test_old_folders_of_no_model_go_unless_a_job_may_be_writing_them(filled: Workspace) -> None:
    kept = add_model(filled)
    left = [kept.with_name("vgg16-9"), kept.with_name(".0123abcd")]
    for folder in left:
        folder.mkdir()
    assert look(filled) == []  # they may be of a process that writes now
    for folder in (kept, *left):
        make_old(folder)
    job = queue.submit(filled, CheckFiles(), actor="Ada", start=False)
    assert look(filled) == []
    queue.cancel(filled, job.id)
    assert [(each.check, each.mended) for each in look(filled)] == [("models", True)] * 2
    assert [folder.exists() for folder in (kept, *left)] == [True, False, False]


def test_a_damaged_database_is_reported_and_nothing_else_touched(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = create_workspace(home / "one")
    partial = workspace.folder("embeddings", f".embedding-0.host.{DEAD_PID}")
    monkeypatch.setattr("core.doctor.check_integrity", lambda _: ["row 3 missing from index"])
    (finding,) = look(workspace)
    assert (finding.check, finding.mended) == ("database", False)
    assert str(workspace.path / "backups") in finding.next_step
    assert partial.exists()


def test_other_workspaces_that_cannot_be_opened_are_named(home: Path) -> None:
    workspace = create_workspace(home / "one")
    create_workspace(home / "two")
    (home / "two" / "workspace.json").write_text("{")
    (home / ".deleted-0123").mkdir()
    findings = {finding.mended: finding.problem for finding in look(workspace)}
    assert str(home / "two") in findings[False]
    assert ".deleted-0123" in findings[True]
    assert not (home / ".deleted-0123").exists()


def test_a_full_disk_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = create_workspace(home / "one")
    monkeypatch.setattr("core.doctor._ENOUGH_BYTES", 10**18)
    assert [finding.check for finding in look(workspace)] == ["disk"]
