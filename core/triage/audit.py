"""How often are the automatic labels wrong, as people find who look at some of them again?

A share of the images that the model labelled is drawn at random and judged by people, who do not
know which ones these are. The share of them that people label otherwise is the measured error. It
is watched after every outcome, and that is why an ordinary interval would not do: looked at often
enough, it excludes the truth some day. The limits named "anytime" here hold at all moments at
once.

Algorithm: somebody who bets against "at most a share p of the labels is wrong" starts with a
capital of 1 and plays a fair or a losing game as long as that is true. So the capital ever reaches
1 / alpha with probability alpha at most (Ville's inequality), and the p at which it does are given
up: their upper end is the lower limit. The bet is a mixture of all larger shares q: the capital at
p is the mean likelihood ratio of q to p over a beta density of q, cut off below p. It has a closed
form, by incomplete beta functions. Any p that was given up once stays so: the lower limit never
falls.

What must be true for that: the audited images are drawn at random from what the model labels, and
each is wrong with a chance of at most p whatever came before. Nothing else is supposed; the chance
may wander. A limit above the promise says that the chance was above it at some time.

Source:
    Robbins (1970), "Statistical methods related to the law of the iterated logarithm",
    doi:10.1214/aoms/1177696786 (mixtures); Howard, Ramdas, McAuliffe & Sekhon (2021),
    "Time-uniform, nonparametric, nonasymptotic confidence sequences", arXiv:1810.08240;
    Waudby-Smith & Ramdas (2024), "Estimating means of bounded random variables by betting",
    arXiv:2010.09686.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The beta density of the mixture. Errors of some per cent are what is looked for: its mean is one
# in seven. Jeffreys' (1/2, 1/2) needs a third more images to tell 10 % from 5 %.
_PRIOR = (0.5, 3.0)
_HALVINGS = 30  # of [0, 1]: limits are exact to 1e-9


@dataclass(frozen=True)
class Checked:
    """An automatic label that a person has looked at again.

    Attributes:
        at: when the person decided, ISO 8601 in UTC.
        automatic: the label that the model gave.
        decided: what the person says; the automatic label is wrong if it is not this.
    """

    at: str
    automatic: str
    decided: str

    @property
    def is_wrong(self) -> bool:
        """Whether the automatic label was wrong."""
        return self.decided != self.automatic


@dataclass(frozen=True)
class ClassAudit:
    """What the audit says of the images that were given one class, lower = better.

    Attributes:
        name: of the class that the model gave.
        n_checked: of them, looked at again.
        n_wrong: of those, labelled otherwise by people.
        share: of wrong ones, in [0, 1].
        low: lower end of its interval, of the same kind as in `AuditMeasure`.
        high: upper end.
    """

    name: str
    n_checked: int
    n_wrong: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class AuditPoint:
    """Where the measured error stood after one more outcome; fields as in `AuditMeasure`."""

    at: str
    n: int
    n_wrong: int
    share: float
    low: float
    high: float
    anytime_low: float


@dataclass(frozen=True)
class AuditMeasure:
    """The measured error of the automatic labels, lower = better.

    Attributes:
        n_checked: automatic labels that people have looked at again.
        n_wrong: of those, labelled otherwise.
        share: of wrong ones, in [0, 1]; None where none was checked.
        low: lower end of the interval of Clopper and Pearson, which holds with probability
            1 - delta for a number of images fixed beforehand: to be shown, not to be acted on. 0
            where none was checked.
        high: its upper end, 1 where none was checked.
        anytime_low: the true share is above this with probability 1 - delta, however often one
            has looked; it never falls as outcomes come in.
        promised: share of wrong automatic labels that was promised.
        delta: chance that a limit fails.
        broken_at: when `anytime_low` first was above the promise, None where it is not.
        by_class: a row for each class given, most wrong ones first.
        over_time: a point after each outcome.
    """

    n_checked: int
    n_wrong: int
    share: float | None
    low: float
    high: float
    anytime_low: float
    promised: float
    delta: float
    broken_at: str | None
    by_class: tuple[ClassAudit, ...]
    over_time: tuple[AuditPoint, ...]


def draw_audit(n: int, share: float, seed: int) -> np.ndarray:
    """Draw which of some automatically labelled images people look at again.

    Every image has the same chance, exactly `share`, also where that makes less than one image:
    then one is drawn now and then, so that many small batches are audited as one large one is.

    Args:
        n: images labelled automatically.
        share: of them to be drawn, in [0, 1].
        seed: of the draw.

    Returns:
        int64 rows, ascending.

    Raises:
        ValueError: `n` is negative, or `share` lies outside [0, 1].
    """
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    rng = np.random.default_rng(seed)
    size = int(n * share + rng.random())  # rounded up as often as its fraction says
    return np.sort(rng.choice(n, size, replace=False)) if size else np.zeros(0, np.int64)


def anytime_lower_limit(outcomes: np.ndarray, *, alpha: float) -> np.ndarray:
    """Lower limits of a share that all hold at once, one after each outcome.

    Args:
        outcomes: bool array (n,), in the order in which they came, True for what is counted: a
            wrong label.
        alpha: chance that the share is ever below its limit, in (0, 1).

    Returns:
        float64 array (n,), in [0, 1), never falling.

    Raises:
        ValueError: the outcomes are not one row, or alpha lies outside (0, 1).
    """
    hits, n = _count(outcomes, alpha)
    limits = np.zeros(len(n))
    # The capital grows by hits alone, so that only there the limit can rise.
    rows = np.flatnonzero(np.diff(hits, prepend=0))
    limits[rows] = _last_given_up(hits[rows], n[rows] - hits[rows], alpha, from_below=True)
    return np.maximum.accumulate(limits)


def anytime_upper_limit(outcomes: np.ndarray, *, alpha: float) -> np.ndarray:
    """Upper limits of a share that all hold at once, one after each outcome.

    Together with the lower limits they err with probability 2 alpha at most.

    Args:
        outcomes: bool array (n,), in the order in which they came, True for what is counted: a
            wrong label.
        alpha: chance that the share is ever above its limit, in (0, 1).

    Returns:
        float64 array (n,), in (0, 1], never rising.

    Raises:
        ValueError: the outcomes are not one row, or alpha lies outside (0, 1).
    """
    hits, n = _count(outcomes, alpha)
    limits = np.ones(len(n))
    rows = np.flatnonzero(np.diff(n - hits, prepend=0))
    limits[rows] = _last_given_up(hits[rows], n[rows] - hits[rows], alpha, from_below=False)
    return np.minimum.accumulate(limits)


def measure_audit(checked: Sequence[Checked], *, promised: float, delta: float) -> AuditMeasure:
    """Measure the error of the automatic labels by those that people have looked at again.

    Args:
        checked: in any order; they are taken in the order of their times.
        promised: share of wrong automatic labels that was promised, in (0, 1).
        delta: chance that a limit fails, in (0, 1).

    Raises:
        ValueError: a share lies outside (0, 1).
    """
    _check_share("promised", promised)
    _check_share("delta", delta)
    in_order = sorted(checked, key=lambda each: each.at)
    points = _over_time(in_order, delta)
    if not points:
        return AuditMeasure(0, 0, None, 0.0, 1.0, 0.0, promised, delta, None, (), ())
    last = points[-1]
    return AuditMeasure(
        n_checked=last.n,
        n_wrong=last.n_wrong,
        share=last.share,
        low=last.low,
        high=last.high,
        anytime_low=last.anytime_low,
        promised=promised,
        delta=delta,
        broken_at=next((point.at for point in points if point.anytime_low > promised), None),
        by_class=_by_class(in_order, delta),
        over_time=points,
    )


def is_broken(measure: AuditMeasure, promised: float) -> bool:
    """Whether more automatic labels are wrong than was promised, beyond reasonable doubt.

    Where the promise was kept this is ever true with probability `measure.delta` at most, though
    it is asked after every outcome. Then automation should pause.
    """
    return measure.anytime_low > promised


def _over_time(in_order: Sequence[Checked], delta: float) -> tuple[AuditPoint, ...]:
    wrong = np.array([each.is_wrong for each in in_order], bool)
    n, n_wrong = np.arange(1, len(wrong) + 1), wrong.cumsum()
    low, high = _interval(n_wrong, n, delta)
    rows = zip(
        [each.at for each in in_order],
        n.tolist(),
        n_wrong.tolist(),
        (n_wrong / n).tolist(),
        low.tolist(),
        high.tolist(),
        anytime_lower_limit(wrong, alpha=delta).tolist(),
        strict=True,
    )
    return tuple(AuditPoint(*row) for row in rows)


def _by_class(in_order: Sequence[Checked], delta: float) -> tuple[ClassAudit, ...]:
    names = sorted({each.automatic for each in in_order})
    n = np.array([sum(each.automatic == name for each in in_order) for name in names])
    n_wrong = np.array(
        [sum(each.automatic == name and each.is_wrong for each in in_order) for name in names]
    )
    low, high = _interval(n_wrong, n, delta)
    rows = [
        ClassAudit(name, int(n[i]), int(n_wrong[i]), float(n_wrong[i] / n[i]), *ends)
        for i, (name, ends) in enumerate(
            zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True)
        )
    ]
    return tuple(sorted(rows, key=lambda row: (-row.n_wrong, row.name)))


def _interval(n_hits: np.ndarray, n: np.ndarray, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Clopper and Pearson's interval of each share `n_hits / n`, n at least 1.

    Source:
        Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.
    """
    from scipy.special import betaincinv

    low, high = np.zeros(len(n)), np.ones(len(n))
    some, missing = n_hits > 0, n_hits < n
    low[some] = betaincinv(n_hits[some], (n - n_hits + 1)[some], delta / 2)
    high[missing] = betaincinv((n_hits + 1)[missing], (n - n_hits)[missing], 1 - delta / 2)
    return low, high


