"""How do the labelled images lie in the latent space, and how far from training the other splits?

- `class_spreads`: where each class lies, and how widely.
- `separability_matrix`: how well each two classes can be told apart.
- `neighborhood_purity`: whose neighbours bear the same label.
- `split_shifts`: whether validation, calibration and test lie farther from the training images than
  those do from each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.neighbor_graph import NeighborGraph
from core.latent.reduction import reduce_vectors, unit_rows
from core.latent.two_sample import held_out_predictor
from core.latent.vectors import check_vectors, draw_subset
from core.vocabulary import RESERVED_LABELS

MIN_PER_CLASS = 5
MAX_PER_CLASS = 300
MAX_PER_SPLIT = 3_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_N_COMPONENTS = 64
_SHIFT_AUC = 0.6  # an image of the split is farther than a training image three times out of five
_SHIFT_P = 0.01
_BLOCK_NUMBERS = 16_000_000


@dataclass(frozen=True)
class ClassSpread:
    """Where a class lies and how widely.

    Attributes:
        label: the class.
        n_images: its images.
        centroid: float32 (n_features,), the mean of its rows at length 1.
        spread: mean cosine distance of its images to the centroid of the others of the class,
            higher = wider; None for a single image.
        low, high: 95 % interval of `spread` (Student's t); None for a single image.
        central_row: the image nearest to the centroid.
    """

    label: str
    n_images: int
    centroid: np.ndarray
    spread: float | None
    low: float | None
    high: float | None
    central_row: int


@dataclass(frozen=True)
class Separability:
    """How well each two classes can be told apart by a straight boundary.

    Attributes:
        labels: the classes, sorted.
        auc: float64 (n_classes, n_classes), symmetric, 0.5 = alike, 1 = wholly apart; NaN on the
            diagonal and for a class of fewer than `MIN_PER_CLASS` images.
    """

    labels: tuple[str, ...]
    auc: np.ndarray


@dataclass(frozen=True)
class Purity:
    """How much neighbours agree in their labels.

    Attributes:
        per_image: float32 (n_images,) in [0, 1], higher = purer; NaN where the image or all of its
            neighbours have no label.
        per_class: label → mean of `per_image`.
        by_chance: label → what a random labelled neighbour would agree.
        n_neighbors: neighbours that were looked at.
    """

    per_image: np.ndarray
    per_class: dict[str, float]
    by_chance: dict[str, float]
    n_neighbors: int


@dataclass(frozen=True)
class SplitShift:
    """How far one split lies from the training images.

    Attributes:
        split: its name.
        n_images: images that were measured, at most `MAX_PER_SPLIT`, drawn at random.
        quantiles: cosine distances to the nearest training image, at `QUANTILES`.
        auc: chance that an image of the split lies farther from its nearest training image than a
            training image from its nearest other; 0.5 = no farther. None for training itself.
        p: two-sided p-value of it (Mann-Whitney); None for training itself.
        is_shifted: whether `auc` is at least 0.6 and `p` below 0.01.
    """

    split: str
    n_images: int
    quantiles: tuple[float, ...]
    auc: float | None
    p: float | None
    is_shifted: bool


def class_spreads(vectors: np.ndarray, labels: Sequence[str | None]) -> list[ClassSpread]:
    """Centroid and spread of every class, sorted by label; reserved labels are no classes.

    An image's distance is to the mean of the others, for a small class's mean lies near each of its
    own images.

    Args:
        vectors: float array (n_images, n_features).
        labels: a label an image, None or empty where it has none.

    Raises:
        ValueError: the lengths differ.
        OperatorError: vectors are not finite.
    """
    from scipy.stats import t as student

    units = unit_rows(check_vectors(vectors))
    spreads = []
    for label, rows in _rows_of_classes(labels, len(units)).items():
        own = units[rows].astype(np.float64)
        n = len(rows)
        centroid = own.mean(axis=0)
        central = int(rows[(own @ centroid).argmax()])
        spread = low = high = None
        if n > 1:
            apart = 1 - (own * unit_rows(own.sum(axis=0) - own)).sum(axis=1)
            spread = float(apart.mean())
            margin = float(student.ppf(0.975, n - 1) * apart.std(ddof=1) / np.sqrt(n))
            low, high = max(spread - margin, 0.0), min(spread + margin, 2.0)
        spreads.append(
            ClassSpread(label, n, centroid.astype(np.float32), spread, low, high, central)
        )
    return spreads


def separability_matrix(
    vectors: np.ndarray, labels: Sequence[str | None], *, seed: int = 0
) -> Separability:
    """Cross-validated AUC of a linear discriminant between each two classes.

    Of each class at most `MAX_PER_CLASS` images count, drawn at random; the space is 64 components
    of all images.

    Args:
        vectors: float array (n_images, n_features).
        labels: a label an image, None or empty where it has none; reserved labels are no classes.
        seed: of the subsets and the folds.

    Raises:
        ValueError: the lengths differ.
        OperatorError: fewer than two classes have `MIN_PER_CLASS` images, or vectors are not
            finite.
    """
    from sklearn.metrics import roc_auc_score

    reduced = reduce_vectors(vectors, n_components=_N_COMPONENTS)
    members = _rows_of_classes(labels, len(reduced))
    names = tuple(members)
    if sum(len(rows) >= MIN_PER_CLASS for rows in members.values()) < 2:
        raise OperatorError(
            "Classes can be told apart from two on.",
            f"Fewer than two have at least {MIN_PER_CLASS} images.",
            "Label more images.",
        )
    drawn = {
        label: rows[draw_subset(len(rows), MAX_PER_CLASS, seed=seed)]
        for label, rows in members.items()
    }
    auc = np.full((len(names), len(names)), np.nan)
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            if min(len(drawn[first]), len(drawn[second])) < MIN_PER_CLASS:
                continue
            points = reduced[np.concatenate([drawn[first], drawn[second]])]
            is_second = np.repeat([0.0, 1.0], [len(drawn[first]), len(drawn[second])])
            predicted = (held_out_predictor(points, seed=seed) @ is_second).round(9)
            # Classes that are alike come out a little below 0.5 in cross-validation.
            auc[i, j] = auc[j, i] = max(float(roc_auc_score(is_second, predicted)), 0.5)
    return Separability(names, auc)


def neighborhood_purity(
    graph: NeighborGraph, labels: Sequence[str | None], *, n_neighbors: int = 10
) -> Purity:
    """Which share of each image's labelled neighbours bears its label; reserved labels are none.

    Args:
        graph: the neighbours of the same images.
        labels: a label an image, None or empty where it has none.
        n_neighbors: how many of the graph's neighbours to look at, at least 1.

    Raises:
        ValueError: the lengths differ, or `n_neighbors` is below 1.
    """
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}")
    members = _rows_of_classes(labels, len(graph))
    class_of = np.full(len(graph), -1)
    for number, rows in enumerate(members.values()):
        class_of[rows] = number
    neighbors = class_of[graph.indices[:, :n_neighbors]]
    n_labelled = (neighbors >= 0).sum(axis=1)
    n_same = ((neighbors == class_of[:, None]) & (neighbors >= 0)).sum(axis=1)
    known = (class_of >= 0) & (n_labelled > 0)
    per_image = np.full(len(graph), np.nan, np.float32)
    per_image[known] = n_same[known] / n_labelled[known]
    n_all = sum(map(len, members.values()))
    per_class = {
        label: float(per_image[rows[known[rows]]].mean())
        for label, rows in members.items()
        if known[rows].any()
    }
    by_chance = {label: (len(members[label]) - 1) / (n_all - 1) for label in per_class}
    return Purity(per_image, per_class, by_chance, neighbors.shape[1])


def split_shifts(
    vectors: np.ndarray,
    splits: Sequence[str],
    *,
    groups: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> list[SplitShift]:
    """How far each split lies from the training images, training first, the others by name.

    A shift says that the other images are unlike those the model learns from, so that its figures
    on them may be lower than on the line; or, below 0.5, that copies of training images lie in
    them and its figures flatter.

    Args:
        vectors: float array (n_images, n_features).
        splits: a split an image; `train` must be among them.
        groups: int array (n_images,), -1 for none. Training images of one group are not each
            other's nearest: splits keep groups whole, so the other splits have no such twins.
        seed: of the subsets.

    Raises:
        ValueError: the lengths differ.
        OperatorError: there are fewer than two training images, or vectors are not finite.
    """
    from scipy.stats import mannwhitneyu

    units = unit_rows(check_vectors(vectors))
    if len(splits) != len(units):
        raise ValueError(f"{len(splits)} splits, but {len(units)} vectors")
    group_of = np.full(len(units), -1) if groups is None else np.asarray(groups, np.int64)
    if group_of.shape != (len(units),):
        raise ValueError(f"{len(group_of)} groups, but {len(units)} vectors")
    split_of = np.asarray(splits)
    train = np.flatnonzero(split_of == "train")
    if len(train) < 2:
        raise OperatorError(
            f"Distances to training need at least two training images, there are {len(train)}.",
            next_step="Split the images on the page Dataset.",
        )
    apart = {
        split: _nearest_apart(
            units,
            rows[draw_subset(len(rows), MAX_PER_SPLIT, seed=seed)],
            train,
            group_of if split == "train" else None,
        )
        for split, rows in _members_by_split(split_of, train).items()
    }
    usual = apart["train"]
    if not len(usual):
        raise OperatorError(
            "All training images are copies of one another.",
            next_step="Import more images.",
        )
    shifts = [SplitShift("train", len(usual), _quantiles(usual), None, None, False)]
    for split, distances in list(apart.items())[1:]:
        test = mannwhitneyu(distances, usual, alternative="two-sided")
        auc = float(test.statistic / (len(distances) * len(usual)))
        # All distances equal: nothing is farther than anything.
        p = float(test.pvalue) if np.isfinite(test.pvalue) else 1.0
        is_shifted = auc >= _SHIFT_AUC and p < _SHIFT_P
        shifts.append(SplitShift(split, len(distances), _quantiles(distances), auc, p, is_shifted))
    return shifts


def _rows_of_classes(labels: Sequence[str | None], n_images: int) -> dict[str, np.ndarray]:
    """Rows of each class, ascending, by label sorted."""
    if len(labels) != n_images:
        raise ValueError(f"{len(labels)} labels, but {n_images} images")
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label and label not in RESERVED_LABELS:
            rows.setdefault(label, []).append(row)
    return {label: np.array(rows[label]) for label in sorted(rows)}


def _members_by_split(split_of: np.ndarray, train: np.ndarray) -> dict[str, np.ndarray]:
    others = sorted(set(split_of.tolist()) - {"train"})
    return {"train": train} | {split: np.flatnonzero(split_of == split) for split in others}


def _nearest_apart(
    units: np.ndarray, rows: np.ndarray, train: np.ndarray, group_of: np.ndarray | None
) -> np.ndarray:
    """Cosine distance of each row to its nearest training image.

    Args:
        group_of: for training images themselves: neither the image nor its group counts, and an
            image with no other group left is dropped.
    """
    apart = np.empty(len(rows), np.float32)
    at_once = max(1, _BLOCK_NUMBERS // len(train))
    references = units[train]
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        likeness = units[some] @ references.T
        if group_of is not None:
            same = (group_of[some, None] == group_of[train]) & (group_of[some, None] >= 0)
            likeness[same | (some[:, None] == train)] = -np.inf
        apart[start : start + len(some)] = 1 - likeness.max(axis=1)
    apart = apart[np.isfinite(apart)]
    # Float32 leaves copies some 1e-7 apart, and a rank test would take that for an order.
    return np.where(apart < 1e-6, 0.0, apart)


def _quantiles(distances: np.ndarray) -> tuple[float, ...]:
    return tuple(np.quantile(distances, QUANTILES).tolist())
