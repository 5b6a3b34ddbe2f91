"""Write images and labels out, so that what was decided here can be used elsewhere.

`folder` has a folder a class below a folder a split, `csv` a table `labels.csv` beside the images:
both can be imported again. `parquet` has the same table for data tools.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import OperatorError
from core.jobs.configs import ExportImages
from core.jobs.context import JobContext
from core.state import catalog
from core.state.catalog import Image
from core.state.clock import now

FORMATS = ("folder", "csv", "parquet")


def run(context: JobContext, config: ExportImages) -> Mapping[str, Any]:
    """Export all images; what is missing on disk is listed, not fatal.

    Raises:
        OperatorError: the target is not empty, or cannot be written.
        ValueError: there is no such format.
    """
    if config.format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {config.format!r}")
    target = Path(config.target) if config.target else context.folder / "export"
    if not config.target:
        shutil.rmtree(target, ignore_errors=True)  # of an attempt that was killed
    _make_empty(target)
    images = catalog.list_images(context.workspace, sort="oldest")
    rows, missing = [], []
    for image, place in _places(images, config.format):
        try:
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(catalog.image_path(context.workspace, image), target / place)
            rows.append(_row(image, place))
        except OSError as error:
            missing.append({"path": image.name, "reason": error.strerror or str(error)})
        context.report(0.9 * (len(rows) + len(missing)) / len(images), f"{len(rows):,} written")
    if config.format != "folder":
        _write_table(rows, target, config.format)
    result = {"n_exported": len(rows), "missing": missing, "format": config.format}
    if config.target:
        return {**result, "folder": str(target)}
    return {**result, "archive": _pack(context, target, config.format)}


def _make_empty(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise OperatorError(
                f"{target} is not empty.", next_step="Give a folder that is empty or not there yet."
            )
    except OSError as error:
        raise OperatorError(f"{target} cannot be written.", str(error.strerror)) from error


def _places(images: list[Image], format: str) -> Iterator[tuple[Image, PurePosixPath]]:
    for image in images:
        file = f"{image.id:06d}-{_safe(PurePosixPath(image.name).name)}"
        if format == "folder":
            label = _safe(image.label) if image.label else ""  # beside the class folders: no label
            yield image, PurePosixPath(image.split or "", label, file)
        else:
            yield image, PurePosixPath("images", file)


def _safe(name: str) -> str:
    """A name that every file system takes and that leads nowhere else."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(". ")[-120:] or "_"


def _row(image: Image, place: PurePosixPath) -> dict[str, Any]:
    return {
        "path": str(place),
        "label": image.label,
        "split": image.split,
        **image.attributes,
        "id": image.id,
        "sha256": image.sha256,
        "label_origin": image.label_origin,
        "excluded": image.excluded,
    }


def _write_table(rows: list[dict[str, Any]], target: Path, format: str) -> None:
    import pandas as pd

    table = pd.DataFrame(rows, columns=None if rows else ["path", "label", "split"])
    if format == "csv":
        table.to_csv(target / "labels.csv", index=False)
    else:
        table.to_parquet(target / "labels.parquet", index=False)


def _pack(context: JobContext, folder: Path, format: str) -> str:
    context.report(0.9, "Packing the archive")
    name = f"{now()[:19].replace(':', '')}-{format}.zip"
    archive = context.workspace.folder("exports") / name
    beside = archive.with_name(f".{name}")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as packed:  # images do not shrink
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, file.relative_to(folder))
    beside.rename(archive)
    shutil.rmtree(folder)
    return name
