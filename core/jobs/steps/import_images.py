"""Take images in: scan the source, read each file once, copy it in by its hash, store its facts.

One bad file never stops an import, and a killed import goes on where it was: files that are in the
workspace already are told by their path and hash, and cost no decoding.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import OperatorError
from core.images.crops import check_margin
from core.images.formats.importers import Candidate, Scan, scan
from core.images.grouping import group_by_attribute, group_by_pattern, joined_groups
from core.images.splits import DEFAULT_RATIOS, assign_splits, parse_ratios
from core.images.thumbnails import ThumbnailStore
from core.jobs.configs import ImportImages
from core.jobs.context import JobContext
from core.jobs.steps.find_near_duplicates import count_groups, search
from core.jobs.steps.look_through import check_within
from core.jobs.steps.restore_runs import restore_runs
from core.jobs.steps.taking_in import Taken, Taker, sources_of
from core.jobs.steps.unpacking import discard_unpacked, unpack
from core.settings import load_settings
from core.state import catalog, intake, uploads
from core.state.files import replace_file
from core.state.intake import Import
from core.state.workspace import Workspace

_BATCH = 256


def run(context: JobContext, config: ImportImages) -> Mapping[str, Any]:
    """Import a folder, a table or an uploaded archive.

    Raises:
        OperatorError: the source is not there, lies outside `config.within`, is no known format,
            or cannot be unpacked.
        ValueError: the config has no meaning (see `check`); nothing has been imported then.
    """
    check(config)
    done = context.folder / "result.json"
    if done.exists():  # an attempt was killed when its upload had gone already
        return json.loads(done.read_text(encoding="utf-8"))
    source = Path(config.source)
    check_within(source, config.within)
    if source.is_file() and source.suffix.lower() == ".zip":
        result = _import_archive(context, config, source)
        if uploads.is_upload(context.workspace, source):
            replace_file(done, json.dumps(result).encode())
        discard_unpacked(context, source)
        return result
    context.report(0.0, "Looking through the source")
    return import_scan(context, config, scan(source, format=config.format), name=str(source))


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

    Raises:
        ValueError: `config.group_by` is neither a column of the source nor a regular expression.
        OperatorError: boxes are to be cut out, and none is drawn.
    """
    workspace = context.workspace
    groups = group_shots(found, config.group_by)
    if config.crops == "boxes" and not any(candidate.boxes for candidate in found.candidates):
        raise OperatorError(
            "There are no boxes to cut out.",
            f"The source was read as {found.format}.",
            "Import the whole images, or choose the format that holds the boxes.",
        )
    begun = _begin(context, config, found)
    import_id = begun.id
    listed = set(intake.list_rejections(workspace, import_id))  # by an attempt that was killed
    refused = [*refused, *((file.path, file.reason) for file in found.rejected)]
    intake.add_rejections(workspace, import_id, [each for each in refused if each not in listed])
    thumbnails = ThumbnailStore(workspace.path / "thumbnails.db")
    sources = sources_of(found.candidates, name=name, crops=config.crops)
    known = intake.known_sources(workspace, sources)
    taker = Taker(
        workspace,
        config,
        name,
        known,
        groups,
        more_attributes or {},
        max_pixels=load_settings().max_image_pixels,
    )
    n_done = n_known = 0
    for batch in _in_batches(taker.take, found.candidates):
        images = [each for taken in batch for each in taken.images]
        thumbnails.put_many((image.sha256, thumbnail) for image, thumbnail in images)
        intake.add_images(workspace, import_id, [image for image, _ in images])
        turned_down = [each for taken in batch for each in taken.refused]
        intake.add_rejections(
            workspace, import_id, [each for each in turned_down if each not in listed]
        )
        refused += turned_down
        n_known += sum(taken.n_known for taken in batch)
        n_done += len(batch)
        context.report(
            0.9 * n_done / len(found.candidates),
            f"{n_done:,} of {len(found.candidates):,} files read",
        )
    context.report(0.9, "Looking for near-duplicates")
    search(workspace)
    _draw_splits(workspace, config, import_id)
    restored, not_restored = restore_runs(context, found)
    intake.add_rejections(
        workspace, import_id, [each for each in not_restored if each not in listed]
    )
    refused += not_restored
    n_known -= begun.n_imported + begun.n_duplicates  # known from that attempt, not from before
    done = intake.finish_import(workspace, import_id, n_known=n_known)
    summary = catalog.summarise(workspace)
    return {
        "import_id": import_id,
        "format": found.format,
        "n_imported": done.n_imported,
        "n_duplicates": done.n_duplicates,
        "n_known": n_known,
        "rejected": [{"path": path, "reason": reason} for path, reason in refused],
        "ignored": list(found.ignored),
        "runs": restored,
        "near_duplicates": count_groups(workspace),
        "classes": summary.n_by_label,
        "splits": summary.n_by_split,
    }


