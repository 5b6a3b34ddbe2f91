"""Which labels are probably wrong? Each image is judged by a model that never saw its label.

Algorithm:
1. Features are reduced to 128 components. A multinomial logistic regression predicts every image's
   label in cross-validation. Images of one group (copies, shots of one thing) share a fold: a twin
   with the same wrong label would vouch for it.
2. The images are ranked by the margin of the given label's probability over the best other one.
3. Confident learning estimates how many labels of each class should be another: images count whose
   probability of that other class reaches what its own images have on average. So many of the worst
   are called issues.

Twins whose labels differ are listed apart by `label_conflicts`, for there no model is needed.

Source:
    Northcutt et al. (2021), "Confident learning: estimating uncertainty in dataset labels",
    doi:10.1613/jair.1.12125.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import OperatorError
from core.latent.reduction import reduce_vectors
from core.latent.vectors import check_vectors
from core.vocabulary import RESERVED_LABELS

N_FOLDS = 5
N_COMPONENTS = 128

# The strength of the regression's penalty, for rows of mean length 10. On X-SDD with flipped labels
# 0.01 and 0.1 rank alike; 1 begins to learn the wrong labels.
_C = 0.1
_ROW_LENGTH = 10.0
_MAX_ITERATIONS = 300


@dataclass(frozen=True)
class LabelErrors:
    """The labels that could be judged, most likely wrong first.

    Attributes:
        rows: int64 (n_judged,): rows of the vectors.
        scores: float32 (n_judged,) in [0, 1], descending: higher = more likely mislabelled; above
            0.5 another label is more probable than the given one.
        suggested: the most probable label other than the given one.
        is_issue: bool (n_judged,): whether confident learning calls the label wrong.
        classes: the labels that were told apart, sorted.
        notes: sentences on what was left out.
    """

    rows: np.ndarray
    scores: np.ndarray
    suggested: tuple[str, ...]
    is_issue: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LabelConflict:
    """Images of one group that bear different labels.

    Attributes:
        rows: the labelled images of the group, ascending.
        labels: their labels, in the same order.
    """

    rows: tuple[int, ...]
    labels: tuple[str, ...]


def find_label_errors(
    vectors: np.ndarray,
    labels: Sequence[str | None],
    *,
    groups: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> LabelErrors:
    """Rank the labels by how likely they are wrong.

    Left out, with a note: images without a label, with a reserved one, and labels with fewer than
    five groups, of which there would be none to learn from or none to judge.

    Args:
        vectors: float array (n_images, n_features).
        labels: a label an image, None or empty where it has none.
        groups: int array (n_images,): images of the same number are judged by a model that saw none
            of them; -1 is in no group. None: every image stands alone.
        seed: of the folds.

    Raises:
        ValueError: the lengths differ.
        OperatorError: fewer than two labels can be judged, or vectors are not finite.
    """
    vectors = check_vectors(vectors)
    if len(labels) != len(vectors):
        raise ValueError(f"{len(labels)} labels, but {len(vectors)} vectors")
    singles = _numbered_groups(groups, len(vectors))
    rows, classes, notes = _judgeable(labels, singles)
    if len(classes) < 2:
        raise OperatorError(
            f"Labels can be checked against each other from two classes on of at least {N_FOLDS} "
            f"images that are no copies; there is {len(classes) or 'none'}.",
            " ".join(notes),
            "Label more images.",
        )
    number_of = {label: number for number, label in enumerate(classes)}
    targets = np.array([number_of[str(labels[row])] for row in rows])
    folds = _deal_folds(targets, singles[rows], seed=seed)
    probabilities = _held_out_probabilities(vectors[rows], targets, folds, len(classes))

    scores, is_issue = _judge(targets, probabilities)
    others = probabilities.copy()
    others[np.arange(len(rows)), targets] = -1.0
    suggested = others.argmax(axis=1)
    order = np.argsort(-scores, kind="stable")
    return LabelErrors(
        rows=rows[order],
        scores=scores[order].astype(np.float32),
        suggested=tuple(classes[number] for number in suggested[order]),
        is_issue=is_issue[order],
        classes=classes,
        notes=notes,
    )


def label_conflicts(
    groups: Sequence[int] | np.ndarray, labels: Sequence[str | None]
) -> list[LabelConflict]:
    """Groups whose images bear different labels, largest first; reserved labels count as labels.

    Args:
        groups: int array (n_images,): images of the same number are copies; -1 is in no group.
        labels: a label an image, None or empty where it has none.

    Raises:
        ValueError: the lengths differ.
    """
    if len(groups) != len(labels):
        raise ValueError(f"{len(groups)} groups, but {len(labels)} labels")
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        if group >= 0 and labels[row]:
            members.setdefault(int(group), []).append(row)
    conflicts = [
        LabelConflict(tuple(rows), tuple(str(labels[row]) for row in rows))
        for rows in members.values()
        if len({labels[row] for row in rows}) > 1
    ]
    return sorted(conflicts, key=lambda conflict: (-len(conflict.rows), conflict.rows))


def _numbered_groups(groups: Sequence[int] | np.ndarray | None, n_images: int) -> np.ndarray:
    """A group an image, those without one in groups of their own."""
    numbers = np.full(n_images, -1) if groups is None else np.asarray(groups, np.int64).copy()
    if numbers.shape != (n_images,):
        raise ValueError(f"{len(numbers)} groups, but {n_images} vectors")
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def _judgeable(
    labels: Sequence[str | None], groups: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Rows whose labels can be judged, their labels sorted, and notes on the others."""
    of_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label and label not in RESERVED_LABELS:
            of_label.setdefault(label, []).append(row)
    label_of_group: dict[int, str] = {}
    for row, label in enumerate(labels):
        if label in of_label:
            label_of_group.setdefault(int(groups[row]), str(label))
    n_groups = Counter(label_of_group.values())
    classes = tuple(sorted(label for label in of_label if n_groups[label] >= N_FOLDS))
    rows = np.array(sorted(row for label in classes for row in of_label[label]), np.int64)
    few = sorted(set(of_label) - set(classes))
    n_unlabelled = sum(not label for label in labels)
    n_reserved = sum(label in RESERVED_LABELS for label in labels)
    notes = []
    if few:
        names = ", ".join(few)
        notes.append(f"Too few images to judge (fewer than {N_FOLDS} that are no copies): {names}.")
    if n_unlabelled:
        notes.append(f"{n_unlabelled:,} images without a label were left out.")
    if n_reserved:
        notes.append(f"{n_reserved:,} images with a label that is no class were left out.")
    return rows, classes, tuple(notes)


