"""Images in and out: `import`, `generate`, `export`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from core.cli.parser import Commands, a_path, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session, counted
from core.errors import OperatorError
from core.jobs.configs import ExportImages, GenerateImages, ImportImages

_LISTED = 10  # refused files named in the text; the JSON has them all


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    take_in = add_command(
        commands, "import", import_images, summary="take in images from a folder, a CSV or a zip"
    )
    take_in.add_argument("path", metavar="PATH", type=a_path)
    take_in.add_argument(
        "--format",
        default="auto",
        help="folder (a folder a class), csv, voc, yolo, coco, roboflow, or auto to find out",
    )
    take_in.add_argument(
        "--split",
        default="auto",
        metavar="auto|keep|T/V/C/S",
        help="keep the source's splits, draw by shares of train/validation/calibration/test such "
        "as 60/15/10/15, or auto: keep where there are some, else draw",
    )
    take_in.add_argument("--seed", type=whole_number(0), default=0, help="of the draw (default: 0)")
    take_in.add_argument(
        "--reference", action="store_true", help="leave the files where they are: nothing is copied"
    )

    generate = add_command(
        commands, "generate", generate_images, summary="add synthetic paint defects"
    )
    generate.add_argument(
        "--n", type=whole_number(1), default=344, help="how many images (default: 344)"
    )
    generate.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    generate.add_argument(
        "--training-only",
        action="store_true",
        help="all into the training split; the only choice beside real images",
    )

    export = add_command(commands, "export", export_images, summary="write images and labels out")
    export.add_argument("path", metavar="DIR", type=a_path, help="empty, or not there yet")
    export.add_argument(
        "--format",
        choices=("folder", "csv", "parquet"),
        default="folder",
        help="a folder a class (the default), or the images beside a table",
    )


def import_images(session: Session, asked: Namespace) -> Answer:
    """Import; the workspace is made where there is none."""
    from core.images.importers import FORMATS
    from core.images.splits import parse_ratios

    with wrong_usage():
        if asked.format not in ("auto", *FORMATS):
            known = ", ".join(FORMATS)
            raise ValueError(f"--format must be auto, {known}, got {asked.format!r}")
        if asked.split not in ("auto", "keep"):
            parse_ratios(asked.split)
    if not asked.path.exists():  # looked at before a workspace is made for nothing
        raise OperatorError(f"There is nothing at {asked.path}.", next_step="Check the path.")
    config = ImportImages(
        source=str(asked.path),
        format=asked.format,
        split=asked.split,
        seed=asked.seed,
        reference=asked.reference,
    )
    workspace = session.open(create=True)
    return _taken_in(session.do(workspace, config))


def generate_images(session: Session, asked: Namespace) -> Answer:
    """Generate; the workspace is made where there is none."""
    config = GenerateImages(n_images=asked.n, seed=asked.seed, training_only=asked.training_only)
    return _taken_in(session.do(session.open(create=True), config))


def export_images(session: Session, asked: Namespace) -> Answer:
    """Export all images into a folder."""
    config = ExportImages(format=asked.format, target=str(asked.path))
    result = session.do(session.open(), config)
    lines = [f"{result['n_exported']:,} images written to {result['folder']}."]
    return Answer(result, "\n".join([*lines, *_listed("could not be read", result["missing"])]))


def _taken_in(result: Mapping[str, Any]) -> Answer:
    known = f", {result['n_known']:,} known from an earlier import" if result["n_known"] else ""
    lines = [
        f"{result['n_imported']:,} images imported, {result['n_duplicates']:,} duplicates{known}.",
        *_listed("refused", result["rejected"]),
        f"Classes now: {counted(result['classes'])}.",
        f"Splits now: {counted(result['splits'])}.",
    ]
    return Answer(result, "\n".join(lines))


def _listed(what: str, files: Sequence[Mapping[str, str]]) -> list[str]:
    if not files:
        return []
    lines = [f"{len(files):,} {what}:"]
    lines += [f"  {file['path']}: {file['reason']}" for file in files[:_LISTED]]
    return lines + (["  ..."] if len(files) > _LISTED else [])
