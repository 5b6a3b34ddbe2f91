"""Images in and out: `import`, `generate`, `export`."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from core.cli.looking import look_through
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
        help="folder (a folder a class), csv, parquet, voc, yolo, coco, roboflow, label-studio, or "
        "auto to find out",
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
        "--group-by",
        default="",
        metavar="COLUMN|REGEX",
        help="what tells shots of one thing, which no draw of splits divides: a column of the "
        r"source, or a regular expression on the files' paths such as 'panel-\d+'",
    )
    take_in.add_argument(
        "--crops",
        choices=("whole", "boxes"),
        default="whole",
        help="take whole images (the default), or cut out each box that is drawn on them",
    )
    take_in.add_argument(
        "--crop-margin",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="margin around a box, a share of its longer side (default: 0.25)",
    )
    take_in.add_argument(
        "--reference", action="store_true", help="leave the files where they are: nothing is copied"
    )
    take_in.add_argument(
        "--dry-run", action="store_true", help="only tell what the source holds; take nothing"
    )

    generate = add_command(
        commands, "generate", generate_images, summary="add synthetic paint defects"
    )
    generate.add_argument(
        "--n", type=whole_number(1), default=344, help="how many images (default: 344)"
    )
    generate.add_argument("--seed", type=whole_number(0), default=0, help="default: 0")
    kind = generate.add_mutually_exclusive_group()
    kind.add_argument(
        "--training-only",
        action="store_true",
        help="all into the training split; the only choice beside real images",
    )
    kind.add_argument(
        "--of-line",
        action="store_true",
        help="what a line brings after the data set: one half labelled, in the split calibration, "
        "the other without a label, for the triage",
    )

    export = add_command(commands, "export", export_images, summary="write images and labels out")
    export.add_argument("path", metavar="DIR", type=a_path, help="empty, or not there yet")
    export.add_argument(
        "--format",
        choices=("folder", "csv", "parquet", "coco", "label-studio"),
        default="folder",
        help="a folder a class (the default), or one folder of images beside a table or "
        "annotations; parquet takes embeddings, maps and clusters along",
    )


def import_images(session: Session, asked: Namespace) -> Answer:
    """Import; the workspace is made where there is none."""
    from core.images.formats.importers import FORMATS
    from core.jobs.steps.import_images import check

    config = ImportImages(
        source=str(asked.path),
        format=asked.format,
        split=asked.split,
        seed=asked.seed,
        reference=asked.reference,
        crops=asked.crops,
        crop_margin=asked.crop_margin,
        group_by=asked.group_by,
    )
    with wrong_usage():
        if asked.format not in ("auto", *FORMATS):
            known = ", ".join(FORMATS)
            raise ValueError(f"--format must be auto, {known}, got {asked.format!r}")
        check(config)
    if not asked.path.exists():  # looked at before a workspace is made for nothing
        raise OperatorError(f"There is nothing at {asked.path}.", next_step="Check the path.")
    if asked.dry_run:
        return look_through(session.settings, asked.path, format=asked.format)
    workspace = session.open(create=True)
    return _taken_in(session.do(workspace, config))


def generate_images(session: Session, asked: Namespace) -> Answer:
    """Generate; the workspace is made where there is none."""
    config = GenerateImages(
        n_images=asked.n,
        seed=asked.seed,
        training_only=asked.training_only,
        of_line=asked.of_line,
    )
    return _taken_in(session.do(session.open(create=True), config))


def export_images(session: Session, asked: Namespace) -> Answer:
    """Export all images into a folder."""
    config = ExportImages(format=asked.format, target=str(asked.path))
    result = session.do(session.open(), config)
    runs = f" with {result['n_runs']:,} runs" if result["n_runs"] else ""
    lines = [f"{result['n_exported']:,} images{runs} written to {result['folder']}."]
    return Answer(result, "\n".join([*lines, *_listed("could not be read", result["missing"])]))


def _taken_in(result: Mapping[str, Any]) -> Answer:
    known = f", {result['n_known']:,} known from an earlier import" if result["n_known"] else ""
    lines = [
        f"{result['n_imported']:,} images imported, {result['n_duplicates']:,} duplicates{known}.",
        *_listed("refused", result["rejected"]),
        f"Classes now: {counted(result['classes'])}.",
        f"Splits now: {counted(result['splits'])}.",
        *_near_duplicates(result["near_duplicates"]),
    ]
    return Answer(result, "\n".join(lines))


def _near_duplicates(found: Mapping[str, int]) -> list[str]:
    if not found["n_groups"]:
        return []
    text = f"{found['n_groups']:,} groups of images look alike (`duplicates` lists them)"
    if found["n_straddling"]:
        return [f"{text}; {found['n_straddling']:,} of them stand in several splits."]
    return [f"{text}; none stands in several splits."]


def _listed(what: str, files: Sequence[Mapping[str, str]]) -> list[str]:
    if not files:
        return []
    lines = [f"{len(files):,} {what}:"]
    lines += [f"  {file['path']}: {file['reason']}" for file in files[:_LISTED]]
    return lines + (["  ..."] if len(files) > _LISTED else [])
