"""Decisions of a person who looks through doubtful labels, written once however often they come.

A browser sends a decision again until it hears that it was written. Its token, a word and a number,
stands in the reason of the change, and by it a repeat is known.
"""

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
