"""A latent space whose answers the eye can see: three tight classes, one odd image, one slip."""

from dataclasses import dataclass

import numpy as np

from core.state import near_duplicates
from core.state.runs import Run
from core.state.workspace import Workspace
from tests.factories import fill, new_image
from tests.samples import keep_embedding

CLASSES = ("dirt", "drop", "scratch")
N_PER_CLASS = 20
_SPLITS = ("train", "train", "train", "validation", "test")


@dataclass(frozen=True)
class Blobs:
    """Images without files and their features.

    Attributes:
        embedding: 12 features; each class lies along an axis of its own.
        ids: of the 61 images, class by class, the odd one last.
        odd: lies along an axis where nothing else does, and has no label.
        slip: lies among the scratches and is called dirt.
        twins: near-duplicates; the first is the slip, the other a scratch.
    """

    embedding: Run
    ids: list[int]
    odd: int
    slip: int
    twins: tuple[int, int]


def add_blobs(workspace: Workspace) -> Blobs:
    """Fill an empty workspace."""
    labels = [label for label in CLASSES for _ in range(N_PER_CLASS)]
    labels[-1] = "dirt"
    images = [
        new_image(number, label=label, split=_SPLITS[number % len(_SPLITS)])
        for number, label in enumerate(labels)
    ]
    ids = fill(workspace, *images, new_image(len(labels), split="train"))
    random = np.random.default_rng(0)
    vectors = random.uniform(0.0, 0.3, (len(ids), 12)).astype(np.float32)
    vectors[np.arange(len(labels)), np.arange(len(labels)) // N_PER_CLASS] += 2.0
    vectors[-1, 11] += 2.0
    twins = (ids[-2], ids[-3])
    near_duplicates.replace_groups(workspace, [twins])
    embedding = keep_embedding(workspace, np.array(ids, np.int64), vectors)
    return Blobs(embedding, ids, odd=ids[-1], slip=ids[-2], twins=twins)


def spots(*sizes: int, n_features: int = 20, seed: int = 0) -> np.ndarray:
    """Dense spots of so many images, far apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 4, (len(sizes), n_features))
    return np.vstack(
        [rng.normal(at, 1.0, (n, n_features)) for at, n in zip(centres, sizes, strict=True)]
    ).astype(np.float32)
