"""What do the figures of a comparison and of a layout say, in a sentence?"""

import numpy as np

from core.analysis.layouts import Layout
from core.latent.label_layout import SplitShift
from core.latent.two_sample import N_PERMUTATIONS, TwoSampleTest

# Where an AUC counts as a small, medium or large effect: Cohen's d of 0.2, 0.5 and 0.8.
_EFFECTS = ((0.71, "large"), (0.64, "medium"), (0.56, "small"))
_SHIFTED, _SURE = 0.6, 0.01  # AUC and p from which on a split lies elsewhere


def effect_in_words(test: TwoSampleTest) -> str:
    """How far two sets differ, by how often an unseen image's set is told.

    Source:
        Rice & Harris (2005), "Comparing effect sizes in follow-up studies: ROC area, Cohen's d,
        and r", doi:10.1007/s10979-005-6832-7.
    """
    if test.auc >= 0.95:
        return "nearly complete"
    return next((word for least, word in _EFFECTS if test.auc >= least), "none to speak of")


def p_in_words(p: float) -> str:
    """A p-value as it is written; permutations can show none below their number's inverse."""
    least = 1 / (1 + N_PERMUTATIONS)
    return f"p ≤ {least:.3f}" if p <= least else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def hardest_pair(layout: Layout) -> tuple[str, str, float] | None:
    """The two classes hardest to tell apart and their AUC; None where none was measured."""
    auc = layout.separability
    if auc is None or not np.isfinite(auc).any():
        return None
    row, column = np.unravel_index(np.nanargmin(auc), auc.shape)
    first, second = layout.classes[row].label, layout.classes[column].label
    return first, second, float(auc[row, column])


def shift_in_words(shift: SplitShift) -> str:
    """How far a split lies from training; empty for training itself."""
    if shift.auc is None or shift.p is None:
        return ""
    name = shift.split.capitalize()
    told = f"AUC {shift.auc:.2f}, {_p(shift.p)}"
    if shift.is_shifted:
        return (
            f"{name} lies farther from the training images than those from each other ({told}): "
            "what is measured on it may be lower than for images like those trained on."
        )
    if shift.auc <= 1 - _SHIFTED and shift.p < _SURE:
        return (
            f"{name} lies nearer to the training images than those to each other ({told}): copies "
            "of training images in it would make its figures flatter."
        )
    return f"{name} lies no farther from training than training images do ({told})."


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
