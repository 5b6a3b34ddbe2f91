"""Do the images that come in now still look like those that the promise was read off?

The calibration images are the reference. Images that came in one after another make a window, and
five tests compare it with the reference:

- Maximum mean discrepancy of the features notices any difference of distribution.
- A cross-validated classifier says how well an unseen image's side can be told, by its AUC.
- The camera measures (brightness, sharpness, ...) say it in a plant's own words. The statistic is
  the largest difference of mean ranks, over all measures, in units of its spread.
- Novelty: how many images lie farther from all classes than most reference images do.
- The shares of the labels that the model gives, by Pearson's chi-square.

Level: one false alarm in `IMAGES_A_FALSE_ALARM` images, divided evenly over all windows and tests.
That bounds the expected number also where windows overlap and tests go together. All tests hold
their level for any number of images, small references too: the novelty's by the exact distribution
of how many of n new values lie above the k-th largest of m old ones, the others by permutation.
Where more than the tolerated number of permutations look as different as what was seen, no alarm
is sure, and the drawing can end.

What must be true for that: without drift the images of a window could as well have been drawn from
where the reference was. A line that makes one part for an hour, and then another, drifts in this
sense, and shots of one thing that follow each other make differences look surer than they are.

Source:
    Rabanser, Günnemann & Lipton (2019), "Failing loudly: an empirical study of methods for
    detecting dataset shift", arXiv:1810.11953; Gretton et al. (2012), "A kernel two-sample test",
    JMLR 13:723-773; Lopez-Paz & Oquab (2017), "Revisiting classifier two-sample tests",
    arXiv:1610.06545; Westfall & Young (1993), "Resampling-based multiple testing" (the largest of
    several statistics); Phipson & Smyth (2010), "Permutation p-values should never be zero",
    doi:10.2202/1544-6115.1585.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.latent.reduction import reduce_vectors
from core.latent.two_sample import aucs, gaussian_kernel, held_out_predictor, mmd_squared
from core.latent.vectors import check_vectors, draw_subset
from core.vocabulary import QUALITY_MEASURES

WINDOW = 175  # images; of 100, some windows of NEU-DET hid a brightness x1.2
STEP = 25  # so that a whole window lies within any 200 images
IMAGES_A_FALSE_ALARM = 50_000
MIN_REFERENCE = 30
MIN_WINDOW = 20
MAX_REFERENCE = 1_000  # more would hardly tell more, and cost the square of it
N_UNLIKE = 12

TESTS = ("mmd", "classifier", "camera", "novelty", "labels")
NOVELTY_SHARE = 0.05  # of the reference images count as novel

_N_COMPONENTS = 64
_TOLERATED = 1  # permutations that may look as different, when all are drawn
_PERMUTATIONS_AT_ONCE = 2_000
_FIRST_PERMUTATIONS = 100


@dataclass(frozen=True)
class Sample:
    """What is known of some images, row by row.

    Attributes:
        ids: int64 (n,); what has one id is one image.
        features: float array (n, n_features).
        camera: float64 (n, 6), in the order of `QUALITY_MEASURES`; None where not measured.
        novelty: float64 (n,), higher = farther from all classes; None where not known.
        labels: (n,), the model's; None where not known.
    """

    ids: np.ndarray
    features: np.ndarray
    camera: np.ndarray | None = None
    novelty: np.ndarray | None = None
    labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        columns = (self.features, self.camera, self.novelty, self.labels)
        lengths = {len(each) for each in columns if each is not None} | {len(self.ids)}
        if len(lengths) > 1:
            raise ValueError(f"all columns must have one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Sample:
        """Some of the images, in the order of `rows`."""
        return Sample(
            self.ids[rows],
            self.features[rows],
            None if self.camera is None else self.camera[rows],
            None if self.novelty is None else self.novelty[rows],
            None if self.labels is None else tuple(self.labels[row] for row in rows.tolist()),
        )

    def distinct(self) -> Sample:
        """Each image once, in the order in which it first stands."""
        _, first = np.unique(self.ids, return_index=True)
        return self.take(np.sort(first))


@dataclass(frozen=True)
class DriftTest:
    """One test of one window.

    Attributes:
        name: one of `TESTS`.
        value: the statistic, higher = more different.
        limit: an alarm is given where `value` is above this; None where it was not worked out.
        p_value: share of permutations, or chance, that looks at least as different; where the
            drawing ended early, of those that were drawn.
        is_alarm: whether it is above its limit.
    """

    name: str
    value: float
    limit: float | None
    p_value: float
    is_alarm: bool


@dataclass(frozen=True)
class CameraShift:
    """One camera measure of a window against the reference.

    Attributes:
        name: one of `QUALITY_MEASURES`.
        reference: its mean over the reference; the median for sharpness, which spans decades.
        window: the same over the window.
        z: difference of mean ranks in units of its spread without drift; above 0 = more.
    """

    name: str
    reference: float
    window: float
    z: float


@dataclass(frozen=True)
class Share:
    """A share of a window's images against that of the reference.

    Attributes:
        name: of the label; empty for the novelty.
        reference: share of the reference images, in [0, 1].
        window: share of the window's images, in [0, 1].
        low: lower end of the 95 % interval of the window's share (Wilson).
        high: its upper end.
    """

    name: str
    reference: float
    window: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One window against the reference.

    Attributes:
        n_reference: reference images that were compared; of many some are drawn.
        n_images: different images of the window.
        level: chance of a false alarm that each test has.
        tests: those that could be made.
        camera: one a measure, the most different first.
        novelty: share of novel images; None where it is not known.
        labels: one a label, the most changed first.
        most_unlike: ids of the window's images that the classifier tells best from the reference.
    """

    n_reference: int
    n_images: int
    level: float
    tests: tuple[DriftTest, ...]
    camera: tuple[CameraShift, ...]
    novelty: Share | None
    labels: tuple[Share, ...]
    most_unlike: tuple[int, ...]

    @property
    def is_alarm(self) -> bool:
        """Whether any test gives an alarm."""
        return any(test.is_alarm for test in self.tests)

    def test(self, name: str) -> DriftTest | None:
        """One test; None where it could not be made."""
        return next((test for test in self.tests if test.name == name), None)


