"""What is a person told of an image that waits, and where does it stand in each order of work?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.latent.neighbors import nearest_among
from core.triage.ordering import order_by_diversity, order_by_novelty, order_by_uncertainty

N_TOP = 3
N_NEAREST = 8  # more than are shown: labels can be taken away, images excluded


@dataclass(frozen=True)
class Card:
    """What a model says of one image.

    Attributes:
        suggested: the most probable class.
        top: up to three classes with their probabilities in [0, 1], the surest first.
        novelty: share of the reference images that are less far from all classes, in [0, 1]; None
            where that was not measured.
        nearest: ids of the nearest labelled images, the nearest first.
        by_uncertainty, by_novelty, by_diversity: places in the orders of work, in [0, 1], lower
            first.
    """

    suggested: str
    top: tuple[tuple[str, float], ...]
    novelty: float | None
    nearest: tuple[int, ...]
    by_uncertainty: float
    by_novelty: float
    by_diversity: float


@dataclass(frozen=True)
class Labelled:
    """Images that people have labelled.

    Attributes:
        ids: int64 (n_labelled,).
        features: float array (n_labelled, n_features).
    """

    ids: np.ndarray
    features: np.ndarray


def make_cards(
    ids: np.ndarray,
    features: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    labelled: Labelled,
    *,
    novelty: np.ndarray | None,
    seed: int,
) -> list[Card]:
    """The cards of some images, in their order.

    Args:
        ids: int64 (n_images,).
        features: float array (n_images, n_features), finite.
        probabilities: float array (n_images, n_classes), in [0, 1].
        classes: in the order of the columns.
        labelled: what is known already.
        novelty: float array (n_images,), as in `Card`; None orders by novelty as by uncertainty.
        seed: of the draws.
    """
    if not len(features):
        return []
    surest = np.argsort(-probabilities, axis=1, kind="stable")[:, :N_TOP]
    suggested = [classes[row[0]] for row in surest.tolist()]
    uncertainty = order_by_uncertainty(probabilities)
    rows, _ = nearest_among(features, labelled.features, n_neighbors=N_NEAREST + 1)
    columns = zip(
        ids.tolist(),
        suggested,
        surest.tolist(),
        probabilities.tolist(),
        [None] * len(features) if novelty is None else novelty.tolist(),
        labelled.ids[rows].tolist(),
        uncertainty.tolist(),
        (uncertainty if novelty is None else order_by_novelty(novelty)).tolist(),
        order_by_diversity(features, labelled.features, seed=seed).tolist(),
        strict=True,
    )
    return [
        Card(
            suggested=label,
            top=tuple((classes[place], shares[place]) for place in places),
            novelty=share,
            nearest=tuple(near for near in nearest if near != image)[:N_NEAREST],
            by_uncertainty=by_uncertainty,
            by_novelty=by_novelty,
            by_diversity=by_diversity,
        )
        for (
            image, label, places, shares, share, nearest,
            by_uncertainty, by_novelty, by_diversity
        ) in columns
    ]  # fmt: skip
