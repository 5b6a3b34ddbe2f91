"""How well are groups of images apart, and does the answer depend on the metric?

The silhouette of a labelling (clusters or classes) under every metric of the paper's Table 1. An
image whose neighbours are nearer to its own group than to the next scores up to 1, one between two
groups 0, one in the wrong group down to -1; the silhouette is the mean. Values under different
metrics stand on different scales (squaring alone raises them): compare runs under one metric.

Algorithm:
1. Images that belong to no group (noise, no label) are left out.
2. Up to 2,000 images: all distances. Beyond: five draws of 2,000 at random; the value is the mean
   over draws, its interval the smallest and the largest.
3. Labellings that count the same images share the distances, which cost nearly all of the time.

Source:
    Rousseeuw (1987), "Silhouettes: a graphical aid to the interpretation and validation of cluster
    analysis", doi:10.1016/0377-0427(87)90125-7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.latent.distances import make_comparable
from core.latent.metrics import BINARISATIONS, METRICS, MetricOptions, find_metric
from core.latent.vectors import draw_subset

# Distances between all pairs: a draw of 2,000 images estimates the silhouette within about 0.01.
DRAW_SIZE = 2_000
N_DRAWS = 5
COMPARE_NOTE = (
    "Values under different metrics stand on different scales: compare runs under one metric."
)


@dataclass(frozen=True)
class Silhouette:
    """One labelling under one metric.

    Attributes:
        metric: its name in `METRICS`.
        value: in [-1, 1], higher = groups better apart; None where it is not defined.
        low: smallest value of a draw; `value` itself where all images were measured.
        high: largest value of a draw.
        why: why it is not defined, a sentence for a person; empty where it is.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    why: str = ""


@dataclass(frozen=True)
class Separability:
    """One labelling under several metrics.

    Attributes:
        scores: in the order of the metrics asked for.
        best: the metric of the highest value, None where none is defined.
        n_groups: how many groups the labelling has.
        n_counted: images that belong to a group.
        n_left_out: images that belong to none.
        n_measured: images in one draw.
        n_draws: 1 where all images were measured.
        options: what the metrics leave open, as it was settled.
        notes: what a person who reads the values must know.
    """

    scores: tuple[Silhouette, ...]
    best: str | None
    n_groups: int
    n_counted: int
    n_left_out: int
    n_measured: int
    n_draws: int
    options: MetricOptions
    notes: tuple[str, ...]

    def __getitem__(self, metric: str) -> Silhouette:
        """The silhouette under a metric, by its name or an alias."""
        name = find_metric(metric).name
        return next(score for score in self.scores if score.metric == name)

    @property
    def ranked(self) -> tuple[Silhouette, ...]:
        """Highest value first, those that are not defined last."""
        return tuple(
            sorted(self.scores, key=lambda s: -np.inf if s.value is None else s.value, reverse=True)
        )


def encode_labels(labels: Sequence[str | None]) -> np.ndarray:
    """Class labels as int32 group numbers, in the order of the words; -1 for None and empty."""
    places = {label: place for place, label in enumerate(sorted({x for x in labels if x}))}
    return np.array([places.get(label or "", -1) for label in labels], dtype=np.int32)