def group_shots(found: Scan, group_by: str) -> Mapping[str, str]:
    """Group by `Candidate.relative`, of the images that share one with others by this rule.

    Args:
        group_by: a column of the source, or a regular expression on the paths; empty for what the
            source says itself.

    Raises:
        ValueError: it is no column of this source and no regular expression.
    """
    candidates = found.candidates
    said = [candidate.group for candidate in candidates]
    if any(group_by in candidate.attributes for candidate in candidates):
        said = group_by_attribute([each.attributes.get(group_by) for each in candidates])
    elif group_by:
        said = group_by_pattern([candidate.relative for candidate in candidates], group_by)
    return {
        candidate.relative: group
        for candidate, group in zip(candidates, said, strict=True)
        if group is not None
    }


def _import_archive(context: JobContext, config: ImportImages, archive: Path) -> Mapping[str, Any]:
    if config.reference:
        raise OperatorError(
            "An archive's images cannot stay where they are.",
            next_step="Import it without `--reference`, or unpack it first.",
        )
    content, refused = unpack(context, archive)
    found = scan(content, format=config.format)
    name = config.shown_as or archive.name
    return import_scan(context, config, found, name=name, refused=refused)


def _begin(context: JobContext, config: ImportImages, found: Scan) -> Import:
    """The import's row: the same again when a killed import resumes."""
    note = context.folder / "import_id"
    if not note.exists():
        import_id = intake.begin_import(
            context.workspace,
            source=config.shown_as or config.source,
            format=found.format,
            options=asdict(config),
            actor=context.job.actor,
            classes=found.classes,
        )
        replace_file(note, str(import_id).encode())
    begun = int(note.read_text())
    return next(each for each in intake.list_imports(context.workspace) if each.id == begun)


def _in_batches(
    take: Callable[[Candidate], Taken], candidates: Sequence[Candidate]
) -> Iterator[list[Taken]]:
    # One batch is read while the one before is stored; decoding releases the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        pending: list[list] = []
        for start in range(0, len(candidates), _BATCH):
            batch = candidates[start : start + _BATCH]
            pending.append([pool.submit(take, candidate) for candidate in batch])
            if len(pending) == 2:
                yield [future.result() for future in pending.pop(0)]
        for futures in pending:
            yield [future.result() for future in futures]


def check(config: ImportImages) -> None:
    """Refuse what cannot be meant, before anything is read.

    Raises:
        ValueError: `split`, `crops`, `crop_margin` or `reference` has no meaning here.
    """
    _ratios(config)
    if config.crops not in ("whole", "boxes"):
        raise ValueError(f"crops must be whole or boxes, got {config.crops!r}")
    check_margin(config.crop_margin)
    if config.crops == "boxes" and config.reference:
        raise ValueError("crops are new images: they cannot stay where their whole images are")


def _ratios(config: ImportImages) -> Mapping[str, float] | None:
    """The shares of a draw; None where none is asked for."""
    if config.split == "keep":
        return None
    return DEFAULT_RATIOS if config.split == "auto" else parse_ratios(config.split)


def _draw_splits(workspace: Workspace, config: ImportImages, import_id: int) -> None:
    """Draw splits, stratified by label, for the images of this import that are to have one.

    Shots of one thing and near-duplicates stay together, also with what is in the workspace.
    """
    ratios = _ratios(config)
    if ratios is None:
        return
    rows = [row for row in intake.split_rows(workspace) if row.split or row.import_id == import_id]
    if all(row.split for row in rows):
        return
    drawn = assign_splits(
        [row.label for row in rows],
        ratios=ratios,
        seed=config.seed,
        groups=joined_groups(
            [row.shot_group for row in rows],
            [None if row.near_duplicates is None else str(row.near_duplicates) for row in rows],
        ),
        fixed=[row.split for row in rows],
    )
    intake.set_imported_splits(
        workspace,
        {row.id: split for row, split in zip(rows, drawn, strict=True) if row.split is None},
    )
