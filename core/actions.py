"""Quick actions of pages that join what is stored with light computation; nothing here is a job."""

from core.analysis.audits import AuditReading, read_audit
from core.errors import OperatorError
from core.images.grouping import joined_groups
from core.images.splits import split_off_calibration as draw_calibration
from core.state import applications, decisions, intake, labels, near_duplicates, retyping
from core.state.change_log import Batch
from core.state.labels import Undone
from core.state.workspace import Workspace
from core.vocabulary import SPLITS


def split_off_calibration(
    workspace: Workspace, *, actor: str, share: float = 0.5, seed: int = 0
) -> Batch:
    """Move a share of validation into calibration, stratified by label; it can be undone.

    Shots of one thing and near-duplicates stay together. Thresholds are set on calibration alone,
    so nothing may have been trained or chosen by those images before: do it before training.

    Args:
        share: of validation's images, in (0, 1).
        seed: of the draw.

    Raises:
        OperatorError: validation is too small to be divided.
        ValueError: `share` is out of its range.
    """
    rows = intake.split_rows(workspace)
    splits = draw_calibration(
        [row.label for row in rows],
        [row.split for row in rows],
        joined_groups(
            [row.shot_group for row in rows],
            [None if row.near_duplicates is None else str(row.near_duplicates) for row in rows],
        ),
        share=share,
        seed=seed,
    )
    moved = [row.id for row, split in zip(rows, splits, strict=True) if split != row.split]
    if not moved:
        raise OperatorError(
            "There is nothing to split off.",
            "Validation has too few images that stand in no group with other splits.",
            "Import more images, or move some to validation first.",
        )
    return labels.set_split(workspace, moved, "calibration", actor=actor)


def undo(workspace: Workspace, batch_id: int, *, actor: str) -> Undone:
    """Take a change back with all that belongs to it: labels, decisions, checks, types.

    Raises:
        OperatorError: there is no such change, or it has been undone already.
    """
    batch = labels.find_batch(workspace, batch_id)
    if batch.action == "auto_label":
        done = applications.revert_batch(workspace, batch.id, actor=actor)
        return Undone(batch.id, done.n_restored, done.n_kept)
    if batch.action == "decide":
        decisions.take_back_label(workspace, batch.id, actor=actor)
        return Undone(batch.id, batch.n_changes, 0)
    if batch.action == retyping.ACTION:
        restored = retyping.undo(workspace, batch.id, actor=actor)
        return Undone(restored.id, restored.n_changes, max(0, batch.n_changes - restored.n_changes))
    return labels.undo(workspace, batch.id, actor=actor)


def role_to_undo(workspace: Workspace, batch_id: int) -> str:
    """The least role that may take a change back: the one that may make it.

    Raises:
        OperatorError: there is no such change.
    """
    batch = labels.find_batch(workspace, batch_id)
    while batch.undoes is not None:  # what undoes a change makes it anew when it is undone
        batch = labels.find_batch(workspace, batch.undoes)
    is_of_types = batch.action == retyping.ACTION and batch.detail["what"] != "add"
    return "data scientist" if batch.action == "auto_label" or is_of_types else "operator"


def watch_audit(workspace: Workspace) -> AuditReading | None:
    """Let automatic labelling rest where its measured error is above the promise beyond chance.

    To be called after every decision; it costs little where nothing is audited.

    Returns:
        The audit as it stands now; None where nothing has been labelled automatically.
    """
    found = read_audit(workspace)
    if found is None or found.is_paused or not found.is_broken:
        return found
    measure = found.measure
    applications.pause(
        workspace,
        f"{measure.n_wrong:,} of {measure.n_checked:,} automatic labels that people checked were "
        f"wrong: more than {measure.anytime_low:.1%} of all are, and "
        f"{found.application.max_error:.1%} was promised.",
        actor="audit",
        evidence={
            "model": found.application.model,
            "promised": found.application.max_error,
            "n_checked": measure.n_checked,
            "n_wrong": measure.n_wrong,
            "anytime_low": measure.anytime_low,
        },
    )
    return read_audit(workspace)


def unite_look_alikes(workspace: Workspace, *, actor: str) -> Batch:
    """Move near-duplicates that stand in several splits into one, in one batch.

    A group goes to the earliest of its splits, in the order of `SPLITS`: what was trained on must
    not be asked again, and what leaves the test split harms no figure but its own size.

    Raises:
        OperatorError: no group stands in several splits.
    """
    splits_of: dict[int, dict[int, str]] = {}
    for each in near_duplicates.list_look_alikes(workspace):
        if each.split and not each.excluded:
            splits_of.setdefault(each.number, {})[each.image_id] = each.split
    moved: dict[int, str | None] = {}
    for splits in splits_of.values():
        target = min(splits.values(), key=SPLITS.index)
        moved |= {image_id: target for image_id, split in splits.items() if split != target}
    if not moved:
        raise OperatorError("No images that look alike stand in several splits.")
    return labels.set_splits(workspace, moved, actor=actor, reason="near-duplicates share a split")
