"""Thumbnails: small pictures of every image, ready before anyone asks.

They live in one SQLite file, since a hundred thousand small files are slow to make, to copy and to
delete. The file is a cache: whatever is lost is made again from the images.
"""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

THUMBNAIL_SIDE_PX = 128

_SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 30.0
_KEYS_PER_QUERY = 900  # SQLite before 3.32 takes at most 999 variables
_THUMBNAIL_QUALITY = 80
_PREVIEW_QUALITY = 90

_logger = logging.getLogger(__name__)


def fit_within(image: Image.Image, *, side: int) -> Image.Image:
    """The image with its longer side at most `side` pixels; never enlarged, never without pixels.

    Algorithm: as many whole pixels as fit are averaged first, and only the rest is resampled: a
    640-pixel image is shrunk in a quarter of the time that resampling alone takes.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1 pixel, got {side}")
    longest = max(image.size)
    if longest <= side:
        return image
    size = (
        max(1, round(image.width * side / longest)),
        max(1, round(image.height * side / longest)),
    )
    return image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)


def make_thumbnail(image: Image.Image, *, side: int = THUMBNAIL_SIDE_PX) -> bytes:
    """A JPEG of an RGB image for grids and maps, its longer side at most `side` pixels."""
    return _as_jpeg(fit_within(image, side=side), quality=_THUMBNAIL_QUALITY)


def make_preview(image: Image.Image, *, side: int) -> bytes:
    """A JPEG of an RGB image to judge a defect by: as `make_thumbnail`, with finer detail kept."""
    return _as_jpeg(fit_within(image, side=side), quality=_PREVIEW_QUALITY)


def _as_jpeg(image: Image.Image, *, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


class ThumbnailStore:
    """Thumbnails by the sha256 of their image, in one SQLite file.

    Any number of threads and processes may read while one writes; a second writer waits. What
    `put_many` has returned from survives the death of its process. A file that is damaged or of
    another version is emptied and filled anew by whoever asks for what is `missing`.
    """

    def __init__(self, path: Path) -> None:
        """Open the store, or create it.

        Args:
            path: the file; its folder must exist.
        """
        self._path = path
        self._local = threading.local()
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, or no place to write to: nothing is wrong with the file
            _logger.warning("The thumbnails in %s are damaged and are made anew: %s", path, error)
            self.close()
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._prepare()

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Store (sha256, JPEG) pairs in one transaction; one that is there is replaced."""
        rows = [(_key(sha256), jpeg) for sha256, jpeg in items]
        connection = self._connection()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO thumbnail VALUES (?, ?)", rows)

    def get(self, sha256: str) -> bytes | None:
        """The thumbnail of an image, or None where there is none yet."""
        row = (
            self._connection()
            .execute("SELECT jpeg FROM thumbnail WHERE sha256 = ?", (_key(sha256),))
            .fetchone()
        )
        return None if row is None else row[0]

    def missing(self, sha256s: Sequence[str]) -> list[str]:
        """Those of `sha256s` that have no thumbnail, in their order."""
        stored: set[bytes] = set()
        for start in range(0, len(sha256s), _KEYS_PER_QUERY):
            keys = [_key(sha256) for sha256 in sha256s[start : start + _KEYS_PER_QUERY]]
            marks = ", ".join("?" * len(keys))
            query = f"SELECT sha256 FROM thumbnail WHERE sha256 IN ({marks})"
            stored.update(row[0] for row in self._connection().execute(query, keys))
        return [sha256 for sha256 in sha256s if _key(sha256) not in stored]

    def __len__(self) -> int:
        return self._connection().execute("SELECT COUNT(*) FROM thumbnail").fetchone()[0]

    @property
    def size_bytes(self) -> int:
        """Disk space taken, with the write-ahead log."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close this thread's connection; another is opened when the store is used again."""
        opened_in, connection = getattr(self._local, "opened", (0, None))
        if connection is not None and opened_in == os.getpid():
            connection.close()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        # A connection belongs to one thread, and must not be used on the other side of a fork.
        opened_in, connection = getattr(self._local, "opened", (0, None))
        if connection is None or opened_in != os.getpid():
            connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            connection.execute("PRAGMA synchronous = NORMAL")
            self._local.opened = (os.getpid(), connection)
        return connection

    def _prepare(self) -> None:
        connection = self._connection()
        if connection.execute("PRAGMA user_version").fetchone()[0] == _SCHEMA_VERSION:
            connection.execute("SELECT sha256 FROM thumbnail LIMIT 1").fetchone()
            return
        _switch_to_wal(connection)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA_VERSION:
                connection.execute("DROP TABLE IF EXISTS thumbnail")
                connection.execute(
                    "CREATE TABLE thumbnail (sha256 BLOB PRIMARY KEY, jpeg BLOB NOT NULL)"
                )
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for other openers here, whatever the timeout.
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _key(sha256: str) -> bytes:
    key = bytes.fromhex(sha256)
    if len(key) != 32:
        raise ValueError(f"a sha256 has 64 hexadecimal digits, got {sha256!r}")
    return key
