"""Write images and labels out, so that what was decided here can be used elsewhere, and here again.

What a format's files contain is the work of `core.images.formats`; here the facts come together, a
thousand images at a time. Excluded and unlabelled images are exported, too.
"""

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import OperatorError
from core.images.formats.bookkeeping import ExportedImage
from core.images.formats.exporters import EXPORT_FORMATS, ExportFormat, place_of
from core.images.formats.scanning import Candidate, StoredRun
from core.images.formats.stored_runs import run_file, write_run
from core.jobs.configs import ExportImages
from core.jobs.context import JobContext
from core.jobs.steps import cluster_images, project_embedding
from core.jobs.steps.run_ids import clustering_id, projection_id
from core.state import annotations, catalog, exports, runs
from core.state.catalog import Image, ImageFilter
from core.state.clock import now
from core.state.cluster_names import cluster_names
from core.state.runs import Run
from core.state.workspace import Workspace

_BATCH = 1000
_REPORT_EVERY = 100  # images: each other step that is reported is written to the database
_ARRAYS = {
    "embedding": ("vectors",),
    "projection": ("coordinates",),
    "clustering": ("labels", "distances", "centers"),
}
_NO_REASON = "no reason given"  # an entry of the queue without one would be no entry

# Path in the export and hash, by image id.
_Exported = dict[int, tuple[str, str]]


def run(context: JobContext, config: ExportImages) -> Mapping[str, Any]:
    """Export all images; what is missing on disk is listed, not fatal.

    Raises:
        OperatorError: the target is not empty, or cannot be written.
        ValueError: there is no such format.
    """
    if config.format not in EXPORT_FORMATS:
        known = ", ".join(EXPORT_FORMATS)
        raise ValueError(f"format must be one of {known}, got {config.format!r}")
    format = EXPORT_FORMATS[config.format]
    target = Path(config.target) if config.target else context.folder / "export"
    if not config.target:
        shutil.rmtree(target, ignore_errors=True)  # of an attempt that was killed
    _make_empty(target)
    exported, missing = _write_images(context, target, format)
    n_runs = 0
    if format.with_runs:
        n_runs, damaged = _write_runs(context, target, exported)
        missing += damaged
    result = {
        "n_exported": len(exported),
        "n_runs": n_runs,
        "missing": missing,
        "format": format.name,
    }
    if config.target:
        return {**result, "folder": str(target)}
    return {**result, "archive": _pack(context, target, format.name)}


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise OperatorError(
                f"{target} is not empty.", next_step="Give a folder that is empty or not there yet."
            )
    except OSError as error:
        raise OperatorError(f"{target} cannot be written.", str(error.strerror)) from error


def _write_images(
    context: JobContext, target: Path, format: ExportFormat
) -> tuple[_Exported, list[dict[str, str]]]:
    workspace = context.workspace
    ids = catalog.image_ids(workspace)
    exported: _Exported = {}
    missing: list[dict[str, str]] = []
    classes = catalog.list_classes(workspace)
    with format.open(target, classes, catalog.list_attributes(workspace)) as writer:
        for image_id, image in _images(workspace, ids, format):
            try:
                _copy(image.found, target)
            except OSError as error:
                reason = error.strerror or str(error)
                missing.append({"path": image.found.name, "reason": reason})
            else:
                writer.add(image)
                exported[image_id] = (image.found.relative, image.sha256)
            n_done = len(exported) + len(missing)
            if n_done % _REPORT_EVERY == 0:
                step = f"{n_done:,} of {len(ids):,} images written"
                context.report(0.8 * n_done / len(ids), step)
    return exported, missing


