"""Findings: what a look through a source has seen, kept for the page that shows it.

One file in the job's folder, written whole: a row an image in columns, what is turned down, and
the first pictures. It holds no paths of this machine, only names below the source.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from core.annotations import Box
from core.errors import OperatorError
from core.jobs.context import job_folder
from core.state.files import replace_file
from core.state.workspace import Workspace

_FILE = "findings.json"


@dataclass(frozen=True)
class Picture:
    """One of the first images as a JPEG, its boxes drawn; or why it cannot be read."""

    name: str
    label: str | None
    split: str | None
    jpeg: bytes = b""
    refused: str = ""


@dataclass(frozen=True)
class Surroundings:
    """A box with a wide margin, as a JPEG from which narrower crops can be shown.

    Attributes:
        box: in pixels of this picture.
    """

    box: Box
    jpeg: bytes


@dataclass(frozen=True)
class Findings:
    """What a source holds; entry i of each column is image i, in the order of the scan.

    Attributes:
        format: name of the format that was read.
        formats: every format that the source is laid out as, the one that is guessed first.
        names: paths below the source.
        labels: of the images, None where there is none.
        splits: that the source gives.
        groups: of shots of one thing, that the source gives.
        boxes: labels of the boxes drawn on each image.
        attributes: further columns of the source; None where an image has no value.
        refused: (path, reason) of what is turned down by its name, its table row or its box;
            damaged pixels show only when files are read.
        n_ignored: files that are no images and claim to be none.
        n_bytes: size of the images' files.
        n_decisions: decisions that come along with the images.
        people: who made them.
        n_excluded: images that come excluded from training.
        n_queued: images that come waiting for an operator.
        pictures: the first images of each label.
        surroundings: of some boxes of each label.
    """

    format: str
    formats: tuple[str, ...]
    names: tuple[str, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    groups: tuple[str | None, ...]
    boxes: tuple[tuple[str, ...], ...]
    attributes: Mapping[str, tuple[str | float | None, ...]]
    refused: tuple[tuple[str, str], ...]
    n_ignored: int
    n_bytes: int
    n_decisions: int
    people: tuple[str, ...]
    n_excluded: int
    n_queued: int
    pictures: tuple[Picture, ...]
    surroundings: tuple[Surroundings, ...]

    @property
    def n_images(self) -> int:
        """Files to be read; those that are damaged have not shown yet."""
        return len(self.names)

    @cached_property
    def n_boxes(self) -> int:
        """Boxes on all images."""
        return sum(map(len, self.boxes))

    @cached_property
    def n_without_boxes(self) -> int:
        """Images on which no box is drawn."""
        return sum(not boxes for boxes in self.boxes)

    @cached_property
    def classes(self) -> Mapping[str, int]:
        """Images by label, the most frequent first; those without one are left out."""
        counts = Counter(label for label in self.labels if label is not None)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def by_label_and_split(self) -> tuple[tuple[str | None, str | None, int], ...]:
        """Rows (label, split, n_images)."""
        counts = Counter(zip(self.labels, self.splits, strict=True))
        return tuple((label, split, n) for (label, split), n in counts.items())


def save_findings(workspace: Workspace, job_id: int, findings: Findings) -> None:
    """Keep what a job has found."""
    text = json.dumps(asdict(findings), default=_encode, separators=(",", ":"))
    replace_file(job_folder(workspace, job_id) / _FILE, text.encode())


def has_findings(workspace: Workspace, job_id: int) -> bool:
    """Whether what a job has found is still there."""
    return (workspace.path / "jobs" / str(job_id) / _FILE).is_file()


def forget_findings(workspace: Workspace, job_id: int) -> None:
    """Remove what a job has found."""
    (workspace.path / "jobs" / str(job_id) / _FILE).unlink(missing_ok=True)


def load_findings(workspace: Workspace, job_id: int) -> Findings:
    """What a job has found.

    Raises:
        OperatorError: it is not there, or of another version of Lacquer.
    """
    try:
        stored = json.loads((job_folder(workspace, job_id) / _FILE).read_bytes())
        values: dict[str, Any] = {field.name: stored[field.name] for field in fields(Findings)}
        for name, value in values.items():
            values[name] = tuple(value) if isinstance(value, list) else value
        values["boxes"] = tuple(map(tuple, stored["boxes"]))
        values["refused"] = tuple((path, reason) for path, reason in stored["refused"])
        values["attributes"] = {name: tuple(each) for name, each in stored["attributes"].items()}
        values["pictures"] = tuple(map(_picture, stored["pictures"]))
        values["surroundings"] = tuple(map(_surroundings, stored["surroundings"]))
        return Findings(**values)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            "What was found is no longer kept.", next_step="Look through the source again."
        ) from error


def _encode(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _picture(stored: Mapping[str, Any]) -> Picture:
    return Picture(**{**stored, "jpeg": base64.b64decode(stored["jpeg"])})


def _surroundings(stored: Mapping[str, Any]) -> Surroundings:
    return Surroundings(Box(**stored["box"]), base64.b64decode(stored["jpeg"]))
