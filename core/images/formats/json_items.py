"""JSON items: how is a file of any size read, an entry at a time?

Annotation files reach gigabytes, and a parsed file takes ten times its size in memory. Of an object
whose members are lists, as in COCO, or of one list, as in Label Studio, only one item is held here.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

# Also the longest single entry; run-length masks of large images stay well below it.
MAX_ITEM_CHARS = 64_000_000

_CHUNK_CHARS = 1 << 20
_OF_NUMBERS = ("", ".", "e", "E")
_SPACES = re.compile(r"[ \t\r\n]+")


def iter_json_items(path: Path) -> Iterator[tuple[str, Any]]:
    """Each item of each list in a JSON object, with the list's key; other members are left out.

    Where the file is one list itself, its items' key is empty.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object or list, is cut short, or an entry is too large; says why
            in words for a person. What comes before has been given by then.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        reader = _Reader(file)
        if reader.skip_if("["):
            for item in _items(reader):
                yield "", item
            return
        reader.expect("{")
        if reader.skip_if("}"):
            return
        while True:
            key = reader.value()
            reader.expect(":")
            if not reader.skip_if("["):
                reader.value()
            else:
                for item in _items(reader):
                    yield str(key), item
            if not reader.skip_if(","):
                break
        reader.expect("}")


def _items(reader: "_Reader") -> Iterator[Any]:
    """The items of a list whose opening bracket has been read."""
    if reader.skip_if("]"):
        return
    yield reader.value()
    while reader.skip_if(","):
        yield reader.value()
    reader.expect("]")


class _Reader:
    """A window on the text, moved forward as values are read off it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._decoder = json.JSONDecoder()
        self._window = ""
        self._position = 0
        self._is_at_end = False

    def skip_if(self, character: str) -> bool:
        """Step over the next character that is not white space, if it is this one."""
        if self._next() != character:
            return False
        self._position += 1
        return True

    def expect(self, character: str) -> None:
        if not self.skip_if(character):
            found = f"{self._next()!r} instead of {character!r}"
            raise ValueError(f"the JSON is damaged or cut short ({found})")

    def value(self) -> Any:
        """Read one whole value."""
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._position)
                # A number that is cut at the window's end, as in "1." or "1e+", goes on behind it.
                if self._is_at_end or self._window[end : end + 1] not in _OF_NUMBERS:
                    self._position = end
                    return value
            except RecursionError:
                raise ValueError("the JSON is nested too deeply") from None
            except ValueError as error:
                if self._is_at_end:
                    raise ValueError(f"the JSON is damaged or cut short ({error})") from error
            if len(self._window) - self._position > MAX_ITEM_CHARS:
                raise ValueError("an entry of the JSON is damaged or too large")
            self._read_on()

    def _next(self) -> str:
        """The next character that is not white space; empty at the end of the file."""
        while True:
            spaces = _SPACES.match(self._window, self._position)
            self._position = spaces.end() if spaces else self._position
            if self._position < len(self._window) or self._is_at_end:
                return self._window[self._position : self._position + 1]
            self._read_on()

    def _read_on(self) -> None:
        rest = self._window[self._position :]
        # Reading as much again as is there keeps the work on a long value linear.
        chunk = self._file.read(max(_CHUNK_CHARS, len(rest)))
        self._is_at_end = not chunk
        self._window = rest + chunk
        self._position = 0
