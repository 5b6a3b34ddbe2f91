"""What did training do to the latent space?

Two maps of the same images, before and after, may be turned, mirrored, moved and scaled as they
like: these say nothing. So the second is laid over the first as well as it goes, and what is left
is how far each image moved. How far the classes came apart is measured on the features themselves,
not on the maps, which bend distances.

Source:
    Gower (1975), "Generalized Procrustes analysis", doi:10.1007/BF02291478.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.latent.agreement import agreement
from core.latent.clustering import cluster_kmeans
from core.latent.clustering_methods import KMeansConfig
from core.latent.separability import encode_labels, measure_separability

N_INIT = 10
METRIC = "cosine"


@dataclass(frozen=True)
class Alignment:
    """A second map laid over a first, row i of both the same image.

    Attributes:
        aligned: float64 (n_images, 2), the second map in the first's coordinates.
        movement: float64 (n_images,), distance between the two places of an image over the first
            map's RMS radius, higher = moved more; None where the first map has no extent.
        disparity: share of the first map's spread that the second leaves unexplained, in [0, 1],
            0 = the same map, 1 = nothing in common; None where either map has no extent.
        scale: what the second map was multiplied by, at least 0.
        is_mirrored: whether it was mirrored.
        radius: RMS distance of the first map's points to their mean, in its units.
        why: why something is not defined, a sentence for a person; empty where all is.
    """

    aligned: np.ndarray
    movement: np.ndarray | None
    disparity: float | None
    scale: float
    is_mirrored: bool
    radius: float
    why: str = ""


@dataclass(frozen=True)
class Separation:
    """How far a latent space holds labels apart, images without one left out.

    Attributes:
        adjusted_rand_index: of K-means with as many clusters as labels: 1 where clusters and labels
            say the same, about 0 where they are independent; None where it is not defined.
        silhouette: cosine silhouette of the labels in [-1, 1], higher = better apart; None where it
            is not defined.
        silhouette_low: smallest value of a draw of images; the silhouette itself where all were
            measured.
        silhouette_high: largest value of a draw.
        n_images: images with a label.
        n_labels: different labels among them.
        why: why something is not defined, a sentence for a person; empty where all is.
        notes: what a person who reads the values must know.
    """

    adjusted_rand_index: float | None
    silhouette: float | None
    silhouette_low: float | None
    silhouette_high: float | None
    n_images: int
    n_labels: int
    why: str = ""
    notes: tuple[str, ...] = ()


def align_map(first: np.ndarray, second: np.ndarray) -> Alignment:
    """Lay a second map over a first by rotation, reflection, one scale and a shift.

    The fit is the one of least squares. It shrinks a map that has little in common with the first:
    then images do not move further than about the radius, and the disparity tells.

    Args:
        first: float array (n_images, 2).
        second: float array (n_images, 2), of the same images in the same order.

    Raises:
        ValueError: the maps do not match, have no points, or hold numbers that are not finite.
    """
    from scipy.linalg import orthogonal_procrustes

    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 2 or not len(first):
        raise ValueError(
            f"both maps must have one shape (n_images, 2), got {first.shape} and {second.shape}"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("both maps must be finite")
    from_middle, extent = _centred(first)
    to_turn, own_extent = _centred(second)
    if not (extent and own_extent):
        # A map that is one point is laid onto the middle of the other.
        aligned = np.broadcast_to(first.mean(axis=0), first.shape).copy()
        rotation, scale, disparity = np.eye(2), 0.0, None
        why = "All images lie in one point of a map: there is nothing to lay over the other."
    else:
        rotation, trace = orthogonal_procrustes(to_turn / own_extent, from_middle / extent)
        share = min(float(trace), 1.0)
        scale, disparity, why = share * extent / own_extent, 1.0 - share**2, ""
        aligned = to_turn @ rotation * scale + first.mean(axis=0)
    radius = extent / np.sqrt(len(first))
    return Alignment(
        aligned=aligned,
        movement=np.linalg.norm(aligned - first, axis=1) / radius if radius else None,
        disparity=disparity,
        scale=float(scale),
        is_mirrored=bool(np.linalg.det(rotation) < 0),
        radius=float(radius),
        why=why,
    )


def measure_separation(
    features: np.ndarray, labels: Sequence[str | None], *, seed: int = 0
) -> Separation:
    """How far features hold labels apart, so that before and after can stand side by side.

    Args:
        features: float array (n_images, n_features).
        labels: a label an image, None or empty where it has none;
            `evaluation.unite_unknown` makes one label of all that the model does not know.
        seed: of K-means, and of the images that the silhouette of a large set is measured on.

    Raises:
        ValueError: the lengths differ.
        OperatorError: a feature of a labelled image is not finite.
    """
    if len(features) != len(labels):
        raise ValueError(f"{len(features)} rows of features, but {len(labels)} labels")
    rows = np.array([row for row, label in enumerate(labels) if label], dtype=np.int64)
    words = [label for label in labels if label]
    n_labels = len(set(words))
    if n_labels < 2:
        why = (
            "There is only one label, and at least two are compared."
            if words
            else "No image has a label."
        )
        return Separation(None, None, None, None, len(words), n_labels, why)
    config = KMeansConfig(n_clusters=n_labels, n_init=N_INIT, seed=seed)
    clustered = cluster_kmeans(features[rows], config)
    measured = measure_separability(
        features[rows], {"labels": encode_labels(words)}, metrics=(METRIC,), seed=seed
    )["labels"]
    score = measured[METRIC]
    return Separation(
        adjusted_rand_index=agreement(words, clustered.labels).adjusted_rand_index,
        silhouette=score.value,
        silhouette_low=score.low,
        silhouette_high=score.high,
        n_images=len(words),
        n_labels=n_labels,
        why=score.why,
        notes=tuple(note for note in measured.notes if note.startswith("Measured on")),
    )


def _centred(places: np.ndarray) -> tuple[np.ndarray, float]:
    """Points about their mean, and the root of the sum of their squares; 0 where all are equal."""
    if not np.ptp(places, axis=0).any():  # their mean may differ from them by rounding
        return np.zeros_like(places), 0.0
    centred = places - places.mean(axis=0)
    return centred, float(np.linalg.norm(centred))