def _images(
    workspace: Workspace, ids: np.ndarray, format: ExportFormat
) -> Iterator[tuple[int, ExportedImage]]:
    """The id of every image and what is known of it, in the order of the ids."""
    for start in range(0, len(ids), _BATCH):
        some = tuple(ids[start : start + _BATCH].tolist())
        decisions = annotations.list_decisions(workspace, some)
        boxes = annotations.list_boxes(workspace, some)
        crops = annotations.list_crops(workspace, some)
        groups = exports.list_shot_groups(workspace, some)
        reasons = exports.list_queue_reasons(workspace, some)
        for image in catalog.list_images(workspace, ImageFilter(ids=some), sort="oldest"):
            found = Candidate(
                path=catalog.image_path(workspace, image),
                relative=_place(image, format),
                label=image.label,
                split=image.split,
                attributes=image.attributes,
                boxes=boxes.get(image.id, ()),
                name=image.name,
                label_origin=image.label_origin or "imported",
                decisions=decisions.get(image.id, ()),
                excluded=image.excluded,
                queued=reasons[image.id] or _NO_REASON if image.id in reasons else "",
                group=groups.get(image.id),
                crop=crops.get(image.id),
            )
            yield image.id, ExportedImage(found, image.sha256, image.width, image.height)


def _place(image: Image, format: ExportFormat) -> str:
    return place_of(format, number=image.id, name=image.name, label=image.label, split=image.split)


def _copy(found: Candidate, target: Path) -> None:
    (target / found.relative).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found.path, target / found.relative)


def _write_runs(
    context: JobContext, target: Path, exported: _Exported
) -> tuple[int, list[dict[str, str]]]:
    """Write features, maps and clusters, the oldest first; how many, and what could not be read.

    What was found out from them is quickly computed again, and is about the labels here.
    """
    found = [done for done in runs.list_runs(context.workspace)[::-1] if done.kind in _ARRAYS]
    damaged = []
    for number, done in enumerate(found):
        context.report(0.8 + 0.1 * number / len(found), f"Writing {done.id}")
        try:
            _write_run(context.workspace, target, done, exported)
        except OperatorError as error:
            damaged.append({"path": done.id, "reason": str(error)})
    return len(found) - len(damaged), damaged


def _write_run(workspace: Workspace, target: Path, done: Run, exported: _Exported) -> None:
    ids = runs.load_array(workspace, done, "image_ids").tolist()
    rows = [row for row, image_id in enumerate(ids) if image_id in exported]
    facts = [exported[ids[row]] for row in rows]
    write_run(
        StoredRun(
            file=run_file(target, kind=done.kind, id=done.id),
            id=done.id,
            kind=done.kind,
            parent_id=done.parent_id,
            config=done.config,
            result=done.result,
            actor=done.actor,
            version=_version(done),
            cluster_names=cluster_names(workspace, done.id),
        ),
        paths=[path for path, _ in facts],
        sha256s=[sha256 for _, sha256 in facts],
        rows=np.array(rows, dtype=np.int64),
        arrays={
            name: runs.load_array(workspace, done, name, mapped=True) for name in _ARRAYS[done.kind]
        },
    )


def _version(done: Run) -> int | None:
    """The version of the step that computed a run, where its id follows from that."""
    if done.kind == "projection":
        version = project_embedding.VERSION
        follows = projection_id(done.config, embedding=done.parent_id or "", version=version)
        return version if done.id == follows else None
    if done.kind == "clustering":
        version = cluster_images.VERSION
        swept = done.result.get("sweep") is not None
        parent = done.parent_id or ""
        follows = clustering_id(done.config, run=parent, swept=swept, version=version)
        return version if done.id == follows else None
    return None  # an embedding's config says it


def _pack(context: JobContext, folder: Path, format: str) -> str:
    context.report(0.9, "Packing the archive")
    name = f"{now()[:19].replace(':', '')}-{format}.zip"
    archive = context.workspace.folder("exports") / name
    beside = archive.with_name(f".{name}")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as packed:  # images do not shrink
        for number, file in enumerate(files):
            packed.write(file, file.relative_to(folder))
            context.report(0.9 + 0.1 * number / len(files), "Packing the archive")
    beside.rename(archive)
    shutil.rmtree(folder)
    return name
