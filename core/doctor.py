"""What ails a workspace? Every check mends what it safely can, and says what is left.

Nothing that cannot be made again is ever deleted: a copied image whose bytes have changed is set
aside, what a running process may still need is left alone.
"""

import hashlib
import importlib.metadata
import logging
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa

from core.errors import OperatorError
from core.images.quality import WORKING_SIDE_PX
from core.images.reading import ImageRejected, load_for_import
from core.images.thumbnails import ThumbnailStore, make_thumbnail
from core.jobs.processes import is_gone
from core.latent.anomalies import METHODS as ANOMALY_METHODS
from core.latent.backbones import BACKBONES, BUNDLED
from core.settings import Settings
from core.state import catalog, job_rows, models, runs
from core.state.catalog import Image, ImageFilter
from core.state.database import check_integrity
from core.state.upkeep import follow_changes, source_paths
from core.state.workspace import MARKER, Workspace, list_workspaces

_DAY_S = 86_400.0
_ENOUGH_BYTES = 2_000_000_000  # the features of 100,000 images by ResNet-50 take 0.8 GB
_BATCH = 256
# Beside `image_ids`: arrays of a row an image, and such as have other rows.
_ARRAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "embedding": (("vectors",), ()),
    "projection": (("coordinates",), ()),
    "clustering": (("labels", "distances"), ("centers",)),
    "graph": (("indices", "distances"), ()),
    "k_distances": ((), ("distances",)),
    "separability": ((), ()),
    "stability": ((), ()),
    "anomalies": (tuple(f"scores_{method}" for method in ANOMALY_METHODS), ()),
    "label_errors": (("given", "suggested", "scores", "is_issue", "nearest", "nearest_given"), ()),
    "layout": (("purity",), ("centroids", "separability")),
    "comparison": (("in_second",), ()),
    "evaluation": (("logits", "probabilities", "predicted", "clusters", "roles"), ("centers",)),
    "movement": (("movement",), ()),
    "triage_plan": (("is_auto", "predicted", "confidence", "probabilities"), ()),
}
_SCRATCH = ("unpacked", "generated", "export")  # what steps make in a job's folder and remove
_PACKAGES = (
    "streamlit",
    "sqlalchemy",
    "torch",
    "torchvision",
    "scikit-learn",
    "umap-learn",
    "pacmap",
) + ("pandas", "plotly")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """Something that was not as it should be; `next_step` says what is left to do."""

    check: str
    problem: str
    mended: bool
    next_step: str = ""


def examine(workspace: Workspace, settings: Settings, *, thorough: bool = False) -> list[Finding]:
    """Run every check on a workspace; an empty list means that all is well.

    Args:
        thorough: also read every copied image, and compare its bytes with its hash.
    """
    damaged = list(_check_database(workspace))
    if damaged:
        return damaged  # whatever would be mended now would be mended by wrong facts
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "jobs": lambda: _check_jobs(workspace),
        "labels": lambda: _check_columns(workspace),
        "images": lambda: _check_images(workspace, thorough=thorough),
        "thumbnails": lambda: _check_thumbnails(workspace, settings),
        "runs": lambda: _check_runs(workspace),
        "models": lambda: _check_models(workspace),
        "leftovers": lambda: _check_leftovers(workspace),
        "home": lambda: _check_home(settings),
        "disk": lambda: _check_disk(workspace),
    }
    findings = []
    for name, check in checks.items():
        try:
            findings += list(check())
        except OSError as error:
            findings.append(Finding(name, f"It could not be looked at: {error}.", mended=False))
    return findings


def describe_environment(
    workspace: Workspace, settings: Settings
) -> tuple[dict[str, str | None], list[Finding]]:
    """Versions by package and weights by backbone, and what of them is missing.

    A backbone without weights is no fault; a file that does not fit is one.
    """
    described: dict[str, str | None] = {"python": platform.python_version()}
    findings = []
    for package in _PACKAGES:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            described[package] = None
            step = "Install the packages in requirements.txt."
            findings.append(Finding("environment", f"{package} is missing.", False, step))
    if described["torch"] and described["torchvision"]:
        for backbone in BACKBONES:
            try:
                source = find_weights(workspace, settings, backbone)
                is_own = backbone == BUNDLED or source != "bundled"
                described[f"weights of {backbone}"] = source if is_own else "none"
            except OperatorError as error:
                findings.append(Finding("weights", error.title, False, error.next_step))
    return described, findings


