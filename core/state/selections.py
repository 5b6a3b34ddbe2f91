"""Selections of images, kept by their content: a link can name one however large it is.

A file a selection, named by the hash of its ids. They are no facts, only what somebody looked at:
the oldest are dropped beyond a number.
"""

import hashlib

import numpy as np

from core.errors import OperatorError
from core.state.files import replace_file
from core.state.workspace import Workspace

_KEPT = 500


def save_selection(workspace: Workspace, ids: np.ndarray) -> str:
    """Keep a selection and return its name: 32 hex digits of the hash of its ids.

    Args:
        ids: int array (n_selected,), in any order.
    """
    ordered = np.unique(ids).astype("<i4")
    digest = hashlib.sha256(ordered.tobytes()).hexdigest()[:32]
    folder = workspace.folder("selections")
    path = folder / digest
    if path.exists():
        path.touch()
    else:
        replace_file(path, ordered.tobytes())
        _drop_oldest(workspace)
    return digest


def load_selection(workspace: Workspace, digest: str) -> np.ndarray:
    """int64 array (n_selected,), ascending.

    Raises:
        OperatorError: there is no such selection (any more).
    """
    path = workspace.path / "selections" / digest
    if not digest.isalnum() or not path.is_file():
        raise OperatorError("This selection is no longer kept.", next_step="Select again.")
    return np.frombuffer(path.read_bytes(), "<i4").astype(np.int64)


def _drop_oldest(workspace: Workspace) -> None:
    kept = sorted(
        (path for path in workspace.folder("selections").iterdir() if path.name.isalnum()),
        key=lambda path: path.stat().st_mtime,
    )
    for path in kept[:-_KEPT]:
        path.unlink(missing_ok=True)
