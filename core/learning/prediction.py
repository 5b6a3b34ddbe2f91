"""What does a model make of new images? Their class, how sure it is, and what is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.latent.neighbors import nearest_among
from core.learning.calibration import softmax
from core.learning.networks import Head


@dataclass(frozen=True)
class Neighbor:
    """A known image near a new one: its row among the known, and their cosine distance."""

    row: int
    distance: float


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        label: the most probable class.
        confidence: its probability after temperature, in [0, 1].
        probabilities: of all classes, in the model's order.
        novelty: cosine distance to the nearest image that the model was trained on, in [0, 2],
            higher = less like anything it knows; None where it is not known what it was trained on.
        nearest: known images, the nearest first.
    """

    label: str
    confidence: float
    probabilities: tuple[float, ...]
    novelty: float | None
    nearest: tuple[Neighbor, ...]


def predict_features(
    features: np.ndarray,
    head: Head,
    classes: Sequence[str],
    *,
    temperature: float,
    known: np.ndarray,
    is_trained: np.ndarray,
    n_neighbors: int = 5,
) -> list[Prediction]:
    """Predict from the penultimate features of new images.

    Args:
        features: float32 array (n_images, n_features), of the new images.
        head: the model's.
        classes: in the order of the head's rows.
        temperature: what the logits are divided by, above 0.
        known: float32 array (n_known, n_features), of the images that may be named as near.
        is_trained: bool array (n_known,), whether the model was trained on them.
        n_neighbors: how many to name, fewer where there are not so many.
    """
    probabilities = softmax(head.logits(features), temperature=temperature)
    rows, distances = nearest_among(features, known, n_neighbors=n_neighbors)
    trained = known[is_trained]
    from_trained = nearest_among(features, trained, n_neighbors=1)[1] if len(trained) else None
    return [
        Prediction(
            label=classes[int(shares.argmax())],
            confidence=float(shares.max()),
            probabilities=tuple(shares.tolist()),
            novelty=None if from_trained is None else float(from_trained[image, 0]),
            nearest=tuple(map(Neighbor, rows[image].tolist(), distances[image].tolist())),
        )
        for image, shares in enumerate(probabilities)
    ]
