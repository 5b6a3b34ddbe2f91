"""`import --dry-run`: what would an import find? Nothing is taken, and no workspace is needed."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from core.cli.session import Answer, counted
from core.settings import Settings

_LISTED = 10  # refused files named in the text; the JSON has them all


def look_through(settings: Settings, path: Path, *, format: str) -> Answer:
    """Look through a folder, a table or an archive, which is unpacked into a temporary folder.

    Raises:
        OperatorError: there is nothing at `path`, it is no known format, or cannot be unpacked.
    """
    from core.images.archives import content_root, extract_zip
    from core.jobs.steps.look_through import examine

    with tempfile.TemporaryDirectory(prefix="lacquer-") as folder:
        refused: list[tuple[str, str]] = []
        if path.is_file() and path.suffix.lower() == ".zip":
            unpacked = Path(folder, "unpacked")
            max_bytes = settings.max_upload_mb * 1_000_000
            entries = extract_zip(path, unpacked, max_bytes=max_bytes)
            refused = [(entry.path, entry.reason) for entry in entries]
            path = content_root(unpacked)
        found = examine(path, format=format, refused=refused, report=lambda share, step: None)
    splits = Counter(split for split in found.splits if split is not None)
    data: dict[str, Any] = {
        "format": found.format,
        "formats": list(found.formats),
        "n_images": found.n_images,
        "n_bytes": found.n_bytes,
        "classes": dict(found.classes),
        "splits": dict(splits),
        "by_class_and_split": [
            {"class": label, "split": split, "n_images": n_images}
            for label, split, n_images in found.by_label_and_split
        ],
        "n_boxes": found.n_boxes,
        "n_without_boxes": found.n_without_boxes,
        "columns": list(found.attributes),
        "n_ignored": found.n_ignored,
        "rejected": [{"path": path, "reason": reason} for path, reason in found.refused],
    }
    others = ", ".join(name for name in found.formats if name != found.format)
    lines = [
        f"Read as {found.format}" + (f"; it could be read as {others} as well." if others else "."),
        f"{found.n_images:,} images, {found.n_bytes / 1e6:,.1f} MB, {found.n_boxes:,} boxes.",
        f"Classes: {counted(found.classes)}.",
        f"Splits: {counted(splits)}.",
        f"Columns: {', '.join(found.attributes) or 'none'}.",
        f"Refused by name, table or box: {len(found.refused):,}.",
        *(f"  {path}: {reason}" for path, reason in found.refused[:_LISTED]),
        *(["  ..."] if len(found.refused) > _LISTED else []),
        "Nothing was taken. Damaged pixels show only when the files are read.",
    ]
    return Answer(data, "\n".join(lines))
