"""Which files of a camera's folder are complete, and may be taken in?

A camera, or a copy over a network, writes a file piece by piece, and nothing says when it ends. The
folder is looked at again and again, for shares on a network tell nobody of what happens on them:

1. Hidden and temporary names (`.x`, `x~`, `x.part`, `x.tmp` …) wait until they are renamed.
2. A file that has the same size and time of change at two looks is tried.
3. Where it cannot be decoded it may still be half written: it is tried once more when it has not
   changed for `grace_s` seconds, and refused then.
4. A file that changes later is another file under the same name, and is tried again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.images.formats.scanning import is_hidden
from core.vocabulary import printable

GRACE_S = 5.0
_UNFINISHED = ("~", ".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".writing")


@dataclass(frozen=True)
class Arrival:
    """A file that has come to rest.

    Attributes:
        path: where it is.
        relative: its path below the folder, with forward slashes.
        fingerprint: its size and time of change, which tell it from another under its name.
        changed_at: when it last changed, in seconds since the epoch: as its file system says, as
            far as that agrees with the looks; a copy may bring an old time along.
    """

    path: Path
    relative: str
    fingerprint: str
    changed_at: float


@dataclass
class _Pending:
    arrival: Arrival
    seen_at: float  # of the first look that found it as it is now
    was_tried: bool = False


class WatchedFolder:
    """A folder that is looked at again and again; it remembers what is settled, and what is not.

    Args:
        root: the folder; its subfolders count, links to elsewhere do not.
        settled: (relative path, fingerprint) of the files that need no look any more.
        grace_s: seconds without a change after which a file that cannot be read is refused.
    """

    def __init__(
        self, root: Path, *, settled: Iterable[tuple[str, str]], grace_s: float = GRACE_S
    ) -> None:
        self.root = root
        self._grace_s = grace_s
        self._settled: dict[str, set[str]] = {}
        self._pending: dict[str, _Pending] = {}
        self._looked_at: float | None = None
        for relative, fingerprint in settled:
            self.settle(relative, fingerprint)

    @property
    def n_waiting(self) -> int:
        """Files that were seen and are not settled."""
        return len(self._pending)

    def look(self, now: float) -> list[Arrival]:
        """Files that may be tried now, the longest at rest first.

        Args:
            now: seconds since the epoch, never less than at the look before.

        Raises:
            OSError: the folder itself cannot be read.
        """
        before = now if self._looked_at is None else self._looked_at
        found = {}
        for entry in _files(self.root):
            try:
                status = entry.stat()
            except OSError:
                continue  # renamed or removed between the two calls
            relative = printable(os.path.relpath(entry.path, self.root).replace(os.sep, "/"))
            fingerprint = f"{status.st_size}-{status.st_mtime_ns}"
            if fingerprint in self._settled.get(relative, ()):
                continue
            last = self._pending.get(relative)
            if last is None or last.arrival.fingerprint != fingerprint:
                changed_at = min(max(status.st_mtime, before), now)
                last = _Pending(Arrival(Path(entry.path), relative, fingerprint, changed_at), now)
            found[relative] = last
        self._pending, self._looked_at = found, now
        ready = [each for each in found.values() if self._is_due(each, now)]
        return [each.arrival for each in sorted(ready, key=lambda each: each.arrival.changed_at)]

    def settle(self, relative: str, fingerprint: str) -> None:
        """Never name this file again, as long as it does not change."""
        self._settled.setdefault(relative, set()).add(fingerprint)
        self._pending.pop(relative, None)

    def is_hopeless(self, arrival: Arrival, now: float) -> bool:
        """Whether a file that cannot be read is to be refused, rather than waited for.

        A file that waits is named again when its time is up, or as soon as it has changed.
        """
        pending = self._pending.get(arrival.relative)
        if pending is None or pending.arrival != arrival:
            return False  # it has changed, or gone
        pending.was_tried = True
        return now - pending.seen_at >= self._grace_s

    def _is_due(self, pending: _Pending, now: float) -> bool:
        if pending.seen_at == now:
            return False  # one look says nothing
        return not pending.was_tried or now - pending.seen_at >= self._grace_s


def is_unfinished(name: str) -> bool:
    """Whether a name says that its file is hidden, or still being written."""
    return is_hidden(name) or name.lower().endswith(_UNFINISHED)


def _files(root: Path) -> Iterator[os.DirEntry[str]]:
    """All regular files below a folder; a subfolder that vanishes meanwhile is passed over."""
    folders = [os.fspath(root)]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            if folder == os.fspath(root):
                raise
            continue
        for entry in entries:
            if is_unfinished(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
