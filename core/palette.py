"""Colours that mean the same on every page and in every theme.

A class keeps its colour by its place in the workspace's order of classes. The first six are Okabe
and Ito's; the last two were searched for so that protan, deutan and tritan eyes tell all eight from
each other, from the greys and from both backgrounds, which a test simulates. With more classes the
colours come round again under another marker, so that no two classes share both.

Source:
    Okabe & Ito (2008), "Color universal design", jfly.uni-koeln.de/color
"""

from collections.abc import Sequence

CLASS_COLOURS = (
    "#0072b2",  # blue
    "#e69f00",  # orange
    "#009e73",  # bluish green
    "#cc79a7",  # reddish purple
    "#d55e00",  # vermilion
    "#56b4e9",  # sky blue
    "#933b27",  # brown, for Okabe and Ito's yellow, which white paper swallows
    "#9a5cf5",  # violet, for their black, which a dark theme swallows
)
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
UNKNOWN_COLOUR = "#aab0b6"
RESERVED_MARKS = {  # no classes: greys, each with a marker of its own
    "multiple": ("#66717c", "diamond"),
    "not_a_defect": ("#66717c", "square"),
    "unusable": ("#66717c", "cross"),
}
SPLIT_COLOURS = {
    "train": "#0072b2",
    "validation": "#e69f00",
    "calibration": "#cc79a7",
    "test": "#009e73",
}
# Viridis: even steps of lightness, and told apart by colour-blind eyes and in grey.
SCORE_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


def class_colour(name: str | None, order: Sequence[str]) -> str:
    """The colour of a label: a class's by its place in `order`, else a grey."""
    if name in order:
        return category_colour(order.index(name))
    return RESERVED_MARKS[name][0] if name in RESERVED_MARKS else UNKNOWN_COLOUR


def category_colour(place: int) -> str:
    """The colour of the category at this place, from 0."""
    return CLASS_COLOURS[place % len(CLASS_COLOURS)]


def category_symbol(place: int) -> str:
    """The marker of the category at this place, in plotly's names."""
    return SYMBOLS[place // len(CLASS_COLOURS) % len(SYMBOLS)]
