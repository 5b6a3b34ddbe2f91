"""Which doubtful labels has nobody looked at yet, the worst first, and how far is the review?"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from core.analysis.label_errors import LabelErrors
from core.state import catalog
from core.state.workspace import Workspace


@dataclass(frozen=True)
class LabelReview:
    """What a review of doubtful labels has before it.

    Attributes:
        places: int64: places in `LabelErrors` that are to be looked at, the worst first.
        n_looked: labels of this review that a person has settled, or passed over.
        n_total: all labels of this review.
        n_by_people: doubtful labels that are left out, for a person gave them before.
    """

    places: np.ndarray
    n_looked: int
    n_total: int
    n_by_people: int


def plan_review(
    workspace: Workspace,
    errors: LabelErrors,
    *,
    all_doubtful: bool = False,
    with_people: bool = False,
    skipped: Collection[int] = (),
) -> LabelReview:
    """The labels to look at, as things stand now.

    A label that something other than a person has changed since is another label, and is left out.

    Args:
        errors: as they were found.
        all_doubtful: every label to which another is more probable, not only those that count as
            wrong.
        with_people: labels that a person gave before they were checked as well.
        skipped: ids that were passed over.
    """
    doubtful = errors.is_issue | (errors.scores > 0.5) if all_doubtful else errors.is_issue
    places = np.flatnonzero(doubtful)
    now = catalog.column(workspace, errors.ids[places], "label")
    origins = catalog.column(workspace, errors.ids[places], "label_origin")
    given = [errors.classes[code] for code in errors.given[places]]
    is_same = np.array([a == b for a, b in zip(now, given, strict=True)], bool)
    is_settled = errors.is_settled[places]
    by_people = np.array([each == "human" for each in origins], bool) & ~is_settled
    asked = is_settled | (is_same & (with_people | ~by_people))
    is_looked = is_settled | np.isin(errors.ids[places], np.array(sorted(skipped), np.int64))
    return LabelReview(
        places=places[asked & ~is_looked],
        n_looked=int((asked & is_looked).sum()),
        n_total=int(asked.sum()),
        n_by_people=int(by_people.sum()),
    )
