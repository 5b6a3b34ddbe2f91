"""The one way a time is written down: ISO 8601 in UTC, to the millisecond."""

from datetime import UTC, datetime


def now() -> str:
    """The time now, such as `2026-01-31T12:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