def find_weights(workspace: Workspace, settings: Settings, backbone: str) -> str:
    """Where a backbone's weights are on this machine: `file`, `cache`, or nowhere: `bundled`.

    Raises:
        OperatorError: a file that was placed for it does not fit.
    """
    from core.jobs.steps.embed_images import weights_folders
    from core.latent.weights import resolve_weights

    folders = weights_folders(workspace, settings)
    return resolve_weights(backbone, weights_dirs=folders, offline=True).source


def _check_database(workspace: Workspace) -> Iterator[Finding]:
    try:
        problems = check_integrity(workspace)
    except sa.exc.DatabaseError as error:
        problems = [str(error.orig)]
    for problem in problems:
        step = f"Restore the newest copy in {workspace.path / 'backups'}."
        yield Finding("database", f"The database is damaged: {problem}.", False, step)


def _check_jobs(workspace: Workspace) -> Iterator[Finding]:
    for job in job_rows.mark_interrupted(workspace, is_gone):
        state = job_rows.get_job(workspace, job.id).status
        step = f"`python -m core job run {job.id}` goes on with it."
        yield Finding(
            "jobs",
            f"The process of job {job.id} ({job.kind}) has died; it is now {state}.",
            mended=True,
            next_step=step if state == "interrupted" else "",
        )


def _check_columns(workspace: Workspace) -> Iterator[Finding]:
    for found in follow_changes(workspace):
        yield Finding(
            "labels",
            f"The {found.field} of image {found.image_id} was {found.was!r}; by its latest change "
            f"it is {found.now!r}.",
            mended=True,
        )


def _check_images(workspace: Workspace, *, thorough: bool) -> Iterator[Finding]:
    """Files that are gone or changed, restored where their source still has the very bytes."""
    differing = catalog.check_files(workspace)
    catalog.set_conditions(workspace, differing)
    for image in catalog.list_images(workspace, sort="oldest"):
        path = catalog.image_path(workspace, image)
        damaged = image.condition == "changed"
        if thorough and image.condition == "ok" and image.storage == "copied":
            damaged = _sha256(path) != image.sha256
        if image.condition == "ok" and not damaged:
            continue
        problem = f"The file of image {image.id} ({image.name}) is "
        problem += "changed" if damaged else "missing"
        if image.storage == "referenced":
            step = f"Put the file back as it was at {path}, or import it again."
            yield Finding("images", f"{problem}.", False, step)
            continue
        if damaged:  # set aside: trained on, it would pass for what its labels are about
            path.rename(path.with_name(f"{path.name}.damaged"))
        restored = _restore(workspace, image, path)
        catalog.set_conditions(workspace, {image.id: "ok" if restored else "missing"})
        if restored:
            yield Finding("images", f"{problem}; it was copied again from its source.", True)
        else:
            step = f"Put a copy back at {path}."
            yield Finding("images", f"{problem}, and so is its source.", False, step)


def _restore(workspace: Workspace, image: Image, path: Path) -> bool:
    """Copy an image again from where it was imported, if its bytes are there still."""
    for source in map(Path, source_paths(workspace, image.id)):
        if source.is_absolute() and source.is_file() and _sha256(source) == image.sha256:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}")
            shutil.copyfile(source, beside)
            beside.rename(path)
            return True
    return False


def _check_thumbnails(workspace: Workspace, settings: Settings) -> Iterator[Finding]:
    store = ThumbnailStore(workspace.path / "thumbnails.db")
    images = {
        image.sha256: image for image in catalog.list_images(workspace, ImageFilter(condition="ok"))
    }
    missing = store.missing(list(images))
    made = 0
    for start in range(0, len(missing), _BATCH):
        jpegs = []
        for sha256 in missing[start : start + _BATCH]:
            path = catalog.image_path(workspace, images[sha256])
            try:
                # As an import does: the perceptual hash is of the thumbnail's very bytes.
                _, pixels = load_for_import(
                    path, max_pixels=settings.max_image_pixels, side=WORKING_SIDE_PX
                )
            except (OSError, ImageRejected) as error:
                name = images[sha256].name
                step = "Put the file back, or exclude the image."
                yield Finding("thumbnails", f"{name} cannot be read: {error}.", False, step)
            else:
                jpegs.append((sha256, make_thumbnail(pixels)))
        store.put_many(jpegs)
        made += len(jpegs)
    if made:
        yield Finding("thumbnails", f"{made:,} thumbnails were missing and are made.", True)
    store.close()


