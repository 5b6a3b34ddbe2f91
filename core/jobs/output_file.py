"""The file that tells the plant's system of each image: one line each, whatever is killed.

It is written from the table of arrivals. Its last whole line says where to go on; what stands
behind that was cut by a kill and is written anew. A line is on the disk before the next look.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from core.errors import OperatorError
from core.images.formats.csv_cells import guarded
from core.state import arrivals
from core.state.arrivals import Arrival
from core.state.workspace import Workspace

COLUMNS = (
    "arrival", "path", "sha256", "image", "label", "confidence", "novelty", "route", "model",
    "plan", "at",
)  # fmt: skip
_FIELDS = {"arrival": "id", "image": "image_id"}
_BLOCK = 1 << 16
_LINES_AT_ONCE = 1_000


class OutputFile:
    """A file of lines about the images of one source; with an empty path it writes nothing."""

    def __init__(self, workspace: Workspace, source: str, path: Path | None) -> None:
        self._workspace, self._source = workspace, source
        self._path = path
        self._after = 0
        self._file: BinaryIO | None = None

    @classmethod
    @contextmanager
    def open(cls, workspace: Workspace, source: str, path: str) -> Iterator[OutputFile]:
        """Go on with a file, or begin it.

        Raises:
            OperatorError: it cannot be written, is being written, or belongs to something else.
        """
        output = cls(workspace, source, Path(path) if path else None)
        if output._path is None:
            yield output
            return
        lock = FileLock(output._path.with_name(f".{output._path.name}.lock"), timeout=0)
        try:
            with lock, output._path.open("a+b") as file:
                output._file = file
                output._go_on(file)
                yield output
        except Timeout:
            raise OperatorError(
                f"{path} is being written by another watcher.", next_step="Name another file."
            ) from None
        except PermissionError as error:
            raise OperatorError(
                f"{path} cannot be written.", error.strerror or "", "Name another file."
            ) from error

    def write_new(self) -> None:
        """Write the lines of all images that were taken since the last one."""
        if self._file is None:
            return
        while new := arrivals.list_taken(
            self._workspace, self._source, after=self._after, limit=_LINES_AT_ONCE
        ):
            self._write("".join(self._line(each) for each in new))
            self._after = new[-1].id

    def _write(self, text: str) -> None:
        assert self._file is not None
        self._file.write(text.encode("utf-8"))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _go_on(self, file: BinaryIO) -> None:
        """Cut a line off that is not whole, and find out which one was the last."""
        last, end = _last_whole_line(file)
        file.truncate(end)
        if not last:
            if self._is_csv:
                self._write(_csv_line(COLUMNS))
            return
        if self._is_csv and last == _csv_line(COLUMNS).strip():
            return
        number = self._number_in(last)
        written = None if number is None else arrivals.get_arrival(self._workspace, number)
        if written is None or written.source != self._source or self._line(written).strip() != last:
            raise OperatorError(
                f"{self._path} was not written for this folder and workspace.",
                f"Its last line is: {last[:200]}",
                "Name another file, or move this one away.",
            )
        self._after = written.id

    def _number_in(self, line: str) -> int | None:
        try:
            if self._is_csv:
                return int(next(csv.reader([line]))[0])
            return int(json.loads(line)["arrival"])
        except (ValueError, KeyError, TypeError, IndexError, StopIteration, csv.Error):
            return None

    @property
    def _is_csv(self) -> bool:
        return self._path is not None and self._path.suffix.lower() == ".csv"

    def _line(self, each: Arrival) -> str:
        row = {name: getattr(each, _FIELDS.get(name, name)) for name in COLUMNS}
        if self._is_csv:
            return _csv_line([_cell(value) for value in row.values()])
        return json.dumps(row, ensure_ascii=False) + "\n"


def as_csv(taken: list[Arrival]) -> str:
    """A table of images that came in, as the output file holds it."""
    rows = [[_cell(getattr(each, _FIELDS.get(name, name))) for name in COLUMNS] for each in taken]
    return "".join(_csv_line(row) for row in [list(COLUMNS), *rows])


def _cell(value: object) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    # One line is one image, whatever a file is called.
    return guarded(value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"))


def _csv_line(cells: list[str] | tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _last_whole_line(file: BinaryIO) -> tuple[str, int]:
    """(last line that ends, where it ends); an empty one where there is none."""
    size = end = file.seek(0, os.SEEK_END)
    tail = b""
    while end > 0 and tail.count(b"\n") < 2:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        tail, end = file.read(end - begin) + tail, begin
    whole = tail[: tail.rfind(b"\n") + 1]
    last = whole[:-1].rpartition(b"\n")[2]
    return last.decode("utf-8", errors="replace"), size - len(tail) + len(whole)
