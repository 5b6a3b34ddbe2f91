"""Which images does the tuned latent space hold apart, and which does it mix up?

The paper's rule of routing: K-means with one cluster more than there are classes, on the tuned
features of the validation images. Each cluster is named after the class that most of its images
have; the one more gathers what fits none, and goes to the operator. New images go by the nearest
centre: to the operator from the mixed cluster, labelled by the name of any other.

Algorithm:
1. The name of a cluster is the commonest class among its labelled images, the first in the model's
   order of those equally common. Other labels (`multiple`, say) name nothing.
2. Its purity is the share of its labelled images that have its name. A label that is no class of
   the model is never the name: labelled automatically, such an image counts as wrong.
3. The mixed cluster is the least pure; of several least pure the one with most labelled images,
   whose purity is the surest, then the lowest number. Where all are equally pure none is mixed.
4. K-means always makes its clusters, and one of them is nearly always the least pure. Fisher's
   exact test says whether it is less pure than the others together by more than chance would give,
   corrected for having picked it among k. This is told, and changes no route.

The rule promises no share of errors: a threshold on a calibrated risk does.

Source:
    Almhaithawi, Bellini, Chasparis & Cerquitelli (2025), "Investigating the potential of latent
    space for the classification of paint defects", section 5.3, doi:10.3390/jimaging11020033.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import OperatorError
from core.latent.agreement import agreement
from core.latent.clustering import cluster_kmeans
from core.latent.clustering_methods import KMeansConfig
from core.latent.vectors import check_vectors
from core.learning.evaluation import Estimate, estimate_share, unite_unknown

N_INIT = 10
AUTO, OPERATOR = "auto", "operator"
_SURE = 0.05  # p-values above it are no evidence that a cluster is mixed


@dataclass(frozen=True)
class ClusterRule:
    """A fitted rule: row i of the centres is cluster i, the largest on the validation images first.

    Attributes:
        centers: float32 (n_classes + 1, n_features).
        names: the class of each cluster, None where none of its images was of one.
        mixed: the cluster that goes to the operator, None where all are equally pure.
        p_value: how often chance alone would make some cluster as much less pure than the others,
            in [0, 1]; None where no cluster is mixed.
        class_names: the classes of the model, in its order.
        seed: of K-means.
    """

    centers: np.ndarray
    names: tuple[str | None, ...]
    mixed: int | None
    p_value: float | None
    class_names: tuple[str, ...]
    seed: int

    def assign(self, features: np.ndarray) -> np.ndarray:
        """The nearest centre of each image by Euclidean distance: int32 (n_images,).

        Raises:
            ValueError: the features are not (n_images, n_features of the centres).
            OperatorError: a feature is not finite.
        """
        return nearest_center(features, self.centers)

    @property
    def goes_to_operator(self) -> tuple[bool, ...]:
        """For each cluster: the mixed one does, and one without a name to label by."""
        return tuple(name is None or place == self.mixed for place, name in enumerate(self.names))


def nearest_center(features: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The nearest centre of each image by Euclidean distance: int32 (n_images,).

    Args:
        features: float array (n_images, n_features).
        centers: float array (n_clusters, n_features).

    Raises:
        ValueError: the features are not (n_images, n_features of the centres).
        OperatorError: a feature is not finite.
    """
    from sklearn.metrics import pairwise_distances_argmin

    if features.ndim != 2 or features.shape[1] != centers.shape[1]:
        raise ValueError(
            f"features must have shape (n_images, {centers.shape[1]}), got {features.shape}"
        )
    if not len(features):
        return np.zeros(0, dtype=np.int32)
    return pairwise_distances_argmin(check_vectors(features), centers).astype(np.int32)


@dataclass(frozen=True)
class ClusterContent:
    """What one cluster holds of a set of images.

    Attributes:
        number: of the cluster.
        name: its class, None where it has none.
        is_mixed: whether it is the mixed one.
        n_images: in the cluster.
        labels: (label, images) of its labelled images, the commonest first.
        purity: share of its labelled images that have its name, higher = purer.
    """

    number: int
    name: str | None
    is_mixed: bool
    n_images: int
    labels: tuple[tuple[str, int], ...]
    purity: Estimate


