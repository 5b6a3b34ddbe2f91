"""Which analyses of a run are there, and do they hold for the labels and splits as they are now?"""

from dataclasses import dataclass

from core.state import runs
from core.state.knowledge import Knowledge, load_knowledge
from core.state.runs import Run
from core.state.workspace import Workspace

KINDS = ("graph", "separability", "stability", "anomalies", "label_errors", "layout", "comparison")


@dataclass(frozen=True)
class Standing:
    """An analysis and whether it still holds.

    Attributes:
        run: of one of `KINDS`.
        is_current: False when labels, splits or groups that it was computed from have changed.
    """

    run: Run
    is_current: bool


def newest(workspace: Workspace, parent: Run, kind: str) -> Standing | None:
    """The analysis of this kind to show: the newest that still holds, else the newest of all.

    Args:
        parent: the embedding; for `stability` and `k_distances` what was clustered.
        kind: of run.

    Raises:
        OperatorError: the ids of the parent's images cannot be read.
    """
    found = runs.list_runs(workspace, kind, parent_id=parent.id)
    if not found:
        return None
    known = knowledge_of(workspace, parent)
    standings = [Standing(run, holds_for(run, known)) for run in found]
    return next((each for each in standings if each.is_current), standings[0])


def knowledge_of(workspace: Workspace, run: Run) -> Knowledge:
    """What is known now of the images of a run, in the order of its rows.

    Raises:
        OperatorError: the ids of its images cannot be read.
    """
    return load_knowledge(workspace, runs.load_array(workspace, run, "image_ids"))


def holds_for(run: Run, known: Knowledge) -> bool:
    """Whether an analysis was computed from what is known of its parent's images.

    A run's config holds the digests of all that it was computed from.
    """
    return all(run.config.get(name, digest) == digest for name, digest in known.digests.items())
