"""Which images would a model label itself, at what promise, and does that plan still hold?"""

from dataclasses import dataclass

import numpy as np

from core.analysis.evaluations import holds
from core.state import applications, catalog, runs
from core.state.applications import Application
from core.state.catalog import ImageFilter
from core.state.models import Model
from core.state.runs import Run
from core.state.workspace import Workspace
from core.triage.routing import CurvePoint


@dataclass(frozen=True)
class TriagePlan:
    """A plan of the risk rule, or of the paper's.

    Attributes:
        run: the run that holds it.
        curve: what other promises would cost, the strictest first; empty for the paper's rule.
        is_current: labels, roles and images are those that it was made from.
        applied: what came of applying it, unless that was reverted; None where it never was.
        n_waiting: of its images, those that people are asked about already, and stay so.
    """

    run: Run
    curve: tuple[CurvePoint, ...]
    is_current: bool
    applied: Application | None
    n_waiting: int

    @property
    def n_images(self) -> int:
        """Images that it routes."""
        return self.run.n_images

    @property
    def n_told(self) -> int:
        """Images that its shares are of: those that it routes, else the calibration images."""
        return self.n_images or int(self.run.result["n_calibration"])

    @property
    def max_error(self) -> float:
        """The tolerated share of wrong automatic labels."""
        value: float = self.run.config["max_error"]
        return value

    def at(self, max_error: float) -> CurvePoint:
        """What a promise of the curve would cost; the plan's own among them."""
        own = CurvePoint(self.max_error, self.run.result["auto_share"])
        return next((p for p in (own, *self.curve) if p.max_error == max_error), own)

    @property
    def promises(self) -> list[float]:
        """The promises whose cost is known, the strictest first."""
        return sorted({self.max_error, *(point.max_error for point in self.curve)})


def newest_plan(workspace: Workspace, model: Model, rule: str) -> TriagePlan | None:
    """The newest plan for a model's unlabelled images by a rule."""
    for run in runs.list_runs(workspace, "triage_plan"):
        asked = run.config
        if (asked["model"], asked["rule"], asked["of"]) == (model.id, rule, "unlabelled"):
            return _read(workspace, model, run)
    return None


def _read(workspace: Workspace, model: Model, run: Run) -> TriagePlan:
    standing = [
        each
        for each in applications.list_applications(workspace)
        if each.plan == run.id and not each.reverted_at
    ]
    embedding = runs.get_run(workspace, run.parent_id or "")
    waiting = catalog.image_ids(workspace, ImageFilter(labels=(None,), queued=True))
    return TriagePlan(
        run=run,
        curve=tuple(CurvePoint(**point) for point in run.result.get("curve", ())),
        is_current=holds(workspace, model, run, images_of=embedding),
        applied=next(iter(standing), None),
        n_waiting=int(np.isin(runs.load_array(workspace, run, "image_ids"), waiting).sum()),
    )
