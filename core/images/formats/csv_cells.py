"""CSV cells: how does a text get through a spreadsheet without being run as a formula?

A cell that begins with `=`, `+`, `-` or `@` is a formula to spreadsheets, and a label or a file's
name may come from anywhere. Such a text gets an apostrophe in front, which spreadsheets take for
"this is text", and loses it again when it is read. Numbers need none.

    https://owasp.org/www-community/attacks/CSV_Injection
"""

import re

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARD = "'"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guarded(text: str) -> str:
    """The text as it is written into a cell; a leading apostrophe is doubled."""
    if text.startswith((*_BEGINS_FORMULA, _GUARD)) and not is_number(text):
        return _GUARD + text
    return text


def unguarded(cell: str) -> str:
    """The text that `guarded` was given."""
    rest = cell.removeprefix(_GUARD)
    return rest if rest.startswith((*_BEGINS_FORMULA, _GUARD)) else cell


def is_number(text: str) -> bool:
    """Whether a text is a number in digits, as programs write them."""
    return _NUMBER.fullmatch(text) is not None