def _count(outcomes: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits and outcomes up to each outcome, int64 (n,) each."""
    _check_share("alpha", alpha)
    outcomes = np.asarray(outcomes)
    if outcomes.ndim != 1:
        raise ValueError(f"outcomes must have shape (n,), got {outcomes.shape}")
    return outcomes.astype(bool).cumsum(dtype=np.int64), np.arange(1, len(outcomes) + 1)


def _last_given_up(
    n_hits: np.ndarray, n_misses: np.ndarray, alpha: float, *, from_below: bool
) -> np.ndarray:
    """The share nearest to the seen one at which the capital has reached 1 / alpha.

    Searched by halving between the end of [0, 1], which the outcomes rule out, and the share seen,
    where no alternative beyond it is likelier and the capital is 1 at most.
    """
    given_up = np.full(len(n_hits), 0.0 if from_below else 1.0)
    kept = n_hits / (n_hits + n_misses)
    for _ in range(_HALVINGS):
        middle = (given_up + kept) / 2
        capital = _log_capital(n_hits, n_misses, middle, above=from_below)
        is_given_up = capital >= -np.log(alpha)
        given_up = np.where(is_given_up, middle, given_up)
        kept = np.where(is_given_up, kept, middle)
    return given_up


def _log_capital(
    n_hits: np.ndarray, n_misses: np.ndarray, share: np.ndarray, *, above: bool
) -> np.ndarray:
    """Logarithm of the mean likelihood ratio of the shares above (or below) one to that one.

    Args:
        n_hits: int array.
        n_misses: int array.
        share: float array, in (0, 1).
        above: whether the alternatives are the larger shares.
    """
    from scipy.special import betainc, betaincc, betaln

    a, b = _PRIOR
    mass = betaincc if above else betainc  # of a beta density, beyond the share
    with np.errstate(divide="ignore"):  # no mass left beyond the share: a capital of 0
        mixture = np.log(mass(a + n_hits, b + n_misses, share)) + betaln(a + n_hits, b + n_misses)
    prior = np.log(mass(a, b, share)) + betaln(a, b)
    return mixture - prior - n_hits * np.log(share) - n_misses * np.log1p(-share)


def _check_share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1), got {value}")
