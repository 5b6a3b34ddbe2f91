"""The one way a time is written down: ISO 8601 in UTC, to the millisecond."""

from datetime import UTC, datetime


def now() -> str:
    """The time now, such as `2026-01-31T12:00:00.000Z`."""
    return as_text(datetime.now(UTC))


def as_text(at: datetime) -> str:
    """A time in UTC as it is written down."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