def read_comparison(stored: Mapping[str, Any]) -> Comparison:
    """A comparison as `dataclasses.asdict` and JSON have left it."""
    lists = {"tests": DriftTest, "camera": CameraShift, "labels": Share}
    given = dict(stored)
    for name, kind in lists.items():
        given[name] = tuple(kind(**each) for each in stored[name])
    if stored["novelty"] is not None:
        given["novelty"] = Share(**stored["novelty"])
    return Comparison(**{**given, "most_unlike": tuple(stored["most_unlike"])})


def level_of_test(step: int = STEP) -> float:
    """Chance of a false alarm that each test of each window may have, in (0, 1).

    Args:
        step: images from the beginning of one window to that of the next.
    """
    return step / (IMAGES_A_FALSE_ALARM * len(TESTS))


def compare_window(
    reference: Sample,
    window: Sample,
    *,
    step: int = STEP,
    seed: int = 0,
    with_limits: bool = True,
) -> Comparison:
    """Compare one window with the reference.

    An image that stands in a sample several times counts once, and one that is in the reference is
    left out of the window. The level stays as it is where a test cannot be made.

    Args:
        step: images from the beginning of one window to that of the next.
        seed: of the permutations, the folds and which reference images are compared.
        with_limits: whether to draw all permutations, so that each limit is known. Without, the
            drawing ends as soon as no alarm is sure; alarms are the same.

    Raises:
        ValueError: a sample has too few different images.
        OperatorError: features are not finite.
    """
    reference, window = reference.distinct(), window.distinct()
    window = window.take(np.flatnonzero(~np.isin(window.ids, reference.ids)))
    _check(reference, window)
    level = level_of_test(step)
    novelty_test, novelty = _compare_novelty(reference, window, level)
    labels = _compare_labels(reference, window)
    n_reference = min(len(reference), MAX_REFERENCE)
    drawn = reference.take(draw_subset(len(reference), MAX_REFERENCE, seed=seed))
    in_window = np.arange(n_reference + len(window)) >= n_reference
    points = check_vectors(np.concatenate([drawn.features, window.features]))
    kernel = gaussian_kernel(points)
    predictor = held_out_predictor(reduce_vectors(points, n_components=_N_COMPONENTS), seed=seed)
    statistics: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mmd": lambda splits: mmd_squared(kernel, splits),
        "classifier": lambda splits: aucs(predictor @ splits.T.astype(np.float64), splits),
    }
    camera: tuple[CameraShift, ...] = ()
    if drawn.camera is not None and window.camera is not None:
        ranks = _standard_ranks(np.concatenate([drawn.camera, window.camera]))
        statistics["camera"] = lambda splits: np.abs(_z_of_means(ranks, splits)).max(axis=1)
        camera = _camera_shifts(drawn.camera, window.camera, _z_of_means(ranks, in_window[None])[0])
    if drawn.labels is not None and window.labels is not None:
        statistics["labels"] = _chi_square((*drawn.labels, *window.labels))
    tests = _permute(statistics, in_window, level, seed=seed, with_limits=with_limits)
    if novelty_test is not None:
        tests.append(novelty_test)
    scores = (predictor @ in_window.astype(np.float64))[n_reference:]
    unlike = np.argsort(-scores, kind="stable")[:N_UNLIKE]
    return Comparison(
        n_reference=n_reference,
        n_images=len(window),
        level=level,
        tests=tuple(sorted(tests, key=lambda test: TESTS.index(test.name))),
        camera=camera,
        novelty=novelty,
        labels=labels,
        most_unlike=tuple(window.ids[unlike].tolist()),
    )


def _check(reference: Sample, window: Sample) -> None:
    for name, sample, least in (
        ("reference", reference, MIN_REFERENCE),
        ("window", window, MIN_WINDOW),
    ):
        if len(sample) < least:
            raise ValueError(
                f"the {name} must have at least {least} different images, got {len(sample)}"
            )