@dataclass(frozen=True)
class RuleMeasure:
    """What the rule does to a set of images.

    Attributes:
        clusters: their contents, in the order of the rule's.
        mixed: the mixed cluster, None where none is.
        mixed_share: share of all images that lie in it; 0 where none is mixed.
        operator_share: share of all images that go to the operator: those of the mixed cluster and
            of clusters without a name.
        auto_error: share of the images labelled automatically whose label is another, lower =
            better; a label that is no class of the model counts as wrong, images without a label
            are left out.
        adjusted_rand_index: of clusters and labels, all labels that are no class of the model being
            one; 1 where they say the same, about 0 where they are independent. None where fewer
            than two images have a label.
        n_labelled: images with a label, which the index is measured on.
        n_images: all of them.
        notes: what a person who reads the values must know.
    """

    clusters: tuple[ClusterContent, ...]
    mixed: int | None
    mixed_share: Estimate
    operator_share: Estimate
    auto_error: Estimate
    adjusted_rand_index: float | None
    n_labelled: int
    n_images: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class RoutedImages:
    """Where the rule sends each image, row i of the features in row i.

    Attributes:
        cluster_labels: int32 (n_images,).
        routes: `auto` or `operator` each.
        auto_labels: the label given automatically, None for those that go to the operator.
        measure: of all of them together.
    """

    cluster_labels: np.ndarray
    routes: tuple[str, ...]
    auto_labels: tuple[str | None, ...]
    measure: RuleMeasure


def fit_cluster_rule(
    features: np.ndarray,
    labels: Sequence[str | None],
    class_names: Sequence[str],
    *,
    seed: int = 0,
) -> ClusterRule:
    """Cluster validation images, name the clusters, and find the mixed one.

    Args:
        features: float array (n_images, n_features), penultimate features by the tuned weights.
        labels: a label an image, None or empty where it has none.
        class_names: the classes of the model, in its order.
        seed: of K-means.

    Raises:
        ValueError: the lengths differ, or there is no class.
        OperatorError: there are fewer images than clusters, or a feature is not finite.
    """
    n_clusters = len(class_names) + 1
    _check_lengths(features, labels)
    if n_clusters < 2:
        raise ValueError("class_names must name at least one class")
    if len(features) < n_clusters:
        raise OperatorError(
            f"{len(features):,} validation images cannot form {n_clusters} clusters.",
            f"The rule needs one cluster more than the model has classes: {n_clusters}.",
            "Move more labelled images to the validation split.",
        )
    config = KMeansConfig(n_clusters=n_clusters, n_init=N_INIT, seed=seed)
    unnamed = ClusterRule(
        centers=cluster_kmeans(features, config).centers,
        names=(None,) * n_clusters,
        mixed=None,
        p_value=None,
        class_names=tuple(class_names),
        seed=seed,
    )
    counts = _count_labels(unnamed.assign(features), labels, n_clusters)
    names = tuple(_commonest_class(each, class_names) for each in counts)
    n_named = [each[name] if name else 0 for each, name in zip(counts, names, strict=True)]
    n_labelled = [each.total() for each in counts]
    mixed = _find_mixed(n_named, n_labelled)
    p_value = None if mixed is None else _p_value(mixed, n_named, n_labelled)
    return replace(unnamed, names=names, mixed=mixed, p_value=p_value)


def apply_cluster_rule(
    rule: ClusterRule, features: np.ndarray, labels: Sequence[str | None] | None = None
) -> RoutedImages:
    """Route images by the nearest centre, and measure what comes of it.

    Args:
        rule: fitted on the validation images.
        features: float array (n_images, n_features), by the same weights.
        labels: the truth, for the measures; None where it is not known.

    Raises:
        ValueError: the lengths differ, or the features are of another width than the centres.
        OperatorError: a feature is not finite.
    """
    labels = [None] * len(features) if labels is None else labels
    _check_lengths(features, labels)
    cluster_labels = rule.assign(features)
    to_operator = rule.goes_to_operator
    routes = tuple(OPERATOR if to_operator[each] else AUTO for each in cluster_labels.tolist())
    auto_labels = tuple(
        None if to_operator[each] else rule.names[each] for each in cluster_labels.tolist()
    )
    return RoutedImages(
        cluster_labels=cluster_labels,
        routes=routes,
        auto_labels=auto_labels,
        measure=_measure(rule, cluster_labels, auto_labels, labels),
    )


def _check_lengths(features: np.ndarray, labels: Sequence[str | None]) -> None:
    if len(features) != len(labels):
        raise ValueError(f"{len(features)} rows of features, but {len(labels)} labels")


