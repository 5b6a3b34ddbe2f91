"""Take images in: scan the source, read each file once, copy it in by its hash, store its facts.

One bad file never stops an import, and a killed import goes on where it was: files that are in the
workspace already are told by their path and hash, and cost no decoding.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from core.errors import OperatorError
from core.images.archives import content_root, extract_zip
from core.images.importers import Candidate, Scan, scan
from core.images.quality import measure_quality
from core.images.reading import ImageRejected, load_for_import
from core.images.splits import DEFAULT_RATIOS, assign_splits, parse_ratios
from core.images.thumbnails import ThumbnailStore, make_thumbnail
from core.jobs.configs import ImportImages
from core.jobs.context import JobContext
from core.settings import load_settings
from core.state import catalog
from core.state.catalog import Import, NewImage
from core.state.files import replace_file
from core.state.workspace import Workspace

_BATCH = 256
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True)
class _Read:
    """One candidate after its file was read: an image with its thumbnail, or a reason."""

    candidate: Candidate
    image: NewImage | None = None
    thumbnail: bytes = b""
    refused: str = ""
    is_known: bool = False


def run(context: JobContext, config: ImportImages) -> Mapping[str, Any]:
    """Import a folder, a table or an uploaded archive.

    Raises:
        OperatorError: the source is not there, is no known format, or cannot be unpacked.
        ValueError: `config.split` is no rule for splits; nothing has been imported then.
    """
    _ratios(config)
    source = Path(config.source)
    if source.is_file() and source.suffix.lower() == ".zip":
        result = _import_archive(context, config, source)
    else:
        context.report(0.0, "Looking through the source")
        result = import_scan(context, config, scan(source, format=config.format), name=str(source))
    if config.is_upload:
        source.unlink(missing_ok=True)
    return result


def import_scan(
    context: JobContext,
    config: ImportImages,
    found: Scan,
    *,
    name: str,
    more_attributes: Mapping[str, str | float] | None = None,
    refused: Sequence[tuple[str, str]] = (),
) -> Mapping[str, Any]:
    """Import what a scan found.

    Args:
        name: what its files' paths are recorded under.
        more_attributes: given to every image of this import.
        refused: (path, reason) of what was turned down before the scan.
    """
    workspace = context.workspace
    begun = _begin(context, config, found)
    import_id = begun.id
    listed = set(catalog.list_rejections(workspace, import_id))  # by an attempt that was killed
    refused = [*refused, *((file.path, file.reason) for file in found.rejected)]
    catalog.add_rejections(workspace, import_id, [each for each in refused if each not in listed])
    thumbnails = ThumbnailStore(workspace.path / "thumbnails.db")
    known = catalog.known_sources(
        workspace, (f"{name}/{candidate.relative}" for candidate in found.candidates)
    )
    n_done = n_known = 0

    def read(candidate: Candidate) -> _Read:
        known_sha256 = known.get(f"{name}/{candidate.relative}")
        return _read(workspace, config, candidate, name, known_sha256, more_attributes or {})

    for batch in _in_batches(read, found.candidates):
        images = [done for done in batch if done.image]
        thumbnails.put_many((done.image.sha256, done.thumbnail) for done in images if done.image)
        catalog.add_images(workspace, import_id, [done.image for done in images if done.image])
        turned_down = [(done.candidate.relative, done.refused) for done in batch if done.refused]
        catalog.add_rejections(
            workspace, import_id, [each for each in turned_down if each not in listed]
        )
        refused += turned_down
        n_known += sum(done.is_known for done in batch)
        n_done += len(batch)
        context.report(
            0.98 * n_done / len(found.candidates),
            f"{n_done:,} of {len(found.candidates):,} files read",
        )
    _draw_splits(workspace, config, import_id)
    n_known -= begun.n_imported + begun.n_duplicates  # known from that attempt, not from before
    done = catalog.finish_import(workspace, import_id, n_known=n_known)
    shutil.rmtree(_staging(workspace), ignore_errors=True)
    return {
        "import_id": import_id,
        "format": found.format,
        "n_imported": done.n_imported,
        "n_duplicates": done.n_duplicates,
        "n_known": n_known,
        "rejected": [{"path": path, "reason": reason} for path, reason in refused],
        "ignored": list(found.ignored),
        **count_classes_and_splits(workspace),
    }


def count_classes_and_splits(workspace: Workspace) -> Mapping[str, Mapping[str, int]]:
    """Images by class and by split, of the whole workspace; those without one are left out."""
    classes: dict[str, int] = {}
    splits: dict[str, int] = {}
    for label, split, n_images in catalog.summarise(workspace).by_label_and_split:
        if label is not None:
            classes[label] = classes.get(label, 0) + n_images
        if split is not None:
            splits[split] = splits.get(split, 0) + n_images
    return {"classes": classes, "splits": splits}


def _import_archive(context: JobContext, config: ImportImages, archive: Path) -> Mapping[str, Any]:
    if config.reference:
        raise OperatorError(
            "An archive's images cannot stay where they are.",
            next_step="Import it without `--reference`, or unpack it first.",
        )
    context.report(0.0, "Unpacking the archive")
    unpacked = context.folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        max_bytes = load_settings().max_upload_mb * 1_000_000
        rejected = extract_zip(archive, unpacked, max_bytes=max_bytes)
        found = scan(content_root(unpacked), format=config.format)
        refused = [(entry.path, entry.reason) for entry in rejected]
        name = config.shown_as or archive.name
        return import_scan(context, config, found, name=name, refused=refused)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _begin(context: JobContext, config: ImportImages, found: Scan) -> Import:
    """The import's row: the same again when a killed import resumes."""
    note = context.folder / "import_id"
    if not note.exists():
        import_id = catalog.begin_import(
            context.workspace,
            source=config.shown_as or config.source,
            format=found.format,
            options=asdict(config),
            actor=context.job.actor,
        )
        replace_file(note, str(import_id).encode())
    begun = int(note.read_text())
    return next(each for each in catalog.list_imports(context.workspace) if each.id == begun)