def _deal_folds(targets: np.ndarray, groups: np.ndarray, *, seed: int) -> np.ndarray:
    """A fold an image: groups stay whole, and each class's groups are dealt out evenly."""
    _, firsts, group_of = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(firsts))
    by_class = shuffled[np.argsort(targets[firsts[shuffled]], kind="stable")]
    fold_of_group = np.empty(len(firsts), np.int64)
    fold_of_group[by_class] = np.arange(len(firsts)) % N_FOLDS
    return fold_of_group[group_of]


def _held_out_probabilities(
    vectors: np.ndarray, targets: np.ndarray, folds: np.ndarray, n_classes: int
) -> np.ndarray:
    """Probability of each class for each image, from a model that saw neither it nor its group."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # The components know no labels, so finding them on all images gives nothing away.
    points = reduce_vectors(vectors, n_components=N_COMPONENTS).astype(np.float64)
    length = np.sqrt((points**2).sum(axis=1).mean())
    points *= _ROW_LENGTH / length if length > 0 else 1.0
    probabilities = np.zeros((len(points), n_classes))
    for fold in range(N_FOLDS):
        held_out = folds == fold
        model = LogisticRegression(C=_C, max_iter=_MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the ranking has long settled
            model.fit(points[~held_out], targets[~held_out])
        probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(points[held_out])
    return probabilities


def _judge(targets: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores, higher = worse, and which labels are issues."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(targets, probabilities, method="normalized_margin")
    # One process: the work is small, and a worker must not start others.
    is_issue = find_label_issues(targets, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    return 1.0 - quality, np.asarray(is_issue, bool)
