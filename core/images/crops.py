"""Crops: one defect, cut out of its image with a margin around it.

Tiny defects on large panels vanish when the whole image is made as small as a network's input; cut
out along their boxes they keep their pixels.
"""

import math

from PIL import Image

from core.annotations import Box, Crop
from core.images.boxes import clip_box

# Around a speck of a few pixels a share of it would show nothing of the surface it lies on.
MIN_MARGIN_PX = 8


def crop_box(
    image: Image.Image, box: Box, *, margin: float, source: str, source_sha256: str
) -> tuple[Image.Image, Crop, Box]:
    """Cut a box out of its image, with a margin on all four sides.

    The margin is that share of the box's longer side, at least `MIN_MARGIN_PX`, and ends where the
    image ends: nothing is filled up. Edges are rounded outwards to whole pixels.

    Args:
        image: the whole image, upright, as `read_image` gives it.
        box: in pixels of that image.
        margin: share of the box's longer side, 0 or more.
        source: what the whole image is called.
        source_sha256: hash of its file.

    Returns:
        The crop, where it lies in the whole image, and the box in pixels of the crop.

    Raises:
        ValueError: `margin` is negative or not finite, or the box lies outside the image.
    """
    check_margin(margin)
    box = clip_box(box, image.size)
    margin_px = max(margin * max(box.width, box.height), MIN_MARGIN_PX)
    left, upper = max(math.floor(box.x - margin_px), 0), max(math.floor(box.y - margin_px), 0)
    right = min(math.ceil(box.x + box.width + margin_px), image.width)
    lower = min(math.ceil(box.y + box.height + margin_px), image.height)
    place = Crop(source, source_sha256, left, upper, right - left, lower - upper)
    inside = Box(box.label, box.x - left, box.y - upper, box.width, box.height)
    return image.crop((left, upper, right, lower)), place, inside


def check_margin(margin: float) -> None:
    """Refuse what is no margin.

    Raises:
        ValueError: `margin` is negative or not finite.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be 0 or more, got {margin}")
