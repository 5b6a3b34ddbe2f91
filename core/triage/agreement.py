"""Do the people who label agree, and what had the model wrong?

Cohen's kappa compares how often two people gave the same image the same label with how often they
would if each dealt out the same labels by chance: 1 where they always agree, 0 where chance would
do as well, negative where they agree less. It is taken over the images that both judged.

- For one class, every other label counts as one: is it this class, or not?
- Over all pairs of people, the shares observed and expected are averaged before kappa is taken,
  each pair with the weight of its images, so that a pair with few of them does not upset the
  figure.

The 95 % interval takes the share of agreement to be known as well as Wilson's interval says, and
what chance would give as if it were known, as Cohen did. So it has a width where two people agree
on all of a few images, which a bootstrap and the usual standard error deny. Figures over all pairs
count every image once, however many people judged it.

Source:
    Cohen (1960), "A coefficient of agreement for nominal scales", doi:10.1177/001316446002000104;
    De Vries, Elliott, Kanouse & Teleki (2008), "Using pooled kappa to summarize interrater
    agreement across many items", doi:10.1177/1525822X08317166; Wilson (1927),
    doi:10.1080/01621459.1927.10502953.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import NormalDist, median

from core.learning.evaluation import CONFIDENCE_LEVEL, Estimate, estimate_share

PAUSE_S = 60.0  # without a decision for longer, somebody has done something else
NO_COMMON_ITEM = "No image has been judged by two people."
ONE_LABEL = "Everybody gave all of these images the same label, so that chance would agree as well."
_Z = NormalDist().inv_cdf((1 + CONFIDENCE_LEVEL) / 2)


@dataclass(frozen=True)
class Judgement:
    """What one person said of one item, seeing nobody else's answer.

    Attributes:
        item: what was judged; equal for all who judged the same.
        person: who judged.
        label: what they said.
    """

    item: Hashable
    person: str
    label: str


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa, and how far it can be trusted.

    Attributes:
        value: in [-1, 1], higher = better agreement; None where it is not defined.
        low: lower end of its 95 % interval, None where the value is.
        high: upper end.
        n: images that two people or more have judged.
        why: why it is not defined, a sentence for a person; empty where it is.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True)
class ClassAgreement:
    """How far people agree on whether an image is of one class.

    Attributes:
        label: the class; any other label counts as its opposite.
        n_either: pairs of answers of which at least one was this class.
        n_both: those of them in which both were.
        kappa: of the class against the rest.
    """

    label: str
    n_either: int
    n_both: int
    kappa: Kappa


@dataclass(frozen=True)
class PairAgreement:
    """How far two people agree.

    Attributes:
        first: the one whose name comes first in the alphabet.
        second: the other.
        n: images that both judged, at least 1.
        n_same: those that both gave the same label.
        kappa: over all labels.
        by_class: a row for each label that one of them gave, in alphabetical order.
    """

    first: str
    second: str
    n: int
    n_same: int
    kappa: Kappa
    by_class: tuple[ClassAgreement, ...]


@dataclass(frozen=True)
class AgreementMeasure:
    """How far all who judged the same images agree.

    Attributes:
        overall: kappa pooled over all pairs.
        pairs: those who have judged at least one image in common, in alphabetical order.
        by_class: pooled over all pairs, the class with the least agreement first; classes whose
            kappa is not defined come last.
    """

    overall: Kappa
    pairs: tuple[PairAgreement, ...]
    by_class: tuple[ClassAgreement, ...]


@dataclass(frozen=True)
class DecisionRow:
    """A decision as the log has it.

    Attributes:
        at: when it was made, ISO 8601.
        person: who made it.
        suggested: the label that the model suggested, None where there was none.
        decided: the label that the person gave.
        kind: what the item was in the queue for (`ambiguous`, `audit`, `gold`, ...).
        seconds: spent on it, None where that was not measured.
        truth: the known answer of a gold item, None for any other.
    """

    at: str
    person: str
    suggested: str | None
    decided: str
    kind: str
    seconds: float | None
    truth: str | None


@dataclass(frozen=True)
class SuggestionCount:
    """How often one suggestion met one decision.

    Attributes:
        suggested: by the model.
        decided: by people.
        n: decisions.
    """

    suggested: str
    decided: str
    n: int

    @property
    def is_changed(self) -> bool:
        """Whether the person said otherwise."""
        return self.decided != self.suggested


@dataclass(frozen=True)
class SessionFigures:
    """What came of some time at the queue.

    Attributes:
        n_decisions: in all.
        per_minute: decisions a minute of work, without the pauses; None where no two decisions of
            a person follow each other within `PAUSE_S`.
        median_seconds: spent on an item, None where that was never measured.
        changed: share of the suggestions that people changed.
        suggestions: what became of each suggestion, confirmed ones too, the commonest first.
        gold: share of the items with a known answer that were given it, higher = better.
    """

    n_decisions: int
    per_minute: float | None
    median_seconds: float | None
    changed: Estimate
    suggestions: tuple[SuggestionCount, ...]
    gold: Estimate


def measure_agreement(judgements: Iterable[Judgement]) -> AgreementMeasure:
    """Compare all who judged the same items.

    Args:
        judgements: in the order in which they were made; of several by one person of one item the
            last counts.
    """
    of_item: dict[Hashable, dict[str, str]] = {}
    for each in judgements:
        of_item.setdefault(each.item, {})[each.person] = each.label
    answers: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for labels in of_item.values():
        for first, second in combinations(sorted(labels), 2):
            answers.setdefault((first, second), []).append((labels[first], labels[second]))
    n_items = sum(len(labels) > 1 for labels in of_item.values())
    tables = [answers[pair] for pair in sorted(answers)]
    by_class = [_class_agreement(label, tables, n_items) for label in _labels(tables)]
    return AgreementMeasure(
        overall=_kappa([_shares(table) for table in tables], n_items),
        pairs=tuple(_pair(*pair, answers[pair]) for pair in sorted(answers)),
        by_class=tuple(sorted(by_class, key=_least_first)),
    )


def measure_session(rows: Sequence[DecisionRow]) -> SessionFigures:
    """Sum up decisions: how fast, what the model had wrong, how many known answers were met.

    Args:
        rows: in any order, of one person or of several; the pace is that of one person at work,
            in the mean over all.

    Raises:
        ValueError: a time is not ISO 8601.
    """
    suggestions = Counter((row.suggested, row.decided) for row in rows if row.suggested)
    seconds = [row.seconds for row in rows if row.seconds is not None]
    gold = [row.decided == row.truth for row in rows if row.truth is not None]
    n_changed = sum(n for (suggested, decided), n in suggestions.items() if suggested != decided)
    return SessionFigures(
        n_decisions=len(rows),
        per_minute=_per_minute(rows),
        median_seconds=median(seconds) if seconds else None,
        changed=estimate_share(
            n_changed, suggestions.total(), why="No decision was about a suggestion."
        ),
        suggestions=tuple(
            SuggestionCount(suggested, decided, n)
            for (suggested, decided), n in sorted(
                suggestions.items(), key=lambda item: (-item[1], item[0])
            )
        ),
        gold=estimate_share(sum(gold), len(gold), why="No item with a known answer was decided."),
    )


def measure_people(rows: Sequence[DecisionRow]) -> dict[str, SessionFigures]:
    """The figures of each person, by name in alphabetical order.

    Raises:
        ValueError: a time is not ISO 8601.
    """
    return {
        person: measure_session([row for row in rows if row.person == person])
        for person in sorted({row.person for row in rows})
    }


@dataclass(frozen=True)
class _Shares:
    """Of the images that two people judged: on how many they agree, and would by chance."""

    n: int
    observed: float
    expected: float


def _shares(table: Sequence[tuple[str, str]]) -> _Shares:
    n = len(table)
    firsts, seconds = Counter(one for one, _ in table), Counter(other for _, other in table)
    return _Shares(
        n=n,
        observed=sum(one == other for one, other in table) / n,
        # Whole numbers are exact: one label alone must give 1, and no rounding of it.
        expected=sum(firsts[label] * seconds[label] for label in firsts) / n**2,
    )


def _kappa(shares: Sequence[_Shares], n_items: int) -> Kappa:
    """Kappa of a pair, or pooled over several, each with the weight of its images."""
    n = sum(each.n for each in shares)
    if not n:
        return Kappa(None, None, None, 0, NO_COMMON_ITEM)
    if all(each.expected == 1 for each in shares):
        return Kappa(None, None, None, n_items, ONE_LABEL)
    observed = math.fsum(each.n * each.observed for each in shares) / n
    expected = math.fsum(each.n * each.expected for each in shares) / n

    def above_chance(share: float) -> float:
        return max((share - expected) / (1 - expected), -1.0)

    low, high = _wilson(observed, n_items)
    return Kappa(above_chance(observed), above_chance(low), above_chance(high), n_items)


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's interval of a share of `n` images, which need not be a whole number of them."""
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    middle, scale = share + _Z**2 / (2 * n), 1 + _Z**2 / n
    # Rounding must not put the share itself outside.
    return min((middle - spread) / scale, share), max((middle + spread) / scale, share)


