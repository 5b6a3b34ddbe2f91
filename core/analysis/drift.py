"""Has the line drifted? What the windows say, and what automatic labelling does about it."""

from dataclasses import dataclass
from functools import cached_property

from core.state import applications, drift, models
from core.state.applications import Pause
from core.state.drift import DriftWindow
from core.state.workspace import Workspace
from core.triage.drift import WINDOW, Comparison, read_comparison

_MOST_WINDOWS = 400  # that are shown


@dataclass(frozen=True)
class SeenWindow:
    """A window, and what was found of it."""

    row: DriftWindow

    @cached_property
    def found(self) -> Comparison:
        """The comparison."""
        return read_comparison(self.row.result)


@dataclass(frozen=True)
class DriftReading:
    """How the line stands.

    Attributes:
        windows: the oldest first, at most the newest four hundred.
        pause: the newest word on whether automatic labelling rests; None where it never has.
        n_waiting: images that came in since the plan at work was made, and since a person last let
            automatic labelling go on.
    """

    windows: tuple[SeenWindow, ...]
    pause: Pause | None
    n_waiting: int

    @property
    def newest(self) -> SeenWindow | None:
        """The newest window since a person last let automatic labelling go on."""
        since = applications.resumed_at(self.pause)
        fresh = [each for each in self.windows if each.row.at > since]
        return fresh[-1] if fresh else None

    @property
    def is_paused_by_drift(self) -> bool:
        """Whether automatic labelling rests because of drift."""
        return self.pause is not None and self.pause.paused and self.pause.actor == drift.ACTOR

    @property
    def alarm(self) -> SeenWindow | None:
        """The window that a person must look at: the newest with an alarm since the last word."""
        if self.newest is None:
            return None
        since = applications.resumed_at(self.pause)
        alarms = [each for each in self.windows if each.row.is_alarm and each.row.at > since]
        return (
            alarms[-1]
            if alarms and (self.is_paused_by_drift or alarms[-1] is self.newest)
            else None
        )

    @property
    def n_missing(self) -> int:
        """Images that the first window still lacks."""
        return max(0, WINDOW - self.n_waiting)


def read_drift(workspace: Workspace) -> DriftReading:
    """The windows of the plan at work last, and whether automatic labelling rests."""
    newest = drift.list_windows(workspace, limit=1)
    windows = (
        drift.list_windows(workspace, plan=newest[0].plan, limit=_MOST_WINDOWS) if newest else []
    )
    pause = applications.current_pause(workspace)
    model = models.promoted(workspace)
    plan = applications.plan_at_work(workspace, model.id) if model else None
    since = max(applications.resumed_at(pause), plan.created_at if plan else "")
    return DriftReading(
        tuple(SeenWindow(each) for each in reversed(windows)),
        pause,
        drift.count_taken(workspace, since=since),
    )
