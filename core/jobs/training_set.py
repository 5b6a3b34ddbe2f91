"""Which images does a training learn from, and does anything speak against it?

Pages ask before the start what the job will do then: both choose here.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.errors import OperatorError
from core.latent.backbones import get_backbone, load_preprocessing
from core.learning.pixels import n_bytes
from core.state import models, runs
from core.state.knowledge import LabelledImage, load_knowledge, load_labelled
from core.state.label_book import list_offered
from core.state.workspace import Workspace
from core.vocabulary import MULTIPLE, RESERVED_LABELS

_PAPERS_METHODS = ("dbscan", "isolation")  # section 3.4
_FEW = 5  # images of a class below which a person is warned
_ROOM_BYTES = 1_000_000_000  # for checkpoints, beside the pixels


class Choice(Protocol):
    """What of a job's config decides which images are taken."""

    @property
    def backbone(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def per_class(self) -> tuple[int, ...]: ...
    @property
    def without_anomalies(self) -> str: ...
    @property
    def start_from(self) -> str: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class TrainingSet:
    """The images of a training.

    Attributes:
        classes: names, in the order of the targets.
        train_ids: int64 (n_train,), ascending.
        train_targets: int64 (n_train,), places in `classes`.
        validation_ids: int64 (n_validation,), ascending.
        validation_targets: int64 (n_validation,).
        sha256: of the images' contents with their labels and roles.
        n_anomalies: images left out of training for being anomalous.
        n_multiple: images of the split `train` left out for showing several defects.
    """

    classes: tuple[str, ...]
    train_ids: np.ndarray
    train_targets: np.ndarray
    validation_ids: np.ndarray
    validation_targets: np.ndarray
    sha256: str
    n_anomalies: int = 0
    n_multiple: int = 0

    @property
    def n_train_by_class(self) -> Mapping[str, int]:
        """Training images of each class."""
        return _counted(self.classes, self.train_targets)

    @property
    def n_validation_by_class(self) -> Mapping[str, int]:
        """Validation images of each class."""
        return _counted(self.classes, self.validation_targets)


@dataclass(frozen=True)
class Problem:
    """What speaks against a training; one that is blocking lets none begin."""

    title: str
    detail: str
    next_step: str
    is_blocking: bool


def choose_training_set(workspace: Workspace, choice: Choice) -> TrainingSet:
    """The images that a training with these choices learns from now.

    Training takes labelled images that are not excluded and show one defect. With `per_class` so
    many of each class are drawn, whatever their split, and the rest of the class validates;
    otherwise the splits `train` and `validation` say. Excluded images validate, for they are kept
    out of training alone; lost files are left out of both.

    Raises:
        OperatorError: a class has fewer images than are to be drawn, or the anomalies are gone.
        ValueError: `per_class` does not fit `classes`, or a class is named twice.
    """
    if len(set(choice.classes)) != len(choice.classes):
        raise ValueError(f"classes must differ, got {', '.join(choice.classes)}")
    labelled = load_labelled(workspace)
    n_multiple = sum(each.label == MULTIPLE and each.split == "train" for each in labelled)
    known = [each for each in labelled if each.label not in RESERVED_LABELS]
    anomalous = _anomalous(workspace, choice.without_anomalies)
    if choice.per_class:
        if len(choice.per_class) != len(choice.classes):
            raise ValueError(
                f"per_class must have one number a class, got {len(choice.per_class)} for "
                f"{len(choice.classes)} classes"
            )
        usable = [each for each in known if not each.excluded and each.id not in anomalous]
        train = _drawn(
            usable, dict(zip(choice.classes, choice.per_class, strict=True)), choice.seed
        )
        n_anomalies = sum(
            each.id in anomalous and each.label in choice.classes and not each.excluded
            for each in known
        )
        classes = choice.classes
        taken = {each.id for each in train}
        validation = [
            each
            for each in known
            if each.label in classes and each.id not in taken and each.id not in anomalous
        ]
    else:
        of_split = [each for each in known if each.split == "train" and not each.excluded]
        classes = choice.classes or _in_order(workspace, {each.label for each in of_split})
        of_split = [each for each in of_split if each.label in classes]
        train = [each for each in of_split if each.id not in anomalous]
        n_anomalies = len(of_split) - len(train)
        validation = [
            each for each in known if each.split == "validation" and each.label in classes
        ]
    return _training_set(classes, train, validation, n_anomalies, n_multiple)


def find_problems(workspace: Workspace, choice: Choice, chosen: TrainingSet) -> list[Problem]:
    """What speaks against beginning, the gravest first."""
    problems = [
        *_class_problems(chosen),
        *_validation_problems(chosen),
        *_leaks(workspace, chosen),
        *_disk_problems(workspace, choice, chosen),
    ]
    return sorted(problems, key=lambda problem: not problem.is_blocking)


def check(workspace: Workspace, choice: Choice, chosen: TrainingSet) -> tuple[str, ...]:
    """Raise the first problem that blocks; return the others as warnings."""
    problems = find_problems(workspace, choice, chosen)
    for problem in problems:
        if problem.is_blocking:
            raise OperatorError(problem.title, problem.detail, problem.next_step)
    return tuple(f"{problem.title} {problem.detail}".strip() for problem in problems)


def _training_set(
    classes: Sequence[str],
    train: Sequence[LabelledImage],
    validation: Sequence[LabelledImage],
    n_anomalies: int,
    n_multiple: int,
) -> TrainingSet:
    place = {name: row for row, name in enumerate(classes)}
    digest = hashlib.sha256()
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for role, images in (("train", train), ("validation", validation)):
        images = sorted(images, key=lambda image: image.id)
        found[role] = (
            np.array([image.id for image in images], np.int64),
            np.array([place[image.label] for image in images], np.int64),
        )
        for image in images:
            digest.update(f"{role}\0{image.sha256}\0{image.label}\n".encode())
    return TrainingSet(
        tuple(classes),
        *found["train"],
        *found["validation"],
        sha256=digest.hexdigest(),
        n_anomalies=n_anomalies,
        n_multiple=n_multiple,
    )


def _drawn(
    usable: Sequence[LabelledImage], per_class: Mapping[str, int], seed: int
) -> list[LabelledImage]:
    rng = np.random.default_rng(seed)
    drawn: list[LabelledImage] = []
    for name, n in per_class.items():
        of_class = [image for image in usable if image.label == name]
        if n > len(of_class):
            raise OperatorError(
                f"{name} has {len(of_class):,} images that may train, {n:,} are asked for.",
                next_step="Ask for fewer images of this class, or add some.",
            )
        drawn += [of_class[i] for i in rng.permutation(len(of_class))[:n]]
    return drawn


def _in_order(workspace: Workspace, names: set[str]) -> tuple[str, ...]:
    """Class names in the workspace's own order, which fixes their colours; no retired ones."""
    return tuple(name for name in list_offered(workspace) if name in names)


def _anomalous(workspace: Workspace, run_id: str) -> frozenset[int]:
    if not run_id:
        return frozenset()
    run = runs.find_run(workspace, run_id)
    if run is None or run.kind != "anomalies":
        raise OperatorError(
            "The anomalies to leave out are no longer there.",
            next_step="Find anomalies again on the page Clusters and anomalies.",
        )
    image_ids = runs.load_array(workspace, run, "image_ids")
    found: set[int] = set()
    for method in _PAPERS_METHODS:  # what either of the two finds
        scores = runs.load_array(workspace, run, f"scores_{method}")
        found |= set(image_ids[scores > run.result["thresholds"][method]].tolist())
    return frozenset(found)


def _class_problems(chosen: TrainingSet) -> list[Problem]:
    counts = chosen.n_train_by_class
    if len(chosen.classes) < 2:
        have = f"There is only {chosen.classes[0]}." if chosen.classes else "There is none."
        return [
            Problem(
                "A classifier needs at least two classes with training images.",
                have,
                "Label images of another class, or move some to the split train.",
                is_blocking=True,
            )
        ]
    empty = [name for name, n in counts.items() if n == 0]
    single = [name for name, n in counts.items() if n == 1]
    few = [f"{name} {n}" for name, n in counts.items() if 1 < n < _FEW]
    problems = []
    if empty:
        problems.append(
            Problem(
                f"{_listed(empty)} {'has' if len(empty) == 1 else 'have'} no training images.",
                "",
                "Leave the class out, or move some of its images to the split train.",
                is_blocking=True,
            )
        )
    if single:
        problems.append(
            Problem(
                f"{_listed(single)} {'has' if len(single) == 1 else 'have'} a single training "
                "image.",
                "One image cannot show what its class has in common.",
                "Leave the class out, or label more of its images.",
                is_blocking=True,
            )
        )
    if few:
        problems.append(
            Problem(
                "Some classes have very few training images.",
                f"{_listed(few)}.",
                "Label more of them; until then expect errors there.",
                is_blocking=False,
            )
        )
    return problems


def _validation_problems(chosen: TrainingSet) -> list[Problem]:
    counts = chosen.n_validation_by_class
    missing = [name for name, n in counts.items() if n == 0]
    if not missing:
        return []
    if len(missing) == len(counts):
        return [
            Problem(
                "No image validates.",
                "The last epoch is kept, and nothing tells how good it is.",
                "Move some labelled images to the split validation.",
                is_blocking=False,
            )
        ]
    return [
        Problem(
            f"Nothing validates {_listed(missing)}.",
            "The best epoch is chosen by the other classes.",
            "Move some of its images to the split validation.",
            is_blocking=False,
        )
    ]


def _leaks(workspace: Workspace, chosen: TrainingSet) -> list[Problem]:
    """Shots of one thing, or images that look alike, on both sides of the line."""
    ids = np.concatenate([chosen.train_ids, chosen.validation_ids])
    known = load_knowledge(workspace, ids)
    n_train = len(chosen.train_ids)
    leaking: set[int] = set()
    for groups in (known.shots, known.look_alikes):
        trained = {group for group in groups[:n_train] if group is not None}
        leaking |= {row for row, group in enumerate(groups[n_train:], n_train) if group in trained}
    if not leaking:
        return []
    return [
        Problem(
            f"{len(leaking):,} validation image(s) look like training images or show the same "
            "thing.",
            "They make the validation look better than it is.",
            "Mend the splits in the report of the page Dataset.",
            is_blocking=False,
        )
    ]


def _disk_problems(workspace: Workspace, choice: Choice, chosen: TrainingSet) -> list[Problem]:
    backbone = choice.backbone
    if choice.start_from:
        backbone = models.get_model(workspace, choice.start_from).backbone
    n_images = len(chosen.train_ids) + len(chosen.validation_ids)
    needed = n_bytes(n_images, load_preprocessing(get_backbone(backbone))) + _ROOM_BYTES
    free = shutil.disk_usage(workspace.path).free
    if free >= needed:
        return []
    return [
        Problem(
            "There is not enough room on the disk.",
            f"{free / 1e9:.1f} GB are free, about {needed / 1e9:.1f} GB are needed.",
            "Make room, or train on fewer images.",
            is_blocking=True,
        )
    ]


def _counted(classes: Sequence[str], targets: np.ndarray) -> Mapping[str, int]:
    counts = Counter(targets.tolist())
    return {name: counts[row] for row, name in enumerate(classes)}


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
