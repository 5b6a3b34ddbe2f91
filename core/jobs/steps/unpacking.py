"""Unpack an archive once: whoever looks through an upload leaves its files for who imports it.

Files are unpacked beside and renamed into place with the list of what was refused, so that a
killed job leaves no half folder that looks whole.
"""

import json
import shutil
from pathlib import Path

from core.images.archives import content_root, extract_zip
from core.jobs.context import JobContext
from core.settings import load_settings
from core.state import uploads

_FILES = "files"
_REFUSED = "refused.json"


def unpack(
    context: JobContext, archive: Path, *, until: float = 0.1
) -> tuple[Path, list[tuple[str, str]]]:
    """Unpack an archive, or find it unpacked.

    An upload is unpacked into the workspace's uploads, where the next job finds it; an archive from
    elsewhere into the job's own folder, where the job finds it again when it resumes.

    Args:
        until: the job's progress once it is unpacked, in [0, 1].

    Returns:
        The folder where the archive's content begins, and (path, reason) of its refused entries.

    Raises:
        OperatorError: the archive cannot be unpacked.
    """
    uploads.discard_abandoned(context.workspace)
    place, beside = _places(context, archive)
    if not (place / _REFUSED).exists():
        shutil.rmtree(beside, ignore_errors=True)  # of an attempt that was killed
        try:
            refused = extract_zip(
                archive,
                beside / _FILES,
                max_bytes=load_settings().max_upload_mb * 1_000_000,
                on_progress=lambda share: context.report(until * share, "Unpacking the archive"),
            )
            rows = [[entry.path, entry.reason] for entry in refused]
            (beside / _REFUSED).write_text(json.dumps(rows), encoding="utf-8")
            beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    rows = json.loads((place / _REFUSED).read_text(encoding="utf-8"))
    return content_root(place / _FILES), [(path, reason) for path, reason in rows]


def discard_unpacked(context: JobContext, archive: Path) -> None:
    """Remove what was unpacked of an archive; an upload goes with it."""
    if uploads.is_upload(context.workspace, archive):
        uploads.discard(context.workspace, archive)
    else:
        shutil.rmtree(_places(context, archive)[0], ignore_errors=True)


def _places(context: JobContext, archive: Path) -> tuple[Path, Path]:
    """Where the archive's files are to lie, and where this job unpacks them."""
    if uploads.is_upload(context.workspace, archive):
        place = uploads.unpacked_folder(context.workspace, archive)
        return place, uploads.unpacking_folder(context.workspace, archive, context.job.id)
    return context.folder / "unpacked", context.folder / ".unpacking"
