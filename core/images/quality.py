"""Quality: which images are too dark, too bright, blank or blurred to judge a defect by?

Every image is measured at one working size, so that the numbers of images of one camera compare.
The measures colour the map; the flags fill the quality report.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from core.images.thumbnails import fit_within

# Half of a 640-pixel frame: fine scratches and a blur of two pixels still show, and measuring
# costs a fraction of decoding.
WORKING_SIDE_PX = 320

_LEVELS = np.arange(256)
_CLIPPED_LEVELS = 3  # sensors and JPEG rarely reach the very last level

# Luma of a usable photograph stays well within these, also of dark paint or glossy sheet.
TOO_DARK = 0.06
TOO_BRIGHT = 0.94
# Two grey levels' deviation: less than the sensor noise of a real photograph.
NEARLY_UNIFORM = 0.016
MOSTLY_CLIPPED = 0.5
# 3.5 robust standard deviations: Iglewicz & Hoaglin (1993), "How to detect and handle outliers".
BLURRED_Z = 3.5
MIN_IMAGES_FOR_BLUR = 20


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """Numbers of one image; `QUALITY_MEASURES` explains each."""

    brightness: float
    contrast: float
    sharpness: float
    saturation: float
    dark_share: float
    bright_share: float


@dataclass(frozen=True)
class QualityMeasure:
    """How a measure is shown.

    Attributes:
        name: the attribute of `ImageQuality`.
        title: what a person reads.
        range: lowest and highest possible value; None where there is no bound.
        log_scale: whether it spans orders of magnitude, so that colours follow its logarithm.
        direction: which end is worse.
        explanation: one line.
    """

    name: str
    title: str
    range: tuple[float, float | None]
    log_scale: bool
    direction: str
    explanation: str


@dataclass(frozen=True, slots=True)
class QualityFlag:
    """One thing wrong with one image: its row in the table, a word for it, and why."""

    row: int
    flag: str
    reason: str


QUALITY_MEASURES = (
    QualityMeasure(
        name="brightness",
        title="Brightness",
        range=(0.0, 1.0),
        log_scale=False,
        direction="both ends are worse",
        explanation="Mean luma: 0 is black, 1 is white.",
    ),
    QualityMeasure(
        name="contrast",
        title="Contrast",
        range=(0.0, 1.0),
        log_scale=False,
        direction="lower is worse",
        explanation="Standard deviation of luma over the most it can be: 0 is one even tone.",
    ),
    QualityMeasure(
        name="sharpness",
        title="Sharpness",
        range=(0.0, None),
        log_scale=True,
        direction="lower is worse",
        explanation="Variance of the Laplacian of luma (0..255): low in blurred or empty images.",
    ),
    QualityMeasure(
        name="saturation",
        title="Saturation",
        range=(0.0, 1.0),
        log_scale=False,
        direction="neither end is worse",
        explanation="Mean distance of the strongest from the weakest colour channel: 0 is grey.",
    ),
    QualityMeasure(
        name="dark_share",
        title="Black pixels",
        range=(0.0, 1.0),
        log_scale=False,
        direction="higher is worse",
        explanation="Share of pixels so dark that no detail is left.",
    ),
    QualityMeasure(
        name="bright_share",
        title="White pixels",
        range=(0.0, 1.0),
        log_scale=False,
        direction="higher is worse",
        explanation="Share of pixels so bright that no detail is left.",
    ),
)


def measure_quality(image: Image.Image) -> ImageQuality:
    """Measure an RGB image, shrunk to `WORKING_SIDE_PX` where it is larger.

    Source:
        Sharpness: Pech-Pacheco et al. (2000), "Diatom autofocusing in brightfield microscopy: a
        comparative study", doi:10.1109/ICPR.2000.903548.
    """
    small = fit_within(image, side=WORKING_SIDE_PX)
    luma = small.convert("L")
    shares = np.array(luma.histogram()) / (luma.width * luma.height)  # (256,)
    mean = float(shares @ _LEVELS)
    deviation = float(np.sqrt(shares @ (_LEVELS - mean) ** 2))
    return ImageQuality(
        brightness=mean / 255,
        contrast=min(1.0, deviation / 127.5),
        sharpness=_laplacian_variance(np.asarray(luma)),
        saturation=_saturation(small),
        dark_share=float(shares[:_CLIPPED_LEVELS].sum()),
        bright_share=float(shares[-_CLIPPED_LEVELS:].sum()),
    )


def flag_quality(table: Mapping[str, np.ndarray]) -> tuple[QualityFlag, ...]:
    """Name the images that a person should look at before anything learns from them.

    Darkness, brightness, blankness and clipping are judged by fixed thresholds. Blur is judged
    against the other images, since how sharp an image can be depends on the surface: an image is
    flagged where the logarithm of its sharpness lies `BLURRED_Z` robust standard deviations (from
    the median absolute deviation) below the median. A set of fewer than `MIN_IMAGES_FOR_BLUR`
    images says too little for that.

    Args:
        table: a float array (n_images,) for each measure of `ImageQuality`.

    Returns:
        The flags in the order of their rows; an image may have several.

    Raises:
        ValueError: the arrays differ in length.
    """
    columns = {measure.name: np.asarray(table[measure.name]) for measure in QUALITY_MEASURES}
    if len({len(column) for column in columns.values()}) != 1:
        lengths = {name: len(column) for name, column in columns.items()}
        raise ValueError(f"the measures differ in length: {lengths}")

    brightness, contrast = columns["brightness"], columns["contrast"]
    dark, bright = columns["dark_share"], columns["bright_share"]
    sharpness = columns["sharpness"]
    uniform = contrast < NEARLY_UNIFORM
    blurred = _far_below_others(np.log10(sharpness + 1.0)) & ~uniform
    typical = float(np.median(sharpness)) if len(sharpness) else 0.0

    flags = [
        *_flags("too_dark", brightness < TOO_DARK, "mean brightness {:.3f}", brightness),
        *_flags("too_bright", brightness > TOO_BRIGHT, "mean brightness {:.3f}", brightness),
        *_flags("nearly_uniform", uniform, "contrast {:.4f}: hardly any structure", contrast),
        *_flags("clipped_dark", dark > MOSTLY_CLIPPED, "{:.0%} of the pixels are black", dark),
        *_flags(
            "clipped_bright", bright > MOSTLY_CLIPPED, "{:.0%} of the pixels are white", bright
        ),
        *_flags(
            "blurred", blurred, f"sharpness {{:.3g}}, where {typical:.3g} is typical", sharpness
        ),
    ]
    return tuple(sorted(flags, key=lambda flag: flag.row))


def _laplacian_variance(luma: np.ndarray) -> float:
    """Variance of the four-neighbour Laplacian of uint8 luma (height, width); 0 below 3 pixels."""
    if min(luma.shape) < 3:
        return 0.0
    grey = luma.astype(np.int16)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1]  # (height - 2, width - 2), within ±1020
    laplacian += grey[1:-1, :-2]
    laplacian += grey[1:-1, 2:]
    laplacian -= 4 * grey[1:-1, 1:-1]
    mean = laplacian.sum(dtype=np.int64) / laplacian.size
    mean_square = np.square(laplacian, dtype=np.int32).sum(dtype=np.int64) / laplacian.size
    return float(mean_square - mean**2)


def _saturation(image: Image.Image) -> float:
    # Colour is smooth where luma is not, so a sixteenth of the pixels tells as much.
    red, green, blue = image.reduce(4).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    weakest = ImageChops.darker(ImageChops.darker(red, green), blue)
    counts = np.array(ImageChops.subtract(strongest, weakest).histogram())
    return float(counts @ _LEVELS / (counts.sum() * 255))


def _far_below_others(values: np.ndarray) -> np.ndarray:
    """Whether each value lies `BLURRED_Z` robust standard deviations below the median."""
    if len(values) < MIN_IMAGES_FOR_BLUR:
        return np.zeros(len(values), dtype=bool)
    median = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - median))  # equals the deviation of a normal
    return values < median - BLURRED_Z * spread if spread > 0 else np.zeros(len(values), dtype=bool)


def _flags(flag: str, is_flagged: np.ndarray, reason: str, values: np.ndarray) -> list[QualityFlag]:
    return [
        QualityFlag(int(row), flag, reason.format(values[row]))
        for row in np.flatnonzero(is_flagged)
    ]
