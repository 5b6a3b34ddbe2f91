"""Look through a source: what does it hold, before anything of it is taken?

An archive is unpacked where the import that follows finds it. Names, tables, boxes and headers are
read; of the images themselves only the first few, for a person to see.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, ImageDraw

from core.annotations import Box
from core.errors import OperatorError
from core.images.crops import crop_box
from core.images.formats.importers import FORMATS, Candidate, scan
from core.images.reading import ImageRejected, read_image
from core.images.thumbnails import fit_within, make_preview
from core.jobs.configs import LookThrough
from core.jobs.context import JobContext
from core.jobs.findings import Findings, Picture, Surroundings, save_findings
from core.jobs.previews import WIDEST_MARGIN
from core.jobs.steps.unpacking import discard_unpacked, unpack
from core.settings import load_settings
from core.state import uploads

N_PICTURES = 12
N_SURROUNDINGS = 6
PICTURE_SIDE_PX = 320
_BOX_COLOUR = "#ffc400"  # no painted or rolled surface has it
_BOX_LINE_PX = 2

# How far a look is when a part of it is done.
_UNPACKED, _SCANNED, _MEASURED, _PICTURED = 0.6, 0.8, 0.9, 0.95

Report = Callable[[float, str], None]

T = TypeVar("T")


def run(context: JobContext, config: LookThrough) -> Mapping[str, Any]:
    """Look through a folder, a table or an archive.

    Raises:
        OperatorError: the source is not there, lies outside `config.within`, is no known format, or
            cannot be unpacked.
    """
    source = Path(config.source)
    check_within(source, config.within)
    is_archive = source.is_file() and source.suffix.lower() == ".zip"
    folder, refused = unpack(context, source, until=_UNPACKED) if is_archive else (source, [])
    try:
        findings = examine(folder, format=config.format, refused=refused, report=context.report)
    finally:
        if is_archive and not uploads.is_upload(context.workspace, source):
            discard_unpacked(context, source)
    save_findings(context.workspace, context.job.id, findings)
    return {
        "format": findings.format,
        "n_images": findings.n_images,
        "n_refused": len(findings.refused),
        "classes": dict(findings.classes),
    }


def check_within(source: Path, within: str) -> None:
    """Refuse a source that does not lie, all links followed, in the folder that it must lie in.

    Raises:
        OperatorError: it lies elsewhere.
    """
    if within and not source.resolve().is_relative_to(Path(within).resolve()):
        raise OperatorError(
            f"{source} lies outside the allowed folder.",
            next_step=f"Choose a folder or table below {within}.",
        )


def examine(
    folder: Path, *, format: str, refused: Sequence[tuple[str, str]], report: Report
) -> Findings:
    """What a folder or a table holds.

    Args:
        format: `auto`, or the name of an importer.
        refused: (path, reason) of what was turned down before.
        report: told how far it is, in [0, 1], and at what; what it raises ends the look.

    Raises:
        OperatorError: the folder is not there, or is not laid out as `format` says.
    """
    report(_UNPACKED, "Looking through the files")
    found = scan(folder, format=format)
    candidates = found.candidates
    columns = sorted({name for each in candidates for name in each.attributes})
    labels = tuple(each.label for each in candidates)
    by_count = [label for label, _ in Counter(labels).most_common()]
    return Findings(
        format=found.format,
        formats=tuple(name for name, entry in FORMATS.items() if entry.matches(folder)),
        names=tuple(each.relative for each in candidates),
        labels=labels,
        splits=tuple(each.split for each in candidates),
        groups=tuple(each.group for each in candidates),
        boxes=tuple(tuple(box.label for box in each.boxes) for each in candidates),
        attributes={
            name: tuple(each.attributes.get(name) for each in candidates) for name in columns
        },
        refused=(*refused, *((each.path, each.reason) for each in found.rejected)),
        n_ignored=len(found.ignored),
        n_bytes=_size(candidates, report),
        n_decisions=sum(len(each.decisions) for each in candidates),
        people=tuple(sorted(_people(candidates))),
        n_excluded=sum(each.excluded for each in candidates),
        n_queued=sum(bool(each.queued) for each in candidates),
        pictures=_pictures(candidates, by_count, report),
        surroundings=_surroundings(candidates, report),
    )


def _people(candidates: Sequence[Candidate]) -> set[str]:
    return {
        decision.actor
        for candidate in candidates
        for decision in candidate.decisions
        if decision.origin == "human"
    }


def _size(candidates: Sequence[Candidate], report: Report) -> int:
    """Bytes of all images' files; one that cannot be looked at counts nothing."""
    n_bytes = 0
    for number, candidate in enumerate(candidates):
        if number % 1000 == 0:
            report(_SCANNED, f"{number:,} of {len(candidates):,} files measured")
        try:
            n_bytes += candidate.path.stat().st_size
        except OSError:
            continue
    return n_bytes


def _pictures(
    candidates: Sequence[Candidate], labels: Sequence[str | None], report: Report
) -> tuple[Picture, ...]:
    by_label: dict[str | None, list[Candidate]] = {label: [] for label in labels}
    for candidate in candidates:
        by_label[candidate.label].append(candidate)
    pictures = []
    for candidate in _in_turn(list(by_label.values()), N_PICTURES):
        report(_MEASURED, "Reading the first images")
        pictures.append(_picture(candidate))
    return tuple(pictures)


def _picture(candidate: Candidate) -> Picture:
    picture = Picture(candidate.relative, candidate.label, candidate.split)
    try:
        whole = read_image(candidate.path, max_pixels=load_settings().max_image_pixels)
    except ImageRejected as error:
        return replace(picture, refused=error.reason)
    shown = fit_within(whole, side=PICTURE_SIDE_PX)
    scale = shown.width / whole.width
    draw = ImageDraw.Draw(shown)
    for box in candidate.boxes:
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        scaled = [round(scale * corner) for corner in corners]
        draw.rectangle(scaled, outline=_BOX_COLOUR, width=_BOX_LINE_PX)
    return replace(picture, jpeg=make_preview(shown, side=PICTURE_SIDE_PX))


def _surroundings(candidates: Sequence[Candidate], report: Report) -> tuple[Surroundings, ...]:
    by_label: dict[str, list[tuple[Candidate, Box]]] = defaultdict(list)
    for candidate in candidates:
        for box in candidate.boxes:
            by_label[box.label].append((candidate, box))
    surroundings = []
    for candidate, box in _in_turn(list(by_label.values()), N_SURROUNDINGS):
        report(_PICTURED, "Cutting out the first boxes")
        try:
            whole = read_image(candidate.path, max_pixels=load_settings().max_image_pixels)
            surroundings.append(_cut_wide(whole, box))
        except (ImageRejected, ValueError):
            continue  # the import lists it with its reason
    return tuple(surroundings)


def _cut_wide(whole: Image.Image, box: Box) -> Surroundings:
    cut, _, inside = crop_box(whole, box, margin=WIDEST_MARGIN, source="", source_sha256="")
    shown = fit_within(cut, side=PICTURE_SIDE_PX)
    scale = shown.width / cut.width
    scaled = Box(
        inside.label,
        *(scale * side for side in (inside.x, inside.y, inside.width, inside.height)),
    )
    return Surroundings(scaled, make_preview(shown, side=PICTURE_SIDE_PX))


def _in_turn(kinds: Sequence[Sequence[T]], at_most: int) -> list[T]:
    """The first of each kind, then the second of each, and on."""
    longest = max(map(len, kinds), default=0)
    rounds = (kind[i] for i in range(longest) for kind in kinds if i < len(kind))
    return list(islice(rounds, at_most))
