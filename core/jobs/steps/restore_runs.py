"""Bring in runs that an export carries, so that nothing has to be computed again.

A run's images are told by the hashes of their files. An embedding is restored for those of its
images that are here: features of fewer images are features still. A map or clusters are restored
only where all their images are, as is the run that they were computed from: computed from fewer
images they would be others.

A restored run has the id that the same question would give here, so that asking it costs nothing;
where the id that it came with does not follow from the question, its id here says only that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.images.formats.scanning import Scan, StoredRun
from core.images.formats.stored_runs import read_arrays_of, read_centers_of, read_images_of
from core.jobs.context import JobContext
from core.jobs.steps.run_ids import clustering_id, embedding_id, projection_id
from core.latent.backbones import BACKBONES
from core.latent.clustering_methods import read_config
from core.latent.projection import METHODS
from core.state import exports, runs
from core.state.cluster_names import MAX_LENGTH, cluster_names, name_cluster
from core.state.workspace import Workspace

_ELSEWHERE = ("examples", "k_distances")  # named by ids of the workspace that a run comes from


@dataclass(frozen=True)
class _Images:
    """The images of a run that are in the workspace, in the order of their ids.

    Attributes:
        rows: int64 array (n_images,): row i of the run's arrays here is row `rows[i]` of the file.
        ids: int64 array (n_images,), ascending.
        sha256s: of their files.
        n_stored: rows of the file.
    """

    rows: np.ndarray
    ids: np.ndarray
    sha256s: list[str]
    n_stored: int


def restore_runs(context: JobContext, found: Scan) -> tuple[list[str], list[tuple[str, str]]]:
    """Restore what a scan found beside its images, once these are in the workspace.

    Returns:
        The ids of the runs that are here now, and (path, reason) of the files left out.
    """
    here: dict[str, str] = {}  # id here by the id it came with
    refused: list[tuple[str, str]] = []
    ids = exports.ids_by_sha256(context.workspace) if found.runs else {}
    for number, stored in enumerate(found.runs):
        context.report(0.98 + 0.02 * number / len(found.runs), f"Restoring {stored.id}")
        try:
            here[stored.id] = _restore(context, stored, ids, here)
        except (ValueError, OverflowError) as error:
            refused.append((stored.file.relative_to(found.root).as_posix(), str(error)))
    return list(here.values()), refused


def _restore(
    context: JobContext, stored: StoredRun, ids: Mapping[str, int], here: Mapping[str, str]
) -> str:
    """Restore one run; its id here.

    Raises:
        ValueError: it cannot be restored; says why in words for a person.
    """
    workspace = context.workspace
    _check(stored)
    images = _images_here(stored, ids)
    parent = None
    if stored.kind != "embedding":
        parent = here.get(stored.parent_id or "")
        _check_whole(workspace, images, parent)
    id = _id_here(stored, images, parent)
    if runs.find_run(workspace, id):
        _name_clusters(workspace, id, stored)
        return id
    with runs.new_artefact(workspace, stored.kind, id) as folder:
        np.save(folder / "image_ids.npy", images.ids, allow_pickle=False)
        _write_arrays(folder, stored, images)
    result = {name: value for name, value in stored.result.items() if name not in _ELSEWHERE}
    if "failed" in result:
        result["failed"] = []  # by ids of the workspace that it comes from
    runs.add_run(
        workspace,
        id=id,
        kind=stored.kind,
        parent_id=parent,
        config=stored.config,
        result=result,
        n_images=len(images.ids),
        actor=stored.actor,
        job_id=context.job.id,
    )
    _name_clusters(workspace, id, stored)
    return id


def _name_clusters(workspace: Workspace, id: str, stored: StoredRun) -> None:
    """Give clusters the names that came along, where they have none here."""
    named = cluster_names(workspace, id)
    for cluster, name in stored.cluster_names.items():
        if cluster not in named:
            name_cluster(workspace, id, cluster, name)


def _images_here(stored: StoredRun, ids: Mapping[str, int]) -> _Images:
    sha256s = read_images_of(stored)
    rows = [row for row, sha256 in enumerate(sha256s) if sha256 in ids]
    if not rows:
        raise ValueError("none of its images is in the workspace")
    rows.sort(key=lambda row: ids[sha256s[row]])
    return _Images(
        rows=np.array(rows, dtype=np.int64),
        ids=np.array([ids[sha256s[row]] for row in rows], dtype=np.int64),
        sha256s=[sha256s[row] for row in rows],
        n_stored=len(sha256s),
    )


def _check_whole(workspace: Workspace, images: _Images, parent: str | None) -> None:
    if parent is None:
        raise ValueError("the run that it was computed from is not here")
    if len(images.ids) < images.n_stored:
        n_lacking = images.n_stored - len(images.ids)
        raise ValueError(f"{n_lacking:,} of its images are not in the workspace")
    of_parent = runs.load_array(workspace, runs.get_run(workspace, parent), "image_ids")
    if not np.array_equal(of_parent, images.ids):
        raise ValueError("it is of other images than the run that it was computed from")


def _id_here(stored: StoredRun, images: _Images, parent: str | None) -> str:
    if parent is None:
        return embedding_id(stored.config, images.sha256s, images.ids)
    if stored.version is None:
        return runs.run_id(stored.kind, {"restored": stored.id, "parent": parent})
    if stored.kind == "projection":
        return projection_id(stored.config, embedding=parent, version=stored.version)
    swept = stored.result.get("sweep") is not None
    return clustering_id(stored.config, run=parent, swept=swept, version=stored.version)


def _write_arrays(folder: Path, stored: StoredRun, images: _Images) -> None:
    """Write the run's arrays, row i of each for image `images.ids[i]`, never all in memory."""
    place = np.full(images.n_stored, -1, dtype=np.int64)  # of a row of the file
    place[images.rows] = np.arange(len(images.rows))
    arrays: dict[str, np.ndarray] = {}
    n_read = 0
    for batch in read_arrays_of(stored):
        to = place[n_read : n_read + len(next(iter(batch.values())))]
        for name, values in batch.items():
            if name not in arrays:
                arrays[name] = np.lib.format.open_memmap(
                    folder / f"{name}.npy",
                    mode="w+",
                    dtype=_type_of(name, values),
                    shape=(len(images.ids), *values.shape[1:]),
                )
            if values.shape[1:] != arrays[name].shape[1:]:
                raise ValueError("its rows are not all as long")
            arrays[name][to[to >= 0]] = values[to >= 0]
        n_read += len(to)
    if n_read != images.n_stored:
        raise ValueError("it was changed while it was read")
    n_features = stored.result.get("n_features")
    if stored.kind == "embedding" and arrays["vectors"].shape[1] != n_features:
        raise ValueError(f"its vectors do not have the {n_features} features that it says")
    if stored.kind == "clustering":
        centers = read_centers_of(stored)
        if arrays["labels"].min() < -1 or arrays["labels"].max() >= len(centers):
            raise ValueError(f"its clusters are not all within 0 to {len(centers) - 1}")
        if np.any(np.isnan(arrays["distances"]) != (arrays["labels"] < 0)):
            raise ValueError("it does not say how far each image is from the centre of its cluster")
        np.save(folder / "centers.npy", centers, allow_pickle=False)


