"""Features that are not part of a run yet, on disk under a name made of all that shaped them.

An embedding that is stopped half way leaves them here, and so does whoever answers images as they
come in; the next embedding by the same weights takes them over. Several processes may add at once.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from core.state.workspace import Workspace

_MOST_FILES = 128  # one for each image would make a folder that takes longer to open than to read
_SMALL_BYTES = 4_000_000  # files below it are joined


class Chunks:
    """The features of some images of a workspace, shaped alike."""

    def __init__(self, workspace: Workspace, shaping: Mapping[str, Any]) -> None:
        name = hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]
        self._folder: Path = workspace.folder("embeddings", f".partial-{name}")

    def add(self, ids: Sequence[int], features: np.ndarray) -> None:
        """Keep the features of these images: float32 (n_images, n_features)."""
        self._write(np.array(ids, dtype=np.int64), features)
        small = [file for file in self._files() if file.stat().st_size < _SMALL_BYTES]
        if len(small) > _MOST_FILES:
            self._join(small)

    def load(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """(ids, features) of every chunk; an image may stand in several, with the same features."""
        return [(ids, features) for ids, features in self._read_all("image_ids", "features")]

    def ids(self) -> set[int]:
        """The images whose features are here."""
        return {i for (ids,) in self._read_all("image_ids") for i in ids.tolist()}

    def clear(self, stored: np.ndarray) -> None:
        """Remove what is part of a run now; what came in meanwhile stays.

        Args:
            stored: int64 (n_images,), the images of the run.
        """
        for file in self._files():
            with suppress(FileNotFoundError), np.load(file, allow_pickle=False) as chunk:
                if np.isin(chunk["image_ids"], stored).all():
                    file.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty, or gone
            self._folder.rmdir()

    def _write(self, ids: np.ndarray, features: np.ndarray) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)  # an embedding may have taken all over
        beside = self._folder / f".{uuid.uuid4().hex}.npz"
        np.savez(beside, image_ids=ids, features=features)
        beside.rename(self._folder / beside.name.lstrip("."))

    def _join(self, small: Sequence[Path]) -> None:
        """Make one file of several; it is there before they go: no image is ever missing."""
        chunks = [_read(file, ("image_ids", "features")) for file in small]
        ids, rows = np.unique(np.concatenate([ids for ids, _ in chunks]), return_index=True)
        self._write(ids, np.concatenate([features for _, features in chunks])[rows])
        for file in small:
            file.unlink(missing_ok=True)

    def _read_all(self, *names: str) -> list[tuple[np.ndarray, ...]]:
        while True:
            try:
                return [_read(file, names) for file in self._files()]
            except FileNotFoundError:  # joined with others meanwhile: look again
                continue

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.npz"))


def _read(file: Path, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    with np.load(file, allow_pickle=False) as chunk:
        return tuple(chunk[name] for name in names)