def _in_batches(
    read: Callable[[Candidate], _Read], candidates: Sequence[Candidate]
) -> Iterator[list[_Read]]:
    # One batch is read while the one before is stored; decoding releases the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        pending: list[list] = []
        for start in range(0, len(candidates), _BATCH):
            batch = candidates[start : start + _BATCH]
            pending.append([pool.submit(read, candidate) for candidate in batch])
            if len(pending) == 2:
                yield [future.result() for future in pending.pop(0)]
        for futures in pending:
            yield [future.result() for future in futures]


def _read(
    workspace: Workspace,
    config: ImportImages,
    candidate: Candidate,
    name: str,
    known_sha256: str | None,
    more_attributes: Mapping[str, str | float],
) -> _Read:
    try:
        if known_sha256 and _sha256(candidate.path) == known_sha256:
            return _Read(candidate, is_known=True)
        # What is hashed and decoded is the copy, for the source may change under our hands.
        file = candidate.path if config.reference else _stage(workspace, candidate.path)
        facts, pixels = load_for_import(file, max_pixels=load_settings().max_image_pixels)
        location = file if config.reference else _keep(workspace, file, facts.sha256, facts.format)
        image = NewImage(
            source=f"{name}/{candidate.relative}",
            sha256=facts.sha256,
            name=candidate.relative,
            storage="referenced" if config.reference else "copied",
            location=str(location),
            modified_ns=candidate.path.stat().st_mtime_ns,
            format=facts.format,
            width=facts.width,
            height=facts.height,
            n_bytes=facts.n_bytes,
            label=candidate.label,
            split=candidate.split if config.split in ("auto", "keep") else None,
            attributes={**candidate.attributes, **more_attributes},
            quality=_quality(pixels),
        )
        return _Read(candidate, image=image, thumbnail=make_thumbnail(pixels))
    except ImageRejected as error:
        return _Read(candidate, refused=error.reason)
    except OSError as error:
        return _Read(candidate, refused=f"the file cannot be read: {error.strerror or error}")


def _quality(pixels: Any) -> Mapping[str, float]:
    measured = measure_quality(pixels)
    return {name: getattr(measured, name) for name in catalog.QUALITY_MEASURES}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _staging(workspace: Workspace) -> Path:
    return workspace.folder("images", f".incoming-{os.getpid()}")


_counter = itertools.count()


def _stage(workspace: Workspace, source: Path) -> Path:
    staged = _staging(workspace) / str(next(_counter))
    shutil.copyfile(source, staged)
    return staged


def _keep(workspace: Workspace, staged: Path, sha256: str, format: str) -> Path:
    """Give a staged copy its name by content; the path below the workspace."""
    suffix = _SUFFIXES.get(format, f".{format.lower()}")
    location = Path("images", sha256[:2], f"{sha256}{suffix}")
    workspace.folder("images", sha256[:2])
    staged.rename(workspace.path / location)
    return location


def _ratios(config: ImportImages) -> Mapping[str, float] | None:
    """The shares of a draw; None where none is asked for."""
    if config.split == "keep":
        return None
    return DEFAULT_RATIOS if config.split == "auto" else parse_ratios(config.split)


def _draw_splits(workspace: Workspace, config: ImportImages, import_id: int) -> None:
    """Draw splits, stratified by label, for the images of this import that are to have one."""
    ratios = _ratios(config)
    if ratios is None:
        return
    rows = catalog.images_without_split(workspace, import_id)
    drawn = assign_splits([label for _, label in rows], ratios=ratios, seed=config.seed)
    catalog.set_imported_splits(
        workspace, {image_id: split for (image_id, _), split in zip(rows, drawn, strict=True)}
    )
