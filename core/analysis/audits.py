"""How wrong are the automatic labels, as people find who check some of them, and does it matter?

What is measured is the work of the model that was last let loose, under the promise that was made
then, since automatic labelling last began or was let go on: what was found before a person said "it
may go on" has had its effect.
"""

from dataclasses import dataclass

from core.state import applications
from core.state.applications import Application, Pause
from core.state.workspace import Workspace
from core.triage.audit import AuditMeasure, Checked, is_broken, measure_audit


@dataclass(frozen=True)
class AuditReading:
    """The measured error beside the promise.

    Attributes:
        application: the newest that labelled anything and was not reverted, or the newest at all
            that labelled anything.
        measure: of all labels checked under the same model, rule and promise.
        n_waiting: audited images that nobody has judged yet.
        pause: the newest word on whether automatic labelling rests; None where it never has.
    """

    application: Application
    measure: AuditMeasure
    n_waiting: int
    pause: Pause | None

    @property
    def is_paused(self) -> bool:
        """Whether automatic labelling rests."""
        return self.pause is not None and self.pause.paused

    @property
    def is_broken(self) -> bool:
        """Whether more labels are wrong than was promised, beyond chance."""
        promises = self.application.rule == "risk"  # the paper's rule promises nothing
        return promises and is_broken(self.measure, self.application.max_error)


def read_audit(workspace: Workspace) -> AuditReading | None:
    """The audit as it stands; None where nothing has been labelled automatically."""
    # What only sent images to people has no label to check, nor ends the audit of those before it.
    applied = [each for each in applications.list_applications(workspace) if each.n_labelled]
    if not applied:
        return None
    newest = next((each for each in applied if not each.reverted_at), applied[0])
    alike = {
        each.id
        for each in applied
        if (each.model, each.rule, each.max_error) == (newest.model, newest.rule, newest.max_error)
    }
    pause = applications.current_pause(workspace)
    since = applications.resumed_at(pause)
    checked = [
        Checked(each.at, each.automatic, each.decided)
        for each in applications.list_checked(workspace, model=newest.model)
        if each.application_id in alike and each.at > since
    ]
    return AuditReading(
        newest,
        measure_audit(checked, promised=newest.max_error, delta=newest.delta),
        applications.count_unchecked(workspace),
        pause,
    )
