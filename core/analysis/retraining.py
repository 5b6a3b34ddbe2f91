"""What would a new training learn that the model at work has not?"""

from dataclasses import dataclass

import numpy as np

from core.state import catalog, decisions, models
from core.state.model_roles import TRAIN
from core.state.models import Model
from core.state.workspace import Workspace
from core.vocabulary import RESERVED_LABELS

WORTH_A_TRAINING = 0.1  # decisions, as a share of the images that the model learned from
FEWEST = 20


@dataclass(frozen=True)
class News:
    """What people have decided in triage since a model was trained.

    Attributes:
        model: the model at work.
        n_decided: images that they judged and that bear a label a model can learn.
        added: those that the model has not learned from, and that training may have: of the split
            train, or of none.
        without_split: those of the added that are of none yet.
        n_relabelled: those that the model learned from, under another label.
        n_contradicted: those that the model's own suggestion was wrong about.
        new_classes: labels among them that the model does not know, with their counts.
    """

    model: Model
    n_decided: int
    added: tuple[int, ...]
    without_split: tuple[int, ...]
    n_relabelled: int
    n_contradicted: int
    new_classes: dict[str, int]

    @property
    def is_worth_a_training(self) -> bool:
        """Whether it is enough to offer one."""
        n_learned = self.model.result.get("n_train") or 0
        return self.n_decided >= max(FEWEST, WORTH_A_TRAINING * n_learned)


def read_news(workspace: Workspace, model: Model) -> News:
    """What has been decided since a model was trained; checks of the automatic labels aside.

    Checked images are drawn at random: they are kept to measure by, not to learn from.
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
    # A second opinion finds the label of the first: the one from before stands in the first alone.
    learned = {each.image_id: each.old_label for each in reversed(said)}
    ids = np.array(sorted(decided), np.int64)
    labels = dict(zip(ids.tolist(), catalog.column(workspace, ids, "label"), strict=True))
    splits = dict(zip(ids.tolist(), catalog.column(workspace, ids, "split"), strict=True))
    learnable = [i for i, label in labels.items() if label and label not in RESERVED_LABELS]
    trained = set(models.load_roles(workspace, model).train.tolist())
    new_classes: dict[str, int] = {}
    for image in learnable:
        name = labels[image]
        if name is not None and name not in model.classes:
            new_classes[name] = new_classes.get(name, 0) + 1
    return News(
        model=model,
        n_decided=len(learnable),
        added=tuple(i for i in learnable if splits[i] in (None, TRAIN) and i not in trained),
        without_split=tuple(i for i in learnable if splits[i] is None),
        n_relabelled=sum(i in trained and learned[i] != labels[i] for i in learnable),
        n_contradicted=sum(
            decided[i].suggested is not None and decided[i].suggested != labels[i]
            for i in learnable
        ),
        new_classes=new_classes,
    )
