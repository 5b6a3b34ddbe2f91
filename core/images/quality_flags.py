"""Quality flags: which images should a person look at before anything learns from them?

The measures are taken elsewhere, one image at a time; here they are judged, all images together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Luma of a usable photograph stays well within these, also of dark paint or glossy sheet.
TOO_DARK = 0.06
TOO_BRIGHT = 0.94
# Two grey levels' deviation: less than the sensor noise of a real photograph.
NEARLY_UNIFORM = 0.016
MOSTLY_CLIPPED = 0.5
# A network that halves the image five times has less than one value left for it.
TINY_SIDE_PX = 32
# 3.5 robust standard deviations: Iglewicz & Hoaglin (1993), "How to detect and handle outliers".
ODD_Z = 3.5
MIN_IMAGES_TO_COMPARE = 20
# Sizes that a hundredth of the images share are usual; where these make up nine tenths of the
# images, one camera or export took them, and what has another size came from elsewhere.
USUAL_SIZE_SHARE = 0.01
USUAL_SIZES_COVER = 0.9
# Below this a shape is not odd however alike the others are: a crop, a border cut off.
ODD_SHAPE_FACTOR = 1.5


@dataclass(frozen=True)
class QualityFlag:
    """One thing that can be wrong with an image.

    Attributes:
        name: how it is stored and linked.
        words: what is said of the image: "the image is <words>".
        measure: the measure that it is judged by; None where it is no single one.
        advice: what to do about it.
    """

    name: str
    words: str
    measure: str | None
    advice: str


@dataclass(frozen=True)
class Flagged:
    """Which images have a flag.

    Attributes:
        rows: bool (n_images,).
        below: values of the flag's measure below this have it; None where none is too low.
        above: values above this have it; None where none is too high.
    """

    flag: QualityFlag
    rows: np.ndarray
    below: float | None = None
    above: float | None = None


_LOOK = "Exclude those that show nothing, or relabel them unusable."
QUALITY_FLAGS = {  # the worst first
    flag.name: flag
    for flag in (
        QualityFlag("nearly_uniform", "nearly uniform", "contrast", _LOOK),
        QualityFlag(
            "blurred",
            "blurred beside the others",
            "sharpness",
            "Exclude those whose defect can no longer be seen.",
        ),
        QualityFlag("too_dark", "too dark", "brightness", _LOOK),
        QualityFlag("too_bright", "too bright", "brightness", _LOOK),
        QualityFlag("mostly_black", "mostly black", "dark_share", _LOOK),
        QualityFlag("mostly_white", "mostly white", "bright_share", _LOOK),
        QualityFlag(
            "tiny",
            "tiny",
            "shorter_side",
            f"A side below {TINY_SIDE_PX} pixels shows hardly anything: look for the originals.",
        ),
        QualityFlag(
            "odd_size",
            "of an odd size",
            None,
            "See whether another camera or another export made them.",
        ),
        QualityFlag(
            "odd_shape",
            "of an odd shape",
            "aspect_ratio",
            "A network squeezes them more than the others: crop them anew, or exclude them.",
        ),
    )
}


def flag_quality(table: Mapping[str, np.ndarray]) -> tuple[Flagged, ...]:
    """Images too dark, too bright, blank, clipped or blurred, the worst first.

    All but blur is judged by fixed thresholds. Blur is judged against the other images, since how
    sharp an image can be depends on the surface: an image is flagged where the logarithm of its
    sharpness lies `ODD_Z` robust standard deviations (from the median absolute deviation) below
    the median. A set of fewer than `MIN_IMAGES_TO_COMPARE` images says too little for that.

    Args:
        table: a float array (n_images,) for each measure of `core.images.quality.ImageQuality`;
            NaN where an image was not measured, which no flag is given for.

    Raises:
        ValueError: the arrays differ in length.
    """
    if len({len(column) for column in table.values()}) > 1:
        lengths = {name: len(column) for name, column in table.items()}
        raise ValueError(f"the measures differ in length: {lengths}")
    brightness, contrast, sharpness = table["brightness"], table["contrast"], table["sharpness"]
    uniform = contrast < NEARLY_UNIFORM
    dark, bright = brightness < TOO_DARK, brightness > TOO_BRIGHT
    black = (table["dark_share"] > MOSTLY_CLIPPED) & ~dark  # all that is dark is mostly black
    white = (table["bright_share"] > MOSTLY_CLIPPED) & ~bright
    soft, blurred = None, np.zeros_like(uniform)
    typical = _middle_and_spread(np.log10(sharpness + 1.0))
    if typical and typical[1] > 0:
        soft = 10.0 ** (typical[0] - ODD_Z * typical[1]) - 1.0
        blurred = (sharpness < soft) & ~uniform
    return (
        Flagged(QUALITY_FLAGS["nearly_uniform"], uniform, below=NEARLY_UNIFORM),
        Flagged(QUALITY_FLAGS["blurred"], blurred, below=soft),
        Flagged(QUALITY_FLAGS["too_dark"], dark, below=TOO_DARK),
        Flagged(QUALITY_FLAGS["too_bright"], bright, above=TOO_BRIGHT),
        Flagged(QUALITY_FLAGS["mostly_black"], black, above=MOSTLY_CLIPPED),
        Flagged(QUALITY_FLAGS["mostly_white"], white, above=MOSTLY_CLIPPED),
    )


def flag_shapes(widths: np.ndarray, heights: np.ndarray) -> tuple[Flagged, ...]:
    """Images that are tiny, or of another size or shape than the others, the worst first.

    An aspect ratio is odd where its logarithm lies `ODD_Z` robust standard deviations from the
    median, and it differs by at least `ODD_SHAPE_FACTOR`. Where sizes vary freely none is odd.

    Args:
        widths: int (n_images,), in pixels, 1 and up.
        heights: int (n_images,), likewise.
    """
    shorter, ratios = np.minimum(widths, heights), widths / heights
    low, high, odd = None, None, np.zeros(len(ratios), bool)
    typical = _middle_and_spread(np.log(ratios))
    if typical:
        median, spread = typical
        reach = max(ODD_Z * spread, float(np.log(ODD_SHAPE_FACTOR)))
        low, high = float(np.exp(median - reach)), float(np.exp(median + reach))
        odd = (ratios < low) | (ratios > high)
    return (
        Flagged(QUALITY_FLAGS["tiny"], shorter < TINY_SIDE_PX, below=TINY_SIDE_PX),
        Flagged(QUALITY_FLAGS["odd_size"], _is_odd_size(widths, heights)),
        Flagged(QUALITY_FLAGS["odd_shape"], odd, below=low, above=high),
    )


def _middle_and_spread(values: np.ndarray) -> tuple[float, float] | None:
    """Median and robust standard deviation of what is known; None where that is too little."""
    known = values[np.isfinite(values)]
    if len(known) < MIN_IMAGES_TO_COMPARE:
        return None
    median = float(np.median(known))
    return median, 1.4826 * float(np.median(np.abs(known - median)))  # as of a normal distribution


def _is_odd_size(widths: np.ndarray, heights: np.ndarray) -> np.ndarray:
    if len(widths) < MIN_IMAGES_TO_COMPARE:
        return np.zeros(len(widths), bool)
    sizes = widths.astype(np.int64) << 32 | heights.astype(np.int64)
    _, size_of, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    usual = counts >= max(2, USUAL_SIZE_SHARE * len(sizes))
    if counts[usual].sum() < USUAL_SIZES_COVER * len(sizes):
        return np.zeros(len(widths), bool)
    return ~usual[size_of]
