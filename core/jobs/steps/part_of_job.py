"""How does one step do another's work as a part of its own job?"""

from core.jobs.context import JobContext


class PartOfJob(JobContext):
    """The context of a job, for a step whose 0 is the job's `start` and whose 1 is its `end`."""

    def __init__(self, whole: JobContext, start: float, end: float) -> None:
        self.workspace, self.job = whole.workspace, whole.job
        self._whole, self._start, self._end = whole, start, end

    def report(self, progress: float, step: str) -> None:
        """As `JobContext.report`, within the part.

        Raises:
            Cancelled: a person asked the job to stop.
        """
        within = min(max(progress, 0.0), 1.0)
        self._whole.report(self._start + (self._end - self._start) * within, step)

    def beat(self) -> None:
        """The job's heartbeat.

        Raises:
            Cancelled: a person asked the job to stop, or another process has it.
        """
        self._whole.beat()
