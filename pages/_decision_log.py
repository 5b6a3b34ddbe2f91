"""How a log of decisions comes from a browser: whole, again and again, until it is acknowledged.

The components send `{"log": name, "entries": [{"seq", …}]}` (assets/shared/decision_log.js); what
an entry holds besides its number is each component's own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

LARGEST = 2**53  # what a browser's numbers hold
_NAME_LIMIT = 40


class Numbered(Protocol):
    """An entry, with its number in its log."""

    @property
    def seq(self) -> int:
        """From 1."""


Entry = TypeVar("Entry", bound=Numbered)


def read_log(value: Any, parse_entry: Callable[[Any], Entry]) -> tuple[str, list[Entry]]:
    """The name of a log and its entries in their order, as a browser sent them.

    Args:
        parse_entry: reads one entry; raises ValueError where it is none.

    Raises:
        ValueError: it is not what the components send.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("entries"), list):
        raise ValueError(f"a log must have entries, got {value!r:.80}")
    log = value.get("log")
    if not isinstance(log, str) or not log.isalnum() or len(log) > _NAME_LIMIT:
        raise ValueError(f"{log!r:.80} is no name of a log")
    entries = [parse_entry(entry) for entry in value["entries"]]
    return log, sorted(entries, key=lambda entry: entry.seq)


def count(value: Any) -> int:
    """A number, an id or a time of an entry.

    Raises:
        ValueError: it is not whole, negative, or larger than any can be.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LARGEST:
        raise ValueError(f"an entry's numbers must be whole and not negative, got {value!r:.80}")
    return value