def _check_runs(workspace: Workspace) -> Iterator[Finding]:
    """Runs whose arrays are gone, damaged or of another length are removed: they are recomputed."""
    for run in runs.list_runs(workspace):
        if runs.find_run(workspace, run.id) is None:
            continue  # it went with its parent
        try:
            of_images, of_others = _ARRAYS[run.kind]
            lengths = {
                len(runs.load_array(workspace, run, name, mapped=True))
                for name in ("image_ids", *of_images)
            }
            for name in of_others:
                runs.load_array(workspace, run, name, mapped=True)
            if lengths == {run.n_images}:
                continue
            problem = f"The arrays of {run.id} are of different lengths"
        except OperatorError as error:
            problem = error.title.rstrip(".")
        gone = runs.delete_run(workspace, run.id)
        others = f" with {len(gone) - 1} that came of it" if len(gone) > 1 else ""
        step = "Compute it again."
        yield Finding("runs", f"{problem}; it was removed{others}.", True, step)


def _check_models(workspace: Workspace) -> Iterator[Finding]:
    """Models whose files are gone or changed, which nothing can make again; folders of none."""
    there = models.list_models(workspace)
    for model in there:
        weights = models.weights_path(workspace, model.id)
        problem = ""
        if not weights.is_file():
            problem = f"The weights of {model.id} are missing"
        elif _sha256(weights) != model.weights_sha256:
            problem = f"The weights of {model.id} are damaged"
        else:
            try:
                models.load_roles(workspace, model)
            except OperatorError as error:
                problem = error.title.rstrip(".")
        if problem:
            step = f"Put a copy back in {weights.parent}, or delete the model."
            yield Finding("models", f"{problem}.", False, step)
    if job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE, limit=1):
        return  # a job that writes a model has its folder before its row
    known = {model.id for model in there}
    for folder in (workspace.path / "models").glob("*"):
        if folder.name not in known and _age_s(folder) > _DAY_S:
            _remove(folder)
            problem = f"{folder.relative_to(workspace.path)} belonged to no model; removed."
            yield Finding("models", problem, True)


def _check_leftovers(workspace: Workspace) -> Iterator[Finding]:
    """What processes that died, or were stopped, left half done."""
    active = job_rows.list_jobs(workspace, statuses=job_rows.ACTIVE)
    living = {job.pid for job in active if job.status == "running"}
    doomed = [
        path
        for path, pid in _staging(workspace)
        if pid not in living and (not psutil.pid_exists(pid) or _age_s(path) > _DAY_S)
    ]
    known = {run.id for run in runs.list_runs(workspace)}
    for kind, kept_in in runs.FOLDERS.items():  # an artefact without a row, or of a run never ended
        for folder in (workspace.path / kept_in).glob("*"):
            is_partial = folder.name.startswith(".partial-")
            is_orphan = folder.name.startswith(f"{kind}-") and folder.name not in known
            if (is_partial or is_orphan) and not active and _age_s(folder) > _DAY_S:
                doomed.append(folder)
    busy = {str(job.id) for job in active}
    for folder in (workspace.path / "jobs").glob("*"):
        if folder.name not in busy:
            doomed += [folder / name for name in _SCRATCH if (folder / name).is_dir()]
    beside = [*(workspace.path / "exports").glob(".*"), *(workspace.path / "images").glob("*/.*")]
    doomed += [path for path in beside if _age_s(path) > _DAY_S]
    for path in doomed:
        _remove(path)
        shown = path.relative_to(workspace.path)
        yield Finding("leftovers", f"{shown} was left by a process that is gone; removed.", True)


def _staging(workspace: Workspace) -> Iterator[tuple[Path, int]]:
    """What is being written: (path, pid), for the names end in the pid of who writes."""
    for kind, kept_in in runs.FOLDERS.items():
        for path in (workspace.path / kept_in).glob(f".{kind}-*"):
            pid = path.name.removesuffix(".replaced").rpartition(".")[2]
            if pid.isdecimal():
                yield path, int(pid)


def _check_home(settings: Settings) -> Iterator[Finding]:
    """Workspaces beside this one that no page can list, and such as were deleted by half."""
    if not settings.home.is_dir():
        return
    listed = {workspace.path for workspace in list_workspaces(settings)}
    for folder in sorted(settings.home.iterdir()):
        if folder.name.startswith(".deleted-"):
            _remove(folder)
            yield Finding("home", f"The rest of a deleted workspace, {folder}, is removed.", True)
        elif (folder / MARKER).exists() and folder not in listed:
            step = f"`python -m core doctor --workspace {folder}` says why."
            yield Finding("home", f"The workspace in {folder} cannot be opened.", False, step)


def _check_disk(workspace: Workspace) -> Iterator[Finding]:
    free = shutil.disk_usage(workspace.path).free
    if free < _ENOUGH_BYTES:
        step = "Free some, before a job runs out of it."
        yield Finding("disk", f"Only {free / 1e9:.1f} GB are free on the disk.", False, step)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    """Seconds since anything in a folder, or the file, was written."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return time.time() - max(file.lstat().st_mtime for file in files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
