"""What must not stand in two splits, and the split that sources lack: two commands about leaks."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.cli.parser import Commands, add_command, whole_number, wrong_usage
from core.cli.session import Answer, Session, counted

if TYPE_CHECKING:
    from core.state.near_duplicates import LookAlike


def add_commands(commands: Commands) -> None:
    """Add these commands."""
    add_command(
        commands,
        "duplicates",
        list_duplicates,
        summary="list the files that came twice, and the images that look alike",
    )

    calibration = add_command(
        commands,
        "split-calibration",
        split_off_calibration,
        summary="move a share of the validation images into calibration, before training",
    )
    calibration.add_argument(
        "--share", type=float, default=0.5, help="of validation's images (default: 0.5)"
    )
    calibration.add_argument(
        "--seed", type=whole_number(0), default=0, help="of the draw (default: 0)"
    )


def list_duplicates(session: Session, asked: Namespace) -> Answer:
    """The groups of exact duplicates and of near-duplicates."""
    from core.state import catalog, near_duplicates

    workspace = session.open()
    exact = catalog.list_duplicates(workspace)
    groups: dict[int, list[LookAlike]] = {}
    for each in near_duplicates.list_look_alikes(workspace):
        groups.setdefault(each.number, []).append(each)
    straddling = {
        number
        for number, group in groups.items()
        if len({each.split for each in group} - {None}) > 1
    }
    lines = [f"{len(exact):,} images came from several files:"]
    lines += [f"  {' = '.join(paths)}" for _, paths in exact]
    lines += [f"{len(groups):,} groups of images look alike:"]
    for number, group in groups.items():
        shown = " ~ ".join(each.name for each in group)
        lines.append(f"  {shown}{'  (in several splits)' if number in straddling else ''}")
    answer = {
        "exact": [{"image": image_id, "paths": list(paths)} for image_id, paths in exact],
        "near": [
            {"images": [_look_alike(each) for each in group], "straddles": number in straddling}
            for number, group in groups.items()
        ],
    }
    return Answer(answer, "\n".join(lines))


def _look_alike(each: LookAlike) -> Mapping[str, Any]:
    return {"image": each.image_id, "name": each.name, "label": each.label, "split": each.split}


def split_off_calibration(session: Session, asked: Namespace) -> Answer:
    """Move validation images to calibration; the change can be undone like any other."""
    from core import actions
    from core.state import catalog

    workspace = session.open()
    with wrong_usage():
        if not 0 < asked.share < 1:
            raise ValueError(f"--share must lie between 0 and 1, got {asked.share}")
    batch = actions.split_off_calibration(
        workspace, actor=session.actor, share=asked.share, seed=asked.seed
    )
    splits = catalog.summarise(workspace).n_by_split
    return Answer(
        {"n_moved": batch.n_changes, "batch": batch.id, "splits": splits},
        f"{batch.n_changes:,} images moved to calibration. Splits now: {counted(splits)}.",
    )