def _pair(first: str, second: str, table: list[tuple[str, str]]) -> PairAgreement:
    n = len(table)
    return PairAgreement(
        first=first,
        second=second,
        n=n,
        n_same=sum(one == other for one, other in table),
        kappa=_kappa([_shares(table)], n),
        by_class=tuple(_class_agreement(label, [table], n) for label in _labels([table])),
    )


def _class_agreement(
    label: str, tables: Sequence[Sequence[tuple[str, str]]], n_items: int
) -> ClassAgreement:
    """One class against the rest: two answers agree if both are this class, or neither is."""
    against_rest = [
        [(str(one == label), str(other == label)) for one, other in table] for table in tables
    ]
    pairs = Counter(pair for table in against_rest for pair in table)
    return ClassAgreement(
        label=label,
        n_either=pairs.total() - pairs["False", "False"],
        n_both=pairs["True", "True"],
        kappa=_kappa([_shares(table) for table in against_rest], n_items),
    )


def _labels(tables: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    return sorted({label for table in tables for pair in table for label in pair})


def _least_first(row: ClassAgreement) -> tuple[float, str]:
    return (math.inf if row.kappa.value is None else row.kappa.value, row.label)


def _per_minute(rows: Sequence[DecisionRow]) -> float | None:
    times: dict[str, list[datetime]] = {}
    for row in rows:
        times.setdefault(row.person, []).append(datetime.fromisoformat(row.at))
    gaps = [
        (later - earlier).total_seconds()
        for of_person in times.values()
        for earlier, later in zip(sorted(of_person), sorted(of_person)[1:], strict=False)
    ]
    worked = [gap for gap in gaps if gap <= PAUSE_S]
    return 60 * len(worked) / math.fsum(worked) if math.fsum(worked) > 0 else None
