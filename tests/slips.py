"""A latent space of three tight classes in which some images bear the label of another."""

from dataclasses import dataclass

import numpy as np

from core.state import near_duplicates
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.factories import fill, new_image
from tests.samples import keep_embedding

CLASSES = ("dirt", "drop", "scratch")
N_PER_CLASS = 24
_SPLITS = ("train", "train", "train", "validation", "test")


@dataclass(frozen=True)
class Slips:
    """Images without files and their features.

    Attributes:
        embedding: each class lies along an axis of its own.
        ids: class by class.
        true: the class by id, of the images that bear another's label.
        twins: near-duplicates of different labels; the first is the one that is wrong.
    """

    embedding: Run
    ids: list[int]
    true: dict[int, str]
    twins: tuple[int, int]


def add_slips(workspace: Workspace, *, n_slips: int = 6) -> Slips:
    """Fill an empty workspace; the slips are spread over the classes."""
    true = [label for label in CLASSES for _ in range(N_PER_CLASS)]
    wrong = np.linspace(0, len(true) - 1, n_slips).astype(int).tolist()
    given = list(true)
    for row in wrong:
        given[row] = CLASSES[(CLASSES.index(true[row]) + 1) % len(CLASSES)]
    ids = fill(
        workspace,
        *(
            new_image(number, label=label, split=_SPLITS[number % len(_SPLITS)])
            for number, label in enumerate(given)
        ),
    )
    vectors = np.random.default_rng(0).uniform(0.0, 0.3, (len(ids), 12)).astype(np.float32)
    vectors[np.arange(len(ids)), np.arange(len(ids)) // N_PER_CLASS] += 2.0
    twins = (ids[wrong[0]], ids[wrong[0] + 1])
    near_duplicates.replace_groups(workspace, [twins])
    embedding = keep_embedding(workspace, np.array(ids, np.int64), vectors)
    return Slips(embedding, ids, {ids[row]: true[row] for row in wrong}, twins)
