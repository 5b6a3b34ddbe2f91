"""What a person is told when something is theirs to mend.

`ValueError` is for a caller's mistake, `OperatorError` for what the person at the screen can put
right; anything else is a bug and surfaces as one.
"""


class OperatorError(Exception):
    """A problem the person can mend: what happened, why, and what to do next."""

    def __init__(self, title: str, detail: str = "", next_step: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.title, self.detail, self.next_step) if part)

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return (type(self), (self.title, self.detail, self.next_step))


class Cancelled(Exception):
    """The person asked the running job to stop; raised at its next progress report."""
