"""What does a model make of new images? Their class, how sure it is, and what is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.latent.reduction import unit_rows
from core.learning.calibration import softmax
from core.learning.networks import Head

_ROWS_AT_ONCE = 1_024


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
    reference = unit_rows(known.astype(np.float32)) if len(known) else known
    predictions: list[Prediction] = []
    for start in range(0, len(features), _ROWS_AT_ONCE):
        some = unit_rows(features[start : start + _ROWS_AT_ONCE].astype(np.float32))
        distances = (1.0 - some @ reference.T).clip(0.0, 2.0) if len(known) else None
        for row in range(len(some)):
            shares = probabilities[start + row]
            best = int(shares.argmax())
            own = None if distances is None else distances[row]
            predictions.append(
                Prediction(
                    label=classes[best],
                    confidence=float(shares[best]),
                    probabilities=tuple(shares.tolist()),
                    novelty=_novelty(own, is_trained),
                    nearest=_nearest(own, n_neighbors),
                )
            )
    return predictions


def _novelty(distances: np.ndarray | None, is_trained: np.ndarray) -> float | None:
    if distances is None or not is_trained.any():
        return None
    return float(distances[is_trained].min())


def _nearest(distances: np.ndarray | None, n_neighbors: int) -> tuple[Neighbor, ...]:
    if distances is None:
        return ()
    n_found = min(n_neighbors, len(distances))
    rows = np.argpartition(distances, n_found - 1)[:n_found]
    rows = rows[np.lexsort((rows, distances[rows]))]
    return tuple(Neighbor(int(row), float(distances[row])) for row in rows)
