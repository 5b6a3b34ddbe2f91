"""Quality: which images are too dark, too bright, blank or blurred to judge a defect by?

Every image is measured at one working size, so that the numbers of images of one camera compare.
The measures colour the map and fill the quality report; `quality_flags` judges them.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from core.images.thumbnails import fit_within

# Half of a 640-pixel frame: fine scratches and a blur of two pixels still show, and measuring
# costs a fraction of decoding.
WORKING_SIDE_PX = 320

_LEVELS = np.arange(256)
_CLIPPED_LEVELS = 3  # sensors and JPEG rarely reach the very last level


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
        format: how one value is written.
        resolution: values closer together than this are not told apart by a chart, on its axis.
    """

    name: str
    title: str
    range: tuple[float, float | None]
    log_scale: bool
    direction: str
    explanation: str
    format: str = "{:.3g}"
    resolution: float = 0.001


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
        format="{:.1%}",
    ),
    QualityMeasure(
        name="bright_share",
        title="White pixels",
        range=(0.0, 1.0),
        log_scale=False,
        direction="higher is worse",
        explanation="Share of pixels so bright that no detail is left.",
        format="{:.1%}",
    ),
)

# Not measured in the pixels but known of every image that was taken in.
SHAPE_MEASURES = (
    QualityMeasure(
        name="aspect_ratio",
        title="Aspect ratio",
        range=(0.0, None),
        log_scale=False,
        direction="unlike the others is worse",
        explanation="Width over height: above 1 lies wide, below 1 stands tall.",
        resolution=0.01,
    ),
    QualityMeasure(
        name="shorter_side",
        title="Shorter side",
        range=(0.0, None),
        log_scale=False,
        direction="lower is worse",
        explanation="Pixels along the shorter side of the image.",
        format="{:,.0f} px",
        resolution=1.0,
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
    exact = laplacian.astype(np.float32)
    of_rows = np.einsum("ij,ij->i", exact, exact)  # their squares, summed without being stored
    mean_square = of_rows.sum(dtype=np.float64) / laplacian.size
    return float(mean_square - mean**2)


def _saturation(image: Image.Image) -> float:
    # Colour is smooth where luma is not, so a sixteenth of the pixels tells as much.
    red, green, blue = image.reduce(4).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    weakest = ImageChops.darker(ImageChops.darker(red, green), blue)
    counts = np.array(ImageChops.subtract(strongest, weakest).histogram())
    return float(counts @ _LEVELS / (counts.sum() * 255))
