"""How far is a training? One small file in the job's folder, written after every epoch."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.jobs.context import job_folder
from core.learning.fine_tuning import Epoch, Training
from core.state.files import replace_file
from core.state.workspace import Workspace

_FILE = "training.json"


@dataclass(frozen=True)
class TrainingProgress:
    """What a page shows of a training that is under way, or was.

    Attributes:
        backbone: that is trained; one after the other in a comparison.
        epochs: those that are done.
        best_epoch: number of the best one, None before the first.
        n_epochs: how many were asked for.
        n_train: training images.
        n_validation: validation images.
        caching_seconds: what came before the first epoch.
    """

    backbone: str
    epochs: tuple[Epoch, ...]
    best_epoch: int | None
    n_epochs: int
    n_train: int
    n_validation: int
    caching_seconds: float

    @property
    def seconds_left(self) -> float | None:
        """For the epochs that are still to come, None before the first is done."""
        if not self.epochs:
            return None
        spent = sum(epoch.seconds + epoch.validation_seconds for epoch in self.epochs)
        return spent / len(self.epochs) * (self.n_epochs - len(self.epochs))

    def after(self, training: Training) -> "TrainingProgress":
        """The same training, further on."""
        return replace(self, epochs=training.epochs, best_epoch=training.best_epoch)


def save_progress(workspace: Workspace, job_id: int, progress: TrainingProgress) -> None:
    """Keep how far a training is."""
    content = json.dumps(asdict(progress), separators=(",", ":")).encode()
    replace_file(job_folder(workspace, job_id) / _FILE, content)


def load_progress(workspace: Workspace, job_id: int) -> TrainingProgress | None:
    """How far a training is; None before it has begun."""
    path: Path = workspace.path / "jobs" / str(job_id) / _FILE
    try:
        stored = json.loads(path.read_bytes())
        epochs = tuple(Epoch(**epoch) for epoch in stored.pop("epochs"))
        return TrainingProgress(epochs=epochs, **stored)
    except (OSError, ValueError, TypeError, KeyError):  # not yet, or of another version
        return None
