"""A small workspace with everything computed, without a network: for pages, routes and browsers.

Three classes of flat colours, embedded, drawn and clustered by their colour.
"""

import hashlib
import json
import secrets
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from core.jobs import queue
from core.jobs.configs import ImportImages, JobConfig
from core.jobs.worker import run_job
from core.settings import Settings
from core.state import catalog, database, runs
from core.state.job_rows import Job
from core.state.runs import Run
from core.state.workspace import MARKER, Workspace, create_workspace, open_workspace

CLASSES = ("dirt", "drop", "scratch")
_BASE_COLOURS = {"dirt": (150, 60, 60), "drop": (60, 150, 60), "scratch": (60, 60, 150)}


def build_template(folder: Path, *, n_per_class: int = 8) -> Path:
    """A workspace on SQLite with its images imported and everything computed, closed for copying.

    Its whereabouts do not depend on the environment, so that it can be made once for many tests.
    """
    workspace = create_workspace(
        folder / "template", name="Paint shop", settings=Settings(home=folder)
    )
    import_folder(workspace, write_images(folder / "images", n_per_class=n_per_class))
    compute_all(workspace)
    close_for_copying(workspace)
    return workspace.path


def close_for_copying(workspace: Workspace) -> None:
    """Have everything of a workspace on SQLite in its files proper, its write-ahead logs empty."""
    database.drop(workspace)  # closes the connections, which empties the log
    with closing(sqlite3.connect(workspace.path / "thumbnails.db")) as thumbnails:
        thumbnails.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # others may still hold it open


def copy_template(template: Path, path: Path) -> Workspace:
    """A workspace like the template, with a uid of its own, as no two workspaces share one."""
    shutil.copytree(template, path, ignore=shutil.ignore_patterns("*.db-shm", "*.db-wal"))
    marker = json.loads((path / MARKER).read_text(encoding="utf-8"))
    (path / MARKER).write_text(json.dumps(marker | {"uid": secrets.token_hex(8)}))
    return open_workspace(path)


