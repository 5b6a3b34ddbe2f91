"""What would a new training learn that the model at work has not?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from core.jobs.configs import FineTune, from_json
from core.state import applications, catalog, decisions, labels, models
from core.state.change_log import Batch
from core.state.model_roles import CALIBRATION, TRAIN
from core.state.models import Model
from core.state.workspace import Workspace
from core.triage.random_sample import is_drawn
from core.vocabulary import RESERVED_LABELS

WORTH_A_TRAINING = 0.1  # decisions, as a share of the images that the model learned from
FEWEST = 20
IMPORTED = "imported"  # the mode of a model that was trained elsewhere


@dataclass(frozen=True)
class News:
    """What people have decided since a model was trained.

    Attributes:
        model: the model at work.
        n_decided: images that they judged in triage and that bear a label a model can learn.
        added: those of them that the model has not learned from, and that training may have.
        splits: images that go to another split when they are taken over: what was drawn at random
            to `calibration`, what else was judged to `train`.
        relabelled: images that the model learned from under another label: (id, old, new), new is
            None where no label is left.
        contradicted: images that the model's own suggestion was wrong about.
        new_classes: labels that people gave and the model does not know, with their counts.
        lost_classes: classes of the model that no image bears any longer.
        added_by_class: how many of `added` bear each label, the most first.
    """

    model: Model
    n_decided: int
    added: tuple[int, ...]
    splits: Mapping[int, str]
    relabelled: tuple[tuple[int, str, str | None], ...]
    contradicted: tuple[int, ...]
    new_classes: Mapping[str, int]
    lost_classes: tuple[str, ...]
    added_by_class: Mapping[str, int]

    @property
    def n_relabelled(self) -> int:
        """Images that the model learned from under another label."""
        return len(self.relabelled)

    @property
    def n_calibrating(self) -> int:
        """Images that go to calibration when they are taken over."""
        return sum(split == CALIBRATION for split in self.splits.values())

    @property
    def is_worth_a_training(self) -> bool:
        """Whether it is enough to offer one."""
        n_learned = self.model.result.get("n_train") or 0
        return self.n_decided >= max(FEWEST, WORTH_A_TRAINING * n_learned)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has changed."""
        return not (self.n_decided or self.splits or self.relabelled or self.lost_classes)


def base_model(workspace: Workspace) -> Model | None:
    """The model that a new one is to be better than: the promoted one, else the newest."""
    return models.promoted(workspace) or next(iter(models.list_models(workspace)), None)


def read_news(workspace: Workspace, model: Model) -> News:
    """What has been decided since a model was trained.

    Checked images are drawn at random: they are kept to measure by, not to learn from.

    Raises:
        OperatorError: the model's snapshot is missing or damaged.
    """
    decided_since = decisions.list_decisions(
        workspace, kinds=("label", "settle"), since=model.created_at
    )
    said = [
        each
        for each in reversed(decided_since)
        if each.undone_by is None and each.item_kind not in ("audit", "gold")
    ]
    decided = {each.image_id: each for each in said}
    ids = np.array(sorted(decided), np.int64)
    given = dict(zip(ids.tolist(), catalog.column(workspace, ids, "label"), strict=True))
    splits = dict(zip(ids.tolist(), catalog.column(workspace, ids, "split"), strict=True))
    learnable = [i for i, label in given.items() if label and label not in RESERVED_LABELS]
    trained = set(models.load_roles(workspace, model).train.tolist())
    moved = _splits_to_be(workspace, trained, learnable, splits)
    added = tuple(
        i for i in learnable if i not in trained and moved.get(i, splits[i]) in (None, TRAIN)
    )
    known = set(catalog.summarise(workspace).n_by_label)
    return News(
        model=model,
        n_decided=len(learnable),
        added=added,
        splits=moved,
        relabelled=_relabelled(workspace, model, trained),
        contradicted=tuple(
            i
            for i in learnable
            if decided[i].suggested is not None and decided[i].suggested != given[i]
        ),
        new_classes=_counted(given[i] for i in learnable if given[i] not in model.classes),
        lost_classes=tuple(name for name in model.classes if name not in known),
        added_by_class=_counted(given[i] for i in added),
    )


def take_over(workspace: Workspace, news: News, *, actor: str) -> Batch | None:
    """Move the images that were judged to the splits they belong to, in one batch.

    Returns:
        The batch, which can be undone; None where every image is in its place.
    """
    if not news.splits:
        return None
    return labels.set_splits(
        workspace, news.splits, actor=actor, reason=f"judged since {news.model.id} was trained"
    )


def retraining_config(news: News, *, backbone: str, goes_on: bool) -> FineTune:
    """The training of a model anew: its own recipe, on the images as they are by now.

    Images that were drawn a class for it are not drawn again: the splits say what is learned.

    Args:
        backbone: its own, or another.
        goes_on: begin with the model itself, not with the backbone's weights.

    Raises:
        ValueError: it is to go on with another backbone.
    """
    model = news.model
    if goes_on and backbone != model.backbone:
        raise ValueError(f"{model.id} is no {backbone}")
    if model.mode == IMPORTED:  # nobody knows how: as the paper did
        asked = FineTune(backbone=backbone)
    else:
        asked = cast(FineTune, from_json(FineTune, dict(model.config)))
    is_same = backbone == model.backbone
    added = [name for name in news.new_classes if name not in asked.classes]
    return replace(
        asked,
        backbone=backbone,
        classes=(*asked.classes, *added) if asked.classes else (),
        per_class=(),
        start_from=model.id if goes_on else "",
        weights=asked.weights if is_same and not goes_on else "",
        notes=f"retrained from {model.id}",
    )


def _splits_to_be(
    workspace: Workspace,
    trained: set[int],
    learnable: list[int],
    splits: Mapping[int, str | None],
) -> dict[int, str]:
    """Which images change their split, and to which.

    Of what came off the line, the random sample calibrates and the rest trains, whatever split an
    import had drawn: the calibration images that the queue brings in besides are hard ones. Images
    of validation and test stay where they are.
    """
    moved = {i: TRAIN for i in learnable if splits[i] is None}
    for each in applications.list_decided(workspace):
        if each.image_id in trained or each.split not in (None, TRAIN, CALIBRATION):
            continue
        is_random = each.was_checked or is_drawn(each.sha256, each.plan, each.audit_share)
        moved[each.image_id] = CALIBRATION if is_random else TRAIN
        if each.split == moved[each.image_id]:
            del moved[each.image_id]
    return moved


def _relabelled(
    workspace: Workspace, model: Model, trained: set[int]
) -> tuple[tuple[int, str, str | None], ...]:
    before = {
        image: label
        for image, label in labels.labels_before(workspace, model.created_at).items()
        if image in trained and label is not None
    }
    ids = np.array(sorted(before), np.int64)
    now = catalog.column(workspace, ids, "label")
    return tuple(
        (image, before[image], label)
        for image, label in zip(ids.tolist(), now, strict=True)
        if label != before[image]
    )


def _counted(names: Iterable[str | None]) -> dict[str, int]:
    """How often each name is there, the most frequent first."""
    return dict(Counter(name for name in names if name).most_common())