def _permute(
    statistics: dict[str, Callable[[np.ndarray], np.ndarray]],
    in_window: np.ndarray,
    level: float,
    *,
    seed: int,
    with_limits: bool,
) -> list[DriftTest]:
    """Test all statistics by the same permutations, each until its answer is sure."""
    n_permutations = math.ceil((_TOLERATED + 1) / level) - 1
    rng = np.random.default_rng(seed)
    seen = {name: float(of(in_window[None])[0]) for name, of in statistics.items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    n_as_different = dict.fromkeys(statistics, 0)
    left, size = n_permutations, _FIRST_PERMUTATIONS
    while left:
        open_ones = [n for n in statistics if with_limits or n_as_different[n] <= _TOLERATED]
        if not open_ones:
            break
        size = min(size, left)
        splits = rng.permuted(np.tile(in_window, (size, 1)), axis=1)
        for name in open_ones:
            values = statistics[name](splits)
            drawn[name].append(values)
            n_as_different[name] += int((values >= seen[name] - 1e-12).sum())
        left, size = left - size, _PERMUTATIONS_AT_ONCE
    tests = []
    for name, value in seen.items():
        values = np.concatenate(drawn[name])
        is_whole = len(values) == n_permutations
        # As many as are tolerated lie above the limit.
        limit = float(np.partition(values, -1 - _TOLERATED)[-1 - _TOLERATED]) if is_whole else None
        p_value = (1 + n_as_different[name]) / (1 + len(values))
        tests.append(DriftTest(name, value, limit, p_value, n_as_different[name] <= _TOLERATED))
    return tests


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of each column, of mean 0 and variance 1; zeros where all values are one."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0)
    ranks = ranks - ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.divide(ranks, spread, out=np.zeros_like(ranks), where=spread > 0)


def _z_of_means(ranks: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Mean rank of each split's second set, in units of its spread: (n_splits, n_measures)."""
    n, total = splits.sum(axis=1, keepdims=True), splits.shape[1]
    # The variance of a mean of n of `total` values of variance 1, drawn without replacement.
    spread = np.sqrt((total - n) / (n * (total - 1)))
    return (splits.astype(np.float64) @ ranks) / n / spread


def _camera_shifts(
    reference: np.ndarray, window: np.ndarray, z: np.ndarray
) -> tuple[CameraShift, ...]:
    shifts = []
    for place, name in enumerate(QUALITY_MEASURES):
        middle = np.median if name == "sharpness" else np.mean
        values = (float(middle(reference[:, place])), float(middle(window[:, place])))
        shifts.append(CameraShift(name, *values, float(z[place])))
    return tuple(sorted(shifts, key=lambda shift: -abs(shift.z)))


def _chi_square(labels: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
    """Pearson's statistic of each split: how unlike the shares of the labels are."""
    names, places = np.unique(np.asarray(labels), return_inverse=True)
    of_label = np.eye(len(names))[places]
    totals = of_label.sum(axis=0)

    def statistic(splits: np.ndarray) -> np.ndarray:
        counts = splits.astype(np.float64) @ of_label
        expected = splits.sum(axis=1, keepdims=True) / splits.shape[1] * totals
        # Of the other set the differences are the same, and the sum is so by a constant factor.
        return ((counts - expected) ** 2 / expected).sum(axis=1)

    return statistic


def _compare_labels(reference: Sample, window: Sample) -> tuple[Share, ...]:
    if reference.labels is None or window.labels is None:
        return ()
    shares = []
    for name in sorted({*reference.labels, *window.labels}):
        usual = reference.labels.count(name) / len(reference)
        shares.append(_share(name, usual, window.labels.count(name), len(window)))
    return tuple(sorted(shares, key=lambda share: -abs(share.window - share.reference)))


def _compare_novelty(
    reference: Sample, window: Sample, level: float
) -> tuple[DriftTest | None, Share | None]:
    """More novel images than among the reference? Exact, whatever the values' distribution."""
    from scipy.stats import betabinom

    if reference.novelty is None or window.novelty is None:
        return None, None
    m, n = len(reference), len(window)
    k = max(1, round(NOVELTY_SHARE * m))
    usual_most = np.partition(reference.novelty, m - k)[m - k]
    n_novel = int((window.novelty > usual_most).sum())
    # Of n new values as many lie above the k-th largest of m old ones as a beta-binomial says.
    chances = betabinom(n, k, m + 1 - k).sf(np.arange(-1, n))  # of at least 0, 1, ..., n
    fewest = int((chances > level).sum())  # that are an alarm; n + 1 where none would be
    test = DriftTest(
        "novelty",
        n_novel / n,
        min(fewest - 1, n) / n,
        float(chances[n_novel]),
        n_novel >= fewest,
    )
    return test, _share("", float((reference.novelty > usual_most).mean()), n_novel, n)


def _share(name: str, reference: float, n_hits: int, n: int) -> Share:
    from core.learning.evaluation import estimate_share

    found = estimate_share(n_hits, n, why="There are no images.")
    if found.value is None or found.low is None or found.high is None:
        raise ValueError(found.why)
    return Share(name, reference, found.value, found.low, found.high)
