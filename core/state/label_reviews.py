"""Decisions of a person who looks through doubtful labels, written once however often they come.

A browser sends a decision again until it hears that it was written. Its token, a word and a number,
stands in the reason of the change, and by it a repeat is known.

An image that a person passes over is no decision, only what that person does not want to be asked
now: an empty file for each, below a folder for the person, which needs no lock and may come twice.
"""

import hashlib
from pathlib import Path

import sqlalchemy as sa

from core.errors import OperatorError
from core.state import catalog, labels
from core.state.database import reading
from core.state.schema import batches, changes
from core.state.workspace import Workspace


def decide_label(
    workspace: Workspace, image_id: int, label: str, *, seen: str, token: str, actor: str
) -> bool:
    """A person gives one image a label, or confirms the one it has; a repeat does nothing.

    Args:
        seen: the label that the image had on the person's screen.

    Returns:
        Whether it stands; False where somebody else has changed the label meanwhile, and theirs
        stays.

    Raises:
        OperatorError: there is no such image, or the label could be none.
    """
    if _batch_of(workspace, image_id, token) is not None:
        return True
    if catalog.get_image(workspace, image_id).label != seen:
        return False
    labels.relabel(workspace, [image_id], label, actor=actor, reason=_reason(token), confirm=True)
    return True


def take_back(workspace: Workspace, image_id: int, *, token: str, actor: str) -> None:
    """Undo the decision with this token; one that was not written, or is undone, stays so."""
    batch_id = _batch_of(workspace, image_id, token)
    if batch_id is None:
        return
    try:
        labels.undo(workspace, batch_id, actor=actor)
    except OperatorError:
        return  # undone already


def pass_over(workspace: Workspace, image_id: int, *, actor: str) -> None:
    """Ask this person of this image no more, until `ask_again`."""
    (_skips(workspace, actor) / str(image_id)).touch()


def ask_again(workspace: Workspace, *, actor: str, image_id: int | None = None) -> None:
    """Ask this person of an image passed over; of all of them where none is given."""
    some = passed_over(workspace, actor=actor) if image_id is None else {image_id}
    for each in some:
        (_skips(workspace, actor) / str(each)).unlink(missing_ok=True)


def passed_over(workspace: Workspace, *, actor: str) -> set[int]:
    """Ids of the images that this person passed over."""
    return {int(path.name) for path in _skips(workspace, actor).iterdir() if path.name.isdecimal()}


def _skips(workspace: Workspace, actor: str) -> Path:
    # By a hash, for a name may hold what no file name can.
    person = hashlib.sha256(actor.encode()).hexdigest()[:16]
    folder = workspace.folder("review_skips") / person
    folder.mkdir(exist_ok=True)
    return folder


def _batch_of(workspace: Workspace, image_id: int, token: str) -> int | None:
    query = (
        sa.select(changes.c.batch_id)
        .join(batches, batches.c.id == changes.c.batch_id)
        .where(
            changes.c.image_id == image_id,
            changes.c.reason == _reason(token),
            batches.c.undoes.is_(None),
        )
    )
    with reading(workspace) as connection:
        return connection.execute(query).scalars().first()


def _reason(token: str) -> str:
    return f"review of doubtful labels {token}"
