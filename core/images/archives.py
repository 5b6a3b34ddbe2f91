"""Archives: which files of an uploaded zip may be unpacked, and where do its images begin?

An archive is hostile. Nothing is written outside the target folder, no link or special file is
made, nothing inside is opened a second time, and the bytes written are counted while they are
written, since headers lie. One bad entry is listed with its reason and never stops the rest.
"""

import errno
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import OperatorError
from core.images.formats.scanning import Rejection, is_hidden
from core.images.splits import split_named
from core.vocabulary import printable

_CHUNK_BYTES = 1 << 20
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 1024
_ENCRYPTED_FLAG = 0x1
_UTF8_NAME_FLAG = 0x800
_ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"})


class _EntryRefused(Exception):
    """Why one entry of an archive is not unpacked."""


class _Budget:
    """Bytes that may still be written; what a refused entry wrote is not given back."""

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes

    def check(self, n_bytes: int) -> None:
        if n_bytes > self._left:
            raise _EntryRefused(
                f"{n_bytes / 1e6:,.1f} MB: the archive would unpack to more than is allowed"
            )

    def spend(self, n_bytes: int) -> None:
        self.check(n_bytes)
        self._left -= n_bytes


def extract_zip(
    source: Path | BinaryIO,
    into: Path,
    *,
    max_bytes: int,
    max_files: int = 500_000,
    on_progress: Callable[[float], None] = lambda share: None,
) -> tuple[Rejection, ...]:
    """Unpack a zip's files into a folder.

    Args:
        source: the archive, as a file or as an open binary stream that can seek.
        into: an empty folder, or one that does not exist yet.
        max_bytes: most bytes that are written; an entry that would pass it is refused. What a
            refused entry wrote before it was found out counts as well.
        max_files: an archive with more entries is refused as a whole.
        on_progress: told before each entry what share of the work is done, in [0, 1]; what it
            raises ends the unpacking there.

    Returns:
        The entries that were not unpacked, each with its reason.

    Raises:
        OperatorError: the file is no zip archive, its table of contents is damaged, or it has too
            many entries.
    """
    try:
        archive = zipfile.ZipFile(source)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        EOFError,
        OSError,
        struct.error,
    ) as error:
        raise OperatorError(
            "The archive cannot be opened.",
            f"It is no zip file, or it is damaged or was not transferred whole ({error}).",
            "Zip the images again, or transfer the file again.",
        ) from error
    with archive:
        entries = archive.infolist()
        if len(entries) > max_files:
            raise OperatorError(
                "The archive has too many files.",
                f"It has {len(entries):,} entries; at most {max_files:,} are unpacked.",
                "Split it into several archives and import one after the other.",
            )
        into.mkdir(parents=True, exist_ok=True)
        return _extract_entries(archive, entries, into, _Budget(max_bytes), on_progress)


def content_root(folder: Path) -> Path:
    """The folder where an unpacked archive's content begins, below any single wrapping folders.

    A zip made of a folder holds that folder alone. It is a wrapper, not a class, where it holds
    folders or a table of its own; a folder named like a split is never one.
    """
    while True:
        children = [child for child in folder.iterdir() if not is_hidden(child.name)]
        if len(children) != 1 or not _is_wrapper(children[0]):
            return folder
        folder = children[0]


def _is_wrapper(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir() or split_named(path.name):
        return False
    return any(
        child.is_dir() or child.suffix.lower() in {".csv", ".tsv"}
        for child in path.iterdir()
        if not is_hidden(child.name)
    )


def _extract_entries(
    archive: zipfile.ZipFile,
    entries: list[zipfile.ZipInfo],
    into: Path,
    budget: _Budget,
    on_progress: Callable[[float], None],
) -> tuple[Rejection, ...]:
    rejected: list[Rejection] = []
    n_packed, n_read = sum(entry.compress_size for entry in entries), 0
    for entry in entries:
        on_progress(min(n_read / max(n_packed, 1), 1.0))
        n_read += entry.compress_size
        name = _entry_name(entry)
        if name.endswith("/"):
            continue
        try:
            parts = _safe_parts(name)
            _check_entry(entry, name, budget)
            _write_entry(archive, entry, into.joinpath(*parts), budget)
        except _EntryRefused as refused:
            rejected.append(Rejection(_shown(name), str(refused)))
    return tuple(rejected)


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """The name with forward slashes; names in UTF-8 without the flag that says so are mended."""
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8_NAME_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _safe_parts(name: str) -> list[str]:
    """The folders and the file of an entry, each a plain name below the target folder."""
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in name):
        raise _EntryRefused("the name has control characters")
    if name.startswith("/") or name[1:2] == ":":
        raise _EntryRefused("the name is an absolute path")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts:
        raise _EntryRefused("the entry has no name")
    if ".." in parts:
        raise _EntryRefused("the name leads out of the archive's folder")
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > _MAX_NAME_BYTES or sum(sizes) > _MAX_PATH_BYTES:
        raise _EntryRefused("the name is too long")
    return parts


def _check_entry(entry: zipfile.ZipInfo, name: str, budget: _Budget) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _EntryRefused("a symbolic link")
    if kind not in {0, stat.S_IFREG}:
        raise _EntryRefused("not a plain file")
    if entry.flag_bits & _ENCRYPTED_FLAG:
        raise _EntryRefused("the entry is encrypted")
    if Path(name).suffix.lower() in _ARCHIVE_SUFFIXES:
        raise _EntryRefused("an archive inside the archive is not opened")
    budget.check(entry.file_size)


def _write_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, budget: _Budget
) -> None:
    """Write one file; one that turns out bad is removed again."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unpacked = target.open("xb")
    except OSError as error:
        _stop_if_full(error)
        raise _EntryRefused("another entry takes the same name") from error
    try:
        with unpacked, archive.open(entry) as packed:
            while chunk := packed.read(_CHUNK_BYTES):
                budget.spend(len(chunk))
                unpacked.write(chunk)
    # Decompressors fed with hostile bytes raise nearly anything; the rest must go on.
    except Exception as error:
        target.unlink()
        _stop_if_full(error)
        if isinstance(error, _EntryRefused):
            raise
        raise _EntryRefused(f"the entry is damaged ({error})") from error


def _stop_if_full(error: Exception) -> None:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        raise OperatorError(
            "The disk is full.",
            "The archive could not be unpacked whole.",
            "Make room, or choose another place for the workspace, and import again.",
        ) from error


def _shown(name: str) -> str:
    return printable("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name))