def colour_of(label: str, number: int) -> tuple[int, int, int]:
    """The flat colour of one image: no two images have the same bytes."""
    red, green, blue = _BASE_COLOURS[label]
    return (red + number % 64, green + number // 64 % 64, blue + 3 * number % 64)


def save_image(
    path: Path, colour: tuple[int, int, int], *, size: tuple[int, int] = (32, 24)
) -> Path:
    """A flat image, in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def write_images(folder: Path, *, n_per_class: int = 8, classes: Sequence[str] = CLASSES) -> Path:
    """A folder a class with `n_per_class` images each, `<class>/000.png` and on."""
    for label in classes:
        for number in range(n_per_class):
            save_image(folder / label / f"{number:03}.png", colour_of(label, number))
    return folder


def do(workspace: Workspace, config: JobConfig, *, actor: str = "tester") -> Job:
    """Run a job in this process and return it as it ended."""
    return run_job(workspace, queue.submit(workspace, config, actor=actor, start=False).id)


def import_folder(workspace: Workspace, folder: Path, *, split: str = "auto") -> Job:
    """Import a folder; it must succeed."""
    job = do(workspace, ImportImages(source=str(folder), split=split))
    assert job.status == "succeeded", job.error
    return job


def fake_embedding(workspace: Workspace, *, notice: str = "") -> Run:
    """An embedding of all images: their mean colour, and one feature more that tells them apart."""
    images = catalog.list_images(workspace, sort="oldest")
    ids = np.array([image.id for image in images], np.int64)
    vectors = np.array([_mean_colour(workspace, image) for image in images], np.float32)
    return keep_embedding(workspace, ids, vectors, notice=notice)


def keep_embedding(
    workspace: Workspace, ids: np.ndarray, vectors: np.ndarray, *, notice: str = ""
) -> Run:
    """An embedding of these images with these features."""
    hashes = {"ids": runs.hash_array(ids), "vectors": runs.hash_array(vectors)}
    run_id = runs.run_id("embedding", hashes)
    with runs.new_artefact(workspace, "embedding", run_id) as folder:
        np.save(folder / "vectors.npy", vectors, allow_pickle=False)
        np.save(folder / "image_ids.npy", ids, allow_pickle=False)
    weights = {
        "asked": "resnet50",
        "backbone": "resnet50",
        "source": "random" if notice else "file",
        "sha256": hashlib.sha256(b"fake").hexdigest(),
        "file": None if notice else "resnet50-fake.pth",
        "notice": notice,
    }
    return runs.add_run(
        workspace,
        id=run_id,
        kind="embedding",
        parent_id=None,
        config={"backbone": "resnet50"},
        result={"n_features": vectors.shape[1], "weights": weights},
        n_images=len(ids),
        actor="tester",
        job_id=None,
    )


def fake_projection(
    workspace: Workspace, embedding: Run, *, method: str = "pca", seed: int = 0
) -> Run:
    """A map of an embedding: a grid in the order of the ids, so that no two points meet."""
    ids = runs.load_array(workspace, embedding, "image_ids")
    n_columns = int(np.ceil(np.sqrt(len(ids))))
    row, column = np.divmod(np.arange(len(ids)), n_columns)
    places = np.column_stack([column, row]).astype(np.float32)
    if method != "pca":
        places = places[:, ::-1].copy()
    run_id = runs.run_id("projection", {"embedding": embedding.id, "method": method, "seed": seed})
    with runs.new_artefact(workspace, "projection", run_id) as folder:
        np.save(folder / "coordinates.npy", places, allow_pickle=False)
        np.save(folder / "image_ids.npy", ids, allow_pickle=False)
    return runs.add_run(
        workspace,
        id=run_id,
        kind="projection",
        parent_id=embedding.id,
        config={"method": method, "seed": seed},
        result={"trustworthiness": 0.98, "seconds": 0.1, "notes": []},
        n_images=len(ids),
        actor="tester",
        job_id=None,
    )


def fake_clustering(workspace: Workspace, embedding: Run, *, n_clusters: int = 3) -> Run:
    """Clusters of an embedding by the brightest colour, with the sweep that chose their number."""
    ids = runs.load_array(workspace, embedding, "image_ids")
    vectors = runs.load_array(workspace, embedding, "vectors")
    labels = vectors[:, :3].argmax(axis=1).astype(np.int64) % n_clusters
    run_id = runs.run_id("clustering", {"embedding": embedding.id, "k": n_clusters})
    with runs.new_artefact(workspace, "clustering", run_id) as folder:
        np.save(folder / "labels.npy", labels, allow_pickle=False)
        np.save(folder / "distances.npy", vectors[:, 3], allow_pickle=False)
        np.save(folder / "centers.npy", vectors[:n_clusters], allow_pickle=False)
        np.save(folder / "image_ids.npy", ids, allow_pickle=False)
    rows = [{"k": k, "silhouette": 0.9 / k, "inertia": 100.0 / k} for k in range(2, 6)]
    return runs.add_run(
        workspace,
        id=run_id,
        kind="clustering",
        parent_id=embedding.id,
        config={"method": "kmeans", "space": "latent", "n_clusters": n_clusters, "seed": 0},
        result={
            "n_clusters": n_clusters,
            "n_noise": 0,
            "sizes": np.bincount(labels, minlength=n_clusters).tolist(),
            "silhouette": 0.3,
            "notes": [],
            "sweep": {"rows": rows, "best_silhouette_k": 3, "elbow_k": 4},
        },
        n_images=len(ids),
        actor="tester",
        job_id=None,
    )


def compute_all(workspace: Workspace) -> tuple[Run, list[Run], Run]:
    """(embedding, two projections, clustering) of all images."""
    embedding = fake_embedding(workspace)
    projections = [fake_projection(workspace, embedding, method=m) for m in ("umap", "pca")]
    return embedding, projections, fake_clustering(workspace, embedding)


def _mean_colour(workspace: Workspace, image: catalog.Image) -> tuple[float, ...]:
    with Image.open(catalog.image_path(workspace, image)) as picture:
        mean = np.asarray(picture.convert("RGB"), np.float32).mean(axis=(0, 1)) / 255
    return (*mean.tolist(), image.id / 1000)