def _type_of(name: str, values: np.ndarray) -> np.dtype:
    wanted = np.integer if name == "labels" else np.floating
    if not np.issubdtype(values.dtype, wanted):
        raise ValueError(f"its {name} are not of the right type")
    return np.dtype(np.float32) if name == "vectors" else values.dtype


def _check(stored: StoredRun) -> None:
    """Refuse facts that pages could not show.

    Raises:
        ValueError: something is missing, or is not what it should be; says what.
    """
    config, result = stored.config, stored.result
    if stored.kind == "embedding":
        weights = result.get("weights")
        _check_texts(config, "backbone")
        if not isinstance(weights, dict):
            raise ValueError("it does not say with which weights it was computed")
        _check_texts(weights, "asked", "backbone", "source", "sha256", "notice")
        if weights["backbone"] not in BACKBONES:
            raise ValueError(f"the backbone {weights['backbone'][:40]!r} is not known here")
        if not isinstance(weights.get("file"), str | None):
            raise ValueError("it does not say which file of weights was read")
    elif stored.kind == "projection":
        if config.get("method") not in METHODS:
            raise ValueError(f"the method {str(config.get('method'))[:40]!r} is not known here")
        _check_numbers(result, "trustworthiness")
    else:
        _check_texts(config, "space")
        read_config(config)
        if not isinstance(config.get("components", 0), int | float):
            raise ValueError("it does not say how many components were clustered")
        _check_numbers(result, "n_clusters", "silhouette")
        sizes = result.get("sizes")
        if not (isinstance(sizes, list) and all(isinstance(size, int) for size in sizes)):
            raise ValueError("it does not say how large its clusters are")
        _check_sweep(result.get("sweep"))
        numbers = range(-1, len(sizes))
        if not all(
            cluster in numbers and len(name) <= MAX_LENGTH
            for cluster, name in stored.cluster_names.items()
        ):
            raise ValueError("it names clusters that it does not have, or by too long a name")


def _check_texts(facts: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(facts.get(name), str):
            raise ValueError(f"it does not say its {name}")


def _check_numbers(facts: Mapping[str, Any], *names: str) -> None:
    for name in names:
        value = facts.get(name, "")
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ValueError(f"it does not say its {name}")


def _check_sweep(sweep: Any) -> None:
    if sweep is None:
        return
    if not (isinstance(sweep, dict) and isinstance(sweep.get("rows"), list)):
        raise ValueError("it does not say how its number of clusters was chosen")
    _check_numbers(sweep, "best_silhouette_k", "elbow_k")
    for row in sweep["rows"]:
        if not isinstance(row, dict):
            raise ValueError("it does not say how its number of clusters was chosen")
        _check_numbers(row, "k", "silhouette", "inertia")