def _count_labels(
    cluster_labels: np.ndarray, labels: Sequence[str | None], n_clusters: int
) -> list[Counter[str]]:
    """Images of each label in each cluster; those without a label are left out."""
    counts: list[Counter[str]] = [Counter() for _ in range(n_clusters)]
    for cluster, label in zip(cluster_labels.tolist(), labels, strict=True):
        if label:
            counts[cluster][label] += 1
    return counts


def _commonest_class(counts: Counter[str], class_names: Sequence[str]) -> str | None:
    found = max(class_names, key=lambda name: counts[name])  # the first of equals
    return found if counts[found] else None


def _find_mixed(n_named: Sequence[int], n_labelled: Sequence[int]) -> int | None:
    """The least pure cluster, by rule 3; clusters without a labelled image have no purity."""
    purities = {
        place: named / n
        for place, (named, n) in enumerate(zip(n_named, n_labelled, strict=True))
        if n
    }
    if len(set(purities.values())) < 2:
        return None
    return min(purities, key=lambda place: (purities[place], -n_labelled[place], place))


def _p_value(mixed: int, n_named: Sequence[int], n_labelled: Sequence[int]) -> float:
    """Fisher's exact test, one-sided, of the mixed cluster against the others together."""
    from scipy.stats import fisher_exact

    inside = (n_named[mixed], n_labelled[mixed] - n_named[mixed])
    outside = (sum(n_named) - inside[0], sum(n_labelled) - sum(n_named) - inside[1])
    p_value = fisher_exact([inside, outside], alternative="less").pvalue
    # The least pure of so many clusters was picked: Bonferroni's correction.
    return min(1.0, float(p_value) * sum(n > 0 for n in n_labelled))


def _measure(
    rule: ClusterRule,
    cluster_labels: np.ndarray,
    auto_labels: Sequence[str | None],
    labels: Sequence[str | None],
) -> RuleMeasure:
    sizes = np.bincount(cluster_labels, minlength=len(rule.names)).tolist()
    counts = _count_labels(cluster_labels, labels, len(rule.names))
    clusters = tuple(
        ClusterContent(
            number=place,
            name=name,
            is_mixed=place == rule.mixed,
            n_images=size,
            labels=tuple(sorted(count.items(), key=lambda item: (-item[1], item[0]))),
            purity=estimate_share(
                count[name] if name else 0, count.total(), why="It holds no labelled image."
            ),
        )
        for place, (name, size, count) in enumerate(zip(rule.names, sizes, counts, strict=True))
    )
    n_to_operator = sum(
        size for size, to_operator in zip(sizes, rule.goes_to_operator, strict=True) if to_operator
    )
    judged = [
        given == label for given, label in zip(auto_labels, labels, strict=True) if given and label
    ]
    agreed = agreement(unite_unknown(labels, rule.class_names), cluster_labels)
    n = len(cluster_labels)
    none = "There are no images."
    return RuleMeasure(
        clusters=clusters,
        mixed=rule.mixed,
        mixed_share=estimate_share(0 if rule.mixed is None else sizes[rule.mixed], n, why=none),
        operator_share=estimate_share(n_to_operator, n, why=none),
        auto_error=estimate_share(
            judged.count(False), len(judged), why="No image labelled automatically has a label."
        ),
        adjusted_rand_index=agreed.adjusted_rand_index,
        n_labelled=agreed.n,
        n_images=n,
        notes=_notes(rule),
    )


def _notes(rule: ClusterRule) -> tuple[str, ...]:
    notes = []
    if rule.mixed is None:
        notes.append("No cluster is mixed: on the validation images all are equally pure.")
    elif rule.p_value is not None and rule.p_value > _SURE:
        notes.append(
            "On the validation images the mixed cluster is less pure than the others by no more "
            f"than chance would give (p = {rule.p_value:.2f})."
        )
    labelling = {
        name
        for name, to_operator in zip(rule.names, rule.goes_to_operator, strict=True)
        if not to_operator
    }
    missing = [name for name in rule.class_names if name not in labelling]
    if missing:
        notes.append(f"No cluster labels images automatically as {', '.join(missing)}.")
    n_unnamed = sum(name is None and place != rule.mixed for place, name in enumerate(rule.names))
    if n_unnamed:
        notes.append(
            "Clusters without a labelled validation image of any class, which go to the operator: "
            f"{n_unnamed}."
        )
    return tuple(notes)