def measure_separability(
    vectors: np.ndarray,
    labellings: Mapping[str, np.ndarray],
    *,
    metrics: Sequence[str] = tuple(METRICS),
    options: MetricOptions | None = None,
    seed: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> dict[str, Separability]:
    """The silhouette of each labelling under each metric.

    What is undefined says why and stops nothing: one group, NaN features, equal images.

    Args:
        vectors: float array (n_images, n_features); NaN is for `nan_euclidean` alone.
        labellings: name → int array (n_images,) of group numbers, -1 for none; `encode_labels`
            makes one of class labels.
        metrics: names or aliases.
        options: what some metrics leave open.
        seed: of the draws.
        on_progress: called with a fraction in [0, 1] and a line of text.

    Raises:
        ValueError: a labelling has another length than the vectors, there is no such metric, or
            `vectors` is not two-dimensional.
        OperatorError: the vectors hold infinite numbers.
    """
    options = options or MetricOptions()
    chosen = [find_metric(name) for name in metrics]
    names = [metric.name for metric in chosen]
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (n_images, n_features), got {vectors.shape}")
    for name, groups in labellings.items():
        if groups.shape != (len(vectors),):
            raise ValueError(
                f"labelling {name!r} must have shape ({len(vectors)},), got {groups.shape}"
            )
    by_images: dict[bytes, list[str]] = {}
    for name, groups in labellings.items():
        by_images.setdefault((groups >= 0).tobytes(), []).append(name)

    n_steps = len(by_images) * len(names)
    found: dict[str, Separability] = {}
    for done, together in enumerate(by_images.values()):
        counted = np.flatnonzero(labellings[together[0]] >= 0)
        sharing = {name: labellings[name][counted] for name in together}
        draws = _draw(len(counted), seed=seed)
        drawn = np.unique(np.concatenate(draws))
        ready = _Drawn(
            vectors[counted[drawn]],
            {name: groups[drawn] for name, groups in sharing.items()},
            [np.searchsorted(drawn, draw) for draw in draws],
        )
        whys = {name: _why_undefined(groups) for name, groups in sharing.items()}
        scores: dict[str, list[Silhouette]] = {name: [] for name in together}
        for place, metric in enumerate(names):
            if on_progress is not None:
                on_progress((done * len(names) + place) / n_steps, METRICS[metric].title)
            for name, score in _measure(ready, metric, options, whys).items():
                scores[name].append(score)
        for name, groups in sharing.items():
            found[name] = _gather(
                scores[name],
                n_groups=len(np.unique(groups)),
                n_images=len(vectors),
                draws=draws,
                n_counted=len(counted),
                options=options,
            )
    return {name: found[name] for name in labellings}


def silhouette_samples(distances: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The silhouette of each image from all distances; 0 for the only image of its group.

    Args:
        distances: float array (n_images, n_images), 0 on the diagonal.
        groups: int array (n_images,), at least two different groups.

    Returns:
        float64 (n_images,) in [-1, 1].
    """
    _, own = np.unique(groups, return_inverse=True)
    sizes = np.bincount(own)
    members = np.zeros((len(own), len(sizes)), dtype=distances.dtype)
    members[np.arange(len(own)), own] = 1
    sums = (distances @ members).astype(np.float64)  # (n_images, n_groups)
    rows = np.arange(len(own))
    within = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[rows, own] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(within, nearest)
    scores = np.divide(nearest - within, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(sizes[own] > 1, scores, 0.0)


@dataclass(frozen=True)
class _Drawn:
    """The images of all draws together, and the rows of each draw among them."""

    vectors: np.ndarray
    groups: Mapping[str, np.ndarray]
    draws: Sequence[np.ndarray]


def _draw(n: int, *, seed: int) -> list[np.ndarray]:
    if n <= DRAW_SIZE:
        return [np.arange(n)]
    return [draw_subset(n, DRAW_SIZE, seed=seed + i) for i in range(N_DRAWS)]


def _why_undefined(groups: np.ndarray) -> str:
    n_groups = len(np.unique(groups))
    if n_groups == 0:
        return "No image belongs to a group: all are noise or have no label."
    if n_groups == 1:
        return "There is only one group, and a silhouette compares at least two."
    if n_groups == len(groups):
        return "Every image is a group of its own."
    return ""


def _measure(
    drawn: _Drawn, metric: str, options: MetricOptions, whys: Mapping[str, str]
) -> dict[str, Silhouette]:
    """The silhouettes of labellings that share their images."""
    undefined = {n: Silhouette(metric, None, None, None, why) for n, why in whys.items() if why}
    asked = [name for name, why in whys.items() if not why]
    if not asked:
        return undefined
    if np.isnan(drawn.vectors).any() and not METRICS[metric].takes_nan:
        why = "Some features are missing (NaN); only nan_euclidean is defined for them."
        return undefined | {name: Silhouette(metric, None, None, None, why) for name in asked}
    rows = make_comparable(drawn.vectors, metric, options)
    values: dict[str, list[float]] = {name: [] for name in asked}
    why = ""
    for draw in drawn.draws:
        distances = rows.take(draw).distances()
        if np.isnan(distances).any():
            why = "Some images have no feature in common."
        elif not distances.any():
            why = "All images are equal under this metric."
        else:
            for name in asked:
                groups = drawn.groups[name][draw]
                if not _why_undefined(groups):
                    values[name].append(float(silhouette_samples(distances, groups).mean()))
    scores = {}
    for name, of_draws in values.items():
        if of_draws:
            low, high = min(of_draws), max(of_draws)
            scores[name] = Silhouette(metric, float(np.mean(of_draws)), low, high)
        else:
            none_seen = "No draw of images held two groups."
            scores[name] = Silhouette(metric, None, None, None, why or none_seen)
    return undefined | scores


def _gather(
    scores: Sequence[Silhouette],
    *,
    n_groups: int,
    n_images: int,
    draws: Sequence[np.ndarray],
    n_counted: int,
    options: MetricOptions,
) -> Separability:
    defined = [(score.value, score.metric) for score in scores if score.value is not None]
    notes = [COMPARE_NOTE]
    if any(METRICS[score.metric].boolean for score in scores):
        notes.append(f"For boolean metrics {BINARISATIONS[options.binarise]}.")
    if n_counted < n_images:
        notes.append(
            f"{n_images - n_counted:,} of {n_images:,} images belong to no group and are left out."
        )
    if len(draws) > 1:
        notes.append(
            f"Measured on {len(draws)} random draws of {DRAW_SIZE:,} from {n_counted:,} images: "
            "mean, smallest and largest."
        )
    return Separability(
        scores=tuple(scores),
        best=max(defined, key=lambda pair: pair[0])[1] if defined else None,
        n_groups=n_groups,
        n_counted=n_counted,
        n_left_out=n_images - n_counted,
        n_measured=len(draws[0]),
        n_draws=len(draws),
        options=options,
        notes=tuple(notes),
    )
