"""Name patterns: which part of a file's name does a regular expression pick?

A pattern such as `(a+)+$` can keep Python's own matcher busy for years, holding the lock that every
other thread waits for. RE2 matches in time linear in the name, whatever the pattern.
"""

from collections.abc import Sequence

from core.vocabulary import printable

MAX_PATTERN_LENGTH = 200

_JOINER = " | "


def picked_by_pattern(names: Sequence[str], pattern: str) -> list[str | None]:
    """What `pattern` picks in each name: its groups, joined, or the whole match if it has none.

    The pattern may match anywhere in the name. RE2 knows neither references back nor looking
    around (https://github.com/google/re2/wiki/Syntax).

    Returns:
        For each name the part picked; None where nothing matches, or nothing but an empty text.

    Raises:
        ValueError: the pattern is empty, too long, or no regular expression.
    """
    import re2

    if not pattern:
        raise ValueError("a name pattern must not be empty")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(
            f"a name pattern has at most {MAX_PATTERN_LENGTH} characters, got {len(pattern)}"
        )
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(printable(pattern), options)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args else "it cannot be read"
        raise ValueError(f"{pattern!r} is not a regular expression: {why}") from None

    def pick(name: str) -> str | None:
        match = compiled.search(printable(name))
        if match is None:
            return None
        parts = match.groups(default="") or (match.group(),)
        return _JOINER.join(parts) if any(parts) else None

    return [pick(name) for name in names]
