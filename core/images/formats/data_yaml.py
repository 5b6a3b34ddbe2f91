"""data.yaml: what a YOLO data set says of itself, read without a YAML library.

Only what such files are made of is read: keys at the margin, each with a text, a list or a mapping
of texts, on one line in brackets or on lines of their own. Every value stays the text it is: to
YAML itself the class names `no` and `1e3` are a truth value and a number. Anchors, tags and texts
over several lines are not understood, and their keys are left out.

    names: [dirt, 'oil spot']       names:             names:
    train: ../train/images            - dirt             0: dirt
                                      - oil spot         1: "oil spot"
"""

import json
import re
from collections.abc import Iterator

Value = str | list[str] | dict[str, str]

_QUOTED = r""" "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' """
_KEY = re.compile(rf"""({_QUOTED}\s* | [^\s"'\[\]{{}},\#:&*!|>%@`-][^:\#]*) :(?:\s+(.*))?$""", re.X)
_ITEM = re.compile(rf"""\s* ({_QUOTED}\s* | [^\s"'\[\]{{}},][^\[\]{{}},]*) (?:,|$)""", re.X)
_ENTRY = re.compile(
    rf"""\s* ({_QUOTED}\s* | [^\s"'\[\]{{}},:][^\[\]{{}},:]*) :
         \s* ({_QUOTED}\s* | [^\s"'\[\]{{}},][^\[\]{{}},]*) (?:,|$)""",
    re.X,
)
_COMMENT = re.compile(r"(?:^|\s)#")
_NOT_UNDERSTOOD = ("&", "*", "!", "|", ">", "@", "`", "%")


def read_data_yaml(text: str) -> dict[str, Value]:
    """The keys at the margin with their values; what is not understood is left out."""
    blocks: list[tuple[str, list[str]]] = []
    for line in map(_without_comment, text.splitlines()):
        key = _KEY.match(line)
        if key and not line[0].isspace():
            blocks.append((_plain(key[1]), [key[2] or ""]))
        elif blocks and line.strip():
            blocks[-1][1].append(line)
    values: dict[str, Value] = {}
    for name, lines in blocks:
        try:
            values[name] = _value(lines)
        except ValueError:
            continue
    return values


def _value(lines: list[str]) -> Value:
    """The value of one key: what follows it on its line, and the lines below.

    Raises:
        ValueError: it is none that is understood.
    """
    first, *below = lines
    if first.startswith(("[", "{")):
        return _flow(" ".join(line.strip() for line in lines))
    if first and not below:
        return _plain(first)
    if first:
        raise ValueError("a text over several lines")
    if all(line.lstrip().startswith("- ") for line in below):
        return [_plain(line.lstrip()[2:]) for line in below]
    return dict(_pair(line.strip()) for line in below)


def _flow(text: str) -> Value:
    """A list or mapping in brackets, without others inside."""
    inside = text[1:-1]
    if text[0] + text[-1] == "[]":
        return [_plain(item[1]) for item in _matches(_ITEM, inside)]
    if text[0] + text[-1] == "{}":
        return {_plain(entry[1]): _plain(entry[2]) for entry in _matches(_ENTRY, inside)}
    raise ValueError("brackets that are not closed")


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches one behind the other, with nothing between them."""
    position, end = 0, len(text.rstrip())
    while position < end:
        match = pattern.match(text, position)
        if match is None:
            raise ValueError(f"not understood: {text[position : position + 40]!r}")
        yield match
        position = match.end()


def _pair(text: str) -> tuple[str, str]:
    key = _KEY.match(text)
    if key is None:
        raise ValueError(f"no key in {text!r}")
    return _plain(key[1]), _plain(key[2] or "")


def _plain(text: str) -> str:
    """A text without its quotes."""
    text = text.strip()
    if text.startswith('"'):
        return str(json.loads(text))  # JSON's escapes are the ones that occur
    if text.startswith("'"):
        if not (len(text) > 1 and text.endswith("'")):
            raise ValueError("a quote that is not closed")
        return text[1:-1].replace("''", "'")
    if text.startswith(_NOT_UNDERSTOOD):
        raise ValueError(f"{text[0]} is not understood")
    return text


def _without_comment(line: str) -> str:
    """A line up to its comment; a # inside quotes is none."""
    for comment in _COMMENT.finditer(line):
        before = line[: comment.start()]
        if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
            return before.rstrip()
    return line.rstrip()
